"""The checker says what is true: each convention has its counterexample, and a plain oracle agrees with it."""

from __future__ import annotations

import doctest
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.linearizability import Shape, as_register, generate
from gryadka.checking import linearizability
from gryadka.checking import sequential as models
from gryadka.checking.history import UNTOLD, History, Operation, Outcome, Refusal, dump
from gryadka.checking.linearizability import (
    MODELS,
    Budget,
    Model,
    Ok,
    Unknown,
    Verdict,
    Violation,
    check,
    check_history_file,
    check_versioned,
)
from gryadka.checking.search import Purse, Search, Spent, as_item
from tests.examples import examples

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


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@examples(250)
@given(data=st.data())
def test_what_a_real_register_did_is_linearizable(model: str, data: st.DataObject) -> None:
    operations = data.draw(runs(model, 14))
    assert_holds(operations, MODELS[model])


@pytest.mark.slow
@examples(250)
@given(runs("versioned-register", 14))
def test_what_a_real_register_did_is_linearizable_by_its_versions(operations: list[Operation]) -> None:
    verdict = check_versioned(operations)
    assert isinstance(verdict, Ok), verdict
    assert_explains(verdict, operations, VERSIONED)


@pytest.mark.parametrize("model", MODELS)
@examples(250)
@given(data=st.data())
def test_the_search_agrees_with_the_oracle(model: str, data: st.DataObject) -> None:
    operations = data.draw(histories(model))
    verdict = check(operations, MODELS[model])
    assert isinstance(verdict, Ok if oracle(operations, model) else Violation)
    if isinstance(verdict, Ok):
        assert_explains(verdict, operations, MODELS[model])
    else:
        end = first_impossible_end(operations, model)
        assert end in [one.completed_s for one in verdict.operations]
        assert_is_smallest(verdict, [one for one in operations if one.invoked_s <= end], model)


@examples(250)
@given(histories("versioned-register"))
def test_the_short_cut_agrees_with_the_oracle(operations: list[Operation]) -> None:
    verdict = check_versioned(operations)
    assert isinstance(verdict, Ok if oracle(operations, "versioned-register") else Violation)
    if isinstance(verdict, Ok):
        assert_explains(verdict, operations, VERSIONED)
    else:
        end = max(one.completed_s for one in verdict.operations if one.completed_s is not None)
        assert_is_smallest(verdict, [one for one in operations if one.invoked_s <= end], "versioned-register")


# --- the rules that keep the search small lose no answer: histories that a hastier rule would judge wrongly

RULES: dict[str, tuple[Model, list[Operation]]] = {
    "1: a write of the value that is there already is no read": (
        KEY_VALUE,
        [
            did("append", "a", at=(3, 7), is_="aa"),
            did("append", "a", at=(4, 4), is_="a"),
            did("put", "a", at=(6, 7)),
            did("get", at=(8, 10), is_="a"),
        ],
    ),
    "2: a read has noticed, so what comes after it need not": (
        REGISTER,
        [
            did("write", 3, at=(1, None)),
            did("read", at=(6, 8), is_=3),
            did("write", 1, at=(7, 12)),
            did("read", at=(10, 12), is_=1),
        ],
    ),
    "3: the second of two alike is taken after the first": (
        COUNTER,
        [
            did("add", 2, at=(1, None)),
            did("read", at=(3, 5), is_=2),
            did("add", 2, at=(5, 9), is_=6),
            did("add", 2, at=(6, None)),
        ],
    ),
    "4: having used up other operations is not having used up more": (
        KEY_VALUE,
        [
            did("append", "a", at=(0, None)),
            did("put", "a", at=(2, None)),
            did("append", "b", at=(11, 15), is_="aab"),
        ],
    ),
    "4: having used up more is worse, not better": (
        KEY_VALUE,
        [
            did("put", "a", at=(0, 1)),
            did("append", "b", at=(3, 4), is_="ab"),
            did("put", "a", at=(4, 4)),
            did("append", "b", at=(6, 9), is_="ab"),
            did("put", "a", at=(9, None)),
            did("get", at=(10, 11), is_="a"),
        ],
    ),
    "5: a value may be left when it can be brought back": (
        CAS,
        [
            did("write", 2, at=(2, 5)),
            did("cas", 2, 1, at=(3, 6)),
            did("cas", 1, 2, at=(5, 8)),
            did("cas", 2, 0, at=(11, 13)),
        ],
    ),
    "5: what was put back can bring a value again": (
        CAS,
        [
            did("write", 0, at=(3, 9)),
            did("write", 2, at=(8, 9)),
            did("cas", 2, 0, at=(10, 10)),
            did("read", at=(11, 15), is_=0),
        ],
    ),
    "5: an unknown operation may wait for the value of another": (
        CAS,
        [did("write", 1, at=(1, None)), did("read", at=(8, 10), is_=0), did("cas", 1, 0, at=(8, None))],
    ),
    "5: a refusal that tells nothing may wait for any value": (
        CAS,
        [
            did("write", 1, at=(0, 1)),
            did("write", 2, at=(0, None)),
            did("cas", 1, 3, at=(2, 3), is_=Refusal()),
            did("write", 4, at=(4, 5)),
        ],
    ),
    "6: a value that somebody waits for is not overwritten": (
        CAS,
        [did("write", 3, at=(7, 10)), did("cas", 3, 3, at=(9, 12)), did("write", 1, at=(11, 15))],
    ),
    "6: a value that somebody waits for is not written too soon": (
        REGISTER,
        [did("read", at=(8, 12), is_=1), did("write", 1, at=(9, 11)), did("write", 0, at=(11, 15))],
    ),
    "6: an unknown operation may wait for a value as well": (
        CAS,
        [
            did("write", 1, at=(0, 9)),
            did("write", 2, at=(0, 9)),
            did("cas", 1, 5, at=(0, None)),
            did("cas", 5, 6, at=(0, 9)),
            did("read", at=(0, 9), is_=6),
        ],
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_no_rule_loses_an_answer(rule: str) -> None:
    model, operations = RULES[rule]
    assert oracle(operations, model.name)
    for some in (operations, operations[::-1]):
        assert_holds(some, model)


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


# --- conventions, each with the history that would be judged wrongly without it

CONVENTIONS: dict[str, tuple[Model, list[Operation], list[Operation]]] = {
    "an operation that ended is seen by all that begin later": (
        REGISTER,
        [did("write", 1, at=(0, 1)), did("write", 2, at=(2, 3)), did("read", at=(4, 5), is_=2)],
        [did("write", 1, at=(0, 1)), did("write", 2, at=(2, 3)), did("read", at=(4, 5), is_=1)],
    ),
    "operations that overlap may take effect in any order": (
        REGISTER,
        [
            did("write", 1, at=(0, 3)),
            did("read", at=(1, 2), is_=None),
            did("write", 2, at=(0, 3)),
            did("read", at=(4, 5), is_=1),
        ],
        [did("write", 1, at=(0, 3)), did("read", at=(4, 5), is_=None), did("write", 2, at=(0, 3))],
    ),
    "equal times overlap": (
        REGISTER,
        [did("write", 1, at=(0, 1)), did("read", at=(1, 2), is_=None)],
        [did("write", 1, at=(0, 1)), did("read", at=(1.001, 2), is_=None)],
    ),
    "a value that was seen is not unseen": (
        REGISTER,
        [did("write", 1, at=(0, 9)), did("read", at=(1, 2), is_=None), did("read", at=(3, 4), is_=1)],
        [did("write", 1, at=(0, 9)), did("read", at=(1, 2), is_=1), did("read", at=(3, 4), is_=None)],
    ),
    "an unknown operation may take effect at any later time": (
        REGISTER,
        [
            did("write", 1, at=(0, None)),
            did("write", 2, at=(1, 2)),
            did("read", at=(3, 4), is_=2),
            did("read", at=(5, 6), is_=1),
        ],
        [
            did("write", 1, at=(0, 1)),
            did("write", 2, at=(2, 3)),
            did("read", at=(4, 5), is_=2),
            did("read", at=(6, 7), is_=1),
        ],
    ),
    "an unknown operation may never take effect": (
        COUNTER,
        [did("add", 1, at=(0, None)), did("read", at=(1, 2), is_=0)],
        [did("add", 1, at=(0, 1)), did("read", at=(2, 3), is_=0)],
    ),
    "an unknown operation takes effect once at most": (
        REGISTER,
        [did("write", 1, at=(0, None)), did("write", 2, at=(1, 2)), did("read", at=(3, 4), is_=1)],
        [
            did("write", 1, at=(0, None)),
            did("read", at=(1, 2), is_=1),
            did("write", 2, at=(3, 4)),
            did("read", at=(5, 6), is_=1),
        ],
    ),
    "an unknown operation does not take effect before it began": (
        REGISTER,
        [did("read", at=(0, 2), is_=1), did("write", 1, at=(2, None))],
        [did("read", at=(0, 2), is_=1), did("write", 1, at=(3, None))],
    ),
    "an unknown read says nothing": (
        REGISTER,
        [did("write", 1, at=(0, 1)), did("read", at=(2, None)), did("read", at=(3, 4), is_=1)],
        [did("write", 1, at=(0, 1)), did("read", at=(2, 3), is_=2), did("read", at=(3, 4), is_=1)],
    ),
    "an unknown cas may have been refused": (
        CAS,
        [did("write", 1, at=(0, 1)), did("cas", 5, 6, at=(2, None)), did("read", at=(3, 4), is_=1)],
        [did("write", 1, at=(0, 1)), did("cas", 5, 6, at=(2, None)), did("read", at=(3, 4), is_=6)],
    ),
    "a failed operation never takes effect": (
        REGISTER,
        [failed("write", 1, at=(0, 1)), did("read", at=(2, 3), is_=None)],
        [failed("write", 1, at=(0, 1)), did("read", at=(2, 3), is_=1)],
    ),
    "a refusal is as good as a read": (
        CAS,
        [did("write", 1, at=(0, 1)), did("cas", 5, 6, at=(2, 3), is_=Refusal(1))],
        [did("write", 1, at=(0, 1)), did("cas", 5, 6, at=(2, 3), is_=Refusal(None))],
    ),
    "a refusal needs a reason": (
        CAS,
        [did("write", 1, at=(0, 1)), did("cas", 0, 6, at=(2, 3), is_=Refusal())],
        [did("write", 1, at=(0, 1)), did("cas", 1, 6, at=(2, 3), is_=Refusal())],
    ),
    "a cas that was made found its value": (
        CAS,
        [did("cas", None, 1, at=(0, 1)), did("cas", 1, 2, at=(0, 1))],
        [did("cas", None, 1, at=(0, 1)), did("cas", None, 2, at=(0, 1))],
    ),
    "writes that nobody reads still come in order": (
        CAS,
        [did("write", 1, at=(0, 3)), did("write", 2, at=(0, 3)), did("cas", 1, 3, at=(4, 5))],
        [did("write", 1, at=(0, 1)), did("write", 2, at=(2, 3)), did("cas", 1, 3, at=(4, 5))],
    ),
    "true is not 1": (
        REGISTER,
        [did("write", [True], at=(0, 1)), did("read", at=(2, 3), is_=[True])],
        [did("write", True, at=(0, 1)), did("read", at=(2, 3), is_=1)],
    ),
    "objects are equal whatever the order of their names": (
        REGISTER,
        [did("write", {"a": 1, "b": 2}, at=(0, 1)), did("read", at=(2, 3), is_={"b": 2, "a": 1})],
        [did("write", {"a": 1, "b": 2}, at=(0, 1)), did("read", at=(2, 3), is_={"b": 1, "a": 2})],
    ),
    "what was never written reads as null": (
        KEY_VALUE,
        [did("get", at=(0, 1), is_=None), did("append", "a", at=(2, 3)), did("get", at=(4, 5), is_="a")],
        [did("append", "a", at=(2, 3)), did("get", at=(4, 5), is_=None)],
    ),
    "an add that was told its total had that total": (
        COUNTER,
        [did("add", 1, at=(0, 3), is_=3), did("add", 2, at=(0, 3), is_=2), did("read", at=(4, 5), is_=3)],
        [did("add", 1, at=(0, 3), is_=1), did("add", 1, at=(0, 3), is_=1)],
    ),
    "keys are apart from one another": (
        REGISTER,
        [did("write", 1, at=(0, 1), key="a"), did("read", at=(2, 3), is_=None, key="b")],
        [did("write", 1, at=(0, 1), key="a"), did("read", at=(2, 3), is_=None, key="a")],
    ),
    "versions go up by one": (
        VERSIONED,
        [did("write", 7, at=(0, 1), is_=versioned(1, 7)), did("cas", 1, 8, at=(2, 3), is_=versioned(2, 8))],
        [did("write", 7, at=(0, 1), is_=versioned(1, 7)), did("cas", 1, 8, at=(2, 3), is_=versioned(3, 8))],
    ),
    "version 0 is read in two ways": (
        VERSIONED,
        [did("read", at=(0, 1), is_=None), did("read", at=(0, 1), is_=versioned(0, None)), did("cas", 0, 1, at=(2, 3))],
        [did("read", at=(0, 1), is_=versioned(0, 0))],
    ),
}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_convention(convention: str) -> None:
    model, good, bad = CONVENTIONS[convention]
    assert_holds(good, model)
    assert_fails(bad, model)
    assert oracle(bad, model.name) is False or convention == "true is not 1"
    if model is VERSIONED:
        assert isinstance(check_versioned(good), Ok)
        assert isinstance(check_versioned(bad), Violation)


def test_nothing_at_all_is_linearizable() -> None:
    assert check([], REGISTER) == Ok((), ()) == check_versioned([])


@pytest.mark.parametrize("module", [linearizability, models])
def test_the_example_at_the_top_is_true(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.failed == 0 and result.attempted > 0


# --- what a verdict carries


def test_the_order_covers_all_keys_and_each_operation_has_its_instant() -> None:
    a = did("write", 1, at=(0, 9), key="a")
    b = did("write", 1, at=(1, 8), key="b")
    read_b = did("read", at=(2, 3), is_=1, key="b")
    read_a = did("read", at=(4, 5), is_=None, key="a")
    verdict = assert_holds([a, b, read_b, read_a], REGISTER)
    assert verdict.linearization == (b, read_b, read_a, a)
    assert verdict.points_s == (1, 2, 4, 4)


def test_a_stale_read_among_many_operations_is_shown_with_the_write_that_it_missed() -> None:
    many = []
    for n in range(200):
        many += [did("write", n, at=(10 * n, 10 * n + 5)), did("read", at=(10 * n + 6, 10 * n + 8), is_=n)]
    missed = did("write", -1, at=(1500, 1501.5))
    stale = did("read", at=(1502, 1503), is_=149)
    violation = assert_fails([*many, missed, stale], REGISTER)
    assert violation.operations in ((missed, stale), (many[300], stale))
    assert violation.smallest
    assert (
        "(process 1: read() = 149) fits nowhere. In each order of these 2 that keeps to real time" in violation.reason
    )


def test_a_read_of_what_nobody_wrote_stands_alone() -> None:
    writes = [did("write", n, at=(n, n + 3)) for n in range(50)]
    read = did("read", at=(20, 21), is_="surprise")
    violation = assert_fails([*writes, read], REGISTER)
    assert violation.operations == (read,)
    assert "fits nowhere. No other operation can have left a value that it fits." in violation.reason


def test_a_lost_update_is_shown_as_the_two_that_lost_it() -> None:
    twice = [did("cas", 3, 10, at=(30, 35)), did("cas", 3, 11, at=(31, 36))]
    violation = assert_fails([*(did("write", n, at=(n, n + 0.5)) for n in range(4)), *twice], CAS)
    assert set(map(str, violation.operations)) == set(map(str, twice))


def test_a_change_that_was_applied_twice_is_shown_by_who_saw_it() -> None:
    operations = [did("add", 1, at=(n, n + 0.5), is_=n + 1) for n in range(9)]
    violation = assert_fails([*operations, did("read", at=(20, 21), is_=10)], COUNTER)
    assert violation.operations == (did("read", at=(20, 21), is_=10),)


def test_a_total_that_was_told_twice_is_shown_as_both() -> None:
    operations = [did("add", 1, at=(n, n + 0.5), is_=n + 1) for n in range(9)]
    again = did("add", 1, at=(20, 21), is_=9)
    violation = assert_fails([*operations, again], COUNTER)
    assert violation.operations == (operations[-1], again)
    assert violation.reason.endswith("it meets 9.")


def test_the_values_that_it_meets_are_named_but_not_without_end() -> None:
    writes = [did("write", n, at=(0, 9)) for n in range(6)]
    barrier = did("read", at=(10, 11), is_=0)
    violation = assert_fails([*writes, barrier, did("read", at=(12, 13), is_=1)], REGISTER)
    assert violation.operations == (barrier, did("read", at=(12, 13), is_=1))
    assert violation.reason.endswith("it meets 0.")


def test_the_first_bad_key_ends_the_check_and_is_named() -> None:
    good = [did("write", 1, at=(0, 1), key="good")]
    bad = [did("read", at=(0, 1), is_=5, key="bad")]
    assert assert_fails(good + bad, REGISTER).key == "bad"


def test_without_shrinking_all_operations_of_the_key_are_named() -> None:
    operations = [did("write", 1, at=(0, 1)), did("read", at=(2, 3), is_=1), did("read", at=(4, 5), is_=2)]
    verdict = check([*operations, did("write", 1, at=(0, 1), key="other")], REGISTER, smallest=False)
    assert verdict == Violation("", tuple(operations), "key '': no order explains it.", smallest=False)


def test_verdicts_are_told_in_words() -> None:
    assert str(assert_holds([did("write", 1, at=(0, 1))], REGISTER)) == "ok: linearizable, 1 operations"
    assert str(check(hard(), KEY_VALUE, Budget(max_steps=10))).startswith("unknown: the budget was spent")
    told = str(assert_fails([did("write", 1, at=(0, None)), did("read", at=(2, 3), is_=5)], REGISTER))
    assert told.splitlines()[1:] == ["  2 s to 3 s: process 1: read() = 5"]


# --- budgets


def hard(key: str = "") -> list[Operation]:
    """Return a history whose check takes long: many appends at once, then a text that they cannot make."""
    letters = "abcdefghijkl"
    appends = [did("append", letter, at=(0, 9), key=key) for letter in letters]
    return [*appends, did("get", at=(10, 11), is_=letters + "x", key=key)]


@pytest.mark.parametrize("budget", [Budget(max_steps=5000), Budget(max_steps=None, max_seconds=0.05)])
def test_a_spent_budget_is_unknown_and_never_ok(budget: Budget) -> None:
    verdict = check(hard(), KEY_VALUE, budget)
    assert isinstance(verdict, Unknown) and "1 of the keys undecided" in verdict.reason


def test_the_clock_is_looked_at_during_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: float(next(seconds)))
    purse = Purse(Budget(max_steps=100_000, max_seconds=3.0))
    search = Search([as_item(operation, KEY_VALUE) for operation in hard()], KEY_VALUE, [""])
    with pytest.raises(Spent):
        search.run(purse, 100_000)
    assert purse.steps > 99_000, "it stopped soon after the third second"


def test_a_hard_key_does_not_hide_a_plain_fault_in_another() -> None:
    fault = did("get", at=(0, 1), is_="x", key="plain")
    verdict = check([*hard("hard"), fault], KEY_VALUE, Budget(max_steps=20_000))
    assert isinstance(verdict, Violation) and verdict.operations == (fault,)


def test_a_key_that_needs_more_than_the_first_steps_is_still_decided() -> None:
    appends = [did("append", letter, at=(0, 9)) for letter in "abcdef"]
    verdict = check([*appends, did("get", at=(10, 11), is_="fedcbx")], KEY_VALUE, smallest=False)
    assert isinstance(verdict, Violation)


SHAPES = [
    Shape(2000, 5),
    Shape(2000, 15, lost=0.2),
    pytest.param(Shape(3000, 10, keys=5, lost=0.05), marks=pytest.mark.slow),
]


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_long_histories_are_decided_within_the_usual_budget(shape: Shape, stale: bool) -> None:
    history = generate(shape, seed=7, stale=stale)
    plain = as_register(history)
    for verdict, model, operations in (
        (check(plain, REGISTER), REGISTER, plain),
        (check_versioned(history), VERSIONED, history),
    ):
        assert isinstance(verdict, Violation if stale else Ok)
        if isinstance(verdict, Ok):
            assert_explains(verdict, operations, model)
        else:
            assert verdict.smallest and len(verdict.operations) == 2


def test_a_long_cas_history_with_many_lost_is_decided() -> None:
    operations = [did("write", 0, at=(0, 1))]
    for n in range(500):
        operations.append(did("cas", n, n + 1, at=(2 * n + 2, None if n % 3 == 0 else 2 * n + 3)))
        operations.append(did("cas", -n, n, at=(2 * n + 2, None)))
    operations.append(did("read", at=(2000, 2001), is_=500))
    assert_holds(operations, CAS)


# --- the short cut for versioned registers


@pytest.mark.parametrize(
    ("operations", "words", "shown"),
    [
        (
            [did("write", 1, at=(0, 1), is_=versioned(1, 1)), did("write", 2, at=(0, 1), is_=versioned(1, 2))],
            "two operations made version 1",
            2,
        ),
        ([did("cas", 4, 1, at=(0, 1), is_=versioned(1, 1))], "a cas from version 4 made version 1", 1),
        ([did("write", 1, at=(0, 1), is_=versioned(1, 2))], "version 1 does not hold what its maker wrote", 1),
        ([did("cas", 0, 1, at=(0, 1), is_=Refusal(None))], "a cas from version 0 was refused at version 0", 1),
        ([did("write", 1, at=(0, 1), is_=versioned(0, 1))], "nobody writes a version below 1", 1),
        (
            [did("write", 1, at=(0, 1), is_=versioned(1, 1)), did("read", at=(0, 1), is_=versioned(1, 2))],
            "version 1 was seen with two different values",
            2,
        ),
        (
            [
                did("write", 1, at=(0, 1), is_=versioned(1, 1)),
                did("read", at=(2, 3), is_=versioned(1, 1)),
                did("read", at=(4, 5), is_=None),
            ],
            "after one had seen or made version 1, another began that had version 0",
            2,
        ),
        ([did("read", at=(0, 1), is_=versioned(2, 1))], "nothing that began in time can have made version 1", 1),
        (
            [did("write", 1, at=(4, None)), did("cas", 1, 5, at=(2, 3), is_=versioned(2, 5))],
            "nothing that began in time can have made version 1",
            1,
        ),
        (
            [did("cas", 0, 1, at=(4, None)), did("cas", 1, 5, at=(2, 3), is_=versioned(2, 5))],
            "nothing that began in time can have made version 1",
            1,
        ),
        (
            [did("write", 1, at=(5, None)), did("read", at=(0, 1), is_=versioned(1, 1))],
            "nothing that began in time can have made version 1",
            1,
        ),
        (
            [did("write", 9, at=(0, None)), did("read", at=(0, 1), is_=versioned(1, 1))],
            "nothing that began in time can have made version 1",
            1,
        ),
    ],
)
def test_a_version_that_cannot_be_is_named(operations: list[Operation], words: str, shown: int) -> None:
    verdict = check_versioned(operations)
    assert isinstance(verdict, Violation)
    assert words in verdict.reason and len(verdict.operations) == shown
    assert not oracle(verdict.operations, "versioned-register")


FILLED: dict[str, list[Operation]] = {
    "a write whose value was seen leaves the earlier ones to those who need them sooner": [
        did("write", 1, at=(0, None)),
        did("write", 1, at=(4, None)),
        did("cas", 1, 5, at=(2, 3), is_=versioned(2, 5)),
        did("read", at=(6, 7), is_=versioned(3, 1)),
    ],
    "a version is due when a later one is seen": [
        did("write", 1, at=(0, None)),
        did("write", 1, at=(4, None)),
        did("write", 2, at=(0, None)),
        did("read", at=(1, 9), is_=versioned(1, 1)),
        did("read", at=(2, 3), is_=versioned(2, 2)),
    ],
    "a cas goes where nothing else can": [
        did("write", 6, at=(0, None)),
        did("cas", 1, 6, at=(0, None)),
        did("read", at=(8, 9), is_=versioned(2, 6)),
    ],
    "what has effect without being seen is found a place": [
        did("cas", 0, 3, at=(0, None)),
        did("write", 4, at=(1, None)),
        did("cas", 2, 5, at=(2, 9), is_=versioned(3, 5)),
    ],
}


@pytest.mark.parametrize("case", FILLED)
def test_versions_that_nobody_is_known_to_have_made_are_accounted_for(case: str) -> None:
    verdict = check_versioned(FILLED[case])
    assert isinstance(verdict, Ok), verdict
    assert_explains(verdict, FILLED[case], VERSIONED)


def test_an_answer_that_does_not_tell_its_version_is_left_to_the_search() -> None:
    untold = [did("write", 5, at=(0, 1)), did("read", at=(2, 3), is_=versioned(1, 5))]
    assert isinstance(check_versioned(untold), Ok)
    assert isinstance(check_versioned([*untold, did("read", at=(4, 5), is_=None)]), Violation)


def test_what_is_no_versioned_value_is_refused() -> None:
    with pytest.raises(ValueError, match="a versioned value is"):
        check_versioned([did("read", at=(0, 1), is_=5)])


# --- files and misuse


def test_a_function_that_the_model_does_not_have_is_refused() -> None:
    judges: list[Callable[[list[Operation]], Verdict]] = [lambda one: check(one, REGISTER), check_versioned]
    for judge in judges:
        with pytest.raises(ValueError, match=r"are read with 0, write with 1"):
            judge([did("increment", at=(0, 1))])
        with pytest.raises(ValueError, match=r"are read with 0, write with 1"):
            judge([did("write", at=(0, 1))])


@pytest.mark.parametrize(
    ("model", "call"), [(COUNTER, ("add", "x")), (COUNTER, ("add", [1])), (KEY_VALUE, ("append", 3))]
)
def test_an_argument_that_the_model_cannot_take_is_refused(model: Model, call: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="cannot do that"):
        check([did(*call, at=(0, 1))], model)


def test_appending_to_what_is_no_text_does_not_fit() -> None:
    assert_fails([did("put", 3, at=(0, 1)), did("append", "a", at=(2, 3))], KEY_VALUE)


def test_a_model_of_ones_own_can_be_checked() -> None:
    def step(queue: Any, f: str, args: tuple[Any, ...], result: Any) -> Any:
        if f == "put":
            return (*queue, args[0])
        return queue[1:] if queue and queue[0] == result else linearizability.ILLEGAL

    model = Model("queue", (), step, {"put": 1, "take": 0}, frozenset())
    puts = [did("put", 1, at=(0, 1)), did("put", 2, at=(2, 3))]
    assert isinstance(check([*puts, did("take", at=(4, 5), is_=1)], model), Ok)
    assert isinstance(check([*puts, did("take", at=(4, 5), is_=2)], model), Violation)


def test_a_file_is_judged_by_the_model_of_that_name(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    operations = [did("write", 1, at=(0, 1)), did("read", at=(2, 3), is_=1)]
    path.write_text("\n".join(dump(History(operations))), encoding="utf-8")
    assert isinstance(check_history_file(path, "register"), Ok)
    assert isinstance(check_history_file(path, CAS), Ok)
    with pytest.raises(ValueError, match="there is no model 'regster'; there are register, cas-register"):
        check_history_file(path, "regster")


def test_a_file_of_a_versioned_register_takes_the_short_cut(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("\n".join(dump([did("read", at=(0, 1), is_=versioned(1, 1))])), encoding="utf-8")
    verdict = check_history_file(path, "versioned-register")
    assert isinstance(verdict, Violation) and "nothing that began in time" in verdict.reason


def test_a_jepsen_log_is_judged(tmp_path: Path) -> None:
    path = tmp_path / "etcd.log"
    lines = ["0 :invoke :write 3", "0 :ok :write 3", "1 :invoke :read nil", "1 :ok :read nil"]
    path.write_text("".join(f"INFO  jepsen.util - {line}\n" for line in lines), encoding="utf-8")
    assert isinstance(check_history_file(path, "cas-register"), Violation)
