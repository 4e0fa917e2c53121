"""Lesson 06: a learner's linearizability checker, judged on histories whose verdicts are known.

What may live here: small histories, drawn by hand or made one after the other, and the comparison. The known
verdicts are those of `gryadka.checking.linearizability`. A checker that is tried looks like this:

    def linearizable(operations, value=None): ...

It gets a list of `Op`, reads and writes of one register that holds `value` at first, and returns True or False.

The theory in a few lines. Wing and Gong ("Testing and verifying concurrent objects", 1993): the operation that
took effect first is one that began before any other had ended. Try each that fits, and go on with the rest from the
value that it leaves; if none leads to an end, there is no order. A write of unknown outcome has no end, so it
keeps nobody waiting, and may be left out.

    >>> judge(lambda operations, value=None: True).steps  # the smallest history that it gets wrong
    ('Ann reads 1, from 0 to 1',)
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf
from typing import Any, NamedTuple

from gryadka.checking.history import History, Operation, Outcome
from gryadka.checking.learner import no_answer
from gryadka.checking.limits import TimeUp, time_limit
from gryadka.checking.linearizability import MODELS, Ok, Verdict, Violation, check
from gryadka.course.checking import Unfinished, why
from gryadka.course.finding import Finding
from gryadka.errors import GryadkaError
from gryadka.views import history as bars
from gryadka.views.svg import Picture, label

CLIENTS = ("Ann", "Bob", "Cleo", "Dan", "Eve", "Finn")
SMALL = 3  # all histories of up to so many operations are tried
LARGE = 6  # and some with up to so many
SOME = 1500
LIMIT_S = 20.0


class Op(NamedTuple):
    """One operation: `who` reads `value`, or writes it, at some moment between `begins` and `ends`.

    `does` is "reads" or "writes". `ends` is infinite for a write of unknown outcome. Nobody knows the value of a
    read of unknown outcome, so there is none.
    """

    who: str
    does: str
    value: Any
    begins: float
    ends: float

    def __str__(self) -> str:
        until = f"to {self.ends:g}" if self.ends < inf else "on, outcome unknown"
        return f"{self.who} {self.does} {self.value}, from {self.begins:g} {until}"


Checker = Callable[[list[Op]], bool]


@dataclass(frozen=True)
class Misjudged(Finding):
    """A finding about a checker: `operations` are the smallest history found that it gets wrong, if there is one."""

    operations: tuple[Op, ...] = ()


class NotAHistory(GryadkaError):
    """A line of a history drawn by hand cannot be read; the message says how one looks."""


_LINE = re.compile(r"\s*(?P<who>\w+)\s+(?P<does>reads|writes)\s+(?P<value>\w+)\s+(?P<bar>\[-*\]?)\s*")


def by_hand(drawing: str) -> list[Op]:
    """Return the operations of a history drawn in text: a line each, with a bar from its beginning to its end.

    `[---]` is a bar, and `[---` one of unknown outcome. A value is a whole number or None. Times are columns,
    from the first bar on; a bar that begins where another ends overlaps it. Raises `NotAHistory`.
    """
    operations = []
    for line in filter(str.strip, drawing.splitlines()):
        found = _LINE.fullmatch(line)
        if not found or not re.fullmatch(r"\d+|None", found["value"]):
            raise NotAHistory(f"{line.strip()!r} is no operation; one looks like this: Ann writes 1 [---]")
        begins, ends = found.span("bar")
        value = None if found["value"] == "None" else int(found["value"])
        open_ended = not found["bar"].endswith("]")
        if open_ended and found["does"] == "reads":
            raise NotAHistory(f"{line.strip()!r}: nobody knows what a read without an end has read")
        operations.append(Op(found["who"], found["does"], value, begins, inf if open_ended else ends - 0.5))
    first = min((op.begins for op in operations), default=0)
    shifted = (op._replace(begins=op.begins - first, ends=op.ends - first) for op in operations)
    return sorted(shifted, key=lambda op: op.begins)


def history(operations: Iterable[Op]) -> History:
    """Return the operations as a history of one register."""
    return History(_operation(op) for op in operations)


def ops(history: Iterable[Operation]) -> list[Op]:
    """Return the reads and writes of a recorded history as a checker sees them.

    What failed is left out, since it had no effect, and reads of unknown outcome as well. Times count from 0.
    """
    told = [one for one in history if one.outcome is Outcome.OK or (one.outcome is Outcome.UNKNOWN and one.args)]
    first_s = min((one.invoked_s for one in told), default=0.0)
    return [
        Op(
            str(one.process),
            "writes" if one.args else "reads",
            one.args[0] if one.args else one.result,
            one.invoked_s - first_s,
            inf if one.completed_s is None else one.completed_s - first_s,
        )
        for one in told
    ]


def verdict(operations: Iterable[Op]) -> Verdict:
    """Return what the course's own checker says."""
    return check(history(operations), MODELS["register"])


def picture(operations: Iterable[Op] | Finding, title: str = "") -> Picture:
    """Draw a history and the course's verdict on it; of a finding, the history that was judged wrongly."""
    why = "it has no operations"
    if isinstance(operations, Finding):
        why = "none was judged wrongly" if operations.covered else operations.why or "nothing was judged yet"
        operations = getattr(operations, "operations", ())
        title = title or "Yours is wrong about this one"
    operations = list(operations)
    if not operations:
        return Picture("No history to show", f"{why}.", label(4, 18, f"No history to show: {why}."), 28)
    return bars.draw(history(operations), verdict(operations), title=title)


def _operation(op: Op) -> Operation:
    known = op.ends < inf
    writes = op.does == "writes"
    more: dict[str, Any] = {} if writes else {"result": op.value}
    return Operation(
        process=op.who,
        f="write" if writes else "read",
        args=(op.value,) if writes else (),
        outcome=Outcome.OK if known else Outcome.UNKNOWN,
        invoked_s=op.begins,
        completed_s=op.ends if known else None,
        **more,
    )


def linearizable(operations: list[Op], value: Any = None) -> bool:
    """What the lesson goes on with while the learner's own is unfinished."""
    if all(op.ends == inf for op in operations):
        return True
    first_end = min(op.ends for op in operations)
    for op in operations:
        if op.begins < first_end and (op.does == "writes" or op.value == value):
            after = op.value if op.does == "writes" else value
            if linearizable([other for other in operations if other is not op], after):
                return True
    return False


# -- judging ---------------------------------------------------------------------------------------------


def judge(linearizable: Checker) -> Finding:
    """Compare a checker with ours, on every small history and on some larger ones. Raises `Unfinished`."""
    if not callable(linearizable):
        return Finding(why=f"linearizable is {linearizable!r}; it has to be a function")
    counts, lots = {True: 0, False: 0}, random.getstate()
    try:
        with time_limit(LIMIT_S):
            for operations in histories():
                known = verdict(operations)
                fault = _fault(linearizable, operations, known)
                if fault and random.getstate() != lots:
                    fault = f"it draws lots, by the module random, and a history has one verdict. {fault}"
                if fault:
                    return Misjudged(why=fault, steps=tuple(map(str, operations)), operations=tuple(operations))
                counts[isinstance(known, Ok)] += 1
    except TimeUp:
        return Finding(why=f"it has not come to an end within {LIMIT_S:g} s: does each call get a shorter list?")
    tried = f"every history of up to {SMALL} reads and writes, and {SOME:,} of up to {LARGE}"
    return Finding(covered=f"{tried}; {counts[True]:,} have an order, {counts[False]:,} have none, and yours knew each")


def _fault(linearizable: Checker, operations: list[Op], known: Verdict) -> str:
    given = list(operations)
    try:
        answer = linearizable(given)
    except NotImplementedError as error:
        raise Unfinished("linearizable") from error
    except Exception as error:
        return why(error)
    if nothing := no_answer("linearizable", answer):
        return nothing
    if given != operations:
        return "it changed the list that it was given; make a new one of what is left"
    if not isinstance(answer, bool):
        return f"it has to return True or False, not {answer!r}"
    if (again := linearizable(list(operations))) != answer:
        return f"it was asked the same twice, and said {answer} and then {again}"
    if isinstance(known, Violation) and answer:
        return f"yours says yes to this history, but no order explains it. {_reason(known)}"
    if isinstance(known, Ok) and not answer:
        return f"yours says no to this history, but there is an order: {_order(known)}"
    return ""


def _reason(violation: Violation) -> str:
    # The checker's sentence, with the names that the lesson uses.
    named = [one for one in violation.operations if f"({one}) fits nowhere" in violation.reason]
    if not named:
        return violation.reason
    return f"{_call(named[-1])} fits nowhere. {violation.reason.partition('fits nowhere. ')[2]}"


def _order(ok: Ok) -> str:
    return ", ".join(map(_call, ok.linearization)) or "nobody saw anything"


def _call(one: Operation) -> str:
    return f"{one.process} writes {one.args[0]}" if one.f == "write" else f"{one.process} reads {one.result}"


# -- histories -------------------------------------------------------------------------------------------


def histories() -> Iterator[list[Op]]:
    """Yield every history of up to `SMALL` operations, the smallest first, and then `SOME` larger ones.

    No two times are alike. Values are 1 and 2, and None at first; of two histories that differ only by which is
    which, one stands for both.
    """
    for size in range(1, SMALL + 1):
        for times in _times(size):
            for calls in product(_CALLS, repeat=size):
                operations = _history(calls, times)
                if operations and _first(operations) in (None, 1):
                    yield operations
    chance = random.Random("histories")
    for _ in range(SOME):
        size = SMALL + 1 + int(chance.random() * (LARGE - SMALL))
        calls = tuple(_CALLS[int(chance.random() * len(_CALLS))] for _ in range(size))
        yield _history(calls, _some_times(calls, chance))


_CALLS: tuple[tuple[str, int | None], ...] = (
    ("reads", None),
    ("writes", 1),
    ("reads", 1),
    ("writes", 2),
    ("reads", 2),
)

_Times = Sequence[tuple[float, float]]


def _history(calls: Sequence[tuple[str, int | None]], times: _Times) -> list[Op]:
    # An empty one if it had a read without an end.
    if any(does == "reads" and ends == inf for (does, _), (_, ends) in zip(calls, times, strict=True)):
        return []
    return [
        Op(who, does, value, begins, ends)
        for who, (does, value), (begins, ends) in zip(CLIENTS, calls, times, strict=False)
    ]


def _first(operations: list[Op]) -> int | None:
    return next((op.value for op in operations if op.value), None)


def _times(size: int) -> Iterator[_Times]:
    # All ways in which beginnings, in a fixed order, and ends can follow one another; an end may be missing.
    def following(
        begun: int, open_: tuple[int, ...], at: int, times: dict[int, tuple[float, float]]
    ) -> Iterator[_Times]:
        if begun == size:
            if not open_:
                yield [times[number] for number in range(size)]
                return
        else:
            yield from following(begun + 1, (*open_, begun), at + 1, times | {begun: (at, inf)})
        for number in open_:
            left = tuple(other for other in open_ if other != number)
            yield from following(begun, left, at + 1, times | {number: (times[number][0], at)})
        if begun == size:  # the rest stays open
            yield [times[number] for number in range(size)]

    yield from following(0, (), 0, {})


def _some_times(calls: Sequence[tuple[str, int | None]], chance: random.Random) -> _Times:
    places = list(range(2 * len(calls)))
    chance.shuffle(places)
    pairs = sorted((min(pair), max(pair)) for pair in zip(places[::2], places[1::2], strict=True))
    return [
        (begins, inf if does == "writes" and chance.random() < 0.2 else ends)
        for (does, _), (begins, ends) in zip(calls, pairs, strict=True)
    ]
