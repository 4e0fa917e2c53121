"""Reads that write nothing: when they may answer, what they cost, and what they leave behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gryadka
from gryadka import ConfigurationError, NotApplied, Proposer
from gryadka.acceptors import state_of
from gryadka.acceptors.memory import memory_acceptors
from gryadka.acceptors.redis import RedisAcceptor
from gryadka.acceptors.servers import LocalCluster
from gryadka.acceptors.wire import Wire
from gryadka.protocol.acceptor import ZERO, Accept, Accepted, Ballot, Conflict, Prepare, Promise, Read, State
from gryadka.protocol.configuration import Configuration, Quorum
from gryadka.protocol.round import Round, Status
from gryadka.protocol.value import pack
from gryadka.reads import QuorumRead
from gryadka.trace import Event
from tests.examples import examples
from tests.puppet import Puppet, puppets

NAMES = "ABCDE"
BALLOTS = [ZERO, Ballot(1, 7), Ballot(2, 7), Ballot(2, 9)]


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    members = tuple(NAMES[: draw(st.integers(1, 5))])
    prepare = draw(st.integers(1, len(members)))
    accept = draw(st.integers(len(members) - prepare + 1, len(members)))
    return Configuration(Quorum(members, prepare), Quorum(members, accept))


def quorums(quorum: Quorum) -> Iterator[tuple[str, ...]]:
    return combinations(quorum.members, quorum.size)


def settled(configuration: Configuration, shown: Mapping[str, Ballot]) -> bool:
    """The rule, word by word: some prepare quorum answered, and some accept quorum shows the highest ballot."""
    answered = [quorum for quorum in quorums(configuration.prepare) if set(quorum) <= set(shown)]
    highest = max(shown.values(), default=ZERO)
    agreed = [q for q in quorums(configuration.accept) if all(shown.get(name) == highest for name in q)]
    return bool(answered) and (highest == ZERO or bool(agreed))


def never(configuration: Configuration, shown: Mapping[str, Ballot], silent: list[str]) -> bool:
    """Whether no further answers, whatever they are, can settle it."""
    if settled(configuration, shown):
        return False
    if not silent:
        return True
    first, *rest = silent
    above = Ballot(9, 9)
    highest = max(shown.values(), default=ZERO)
    ways: list[dict[str, Ballot]] = [{**shown, first: ballot} for ballot in (ZERO, highest, above)] + [dict(shown)]
    return all(never(configuration, way, rest) for way in ways)


@examples(300)
@given(configurations(), st.data())
def test_the_rule_is_that_of_an_oracle(configuration: Configuration, data: st.DataObject) -> None:
    read, members = QuorumRead(configuration), configuration.prepare.members
    shown: dict[str, Ballot] = {}
    silent = list(data.draw(st.permutations(members)))
    while True:
        if settled(configuration, shown):
            assert read.status is Status.REACHED
        elif read.status is Status.MISSED:
            assert never(configuration, shown, silent)
        else:
            assert read.status is Status.WAITING and silent
        if not silent:
            return
        name = silent.pop()
        ballot = data.draw(st.sampled_from([*BALLOTS, None]))
        if ballot is None:
            read.receive(name, Read(), ConfigurationError("down"))
        else:
            shown[name] = ballot
            read.receive(name, Read(), State(ballot, ballot, str(ballot)))


@examples(300)
@given(configurations(), st.data())
def test_a_chosen_value_is_read_and_never_an_older_one(configuration: Configuration, data: st.DataObject) -> None:
    """Some accept quorum took the value at 1:7. Whatever the others show, and whoever answers: never less than it."""
    chosen = BALLOTS[1]
    quorum = data.draw(st.sampled_from(list(quorums(configuration.accept))))
    read = QuorumRead(configuration)
    for name in data.draw(st.permutations(configuration.prepare.members)):
        lowest = 1 if name in quorum else 0
        ballot = data.draw(st.sampled_from(BALLOTS[lowest:]))
        read.receive(name, Read(), State(ballot, ballot, str(ballot)))
        if read.status is Status.REACHED:
            assert read.latest.accepted >= chosen


def make(**options: Any) -> tuple[Proposer, dict[str, Puppet]]:
    configuration, acceptors = puppets()
    return Proposer(configuration, acceptors, pause_s=(0.0001, 0.002), rng=random.Random(1), **options), acceptors


async def test_a_read_asks_each_acceptor_once_and_writes_nothing() -> None:
    writer, acceptors = make()
    await writer.change("n", lambda _: 7)
    reader = Proposer(writer.configuration, acceptors)
    before = {name: dict(acceptor.states) for name, acceptor in acceptors.items()}
    heard = {name: len(acceptor.heard) for name, acceptor in acceptors.items()}
    assert await reader.read("n") == 7
    assert all(acceptor.heard[heard[name] :] == [Read()] for name, acceptor in acceptors.items())
    assert {name: acceptor.states for name, acceptor in acceptors.items()} == before


async def test_a_read_leaves_the_writer_its_cached_round() -> None:
    writer, acceptors = make()
    await writer.change("n", lambda _: 1)
    await Proposer(writer.configuration, acceptors).read("n")
    await writer.change("n", lambda value: value + 1)
    kinds = [type(message).__name__ for message in acceptors["A"].heard]
    assert kinds == ["Prepare", "Accept", "Read", "Accept"]


async def test_a_missing_key_is_read_as_none_and_nothing_is_left_behind() -> None:
    reader, acceptors = make()
    assert await reader.read("nothing") is None
    assert all(not acceptor.states for acceptor in acceptors.values())


async def test_a_value_that_only_one_acceptor_has_is_finished_before_it_is_read() -> None:
    reader, acceptors = make()
    ballot = Ballot(3, 5)
    for acceptor in acceptors.values():
        acceptor.states["n"] = State(promised=ballot)
    acceptors["B"].states["n"] = State(ballot, ballot, pack("1", {}, ballot))
    assert await reader.read("n") == 1
    later = Proposer(reader.configuration, acceptors)
    acceptors["B"].fate = lambda *_: "lose"
    assert await later.read("n") == 1


async def test_a_read_is_answered_while_a_minority_is_down() -> None:
    reader, acceptors = make()
    await reader.change("n", lambda _: 1)
    acceptors["C"].fate = lambda *_: "lose"
    before = len(acceptors["A"].heard)
    assert await reader.read("n") == 1
    assert acceptors["A"].heard[before:] == [Read()]


async def test_a_read_without_a_quorum_is_not_applied() -> None:
    reader, acceptors = make(timeout_s=0.05)
    for name in "AB":
        acceptors[name].fate = lambda *_: "lose"
    with pytest.raises(NotApplied):
        await reader.read("n")


async def test_a_read_of_what_is_no_key_sends_nothing() -> None:
    """A key that UTF-8 cannot hold failed every message that went out beside it."""
    proposer, acceptors = make()
    with pytest.raises(UnicodeEncodeError):
        await proposer.read("\ud800")
    with pytest.raises(TypeError):
        await proposer.read(5)  # type: ignore[arg-type]
    assert not any(acceptor.heard for acceptor in acceptors.values())


async def test_a_closed_proposer_reads_nothing() -> None:
    reader, _ = make()
    await reader.close()
    with pytest.raises(ConfigurationError, match="closed"):
        await reader.read("n")


async def test_reads_are_part_of_the_trace() -> None:
    events: list[Event] = []
    reader, _ = make(observe=events.append)
    await reader.read("n")
    await asyncio.sleep(0)
    assert [event.kind for event in events if event.message == Read()] == ["sent"] * 3 + ["delivered"] * 3
    assert all(Event.from_json(event.to_json()) == event for event in events)


async def raw(cluster: LocalCluster, *command: str) -> Any:
    """Send one command to the first server, past Gryadka."""
    acceptor = cluster.acceptors()[cluster.names[0]]
    assert isinstance(acceptor, RedisAcceptor)
    wire = await Wire.over(acceptor.name, acceptor.connect(), 1.0)
    try:
        return await wire.call(*command)
    finally:
        await wire.close()


async def test_real_servers_answer_reads(cluster: LocalCluster) -> None:
    async with cluster.proposer() as writer, cluster.proposer() as reader:
        assert await reader.read("n") is None
        await writer.change("n", lambda _: {"a": [1, "ü"]})
        assert await reader.read("n") == {"a": [1, "ü"]}
        assert await asyncio.gather(*(reader.read(f"n{number}") for number in range(50))) == [None] * 50


async def test_a_missing_register_leaves_no_key_on_a_server() -> None:
    async with gryadka.local_cluster(1) as cluster, cluster.proposer() as reader:
        assert await reader.read("nothing") is None
        assert await raw(cluster, "KEYS", "gryadka:register:*") == []


async def test_a_register_that_is_not_there_has_promised_the_floor(cluster: LocalCluster) -> None:
    floor, nothing = Ballot(5, 3), '{"value":null,"lineage":{"0": 5}}'
    acceptor = next(iter(cluster.acceptors().values()))
    assert await state_of(acceptor, "k") == State()
    await raw(cluster, "HSET", "gryadka:acceptor", "floor", str(floor), "nothing", nothing)
    assert await state_of(acceptor, "k") == State(floor, ZERO, nothing)
    lower, equal, higher = Ballot(5, 2), floor, Ballot(5, 4)
    messages = [Prepare(lower), Prepare(equal), Accept(lower, "1", lower), Prepare(higher)]
    answers = await acceptor.send([("k", message) for message in messages])
    assert answers == [Conflict(floor)] * 3 + [Promise(ZERO, nothing)]
    answers = await acceptor.send([("l", Accept(equal, "1", higher)), ("l", Read())])
    assert answers == [Accepted(), State(higher, equal, "1")]
    async with cluster.proposer() as reader:
        assert await reader.read("m") is None


async def test_a_read_ends_when_its_proposer_is_closed_meanwhile() -> None:
    class Silent(Puppet):
        async def send(self, requests: Any) -> Any:
            await asyncio.Event().wait()

    reader = Proposer(puppets()[0], {name: Silent(name) for name in "ABC"})
    reading = asyncio.create_task(reader.read("n"))
    await asyncio.sleep(0.01)
    await reader.close()
    with pytest.raises(ConfigurationError, match="closed"):
        await asyncio.wait_for(reading, 1)


def test_a_deleted_value_is_not_read_where_two_accept_quorums_need_not_meet() -> None:
    """Four acceptors, prepare 3, accept 2: A and B took a value at 1:7; C and D took its deletion, and forgot it."""
    read = QuorumRead(Configuration(Quorum(tuple("ABCD"), 3), Quorum(tuple("ABCD"), 2)))
    for name, state in zip("ABC", [State(BALLOTS[1], BALLOTS[1], "1")] * 2 + [State(Ballot(5, 5))], strict=True):
        read.receive(name, Read(), state)
    assert read.status is Status.MISSED


async def test_a_read_settles_nothing_and_a_change_does() -> None:
    """An accept that is on its way may still be chosen after a read that did not see it: who has to decide whether to
    repeat a change of unknown outcome has to read by a change."""
    configuration, acceptors = memory_acceptors(3)
    late = {key: Round(configuration, Ballot(1, 7)) for key in ("read", "changed")}
    for key, round in late.items():
        for name, acceptor in acceptors.items():
            round.receive(name, round.message, acceptor.answer(key, round.message))
        round.propose(pack("1", {}, round.ballot), round.ballot)
    proposer = Proposer(configuration, acceptors)
    assert await proposer.read("read") is None
    assert await proposer.change("changed", lambda value: value) is None
    for key, round in late.items():
        for name, acceptor in acceptors.items():
            round.receive(name, round.message, acceptor.answer(key, round.message))
    assert late["read"].status is Status.REACHED and await proposer.read("read") == 1
    assert late["changed"].status is Status.MISSED and await proposer.read("changed") is None
