"""Deleted records, and how they are forgotten for good.

What may live here: `delete`, and the collector. Nobody has to be told of a collection: proposers go on working.

    await delete(proposer, "todo")
    report = await collect(cluster.connects)

A deletion writes a *tombstone*: a record whose value is None. It takes as much room as any other record, and it may
not simply be removed: with A = (2, 42) and B, C = (3, None), forgetting B and C would bring 42 back.

The rule: an acceptor keeps one ballot for all its registers, the *floor*. A register that is not there counts as
promised at the floor. A record is forgotten in two steps, which may be cut short anywhere and begun again:

1. the tombstone is accepted, at one ballot, by *all* members, so nothing older can be chosen by anybody;
2. each member, in one step of its own, removes the record if it still is that one, and raises its floor to what the
   record had promised.

So a delayed accept that is older than the tombstone is refused as it was before (no *lost delete*), and so is a new
value with a ballot below it (no *lost update*). A value made from nothing names the floor above which it was made
(gryadka/protocol/value.py): whoever sent an accept below it can no longer tell what became of that.

Members and records do not change at the same time: who has noted a change of members forgets nothing, and a newcomer
begins with the highest floor of those that noted it (gryadka/operations/membership.py).

Why this and not the *ages* of the paper (CASPaxos, section 3.1): there the collector has to reach every proposer,
known or not, paused or not, and each acceptor has to keep the age of every proposer. The floor needs neither, is one
ballot, and the explorer finds no fault in it (`gryadka.checking.deletion`, with a wrong variant for each guard).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from gryadka.acceptors import Acceptor, Request
from gryadka.acceptors.identity import Connect
from gryadka.acceptors.redis import RedisAcceptor
from gryadka.acceptors.roster import Roster
from gryadka.acceptors.wire import Wire
from gryadka.errors import UNREADABLE, AcceptorError, ConfigurationError, NotApplied, OutcomeUnknown, unreadable
from gryadka.operations.membership import standing
from gryadka.operations.plan import Past
from gryadka.operations.records import PAUSE_S, Records, Told, for_each
from gryadka.operations.rescan import named
from gryadka.operations.scripts import script
from gryadka.proposer import Proposer
from gryadka.protocol.acceptor import Ballot, Read, Reply, State
from gryadka.protocol.configuration import Configuration, Quorum
from gryadka.protocol.value import Value, decode, unpack

ATTEMPTS = 5

Tombstone = Callable[[Value], bool]

_WHY = {
    "identity": "is not the acceptor that it was: it was flushed or replaced",
    "epoch": "works with another configuration: the members are being changed",
    "plan": "has noted a change of members, which has to end first",
}

# KEYS: the acceptor's own hash. ARGV: the identity it has to have, and epoch, members and configuration in force.
_HEAR = """
local own = redis.call("HMGET", KEYS[1], "identity", "epoch")
if own[1] == ARGV[1] and tonumber(own[2] or 0) < tonumber(ARGV[2]) then
  redis.call("HSET", KEYS[1], "epoch", ARGV[2], "members", ARGV[3], "configuration", ARGV[4])
end
return own[1]
"""


@dataclass
class Report:
    """What came of a collection: how many records were `collected`, how many are in `use` and were let alone, and
    which deleted ones are `left`: key -> why. A record that is left may be collected another time."""

    collected: int = 0
    in_use: int = 0
    left: dict[str, str] = field(default_factory=dict)


async def delete(proposer: Proposer, key: str, *, timeout_s: float | None = None) -> None:
    """Delete the record of `key`: from now on it reads as None. Raises what `Proposer.change` raises.

    It leaves a tombstone, which `collect` removes. Do not delete what counts for somebody who may come back late: a
    version or a fencing token would begin again from nothing.
    """
    await proposer.change(key, lambda _: None, timeout_s=timeout_s)


async def collect(
    connects: Mapping[str, Connect],
    keys: Iterable[str] | None = None,
    *,
    namespace: str = "gryadka",
    tombstone: Tombstone = lambda value: value is None,
    timeout_s: float = 10.0,
    progress: Told = lambda done, whole: None,
) -> Report:
    """Forget the records that are deleted, or those of them that have these `keys`.

    `connects` maps the name of each member to a function that connects to it: all have to answer. `tombstone` says
    of a value whether the record is deleted; one that holds None, or nothing, always is. What it says yes to is
    lost, with all that the value remembers: a version, a fencing token, the answers to repeated requests.
    An attempt at a record may take `timeout_s` seconds. `progress` is told how many of how many are dealt with.

    It may be ended at any time, and begun again. A proposer that knew a forgotten record, and now changes that key
    again, may be told once that the outcome is unknown: its first accept is refused, and nobody can tell what became
    of it.

    Raises:
        ConfigurationError: it cannot be done now; nothing was begun.
        AcceptorError: a member does not answer, or must not forget anything now. Records may have been forgotten.
    """
    found = await standing(connects, namespace=namespace)
    roster = found.roster
    if any(plan.ends > roster.epoch for plan in found.plans):
        raise ConfigurationError("a change of members is under way: let it end, then collect")
    places = {identity: (name, connects[name]) for identity, name in named(found, connects).items()}
    members = {identity: _OnServer(identity, *place, roster.epoch, namespace) for identity, place in places.items()}
    everyone = Quorum(tuple(members), len(members))
    on_all = Configuration(roster.configuration.prepare, everyone)
    report = Report()
    try:
        async with Proposer(on_all, members, timeout_s=timeout_s, pause_s=PAUSE_S) as proposer:  # closes them, too
            for member in members.values():
                await member.open(roster)
            if keys is None:
                whole = Configuration(everyone, everyone)
                records = Records(places, whole, roster.epoch, namespace, timeout_s, progress)
                keys = await records.keys([Past(Quorum(everyone.members, 1))])
            collector = Collector(members, proposer, tombstone)
            work = partial(collector.collect, report=report)
            await for_each(list(dict.fromkeys(keys)), work, progress)
    except AcceptorError as error:
        raise AcceptorError(error.acceptor, f"{error.reason}. Records are forgotten by all members or none") from error
    return report


class Member(Acceptor, Protocol):
    """An acceptor that can forget a record."""

    async def forget(self, key: str, accepted: Ballot) -> str:
        """Remove the record if it was accepted at this ballot, and raise the floor to what it had promised.

        Returns "forgotten", "changed" if it was accepted at another ballot, or "gone" if it is not there. Raises
        `AcceptorError` if this acceptor must not forget anything now, or did not answer.
        """


class Collector:
    """Forgets one record after the other. `members` are all members; an accept quorum of `proposer` is all of them."""

    def __init__(
        self, members: Mapping[str, Member], proposer: Proposer, tombstone: Tombstone = lambda value: value is None
    ) -> None:
        self._members = members
        self._proposer = proposer
        self._tombstone = tombstone

    async def collect(self, key: str, report: Report) -> None:
        """Forget the record of `key` if it is deleted. Raises `AcceptorError` if a member is missing."""
        why = "it is being changed all the time"
        for _ in range(ATTEMPTS):
            shown = await asyncio.gather(*(self._shown(member, key) for member in self._members.values()))
            if faults := [str(state) for state in shown if isinstance(state, AcceptorError)]:
                report.left[key] = "; ".join(faults)
                return
            states = [state for state in shown if isinstance(state, State)]
            latest = max(states, key=lambda state: state.accepted)
            try:
                deleted = self._is_deleted(latest)
            except UNREADABLE as error:
                report.left[key] = str(unreadable(key, error))
                return
            if not deleted:
                report.in_use += 1
                return
            if self._is_everywhere(states, latest):
                await self._forget(key, latest.accepted, report)
                return
            try:
                await self._proposer.change(key, lambda value: value)
            except (NotApplied, OutcomeUnknown) as error:
                why = str(error)
        report.left[key] = why

    async def _shown(self, member: Member, key: str) -> Reply | AcceptorError:
        # An error that concerns this record alone is returned.
        return (await member.send([(key, Read())]))[0]

    def _is_everywhere(self, states: Sequence[State], latest: State) -> bool:
        return all(state.accepted == latest.accepted for state in states)

    def _is_deleted(self, state: State) -> bool:
        value = decode(unpack(state.value)[0])
        return value is None or self._tombstone(value)

    async def _forget(self, key: str, accepted: Ballot, report: Report) -> None:
        # Nothing accepted anywhere (`ZERO`): what a prepare of a missing record leaves. A promise under the floor is
        # as good as a promise in a record.
        done = await asyncio.gather(*(member.forget(key, accepted) for member in self._members.values()))
        if "changed" in done:
            report.left[key] = "it was changed meanwhile"
        else:
            report.collected += "forgotten" in done


class _OnServer:
    """A member on its server: an acceptor as any other, and beside it a connection for the scripts."""

    def __init__(self, identity: str, name: str, connect: Connect, epoch: int, namespace: str) -> None:
        async def introduce(_: str) -> tuple[str, int]:
            return identity, epoch

        self._acceptor = RedisAcceptor(name, connect, introduce, namespace)
        self._identity, self._epoch, self._own_key = identity, epoch, f"{namespace}:acceptor"
        self._wire: Wire | None = None
        self._sha = ""

    async def open(self, roster: Roster) -> None:
        """Connect, and tell it of the configuration in force: it may have missed it. Raises `AcceptorError`."""
        acceptor = self._acceptor
        self._wire = await Wire.over(acceptor.name, acceptor.connect(), acceptor.timeout_s)
        self._sha = (await self._wire.call("SCRIPT", "LOAD", script("forget"))).decode()
        in_force = str(roster.epoch), json.dumps(sorted(roster.members)), roster.to_json()
        await self._wire.call("EVAL", _HEAR, "1", self._own_key, self._identity, *in_force)

    async def send(self, requests: Sequence[Request]) -> Sequence[Reply | AcceptorError]:
        """Answer each request, in order."""
        return await self._acceptor.send(requests)

    async def forget(self, key: str, accepted: Ballot) -> str:
        """As `Member` has it."""
        assert self._wire
        register = f"{self._acceptor.namespace}:register:{key}"
        words = self._own_key, register, self._identity, str(self._epoch), str(accepted)
        said: str = (await self._wire.call("EVALSHA", self._sha, 2, *words)).decode()
        if said in _WHY:
            raise AcceptorError(self._acceptor.name, _WHY[said])
        return said

    async def close(self) -> None:
        """Let go of both connections."""
        if self._wire:
            await self._wire.close()
        await self._acceptor.close()
