"""Writes, deletions and reads of one register: is there an order that explains what their callers were shown?

What may live here: the judgement of a few operations. It tries every order, so it is for models with a handful of
them; `linearizability` judges long histories. A register holds the numbers of those who wrote, so that a write that
was lost is a number that is missing, and a deletion that was undone one that is back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

UNDONE = "a deleted value never comes back"
LOST = "an acknowledged change is never lost"
TWICE = "no change is applied twice"
ONE_ORDER = "acknowledged changes fit one order"

Kind = Literal["write", "delete", "read"]
Value = tuple[int, ...]
"""The numbers of the changes that wrote it since the last deletion, oldest first; () is nothing."""


class Operation(NamedTuple):
    """A change as its client knows it: `shown` is None until it is acknowledged; `before` had ended when it began."""

    number: int
    kind: Kind
    shown: Value | None
    before: frozenset[int]

    def __str__(self) -> str:
        return f"change {self.number} (a {self.kind})"


def judge(operations: Sequence[Operation]) -> Iterator[tuple[str, str]]:
    """Yield each property that fails, with a sentence."""
    ended = [operation for operation in operations if operation.shown is not None]
    deletions = [operation for operation in operations if operation.kind == "delete"]
    for operation in ended:
        shown = operation.shown or ()
        if len(set(shown)) < len(shown):
            yield TWICE, f"{operation} was shown {list(shown)}"
        for deletion in deletions:
            back = _seen(ended, deletion.before) & {*shown}
            if deletion.number in operation.before and back:
                yield UNDONE, f"{deletion} had deleted {_told(back)}, and then {operation} was shown {list(shown)}"
        kept = {number for number in _seen(ended, operation.before) if not _deleted(number, operation, operations)}
        if operation.kind != "delete" and (lost := kept - {*shown}):
            yield (
                LOST,
                f"{_told(lost)} was acknowledged, and then {operation} was shown {list(shown)}",
            )
    if not _fits(operations):
        shown_all = [f"{operation} was shown {list(operation.shown or ())}" for operation in ended]
        yield ONE_ORDER, f"no order explains that {' and that '.join(shown_all)}"


def _seen(ended: Iterable[Operation], numbers: frozenset[int]) -> set[int]:
    # Whatever had been shown to anybody by the end of these operations.
    return {number for operation in ended if operation.number in numbers for number in operation.shown or ()}


def _deleted(number: int, reader: Operation, operations: Sequence[Operation]) -> bool:
    # May a deletion have come after that write?
    write = next(operation for operation in operations if operation.number == number)
    return any(
        deletion.kind == "delete" and deletion.number not in write.before and reader.number not in deletion.before
        for deletion in operations
    )


def _fits(operations: Sequence[Operation]) -> bool:
    # Is there an order that keeps to real time? An operation that was not acknowledged may be left out.
    due = {operation.number for operation in operations if operation.shown is not None}

    def search(done: frozenset[int], value: Value) -> bool:
        if due <= done:
            return True
        for operation in operations:
            number = operation.number
            if number in done or not operation.before & due <= done:
                continue
            after = (*value, number) if operation.kind == "write" else () if operation.kind == "delete" else value
            if operation.shown in (None, after) and search(done | {number}, after):
                return True
        return False

    return search(frozenset(), ())


def _told(numbers: Iterable[int]) -> str:
    return " and ".join(f"change {number}" for number in sorted(numbers))
