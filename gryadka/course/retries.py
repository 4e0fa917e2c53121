"""Lesson 05: a learner's retry loop, judged by what is in the box after a night of faults.

What may live here: the runs in which it is tried, and the judgement. Clock and network are the simulator's, the
proposers are the real ones. A loop that is tried looks like this:

    async def deposit(proposer, key, amount, token): ...

It puts `amount` into the box called `key`: it adds it to `value["balance"]` and returns once that is certain. No other
deposit has its `token`. How the value looks otherwise is up to the learner.

The theory in a few lines. After `OutcomeUnknown` there are two mistakes. To repeat a change that was applied doubles
it; not to repeat one that was not applied loses it. So the next attempt has to see whether the last one arrived, and
only the value can tell: it has to remember the tokens of what is in it. Then the change is *idempotent*: to apply it
twice is as good as once. (Helland, "Idempotence is not a medical condition", 2012.)

How a doubled deposit is told from two others: the amounts are 1, 10, 100..., so the digits of the balance count
how often each of them is in it.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gryadka.acceptors.memory import MemoryAcceptor
from gryadka.checking.limits import TimeUp, time_limit
from gryadka.course.checking import Unfinished, why
from gryadka.course.finding import Finding
from gryadka.errors import NotApplied, OutcomeUnknown
from gryadka.proposer import Proposer
from gryadka.protocol.acceptor import Accept, Accepted
from gryadka.protocol.configuration import Configuration
from gryadka.protocol.value import unpack
from gryadka.simulation import plan
from gryadka.simulation.loop import SimulationError, run
from gryadka.simulation.network import Network
from gryadka.simulation.plan import Fault
from gryadka.simulation.scenarios import Scenario, Storm, Weather
from gryadka.trace import Event, Kind

Deposit = Callable[[Proposer, str, int, str], Awaitable[object]]

KEY = "box"
READER = 99  # the proposer that opens the box in the end
MAX_STEPS = 300_000
LIMIT_S = 5.0  # of real time, for one run
ALL_LIMIT_S = 20.0  # for all of them
PATIENCE_S = 60.0  # of virtual time: the faults end long before

_ROUGH = Weather(delay_s=(0.0005, 0.004), loss=0.3, late=0.15, late_s=(0.05, 0.6), duplicate=0.05)
_OUTAGES = Storm("partition", calm_s=(0.0, 0.02), for_s=(0.05, 0.6))
_HALVES = Storm("one-way", calm_s=(0.0, 0.05), for_s=(0.05, 0.4))

_BRIEF = Storm("one-way", calm_s=(0.0005, 0.006), for_s=(0.02, 0.06))

NIGHTS: tuple[Scenario, ...] = (
    Scenario(
        "impatient", "one client that gives each change 30 ms", 1, 1, 1, storms=(_BRIEF,), steps=1, timeout_s=0.03
    ),
    Scenario("alone", "one client, one deposit", 1, 1, 1, weather=_ROUGH, storms=(_HALVES,), steps=1),
    Scenario(
        "a hasty pair",
        "two clients that give each change 80 ms",
        2,
        2,
        1,
        storms=(_BRIEF,) * 2,
        steps=1,
        timeout_s=0.08,
    ),
    Scenario("a pair", "two clients, one deposit each", 2, 2, 1, weather=_ROUGH, storms=(_HALVES,), steps=1),
    Scenario("outages", "three clients, cut off in places", 3, 3, 1, storms=(_OUTAGES, _HALVES), steps=2),
)
"""In what a loop is tried, the simplest first. All that breaks has healed after `FAULTS_S` seconds."""

FAULTS_S = 2.0
SEEDS = range(40)


@dataclass
class Night:
    """One run: what was paid in, by amount; what each call ended with, if it was an error; what was there at last."""

    scenario: Scenario
    seed: int
    amounts: list[int] = field(default_factory=list)
    errors: dict[int, Exception] = field(default_factory=dict)  # amount -> what its deposit raised
    endless: list[int] = field(default_factory=list)  # amounts whose deposit never returned
    value: Any = None
    events: list[Event] = field(default_factory=list)
    log: list[tuple[float, str]] = field(default_factory=list)

    @property
    def why(self) -> str:
        """Say in a sentence what went wrong; "" if every deposit is in the box once. Raises `Unfinished`."""
        for amount, error in self.errors.items():
            if isinstance(error, NotImplementedError):
                raise Unfinished("deposit") from error
            if isinstance(error, NotApplied | OutcomeUnknown):
                return f"the deposit of {amount} gave up: it let {type(error).__name__} out"
            if isinstance(error, SimulationError):
                return f"the run could not go on: {error}"
            return why(error)
        if self.endless:
            return f"the deposit of {self.endless[0]} was still trying, {PATIENCE_S:g} s after all had healed"
        balance = self.value.get("balance") if isinstance(self.value, dict) else self.value
        if balance is None:
            return f"the deposit of {self.amounts[0]} was lost: nothing is in the box"
        if type(balance) is not int or not isinstance(self.value, dict):
            return f'value["balance"] has to be a whole number; in the end the value was {self.value!r}'
        for amount in self.amounts:
            times = balance // amount % 10
            if times != 1:
                what = "was lost" if times == 0 else f"is in the box {times} times"
                return f"the deposit of {amount} {what}: the balance is {balance}, and should be {sum(self.amounts)}"
        if balance != sum(self.amounts):
            return f"the balance is {balance}, and should be {sum(self.amounts)}"
        return ""

    @property
    def outcomes(self) -> Counter[str]:
        """How the changes ended, the last read aside: "applied", "NotApplied", "OutcomeUnknown"..."""
        return Counter(event.note or "" for event in self.events if event.kind == "change-ended")

    @property
    def steps(self) -> tuple[str, ...]:
        """Tell the run in words."""
        return tuple(f"{at_s:.3f} s: {words}" for at_s, words in self.log)

    def observe(self, event: Event) -> None:
        """Take note of what a proposer or the network tells. That the box is opened is no part of the night."""
        if event.peer == f"proposer-{READER}":
            return
        self.events.append(event)
        if words := _told(event):
            self.log.append((event.at_s, words))


async def deposit(proposer: Proposer, key: str, amount: int, token: str) -> None:
    """What the lesson goes on with while the learner's own is unfinished."""

    def pay_in(stored: Any) -> Any:
        box = stored or {"balance": 0, "tokens": []}
        if token in box["tokens"]:
            return box
        return {"balance": box["balance"] + amount, "tokens": [*box["tokens"], token]}

    while True:
        try:
            await proposer.change(key, pay_in)
            return
        except (NotApplied, OutcomeUnknown):
            pass


def judge(deposit: Deposit) -> Finding:
    """Say whether a retry loop neither loses nor doubles a deposit, whatever the network does. Raises `Unfinished`."""
    name = getattr(deposit, "__name__", repr(deposit))
    if inspect.isasyncgenfunction(deposit):
        return Finding(why=f"{name} uses yield; it has to await, and to return in the end")
    if not inspect.iscoroutinefunction(deposit):
        return Finding(why=f"{name} has to be a function that begins with `async def`")
    outcomes: Counter[str] = Counter()
    nights = deposits = 0
    begun_s = time.monotonic()
    for scenario in NIGHTS:
        failed = []
        for seed in SEEDS:
            try:
                with time_limit(LIMIT_S):
                    night = spend(deposit, scenario, seed)
            except TimeUp:
                why = "does it go on after its change was applied, or never await anything, or block in time.sleep?"
                return Finding(why=f"a deposit did not end within {LIMIT_S:g} s: {why}")
            if time.monotonic() - begun_s > ALL_LIMIT_S:
                return Finding(
                    why=f"after {ALL_LIMIT_S:g} s only {nights} seeded runs were over: does it block, in time.sleep? "
                    "A pause is written `await asyncio.sleep(...)`"
                )
            if night.why:
                failed.append(night)
                if night.errors or night.endless:
                    break  # it can take long to see that again
            nights, deposits, outcomes = nights + 1, deposits + len(night.amounts), outcomes + night.outcomes
        if failed:
            worst = min(failed, key=lambda night: (len(night.steps), night.seed))
            return Finding(why=worst.why, steps=worst.steps, events=tuple(worst.events))
    missed = f"{outcomes['NotApplied']:,} changes ended as not applied, {outcomes['OutcomeUnknown']:,} as unknown"
    return Finding(covered=f"{nights} seeded runs with {deposits:,} deposits; {missed}; each deposit counted once")


def spend(deposit: Deposit, scenario: Scenario, seed: int) -> Night:
    """Let clients pay into the box through a night of faults; the same seed gives the same night."""
    night = Night(scenario, seed)
    try:
        run(_World(deposit, night).run(), max_steps=MAX_STEPS)
    except SimulationError as error:
        night.errors[0] = error
    return night


class _World:
    """All that takes part in one night."""

    def __init__(self, deposit: Deposit, night: Night) -> None:
        self.deposit, self.night = deposit, night
        scenario = night.scenario
        self.over = False  # nobody pays in any more
        self.members = plan.acceptors(scenario)
        self.weather = plan.DrawnFates(scenario.weather, plan.stream(night.seed, "network"))

    async def run(self) -> None:
        scenario, night = self.night.scenario, self.night
        self.loop = asyncio.get_running_loop()
        acceptors = {name: MemoryAcceptor(name) for name in self.members}
        self.network = Network(self.loop, acceptors, self._fate, observe=night.observe)
        for fault in _until(FAULTS_S, plan.draw_faults(scenario, night.seed)):
            self.loop.call_at(fault.at_s, self._begin, fault)
        night.amounts = [10**number for number in range(scenario.clients * scenario.steps)]
        tasks = [self.loop.create_task(self._client(number)) for number in range(scenario.clients)]
        _, late = await asyncio.wait(tasks, timeout=PATIENCE_S + FAULTS_S)
        self.over = True
        for task in late:
            task.cancel()
        if not (night.errors or late):
            await asyncio.sleep(FAULTS_S)  # whatever is still under way arrives
            night.value = await self._proposer(READER, observe=None).change(
                KEY, lambda value: value, timeout_s=PATIENCE_S
            )
            night.log.append((self.loop.time(), f"in the end the box holds {night.value!r}"))

    async def _client(self, number: int) -> None:
        scenario, night = self.night.scenario, self.night
        proposer = self._proposer(number + 1)
        for turn in range(scenario.steps):
            amount = night.amounts[number * scenario.steps + turn]
            night.endless.append(amount)
            night.log.append((self.loop.time(), f"client {number + 1} pays in {amount}"))
            try:
                await self.deposit(proposer, KEY, amount, f"slip-{amount}")
            except Exception as error:
                night.errors[amount] = error
                night.endless.remove(amount)
                return
            night.endless.remove(amount)
            night.log.append((self.loop.time(), f"client {number + 1}: the deposit of {amount} has returned"))

    def _proposer(self, number: int, **options: Any) -> Proposer:
        scenario, seed = self.night.scenario, self.night.seed
        links = self.network.links(f"P{number}", f"proposer-{number}", scenario.answer_s)
        return Proposer(
            Configuration.majority(self.members),
            links,
            timeout_s=scenario.timeout_s,
            pause_s=scenario.pause_s,
            rng=plan.stream(seed, f"proposer {number}"),
            id=number,
            **{"observe": self.night.observe} | options,
        )

    def _fate(self, source: str, target: str, number: int) -> plan.Fate:
        if self.loop.time() > FAULTS_S:
            return plan.usual_fate(self.night.scenario)
        return self.weather(source, target, number)

    def _begin(self, fault: Fault) -> None:
        if self.over:
            return
        self.network.cut(frozenset(fault.places))
        self._tell("partitioned", fault)
        self.loop.call_later(min(fault.for_s, FAULTS_S - fault.at_s), self._end, fault)

    def _end(self, fault: Fault) -> None:
        self._tell("healed", fault)
        self.network.heal(frozenset(fault.places))

    def _tell(self, kind: Kind, fault: Fault) -> None:
        for way in fault.places:
            node, peer = (name.replace("P", "proposer-") for name in way.split(">"))
            self.night.observe(Event(kind, self.loop.time(), node, peer=peer))


def _until(at_s: float, faults: Iterator[Fault]) -> Iterator[Fault]:
    for fault in faults:
        if fault.at_s >= at_s:
            return
        yield fault


def _told(event: Event) -> str:
    if event.kind == "change-begun":
        return f"{event.node} begins a change"
    if event.kind == "change-ended":
        return f"{event.node}: the change ended as {event.note}"
    if event.kind == "state" and isinstance(event.message, Accept) and isinstance(event.reply, Accepted):
        return f"acceptor {event.node} accepts {unpack(event.message.value)[0]} from {event.peer}"
    return ""
