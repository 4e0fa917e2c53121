"""What is decided in a run: by the seed at first, and then written down, so that it can be decided again.

What may live here: steps, faults and fates, and how they are drawn. No loop, no network, no files.

The theory in a few lines. Nothing in a simulation happens by chance unless it is drawn from the seed, and all
that is drawn is of three kinds: what clients ask (*steps*), what breaks (*faults*), and what becomes of each
packet (*fates*). Written down they are the run's `Choices`. A run that is given choices draws none, so it goes
the same way again; and choices can be left out one by one, to see which of them a failure needs.

The only other chance is in the proposers' pauses. Each proposer gets a stream of its own, made from the seed
and its id.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gryadka.protocol.value import Value
from gryadka.simulation.scenarios import FaultKind, Scenario, Span, Storm, Weather

MODELS = ("versioned-register", "counter", "append")
"""What kinds of registers clients change. Each key is of one kind for a whole run. Where records are collected, all
are of one more kind, "text": it is appended to, and deleted."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of one client: wait, then ask the proposer at place `host` to do `f` to `key`.

    `f` is read, cas, add or append, or, of a text, get, append or put (of nothing: a deletion). A cas expects
    whatever version its client saw last.
    """

    client: int
    host: str
    key: str
    f: str
    args: tuple[Value, ...]
    wait_s: float


@dataclass(frozen=True, slots=True)
class Fault:
    """Something breaks at `at_s`, for `for_s` seconds.

    `places` are an acceptor ("A"), the place of a proposer ("P1"), or, for the kinds of partition, the ways
    that are cut, such as "P1>A": each stands for one direction.
    """

    kind: FaultKind
    at_s: float
    for_s: float
    places: tuple[str, ...]


Fate = tuple[float, ...]
"""After how many seconds each copy of a packet arrives. An empty one: the packet is lost."""

Fates = Callable[[str, str, int], Fate]
"""Says what becomes of a packet: its source, its target, and which one it is on that way, counted from 1."""


@dataclass(frozen=True)
class Choices:
    """All that was decided in a run. `fates` has a packet as "P1>A 7": the seventh on that way."""

    models: Mapping[str, str]  # key -> one of MODELS
    steps: tuple[Step, ...]
    faults: tuple[Fault, ...] = ()
    fates: Mapping[str, Fate] = field(default_factory=dict)


def stream(seed: int, name: str) -> random.Random:
    """Return the stream of chance that belongs to this name: the same for the same seed, on every computer."""
    return random.Random(f"{seed}/{name}")  # text is hashed with SHA-512, whatever PYTHONHASHSEED says


def hosts(scenario: Scenario) -> list[str]:
    """Return the places where proposers live: P1, P2..."""
    return [f"P{number}" for number in range(1, scenario.proposers + 1)]


def acceptors(scenario: Scenario) -> list[str]:
    """Return the names of all acceptors that are members at some time: A, B, C..."""
    first = [chr(ord("A") + number) for number in range(scenario.acceptors)]
    return sorted({*first, *"".join(scenario.members)})


# -- steps -----------------------------------------------------------------------------------------------


def draw_models(scenario: Scenario, seed: int) -> dict[str, str]:
    """Return the scenario's keys and what kind of register each is: all kinds have their turn as seeds go by."""
    models = {}
    for number in range(scenario.keys):
        kind = "text" if scenario.collect else MODELS[(seed + number) % len(MODELS)]
        models[f"{kind}-{number + 1}"] = kind
    return models


def draw_steps(scenario: Scenario, seed: int, models: Mapping[str, str]) -> tuple[Step, ...]:
    """Return what the clients do, client by client. No two of them ever store the same value."""
    chance = stream(seed, "clients")
    places, keys = hosts(scenario), list(models)
    steps: list[Step] = []
    for client in range(1, scenario.clients + 1):
        for _ in range(scenario.steps):
            host = places[int(chance.random() * len(places))]
            key = keys[int(chance.random() * len(keys))]
            f, args = _draw_call(models[key], chance, len(steps) + 1)
            steps.append(Step(client, host, key, f, args, _within(scenario.think_s, chance)))
    for key in keys:  # client 0 comes last, when all others have ended
        steps.append(Step(0, places[0], key, "get" if models[key] == "text" else "read", (), 0.0))
    return tuple(steps)


def _draw_call(model: str, chance: random.Random, number: int) -> tuple[str, tuple[Value, ...]]:
    drawn = chance.random()
    if model == "text" and drawn < 0.55:
        return ("get", ()) if drawn < 0.2 else ("put", ("",))
    if model != "text" and drawn < 0.15:
        return "read", ()
    if model == "counter":
        return "add", (1,)  # all alike, so that the check need not ask which of the unknown ones took effect
    return ("cas", (number,)) if model == "versioned-register" else ("append", (f"{number};",))


# -- faults ----------------------------------------------------------------------------------------------


def draw_faults(scenario: Scenario, seed: int) -> Iterator[Fault]:
    """Yield the faults of all storms as they come, without end (or none at all)."""
    storms = [_storm(scenario, storm, stream(seed, f"storm {n}")) for n, storm in enumerate(scenario.storms)]
    return heapq.merge(*storms, key=lambda fault: fault.at_s)


def _storm(scenario: Scenario, storm: Storm, chance: random.Random) -> Iterator[Fault]:
    at_s = 0.0
    while True:
        at_s = round(at_s + max(_within(storm.calm_s, chance), 0.000_001), 6)
        for_s = _within(storm.for_s, chance)
        yield Fault(storm.kind, at_s, for_s, _places(scenario, storm.kind, chance))
        at_s += for_s


def _places(scenario: Scenario, kind: FaultKind, chance: random.Random) -> tuple[str, ...]:
    if kind in ("partition", "one-way"):
        cut: list[str] = []
        for host in hosts(scenario):
            for name in acceptors(scenario):
                ways = [f"{host}>{name}", f"{name}>{host}"]
                if chance.random() < 0.5:
                    cut += ways if kind == "partition" else [ways[chance.random() < 0.5]]
        return tuple(cut)
    named = hosts(scenario) if kind == "restart-proposer" else acceptors(scenario)
    return (named[int(chance.random() * len(named))],)


# -- fates -----------------------------------------------------------------------------------------------


class DrawnFates:
    """Draws each packet's fate from one stream, in the order in which packets leave."""

    def __init__(self, weather: Weather, chance: random.Random) -> None:
        self._weather = weather
        self._chance = chance

    def __call__(self, source: str, target: str, number: int) -> Fate:
        """Return the fate of the packet that leaves now."""
        weather, chance = self._weather, self._chance
        drawn = chance.random() - weather.loss
        if drawn < 0:
            return ()
        delay_s = _within(weather.delay_s, chance)
        if weather.slow and (source in weather.slow or target in weather.slow):
            delay_s = round(delay_s * weather.slow_factor, 6)
        drawn -= weather.late
        if drawn < 0:
            return (_within(weather.late_s, chance),)
        if drawn < weather.duplicate:
            second = weather.late_s if chance.random() < 0.3 else weather.delay_s
            return delay_s, _within(second, chance)
        return (delay_s,)


def usual_fate(scenario: Scenario) -> Fate:
    """Return what becomes of a packet of which nothing is written: it arrives after the shortest delay."""
    return (scenario.weather.delay_s[0],)


def written_fates(scenario: Scenario, fates: Mapping[str, Fate]) -> Fates:
    """Return fates that were written down, and the usual one for packets that are not among them."""
    usual = usual_fate(scenario)

    def fate(source: str, target: str, number: int) -> Fate:
        return fates.get(f"{source}>{target} {number}", usual)

    return fate


def _within(span: Span, chance: random.Random) -> float:
    return round(span[0] + (span[1] - span[0]) * chance.random(), 6)
