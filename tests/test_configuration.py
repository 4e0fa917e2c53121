"""Quorums: those that miss each other are refused, with an example that is true."""

from __future__ import annotations

import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gryadka.errors import ConfigurationError
from gryadka.protocol.configuration import Configuration, Quorum

names = st.lists(st.sampled_from("ABCDE"), min_size=1, unique=True).map(tuple)


@st.composite
def quorums(draw: st.DrawFn) -> Quorum:
    members = draw(names)
    return Quorum(members, draw(st.integers(1, len(members))))


def all_of(quorum: Quorum) -> list[set[str]]:
    return [set(chosen) for chosen in combinations(quorum.members, quorum.size)]


@given(quorums(), quorums())
def test_quorums_that_can_miss_each_other_are_refused_and_no_others(prepare: Quorum, accept: Quorum) -> None:
    meet = all(one & other for one in all_of(prepare) for other in all_of(accept))
    if meet:
        Configuration(prepare, accept)
        return
    with pytest.raises(ConfigurationError) as caught:
        Configuration(prepare, accept)
    one, other = (set(group.split(", ")) for group in re.findall(r"\{(.*?)\}", str(caught.value)))
    assert one in all_of(prepare) and other in all_of(accept) and not one & other
    assert Configuration(prepare, accept, unsafe=True).unsafe


def test_a_quorum_that_is_too_small_is_refused_unless_asked_for() -> None:  # pitfall 15
    three = ("A", "B", "C")
    with pytest.raises(ConfigurationError, match="miss each other"):
        Configuration(Quorum(three, 2), Quorum(three, 1))
    Configuration(Quorum(three, 2), Quorum(three, 1), unsafe=True)


@pytest.mark.parametrize(("count", "failures"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (7, 3)])
def test_a_majority_of_2f_plus_1_tolerates_f(count: int, failures: int) -> None:
    configuration = Configuration.majority(f"acceptor-{number}" for number in range(count))
    down = set(configuration.prepare.members[:failures])
    assert not configuration.accept.lost_without(down)
    assert configuration.accept.lost_without(down | {configuration.prepare.members[-1]})


def test_flexible_quorums_that_meet_are_welcome() -> None:
    four = ("A", "B", "C", "D")
    assert Configuration(Quorum(four, 3), Quorum(four, 2)).accept.size == 2


@pytest.mark.parametrize(("members", "size"), [(("A", "A"), 1), (("A",), 0), (("A",), 2), ((), 1)])
def test_a_quorum_that_makes_no_sense_is_refused(members: tuple[str, ...], size: int) -> None:
    with pytest.raises(ConfigurationError):
        Quorum(members, size)
