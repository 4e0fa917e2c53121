"""Plans for a change of members: the rules that they keep, compared with every quorum there is."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gryadka.errors import ConfigurationError
from gryadka.operations.plan import Adopt, Copy, Plan, Rescan, Start, Step, Stop, make_plan, members
from gryadka.protocol.configuration import Configuration, Quorum

NAMES = "ABCDEF"
majority = Configuration.majority


def sets(quorum: Quorum) -> set[frozenset[str]]:
    return set(map(frozenset, combinations(quorum.members, quorum.size)))


def loses_something(begin: Configuration, steps: tuple[Step, ...]) -> bool:
    """Follow one record, wherever it may have been accepted last, and see whether a prepare quorum misses it."""
    current, holders = begin, sets(begin.accept)
    for step in steps:
        at_work = {current}
        if isinstance(step, Adopt):  # proposers of both are at work, and each may accept the record once more
            at_work.add(step.configuration)
            holders |= sets(step.configuration.accept)
            current = step.configuration
        elif isinstance(step, Rescan):
            holders = sets(current.accept)
        elif isinstance(step, Copy):
            holders = {holder | set(step.to) for holder in holders} | sets(current.accept)
        if any(not prepare & holder for one in at_work for prepare in sets(one.prepare) for holder in holders):
            return True
    return False


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    size = st.integers(1, len(names))
    return Configuration(Quorum(tuple(names), draw(size)), Quorum(tuple(names), draw(size)), unsafe=True)


copies = st.builds(Copy, st.sets(st.sampled_from(NAMES), min_size=1, max_size=2).map(tuple))


@given(configurations(), st.lists(st.one_of(st.builds(Adopt, configurations()), st.just(Rescan()), copies), max_size=4))
def test_a_plan_is_refused_exactly_if_a_quorum_would_miss_a_record(begin: Configuration, steps: list[Step]) -> None:
    chain = [begin, *(step.configuration for step in steps if isinstance(step, Adopt))]
    for one in chain:
        if not all(prepare & accept for prepare in sets(one.prepare) for accept in sets(one.accept)):
            return
    everyone = tuple(Start(name) for name in NAMES)
    try:
        Plan(begin, (*everyone, *steps))
    except ConfigurationError:
        assert loses_something(begin, tuple(steps))
    else:
        assert not loses_something(begin, tuple(steps))


groups = st.sets(st.sampled_from(NAMES), min_size=1).map(sorted)


@given(groups, groups, st.booleans())
def test_there_is_a_plan_from_any_group_to_any_other(old: list[str], new: list[str], copy: bool) -> None:
    plan = make_plan(majority(old), new, copy=copy)
    assert set(members(plan.end)) == set(new)
    assert plan.end.prepare.size == plan.end.accept.size == len(new) // 2 + 1
    assert not loses_something(plan.begin, plan.steps)
    for one, other in pairwise([plan.begin, *(step.configuration for step in plan.steps if isinstance(step, Adopt))]):
        assert len(members(one) ^ members(other)) == 1, "one member comes or goes at a time"
    assert {step.name for step in plan.steps if isinstance(step, Start)} == set(new) - set(old)
    assert {step.name for step in plan.steps if isinstance(step, Stop)} == set(old) - set(new)
    assert copy or not any(isinstance(step, Copy) for step in plan.steps)


@given(groups, groups, groups)
def test_a_plan_goes_on_from_the_past_that_the_last_one_left(one: list[str], two: list[str], three: list[str]) -> None:
    first = make_plan(majority(one), two)
    *_, (_, current, past) = [(None, first.begin, ()), *first.walk()]
    second = make_plan(current, three, past)
    assert not loses_something(first.begin, (*first.steps, *second.steps))


@given(groups, groups)
def test_every_step_that_brings_records_is_needed(old: list[str], new: list[str]) -> None:
    plan = make_plan(majority(old), new)
    for number, step in enumerate(plan.steps):
        if isinstance(step, Rescan | Copy):
            without = (*plan.steps[:number], *plan.steps[number + 1 :])
            assert loses_something(plan.begin, without)
            with pytest.raises(ConfigurationError, match="miss each other"):
                Plan(plan.begin, without)


def test_three_to_four_to_five_without_a_rescan_is_refused_with_the_two_quorums() -> None:
    steps = (Start("D"), Adopt(majority("ABCD")), Start("E"), Adopt(majority("ABCDE")))
    with pytest.raises(
        ConfigurationError,
        match=r"step 4.*\{A, D, E\} and the accept quorum \{B, C\} miss each other: rescan before this step",
    ):
        Plan(majority("ABC"), steps)


def test_a_member_that_leaves_and_comes_back_empty_is_refused_without_a_rescan() -> None:
    steps = (Adopt(majority("AB")), Stop("C"), Start("D"), Adopt(majority("ABD")))
    with pytest.raises(ConfigurationError, match="miss each other"):
        Plan(majority("ABC"), steps)


def test_a_copy_does_not_cover_what_is_accepted_after_it() -> None:
    steps = (Start("D"), Copy(("D",)), Adopt(majority("ABCD")), Start("E"), Adopt(majority("ABCDE")))
    assert loses_something(majority("ABC"), steps)
    with pytest.raises(ConfigurationError, match="miss each other"):
        Plan(majority("ABC"), steps)


def test_two_steps_at_once_are_refused_since_neighbours_would_miss_each_other() -> None:
    with pytest.raises(ConfigurationError, match="some proposers still work with the members before"):
        Plan(majority("ABC"), (Start("D"), Start("E"), Rescan(), Adopt(majority("ABCDE"))))


def test_nobody_joins_unstarted_or_is_stopped_as_a_member() -> None:
    with pytest.raises(ConfigurationError, match="D was not started"):
        Plan(majority("ABC"), (Adopt(majority("ABCD")),))
    with pytest.raises(ConfigurationError, match="C is still a member"):
        Plan(majority("ABC"), (Stop("C"),))


def test_a_plan_reads_as_a_list_of_things_to_do() -> None:
    assert [str(step) for step in make_plan(majority("ABC"), "ABD").steps] == [
        "start D",
        "adopt any 3 of A, B, C, D",
        "rescan every record",
        "adopt any 2 of A, B, D",
        "stop C",
    ]
