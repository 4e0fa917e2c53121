"""The acceptor's rules: the table is total, the functions obey it, and what they must never do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gryadka.protocol.acceptor import (
    MAX_COUNTER,
    TRANSITIONS,
    ZERO,
    Accept,
    Accepted,
    Ballot,
    Conflict,
    Prepare,
    Promise,
    State,
    accept,
    prepare,
)

ballots = st.builds(Ballot, st.integers(0, 4), st.integers(0, 3))
values = st.sampled_from(["1", "2", "3"])


@st.composite
def states(draw: st.DrawFn) -> State:
    accepted = draw(ballots)
    promised = draw(ballots.filter(lambda ballot: ballot >= accepted))
    return State(promised, accepted, draw(values) if accepted > ZERO else None)


@st.composite
def accepts(draw: st.DrawFn) -> Accept:
    ballot = draw(ballots)
    return Accept(ballot, draw(values), draw(ballots.filter(lambda promise: promise >= ballot)))


def test_the_transition_table_is_total() -> None:
    kinds, standings = ("prepare", "accept"), ("lower", "equal", "higher")
    assert set(TRANSITIONS) == {(kind, standing) for kind in kinds for standing in standings}


def test_the_answer_to_an_equal_ballot_is_said_in_the_table() -> None:  # pitfall 13
    state = State(promised=Ballot(3, 1))
    assert TRANSITIONS["prepare", "equal"] is Conflict
    assert prepare(state, Prepare(Ballot(3, 1))) == (state, Conflict(Ballot(3, 1)))
    assert TRANSITIONS["accept", "equal"] is Accepted
    state, reply = accept(state, Accept(Ballot(3, 1), "1", Ballot(3, 1)))
    assert (state, reply) == (State(Ballot(3, 1), Ballot(3, 1), "1"), Accepted())


@given(states(), ballots)
def test_prepare_answers_as_the_table_says(state: State, ballot: Ballot) -> None:
    after, reply = prepare(state, Prepare(ballot))
    if ballot > state.promised:
        assert (after, reply) == (state._replace(promised=ballot), Promise(state.accepted, state.value))
    else:
        assert (after, reply) == (state, Conflict(state.promised))


@given(states(), accepts())
def test_accept_answers_as_the_table_says(state: State, message: Accept) -> None:
    after, reply = accept(state, message)
    if message.ballot >= state.promised:
        assert (after, reply) == (State(message.promise, message.ballot, message.value), Accepted())
    else:
        assert (after, reply) == (state, Conflict(state.promised))


@given(states(), st.lists(st.one_of(st.builds(Prepare, ballots), accepts())))
def test_promises_never_go_back_and_cover_what_was_accepted(state: State, messages: list[Prepare | Accept]) -> None:
    for message in messages:
        after, _ = prepare(state, message) if isinstance(message, Prepare) else accept(state, message)
        assert after.promised >= state.promised
        assert after.accepted >= state.accepted
        assert after.promised >= after.accepted
        state = after


@given(states(), accepts())
def test_an_accept_that_arrives_twice_does_no_harm(state: State, message: Accept) -> None:  # pitfall 6
    once, _ = accept(state, message)
    twice, _ = accept(once, message)
    assert twice == once


def test_ballots_order_by_counter_and_then_by_proposer() -> None:
    assert ZERO < Ballot(1, 9) < Ballot(2, 1) < Ballot(2, 2) < Ballot(MAX_COUNTER, 0)
    assert str(Ballot(4, 17)) == "4:17"


@given(ballots)
def test_a_ballot_is_promised_once_so_a_shared_id_cannot_prepare_it_twice(ballot: Ballot) -> None:  # pitfall 8
    first, _ = prepare(State(), Prepare(ballot))
    _, second = prepare(first, Prepare(ballot))
    assert isinstance(second, Conflict)
