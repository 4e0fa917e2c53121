"""One run: a scenario and a seed in; a verdict, a history and a trace out.

    result = simulate("loss-2-2-2", seed=7)
    print(result.verdict)

What may live here: putting loop, network, proposers, clients and faults together. The proposers and registers
are the real ones; only the network, the servers and the clock are simulated. Your own rules take part, too:

    simulate("reorder-2-2-1", seed=7, accept=my_accept)

The same scenario, seed and rules give the same run: the same trace and the same history, to the last byte.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, TypedDict, Unpack

from gryadka import trace
from gryadka.acceptors import Acceptor
from gryadka.acceptors.memory import AcceptRule, MemoryAcceptor, PrepareRule
from gryadka.checking import history as histories
from gryadka.checking.history import History, Outcome, Recorder, Refusal
from gryadka.checking.linearizability import Budget, Verdict, Violation
from gryadka.errors import ConfigurationError
from gryadka.proposer import Proposer
from gryadka.protocol.acceptor import Promise, accept, prepare
from gryadka.protocol.configuration import Configuration, Quorum
from gryadka.protocol.round import Round, choose
from gryadka.simulation import deletion, plan
from gryadka.simulation.clients import Client, Seat, judge
from gryadka.simulation.loop import run
from gryadka.simulation.members import HOST, Coordinator
from gryadka.simulation.network import InForce, Link, Network
from gryadka.simulation.plan import Choices, Fault
from gryadka.simulation.scenarios import SCENARIOS, Scenario
from gryadka.trace import Event, Kind

MAX_STEPS = 2_000_000
BUDGET = Budget(max_steps=200_000)

ChooseRule = Callable[[Sequence[Promise]], Promise]


@dataclass(frozen=True)
class Rules:
    """What takes part in a run in place of Gryadka's own: an acceptor's two rules, the choice among promises,
    and what makes a proposer (a subclass of `Proposer`, say)."""

    prepare: PrepareRule = prepare
    accept: AcceptRule = accept
    choose: ChooseRule = choose
    proposer: Callable[..., Proposer] = Proposer

    @property
    def replaced(self) -> tuple[str, ...]:
        """The names of those that are not Gryadka's own."""
        own = Rules()
        return tuple(name for name in vars(own) if getattr(self, name) is not getattr(own, name))


class RuleOptions(TypedDict, total=False):
    """The same as keyword arguments."""

    prepare: PrepareRule
    accept: AcceptRule
    choose: ChooseRule
    proposer: Callable[..., Proposer]


@dataclass(frozen=True)
class Result:
    """What came of a run. `events` and `choices.fates` are empty unless it was recorded."""

    scenario: Scenario
    seed: int
    verdict: Verdict
    history: History
    events: tuple[Event, ...]
    choices: Choices
    virtual_s: float
    replaced: tuple[str, ...] = ()

    @property
    def violated(self) -> bool:
        """Whether the history is not linearizable."""
        return isinstance(self.verdict, Violation)

    @property
    def idle(self) -> bool:
        """Whether not one change was acknowledged: who does nothing does nothing wrong, but is of no use."""
        return not self.counts["acknowledged"]

    @property
    def counts(self) -> dict[str, int]:
        """How many operations ended how. Reads that were answered are `read`, not `acknowledged`."""
        counts = dict.fromkeys(("acknowledged", "refused", "read", "failed", "unknown"), 0)
        for operation in self.history:
            if operation.outcome is not Outcome.OK:
                counts[operation.outcome.value] += 1
            elif isinstance(operation.result, Refusal):
                counts["refused"] += 1
            else:
                counts["read" if operation.f in ("read", "get") else "acknowledged"] += 1
        return counts

    @property
    def digest(self) -> str:
        """SHA-256 of the trace's and the history's lines, in hexadecimal."""
        lines = [*trace.dump(self.events), *histories.dump(self.history)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def scenario_named(scenario: str | Scenario) -> Scenario:
    """Return the scenario of that name. Raises `ConfigurationError` if there is none."""
    if isinstance(scenario, Scenario):
        return scenario
    if scenario not in SCENARIOS:
        raise ConfigurationError(f"there is no scenario {scenario!r}; there are {', '.join(SCENARIOS)}")
    return SCENARIOS[scenario]


def simulate(
    scenario: str | Scenario,
    seed: int = 0,
    *,
    choices: Choices | None = None,
    record: bool = True,
    budget: Budget = BUDGET,
    **rules: Unpack[RuleOptions],
) -> Result:
    """Run a scenario, and judge what its clients saw.

    `rules` are any of the fields of `Rules`: `prepare`, `accept`, `choose`, `proposer`.

    With `choices` nothing is drawn from the seed but the proposers' pauses. Without `record` there is no
    trace, the run is about twice as fast, and its history is the same.

    Raises whatever your rules raise; `SimulationError` when the run cannot go on, or never ends;
    `ConfigurationError` for a name that is no scenario's.
    """
    scenario = scenario_named(scenario)
    wanted = Rules(**rules)
    events: list[Event] = []
    world = _World(scenario, seed, wanted, choices, events.append if record else None)
    virtual_s = run(world.run(), max_steps=MAX_STEPS)
    history = world.recorder.history()
    verdict = judge(history, world.choices.models, budget)
    return Result(scenario, seed, verdict, history, tuple(events), world.met(), virtual_s, wanted.replaced)


class _Picking(Round):
    """A prepared round in which `rule` picks among the promises."""

    def __init__(self, round: Round, rule: ChooseRule) -> None:
        super().__init__(round.configuration, round.ballot)
        self.message, self.granted, self.refused = round.message, round.granted, round.refused
        self.rule = rule

    def current(self) -> Promise:
        return self.rule([promise for promise in self.granted.values() if isinstance(promise, Promise)])


def _let_pick(rule: ChooseRule, proposer: Proposer) -> None:
    propose = proposer._proposal

    def proposal(round: Round, *rest: Any) -> Any:
        try:
            return propose(_Picking(round, rule), *rest)
        except Exception as error:  # the proposer would take it for a failed round
            asyncio.get_running_loop().call_exception_handler({"message": "choose", "exception": error})
            raise

    proposer._proposal = proposal  # type: ignore[method-assign, assignment]


class _World:
    """All that takes part in one run."""

    def __init__(
        self, scenario: Scenario, seed: int, rules: Rules, choices: Choices | None, observe: trace.Observe | None
    ) -> None:
        self.scenario, self.seed, self.rules, self.observe = scenario, seed, rules, observe
        if choices is None:
            models = plan.draw_models(scenario, seed)
            self.choices = Choices(models, plan.draw_steps(scenario, seed, models))
            self._faults = plan.draw_faults(scenario, seed)
            self._fates: plan.Fates = plan.DrawnFates(scenario.weather, plan.stream(seed, "network"))
        else:
            self.choices = choices
            self._faults = iter(choices.faults)
            self._fates = plan.written_fates(scenario, choices.fates)
        self._met: list[Fault] = []
        self._proposers = 0

    async def run(self) -> float:
        """Let everything happen, and return how many virtual seconds it took."""
        scenario = self.scenario
        self.loop = asyncio.get_running_loop()
        self.recorder = Recorder(self.loop.time)
        members = plan.acceptors(scenario)
        acceptors = {
            name: MemoryAcceptor(name, prepare=self.rules.prepare, accept=self.rules.accept) for name in members
        }
        record = self.observe is not None
        self.network = Network(self.loop, acceptors, self._fates, observe=self.observe, record=record)
        self.configuration = _configuration(scenario, members[: scenario.acceptors])
        self.seats = {host: self._seat(host) for host in plan.hosts(scenario)}
        self._await_fault()
        ordered = sorted(self.choices.steps, key=lambda step: step.client)
        clients = {number: list(steps) for number, steps in groupby(ordered, key=lambda step: step.client)}
        last = clients.pop(0, [])
        coordinator = self.loop.create_task(self._coordinate()) if scenario.members else None
        collector = self.loop.create_task(self._collect()) if scenario.collect else None
        await asyncio.gather(*map(self._work, clients.values()))
        if collector:
            collector.cancel()
            await asyncio.gather(collector, return_exceptions=True)
        if coordinator and scenario.in_flux:
            coordinator.cancel()
        if coordinator:
            await asyncio.gather(coordinator, return_exceptions=scenario.in_flux)
        await self._work(last)
        virtual_s = self.loop.time()
        for seat in self.seats.values():
            await seat.proposer.close()
        return virtual_s

    async def _work(self, steps: list[plan.Step]) -> None:
        await Client(self.choices.models, self.seats, self.recorder).work(steps)

    def met(self) -> Choices:
        """Return what was decided in this run, up to its end, without the fates that go without saying."""
        usual = plan.usual_fate(self.scenario)
        fates = {packet: fate for packet, fate in self.network.fates_met.items() if fate != usual}
        return Choices(self.choices.models, self.choices.steps, tuple(self._met), fates)

    def _seat(self, host: str) -> Seat:
        # Clocks serve for pauses and timeouts only, so a fast clock shows as short ones.
        scenario = self.scenario
        self._proposers += 1
        number = self._proposers  # also the id: nobody ever gets one for the second time
        rate = scenario.rates[(int(host[1:]) - 1) % len(scenario.rates)]
        epoch = 0

        def links() -> dict[str, Link]:
            found = self.network.links(host, f"proposer-{number}", scenario.answer_s / rate, epoch)
            for link in found.values():
                link.follow = follow
            return found

        def follow(told: InForce) -> None:
            nonlocal epoch
            if told.epoch > epoch:
                epoch = told.epoch
                proposer.reconfigure(told.configuration, links())

        proposer = self._proposer(number, self.configuration, links(), rate)
        if self.rules.choose is not choose:
            _let_pick(self.rules.choose, proposer)
        return Seat(proposer)

    def _proposer(
        self, number: int, configuration: Configuration, acceptors: Mapping[str, Acceptor], rate: float = 1.0
    ) -> Proposer:
        scenario = self.scenario
        return self.rules.proposer(
            configuration,
            acceptors,
            timeout_s=scenario.timeout_s / rate,
            pause_s=(scenario.pause_s[0] / rate, scenario.pause_s[1] / rate),
            rng=plan.stream(self.seed, f"proposer {number}"),
            id=number,
            observe=self.observe,
        )

    async def _coordinate(self) -> None:
        scenario = self.scenario

        def links(epoch: int) -> dict[str, Link]:
            return self.network.links(HOST, "coordinator", scenario.answer_s, epoch)

        def proposer(configuration: Configuration, acceptors: Mapping[str, Acceptor]) -> Proposer:
            self._proposers += 1
            return self._proposer(self._proposers, configuration, acceptors)

        options = {"skip_rescan": scenario.skip_rescan, "collecting": bool(scenario.collect)}
        coordinator = Coordinator(links, proposer, list(self.choices.models), **options)
        await coordinator.work(self.configuration, scenario.members, again=scenario.in_flux)

    async def _collect(self) -> None:
        def proposer(configuration: Configuration, acceptors: Mapping[str, Acceptor]) -> Proposer:
            self._proposers += 1
            return self._proposer(self._proposers, configuration, acceptors)

        how, chance = self.scenario.collect, plan.stream(self.seed, "collector")
        self.network.raises_floor = how != "without the floor"
        on_majority = how == "tombstone on a majority"
        links = partial(self.network.links, deletion.HOST, "collector", self.scenario.answer_s)
        keys = list(self.choices.models)
        await deletion.collect_always(links, self.configuration, proposer, keys, chance, on_majority=on_majority)

    # -- faults ------------------------------------------------------------------------------------------

    def _await_fault(self) -> None:
        fault = next(self._faults, None)
        if fault:
            self.loop.call_at(fault.at_s, self._begin, fault)

    def _begin(self, fault: Fault) -> None:
        self._met.append(fault)
        kind, network, places = fault.kind, self.network, fault.places
        end: Callable[[], None]
        if kind == "restart-proposer":
            self._restart_proposer(places[0])
        else:
            if kind in ("partition", "one-way"):
                ways = frozenset(places)
                network.cut(ways)
                end = partial(network.heal, ways)
            elif kind == "pause":
                network.pause(places[0])
                end = partial(network.resume, places[0])
            else:
                network.crash(places[0])
                end = partial(network.restart, places[0], forget=kind == "amnesia")
            self._tell_fault(fault, begins=True)
            self.loop.call_later(fault.for_s, self._end, fault, end)
        self._await_fault()

    def _end(self, fault: Fault, end: Callable[[], None]) -> None:
        self._tell_fault(fault, begins=False)
        end()

    def _restart_proposer(self, host: str) -> None:
        old, new = self.seats[host], self._seat(host)
        self.seats[host] = new
        old.dead = True
        self._tell("crashed", f"proposer-{old.proposer.id}")
        self._tell("restarted", f"proposer-{new.proposer.id}", note=f"in place of proposer-{old.proposer.id}")
        self.loop.create_task(old.proposer.close())

    def _tell_fault(self, fault: Fault, *, begins: bool) -> None:
        begun, ended = _KINDS[fault.kind]
        note = trace.FORGOTTEN if fault.kind == "amnesia" and not begins else None
        for place in fault.places:
            node, _, peer = place.partition(">")
            self._tell(begun if begins else ended, self._node(node), peer=self._node(peer), note=note)

    def _node(self, place: str) -> str | None:
        seat = self.seats.get(place)
        return f"proposer-{seat.proposer.id}" if seat else place or None

    def _tell(self, kind: Kind, node: str | None, peer: str | None = None, note: str | None = None) -> None:
        if self.observe and node:
            self.observe(Event(kind, self.loop.time(), node, peer=peer, note=note))


_KINDS: Mapping[str, tuple[Kind, Kind]] = {
    "crash": ("crashed", "restarted"),
    "amnesia": ("crashed", "restarted"),
    "pause": ("paused", "resumed"),
    "partition": ("partitioned", "healed"),
    "one-way": ("partitioned", "healed"),
}


def _configuration(scenario: Scenario, members: list[str]) -> Configuration:
    majority = Configuration.majority(members)
    if not scenario.accept_quorum:
        return majority
    return Configuration(majority.prepare, Quorum(tuple(members), scenario.accept_quorum), unsafe=True)
