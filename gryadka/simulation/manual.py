"""A cluster whose network is you: every message waits until it is told what becomes of it.

    hand = ManualCluster()
    hand.do("append P1")        # proposer 1 begins a change: its prepares wait
    hand.do("deliver 1")        # the first message arrives, and its answer waits
    print(hand.verdict)

What may live here: that network, and what can be done to it. The proposers, registers and acceptors are the real
ones, as in `run`; time is virtual, and hardly passes unless told to. What was done is a list of short texts, so it can
be done again from the start, up to any point: nothing here depends on chance.

| act | what happens |
|---|---|
| append P1 (or add, cas: the register's kind) | proposer 1 begins a change; `read P1` begins a read |
| deliver 3, lose 3, duplicate 3 | what becomes of message 3: messages are counted from 1 as they leave |
| crash A, restart A, forget A | acceptor A goes down; comes back with what it had, or without |
| pause A, resume A | acceptor A stands still: nothing can be delivered to it until it goes on |
| crash P1, restart P1 | proposer 1 dies, with all that it had in mind; a new one, with a new id, takes its place |
| cut P1 A, heal P1 A | the ways between two places, in both directions |
| wait | one second passes: answers are waited for `ANSWER_S`, changes may take `TIMEOUT_S` |

Every act takes a millisecond.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

from gryadka.acceptors.memory import AcceptRule, MemoryAcceptor, PrepareRule
from gryadka.checking.history import History, Recorder
from gryadka.checking.linearizability import Verdict
from gryadka.errors import ConfigurationError
from gryadka.proposer import Proposer
from gryadka.protocol.acceptor import Message, Read, accept, prepare
from gryadka.protocol.configuration import Configuration
from gryadka.simulation import plan
from gryadka.simulation.clients import Client, Seat, judge
from gryadka.simulation.loop import VirtualLoop
from gryadka.simulation.network import Network, _Packet
from gryadka.simulation.run import BUDGET
from gryadka.trace import FORGOTTEN, Event, Trace, fold, unfold

LINK = "gryadka-cluster:"
KEY = "register"
ANSWER_S, TIMEOUT_S, WAIT_S, STEP_S = 1.0, 5.0, 1.0, 0.001
KINDS = {"append": "append", "counter": "add", "versioned-register": "cas"}
"""Kind of register -> what changes it."""

MOST_ACTS = 5000


@dataclass(frozen=True)
class Setting:
    """What a cluster consists of. Raises `ConfigurationError` for numbers and kinds that make no sense."""

    proposers: int = 2
    acceptors: int = 3
    kind: str = "append"

    def __post_init__(self) -> None:
        if not (1 <= self.proposers <= 5 and 1 <= self.acceptors <= 7):
            raise ConfigurationError("a cluster by hand has 1 to 5 proposers and 1 to 7 acceptors")
        if self.kind not in KINDS:
            raise ConfigurationError(f"there is no register of kind {self.kind!r}; there are {', '.join(KINDS)}")


class _HandNetwork(Network):
    # Packets wait in `waiting`, by number, until somebody says what becomes of them.

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.waiting: dict[int, _Packet] = {}
        self._numbers = count(1)

    def carry(self, packet: _Packet) -> None:
        ends = packet.link.host, packet.link.acceptor
        way = ">".join(ends if packet.replies is None else ends[::-1])
        if any(way in cut for cut in self._cuts):
            self._drop(packet, "the way is cut")
        else:
            self.waiting[next(self._numbers)] = packet

    def deliver(self, number: int) -> None:
        packet = self.waiting.pop(number)
        if packet.replies is None:
            self._arrive(packet)
        elif packet.answer.done():
            self._drop(packet, "nobody waits for it any more")
        else:
            self._come_back(packet)

    def is_held(self, packet: _Packet) -> bool:
        return packet.replies is None and packet.link.acceptor in self._held

    def lose(self, number: int) -> None:
        self._drop(self.waiting.pop(number), "lost")

    def duplicate(self, number: int) -> None:
        packet = self.waiting[number]
        self._tell("duplicated", packet, "arrives twice")
        self.waiting[next(self._numbers)] = packet


@dataclass(frozen=True)
class Waiting:
    """A message that waits, as a trace knows it; `back` if it is an answer."""

    number: int
    proposer: str
    acceptor: str
    message: Message | Read
    back: bool


class ManualCluster:
    """Read only: `setting`, `acts` (what was done), `events`, and `ends` (how many events there were after each)."""

    def __init__(
        self,
        setting: Setting | None = None,
        acts: Iterable[str] = (),
        *,
        prepare: PrepareRule = prepare,
        accept: AcceptRule = accept,
    ) -> None:
        self.setting = setting or Setting()
        self.acts: list[str] = []
        self.events: list[Event] = []
        self.ends: list[int] = []
        self._rules = prepare, accept
        self.loop = VirtualLoop()  # type: ignore[abstract]  # the rest is added when its module is loaded
        self.hosts = [f"P{number + 1}" for number in range(self.setting.proposers)]
        self.names = [chr(ord("A") + number) for number in range(self.setting.acceptors)]
        acceptors = {name: MemoryAcceptor(name, prepare=prepare, accept=accept) for name in self.names}
        self._network = _HandNetwork(self.loop, acceptors, lambda *_: (), observe=self.events.append)
        self._configuration = Configuration.majority(self.names)
        self._ids = count(1)
        self._nodes: dict[str, str] = {}
        self._seats = {host: self._seat(host) for host in self.hosts}
        self._recorder = Recorder(self.loop.time)
        self._models = {KEY: self.setting.kind}
        self._clients = {host: Client(self._models, self._seats, self._recorder) for host in self.hosts}
        self._cuts: dict[str, frozenset[str]] = {}
        self._asked: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []
        for act in acts:
            self.do(act)

    # -- acting ------------------------------------------------------------------------------------------

    def possible(self) -> list[str]:
        """Return every act that can be done now."""
        change, network = KINDS[self.setting.kind], self._network
        acts = [f"deliver {number}" for number, packet in network.waiting.items() if not network.is_held(packet)]
        acts += [f"{verb} {number}" for number in network.waiting for verb in ("lose", "duplicate")]
        for host, seat in self._seats.items():
            acts += [f"restart {host}"] if seat.dead else [f"{change} {host}", f"read {host}", f"crash {host}"]
        for name in self.names:
            if name in network._held:
                acts.append(f"resume {name}")
            elif name in network._down:
                acts += [f"restart {name}", f"forget {name}"]
            else:
                acts += [f"crash {name}", f"pause {name}"]
        for host in self.hosts:
            for name in self.names:
                acts.append(f"heal {host} {name}" if f"{host} {name}" in self._cuts else f"cut {host} {name}")
        return [*acts, "wait"]

    def do(self, act: str) -> None:
        """Do one thing, and let everything happen that follows from it at once.

        Raises `ValueError` if it cannot be done now, and whatever your own rules raise.
        """
        if act not in self.possible():
            raise ValueError(f"{act!r} cannot be done now")
        if len(self.acts) >= MOST_ACTS:
            raise ValueError(f"more than {MOST_ACTS} acts are too many for one run")
        verb, *rest = act.split()
        self._pass(STEP_S)  # so that no two acts happen at the same time
        try:
            self._act(verb, rest)
            self._settle()
        finally:
            self.acts.append(act)
            self.ends.append(len(self.events))

    def back_to(self, length: int) -> ManualCluster:
        """Return another cluster to which only the first `length` acts were done."""
        prepare, accept = self._rules
        return ManualCluster(self.setting, self.acts[:length], prepare=prepare, accept=accept)

    def close(self) -> None:
        """Let go of everything that still waits."""
        self.loop.close()

    def _act(self, verb: str, rest: list[str]) -> None:
        network, place = self._network, rest[0] if rest else ""
        if verb in ("deliver", "lose", "duplicate"):
            getattr(network, verb)(int(place))
        elif place in self._seats and verb in ("crash", "restart"):
            getattr(self, f"_{verb}_proposer")(place)
        elif verb in ("pause", "resume"):
            getattr(network, verb)(place)
            self._tell("paused" if verb == "pause" else "resumed", place)
        elif verb == "crash":
            network.crash(place)
            self._tell("crashed", place)
        elif verb in ("restart", "forget"):
            network.restart(place, forget=verb == "forget")
            self._tell("restarted", place, note=FORGOTTEN if verb == "forget" else None)
        elif verb in ("cut", "heal"):
            self._cut(verb, *rest)
        elif verb == "wait":
            self._pass(WAIT_S)
        else:
            self._ask(verb, place)

    def _ask(self, f: str, host: str) -> None:
        self._asked[host] += f != "read"
        number = self._asked[host]
        letter = chr(ord("a") + self.hosts.index(host))
        arguments = {"read": (), "append": (f"{letter}{number};",), "add": (1,), "cas": (f"{letter}{number}",)}[f]
        step = plan.Step(len(self._tasks) + 1, host, KEY, f, arguments, 0.0)
        self._tasks.append(self.loop.create_task(self._clients[host].work([step])))

    def _crash_proposer(self, host: str) -> None:
        seat = self._seats[host]
        seat.dead = True
        seat.proposer.observe = None  # the dead tell nothing; what they sent is still on its way
        self._tell("crashed", self.node(host))
        self.loop.create_task(seat.proposer.close())

    def _restart_proposer(self, host: str) -> None:
        before = self.node(host)
        self._seats[host] = self._seat(host)
        self._tell("restarted", self.node(host), note=f"in place of {before}")
        for way in self._cuts:
            if way.startswith(f"{host} "):
                self._tell_cut("partitioned", *way.split())

    def _cut(self, verb: str, host: str, name: str) -> None:
        way = f"{host} {name}"
        if verb == "cut":
            self._cuts[way] = frozenset((f"{host}>{name}", f"{name}>{host}"))
            self._network.cut(self._cuts[way])
        else:
            self._network.heal(self._cuts.pop(way))
        self._tell_cut("partitioned" if verb == "cut" else "healed", host, name)

    def _tell_cut(self, kind: str, host: str, name: str) -> None:
        node = self.node(host)
        for source, target in ((node, name), (name, node)):
            self._tell(kind, source, peer=target)

    def _pass(self, time_s: float) -> None:
        self.loop.call_later(time_s, self.loop.stop)
        self.loop.run_forever()

    def _settle(self) -> None:
        self._pass(0)  # everything that is ready happens; the clock stands still
        for task in self._tasks:
            if task.done() and task.exception():
                raise task.exception()  # type: ignore[misc]

    def _seat(self, host: str) -> Seat:
        number = next(self._ids)  # nobody ever gets one for the second time
        self._nodes[host] = f"proposer-{number}"
        links = self._network.links(host, self.node(host), ANSWER_S)
        rng = plan.stream(0, f"proposer {number}")
        options: dict[str, Any] = {"timeout_s": TIMEOUT_S, "pause_s": (0.0, 0.0), "rng": rng, "id": number}
        return Seat(Proposer(self._configuration, links, observe=self.events.append, **options))

    def _tell(self, kind: Any, node: str, *, peer: str | None = None, note: str | None = None) -> None:
        self.events.append(Event(kind, self.loop.time(), node, peer=peer, note=note))

    # -- looking -----------------------------------------------------------------------------------------

    def node(self, host: str) -> str:
        """Return the name in the trace of the proposer that is at a place, or was there last: "proposer-1" for P1."""
        return self._nodes[host]

    @property
    def waiting(self) -> list[Waiting]:
        """The messages that wait, in the order in which they left."""
        return [
            Waiting(number, packet.link.node, packet.link.acceptor, message, packet.replies is not None)
            for number, packet in self._network.waiting.items()
            for _, message in packet.requests[:1]
        ]

    @property
    def now_s(self) -> float:
        """The virtual time."""
        return self.loop.time()

    @property
    def history(self) -> History:
        """What the clients asked for, and what came back so far."""
        return self._recorder.history()

    @property
    def verdict(self) -> Verdict:
        """Whether that history is linearizable."""
        return judge(self.history, self._models, BUDGET)

    @property
    def trace(self) -> Trace:
        """What happened so far, with a link from which it can be done again."""
        return Trace(self.events, source=self.link())

    def link(self) -> str:
        """Return one line of text that holds what was done."""
        setting = self.setting
        told = [setting.proposers, setting.acceptors, setting.kind, *self.acts]
        return LINK + fold(json.dumps(told, separators=(",", ":")))


def from_link(link: str, *, prepare: PrepareRule = prepare, accept: AcceptRule = accept) -> ManualCluster:
    """Do again what was done in the run of a link. Raises `ValueError` for any other text."""
    told = json.loads(unfold(link.strip().removeprefix(LINK))) if link.strip().startswith(LINK) else None
    if not isinstance(told, list) or len(told) < 3 or not all(isinstance(act, str) for act in told[2:]):
        raise ValueError(f"a link to a cluster begins with {LINK}, and ends where it was cut off")
    try:
        setting = Setting(*told[:3])
    except (ConfigurationError, TypeError) as error:
        raise ValueError(str(error)) from None
    return ManualCluster(setting, told[3:], prepare=prepare, accept=accept)
