"""Is a history of appends linearizable? Decided without a search, however many outcomes are unknown.

What may live here: that check. No network, no chance.

The theory in a few lines. Clients append marks to a text, and no two marks are alike. So the longest text that
anybody saw tells which appends took effect, and in which order; every other text has to be a beginning of it. An
append of unknown outcome took effect exactly if its mark is there (if it is not, it may still take effect later,
and nobody can object). What is left to see is whether that order keeps to real time: nothing may stand before
something that had ended when it began.

    >>> first = Operation(process=1, f="append", args=("a;",), invoked_s=0)     # of unknown outcome
    >>> last = Operation(process=2, f="read", outcome=Outcome.OK, result="b;", invoked_s=2, completed_s=3)
    >>> print(check_appends([first, last]))
    violation: key '': nobody appended "b;".
      2 s to 3 s: process 2: read() = "b;"
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import inf

from gryadka.checking.history import Operation, Outcome
from gryadka.checking.linearizability import MODELS, Budget, Ok, Verdict, Violation, check

END_OF_MARK = ";"


def check_appends(operations: Iterable[Operation]) -> Verdict:
    """Judge one key's history of `read()` and `append(mark)`, where each mark ends with a semicolon, no two are
    alike, and every result is the whole text ("" or None if there is none)."""
    operations = list(operations)
    told = [operation for operation in operations if operation.outcome is Outcome.OK]
    if not told:
        return Ok((), ())
    longest = max(told, key=lambda operation: len(_text(operation)))
    marks = [mark + END_OF_MARK for mark in _text(longest).split(END_OF_MARK)[:-1]]
    places = {mark: number for number, mark in enumerate(marks, start=1)}
    makers = {operation.args[0]: operation for operation in operations if operation.f == "append"}

    def violation(reason: str, *evidence: Operation) -> Violation:
        return Violation(operations[0].key, evidence, f"key {operations[0].key!r}: {reason}")

    if len(places) < len(marks):
        twice = next(mark for number, mark in enumerate(marks) if mark in marks[:number])
        return violation(f"{json.dumps(twice)} was applied twice.", *_known(makers.get(twice)), longest)
    for mark in marks:
        if mark not in makers:
            return violation(f"nobody appended {json.dumps(mark)}.", longest)
        if makers[mark].outcome is Outcome.FAILED:
            return violation("it ended as not applied, and yet it was.", makers[mark], longest)
    for operation in told:
        text = _text(operation)
        if not _text(longest).startswith(text):
            return violation("neither of two texts continues the other.", operation, longest)
        if operation.f == "append" and places.get(operation.args[0]) != text.count(END_OF_MARK):
            return violation("the text does not end with what was appended.", operation)
    unknown = [makers[mark] for mark in marks if makers[mark].outcome is Outcome.UNKNOWN]
    return _in_time([*told, *unknown], places)


def check_texts(operations: Iterable[Operation], budget: Budget) -> Verdict:
    """Judge one key's history of `get()`, `append(mark)` and `put("")`, which deletes; results are as above.

    Here a search is needed. An append of unknown outcome that nobody ever saw is left out of it: if it took effect at
    all, a deletion followed before anybody looked.
    """
    operations = list(operations)
    seen = "".join(_text(operation) for operation in operations).split(END_OF_MARK)
    marks = {mark + END_OF_MARK for mark in seen}
    unseen = [o for o in operations if o.outcome is Outcome.UNKNOWN and o.f == "append" and o.args[0] not in marks]
    return check([operation for operation in operations if operation not in unseen], MODELS["key-value"], budget)


def _in_time(operations: list[Operation], places: dict[str, int]) -> Verdict:
    def place(operation: Operation) -> tuple[int, bool, float]:
        if operation.f == "append":
            return places[operation.args[0]], False, operation.invoked_s
        return _text(operation).count(END_OF_MARK), True, operation.invoked_s

    latest: Operation | None = None
    now_s, points = -inf, []
    order = sorted(operations, key=place)
    for operation in order:
        if latest and operation.completed_s is not None and operation.completed_s < latest.invoked_s:
            reason = f"key {operation.key!r}: the later of these two saw or made the shorter text."
            return Violation(operation.key, (latest, operation), reason)
        if latest is None or operation.invoked_s > latest.invoked_s:
            latest = operation
        now_s = max(now_s, operation.invoked_s)
        points.append(now_s)
    return Ok(tuple(order), tuple(points))


def _text(operation: Operation) -> str:
    return operation.result if isinstance(operation.result, str) else ""


def _known(operation: Operation | None) -> tuple[Operation, ...]:
    return () if operation is None else (operation,)
