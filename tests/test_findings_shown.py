"""How a check tells what it found out, whatever the code that it looked at raises."""

from __future__ import annotations

import sys
from typing import NoReturn

import pytest

from gryadka.course.checking import Result
from gryadka.course.checks import LearnersChecks
from gryadka.course.finding import Finding
from gryadka.proposer import Proposer
from gryadka.trace import Event


def test_a_finding_that_holds_says_what_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    checks = LearnersChecks()
    checks.tell("it works", lambda: Finding(covered="all of 7 runs"))
    assert capsys.readouterr().out == "✓ it works\n    tried: all of 7 runs\n"
    assert checks.results[0].holds and checks.finding.covered == "all of 7 runs"


def test_a_finding_that_does_not_hold_tells_its_run_and_keeps_the_events(capsys: pytest.CaptureFixture[str]) -> None:
    checks = LearnersChecks()
    found = Finding("it is lost", steps=("A says yes", "B says yes"), events=(Event("crashed", 1.0, "A"),))
    checks.tell("it works", lambda: found)
    said = "✗ not yet: it is lost\n    what must hold: it works\n      1. A says yes\n      2. B says yes\n"
    assert capsys.readouterr().out == said
    assert checks.finding == found and [result.holds for result in checks.settle()] == [False]


def test_in_a_notebook_the_rule_stands_below_the_step_that_breaks_it() -> None:
    html = Result("a", False, "b", steps=("A says <yes>. By the rules: A says no", "the end"))._html()
    assert "<li>A says &lt;yes&gt;<br><strong>By the rules: </strong>A says no</li><li>the end</li>" in html
    assert "a run of 2 steps that shows it" in html


def test_what_an_examination_raises_is_told_and_not_raised() -> None:
    def unfinished() -> NoReturn:
        raise NotImplementedError("your turn")

    checks = LearnersChecks()
    checks.tell("it works", unfinished)
    assert checks.results[0].why == checks.finding.why == "unfinished is still unfinished"


def test_code_that_calls_exit_does_not_end_the_check_without_a_word() -> None:
    checks = LearnersChecks()
    checks.tell("it works", sys.exit)
    assert checks.finding.why == "SystemExit"


def test_no_line_of_ours_is_shown_for_what_a_call_alone_raises() -> None:
    class NoArguments(Proposer):
        def __init__(self) -> None:
            pass

    checks = LearnersChecks()
    checks.proposer(NoArguments)
    assert ": TypeError: " in checks.finding.why and "line " not in checks.finding.why


def test_an_interrupt_is_said_in_a_sentence_and_goes_through() -> None:
    def interrupted() -> NoReturn:
        raise KeyboardInterrupt

    checks = LearnersChecks()
    with pytest.raises(KeyboardInterrupt):
        checks.tell("it works", interrupted)
    assert checks.results[0].why == checks.finding.why == "it was interrupted"
