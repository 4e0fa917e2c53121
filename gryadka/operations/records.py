"""Every record, chosen again (rescan) or brought to newcomers (copy).

One server's list of keys misses what a quorum without it accepted. So the keys are the union of the lists of
acceptors that together meet every accept quorum that a record may have been accepted by, or got a copy since.

With K records and 2F+1 acceptors a rescan asks every acceptor twice for each record, a prepare and an accept,
and both carry it; a copy reads it from a majority and writes it to each newcomer.

A newcomer stands in for acceptors that it has never heard of, so it takes over two things:

- *what is chosen*, as a quorum read shows it (gryadka/reads.py). What only some have accepted is not copied: the
  newcomer's copy would look like one more vote. Such a record is chosen again instead, as in a rescan;
- *what is promised*, the highest of it. An old proposer may still be at work with a high ballot, on acceptors that
  are left behind. Without its promise the newcomers would help to choose something below that, which is lost when
  somebody comes upon what the old one left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from gryadka.acceptors import state_of
from gryadka.acceptors.identity import Connect
from gryadka.acceptors.redis import RedisAcceptor, to_ballot
from gryadka.acceptors.wire import Wire
from gryadka.errors import AcceptorError, NotApplied, OutcomeUnknown
from gryadka.operations.plan import Past, members
from gryadka.proposer import Proposer
from gryadka.protocol.acceptor import ZERO, Accept, Ballot, Conflict, Prepare, State
from gryadka.protocol.configuration import Configuration
from gryadka.protocol.round import Status
from gryadka.reads import QuorumRead

AT_ONCE = 64
PAUSE_S = (0.001, 0.01)  # a longer one would never catch up with a register that is changed all the time
BATCH = 1000

Told = Callable[[int, int], None]


class Records:
    """The records of a cluster in one epoch. `places` maps identities to a name and a function that connects."""

    def __init__(
        self,
        places: Mapping[str, tuple[str, Connect]],
        configuration: Configuration,
        epoch: int,
        namespace: str,
        timeout_s: float,
        told: Told,
    ) -> None:
        self._places = places
        self._configuration = configuration
        self._namespace = namespace
        self._timeout_s = timeout_s
        self._told = told
        self._moved = 0
        self._sources: list[str] = []  # a prepare quorum of acceptors that answer
        self._acceptors: dict[str, RedisAcceptor] = {}
        for identity, (name, connect) in places.items():

            async def introduce(_: str, identity: str = identity) -> tuple[str, int]:
                return identity, epoch

            self._acceptors[identity] = RedisAcceptor(name, connect, introduce, namespace)

    async def rescan(self, past: Iterable[Past]) -> int:
        """Choose every record again under the configuration in force. Returns how many records moved."""
        names = members(self._configuration)
        acceptors = {name: self._acceptors[name] for name in names}
        async with Proposer(self._configuration, acceptors, timeout_s=self._timeout_s, pause_s=PAUSE_S) as proposer:

            async def again(key: str) -> None:
                await self._identity(proposer, key)
                self._moved += len(names) * 2

            await for_each(await self.keys(past), again, self._told)
        return self._moved

    async def copy(self, to: Sequence[str], past: Iterable[Past]) -> int:
        """Bring every record to the newcomers. Returns how many records moved."""
        async with Proposer(
            self._configuration, self._acceptors, timeout_s=self._timeout_s, pause_s=PAUSE_S
        ) as proposer:

            async def bring(key: str) -> None:
                read = QuorumRead(self._configuration)
                self._moved += len(self._sources)
                asked = (state_of(self._acceptors[source], key) for source in self._sources)
                for source, state in zip(self._sources, await asyncio.gather(*asked), strict=True):
                    read.receive(source, read.message, state)
                known = read.status is Status.REACHED
                if not known or not all([await self._taken(newcomer, key, read) for newcomer in to]):
                    await self._identity(proposer, key)
                    self._moved += len(members(self._configuration)) * 2

            await for_each(await self.keys(past), bring, self._told)
        return self._moved

    async def keys(self, past: Iterable[Past]) -> list[str]:
        """Return the keys of all records, sorted; `past` tells where they may be.

        Raises `AcceptorError` if too few acceptors answer.
        """
        asked = self._configuration.prepare.members
        lists = await asyncio.gather(*map(self._listed, asked), return_exceptions=True)
        found = {name: keys for name, keys in zip(asked, lists, strict=True) if isinstance(keys, set)}
        # Who meets every old accept quorum knows of each record; so does who got a copy of them.
        known = all(part.accept.lost_without(found) or part.copied & found.keys() for part in past)
        if not known or not self._configuration.prepare.met_by(found):
            faults = "; ".join(str(fault) for fault in lists if isinstance(fault, Exception))
            problem = "has too few acceptors that answer to list all records; start the others, and try again"
            raise AcceptorError("the cluster", f"{problem} ({faults})")
        self._sources = list(found)[: self._configuration.prepare.size]
        return sorted(set[str]().union(*found.values()))

    async def _listed(self, identity: str) -> set[str]:
        name, connect = self._places[identity]
        # Once it was asked in our epoch it serves no earlier one: nothing is accepted there that the list misses.
        await state_of(self._acceptors[identity], "")
        await self._acceptors[identity].close()
        keys = {key async for key in listed(name, connect, self._namespace)}
        wire = await Wire.over(name, connect(), 1.0)
        try:
            # A server that was flushed meanwhile lists too few.
            if await wire.call("HGET", f"{self._namespace}:acceptor", "identity") != identity.encode():
                raise AcceptorError(name, "is not the acceptor that it was")
        finally:
            await wire.close()
        return keys

    async def _taken(self, newcomer: str, key: str, read: QuorumRead) -> bool:
        # Whether it knows by now what the read has shown.
        copy, acceptor = copy_of(read), self._acceptors[newcomer]
        if copy is None:
            return True
        (reply,) = await acceptor.send([(key, copy)])
        if isinstance(reply, AcceptorError):
            raise reply
        self._moved += isinstance(copy, Accept)
        if not isinstance(reply, Conflict):
            return True
        held = await state_of(acceptor, key)  # it took the copy before, or its floor is higher
        return held.accepted >= read.latest.accepted and held.promised >= read.promised

    async def _identity(self, proposer: Proposer, key: str) -> None:
        # The identity may be chosen twice without harm.
        deadline_s = asyncio.get_running_loop().time() + self._timeout_s
        while True:
            try:
                await proposer.change(key, lambda value: value)
                return
            except (NotApplied, OutcomeUnknown):
                if asyncio.get_running_loop().time() > deadline_s:
                    raise


def copy_of(read: QuorumRead) -> Accept | Prepare | None:
    """Return what a newcomer is asked, so that it knows what a read has shown; None if there is nothing to know."""
    latest, promised = read.latest, read.promised
    if latest.accepted == ZERO:
        return None if promised == ZERO else Prepare(promised)
    assert latest.value is not None
    return Accept(latest.accepted, latest.value, promised)


async def for_each(keys: Collection[str], work: Callable[[str], Awaitable[None]], told: Told) -> None:
    """Do the work for each key, several at once. Raises the first error that it raises."""
    waiting, done = iter(keys), 0

    async def worker() -> None:
        nonlocal done
        for key in waiting:
            await work(key)
            done += 1
            told(done, len(keys))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(keys))):
                group.create_task(worker())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def listed(name: str, connect: Connect, namespace: str) -> AsyncIterator[str]:
    """Yield the key of each register that one server holds, some perhaps twice. Raises `AcceptorError`."""
    prefix, cursor = f"{namespace}:register:", b"0"
    wire = await Wire.over(name, connect(), 5.0)
    try:
        while True:
            cursor, keys = await wire.call("SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", BATCH)
            for key in keys:
                yield key.decode()[len(prefix) :]
            if cursor == b"0":
                return
    finally:
        await wire.close()


async def registers(name: str, connect: Connect, namespace: str) -> AsyncIterator[tuple[str, State]]:
    """Yield each register that one server holds, by key. Raises `AcceptorError`."""
    keys = sorted({key async for key in listed(name, connect, namespace)})
    wire = await Wire.over(name, connect(), 5.0)
    try:
        for key in keys:
            fields = "promised", "accepted", "value"
            promised, accepted, value = await wire.call("HMGET", f"{namespace}:register:{key}", *fields)
            yield key, State(to_ballot(promised or b"0:0"), to_ballot(accepted or b"0:0"), value and value.decode())
    finally:
        await wire.close()


async def floor_of(name: str, connect: Connect, namespace: str) -> Ballot:
    """Return the ballot below which one server has forgotten records, or `ZERO`. Raises `AcceptorError`."""
    wire = await Wire.over(name, connect(), 5.0)
    try:
        return to_ballot(await wire.call("HGET", f"{namespace}:acceptor", "floor") or b"0:0")
    finally:
        await wire.close()
