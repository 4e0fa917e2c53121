"""The register of lesson 01, which asks a majority, writes to a majority, and loses updates."""

from __future__ import annotations

import doctest
from dataclasses import replace

import pytest

from gryadka.checking import naive
from gryadka.checking.explore import Budget, Exhausted, explore
from gryadka.checking.naive import Copy, Naive, NotPossible, State, Step, overwrite, search


def keeps_the_newer(held: Copy, sent: Copy) -> tuple[Copy, bool]:
    return max(held, sent), True


def refuses(held: Copy, sent: Copy) -> tuple[Copy, bool]:
    return (sent, True) if sent.number > held.number else (held, False)


def after(model: Naive, steps: str) -> State:
    state = model.begin()
    for step in steps.split(", "):
        state = model.take(state, Step(*step.split()))
    return state


def test_the_example_in_the_module_is_true() -> None:
    done = doctest.testmod(naive)
    assert done.attempted and not done.failed


@pytest.mark.parametrize(
    ("people", "quorum", "rule", "steps", "distinct"),
    [
        (2, 1, overwrite, 4, 35),
        (2, 2, overwrite, 8, 284),
        (2, 3, overwrite, 12, 138),
        (2, 2, keeps_the_newer, 8, 236),
        (2, 2, refuses, 0, 489),
        pytest.param(3, 2, refuses, 11, 24_690, marks=pytest.mark.slow),
        (3, 3, refuses, 0, 7_684),
    ],
)
def test_what_the_explorer_finds(people: int, quorum: int, rule: naive.Rule, steps: int, distinct: int) -> None:
    found = search(people, quorum, rule)
    assert len(found.steps) == steps
    assert found.verdict.distinct == distinct
    assert ("no schedule loses an item" in str(found)) == (not steps)
    if steps:
        model = Naive(people, quorum, rule)
        assert model.why(after(model, ", ".join(map(str, found.steps)))), "the steps lose something, taken one by one"
        assert f"in {steps} steps; none does it in fewer" in str(found)


@pytest.mark.parametrize("rule", [overwrite, keeps_the_newer, refuses])
def test_replicas_are_interchangeable(rule: naive.Rule) -> None:
    model = Naive(rule=rule).model()
    whole = explore(replace(model, canonical=None))
    assert type(whole) is type(explore(model))
    assert whole.distinct > explore(model).distinct


def test_a_register_that_tells_nobody_anything_is_found_out() -> None:
    found = search(rule=lambda held, sent: (held, False))
    assert "'everybody is told a list' is true in no state" in str(found)


def test_an_unfinished_search_is_no_yes() -> None:
    assert str(search(people=3, rule=refuses, budget=Budget(max_states=100))).startswith("unknown")


def test_one_after_the_other_loses_nothing() -> None:
    model = Naive()
    state = after(model, "Ann asks A, Ann asks B, Ann stores A, Ann stores B")
    assert model.told(state) == {"Ann": ("milk",)}
    for step in ["Bob asks C", "Bob asks A", "Bob stores C", "Bob stores B"]:
        state = model.take(state, Step(*step.split()))
    assert model.told(state) == {"Ann": ("milk",), "Bob": ("milk", "bread")}
    assert model.why(state) == ""
    assert [replica.copy.number for replica in state.replicas] == [1, 2, 2]


def test_what_is_lost_is_named() -> None:
    model = Naive()
    state = after(model, "Ann asks A, Ann asks B, Bob asks A, Bob asks B, Ann stores A, Ann stores C, Bob stores A")
    assert model.why(state) == "", "Bob was told nothing yet"
    state = model.take(state, Step("Bob", "stores", "B"))
    assert model.why(state) == "Ann was told [milk], and Bob [bread]: neither list goes on from the other"


def test_an_old_list_that_comes_late_replaces_a_new_one_only_where_replicas_overwrite() -> None:
    late = (
        "Ann asks A, Ann asks B, Ann stores A, Ann stores B, Bob asks A, Bob asks B, Bob stores B, Bob stores C, "
        "Ann stores C, Cleo asks A, Cleo asks C, Cleo stores A, Cleo stores C"
    )
    assert "Bob was told [milk, bread], and Cleo [milk, eggs]" in Naive(people=3).why(after(Naive(people=3), late))
    careful = Naive(people=3, rule=keeps_the_newer)
    assert careful.why(after(careful, late)) == ""


@pytest.mark.parametrize(
    ("done", "step", "sentence"),
    [
        ("Ann asks A", "Ann asks A", "Ann has asked A before"),
        ("Ann asks A, Ann asks B", "Ann asks C", "Ann has 2 answers, and asks no more"),
        ("Ann asks A", "Ann stores A", "Ann has only 1 of 2 answers, and cannot store yet"),
        ("Ann asks A, Ann asks B, Ann stores C", "Ann stores C", "Ann has stored at C before"),
        ("Ann asks A", "Cleo asks A", "nobody is called 'Cleo' here; there are Ann, Bob"),
        ("Ann asks A", "Ann asks AB", "there is no server 'AB'; there are A, B, C"),
        ("Ann asks A", "Ann reads B", "Ann cannot do 'reads'; a step says asks or stores"),
    ],
)
def test_what_cannot_happen_gets_a_sentence(done: str, step: str, sentence: str) -> None:
    model = Naive()
    with pytest.raises(NotPossible, match=f"^{sentence}$"):
        model.take(after(model, done), Step(*step.split()))


@pytest.mark.slow
def test_safe_and_useless() -> None:
    """Two lists, each on one replica: with refusals and no majority smaller than all, that is for ever."""
    model = Naive(quorum=3, rule=refuses)
    questions = ", ".join(f"{who} asks {where}" for where in "ABC" for who in ("Ann", "Bob"))
    state = after(model, questions + ", Ann stores A, Bob stores B")
    stuck = explore(replace(model.model(), initial=[state], must_reach=()))
    assert isinstance(stuck, Exhausted)
    assert not search(3, 3, refuses).steps
    for step in ["Ann stores B", "Bob stores A", "Ann stores C", "Bob stores C"]:
        state = model.take(state, Step(*step.split()))
    assert model.told(state) == {}
