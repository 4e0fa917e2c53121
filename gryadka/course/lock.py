"""Lesson 12: a learner's lock, judged by whom it was given to, in what order, and for how long.

What may live here: the runs in which it is tried, and the judgement. The clock and both networks, from a client to
the services (`carrier`) and from these to the acceptors, are simulated; `Store` and `Proposer` are the real ones.
What is tried are two functions, `acquire(store, name, me, now_s)` and `release(store, name, token)`; see `capstone`.

What has to hold, whatever is lost or late:

1. No token is given twice, and one that is asked for later is larger.
2. While one client's lease lasts, and it has not begun to release, nobody else is given the lock.
3. Who is told no does not have it, and a lock that was released or whose lease is over can be had.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from gryadka.acceptors.memory import MemoryAcceptor
from gryadka.checking.limits import TimeUp, time_limit
from gryadka.course.capstone import FREE, LEASE_S
from gryadka.course.carrier import Between, Carrier, Overtaken
from gryadka.course.checking import BY_THE_RULES, Unfinished, why
from gryadka.course.finding import Finding
from gryadka.errors import NotApplied, OutcomeUnknown
from gryadka.http.store import KeyValue, Store
from gryadka.proposer import Proposer
from gryadka.protocol.configuration import Configuration
from gryadka.simulation import plan
from gryadka.simulation.loop import SimulationError, run
from gryadka.simulation.network import Network
from gryadka.simulation.scenarios import Weather

Acquire = Callable[[KeyValue, str, str, float], Awaitable[Any]]
Release = Callable[[KeyValue, str, Any], Awaitable[Any]]

LOCK = "lock"
SERVICES = 2
ACCEPTORS = ("A", "B", "C")
READER = 1_000_000  # the id of the proposer that looks at the lock for the judge
FAULTS_S = 15.0  # all that breaks has healed by then
PATIENCE_S = 60.0
MAX_STEPS = 100_000
LIMIT_S = 10.0  # of real time, for one run
SEEDS = range(50)
NAMES = ("Ann", "Bob", "Cleo")

_WEATHER = Weather(delay_s=(0.001, 0.01), loss=0.05, late=0.05, late_s=(0.05, 0.6), duplicate=0.05)
_CALM = Weather(delay_s=(0.001, 0.001))


class Fault(Exception):
    """A run that went wrong: how, in a sentence, and what should have happened at its last step."""

    def __init__(self, fault: str, rule: str = "") -> None:
        super().__init__(fault)
        self.rule = rule


@dataclass
class Lease:
    """The lock, given to a client. What it asked at `asked_s` it was told at `told_s`."""

    owner: str
    token: int
    asked_s: float
    told_s: float
    ends_s: float


@dataclass
class Night:
    """One run: what happened, in words, and to whom the lock was given."""

    kind: str
    seed: int
    log: list[tuple[float, str]] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)
    asked: int = 0
    troubled: int = 0  # requests that were lost, late or refused
    fault: str = ""
    rule: str = ""

    @property
    def steps(self) -> tuple[str, ...]:
        """Tell the run in words."""
        *told, last = (f"{at_s:.3f} s: {words}" for at_s, words in self.log)
        return (*told, last + (BY_THE_RULES + self.rule if self.rule else ""))


KINDS: dict[str, str] = {
    "by turns": "two clients, one after the other, and nothing breaks",
    "overtaken": "two clients: while one is about to release the lock, its lease ends and the other gets it",
    "alone": "one client, whose requests and answers get lost",
    "crowd": "three clients; requests get lost, services restart, programs sleep and die",
}
"""In what a lock is tried, the simplest first."""
SCRIPTED = ("by turns", "overtaken")  # the same in each seed


def judge(acquire: Acquire, release: Release) -> Finding:
    """Say whether it is a lock with a fence, whatever the network does. Raises `Unfinished`."""
    for function, parameters in ((acquire, 4), (release, 3)):
        name = getattr(function, "__name__", repr(function))
        if not inspect.iscoroutinefunction(function):
            return Finding(f"{name} has to be a function that begins with `async def`")
        if len(inspect.signature(function).parameters) != parameters:
            return Finding(f"{name} has to take {parameters} arguments, as in the skeleton")
    nights: list[Night] = []
    for kind in KINDS:
        failed: list[Night] = []
        for seed in SEEDS if kind not in SCRIPTED else (0,):
            try:
                with time_limit(LIMIT_S):
                    night = spend(acquire, release, kind, seed)
            except TimeUp:
                return Finding(f"a run did not end within {LIMIT_S:g} s: is there a loop that never awaits anything?")
            (failed if night.fault else nights).append(night)
            if len(failed) == 5:
                break
        if failed:
            worst = min(failed, key=lambda night: (len(night.log), night.seed))
            return Finding(worst.fault, steps=worst.steps)
    given = sum(len(night.leases) for night in nights)
    asked, troubled = sum(night.asked for night in nights), sum(night.troubled for night in nights)
    return Finding(
        covered=f"{len(nights)} seeded runs; the lock was asked for {asked:,} times and given {given:,} times, each "
        f"time with a larger token; {troubled:,} requests were lost, late or refused"
    )


def spend(acquire: Acquire, release: Release, kind: str, seed: int) -> Night:
    """Let clients use the lock through a night of faults; the same seed gives the same night."""
    night = Night(kind, seed)
    world = _World(acquire, release, night)
    try:
        run(world.run(), max_steps=MAX_STEPS)
    except Fault as fault:
        night.fault, night.rule = str(fault), fault.rule
    except SimulationError as error:
        night.fault = f"the run could not go on: {error}"
    night.troubled = world.between.troubled
    return night


class _World:
    """All that takes part in one night."""

    def __init__(self, acquire: Acquire, release: Release, night: Night) -> None:
        self.acquire, self.release, self.night = acquire, release, night
        self.members = {name: MemoryAcceptor(name) for name in ACCEPTORS}
        self.calm = night.kind in SCRIPTED
        self.chance = plan.stream(night.seed, night.kind)
        self.weather = plan.DrawnFates(_WEATHER, plan.stream(night.seed, "acceptors"))
        self.between = Between(self.chance, broken=self._troubled, say=self._say)
        self.made = 0

    async def run(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.network = Network(self.loop, self.members, self._fate)
        self.between.services += [self._service() for _ in range(SERVICES)]
        rng = plan.stream(self.night.seed, "reader")
        self.reader = Store(Proposer(Configuration.majority(ACCEPTORS), self.members, rng=rng, id=READER))
        if self.night.kind in SCRIPTED:
            await (self._by_turns() if self.night.kind == "by turns" else self._overtaken())
            return
        names = NAMES[:1] if self.night.kind == "alone" else NAMES
        if self.night.kind == "crowd":
            self.loop.call_later(self.chance.uniform(0.5, 3), self._restart)
        clients = [self.loop.create_task(self._client(name, plan.stream(self.night.seed, name))) for name in names]
        done, late = await asyncio.wait(clients, timeout=FAULTS_S + PATIENCE_S, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()  # raises its fault
        if late:
            raise Fault(f"somebody still tried to get or release the lock {PATIENCE_S:g} s after all had healed")

    # -- clients ---------------------------------------------------------------------------------------

    async def _by_turns(self) -> None:
        ann, bob = NAMES[:2]
        first = await self._must_get(ann, "nobody had the lock")
        await asyncio.sleep(0.75 * LEASE_S)
        await self._ask(bob)  # who must not get it yet; see `_given`
        await self._free(ann, first)
        second = await self._must_get(bob, f"{ann} had released the lock")
        self._say(f"{bob}'s program dies")
        await asyncio.sleep(LEASE_S + 0.5)
        third = await self._must_get(ann, f"{bob}'s lease was over")
        self._say(f"{bob}'s program was not dead: it only slept")
        await self._free(bob, second)
        await self._ask(bob)
        await self._free(ann, third)
        await self._must_get(bob, f"{ann} had released the lock")

    async def _overtaken(self) -> None:
        ann, bob = NAMES[:2]
        first = await self._must_get(ann, "nobody had the lock")
        slow = Overtaken(self.between, ann)
        releasing = self.loop.create_task(self._free(ann, first, slow))
        await asyncio.sleep(LEASE_S + 0.5)
        second = await self._must_get(bob, f"{ann}'s lease was over")
        slow.go.set()
        await releasing
        stored = await self._stored()
        self._say(f"the record says {_in_words(stored)}")
        if (stored["owner"], stored["token"]) != (bob, second.token):
            raise Fault(
                f"{ann}'s release freed the lock that {bob} has had since token {second.token}",
                "what changed since it was read is left as it is",
            )

    async def _client(self, me: str, chance: random.Random) -> None:
        alone = self.night.kind == "alone"
        for _ in range(4 if alone else 3):
            await asyncio.sleep(chance.uniform(0, 1))
            while not (lease := await self._must_get(me, "nobody had the lock") if alone else await self._ask(me)):
                await asyncio.sleep(chance.uniform(0.1, 1))
            fate = "works" if alone else chance.choice(("works", "works", "sleeps", "dies"))
            if fate != "works":
                self._say(f"{me}'s program {fate}")
            await asyncio.sleep(chance.uniform(*(1.2, 2)) * LEASE_S if fate == "sleeps" else chance.uniform(0.05, 0.5))
            if fate == "dies":
                await asyncio.sleep(chance.uniform(0, 2 * LEASE_S))
                self._say(f"{me} starts again")
            else:
                await self._free(me, lease)

    async def _must_get(self, me: str, reason: str) -> Lease:
        lease = await self._ask(me)
        if lease is None:
            raise Fault(f"{reason}, and yet {me} was told None", "a lock that nobody has is given to whoever asks")
        return lease

    async def _ask(self, me: str) -> Lease | None:
        now_s = self.loop.time()
        self._say(f"{me} asks for the lock")
        self.night.asked += 1
        token = await self._tried("acquire", self.acquire(Carrier(self.between, me), LOCK, me, now_s))
        stored = await self._stored()
        if token is None:
            self._say(f"{me} is told None; the record says {_in_words(stored)}")
            if stored["owner"] == me and stored["until"] > now_s and not self._has(me, stored["token"]):
                raise Fault(
                    f"acquire told {me} None, and yet the record says that {me} has the lock",
                    "who is told None does not have it; a request that is sent again has to be known again",
                )
            return None
        if type(token) is not int:
            raise Fault(f"acquire has to return a whole number or None; it returned {token!r}")
        self._say(f"{me} gets token {token}")
        if stored["token"] < token:
            raise Fault(
                f"acquire gave {me} token {token}, but the record says {_in_words(stored)}",
                "a token counts once it is stored, and the store has said so",
            )
        return self._given(Lease(me, token, now_s, self.loop.time(), now_s + LEASE_S))

    def _given(self, lease: Lease) -> Lease:
        for other in self.night.leases:
            if other.token == lease.token:
                raise Fault(
                    f"token {lease.token} was given twice: to {other.owner}, and to {lease.owner}",
                    f"each time that the lock is given, the token is larger: here at least {lease.token + 1}",
                )
            if other.told_s < lease.asked_s and other.token > lease.token:
                raise Fault(
                    f"{lease.owner} got token {lease.token}, after {other.owner} had got {other.token}",
                    f"whoever asks later gets a larger token: here at least {other.token + 1}",
                )
            if max(other.told_s, lease.told_s) < min(other.ends_s, lease.ends_s):
                raise Fault(
                    f"{lease.owner} was given the lock while {other.owner} still had it",
                    f"it is {other.owner}'s until {other.ends_s:.3f} s: {lease.owner} is told None",
                )
        self.night.leases.append(lease)
        return lease

    def _has(self, me: str, token: int) -> bool:
        return any(lease.owner == me and lease.token == token for lease in self.night.leases)

    async def _free(self, me: str, lease: Lease, services: Carrier | None = None) -> None:
        self._say(f"{me} releases token {lease.token}")
        lease.ends_s = min(lease.ends_s, self.loop.time())
        await self._tried("release", self.release(services or Carrier(self.between, me), LOCK, lease.token))
        await self._stored()

    async def _tried(self, name: str, work: Awaitable[Any]) -> Any:
        try:
            return await work
        except NotImplementedError as error:
            raise Unfinished(name) from error
        except (NotApplied, OutcomeUnknown) as error:
            raise Fault(f"{name} gave up: it let {type(error).__name__} out") from error
        except SimulationError:
            raise
        except Exception as error:
            raise Fault(why(error)) from error

    async def _stored(self) -> dict[str, Any]:
        value: Any = (await self.reader.get(LOCK)).value
        if value is None:
            return FREE
        if not isinstance(value, dict) or not set(FREE) <= set(value) or type(value["token"]) is not int:
            raise Fault(f"the record has to hold owner, token and until, as the lesson says; it is {value!r}")
        return value

    # -- services and networks -------------------------------------------------------------------------

    def _troubled(self) -> bool:
        # Whether things break at this time.
        return not self.calm and self.loop.time() < FAULTS_S

    def _service(self) -> Store:
        self.made += 1
        links = self.network.links(f"P{self.made}", f"proposer-{self.made}", 0.3)
        rng = plan.stream(self.night.seed, f"proposer {self.made}")
        return Store(Proposer(Configuration.majority(ACCEPTORS), links, timeout_s=1.0, rng=rng, id=self.made))

    def _restart(self) -> None:
        number = self.chance.randrange(SERVICES)
        self._say(f"service {number + 1} is killed")
        self.between.down.add(number)

        def back() -> None:
            self._say(f"service {number + 1} starts again")
            self.between.services[number] = self._service()
            self.between.down.discard(number)
            if self._troubled():
                self.loop.call_later(self.chance.uniform(1, 4), self._restart)

        self.loop.call_later(self.chance.uniform(0.3, 1.5), back)

    def _fate(self, source: str, target: str, number: int) -> plan.Fate:
        return self.weather(source, target, number) if self._troubled() else (_CALM.delay_s[0],)

    def _say(self, words: str) -> None:
        self.night.log.append((self.loop.time(), words))


def _in_words(stored: dict[str, Any]) -> str:
    owner = f"owner {stored['owner']}" if stored["owner"] else "no owner"
    return f"{owner}, token {stored['token']}"
