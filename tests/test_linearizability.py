"""The checker agrees with a plain oracle. What a verdict carries; budgets, files and misuse."""

from __future__ import annotations

import doctest
import itertools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.linearizability import Shape, as_register, generate
from gryadka.checking import linearizability
from gryadka.checking import sequential as models
from gryadka.checking.history import History, Operation, dump
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
from tests.oracle import (
    CAS,
    COUNTER,
    KEY_VALUE,
    REGISTER,
    VERSIONED,
    assert_explains,
    assert_fails,
    assert_holds,
    assert_is_smallest,
    did,
    first_impossible_end,
    histories,
    oracle,
    runs,
    versioned,
)


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
        "(process 1: read() = 149) fits nowhere. In each order of these 2 operations (none before one that had"
        in violation.reason
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
    assert violation.reason.endswith("this one meets the value 9.")


def test_the_values_that_it_meets_are_named_but_not_without_end() -> None:
    writes = [did("write", n, at=(0, 9)) for n in range(6)]
    barrier = did("read", at=(10, 11), is_=0)
    violation = assert_fails([*writes, barrier, did("read", at=(12, 13), is_=1)], REGISTER)
    assert violation.operations == (barrier, did("read", at=(12, 13), is_=1))
    assert violation.reason.endswith("this one meets the value 0.")


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
