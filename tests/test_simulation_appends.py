"""The check of appends agrees with the general search, and says what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gryadka.checking.history import UNTOLD, Operation, Outcome
from gryadka.checking.linearizability import ILLEGAL, Model, Ok, Unknown, Violation, check
from gryadka.simulation.appends import check_appends
from tests.examples import examples


def step(value: Any, f: str, args: tuple[Any, ...], result: Any) -> Any:
    text = value + args[0] if f == "append" else value
    return text if result is UNTOLD or result == text else ILLEGAL


APPEND = Model("append", "", step, {"read": 0, "append": 1})


def operation(f: str, begin: float, end: float, result: str | None = None, outcome: str = "ok") -> Operation:
    name, _, mark = f.partition(" ")
    return Operation(
        process=1,
        f=name,
        args=(mark,) if mark else (),
        outcome=Outcome(outcome),
        result=result if outcome == "ok" else UNTOLD,
        invoked_s=begin,
        completed_s=None if outcome == "unknown" else end,
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Short histories, right and wrong ones: texts are drawn from what appends in some order would leave."""
    marks = [f"{number};" for number in range(draw(st.integers(1, 4)))]
    order = draw(st.permutations(marks))
    texts = ["".join(order[:count]) for count in range(len(order) + 1)]
    found = []
    for mark in marks:
        outcome = draw(st.sampled_from(["ok", "ok", "unknown", "failed"]))
        right = texts[order.index(mark) + 1]
        result = draw(st.sampled_from([right, right, right, draw(st.sampled_from(texts))]))
        found.append((f"append {mark}", result, outcome))
    reads = draw(st.lists(st.sampled_from(texts), max_size=3))
    found += [("read", text, "ok") for text in reads]
    spans = draw(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6)), min_size=len(found), max_size=len(found)))
    return [
        operation(f, begin, begin + length, result, outcome)
        for (f, result, outcome), (begin, length) in zip(found, spans, strict=True)
    ]


@examples(120)
@given(histories())
def test_it_agrees_with_the_general_search(history: list[Operation]) -> None:
    verdict, searched = check_appends(history), check(history, APPEND)
    assert not isinstance(searched, Unknown)
    assert isinstance(verdict, Ok) == isinstance(searched, Ok), (verdict, searched)
    if isinstance(verdict, Violation):
        assert verdict.operations
        return
    assert isinstance(verdict, Ok)
    value = ""
    for one in verdict.linearization:  # the order that it gives explains every result
        value = step(value, one.f, one.args, one.result)
        assert value is not ILLEGAL
    assert list(verdict.points_s) == sorted(verdict.points_s)
    for one, at_s in zip(verdict.linearization, verdict.points_s, strict=True):
        assert one.invoked_s <= at_s and (one.completed_s is None or at_s <= one.completed_s)


def test_both_answers_are_common_enough_for_the_comparison_to_mean_something() -> None:
    seen = {True: 0, False: 0}

    @settings(max_examples=60, deadline=None, database=None, derandomize=True)
    @given(histories())
    def count(history: list[Operation]) -> None:
        seen[isinstance(check_appends(history), Ok)] += 1

    count()
    assert min(seen.values()) > 5


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        ([operation("append a;", 0, 1, "a;"), operation("read", 2, 3, "a;a;")], "applied twice"),
        ([operation("append a;", 0, 1, outcome="failed"), operation("read", 2, 3, "a;")], "ended as not applied"),
        ([operation("append a;", 5, 6, "a;"), operation("read", 2, 3, "a;")], "the shorter text"),
        ([operation("append a;", 0, 1, "a;"), operation("read", 2, 3, "")], "the shorter text"),
        ([operation("read", 2, 3, "x;")], 'nobody appended "x;"'),
        (
            [
                operation("append a;", 0, 1, "a;"),
                operation("append b;", 0, 1, "b;"),
                operation("read", 0, 1, "a;"),
            ],
            "neither of two texts",
        ),
        ([operation("append 7;", 0, 1, "17;"), operation("append 17;", 0, 1, outcome="unknown")], "does not end with"),
    ],
)
def test_a_violation_says_what_is_wrong(history: list[Operation], reason: str) -> None:
    verdict = check_appends(history)
    assert isinstance(verdict, Violation) and reason in verdict.reason
    assert isinstance(check(history, APPEND), Violation)


def test_hundreds_of_unknown_outcomes_are_no_trouble() -> None:
    lost = [operation(f"append {number};", 0, 0, outcome="unknown") for number in range(500)]
    text = "".join(f"{number};" for number in range(0, 500, 2))
    assert isinstance(check_appends([*lost, operation("read", 1, 2, text)]), Ok)
