"""Members change on servers that serve: nothing is lost, a coordinator may die anywhere, old proposers are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gryadka
from gryadka import ConfigurationError, NotApplied, OutcomeUnknown, Proposer
from gryadka.acceptors.memory import MemoryAcceptor, memory_acceptors
from gryadka.acceptors.redis import RedisAcceptor
from gryadka.acceptors.roster import Roster
from gryadka.acceptors.servers import LocalCluster
from gryadka.checking.history import Recorder
from gryadka.checking.linearizability import MODELS, Ok, check
from gryadka.errors import AcceptorError
from gryadka.operations import membership
from gryadka.operations.membership import Report, change_members, standing
from gryadka.operations.plan import make_plan
from gryadka.operations.underway import Underway
from gryadka.protocol.acceptor import ZERO, Accept, Ballot, Prepare, Promise, Read, State
from gryadka.protocol.configuration import Configuration

pytestmark = pytest.mark.slow


async def add(proposer: Proposer, key: str) -> int:
    value: int = await proposer.change(key, lambda value: (value or 0) + 1)
    return value


async def become(cluster: LocalCluster, names: Sequence[str], **options: bool) -> Report:
    return await change_members(cluster.connects, names, **options)


class Busy:
    """Clients that add one to their counters, through two proposers, and keep a history."""

    def __init__(self, cluster: LocalCluster, clients: int) -> None:
        self.proposers = [cluster.proposer(), cluster.proposer()]
        self.recorder = Recorder()
        self.acknowledged = dict.fromkeys((f"counter-{number}" for number in range(clients)), 0)
        self.unknown = 0
        self.ended = False

    async def client(self, number: int) -> None:
        key, proposer = f"counter-{number}", self.proposers[number % 2]
        while not self.ended:
            try:
                await self.recorder.record(add(proposer, key), process=number, f="add", args=(1,), key=key)
                self.acknowledged[key] += 1
            except NotApplied:
                pass
            except OutcomeUnknown:
                self.unknown += 1


@asynccontextmanager
async def busy(cluster: LocalCluster, clients: int = 16) -> AsyncIterator[Busy]:
    work = Busy(cluster, clients)
    tasks = [asyncio.create_task(work.client(number)) for number in range(clients)]
    try:
        yield work
    finally:
        work.ended = True
        await asyncio.gather(*tasks)
    looker = cluster.proposer()
    for key, count in work.acknowledged.items():
        assert count <= await looker.change(key, lambda value: value or 0) <= count + work.unknown
    assert isinstance(check(work.recorder.history(), MODELS["counter"]), Ok)


async def test_three_to_four_to_five_to_four_to_three_under_load_with_a_dead_server_replaced(
    cluster: LocalCluster,
) -> None:
    async with busy(cluster) as work:
        for key in range(20):
            await work.proposers[0].change(f"quiet-{key}", lambda _, key=key: key)
        await cluster.add_server()
        await become(cluster, cluster.names)
        await cluster.add_server()
        report = await become(cluster, cluster.names)
        assert len(report.moved) == 1, "a newcomer was brought every record"
        await cluster.kill(0)
        await cluster.add_server()
        await become(cluster, cluster.names[1:])
        await become(cluster, cluster.names[2:])
        before = sum(work.acknowledged.values())
        report = await become(cluster, cluster.names[3:])
        await asyncio.sleep(0.2)
        assert sum(work.acknowledged.values()) > before, "it goes on serving"
    await cluster.kill(1)
    await cluster.kill(2)  # no members any more
    looker = cluster.proposer()
    assert [await looker.change(f"quiet-{key}", lambda value: value) for key in range(20)] == list(range(20))
    assert all(set(proposer.configuration.accept.members) == set(cluster.names[3:]) for proposer in work.proposers)


async def test_without_the_rescan_the_plan_that_loses_records_is_what_this_one_avoids(cluster: LocalCluster) -> None:
    """A record accepted by A and B only, and never touched again, is there when C, D and E are all that is left."""
    proposer = cluster.proposer()
    await cluster.kill(2)
    await proposer.change("quiet", lambda _: "here")
    await cluster.restart(2)
    await asyncio.sleep(0.1)
    for _ in range(2):
        await cluster.add_server()
        await become(cluster, cluster.names)
    await cluster.kill(0)
    await cluster.kill(1)
    assert await cluster.proposer().change("quiet", lambda value: value) == "here"


@pytest.mark.parametrize("copy", [True, False])
async def test_a_copy_moves_fewer_records_than_a_rescan(copy: bool) -> None:
    async with gryadka.local_cluster(3) as cluster:
        proposer = cluster.proposer()
        for key in range(10):
            await proposer.change(f"k{key}", lambda _: "v")
        await cluster.add_server()
        await cluster.add_server()
        report = await become(cluster, cluster.names, copy=copy)
        assert report.moved == ((10 * (3 + 1),) if copy else (10 * 4 * 2,))


# -- a coordinator that dies --------------------------------------------------------------------------------


class Died(Exception):
    """What ends a coordinator in the middle."""


@pytest.mark.slow
@pytest.mark.parametrize("then", ["goes on", "goes back"])
async def test_a_coordinator_may_die_before_any_of_its_calls(then: str, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = membership._Coordinator._talk
    for last in range(1, 400, 2):
        async with gryadka.local_cluster(3, server="fakeredis") as cluster:
            proposer, old = cluster.proposer(), cluster.names
            assert await add(proposer, "n") == 1
            await cluster.add_server()
            await cluster.add_server()
            calls = 0

            async def mortal(self: object, name: str, *command: str, last: int = last) -> object:
                nonlocal calls
                calls += 1
                if calls >= last:
                    raise Died
                return await talk(self, name, *command)  # type: ignore[arg-type]

            monkeypatch.setattr(membership._Coordinator, "_talk", mortal)
            died = False
            try:
                await change_members(cluster.connects, cluster.names, timeout_s=0.1)
            except (Died, ConfigurationError, AcceptorError):
                died = True
            monkeypatch.setattr(membership._Coordinator, "_talk", talk)
            assert await add(proposer, "n") == 2, f"it serves on, when the coordinator died at call {last}"
            if then == "goes on":
                await become(cluster, cluster.names)
                wanted = set(cluster.names)
            else:
                await become(cluster, old, instead=True)
                wanted = set(old)
            assert await add(proposer, "n") == 3
            assert set(proposer.configuration.accept.members) == wanted or (then == "goes back" and not died)
            assert (await standing(cluster.connects)).underway is None
            if not died:
                return
    pytest.fail("the coordinator never lived to the end")


async def test_a_plan_under_way_stands_in_the_way_of_another_one(cluster: LocalCluster) -> None:
    old = cluster.names
    await cluster.proposer().change("n", lambda _: 1)
    await cluster.add_server()
    known = await standing(cluster.connects)
    coordinator = membership._Coordinator(cluster.connects, "gryadka", 1.0, None)
    await coordinator.claim(coordinator.planned(known, cluster.names, True, False), known)
    await cluster.add_server()
    with pytest.raises(ConfigurationError, match="another change of members is under way"):
        await become(cluster, cluster.names)
    await become(cluster, old, instead=True)
    await become(cluster, cluster.names)


async def test_a_plan_is_given_up_only_if_everyone_who_has_it_gives_it_up() -> None:
    """Else the one that kept it could put its configuration into force beside the other, at the same epoch."""
    async with gryadka.local_cluster(4) as cluster:
        old = cluster.names
        await cluster.proposer().change("n", lambda _: 1)
        await cluster.add_server()
        known = await standing(cluster.connects)
        coordinator = membership._Coordinator(cluster.connects, "gryadka", 1.0, None)
        await coordinator.claim(coordinator.planned(known, cluster.names, True, False), known)
        await cluster.kill(0)
        with pytest.raises(AcceptorError, match="has to give up the plan that is under way"):
            await become(cluster, old[1:], instead=True)
        await cluster.restart(0)
        await become(cluster, old[1:], instead=True)
        assert (await standing(cluster.connects)).roster.epoch == 1


async def test_a_configuration_that_few_have_taken_is_put_into_force_before_another_one(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposer, old, adopted = cluster.proposer(), cluster.names, 0
    await add(proposer, "n")
    for _ in range(2):
        await cluster.add_server()
    talk = membership._Coordinator._talk

    async def dies_after_one(self: membership._Coordinator, name: str, *command: str) -> object:
        nonlocal adopted
        adopted += command[1] == membership._ADOPT if command[0] == "EVAL" else 0
        if adopted > 1:
            raise Died
        return await talk(self, name, *command)

    monkeypatch.setattr(membership._Coordinator, "_talk", dies_after_one)
    with pytest.raises(AcceptorError, match="did not take the new configuration"):
        await change_members(cluster.connects, cluster.names, timeout_s=0.1)
    epochs: list[str] = []

    async def told(self: membership._Coordinator, name: str, *command: str) -> object:
        if command[1] == membership._ADOPT:
            epochs.append(command[7])
        return await talk(self, name, *command)

    monkeypatch.setattr(membership._Coordinator, "_talk", told)
    assert (await standing(cluster.connects)).roster.epoch == 1, "one acceptor has it"
    await become(cluster, old, instead=True)
    assert epochs == ["1"] * 4 + ["2"] * 4
    assert (await standing(cluster.connects)).roster.epoch == 2
    assert await add(proposer, "n") == 2 and set(proposer.configuration.accept.members) == set(old)


async def test_a_member_that_missed_the_plan_hears_of_it_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async with gryadka.local_cluster(5) as cluster:
        await add(cluster.proposer(), "n")
        talk, deaf = membership._Coordinator._talk, cluster.names[1]

        async def first_lost(self: membership._Coordinator, name: str, *command: str) -> object:
            if name == deaf and command[0] == "EVAL":
                monkeypatch.setattr(membership._Coordinator, "_talk", talk)
                raise AcceptorError(name, "was not reached")
            return await talk(self, name, *command)

        monkeypatch.setattr(membership._Coordinator, "_talk", first_lost)
        await cluster.kill(0)  # now three of the four that stay have to know, and it is one of them
        await change_members(cluster.connects, cluster.names[:4], timeout_s=1)


async def test_of_two_coordinators_at_once_the_members_are_those_of_one(cluster: LocalCluster) -> None:
    proposer, old = cluster.proposer(), cluster.names
    await add(proposer, "n")
    one, other = await cluster.add_server(), await cluster.add_server()
    wishes = [[*old, one], [*old, other]]
    done = await asyncio.gather(*(become(cluster, wish) for wish in wishes), return_exceptions=True)
    assert all(isinstance(result, Report | ConfigurationError | AcceptorError) for result in done), done
    assert await add(proposer, "n") == 2
    roster = (await standing(cluster.connects)).roster
    won = [wish for wish, result in zip(wishes, done, strict=True) if isinstance(result, Report)]
    assert len(won) <= 1 and roster.epoch == len(won)
    if won:
        assert set(proposer.configuration.accept.members) == set(won[0])


# -- who is refused, and told why ---------------------------------------------------------------------------


async def test_a_proposer_that_slept_through_it_learns_of_it_from_the_refusal(cluster: LocalCluster) -> None:
    sleeper, awake = cluster.proposer(), cluster.proposer()
    await add(sleeper, "n")
    for _ in range(2):
        await cluster.add_server()
        await become(cluster, cluster.names)
    await become(cluster, cluster.names[2:])
    assert await add(awake, "n") == 2
    assert await add(sleeper, "n") == 3
    assert set(sleeper.configuration.accept.members) == set(cluster.names[2:])


async def test_an_acceptor_refuses_a_call_with_an_older_epoch(cluster: LocalCluster) -> None:
    acceptor = next(iter(cluster.acceptors().values()))
    await acceptor.send([("k", Prepare(Ballot(1, 1)))])
    await cluster.add_server()
    await become(cluster, cluster.names)
    with pytest.raises(AcceptorError, match="later configuration"):
        await acceptor.send([("k", Prepare(Ballot(2, 1)))])


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 2)])
async def test_an_acceptor_that_served_a_later_epoch_refuses_the_earlier_ones(
    cluster: LocalCluster, first: int, second: int
) -> None:
    """Though no coordinator reached it: else it would serve two configurations that are no neighbours."""
    name = cluster.names[0]
    identity = (await standing(cluster.connects)).identities[name]

    def working_in(epoch: int) -> RedisAcceptor:
        async def introduce(_: str) -> tuple[str, int]:
            return identity, epoch

        return RedisAcceptor(name, cluster.connects[name], introduce)

    early, late = working_in(first), working_in(second)
    assert await early.send([("k", Prepare(Ballot(1, 1)))]) == [Promise(ZERO, None)]
    assert await late.send([("other", Read())]) == [State()]
    with pytest.raises(AcceptorError, match="later configuration"):
        await early.send([("k", Accept(Ballot(1, 1), "1", Ballot(1, 1)))])
    for acceptor in (early, late):
        await acceptor.close()


async def test_a_server_of_another_cluster_does_not_become_a_member(cluster: LocalCluster) -> None:
    async with gryadka.local_cluster(1) as other:
        with pytest.raises(ConfigurationError, match="another cluster"):
            await change_members(cluster.connects | other.connects, [*cluster.names, *other.names])


async def test_a_wish_that_cannot_be_met_is_refused_before_anything_is_done(cluster: LocalCluster) -> None:
    with pytest.raises(ConfigurationError, match="no connection to nobody"):
        await become(cluster, [*cluster.names, "nobody"])
    with pytest.raises(ConfigurationError, match="cannot be formed by 0"):
        await become(cluster, [])
    assert (await standing(cluster.connects)).underway is None


async def test_too_few_members_for_a_change_are_told_and_nothing_is_changed() -> None:
    async with gryadka.local_cluster(5) as cluster:
        await add(cluster.proposer(), "n")
        for number in (0, 1, 2):
            await cluster.kill(number)
        with pytest.raises(ConfigurationError, match="cannot be told apart"):
            await become(cluster, cluster.names[1:])


async def test_a_round_of_an_earlier_configuration_proposes_nothing_more() -> None:
    """Its quorums may miss those in force: what it prepared must not be used after the change."""
    configuration, acceptors = memory_acceptors(3)
    proposer = Proposer(configuration, acceptors)
    newcomers = {name: MemoryAcceptor(name) for name in "DEF"}
    later = Configuration.majority(newcomers)

    def meanwhile(value: object) -> object:
        return "new"

    change = asyncio.create_task(proposer.change("k", meanwhile))
    while not acceptors["A"].states:  # it is being prepared
        await asyncio.sleep(0)
    proposer.reconfigure(later, newcomers)
    assert await change == "new"
    assert all(acceptor.states["k"].value is None for acceptor in acceptors.values())
    assert sum(acceptor.states["k"].value is not None for acceptor in newcomers.values()) >= 2
    await proposer.close()


# -- what is stored -----------------------------------------------------------------------------------------

names = st.sets(st.sampled_from("ABCDEFG"), min_size=1).map(sorted)


@given(names, names, st.booleans(), st.integers(0, 9))
def test_a_plan_and_a_configuration_come_back_from_their_text(
    old: list[str], new: list[str], copy: bool, number: int
) -> None:
    plan = make_plan(Configuration.majority(old), new, copy=copy)
    underway = Underway("n", plan, {name: f"host:{name}" for name in "ABCDEFG"}, number, number, "m")
    assert Underway.from_json(underway.to_json()) == underway
    for _, current, past in plan.walk():
        roster = Roster(number, current, {"A": "host:1"}, tuple((part.accept, part.copied) for part in past))
        assert Roster.from_json(roster.to_json()) == roster


@pytest.mark.parametrize("text", ["{}", "[]", "null", "1", "{", '{"epoch": 1, "prepare": 1}', '{"number": 1}'])
def test_what_is_no_plan_and_no_configuration_is_refused(text: str) -> None:
    for kind in (Underway, Roster):
        with pytest.raises(ValueError, match=r"not a |Expecting|delimiter|property"):
            kind.from_json(text)  # type: ignore[attr-defined]
