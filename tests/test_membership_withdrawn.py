"""A plan that somebody counts on does not vanish, and one that is over stands in nobody's way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import gryadka
from gryadka import ConfigurationError
from gryadka.acceptors.roster import Roster
from gryadka.acceptors.servers import LocalCluster
from gryadka.errors import AcceptorError
from gryadka.operations import membership
from gryadka.operations.membership import change_members, standing
from gryadka.operations.plan import members
from gryadka.operations.scripts import script
from tests.on_servers import OWN, raw

pytestmark = pytest.mark.slow


async def told(cluster: LocalCluster) -> dict[int, list[set[str]]]:
    """Return the names of the members in each configuration that a server that runs was told of, by epoch."""
    words = "HGET", OWN, "configuration"
    said = await asyncio.gather(*(raw(cluster, name, *words) for name in cluster.names), return_exceptions=True)
    texts = [text for text in said if isinstance(text, bytes)]
    found: dict[int, list[set[str]]] = {}
    for roster in (Roster.from_json(text) for text in texts):
        names = set(roster.addresses.values())
        if names not in found.setdefault(roster.epoch, []):
            found[roster.epoch].append(names)
    return found


class Lost:
    """Loses what coordinators send: each (script, names) that is set."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.scripts: dict[str, list[str]] = {}
        talk = membership._Coordinator._talk

        async def lossy(coordinator: membership._Coordinator, name: str, *command: str) -> Any:
            if command[0] == "EVAL" and name in self.scripts.get(command[1], []):
                raise AcceptorError(name, "was not reached")
            return await talk(coordinator, name, *command)

        patch.setattr(membership._Coordinator, "_talk", lossy)


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lost]:
    yield Lost(monkeypatch)


async def grown(cluster: LocalCluster, servers: int) -> list[str]:
    """Start so many empty servers beside a cluster that is in use; return the names of the members."""
    names = list(cluster.names)
    await cluster.proposer().change("n", lambda _: 1)
    for _ in range(servers):
        await cluster.add_server()
    return names


async def test_who_cannot_go_on_with_a_plan_leaves_it_where_it_is(lost: Lost) -> None:
    """It took the plan from the one member that answered. Another plan was put into force at the same epoch."""
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        old = await grown(cluster, 1)
        lost.scripts = {membership._CLAIM: old[2:], membership._ADOPT: old[1:]}
        with pytest.raises(AcceptorError, match="did not take the new configuration"):
            await change_members(cluster.connects, cluster.names, timeout_s=0.2)
        assert await told(cluster) == {1: [set(cluster.names)]}
        lost.scripts = {}
        await cluster.kill(0)  # who was told of the new configuration
        await cluster.kill(2)
        with pytest.raises(AcceptorError, match=r"too few members that answer .*; start the others"):
            await change_members(cluster.connects, cluster.names, timeout_s=0.2)
        await cluster.restart(2)
        with pytest.raises(ConfigurationError, match="another change of members is under way"):
            await change_members(cluster.connects, old[1:], timeout_s=0.2)
        assert (await change_members(cluster.connects, cluster.names, timeout_s=0.2)).epoch == 1
        await cluster.restart(0)
        assert await told(cluster) == {1: [set(cluster.names)]}


async def test_a_plan_that_another_coordinator_goes_on_with_is_not_withdrawn(lost: Lost) -> None:
    """Its maker came too late for that: a third one could claim another plan beside it, at the same epoch."""
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        old = await grown(cluster, 1)
        lost.scripts = {membership._CLAIM: old[1:], membership._WITHDRAW: old}
        with pytest.raises(AcceptorError, match="too few members that answer"):
            await change_members(cluster.connects, cluster.names)
        lost.scripts = {membership._CLAIM: old[2:]}
        other = membership._Coordinator(cluster.connects, "gryadka", 0.2, None)
        known = await other.ask_all()
        resumed = other.planned(known, cluster.names, True, False)
        await other.claim(resumed, known)
        lost.scripts = {}
        # The maker's withdrawal arrives late, its claim later still, and the withdrawal twice.
        maker = membership._Coordinator(cluster.connects, "gryadka", 0.2, None, made=resumed.number)
        present = members(resumed.plan.begin)
        await maker._tell(present, membership._WITHDRAW, resumed)
        await maker._note([known.identities[old[0]]], resumed, 0)
        await maker._tell(present, membership._WITHDRAW, resumed)
        for name in old[:2]:
            assert await raw(cluster, name, "HGET", OWN, "number") == resumed.number.encode()
        with pytest.raises(ConfigurationError, match="another change of members is under way"):
            await change_members(cluster.connects, old[1:])
        assert (await other.run(resumed)).epoch == 1 and await told(cluster) == {1: [set(cluster.names)]}


async def test_a_plan_that_came_too_late_is_over(lost: Lost) -> None:
    """A member that had missed a change took a plan that was older. It was carried out there, at the same epoch as
    the other, and every change from then on had to wait for it, in vain."""
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        old = await grown(cluster, 2)
        late = membership._Coordinator(cluster.connects, "gryadka", 0.2, None)
        known = await late.ask_all()
        plan = late.planned(known, [*old, cluster.names[4]], True, False)
        await cluster.kill(2)
        assert (await change_members(cluster.connects, cluster.names[:4])).epoch == 1
        await cluster.restart(2)
        lost.scripts = {membership._WITHDRAW: old}
        with pytest.raises(ConfigurationError, match="begun at the same time"):
            await late.claim(plan, known)
        assert await raw(cluster, old[2], "HGET", OWN, "number"), "or the test tests nothing"
        lost.scripts = {}
        assert (await standing(cluster.connects)).underway is None
        assert (await change_members(cluster.connects, cluster.names, timeout_s=0.2)).epoch == 2
        assert await told(cluster) == {2: [set(cluster.names)]}


async def test_a_longer_plan_that_came_too_late_does_not_keep_a_member_from_the_next(lost: Lost) -> None:
    """It would end in an epoch that is yet to come, and the member that kept it was needed."""
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        old = await grown(cluster, 2)
        late = membership._Coordinator(cluster.connects, "gryadka", 0.2, None)
        known = await late.ask_all()
        plan = late.planned(known, cluster.names, True, False)
        await cluster.kill(2)
        assert (await change_members(cluster.connects, cluster.names[:4])).epoch == 1
        await cluster.restart(2)
        lost.scripts = {membership._WITHDRAW: old}
        with pytest.raises(ConfigurationError, match="begun at the same time"):
            await late.claim(plan, known)
        lost.scripts = {}
        await cluster.kill(0)
        assert (await change_members(cluster.connects, cluster.names[1:4], timeout_s=0.2)).epoch == 2


async def test_a_plan_is_given_up_by_all_or_none(lost: Lost) -> None:
    """Of two members that answered both took the plan in its place, which the dead one could not: neither could end."""
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        old = await grown(cluster, 2)
        await cluster.kill(2)
        one, other = ([*old[:2], name] for name in cluster.names[3:])
        lost.scripts = {membership._ADOPT: cluster.names}
        with pytest.raises(AcceptorError, match="did not take the new configuration"):
            await change_members(cluster.connects, one, timeout_s=0.1)
        lost.scripts = {}
        with pytest.raises(AcceptorError, match=f"{old[2]}: has to give up the plan.* asking for the same once more"):
            await change_members(cluster.connects, other, instead=True)
        assert (await change_members(cluster.connects, one)).epoch == 2, "as the advice said"
        assert (await change_members(cluster.connects, other)).epoch == 4


async def test_members_are_not_taken_out_of_force_for_others_that_cannot_be(lost: Lost) -> None:
    """A newcomer was lost before it came. With a dead member beside it, nobody was left to serve."""
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        proposer = cluster.proposer()
        old = await grown(cluster, 1)
        newcomer = cluster.names[3]
        assert await proposer.change("n", lambda value: value) == 1
        await cluster.kill(2)
        lost.scripts = {membership._ADOPT: cluster.names}
        with pytest.raises(AcceptorError, match="did not take the new configuration"):
            await change_members(cluster.connects, [*old[:2], newcomer], timeout_s=0.1)
        lost.scripts = {}
        await cluster.kill(3)
        with pytest.raises(AcceptorError, match=f"{old[2]}, {newcomer}: did not take .* start it"):
            await change_members(cluster.connects, [*old[:2], newcomer], timeout_s=0.2)
        assert await told(cluster) == {}
        assert await proposer.change("n", lambda value: value + 1) == 2
        await cluster.restart(3)
        assert (await change_members(cluster.connects, [*old[:2], newcomer])).epoch == 2


async def test_a_newcomer_that_was_emptied_is_started_anew(lost: Lost) -> None:
    """The change went on without it, and said that it was a member."""
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        await grown(cluster, 1)
        newcomer = cluster.names[3]
        lost.scripts = {membership._ADOPT: cluster.names}
        with pytest.raises(AcceptorError, match="another change may have gone on meanwhile: look"):
            await change_members(cluster.connects, cluster.names, timeout_s=0.1)
        lost.scripts = {}
        await raw(cluster, newcomer, "FLUSHALL")
        with pytest.raises(ConfigurationError, match=f"{newcomer} was emptied .* begin that change anew .*--instead"):
            await change_members(cluster.connects, cluster.names)
        await change_members(cluster.connects, cluster.names, instead=True)
        known = await standing(cluster.connects)
        assert known.roster.members == set(known.identities.values()) and len(known.identities) == 4


async def test_those_that_answer_may_know_less_than_the_plan_that_they_keep(lost: Lost) -> None:
    """It began in a configuration that none of them was told of: `KeyError`, for a member that had left by then."""
    async with gryadka.local_cluster(4, server="fakeredis") as cluster:
        old = await grown(cluster, 1)
        lost.scripts = {membership._CLAIM: [old[3]], membership._ADOPT: [old[0], old[3]]}
        assert (await change_members(cluster.connects, old[1:])).epoch == 1
        lost.scripts = {membership._ADOPT: cluster.names}
        with pytest.raises(AcceptorError, match="did not take the new configuration"):
            await change_members(cluster.connects, cluster.names[1:], timeout_s=0.1)
        lost.scripts = {}
        for number in range(3):
            await cluster.kill(number)
        for wish in (cluster.names[1:], old[2:]):
            with pytest.raises(AcceptorError, match=r"know of epoch 0 .* epoch 1 is in force; .* start the others"):
                await change_members(cluster.connects, wish, instead=wish == old[2:])
        await cluster.restart(1)
        assert (await change_members(cluster.connects, cluster.names[1:])).epoch == 2


async def test_what_a_newcomer_keeps_of_a_plan_that_was_given_up_stands_in_nobodys_way() -> None:
    """It was started when nobody meant it any more. The plan that did mean it could neither go on nor be given up."""
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        old = await grown(cluster, 1)
        newcomer = cluster.names[3]
        first = membership._Coordinator(cluster.connects, "gryadka", 0.2, None)
        known = await first.ask_all()
        given_up = first.planned(known, cluster.names, True, False)
        await first.claim(given_up, known)
        second = membership._Coordinator(cluster.connects, "gryadka", 0.2, None)
        known = await second.ask_all()
        plan = second.planned(known, [*old[1:], newcomer], True, True)
        await second.claim(plan, known)
        present = members(given_up.plan.begin)
        identity = next(one for one, name in given_up.addresses.items() if name == newcomer)
        words = identity, given_up.number, given_up.to_json(), "1", json.dumps(sorted(present)), "0:0", ""
        assert await raw(cluster, newcomer, "EVAL", script("start"), "1", OWN, *words) == identity.encode()
        await change_members(cluster.connects, old, instead=True)
        assert await told(cluster) == {1: [set(old)]}


async def test_a_plan_is_gone_on_with_though_it_replaces_one_with_newcomers_of_its_own(lost: Lost) -> None:
    """Of three plans at once, none made by somebody who saw all others: `KeyError`, for another one's newcomer."""
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        old = await grown(cluster, 2)
        one, other = cluster.names[3:]
        first, second, third = (membership._Coordinator(cluster.connects, "gryadka", 0.2, None) for _ in range(3))
        known = await first.ask_all()
        begun = first.planned(known, [*old, one], True, False)
        await first.claim(begun, known)
        known = await second.ask_all()
        instead = second.planned(known, old[:2], True, True)
        beside = third.planned(known, [*old, other], True, True)
        await second._note([known.identities[old[0]]], instead, 0)
        await third._note([known.identities[old[1]]], beside, 0)
        newcomer = next(identity for identity, name in beside.addresses.items() if name == other)
        words = newcomer, beside.number, beside.to_json(), "1", "[]", "0:0", ""
        assert await raw(cluster, other, "EVAL", script("start"), "1", OWN, *words) == newcomer.encode()
        await raw(cluster, other, "HDEL", OWN, "members")
        last = membership._Coordinator(cluster.connects, "gryadka", 0.2, None)
        known = await last.ask_all()
        plans = sorted(known.plans, key=lambda plan: plan.number != instead.number)
        underway = last.planned(replace(known, plans=tuple(plans)), old[:2], True, True)
        assert underway.number == instead.number
        await last.claim(underway, known)
        await last.run(underway)
        assert await told(cluster) == {1: [set(old[:2])]}


async def test_a_plan_that_only_a_newcomer_shows_is_not_taken_from_members(lost: Lost) -> None:
    """The members' answers were lost, so that it seemed to be over; they had claimed it, and it went on."""
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        old = await grown(cluster, 2)
        lost.scripts = {membership._CLAIM: old[2:], membership._ADOPT: cluster.names}
        with pytest.raises(AcceptorError, match="did not take the new configuration"):
            await change_members(cluster.connects, cluster.names[:4], timeout_s=0.1)
        await cluster.kill(0)
        await cluster.kill(1)
        late = membership._Coordinator(cluster.connects, "gryadka", 0.2, None)
        known = await late.ask_all()
        assert cluster.names[3] in known.identities and not known.plans
        lost.scripts = {}
        for number in (0, 1):
            await cluster.restart(number)
        for name in old[:2]:
            identity = (await raw(cluster, name, "HGET", OWN, "identity")).decode()
            known = replace(known, identities={**known.identities, name: identity})
        with pytest.raises(ConfigurationError, match="begun at the same time"):
            await late.claim(late.planned(known, old[:2], True, False), known)
        assert (await change_members(cluster.connects, cluster.names[:4])).epoch == 1
