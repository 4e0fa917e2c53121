"""Checks of whole pieces of work: what a learner sees, for right work, for wrong work, and for broken work."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
from jupyter_client.manager import start_new_kernel

from gryadka.checking import learner
from gryadka.checking.explore import Budget
from gryadka.course import examine
from gryadka.course.checks import LearnersChecks
from gryadka.course.finding import Finding
from gryadka.protocol.acceptor import (
    ZERO,
    Accept,
    Accepted,
    Ballot,
    Conflict,
    Prepare,
    Promise,
    Reply,
    State,
)
from gryadka.trace import dump, load

ROOT = Path(__file__).parents[1]


# -- rules of acceptors and the choice of a value ----------------------------------------------------------

ACCEPTORS = "the acceptor keeps its promises, and nothing that was acknowledged is lost, whatever the network does"


def prepare(state: State, message: Prepare) -> tuple[State, Reply]:
    if message.ballot <= state.promised:
        return state, Conflict(state.promised)
    return State(message.ballot, state.accepted, state.value), Promise(state.accepted, state.value)


def accept(state: State, message: Accept) -> tuple[State, Reply]:
    if message.ballot < state.promised:
        return state, Conflict(state.promised)
    return State(message.promise, message.ballot, message.value), Accepted()


def promises_an_equal_ballot_again(state: State, message: Prepare) -> tuple[State, Reply]:
    if message.ballot < state.promised:
        return state, Conflict(state.promised)
    return State(message.ballot, state.accepted, state.value), Promise(state.accepted, state.value)


def confirms_an_old_accept(state: State, message: Accept) -> tuple[State, Reply]:
    if (message.ballot, message.value) == state[1:]:
        return state._replace(promised=max(state.promised, message.promise)), Accepted()
    return accept(state, message)


def keeps_what_it_has_accepted(state: State, message: Accept) -> tuple[State, Reply]:
    return (state, Accepted()) if message.ballot == state.accepted else accept(state, message)


def refuses_what_it_has_accepted(state: State, message: Accept) -> tuple[State, Reply]:
    return accept(state, message) if message.ballot > state.accepted else (state, Conflict(state.promised))


def prints(state: State, message: Accept) -> tuple[State, Reply]:
    print("state", state, "message", message)
    return accept(state, message)


RIGHT_COUNTS = (
    "every one of 66,550 states of 3 acceptors and 2 proposers, whatever is lost, late or repeated; 40 simulated "
    "runs with 3,124 acknowledged changes"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "functions",
    [{"prepare": prepare, "accept": accept}, {"prepare": prepare}, {"accept": accept}],
    ids=" and ".join,
)
def test_right_rules_pass_and_the_real_counts_are_told(functions: Any) -> None:
    assert examine.acceptor(**functions) == Finding(covered=RIGHT_COUNTS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "functions",
    [(promises_an_equal_ballot_again, accept), (prepare, confirms_an_old_accept), (prepare, prints)]
    + [(prepare, each) for each in (keeps_what_it_has_accepted, refuses_what_it_has_accepted)],
)
def test_rules_that_are_as_sound_pass_too(capsys: pytest.CaptureFixture[str], functions: Any) -> None:
    checks = LearnersChecks()
    checks.acceptor(*functions)
    said = capsys.readouterr().out
    assert said.startswith(f"✓ {ACCEPTORS}\n    tried: every one of ")
    assert said.count("\n") == 2 + (functions[1] is prints)
    assert ("characters meanwhile; they are not shown" in said) == (functions[1] is prints)


def highest(promises: Sequence[Promise]) -> Promise:
    return sorted(promises, key=lambda promise: promise.accepted)[-1]


@pytest.mark.slow
def test_a_right_choice_passes_for_three_promises_too() -> None:
    found = examine.choose(highest)
    assert found.covered.startswith("every one of 66,550 states of 3 acceptors and 2 proposers, every one of 4,094")


def obeys(state: State, message: Accept) -> tuple[State, Reply]:
    return State(message.promise, message.ballot, message.value), Accepted()


def test_a_forgotten_promise_is_told_with_the_shortest_run_and_what_the_rule_would_have_said() -> None:
    found = examine.acceptor(prepare, obeys)
    assert found.why == "acceptor A had promised 2:1, and its promise is now 1:1 (promises never go back)"
    assert len(found.steps) == 7
    assert found.steps[-1].endswith("By the rules: A refuses 1:1, because it has promised 2:1")
    assert [step for step in found.steps[:-1] if "By the rules" in step] == []
    assert load(dump(found.events)) == list(found.events) and found.events[-1].kind == "state"


def no(state: State, message: Prepare) -> tuple[State, Reply]:
    return state, Conflict(state.promised)


def forgets_what_it_accepted(state: State, message: Prepare) -> tuple[State, Reply]:
    after, reply = prepare(state, message)
    return after, Promise(ZERO, None) if isinstance(reply, Promise) else reply


def climbs(state: State, message: Prepare) -> tuple[State, Reply]:
    higher = Ballot(state.promised.counter + 1, 1)
    return state._replace(promised=higher), Conflict(higher)


@pytest.mark.parametrize(
    ("function", "why", "steps"),
    [
        (no, "no change can ever be acknowledged, whatever happens: an acceptor that has promised nothing", 0),
        (forgets_what_it_accepted, "[1] was acknowledged before change 2 began, and its caller was shown [2]", 14),
        (None, "prepare is None; it has to be a function", 0),
        (7, "prepare is 7; it has to be a function", 0),
        ("prepare", "prepare is 'prepare'; it has to be a function", 0),
    ],
)
def test_a_wrong_prepare_is_told(function: Any, why: str, steps: int) -> None:
    found = examine.acceptor(function, accept)
    assert why in found.why and len(found.steps) == steps


@pytest.mark.slow
def test_answers_without_end_are_not_taken_for_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "BUDGET", Budget(max_states=2_000))
    assert "after 2,000 states there still are new ones" in examine.acceptor(climbs, accept).why


def forgets_when_it_gets_late(state: State, message: Accept) -> tuple[State, Reply]:
    """No model goes so far: only real proposers that work for a while do."""
    return accept(state._replace(promised=ZERO), message) if message.ballot.counter > 5 else accept(state, message)


@pytest.mark.slow
def test_a_fault_beyond_what_is_explored_is_found_by_the_simulator_and_told_by_a_short_run() -> None:
    found = examine.acceptor(prepare, forgets_when_it_gets_late)
    assert found.why.startswith("a simulated run went wrong: ") and found.events
    assert any("By the rules: " in step for step in found.steps)


def names_another_ballot_in_the_end() -> Any:
    asked: Counter[str] = Counter()

    def tired(state: State, message: Accept) -> tuple[State, Reply]:
        asked[repr((state, message))] += 1
        after, reply = accept(state, message)
        return after, Conflict(ZERO) if reply != Accepted() and asked[repr((state, message))] > 2 else reply

    return tired


@pytest.mark.slow
def test_a_rule_that_keeps_something_between_its_calls_does_not_pass() -> None:
    assert (
        "accept was asked the same once more, later, and said"
        in examine.acceptor(prepare, names_another_ballot_in_the_end()).why
    )


def test_an_empty_hand_is_not_taken_for_right_work() -> None:
    assert examine.acceptor().why.startswith("there is nothing to check")
    assert examine.choose(None).why == "choose is None; it has to be a function"  # type: ignore[arg-type]
    assert examine.acceptor(accept=None).why == "accept is None; it has to be a function"  # type: ignore[arg-type]


def wants_its_own_prepare(state: State, message: Accept) -> tuple[State, Reply]:
    return accept(state, message) if message.ballot == state.promised else (state, Conflict(state.promised))


def names_the_wrong_ballot(state: State, message: Accept) -> tuple[State, Reply]:
    return accept(state, message) if message.ballot >= state.promised else (state, Conflict(message.ballot))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "why"),
    [
        (wants_its_own_prepare, "By the rules: it accepts [2] at 1:1"),
        (names_the_wrong_ballot, "refuses 1:1, because it has promised 1:1. By the rules: it refuses 1:1"),
    ],
)
def test_rules_that_lose_nothing_and_are_still_too_strict_are_told_so(function: Any, why: str) -> None:
    found = examine.acceptor(prepare, function)
    assert found.why.startswith("nothing is ever lost, but an acceptor that has") and why in found.why


@pytest.mark.slow
def test_runs_that_stall_for_a_refusal_without_news_are_told_which_refusal() -> None:
    def prepare_names_the_wrong_ballot(state: State, message: Prepare) -> tuple[State, Reply]:
        return prepare(state, message) if message.ballot > state.promised else (state, Conflict(message.ballot))

    found = examine.acceptor(prepare_names_the_wrong_ballot, accept)
    assert "operations got an answer: an acceptor that has promised 1:2" in found.why
    assert found.why.endswith("By the rules: it refuses 1:1, because it has promised 1:2")


def starts_anew(promises: Sequence[Promise]) -> Promise:
    return Promise(ZERO, None)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda promises: promises[0], "[1] was acknowledged before change 2 began, and its caller was shown [2]"),
        (lambda promises: max(promises, key=lambda promise: promise.accepted.counter), "neither begins the other"),
        (starts_anew, "which is none of the promises it was given"),
        (lambda promises: promises.clear(), "changed what it was given"),
        (lambda promises: None, "choose returned None, which is none of the promises"),
    ],
)
def test_a_wrong_choice_is_told(function: Any, why: str) -> None:
    assert why in examine.choose(function).why


def only_two(promises: Sequence[Promise]) -> Promise:
    return max(promises[:2], key=lambda promise: promise.accepted)


def most_frequent(promises: Sequence[Promise]) -> Promise:
    return max(promises, key=lambda promise: (promise.value is not None, promises.count(promise), promise))


@pytest.mark.slow
@pytest.mark.parametrize("function", [only_two, most_frequent])
def test_a_choice_that_is_right_for_two_promises_alone_is_found_where_three_are_heard(function: Any) -> None:
    found = examine.choose(function)
    assert not found.holds and any("hears A, B and C" in step for step in found.steps)


# -- broken work -------------------------------------------------------------------------------------------


def unfinished(state: State, message: Prepare) -> NoReturn:
    raise NotImplementedError("your turn")


def loops(state: State, message: Prepare) -> NoReturn:
    while True:
        pass


async def is_async(state: State, message: Prepare) -> tuple[State, Reply]:
    return prepare(state, message)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (unfinished, "unfinished is still unfinished"),
        (loops, "loops has not returned after 0.05 s"),
        (is_async, "is_async is async"),
        (lambda state, message: state, "it has to return two things"),
        (lambda state: state, "raised TypeError"),
    ],
)
def test_broken_work_gets_a_sentence_and_no_run(monkeypatch: pytest.MonkeyPatch, function: Any, why: str) -> None:
    monkeypatch.setattr(learner, "CALL_LIMIT_S", 0.05)
    found = examine.acceptor(function, accept)
    assert why in found.why and found.steps == ()


def test_an_interrupt_inside_the_explorer_is_said_and_goes_through(capsys: pytest.CaptureFixture[str]) -> None:
    calls = []

    def stopped(state: State, message: Accept) -> tuple[State, Reply]:
        calls.append(message)
        if len(calls) > 40:
            raise KeyboardInterrupt
        return accept(state, message)

    checks = LearnersChecks()
    with pytest.raises(KeyboardInterrupt):
        checks.acceptor(prepare, stopped)
    assert checks.finding.why == "it was interrupted"
    assert capsys.readouterr().out.startswith("✗ not yet: it was interrupted\n")


@pytest.mark.slow
def test_a_cell_with_a_loop_can_be_interrupted_and_the_kernel_goes_on(tmp_path: Path) -> None:
    """In a real kernel: first a loop that the check ends by itself, then a slow rule, ended by an interrupt."""
    manager, client = start_new_kernel(
        kernel_name="python3", cwd=str(tmp_path), env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    said: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        content = message["content"]
        said.append(
            content.get("text") or content.get("data", {}).get("text/plain") or "".join(content.get("traceback", []))
        )
        if said[-1] == "'begun'":
            manager.interrupt_kernel()

    try:
        for cell in (ENDLESS_CELL, SLOW_CELL, "print('alive', check.finding.why)"):
            client.execute_interactive(cell, output_hook=hear, timeout=60, stop_on_error=False)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert any("✗ not yet: endless has not returned after 2 s: a loop without end?" in text for text in said)
    assert any("✗ not yet: it was interrupted" in text for text in said)
    assert "The check was interrupted. The kernel can be used as before." in said
    assert "alive it was interrupted\n" in said
    assert not any("Traceback" in text for text in said)


ENDLESS_CELL = """
from gryadka.course import check
from gryadka.protocol.acceptor import accept

def endless(state, message):
    while True:
        pass

check.acceptor(accept=endless)
"""
SLOW_CELL = """
import time

def slow(state, message):
    if not begun:
        begun.append(display("begun"))
    time.sleep(0.2)
    return accept(state, message)

begun = []
check.acceptor(accept=slow)
"""
