"""The rules of the model are those of the driver: every decision is compared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gryadka import ChangeRejected, Proposer
from gryadka.checking.explore import Exhausted, GoalReached, Property, explore
from gryadka.checking.model import (
    Caspaxos,
    Numbers,
)
from gryadka.checking.rules import Attempt, Memory, Outcome, Rules, Scope
from gryadka.checking.steps import Move, Steps
from gryadka.proposer import _Caller
from gryadka.protocol.acceptor import (
    Accept,
    Accepted,
    Ballot,
    Promise,
)
from gryadka.protocol.configuration import Configuration, Quorum
from gryadka.protocol.round import Round, Status
from gryadka.protocol.value import decode, encode, pack, reaches_below

pytestmark = pytest.mark.slow

TURNS = Scope(changes=(("append", "append"), ("append",)))
CACHE = replace(TURNS, ballots=3, cache=True)
FLEXIBLE = Scope(acceptors=4, prepare_quorum=3, accept_quorum=2)


# -- the model is the protocol ---------------------------------------------------------------------------


Call = tuple[int, Memory, Ballot, Promise, Sequence[Promise], Move]


def proposals(scope: Scope, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Call, list[tuple[Move, Memory]]]]:
    """Everything that the model's proposers decide in the whole scope, and from what."""
    calls = []
    original = Steps._proposal

    def record(self: Steps, *call: Any) -> Iterator[tuple[Move, Memory]]:
        decided = list(original(self, *call))
        calls.append((call, decided))
        return iter(decided)

    monkeypatch.setattr(Steps, "_proposal", record)
    assert isinstance(explore(Caspaxos(scope).model()), Exhausted)
    return calls


def prepared_round(scope: Scope, ballot: Ballot, seen: Promise, promises: Sequence[Promise]) -> Round:
    names = tuple("ABCDE"[: scope.acceptors])
    rules = Rules(scope)
    quorums = Quorum(names, rules.prepare_quorum()), Quorum(names, rules.accept_quorum())
    configuration = Configuration(*quorums)
    if not promises:  # from the cache
        last = Round(configuration, seen.accepted)
        last.propose(seen.value or "", ballot)
        for name in names:
            last.receive(name, last.message, Accepted())
        following = last.successor()
        assert following
        return following
    round = Round(configuration, ballot)
    for name, promise in zip(names, promises, strict=False):
        round.receive(name, round.message, promise)
    assert round.status is Status.REACHED
    return round


def as_change(number: int, wish: str) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:
        if wish == "create" and value:
            raise ChangeRejected
        return value if wish == "read" else [*(value or []), number]

    return change


def as_text(outcome: Outcome) -> str | ChangeRejected:
    history = list(outcome.history) or None
    return encode(history) if outcome.ending == "applied" else ChangeRejected(value=history)


@pytest.mark.parametrize(
    "scope",
    [
        Scope(),
        pytest.param(Scope(proposers=1, ballots=3), id="alone, three ballots"),
        Scope(lineage=1, changes=(("append",), ("read", "append"))),
        Scope(changes=(("append",), ("create",))),
        replace(CACHE, lineage=1),
        pytest.param(Scope(proposers=3, lineage=2, ballots=1), id="three proposers"),
        pytest.param(replace(CACHE, deadlines=True), marks=pytest.mark.slow, id="callers leave"),
        pytest.param(Scope(ballots=3, lineage=1), marks=pytest.mark.slow, id="three ballots"),
    ],
)
def test_every_decision_of_the_model_is_the_drivers(scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Proposer._proposal` is asked all that the model's proposers are asked, and has to decide the same."""
    calls = proposals(scope, monkeypatch)
    monkeypatch.setattr("gryadka.protocol.value.LINEAGE", scope.lineage)
    changes = Steps(Rules(scope)).changes
    loop = asyncio.new_event_loop()
    waiting: asyncio.Future[Any] = loop.create_future()
    loop.close()
    for (who, me, ballot, seen, promises, _), decided in calls:
        round = prepared_round(scope, ballot, seen, promises)
        assert (round.ballot, round.current()) == (ballot, seen)
        caller = _Caller(as_change(*changes[who][len(me.outcomes)]), waiting)
        caller.sent = any(attempt.changes for attempt in me.attempts)
        sent = {attempt.ballot: [(caller, as_text(attempt.outcome))] for attempt in me.attempts}
        proposer = Proposer(round.configuration, dict.fromkeys("ABCDE"), id=who + 1)  # type: ignore[arg-type]
        stored, outcomes = proposer._proposal(round, sent, [caller])  # type: ignore[arg-type]
        for move, after in decided:
            if move.kind == "cannot tell":
                assert outcomes == []
                continue
            assert isinstance(move.message, Accept) and (move.message.ballot, move.message.value) == (ballot, stored)
            ((_, outcome),) = outcomes
            expected = as_text(after.attempts[-1].outcome)
            assert type(outcome) is type(expected)
            assert outcome == expected or getattr(outcome, "value", 0) == getattr(expected, "value", 1)
            assert caller.sent == any(attempt.changes for attempt in after.attempts)
    assert len(calls) > 20


lineages = st.dictionaries(st.integers(1, 9).map(str), st.integers(1, 99), max_size=6)


counters = st.lists(st.integers(1, 99), min_size=1, max_size=3)


@given(st.lists(st.integers(1, 9)), lineages, st.integers(1, 9), counters, st.integers(1, 4))
def test_lineages_are_packed_and_judged_as_the_driver_does(
    history: list[int], lineage: dict[str, int], proposer: int, tried: list[int], limit: int
) -> None:
    lineage = dict(sorted(lineage.items(), key=lambda entry: entry[1])[-limit:])
    ballot = Ballot(max(lineage.values(), default=0) + 1, proposer)
    rules = Rules(Scope(lineage=limit))
    attempts = [Attempt(Ballot(counter, 1), Outcome("applied"), True) for counter in tried]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gryadka.protocol.value.LINEAGE", limit)
        assert rules.pack(tuple(history), lineage, ballot) == pack(encode(history or None), lineage, ballot)
        assert rules.may_apply(lineage, attempts) == reaches_below(lineage, Ballot(min(tried), 1))


def test_stored_values_are_what_the_driver_stores() -> None:
    model = Caspaxos(Scope())
    goal = Property[Numbers]("ended", lambda state: bool(model.world(state).memories[0].outcomes))
    verdict = explore(model.model(), goal=goal)
    assert isinstance(verdict, GoalReached)
    values = {cell.state.value for cell in model.cells(verdict.trace[-1].state)} - {None}
    assert values == {'{"value":[1],"lineage":{"1": 1}}'}
    assert decode(values.pop() or "")["value"] == [1]
