"""Acceptors behind a network that loses, delays, reorders, doubles and cuts.

What may live here: packets on their way, and acceptors that are down or stand still. What happens to which
packet, and when something breaks, is decided elsewhere (`plan`, `run`); what an acceptor answers is decided by
its own rules.

The theory in a few lines. A *packet* is one batch of messages, or the replies to it, and it travels as a whole.
An acceptor answers all of a batch at one instant, and has stored what it promised before its reply leaves: a
crash loses packets that arrive meanwhile, never what was stored (that is *amnesia*). A cut stops what wants to
leave; what has left before may still arrive, even long after, and even after its sender is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from gryadka.acceptors import Request
from gryadka.acceptors.memory import MemoryAcceptor
from gryadka.errors import AcceptorError
from gryadka.protocol.acceptor import ZERO, Ballot, Read, State
from gryadka.protocol.configuration import Configuration
from gryadka.simulation.plan import Fate, Fates
from gryadka.trace import Event, Observe

_Replies = list[Any]  # of messages, a reply or an `AcceptorError`; of an order, what it returned

Order = Callable[["Network", str, int], Any]
"""What an operator has an acceptor do, in one step: called with its name, and the epoch of who sent it."""


class Link:
    """An acceptor as one proposer sees it. `host` is the proposer's place, `node` its own name in the trace.

    It belongs to the configuration of one `epoch`; `follow` is told of a later one that is in force there.
    """

    def __init__(self, network: Network, host: str, node: str, acceptor: str, answer_s: float, epoch: int = 0) -> None:
        self.host, self.node, self.acceptor, self.epoch = host, node, acceptor, epoch
        self.follow: Callable[[InForce], None] | None = None
        self._network = network
        self._answer_s = answer_s

    async def send(self, requests: Sequence[Request]) -> _Replies:
        """Carry the requests there and the replies back. Raises `AcceptorError` if none came within `answer_s`."""
        return await self._answered(requests)

    async def adopt(self, epoch: int, configuration: Configuration) -> None:
        """Put a configuration into force there. Raises `AcceptorError` if no answer came within `answer_s`."""
        await self._answered((), InForce(epoch, configuration))

    async def obey(self, order: Order) -> Any:
        """Have the acceptor carry out an order, and return what that returns.

        Raises `AcceptorError` if the order does, or no answer came within `answer_s`.
        """
        (answer,) = await self._answered((), order=order)
        if isinstance(answer, AcceptorError):
            raise answer
        return answer

    async def forget(self, key: str, accepted: Ballot) -> str:
        """Have the acceptor forget a record; see `gryadka.operations.deletion.Member`."""
        answer: str = await self.obey(partial(Network.forget, key=key, accepted=accepted))
        return answer

    async def _answered(
        self, requests: Sequence[Request], adopt: InForce | None = None, order: Order | None = None
    ) -> _Replies:
        network = self._network
        answer: asyncio.Future[_Replies] = network.loop.create_future()
        timer = network.loop.call_later(self._answer_s, self._give_up, answer)
        network.carry(_Packet(self, requests, answer, adopt=adopt, order=order))
        try:
            return await answer
        finally:
            timer.cancel()

    async def close(self) -> None:
        """Do nothing: what was sent stays under way."""

    def _give_up(self, answer: asyncio.Future[_Replies]) -> None:
        if not answer.done():
            answer.set_exception(AcceptorError(self.acceptor, f"did not answer within {self._answer_s:g} s"))


class InForce(NamedTuple):
    """A configuration, as an acceptor was told of it."""

    epoch: int
    configuration: Configuration


class _Packet(NamedTuple):
    """A batch on its way; with `replies` it is on its way back. `adopt` puts a configuration into force; on the
    way back it is a later one, for which the batch was refused."""

    link: Link
    requests: Sequence[Request]
    answer: asyncio.Future[_Replies]
    replies: _Replies | None = None
    adopt: InForce | None = None
    order: Order | None = None


class Network:
    """The ways between proposers and acceptors.

    `fates` decides about each packet that leaves; with `record`, `fates_met` keeps what it said. `observe` is
    told of packets dropped and doubled, and of each acceptor's state after each message.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        acceptors: Mapping[str, MemoryAcceptor],
        fates: Fates,
        *,
        observe: Observe | None = None,
        record: bool = False,
    ) -> None:
        self.loop = loop
        self.acceptors = acceptors
        self.fates_met: dict[str, Fate] = {}
        self.in_force: dict[str, InForce] = {}  # acceptor -> the latest configuration that it was told of
        self.ends: dict[str, int] = {}  # acceptor -> the epoch in which the plan ends that it has noted
        self.raises_floor = True
        self._started: dict[str, int] = {}  # acceptor -> the epoch in which it last began as a newcomer
        self._fates = fates
        self._observe = observe
        self._record = record
        self._sent: dict[tuple[str, str], int] = {}  # how many packets have left on each way
        self._cuts: list[frozenset[str]] = []
        self._down: list[str] = []
        self._held: dict[str, list[_Packet]] = {}  # acceptor that stands still -> what waits for it

    def links(self, host: str, node: str, answer_s: float, epoch: int = 0) -> dict[str, Link]:
        """Return every acceptor as the proposer `node` at `host` sees it."""
        return {name: Link(self, host, node, name, answer_s, epoch) for name in self.acceptors}

    # -- faults ------------------------------------------------------------------------------------------

    def cut(self, ways: frozenset[str]) -> None:
        """Let nothing leave on these ways ("P1>A") from now on."""
        self._cuts.append(ways)

    def heal(self, ways: frozenset[str]) -> None:
        """Take back one `cut`."""
        self._cuts.remove(ways)

    def crash(self, acceptor: str) -> None:
        """Take an acceptor down: what arrives there is lost."""
        self._down.append(acceptor)

    def restart(self, acceptor: str, *, forget: bool = False) -> None:
        """Bring it back with what it had stored, or, against all rules, without."""
        self._down.remove(acceptor)
        if forget:
            self.acceptors[acceptor].states.clear()

    def pause(self, acceptor: str) -> None:
        """Let an acceptor stand still: what arrives waits."""
        self._held.setdefault(acceptor, [])

    def resume(self, acceptor: str) -> None:
        """Let it go on, first with what waits, in the order of arrival."""
        for packet in self._held.pop(acceptor, []):
            self._arrive(packet)

    # -- orders: each is one step of one acceptor --------------------------------------------------------

    def forget(self, name: str, epoch: int, key: str, accepted: Ballot) -> str:
        """Forget a record, as gryadka/operations/forget.lua does."""
        acceptor, told = self.acceptors[name], self.in_force.get(name)
        if epoch != (told.epoch if told else 0) or self.ends.get(name, 0) > epoch:
            raise AcceptorError(name, "forgets nothing while the members change")
        state = acceptor.states.get(key)
        if state is None or state.accepted != accepted:
            return "changed" if state else "gone"
        if self.raises_floor:
            self._raise(acceptor, state.promised)
        del acceptor.states[key]
        if self._observe:
            note = f"forgotten; floor {acceptor.absent.promised}"
            self._observe(Event("state", self.loop.time(), name, key=key, state=acceptor.absent, note=note))
        return "forgotten"

    def note(self, name: str, epoch: int, ends: int) -> Ballot:
        """Note a change of members that ends in that epoch, and return the floor."""
        self.ends[name] = max(ends, self.ends.get(name, 0))
        return self.acceptors[name].absent.promised

    def start(self, name: str, epoch: int, told: InForce, floor: Ballot) -> None:
        """Begin as a newcomer, with nothing but this floor; when the order comes again, it changes nothing."""
        if self._started.get(name, -1) < epoch:
            self._started[name], self.in_force[name] = epoch, told
            acceptor = self.acceptors[name]
            acceptor.states.clear()
            acceptor.absent = State()
            self._raise(acceptor, floor)

    def _raise(self, acceptor: MemoryAcceptor, floor: Ballot) -> None:
        if floor > acceptor.absent.promised:
            acceptor.absent = State(floor, ZERO, f'{{"value":null,"lineage":{{"0": {floor.counter}}}}}')

    # -- packets -----------------------------------------------------------------------------------------

    def carry(self, packet: _Packet) -> None:
        """Send a packet on its way: towards the acceptor, or back if it has replies."""
        link, arrive = packet.link, self._arrive if packet.replies is None else self._come_back
        way = (link.host, link.acceptor) if packet.replies is None else (link.acceptor, link.host)
        number = self._sent[way] = self._sent.get(way, 0) + 1
        if self._cuts and any(f"{way[0]}>{way[1]}" in cut for cut in self._cuts):
            self._drop(packet, "the way is cut")
            return
        fate = self._fates(*way, number)
        if self._record:
            self.fates_met[f"{way[0]}>{way[1]} {number}"] = fate
        for delay_s in fate:
            self.loop.call_later(delay_s, arrive, packet)
        if len(fate) > 1:
            self._tell("duplicated", packet, f"arrives {len(fate)} times")
        elif not fate:
            self._drop(packet, "lost")

    def _arrive(self, packet: _Packet) -> None:
        name = packet.link.acceptor
        if name in self._down:
            self._drop(packet, "nobody is there")
        elif name in self._held:
            self._held[name].append(packet)
        elif packet.adopt:
            self.in_force[name] = max(packet.adopt, self.in_force.get(name, packet.adopt), key=lambda told: told.epoch)
            self.carry(packet._replace(replies=[], adopt=None))
        elif (told := self.in_force.get(name)) and told.epoch > packet.link.epoch:
            refused = AcceptorError(name, "works with a later configuration")
            self.carry(packet._replace(replies=[refused] * max(len(packet.requests), 1), adopt=told))
        elif packet.order:
            try:
                said = packet.order(self, name, packet.link.epoch)
            except AcceptorError as error:
                said = error
            self.carry(packet._replace(replies=[said], order=None))
        else:
            acceptor = self.acceptors[name]
            replies: _Replies = []
            for key, message in packet.requests:
                reply = acceptor.answer(key, message)
                replies.append(reply)
                if self._observe:
                    at_s, node, state = self.loop.time(), packet.link.node, acceptor.states.get(key, acceptor.absent)
                    parts = {"peer": node, "key": key, "message": message, "reply": reply, "state": state}
                    self._observe(Event("state", at_s, name, **parts))  # type: ignore[arg-type]
            self.carry(packet._replace(replies=replies))

    def _come_back(self, packet: _Packet) -> None:
        if not packet.answer.done() and packet.replies is not None:
            packet.answer.set_result(packet.replies)
        if packet.adopt and packet.link.follow:
            packet.link.follow(packet.adopt)

    def _drop(self, packet: _Packet, why: str) -> None:
        self._tell("dropped", packet, why)

    def _tell(self, kind: str, packet: _Packet, note: str) -> None:
        if not self._observe:
            return
        ends = packet.link.node, packet.link.acceptor
        node, peer = ends if packet.replies is None else ends[::-1]
        for number, (key, message) in enumerate(packet.requests):
            if isinstance(message, Read):  # an operator's: no proposer sent it, and it changes nothing
                continue
            reply = packet.replies[number] if packet.replies else None
            if isinstance(reply, AcceptorError):
                reply = None
            parts = {"peer": peer, "key": key, "message": message, "reply": reply, "note": note}
            self._observe(Event(kind, self.loop.time(), node, **parts))  # type: ignore[arg-type]
