"""Members that change while everything else goes wrong: a simulated coordinator at the place M1.

What may live here: that coordinator. Its plans are the real ones (`gryadka.operations.plan`), and proposers learn
of a new configuration as they do on servers: an acceptor refuses whoever works with an older epoch than the one
that it was told of, and tells it the later one.

With a `Collecting` scenario, the coordinator also does what keeps a collector away: a plan begins when enough of the
members have noted it, and a newcomer, which is empty, begins with the highest floor of those.

With `Scenario.skip_rescan` the coordinator leaves out what brings old records along. Such a plan is refused by
`Plan`; here it is carried out all the same, to show what is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from gryadka.acceptors import Acceptor, state_of
from gryadka.errors import AcceptorError, NotApplied, OutcomeUnknown
from gryadka.operations.plan import Adopt, Copy, Past, Plan, Rescan, Start, make_plan, members
from gryadka.operations.records import copy_of
from gryadka.proposer import Proposer
from gryadka.protocol.acceptor import ZERO, Ballot, Conflict, State
from gryadka.protocol.configuration import Configuration
from gryadka.protocol.round import Status
from gryadka.reads import QuorumRead
from gryadka.simulation.network import InForce, Network, Order

HOST = "M1"
PAUSE_S = 0.005
REST_S = 0.2


class Member(Acceptor, Protocol):
    """An acceptor that can also be told of a configuration."""

    async def adopt(self, epoch: int, configuration: Configuration) -> None:
        """Put it into force there. Raises `AcceptorError` if no answer came."""

    async def obey(self, order: Order) -> Any:
        """Have it carry out an order. Raises `AcceptorError` if no answer came."""


class Coordinator:
    """Changes the members from one goal to the next, as long as it is let.

    `links` returns every acceptor, as seen from M1 in an epoch. `proposer` makes a proposer on some of them.
    """

    def __init__(
        self,
        links: Callable[[int], Mapping[str, Member]],
        proposer: Callable[[Configuration, Mapping[str, Member]], Proposer],
        keys: Sequence[str],
        *,
        skip_rescan: bool = False,
        collecting: bool = False,
    ) -> None:
        self._links = links
        self._proposer = proposer
        self._keys = keys
        self._skip_rescan = skip_rescan
        self._collecting = collecting
        self._epoch = 0

    async def work(self, begin: Configuration, goals: Sequence[str], *, again: bool) -> None:
        """Move to each goal, a text that names one acceptor by each letter; with `again`, for ever."""
        current: Configuration = begin
        past: tuple[Past, ...] = (Past(begin.accept),)
        while True:
            for number, goal in enumerate(goals):
                plan = make_plan(current, goal, past, copy=number % 2 == 0)
                floor = await self._claim(current, plan) if self._collecting else ZERO
                for step, following, after in plan.walk():
                    if self._collecting and isinstance(step, Start):
                        await self._start(step.name, current, floor)
                    elif isinstance(step, Adopt):
                        await self._adopt(current, following)
                    elif isinstance(step, Rescan | Copy) and not self._skip_rescan:
                        await self._bring(current, step.to if isinstance(step, Copy) else ())
                    current, past = following, after
                if self._collecting:
                    await asyncio.sleep(REST_S)  # or else a plan would stand in a collector's way all the time
            if not again:
                return

    async def _claim(self, current: Configuration, plan: Plan) -> Ballot:
        # Those that noted it meet every quorum, and are an accept quorum themselves. Returns their highest floor.
        links, floors = self._links(self._epoch), dict[str, Ballot]()
        ends = self._epoch + sum(isinstance(step, Adopt) for step in plan.steps)
        order = partial(Network.note, ends=ends)
        while not (
            current.prepare.lost_without(floors)
            and current.accept.lost_without(floors)
            and current.accept.met_by(floors)
        ):
            for name in sorted(members(current)):
                try:
                    floors[name] = await links[name].obey(order)
                except AcceptorError:
                    await asyncio.sleep(PAUSE_S)
        return max(floors.values())

    async def _start(self, name: str, current: Configuration, floor: Ballot) -> None:
        order = partial(Network.start, told=InForce(self._epoch, current), floor=floor)
        while True:
            try:
                await self._links(self._epoch)[name].obey(order)
            except AcceptorError:
                await asyncio.sleep(PAUSE_S)
            else:
                return

    async def _adopt(self, before: Configuration, following: Configuration) -> None:
        self._epoch += 1
        told: set[str] = set()
        while not (
            before.prepare.lost_without(told)
            and before.accept.lost_without(told)
            and following.prepare.met_by(told)
            and following.accept.met_by(told)
        ):
            links = self._links(self._epoch)
            for name in sorted(members(before) | members(following)):
                try:
                    await links[name].adopt(self._epoch, following)
                except AcceptorError:
                    await asyncio.sleep(PAUSE_S)
                else:
                    told.add(name)

    async def _bring(self, current: Configuration, to: Sequence[str]) -> None:
        # Chooses every record again, or brings it to newcomers.
        links = self._links(self._epoch)
        proposer = self._proposer(current, {name: links[name] for name in sorted(members(current))})
        for key in self._keys:
            if not to:
                await self._identity(proposer, key)
            for newcomer in to:
                read = QuorumRead(current)
                for name, state in (await self._read(current, links, key)).items():
                    read.receive(name, read.message, state)
                known = read.status is Status.REACHED
                if not known or not await self._taken(links[newcomer], key, read):
                    await self._identity(proposer, key)
        await proposer.close()

    async def _read(self, current: Configuration, links: Mapping[str, Member], key: str) -> dict[str, State]:
        return {name: await self._state(links[name], key) for name in current.prepare.members[-current.prepare.size :]}

    async def _state(self, member: Member, key: str) -> State:
        while True:
            try:
                return await state_of(member, key)
            except AcceptorError:
                await asyncio.sleep(PAUSE_S)

    async def _taken(self, newcomer: Member, key: str, read: QuorumRead) -> bool:
        copy = copy_of(read)
        while copy:
            try:
                (reply,) = await newcomer.send([(key, copy)])
            except AcceptorError:
                await asyncio.sleep(PAUSE_S)
            else:
                held = await self._state(newcomer, key)
                known = held.accepted >= read.latest.accepted and held.promised >= read.promised
                return not isinstance(reply, Conflict) or known
        return True

    async def _identity(self, proposer: Proposer, key: str) -> None:
        while True:
            try:
                await proposer.change(key, lambda value: value)
            except (NotApplied, OutcomeUnknown):
                await asyncio.sleep(PAUSE_S)
            else:
                return
