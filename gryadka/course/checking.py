"""Checks for learners: a block of plain asserts that says in words whether it holds, and never raises.

    with check("a lower ballot is refused"):
        state, reply = prepare(State(Ballot(5, 1)), Prepare(Ballot(4, 2)))
        assert isinstance(reply, Conflict), f"it was answered {reply}"

shows one of

    ✓ a lower ballot is refused
    ✗ not yet: it was answered Promise(...)
        what must hold: a lower ballot is refused

The results stay in `check.results`. An interrupt is the one thing that a check lets through.
"""

from __future__ import annotations

import sysconfig
import traceback
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import TracebackType

from gryadka.views.show import show

# What lies here was not written by the learner.
_NOT_THEIRS = (str(Path(__file__).parents[1]), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))

BY_THE_RULES = ". By the rules: "
"""Stands in a step between what happened and what should have happened."""


class Unfinished(NotImplementedError):
    """Raised for a piece of work, named by the message, that still is a skeleton."""


@dataclass(frozen=True)
class Result:
    """How one check ended. `why` says what is missing, in a sentence; it is empty if the check `holds`.

    `covered` says what was tried, and `steps` tell the run that shows the fault.
    """

    sentence: str
    holds: bool
    why: str = ""
    covered: str = ""
    steps: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.holds:
            return f"✓ {self.sentence}" + (f"\n    tried: {self.covered}" if self.covered else "")
        run = [f"    {number:3}. {step}" for number, step in enumerate(self.steps, start=1)]
        return "\n".join([f"✗ not yet: {self.why}", f"    what must hold: {self.sentence}", *run])

    def _html(self) -> str:
        # The line at the side is solid for yes and dotted for no: shape, not colour.
        if self.holds:
            line, words = "solid", f"<strong>✓</strong> {escape(self.sentence)}"
            words += f"<br><small>tried: {escape(self.covered)}</small>" if self.covered else ""
        else:
            line, words = "dotted", f"<strong>✗ not yet:</strong> {escape(self.why)}"
            words += f"<br><small>what must hold: {escape(self.sentence)}</small>"
            run = "".join(f"<li>{_rule_below(step)}</li>" for step in self.steps)
            if run:
                told = f"a run of {len(self.steps)} steps that shows it"
                words += f"<details open><summary>{told}</summary><ol>{run}</ol></details>"
        return f'<div style="border-left: 4px {line} currentColor; padding: 2px 10px">{words}</div>'


def _rule_below(step: str) -> str:
    happened, by_the_rules, should = escape(step).partition(BY_THE_RULES)
    return f"{happened}<br><strong>{by_the_rules[2:]}</strong>{should}" if should else happened


class Checks:
    """Makes checks, and remembers how they ended. Lessons share one, the `check` of `gryadka.course.checks`."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self._unsettled: dict[str, Result] = {}

    def __call__(self, sentence: str) -> Check:
        """Return a block that checks what `sentence` says: `with check(sentence): ...`."""
        return Check(self, sentence)

    def settle(self) -> list[Result]:
        """Return the results since the last call of this, the latest one of each sentence."""
        unsettled, self._unsettled = self._unsettled, {}
        return list(unsettled.values())

    def record(self, result: Result) -> None:
        """Remember a result, and show it."""
        self.results.append(result)
        self._unsettled[result.sentence] = result
        show(str(result), result._html())


class Check:
    """One `with` block; see the module."""

    def __init__(self, checks: Checks, sentence: str) -> None:
        self._checks = checks
        self._sentence = sentence

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        said = "it was interrupted" if not isinstance(error, Exception | None) else why(error) if error else ""
        self._checks.record(Result(self._sentence, error is None, said))
        return isinstance(error, Exception)


def why(error: BaseException) -> str:
    """Say in a sentence what `error` means to the learner whose code led to it. No line of ours stands in it."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith(_NOT_THEIRS)]
    frame = (theirs or frames)[-1]
    if isinstance(error, Unfinished):
        return f"{error} is still unfinished"
    if isinstance(error, NotImplementedError):
        return f"{frame.name} is still unfinished"
    if isinstance(error, AssertionError):
        return str(error) or f"this is not so: {frame.line}"
    said = f"{type(error).__name__}{': ' if str(error) else ''}{error}"
    if not theirs:
        return said
    where = "" if frame.name == "<module>" else f"in {frame.name}, "
    return f"{where}line {frame.lineno}, `{frame.line}`: {said}"


def show_line(sentence: str) -> None:
    """Show a line beside a result."""
    show(sentence, f"<div>{escape(sentence)}</div>")
