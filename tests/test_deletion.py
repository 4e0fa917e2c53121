"""Deleted records are forgotten for good, on servers that serve: nothing comes back, and nothing new is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

import gryadka
from gryadka import ConfigurationError, NotApplied, OutcomeUnknown
from gryadka.acceptors import state_of
from gryadka.acceptors.servers import LocalCluster
from gryadka.acceptors.wire import Wire
from gryadka.checking.history import Recorder
from gryadka.checking.linearizability import Budget, Ok
from gryadka.errors import AcceptorError
from gryadka.operations import commands, deletion, membership
from gryadka.operations.deletion import Collector, Report, collect, delete
from gryadka.operations.membership import change_members, standing
from gryadka.protocol.acceptor import ZERO, Accept, Ballot, Conflict, Prepare, State
from gryadka.protocol.value import pack, unpack
from gryadka.simulation.appends import check_texts
from tests.on_servers import OWN, raw


async def kept(cluster: LocalCluster) -> set[bytes]:
    """Return the registers that are left, on any server."""
    keys: set[bytes] = set()
    for name in cluster.names:
        keys |= set(await raw(cluster, name, "KEYS", "gryadka:register:*"))
    return keys


async def floors(cluster: LocalCluster) -> list[Ballot]:
    found = [await raw(cluster, name, "HGET", OWN, "floor") for name in cluster.names]
    return [Ballot(*map(int, (floor or b"0:0").split(b":"))) for floor in found]


async def each(cluster: LocalCluster, key: str) -> list[State]:
    return [await state_of(acceptor, key) for acceptor in cluster.acceptors().values()]


def one_more(value: Any) -> Any:
    return (value or 0) + 1


class Died(Exception):
    """What ends an operation in the middle."""


# -- what a collection leaves --------------------------------------------------------------------------------


async def test_a_deleted_record_is_gone_from_every_server_and_the_others_are_not(cluster: LocalCluster) -> None:
    async with cluster.proposer() as proposer:
        for key in ("a", "b", "c"):
            await proposer.change(key, lambda _: "here")
        await delete(proposer, "a")
        await delete(proposer, "c")
        assert await proposer.read("a") is None
        assert len(await kept(cluster)) == 3, "a tombstone takes room"
        assert await collect(cluster.connects) == Report(collected=2, in_use=1)
        assert await kept(cluster) == {b"gryadka:register:b"}
        assert [await proposer.read(key) for key in "abc"] == [None, "here", None]
        assert len(await kept(cluster)) == 1, "to read leaves nothing behind"
        assert await cluster.proposer().change("a", one_more) == 1, "and the key can be used again"
    assert await collect(cluster.connects) == Report(in_use=2)


async def test_the_floor_is_raised_to_what_each_had_promised_and_its_text_names_it(cluster: LocalCluster) -> None:
    async with cluster.proposer(id=7) as proposer:
        await proposer.change("a", lambda _: 1)
        await delete(proposer, "a")
        while len({state.accepted for state in await each(cluster, "a")}) > 1:  # a majority was enough to delete it
            await asyncio.sleep(0.01)
    await raw(cluster, cluster.names[0], "HSET", "gryadka:register:a", "promised", "10:9")
    await collect(cluster.connects)
    first, *others = await floors(cluster)
    assert first == Ballot(10, 9) and others[0] == others[1] >= Ballot(3, 7), "each its own"
    for state, floor in zip(await each(cluster, "a"), await floors(cluster), strict=True):
        assert state == State(floor, ZERO, f'{{"value":null,"lineage":{{"0": {floor.counter}}}}}')


async def test_a_floor_never_falls(cluster: LocalCluster) -> None:
    high = Ballot(10, 3)
    for name in cluster.names:
        await raw(cluster, name, "HSET", OWN, "floor", str(high), "nothing", "text")
    ballot = Ballot(9, 4)
    for name in cluster.names:  # a tombstone from before the floor was raised for another key's sake
        fields = "promised", str(ballot), "accepted", str(ballot), "value", pack("null", {}, ballot)
        await raw(cluster, name, "HSET", "gryadka:register:a", *fields)
    assert (await collect(cluster.connects, ["a"])).collected == 1
    assert await floors(cluster) == [high] * 3, "as two numbers, 10 is more than 9"


async def test_what_a_prepare_of_a_missing_key_leaves_is_collected_too(cluster: LocalCluster) -> None:
    ballot = Ballot(6, 2)
    for acceptor in cluster.acceptors().values():
        await acceptor.send([("a", Prepare(ballot))])
    assert len(await kept(cluster)) == 1
    assert await collect(cluster.connects) == Report(collected=1)
    assert await kept(cluster) == set() and await floors(cluster) == [ballot] * 3


async def test_keys_are_any_text_and_those_that_are_not_there_do_not_count(cluster: LocalCluster) -> None:
    odd = ["", "ü", "a:b", "*", "gryadka:acceptor"]
    async with cluster.proposer() as proposer:
        for key in [*odd, "other"]:
            await delete(proposer, key)
    assert await collect(cluster.connects, [*odd, *odd, "missing"]) == Report(collected=len(odd))
    assert await kept(cluster) == {b"gryadka:register:other"}


async def test_a_predicate_says_what_counts_as_deleted(cluster: LocalCluster) -> None:
    async with cluster.proposer() as proposer:
        for key, value in {"a": {"gone": True}, "b": {"gone": False}, "c": None}.items():
            await proposer.change(key, lambda _, value=value: value)
    report = await collect(cluster.connects, tombstone=lambda value: bool(value["gone"]))
    assert report == Report(collected=2, in_use=1) and await kept(cluster) == {b"gryadka:register:b"}


async def test_progress_is_told(cluster: LocalCluster) -> None:
    told: list[tuple[int, int]] = []
    async with cluster.proposer() as proposer:
        for number in range(3):
            await delete(proposer, f"k{number}")
    await collect(cluster.connects, progress=lambda *parts: told.append(parts))
    assert told == [(1, 3), (2, 3), (3, 3)]


# -- what comes late -----------------------------------------------------------------------------------------


async def test_a_late_accept_does_not_bring_a_forgotten_value_back(cluster: LocalCluster) -> None:
    """The lost delete: A has accepted (2, 42), and the same accept is still on its way to B and C."""
    old = Ballot(2, 1)
    late = Accept(old, pack("42", {}, old), old)
    acceptors = list(cluster.acceptors().values())
    for acceptor in acceptors:
        await acceptor.send([("k", Prepare(old))])
    await acceptors[0].send([("k", late)])
    async with cluster.proposer() as proposer:
        await delete(proposer, "k")
        assert (await collect(cluster.connects)).collected == 1
        answers = [(await acceptor.send([("k", late)]))[0] for acceptor in acceptors]
        assert all(isinstance(answer, Conflict) for answer in answers), answers
        assert await proposer.change("k", lambda value: value) is None


async def test_a_new_value_below_the_tombstone_is_not_acknowledged(cluster: LocalCluster) -> None:
    """The lost update: A still has the tombstone, B and C have forgotten it. Who writes with a lower ballot than the
    tombstone's would lose to it later, so B and C must not take that value."""
    async with cluster.proposer(id=5) as proposer:
        for _ in range(5):
            await proposer.change("k", one_more)
        await delete(proposer, "k")
    kept_back = await raw(cluster, cluster.names[0], "HGETALL", "gryadka:register:k")
    await collect(cluster.connects)
    await raw(cluster, cluster.names[0], "HSET", "gryadka:register:k", *kept_back)
    low = Ballot(2, 9)
    for acceptor in list(cluster.acceptors().values())[1:]:
        answers = await acceptor.send([("k", Prepare(low)), ("k", Accept(low, "1", low))])
        assert all(isinstance(answer, Conflict) for answer in answers)
    async with cluster.proposer() as fresh, cluster.proposer() as reader:
        assert await fresh.change("k", one_more) == 1
        assert await reader.change("k", lambda value: value) == 1


async def test_who_knew_the_record_before_may_be_told_once_that_it_is_unknown(cluster: LocalCluster) -> None:
    """Its accept, on the promise that its last one brought, is refused: nobody can tell whether another copy of it
    was accepted, seen, deleted and forgotten."""
    async with cluster.proposer() as proposer, cluster.proposer() as other:
        await proposer.change("k", one_more)
        await delete(other, "k")
        await collect(cluster.connects)
        with pytest.raises(OutcomeUnknown):
            await proposer.change("k", one_more)
        assert await proposer.read("k") is None
        assert [await proposer.change("k", one_more) for _ in range(3)] == [1, 2, 3]
    assert "0" in unpack((await each(cluster, "k"))[0].value)[1], "it names the floor above which it was made"


# -- who is needed -------------------------------------------------------------------------------------------


async def test_a_dead_member_stops_a_collection_and_is_named(cluster: LocalCluster) -> None:
    async with cluster.proposer() as proposer:
        await delete(proposer, "k")
    await cluster.kill(1)
    with pytest.raises(AcceptorError, match="all members or none") as caught:
        await collect(cluster.connects)
    assert caught.value.acceptor == cluster.names[1]
    await cluster.restart(1)
    assert (await collect(cluster.connects)).collected == 1
    assert await kept(cluster) == set()


async def test_a_tombstone_that_one_member_has_not_got_is_brought_there_first(cluster: LocalCluster) -> None:
    async with cluster.proposer() as proposer:
        await proposer.change("k", lambda _: "old")
        await cluster.kill(2)
        await delete(proposer, "k")
        await cluster.restart(2)
    assert (await each(cluster, "k"))[2].value != (await each(cluster, "k"))[0].value
    assert (await collect(cluster.connects)).collected == 1 and await kept(cluster) == set()


async def test_a_register_that_cannot_be_read_is_left_and_the_others_are_not(cluster: LocalCluster) -> None:
    async with cluster.proposer() as proposer:
        await delete(proposer, "k")
    await raw(cluster, cluster.names[0], "SET", "gryadka:register:bad", "text")
    await raw(cluster, cluster.names[0], "HSET", "gryadka:register:foreign", "accepted", "1:7", "value", "text")
    report = await collect(cluster.connects)
    assert report.collected == 1 and "holds something else" in report.left["bad"]
    assert "holds what no proposer stored" in report.left["foreign"]


async def test_a_flushed_server_forgets_nothing_in_its_old_place(cluster: LocalCluster) -> None:
    async with cluster.proposer() as proposer:
        await delete(proposer, "k")
    await raw(cluster, cluster.names[1], "FLUSHALL")
    with pytest.raises(AcceptorError):
        await collect(cluster.connects)
    assert len(await kept(cluster)) == 1


async def test_a_server_that_was_exchanged_in_the_middle_forgets_nothing(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster.proposer() as proposer:
        await delete(proposer, "k")
    forget = Collector._forget

    async def exchanged(collector: Collector, *parts: Any) -> None:
        await raw(cluster, cluster.names[2], "HSET", OWN, "identity", "another")
        await forget(collector, *parts)

    monkeypatch.setattr(Collector, "_forget", exchanged)
    with pytest.raises(AcceptorError, match="is not the acceptor that it was") as caught:
        await collect(cluster.connects)
    assert caught.value.acceptor == cluster.names[2]
    assert await raw(cluster, cluster.names[2], "EXISTS", "gryadka:register:k") == 1


async def test_a_server_that_is_half_wiped_does_not_pass_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async with gryadka.local_cluster(1, server="fakeredis") as cluster:
        async with cluster.proposer() as proposer:
            await delete(proposer, "k")
        ((name, connect),) = cluster.connects.items()
        call = Wire.call

        async def mortal(self: Wire, *command: Any) -> Any:
            answer = await call(self, *command)
            if command[0] == "DEL":
                raise Died
            return answer

        with monkeypatch.context() as patch, pytest.raises(Died):
            patch.setattr(Wire, "call", mortal)
            await commands._wiped(name, connect, "gryadka")
        assert await raw(cluster, name, "KEYS", "*") == [OWN.encode()]
        assert await commands._wiped(name, connect, "gryadka") == 1
        assert await raw(cluster, name, "KEYS", "*") == []


# -- members that change -------------------------------------------------------------------------------------


async def noted(cluster: LocalCluster, names: Sequence[str]) -> membership._Coordinator:
    """Begin a change of members, and take no step of it."""
    known = await standing(cluster.connects)
    coordinator = membership._Coordinator(cluster.connects, "gryadka", 1.0, None)
    await coordinator.claim(coordinator.planned(known, names, True, False), known)
    return coordinator


async def test_a_change_of_members_under_way_refuses_a_collection(cluster: LocalCluster) -> None:
    async with cluster.proposer() as proposer:
        await delete(proposer, "k")
    await cluster.add_server()
    await noted(cluster, cluster.names)
    with pytest.raises(ConfigurationError, match="a change of members is under way"):
        await collect(cluster.connects)
    await change_members(cluster.connects, cluster.names)
    assert (await collect(cluster.connects)).collected == 1
    assert await kept(cluster) == set()


async def test_a_change_that_begins_in_the_middle_stops_the_collection(cluster: LocalCluster) -> None:
    """Each acceptor refuses by itself: the collector looked before the plan was noted."""
    async with cluster.proposer() as proposer:
        await delete(proposer, "k")
    await cluster.add_server()
    four, three = cluster.names, cluster.names[:3]

    async def begins(collector: Collector, *parts: Any) -> None:
        await noted(cluster, four)
        await forget(collector, *parts)

    forget = Collector._forget
    with pytest.MonkeyPatch.context() as patch, pytest.raises(AcceptorError, match="has noted a change of members"):
        patch.setattr(Collector, "_forget", begins)
        await collect({name: cluster.connects[name] for name in three})
    assert len(await kept(cluster)) == 1


async def test_a_collector_of_an_earlier_epoch_forgets_nothing(cluster: LocalCluster) -> None:
    async with cluster.proposer() as proposer:
        await delete(proposer, "k")
    before = await standing(cluster.connects)
    await cluster.add_server()
    await change_members(cluster.connects, cluster.names)
    (identity,) = [identity for name, identity in before.identities.items() if name == cluster.names[0]]
    for epoch, said in ((0, "another configuration"), (2, "another configuration")):
        member = deletion._OnServer(identity, cluster.names[0], cluster.connects[cluster.names[0]], epoch, "gryadka")
        await member.open(before.roster)
        with pytest.raises(AcceptorError, match=said):
            await member.forget("k", (await each(cluster, "k"))[0].accepted)
        await member.close()


async def test_a_newcomer_begins_with_the_highest_floor(cluster: LocalCluster) -> None:
    async with cluster.proposer() as proposer:
        for key in ("k", "l"):
            await proposer.change(key, one_more)
        await delete(proposer, "k")
    await collect(cluster.connects)
    await raw(cluster, cluster.names[1], "HSET", OWN, "floor", "9:4")
    newcomer = await cluster.add_server()
    await change_members(cluster.connects, cluster.names)
    assert (await floors(cluster))[3] == Ballot(9, 4)
    assert await raw(cluster, newcomer, "HGET", OWN, "nothing") == b'{"value":null,"lineage":{"0": 9}}'


async def test_a_newcomer_of_a_change_that_goes_on_later_begins_with_the_floor_too(cluster: LocalCluster) -> None:
    async with cluster.proposer() as proposer:
        await delete(proposer, "k")
    await collect(cluster.connects)
    floor = max(await floors(cluster))
    await cluster.add_server()
    await noted(cluster, cluster.names)  # and then the coordinator died
    await change_members(cluster.connects, cluster.names)
    assert (await floors(cluster))[3] == floor > ZERO


async def test_a_record_below_a_newcomers_floor_moves_all_the_same(cluster: LocalCluster) -> None:
    async with cluster.proposer(id=3) as proposer, cluster.proposer() as other:
        await proposer.change("old", lambda _: "here")
        for _ in range(20):
            await other.change("k", one_more)
        await delete(other, "k")
    await collect(cluster.connects)
    for _ in range(2):
        await cluster.add_server()
    await change_members(cluster.connects, cluster.names)
    for number in (0, 1):
        await cluster.kill(number)
    assert await cluster.proposer().change("old", lambda value: value) == "here"


async def test_where_there_is_nothing_only_the_promise_is_copied(cluster: LocalCluster) -> None:
    """What a prepare leaves shows the text that names the floor, at no ballot: that is no record."""
    async with cluster.proposer() as proposer:
        await delete(proposer, "k")
    await collect(cluster.connects)
    for acceptor in cluster.acceptors().values():
        await acceptor.send([("k", Prepare(Ballot(99, 1)))])
    for _ in range(2):
        await cluster.add_server()
    report = await change_members(cluster.connects, cluster.names)
    assert report.moved == (3,), "it is read, and not written"
    *_, newcomer = await each(cluster, "k")
    assert newcomer.promised == Ballot(99, 1) and newcomer.accepted == ZERO


async def test_a_member_that_missed_the_last_change_hears_of_it_before_a_collection() -> None:
    async with gryadka.local_cluster(4) as cluster:
        async with cluster.proposer() as proposer:
            await delete(proposer, "k")
        await cluster.kill(1)
        await change_members(cluster.connects, cluster.names[:3])
        await cluster.restart(1)
        assert await raw(cluster, cluster.names[1], "HGET", OWN, "epoch") is None
        members = {name: cluster.connects[name] for name in cluster.names[:3]}
        assert (await collect(members)).collected == 1
        assert await raw(cluster, cluster.names[1], "HGET", OWN, "epoch") == b"1"


async def test_two_of_four_are_too_few_to_begin_with_a_newcomer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of four meet every quorum, but the other two, who have not heard of it, could both forget what was copied
    to the newcomer before it was deleted."""
    async with gryadka.local_cluster(4) as cluster:
        async with cluster.proposer() as proposer:
            await proposer.change("k", one_more)
        deaf = cluster.names[2:]
        await cluster.add_server()
        talk = membership._Coordinator._talk

        async def some(self: membership._Coordinator, name: str, *command: str) -> object:
            if name in deaf and command[0] == "EVAL":
                raise AcceptorError(name, "was not reached")
            return await talk(self, name, *command)

        monkeypatch.setattr(membership._Coordinator, "_talk", some)
        with pytest.raises(AcceptorError, match="too few members"):
            await change_members(cluster.connects, cluster.names, timeout_s=0.2)


# -- a collector that dies, and others that work -------------------------------------------------------------


@pytest.mark.slow
async def test_a_collector_may_die_before_any_of_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    call = Wire.call
    for last in range(1, 200):
        async with gryadka.local_cluster(3, server="fakeredis") as cluster:
            async with cluster.proposer() as proposer:
                await proposer.change("k", lambda _: "old")
                await cluster.kill(2)
                await delete(proposer, "k")  # the third member has not heard of it
                await cluster.restart(2)
            calls = 0

            async def mortal(self: Wire, *command: Any, last: int = last) -> Any:
                nonlocal calls
                calls += 1
                if calls >= last:
                    raise Died
                return await call(self, *command)

            monkeypatch.setattr(Wire, "call", mortal)
            died = False
            try:
                await collect(cluster.connects, timeout_s=0.05)
            except (Died, AcceptorError, ConfigurationError):
                died = True
            monkeypatch.setattr(Wire, "call", call)
            async with cluster.proposer() as looker:
                assert await looker.read("k") is None, f"deleted it is, though the collector died at call {last}"
            report = await collect(cluster.connects)
            assert report.left == {} and await kept(cluster) == set()
            async with cluster.proposer() as writer:
                assert await writer.change("k", one_more) == 1
            if not died and calls < last:
                assert last > 20
                return
    pytest.fail("the collector never lived to the end")


@pytest.mark.parametrize("where", ["_shown", "_forget"])
async def test_a_key_that_is_used_again_while_it_is_collected_keeps_its_value(
    where: str, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster.proposer() as proposer, cluster.proposer() as other:
        await delete(proposer, "k")
        original, done = getattr(Collector, where), False

        async def meanwhile(self: Collector, *parts: Any) -> Any:
            nonlocal done
            if not done:
                done = True
                await other.change("k", lambda _: "new")
            return await original(self, *parts)

        monkeypatch.setattr(Collector, where, meanwhile)
        report = await collect(cluster.connects)
        assert report.collected == 0 and report.in_use + len(report.left) == 1
        assert await other.read("k") == "new" == await proposer.change("k", lambda value: value)


async def test_a_record_that_one_member_has_forgotten_and_another_has_not_is_still_deleted(
    cluster: LocalCluster,
) -> None:
    async with cluster.proposer() as proposer, cluster.proposer() as other:
        await proposer.change("k", one_more)
        await delete(proposer, "k")
        back = await raw(cluster, cluster.names[0], "HGETALL", "gryadka:register:k")
        await collect(cluster.connects)
        await raw(cluster, cluster.names[0], "HSET", "gryadka:register:k", *back)
        assert await other.read("k") is None
        assert await other.change("k", one_more) == 1
    assert await collect(cluster.connects) == Report(in_use=1)


class Busy:
    """Clients that append marks of their own, read, and delete (`put` nothing), and keep a history."""

    def __init__(self, cluster: LocalCluster, keys: int) -> None:
        self.proposers = [cluster.proposer(), cluster.proposer()]
        self.recorder = Recorder()
        self.keys = [f"k{number}" for number in range(keys)]
        self.acknowledged = 0
        self.ended = False

    async def client(self, number: int) -> None:
        turn = 0
        while not self.ended:
            turn += 1
            key, proposer = self.keys[(number + turn) % len(self.keys)], self.proposers[number % 2]
            mark = f"{number}-{turn};"
            call: Any
            if turn % 4 in (1, 2):
                call, f, args = proposer.change(key, lambda text, mark=mark: (text or "") + mark), "append", [mark]
            elif turn % 4 == 3:
                call, f, args = delete(proposer, key), "put", [""]
            else:
                call, f, args = proposer.read(key), "get", []
            try:
                await self.recorder.record(call, process=number, f=f, args=args, key=key)
                self.acknowledged += 1
            except (NotApplied, OutcomeUnknown):
                pass
            await asyncio.sleep(0.01 * (number % 4))


@pytest.mark.slow
async def test_sixteen_clients_write_and_delete_while_a_collector_works_without_pause(cluster: LocalCluster) -> None:
    work, total = Busy(cluster, keys=40), Report()
    clients = [asyncio.create_task(work.client(number)) for number in range(16)]
    for _ in range(12):
        report = await collect(cluster.connects, timeout_s=1)
        total.collected += report.collected
        await asyncio.sleep(0.05)
    work.ended = True
    await asyncio.gather(*clients)
    assert total.collected > 20 and work.acknowledged > 300, (total, work.acknowledged)
    async with cluster.proposer() as looker:
        for key in work.keys:
            read = looker.change(key, lambda value: value)
            await work.recorder.record(read, process="last", f="get", key=key)
    for key, operations in work.recorder.history().by_key().items():
        verdict = check_texts(operations, Budget())
        assert isinstance(verdict, Ok), f"{key}: {verdict}"
