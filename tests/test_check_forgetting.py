"""The check of lesson 10: what it says of right guards, of wrong ones, and of what is no guard at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gryadka.acceptors.servers import local_cluster
from gryadka.course import forgetting
from gryadka.course.checks import LearnersChecks
from gryadka.operations.deletion import collect, delete
from gryadka.protocol.acceptor import ZERO, Ballot, State
from gryadka.trace import Trace
from gryadka.views.cluster import ClusterView

TWO = Ballot(2, 1)
TOMBSTONE = State(TWO, TWO, None)


def why(may_collect: Any = forgetting.may_collect, forget: Any = forgetting.forget) -> str:
    return forgetting.judge(may_collect, forget).why


# -- the course's own ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "may"),
    [
        ([TOMBSTONE, TOMBSTONE, TOMBSTONE], True),
        ([TOMBSTONE, TOMBSTONE, TOMBSTONE._replace(promised=Ballot(3, 2))], True),
        ([TOMBSTONE, TOMBSTONE, None], False),
        ([TOMBSTONE, TOMBSTONE, State()], False),
        ([TOMBSTONE, TOMBSTONE, State(Ballot(3, 2), Ballot(3, 2), None)], False),
        ([State(TWO, TWO, "42")] * 3, False),
    ],
)
def test_a_collector_begins_once_all_have_the_tombstone(states: list[State | None], may: bool) -> None:
    assert forgetting.may_collect(states, TWO) is may


def test_an_acceptor_keeps_the_promise_of_what_it_forgets() -> None:
    assert forgetting.forget(TOMBSTONE, TWO, ZERO) == (None, TWO)
    assert forgetting.forget(TOMBSTONE._replace(promised=Ballot(3, 2)), TWO, ZERO) == (None, Ballot(3, 2))
    assert forgetting.forget(TOMBSTONE, TWO, Ballot(9, 1)) == (None, Ballot(9, 1))
    assert forgetting.forget(TOMBSTONE, Ballot(1, 1), ZERO) == (TOMBSTONE, ZERO)


@pytest.mark.slow
def test_right_guards_pass_and_the_states_are_counted() -> None:
    finding = forgetting.judge(forgetting.may_collect, forgetting.forget)
    assert finding.holds and not finding.steps
    assert finding.covered.startswith("every one of 69,503 states in which a register is written, deleted")


@pytest.mark.slow
def test_a_guard_that_asks_for_more_passes_too() -> None:
    assert not why(
        lambda states, ballot: all(s is not None and s.promised == s.accepted == ballot and not s.value for s in states)
    )


@pytest.mark.slow
def test_who_keeps_a_tombstone_that_promised_more_is_told_that_it_would_stay_for_ever() -> None:
    def forget(state: State, tombstone: Ballot, floor: Ballot) -> tuple[State | None, Ballot]:
        return (None, max(floor, tombstone)) if state.promised == tombstone else (state, floor)

    assert "it would stay for ever" in why(forget=forget)


@pytest.mark.slow
def test_a_run_of_two_acceptors_says_so_first() -> None:
    def forget(state: State, tombstone: Ballot, floor: Ballot) -> tuple[State | None, Ballot]:
        return (None, max(floor, state.promised)) if state.value is None else (state, floor)

    finding = forgetting.judge(forgetting.may_collect, forget)
    assert finding.steps[0] == forgetting.TWO_ACCEPTORS and not finding.events


# -- wrong ones ------------------------------------------------------------------------------------------


def test_a_fault_comes_with_its_run_in_words_and_as_messages() -> None:
    finding = forgetting.judge(lambda states, _: sum(s is not None for s in states) > 1, forgetting.forget)
    assert "(an acknowledged change is never lost)" in finding.why
    assert any("forgets the record; its floor is" in step for step in finding.steps)
    forgotten = [event for event in finding.events if event.note]
    assert forgotten and all(event.state and event.state.accepted == ZERO for event in forgotten)
    view = ClusterView(Trace(finding.events))
    assert any("A forgets the record; its floor is" in view[number].announced for number in range(len(view)))


@pytest.mark.parametrize(
    "guards", [{"may_collect": lambda *_: False}, {"forget": lambda state, _, floor: (state, floor)}]
)
def test_who_forgets_nothing_does_not_pass(guards: dict[str, Callable[..., Any]]) -> None:
    assert why(**guards) == "a deleted record is never forgotten everywhere, whatever happens"


@pytest.mark.parametrize(
    ("guards", "sentence"),
    [
        ({"may_collect": 3}, "may_collect is 3; it has to be a function"),
        ({"may_collect": lambda states, ballot: 1}, "may_collect returned 1; it has to be True or False"),
        (
            {"forget": lambda state, ballot, floor: None},
            "it has to return two things: the state or None, and the floor",
        ),
        ({"forget": lambda state, ballot, floor: [None, floor]}, "it has to return two things"),
        ({"forget": lambda state, ballot, floor: (State(), floor)}, "a record is kept as it is, or forgotten: None"),
        (
            {"forget": lambda state, ballot, floor: (None, 7)},
            "forget returned 7 as the floor, which has to be a Ballot",
        ),
        ({"forget": lambda state, ballot, floor: (None, ZERO)}, "forget lowered the floor from 5:1 to 0:0"),
        ({"forget": lambda state, ballot: (None, ballot)}, "raised TypeError"),
    ],
)
def test_what_is_no_guard_is_told_in_a_sentence(guards: dict[str, Any], sentence: str) -> None:
    assert sentence in why(**guards)


def test_an_unfinished_guard_is_called_unfinished(capsys: pytest.CaptureFixture[str]) -> None:
    def forget(state: State, tombstone: Ballot, floor: Ballot) -> tuple[State | None, Ballot]:
        raise NotImplementedError("your turn")

    checks = LearnersChecks()
    checks.forgetting(forgetting.may_collect, forget)
    assert capsys.readouterr().out.startswith("✗ not yet: forget is still unfinished")


# -- on servers ------------------------------------------------------------------------------------------


async def test_servers_show_what_a_guard_has_to_see() -> None:
    async with local_cluster(3, server="fakeredis") as cluster, cluster.proposer() as proposer:
        await proposer.change("note", lambda _: "42")
        await cluster.kill(2)
        await delete(proposer, "note")
        states = await forgetting.shown(cluster, "note")
        assert states[2] is None
        tombstone = max(state.accepted for state in states if state)
        assert not forgetting.may_collect(states, tombstone)
        await cluster.restart(2)
        assert not forgetting.may_collect(await forgetting.shown(cluster, "note"), tombstone)
        await proposer.change("note", lambda value: value)
        assert await forgetting.sizes(cluster) == [2, 2, 2]
        await collect(cluster.connects)
        assert await forgetting.sizes(cluster) == [1, 1, 1]
        assert {state and state.accepted for state in await forgetting.shown(cluster, "note")} == {ZERO}
