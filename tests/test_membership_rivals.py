"""Coordinators that know nothing of each other, and proposers that wake up late: whoever wins, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import gryadka
from gryadka import ConfigurationError
from gryadka.acceptors import state_of
from gryadka.acceptors.redis import RedisAcceptor
from gryadka.acceptors.roster import Roster
from gryadka.acceptors.servers import LocalCluster
from gryadka.errors import AcceptorError
from gryadka.operations import membership
from gryadka.operations.membership import Report, change_members, standing
from gryadka.operations.rescan import rescan
from gryadka.protocol.acceptor import ZERO, Accept, Accepted, Ballot, Prepare, Promise
from gryadka.protocol.value import pack
from tests.on_servers import OWN, raw

pytestmark = pytest.mark.slow

Talk = Callable[..., Awaitable[Any]]


async def told_of(cluster: LocalCluster, name: str) -> tuple[int, frozenset[str]] | None:
    """Return epoch and members of the configuration that a server was told of, None if it was told of none."""
    configuration = await raw(cluster, name, "HGET", OWN, "configuration")
    roster = configuration and Roster.from_json(configuration)
    return (roster.epoch, roster.members) if roster else None


async def acceptor_of(cluster: LocalCluster, name: str, epoch: int) -> RedisAcceptor:
    """Return an acceptor for somebody who works in this epoch, whatever is in force."""
    identity = (await standing(cluster.connects)).identities[name]

    async def introduce(_: str) -> tuple[str, int]:
        return identity, epoch

    return RedisAcceptor(name, cluster.connects[name], introduce)


def hold(patch: pytest.MonkeyPatch, script: str, timeout_s: float) -> tuple[asyncio.Event, asyncio.Event]:
    """Have coordinators with this timeout wait before this script. Returns what is set when one does, and what to set
    to let it go on."""
    talk, waits, go = membership._Coordinator._talk, asyncio.Event(), asyncio.Event()

    async def held(self: membership._Coordinator, name: str, *command: str) -> Any:
        if self.timeout_s == timeout_s and command[0] == "EVAL" and command[1] == script:
            waits.set()
            await go.wait()
        return await talk(self, name, *command)

    patch.setattr(membership._Coordinator, "_talk", held)
    return waits, go


async def test_of_four_members_two_pairs_do_not_take_two_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of four meet every quorum, three of them; so do the other two. Both plans were begun, at the same epoch."""
    async with gryadka.local_cluster(4, server="fakeredis") as cluster:
        names = cluster.names
        await cluster.proposer().change("n", lambda _: 1)
        talk, first_s = membership._Coordinator._talk, 1.25

        async def nearest_first(self: membership._Coordinator, name: str, *command: str) -> Any:
            near = names[:2] if self.timeout_s == first_s else names[2:]
            if command[0] == "EVAL" and command[1] == membership._CLAIM and name not in near:
                await asyncio.sleep(0.1)
            return await talk(self, name, *command)

        monkeypatch.setattr(membership._Coordinator, "_talk", nearest_first)
        wishes = (names[1:], first_s), (names[:3], 1.5)
        done = await asyncio.gather(
            *(change_members(cluster.connects, wish, timeout_s=timeout_s) for wish, timeout_s in wishes),
            return_exceptions=True,
        )
        assert all(isinstance(result, ConfigurationError) for result in done), done
        assert [await told_of(cluster, name) for name in names] == [None] * 4
        monkeypatch.undo()
        assert (await change_members(cluster.connects, names[1:])).epoch == 1, "nobody stands in the way of a next try"


@pytest.mark.parametrize("back", [True, False])
async def test_a_coordinator_whose_plan_was_given_up_does_not_come_back(
    back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited for a server, somebody gave its plan up and ended another one; then it put its own into force, too."""
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        proposer, old = cluster.proposer(), cluster.names
        await proposer.change("n", lambda _: 1)
        await cluster.add_server()
        waits, go = hold(monkeypatch, membership._ADOPT, 0.7)
        first = asyncio.create_task(change_members(cluster.connects, cluster.names, timeout_s=0.7))
        await waits.wait()
        wish = old if back else old[:2]
        report = await change_members(cluster.connects, wish, instead=True)
        assert report.epoch == 1, "or the old plan would fit the epoch in force"
        known = await standing(cluster.connects)
        go.set()
        with pytest.raises((ConfigurationError, AcceptorError)):
            await first
        for name in wish:
            assert await told_of(cluster, name) == (1, frozenset(known.identities[name] for name in wish))
        assert (await standing(cluster.connects)).roster == known.roster
        assert await proposer.change("n", lambda value: value + 1) == 2
        assert set(proposer.configuration.accept.members) == set(wish)


async def test_nor_does_it_bring_the_plan_to_a_member_that_missed_the_end_of_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who took the next plan, and missed how it ended, keeps it: else the old one could be put into force there."""
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        old = cluster.names
        await cluster.proposer().change("n", lambda _: 1)
        await cluster.add_server()
        waits, go = hold(monkeypatch, membership._ADOPT, 0.7)
        first = asyncio.create_task(change_members(cluster.connects, cluster.names, timeout_s=0.7))
        await waits.wait()
        talk, deaf = membership._Coordinator._talk, old[2]

        async def not_told(self: membership._Coordinator, name: str, *command: str) -> Any:
            if name == deaf and self.timeout_s == 60.0 and command[1] == membership._ADOPT:
                raise AcceptorError(name, "was not reached")
            return await talk(self, name, *command)

        monkeypatch.setattr(membership._Coordinator, "_talk", not_told)
        await change_members(cluster.connects, old, instead=True)
        go.set()
        with pytest.raises((ConfigurationError, AcceptorError)):
            await first
        assert await told_of(cluster, deaf) is None
        monkeypatch.undo()
        assert (await change_members(cluster.connects, old[:2])).epoch == 2, "and the next change goes through"


async def test_a_newcomer_hears_of_a_configuration_after_the_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else may reach it, so it cannot be asked to give the plan up: what it knows has to be in force."""
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        await cluster.proposer().change("n", lambda _: 1)
        await cluster.add_server()
        newcomer, talk = cluster.names[-1], membership._Coordinator._talk

        async def members_are_not_reached(self: membership._Coordinator, name: str, *command: str) -> Any:
            if name != newcomer and command[0] == "EVAL" and command[1] == membership._ADOPT:
                raise AcceptorError(name, "was not reached")
            return await talk(self, name, *command)

        monkeypatch.setattr(membership._Coordinator, "_talk", members_are_not_reached)
        with pytest.raises(AcceptorError, match="did not take the new configuration"):
            await change_members(cluster.connects, cluster.names, timeout_s=0.3)
        assert await raw(cluster, newcomer, "HGET", OWN, "identity") and await told_of(cluster, newcomer) is None


async def test_a_plan_is_ended_though_a_member_remembers_only_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others forgot the plan when it ended, and would not take its first steps again."""
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        proposer = cluster.proposer()
        await proposer.change("n", lambda _: 1)
        for _ in range(2):
            await cluster.add_server()
        talk, deaf, calls = membership._Coordinator._talk, cluster.names[0], 0

        async def soon_deaf(self: membership._Coordinator, name: str, *command: str) -> Any:
            nonlocal calls
            calls += name == deaf
            if name == deaf and calls > 2:  # it was asked, and took the plan
                raise AcceptorError(name, "was not reached")
            return await talk(self, name, *command)

        monkeypatch.setattr(membership._Coordinator, "_talk", soon_deaf)
        assert (await change_members(cluster.connects, cluster.names)).epoch == 2
        monkeypatch.undo()
        assert await told_of(cluster, deaf) is None and (await standing(cluster.connects)).underway
        report = await change_members(cluster.connects, cluster.names[1:], timeout_s=1.0)
        assert report.epoch == 3 and (await standing(cluster.connects)).underway is None
        assert await proposer.change("n", lambda value: value + 1) == 2


# -- what is copied to a newcomer -----------------------------------------------------------------------------


async def test_an_old_proposer_that_wakes_up_after_two_changes_takes_nothing_back(cluster: LocalCluster) -> None:
    """Its ballot was promised by A and B, and A was left behind. C, D and E chose something below that ballot; it was
    lost as soon as somebody came upon what A then accepted. (The explorer: 16 steps.)"""
    first, second, _ = cluster.names
    proposer = cluster.proposer()
    await proposer.change("other", lambda _: 1)
    high = Ballot(50, 9)
    for name in (first, second):
        old = await acceptor_of(cluster, name, 0)
        assert await old.send([("k", Prepare(high))]) == [Promise(ZERO, None)]
        await old.close()
    await proposer.close()
    old = await acceptor_of(cluster, first, 0)
    await cluster.kill(0)
    for _ in range(2):
        await cluster.add_server()
        await change_members(cluster.connects, cluster.names)
    await cluster.kill(1)
    async with cluster.proposer() as late:
        assert await late.change("k", lambda _: "new") == "new"
    await cluster.restart(0)
    assert await old.send([("k", Accept(high, pack('"old"', {}, high), high))]) == [Accepted()]
    await old.close()
    await cluster.kill(2)
    async with cluster.proposer() as reader:
        assert await reader.change("k", lambda value: value) == "new"


async def test_what_a_quorum_does_not_show_is_chosen_again_and_not_copied(cluster: LocalCluster) -> None:
    """A copy of what one acceptor has accepted looked like a second vote for it: a reader took it for chosen."""
    async with cluster.proposer() as proposer:
        await proposer.change("chosen", lambda _: 1)
        await proposer.change("half", lambda _: 1)
        await cluster.add_server()
        await change_members(cluster.connects, cluster.names)
        for key in ("chosen", "half"):
            await proposer.change(key, lambda value: value)
        known = await standing(cluster.connects)
        names = {identity: name for name, identity in known.identities.items()}
        ballot = Ballot(900, 7)
        lone = await acceptor_of(cluster, names[known.roster.configuration.prepare.members[0]], 1)
        assert await lone.send([("half", Accept(ballot, pack("2", {}, ballot), ballot))]) == [Accepted()]
        await lone.close()
        await cluster.add_server()
        report = await change_members(cluster.connects, cluster.names)
        assert report.moved == (3 + 1 + 3 + 4 * 2,), "one was copied, one was chosen again"
        newcomer = [*cluster.acceptors().values()][-1]
        assert (await state_of(newcomer, "chosen")).accepted > ZERO
        assert (await state_of(newcomer, "half")).accepted == ZERO
        assert await proposer.read("half") in (1, 2)


async def test_a_copy_that_is_made_again_is_a_copy_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newcomer refuses what it has already, since it has promised more; that is no reason to choose it again."""
    async with gryadka.local_cluster(3) as cluster:
        async with cluster.proposer() as proposer:
            for key in range(10):
                await proposer.change(f"k{key}", lambda _: "v")
        await asyncio.sleep(0.1)
        for _ in range(2):
            await cluster.add_server()
        note = membership._Coordinator._note

        async def dies_after_the_copy(self: membership._Coordinator, *parts: Any) -> Any:
            if self.moved:
                raise AcceptorError("the coordinator", "died")
            return await note(self, *parts)

        monkeypatch.setattr(membership._Coordinator, "_note", dies_after_the_copy)
        with pytest.raises(AcceptorError, match="died"):
            await change_members(cluster.connects, cluster.names)
        monkeypatch.undo()
        report = await change_members(cluster.connects, cluster.names)
        assert isinstance(report, Report) and report.moved == (10 * (3 + 1),)


@pytest.mark.parametrize("again", [False, True])
async def test_records_are_listed_by_whoever_got_a_copy(again: bool) -> None:
    """From one member to two, to another two, to four: those who had accepted the records first were gone, and no
    change could go on, nor a rescan: it was said that too few acceptors answered."""
    async with gryadka.local_cluster(1, server="fakeredis") as cluster:
        proposer, (first,) = cluster.proposer(), cluster.names
        await proposer.change("quiet", lambda _: "here")
        second, third, fourth, fifth = [await cluster.add_server() for _ in range(4)]
        await change_members(cluster.connects, [first, second])
        await change_members(cluster.connects, [second, third])
        if again:
            assert (await rescan({name: cluster.connects[name] for name in (second, third)})).records == 1
        await change_members(cluster.connects, [second, third, fourth, fifth], timeout_s=1.0)
        await cluster.kill(cluster.names.index(second))
        assert await proposer.change("quiet", lambda value: value) == "here"
