"""An oracle for linearizability, too plain to be wrong, histories to put to it, and what a verdict has to show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from gryadka.checking.history import UNTOLD, Operation, Outcome, Refusal
from gryadka.checking.linearizability import (
    MODELS,
    Model,
    Ok,
    Verdict,
    Violation,
    check,
)

REGISTER, CAS, COUNTER, KEY_VALUE, VERSIONED = MODELS.values()


def did(f: str, *args: Any, at: tuple[float, float | None], is_: Any = UNTOLD, key: str = "") -> Operation:
    """Return an operation that began and ended `at` these seconds (no end: unknown), with this result."""
    outcome = Outcome.UNKNOWN if at[1] is None else Outcome.OK
    return Operation(
        process=1, f=f, args=args, key=key, outcome=outcome, result=is_, invoked_s=at[0], completed_s=at[1]
    )


def failed(f: str, *args: Any, at: tuple[float, float]) -> Operation:
    return Operation(process=1, f=f, args=args, outcome=Outcome.FAILED, invoked_s=at[0], completed_s=at[1])


def versioned(ver: int, val: Any) -> dict[str, Any]:
    return {"ver": ver, "val": val}


def assert_fails(operations: Iterable[Operation], model: Model) -> Violation:
    verdict = check(operations, model)
    assert isinstance(verdict, Violation), verdict
    return verdict


def assert_holds(operations: Sequence[Operation], model: Model) -> Ok:
    verdict = check(operations, model)
    assert isinstance(verdict, Ok), verdict
    assert_explains(verdict, operations, model)
    return verdict


def assert_explains(verdict: Ok, operations: Iterable[Operation], model: Model) -> None:
    """The order gives every result, each operation has its instant, and nothing answered is left out."""
    values: dict[str, Any] = {}
    for operation, point_s in zip(verdict.linearization, verdict.points_s, strict=True):
        value = values.get(operation.key, START[model.name])
        values[operation.key] = sequential(model.name, value, operation)
        assert values[operation.key] is not WRONG
        assert operation.invoked_s <= point_s
        assert operation.completed_s is None or point_s <= operation.completed_s
    assert list(verdict.points_s) == sorted(verdict.points_s)
    for operation in operations:
        times = sum(operation is one for one in verdict.linearization)
        allowed = {Outcome.OK: (1,), Outcome.FAILED: (0,), Outcome.UNKNOWN: (0, 1)}[operation.outcome]
        assert times in allowed, operation


# --- an oracle: every order that keeps to real time, on a register written in plain Python

WRONG = object()
START: dict[str, Any] = {
    "register": None,
    "cas-register": None,
    "counter": 0,
    "key-value": "",
    "versioned-register": versioned(0, None),
}


def answered(model: str, value: Any, f: str, args: tuple[Any, ...]) -> tuple[Any, Any]:
    """Return the value after the operation, and what a single client would be told."""
    if f in ("read", "get"):
        return value, value
    if model == "versioned-register":
        if f == "cas" and args[0] != value["ver"]:
            return value, Refusal(value)
        value = versioned(value["ver"] + 1, args[-1])
        return value, value
    if f == "cas" and args[0] != value:
        return value, Refusal(value)
    if f == "add" or f == "append":
        return value + args[0], value + args[0]
    return args[-1], UNTOLD


def sequential(model: str, value: Any, operation: Operation) -> Any:
    """Return the value after the operation, or `WRONG` if its result cannot be."""
    after, told = answered(model, value, operation.f, operation.args)
    result = operation.result
    if isinstance(told, Refusal) != isinstance(result, Refusal):
        if operation.outcome is Outcome.OK or isinstance(result, Refusal):
            return WRONG
        return after
    if isinstance(told, Refusal):
        told, result = told.value, result.value
    empty = START[model] if operation.f != "write" else None
    fits = told is UNTOLD or result is UNTOLD or told == result or (result is None and told == empty)
    return after if fits else WRONG


def oracle(operations: Sequence[Operation], model: str) -> bool:
    """Try every order of the answered operations and of any of the unknown ones, with no cleverness at all."""

    def goes_on(value: Any, left: list[Operation]) -> bool:
        due_s = min((one.completed_s for one in left if one.completed_s is not None), default=None)
        if due_s is None:
            return True
        for number, one in enumerate(left):
            if one.invoked_s <= due_s:
                after = sequential(model, value, one)
                if after is not WRONG and goes_on(after, left[:number] + left[number + 1 :]):
                    return True
        return False

    return goes_on(START[model], [one for one in operations if one.outcome is not Outcome.FAILED])


ARGUMENTS: dict[str, dict[str, st.SearchStrategy[tuple[Any, ...]]]] = {
    "register": {"read": st.just(()), "write": st.tuples(st.integers(0, 2))},
    "cas-register": {
        "read": st.just(()),
        "write": st.tuples(st.integers(0, 2)),
        "cas": st.tuples(st.integers(0, 2), st.integers(0, 2)),
    },
    "counter": {"read": st.just(()), "add": st.tuples(st.integers(1, 2))},
    "key-value": {"get": st.just(()), "put": st.tuples(st.just("a")), "append": st.tuples(st.sampled_from("ab"))},
    "versioned-register": {
        "read": st.just(()),
        "write": st.tuples(st.integers(0, 1)),
        "cas": st.tuples(st.integers(0, 3), st.integers(0, 1)),
    },
}


@st.composite
def runs(draw: st.DrawFn, model: str, most: int) -> list[Operation]:
    """Draw what clients of a real register see: each operation has its instant, if it has one at all."""
    calls = []
    for _ in range(draw(st.integers(1, most))):
        f = draw(st.sampled_from(sorted(ARGUMENTS[model])))
        begins = draw(st.integers(0, 12))
        unknown = draw(st.integers(0, 3)) == 0
        instant = begins + draw(st.integers(0, 9 if unknown else 3))
        ends = None if unknown else instant + draw(st.integers(0, 3))
        calls.append((instant, f, draw(ARGUMENTS[model][f]), begins, ends))
    value, seen = START[model], []
    tells = draw(st.booleans()) or model == "versioned-register"
    for _, f, args, begins, ends in sorted(calls, key=lambda call: call[0]):
        if ends is None and draw(st.booleans()):
            told = UNTOLD  # it never took effect
        else:
            value, told = answered(model, value, f, args)
        if ends is None or not (tells or f in ("read", "get") or isinstance(told, Refusal)):
            told = UNTOLD
        seen.append(did(f, *args, at=(begins, ends), is_=told))
    return draw(st.permutations(seen))


@st.composite
def histories(draw: st.DrawFn, model: str, most: int = 7) -> list[Operation]:
    """Draw a run, and change one operation of it: its result, or its time."""
    operations = draw(runs(model, most))
    number = draw(st.integers(0, len(operations) - 1))
    one, other = operations[number], draw(st.sampled_from(operations))
    if draw(st.booleans()):
        begins = draw(st.integers(0, 12))
        ends = None if one.completed_s is None else begins + draw(st.integers(0, 3))
        operations[number] = replace(one, invoked_s=begins, completed_s=ends)
    elif one.outcome is other.outcome is Outcome.OK and not (model != "key-value" and one.f != other.f):
        operations[number] = replace(one, result=other.result)
    return operations


# --- the smallest part


def assert_is_smallest(verdict: Verdict, operations: Sequence[Operation], model: str) -> None:
    """It is sure, it is a part, and there is no way out: whatever the rest did, and whatever was there before."""
    assert isinstance(verdict, Violation) and verdict.smallest and verdict.operations
    kept = [one for one in operations if is_among(one, verdict.operations)]
    assert len(kept) == len(verdict.operations)
    rest = [replace(one, invoked_s=-1.0) for one in operations if not is_among(one, kept)]
    start = min(one.invoked_s for one in kept)
    beside = [one for one in rest if one.completed_s is None or one.completed_s >= start]
    assert not can_be(kept, rest, model, START[model]) or not any(
        can_be(kept, beside, model, value) for value in held(operations, model)
    )


def is_among(operation: Operation, operations: Iterable[Operation]) -> bool:
    return any(operation is one for one in operations)


def held(operations: Sequence[Operation], model: str) -> list[Any]:
    """Return every value that the register can hold on the way, in any order that keeps to real time."""
    found: list[Any] = []

    def goes_on(value: Any, left: list[Operation]) -> None:
        found.extend([] if value in found else [value])
        due_s = min((one.completed_s for one in left if one.completed_s is not None), default=float("inf"))
        for number, one in enumerate(left):
            after = sequential(model, value, one) if one.invoked_s <= due_s else WRONG
            if after is not WRONG:
                goes_on(after, left[:number] + left[number + 1 :])

    goes_on(START[model], list(operations))
    return found


def can_be(kept: Sequence[Operation], free: Sequence[Operation], model: str, start: Any) -> bool:
    """Like the oracle, but the register holds `start` at first, and what is `free` may also be left out."""

    def goes_on(value: Any, left: list[Operation], others: list[Operation]) -> bool:
        due_s = min((one.completed_s for one in left if one.completed_s is not None), default=None)
        if due_s is None:
            return True
        for here, number, one in [(0, *pair) for pair in enumerate(left)] + [(1, *pair) for pair in enumerate(others)]:
            after = sequential(model, value, one) if one.invoked_s <= due_s else WRONG
            if after is not WRONG:
                rest = [left, others]
                rest[here] = rest[here][:number] + rest[here][number + 1 :]
                if goes_on(after, *rest):
                    return True
        return False

    return goes_on(start, list(kept), list(free))


def first_impossible_end(operations: Sequence[Operation], model: str) -> float:
    """Return when the history had become impossible: what ends later is still open then."""
    for end in sorted(one.completed_s for one in operations if one.completed_s is not None):
        begun = [one for one in operations if one.invoked_s <= end]
        open_ = [one for one in begun if one.completed_s is None or one.completed_s > end]
        if not can_be([one for one in begun if not is_among(one, open_)], open_, model, START[model]):
            return end
    raise AssertionError("it is possible")
