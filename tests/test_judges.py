"""Lesson 06's judge: the histories it asks about, what it says of right checkers and of plausible wrong ones."""

from __future__ import annotations

import doctest
import random
from collections.abc import Callable, Iterator
from itertools import count
from math import inf
from typing import Any

import pytest

from gryadka.checking.history import History, Operation, Outcome, Recorder
from gryadka.checking.linearizability import Ok, Violation
from gryadka.course import judges
from gryadka.course.checking import Unfinished
from gryadka.course.finding import Finding
from gryadka.course.judges import Op

Checker = Callable[..., Any]


def fits(op: Op, value: Any) -> bool:
    return op.does == "writes" or bool(op.value == value)


def leaves(op: Op, value: Any) -> Any:
    return op.value if op.does == "writes" else value


def searching(
    first: Callable[[Op, list[Op]], bool], done: Callable[[list[Op]], bool], after: Callable[[Op, Any], Any] = leaves
) -> Checker:
    """A checker made of parts, each of which may be wrong."""

    def checker(operations: list[Op], value: Any = None) -> bool:
        return done(operations) or any(
            first(op, operations)
            and fits(op, value)
            and checker([other for other in operations if other is not op], after(op, value))
            for op in operations
        )

    return checker


def in_time(op: Op, operations: list[Op]) -> bool:
    return op.begins <= min(other.ends for other in operations)


def only_open(operations: list[Op]) -> bool:
    return all(op.ends == inf for op in operations)


def empty(operations: list[Op]) -> bool:
    return not operations


def in_order_of(key: Callable[[Op], float]) -> Checker:
    def checker(operations: list[Op], value: Any = None) -> bool:
        for op in sorted(operations, key=key):
            if not fits(op, value):
                return False
            value = leaves(op, value)
        return True

    return checker


def greedy(operations: list[Op], value: Any = None) -> bool:
    if only_open(operations):
        return True
    for op in operations:
        if in_time(op, operations) and fits(op, value):
            return greedy([other for other in operations if other is not op], leaves(op, value))
    return False


def without_unknown(operations: list[Op], value: Any = None) -> bool:
    return judges.linearizable([op for op in operations if op.ends < inf], value)


def emptying(operations: list[Op], value: Any = None) -> bool:
    answer = judges.linearizable(list(operations), value)
    operations.clear()
    return answer


@pytest.mark.slow
@pytest.mark.parametrize(
    "right",
    [judges.linearizable, searching(in_time, only_open), searching(in_time, empty)],
    ids=["of this course", "leaves what is open", "leaves nothing"],
)
def test_right_checkers_pass(right: Checker) -> None:
    finding = judges.judge(right)
    assert finding.holds, finding.why
    assert "1,200 have an order, 1,744 have none" in finding.covered


@pytest.mark.parametrize(
    ("wrong", "sentence", "steps"),
    [
        (lambda *_: True, "yours says yes to this history, but no order explains it. Ann reads 1 fits nowhere.", 1),
        (lambda *_: False, "yours says no to this history, but there is an order: Ann reads None", 1),
        (lambda *_: None, "it has to return True or False, not None", 1),
        (emptying, "it changed the list that it was given", 1),
        (lambda *_: 1 / 0, "ZeroDivisionError", 1),
        (
            searching(lambda *_: True, only_open),
            "(none before one that had ended when it began) this one meets the value 1",
            2,
        ),
        (searching(in_time, only_open, lambda op, value: value), "Ann writes 1, Bob reads 1", 2),
        (in_order_of(lambda op: op.begins), "there is an order: Bob reads None, Ann writes 1", 2),
        (in_order_of(lambda op: op.ends), "there is an order: ", 2),
        (greedy, "there is an order: ", 2),
        (without_unknown, "there is an order: Bob writes 1, Ann reads 1", 2),
    ],
)
def test_wrong_checkers_get_the_smallest_history(wrong: Checker, sentence: str, steps: int) -> None:
    finding = judges.judge(wrong)
    assert isinstance(finding, judges.Misjudged)
    assert sentence in finding.why
    assert len(finding.steps) == len(finding.operations) == steps
    title = judges.picture(finding).title
    assert "Yours is wrong about this one" in title


def test_an_endless_checker_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(operations: list[Op], value: Any = None) -> bool:
        while True:
            pass

    monkeypatch.setattr(judges, "LIMIT_S", 0.3)
    assert "does each call get a shorter list?" in judges.judge(endless).why


def draws_lots(operations: list[Op], value: Any = None) -> bool:
    return random.random() < 0.5


def counts_its_calls() -> Checker:
    calls = count()
    return lambda operations, value=None: next(calls) % 2 == 0


async def is_async(operations: list[Op], value: Any = None) -> bool:
    return True


def yields(operations: list[Op], value: Any = None) -> Iterator[bool]:
    yield True


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (draws_lots, "it draws lots, by the module random, and a history has one verdict. "),
        (counts_its_calls(), "it was asked the same twice, and said True and then False"),
        (is_async, "linearizable is async; it has to be a plain function"),
        (yields, "linearizable uses yield; it has to return its answer"),
        (7, "linearizable is 7; it has to be a function"),
        (None, "linearizable is None; it has to be a function"),
    ],
)
def test_what_is_no_checker_gets_a_sentence(recwarn: pytest.WarningsRecorder, wrong: Any, sentence: str) -> None:
    assert judges.judge(wrong).why.startswith(sentence)
    assert not recwarn.list, "Python has nothing to complain of"


def test_a_checker_that_tries_in_any_order_may_draw_lots() -> None:
    def shuffled(operations: list[Op], value: Any = None) -> bool:
        return judges.linearizable(random.sample(operations, len(operations)), value)

    assert judges.judge(shuffled).holds


def test_a_skeleton_is_unfinished() -> None:
    def skeleton(operations: list[Op], value: Any = None) -> bool:
        raise NotImplementedError

    with pytest.raises(Unfinished, match="linearizable"):
        judges.judge(skeleton)


# -- histories -------------------------------------------------------------------------------------------


def test_the_histories_are_all_small_ones_once_and_the_same_each_time() -> None:
    everything = list(judges.histories())
    assert everything == list(judges.histories())
    small = [tuple(operations) for operations in everything if len(operations) <= judges.SMALL]
    assert len(small) == len(set(small)) == 4 + 56 + 1384
    assert [len(one) for one in small] == sorted(len(one) for one in small)
    assert len(everything) - len(small) == judges.SOME
    assert max(map(len, everything)) == judges.LARGE


def test_a_history_is_well_formed() -> None:
    for operations in judges.histories():
        times = [at for op in operations for at in (op.begins, op.ends) if at < inf]
        assert len(times) == len(set(times)), "no two times are alike"
        assert all(op.begins < op.ends for op in operations)
        assert all(op.ends < inf for op in operations if op.does == "reads")
        assert [op.begins for op in operations] == sorted(op.begins for op in operations)
        assert len({op.who for op in operations}) == len(operations)


def test_one_operation_makes_four_histories() -> None:
    found = {tuple(op) for (op, *more) in judges.histories() if not more}
    assert found == {
        ("Ann", "reads", None, 0, 1),
        ("Ann", "reads", 1, 0, 1),
        ("Ann", "writes", 1, 0, 1),
        ("Ann", "writes", 1, 0, inf),
    }


def test_a_history_can_be_drawn_by_hand() -> None:
    operations = judges.by_hand("""
        Bob  reads  None     [--]
        Ann  writes 12    [---]

        Cleo writes 3       [---
    """)
    assert operations == [
        Op("Ann", "writes", 12, 0, 4.5),
        Op("Cleo", "writes", 3, 2, inf),
        Op("Bob", "reads", None, 3, 6.5),
    ]
    assert isinstance(judges.verdict(operations), Ok)
    assert str(operations[0]) == "Ann writes 12, from 0 to 4.5"
    assert str(operations[1]) == "Cleo writes 3, from 2 on, outcome unknown"
    assert judges.by_hand("") == []


def test_bars_that_touch_overlap() -> None:
    touching = judges.by_hand("""
        Ann  writes 1  [--]
        Bob  reads None   [--]
    """)
    apart = judges.by_hand("""
        Ann  writes 1  [--]
        Bob  reads  None   [--]
    """)
    assert isinstance(judges.verdict(touching), Ok)
    assert isinstance(judges.verdict(apart), Violation)


@pytest.mark.parametrize(
    "line",
    [
        "Ann writes [--]",
        "Ann says 1 [--]",
        "Ann writes one [--]",
        "Ann reads 1 [--",
        "Ann writes 1",
        "Ann writes -1 [-]",
    ],
)
def test_other_drawings_get_a_sentence(line: str) -> None:
    with pytest.raises(judges.NotAHistory, match=r"is no operation|without an end"):
        judges.by_hand(line)


async def test_a_recorded_history_becomes_operations_and_back() -> None:
    recorder = Recorder(clock=iter(range(5, 50)).__next__)
    with recorder.operation(process="client 1", f="write", args=(7,)) as writing:
        writing.ok(7)
    recorder.begin(process=2, f="write", args=(8,))
    recorder.begin(process=2, f="read")
    recorder.begin(process=3, f="write", args=(9,)).failed()
    with recorder.operation(process=2, f="read") as reading:
        reading.ok(7)
    operations = judges.ops(recorder.history())
    assert operations == [
        Op("client 1", "writes", 7, 0, 1),
        Op("2", "writes", 8, 2, inf),
        Op("2", "reads", 7, 6, 7),
    ]
    assert isinstance(judges.verdict(operations), Ok)
    assert judges.ops(judges.history(operations)) == operations
    assert judges.ops(History()) == []


def test_pictures_say_when_there_is_nothing_to_show() -> None:
    for finding, told in [
        (Finding(covered="all"), "none was judged wrongly."),
        (Finding(), "nothing was judged yet."),  # an unfinished checker was told that it had judged none wrongly
        (Finding("linearizable is still unfinished"), "linearizable is still unfinished."),
    ]:
        nothing = judges.picture(finding)
        assert nothing.text == told and f">No history to show: {told}<" in nothing.drawing
    drawn = judges.picture([Op("Ann", "reads", 1, 0, 1)], title="A read")
    assert drawn.title == "A read" and "Not linearizable" in drawn.text


def test_the_register_of_the_course_is_the_one_of_the_lesson() -> None:
    operation = Operation(process="Ann", f="read", outcome=Outcome.OK, result=None, invoked_s=0, completed_s=1)
    assert list(judges.history([Op("Ann", "reads", None, 0, 1)])) == [operation]


def test_the_example_in_the_module_is_true() -> None:
    done = doctest.testmod(judges)
    assert done.attempted and not done.failed
