"""A run as a file: saved, read back, and run again.

What may live here: that file's form, and replaying. The file is JSON lines, in four parts:

    {"simulation": 1, "seed": 7, "scenario": {...}, "models": {...}, "verdict": "violation", ...}
    {"step": {"client": 1, "host": "P1", "key": "counter-1", "f": "add", "args": [1], "wait_s": 0.001}}
    {"fault": {"kind": "crash", "at_s": 0.02, "for_s": 0.01, "places": ["A"]}}
    {"packet": "P1>A 7", "arrives_s": [0.001]}
    {"schema": 1}                                  from here on it is a trace, as `gryadka.trace` has it
    {"kind": "change-begun", "at_s": 0.001, ...}

All that was decided in the run is in the first parts, so a replay draws nothing from the seed but the pauses of
proposers. A packet that is not mentioned arrives after the scenario's shortest delay.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack, get_args

from gryadka import trace
from gryadka.simulation import scenarios
from gryadka.simulation.clients import CALLS
from gryadka.simulation.plan import Choices, Fate, Fault, Step, acceptors, hosts
from gryadka.simulation.run import Result, RuleOptions, simulate
from gryadka.simulation.scenarios import FaultKind, Scenario
from gryadka.trace import Event

VERSION = 1


@dataclass(frozen=True)
class Recording:
    """What a file holds. `trace_lines` are those of `gryadka.trace`; `replaced` names the rules that were not
    Gryadka's own: a file cannot hold them, so whoever replays it has to bring them."""

    scenario: Scenario
    seed: int
    choices: Choices
    verdict: str
    replaced: tuple[str, ...]
    trace_lines: tuple[str, ...]

    @classmethod
    def of(cls, result: Result) -> Recording:
        """Return what a file about this run holds."""
        return cls(
            result.scenario,
            result.seed,
            result.choices,
            type(result.verdict).__name__.lower(),
            result.replaced,
            tuple(trace.dump(result.events)),
        )

    @property
    def events(self) -> list[Event]:
        """The events of the trace."""
        return trace.load(self.trace_lines)


@dataclass(frozen=True)
class Replay:
    """A recording that was run again. `first_difference` is a line of the trace, from 1, or None: the same."""

    result: Result
    first_difference: int | None

    @property
    def same(self) -> bool:
        """Whether every byte of the trace is as it was."""
        return self.first_difference is None


def replay(recording: Recording, **rules: Unpack[RuleOptions]) -> Replay:
    """Run it again with what was decided then. Raises what `simulate` raises."""
    result = simulate(recording.scenario, recording.seed, choices=recording.choices, **rules)
    old, new = recording.trace_lines, tuple(trace.dump(result.events))
    if old == new:
        return Replay(result, None)
    both = enumerate(zip(old, new, strict=False), start=1)
    return Replay(result, next((n for n, (a, b) in both if a != b), min(len(old), len(new)) + 1))


# -- files -----------------------------------------------------------------------------------------------


def save(path: str | Path, recording: Recording) -> None:
    """Write the file. Raises `OSError`."""
    Path(path).write_text("\n".join([*dump(recording), ""]), encoding="utf-8")


def read(path: str | Path) -> Recording:
    """Read the file. Raises `OSError`, and `ValueError` for anything that `save` does not write."""
    return load(Path(path).read_text(encoding="utf-8").splitlines())


def dump(recording: Recording) -> Iterator[str]:
    """Return the file's lines."""
    choices = recording.choices
    head = {
        "simulation": VERSION,
        "seed": recording.seed,
        "verdict": recording.verdict,
        "replaced": recording.replaced,
        "models": dict(choices.models),
        "scenario": asdict(recording.scenario),
    }
    yield json.dumps(head)
    for step in choices.steps:
        yield json.dumps({"step": asdict(step)})
    for fault in choices.faults:
        yield json.dumps({"fault": asdict(fault)})
    for packet, fate in choices.fates.items():
        yield json.dumps({"packet": packet, "arrives_s": fate})
    yield from recording.trace_lines


def load(lines: Iterable[str]) -> Recording:
    """Read the file's lines. Raises `ValueError` for anything that `dump` does not return."""
    numbered = enumerate(lines, start=1)
    number, line = next(numbered, (1, ""))
    steps: list[Step] = []
    faults: list[Fault] = []
    fates: dict[str, Fate] = {}
    try:
        head = json.loads(line)
        if not isinstance(head, dict) or head.get("simulation") != VERSION:
            trace_alone = isinstance(head, dict) and "schema" in head
            hint = "; this is a trace alone, to be played, and not to be run again" if trace_alone else ""
            raise ValueError(f'it has to begin with {{"simulation": {VERSION}{hint}')
        scenario, models = scenarios.from_json(head["scenario"]), head["models"]
        about = int(head["seed"]), str(head["verdict"]), tuple(map(str, head["replaced"]))
        for number, line in numbered:  # noqa: B007  (the message below tells the number)
            told = json.loads(line)
            if "schema" in told:
                break
            if "step" in told:
                steps.append(_step(told["step"], scenario, models))
            elif "fault" in told:
                faults.append(_fault(told["fault"], scenario))
            else:
                fates[told["packet"]] = tuple(map(_seconds, told["arrives_s"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        said = f"it has no {error}" if isinstance(error, KeyError) else error
        if isinstance(error, json.JSONDecodeError):
            said = f"not JSON, from column {error.colno} on; was it cut off?"
        raise ValueError(f"not a recorded simulation: line {number}: {said}") from error
    trace_lines = (line, *(line for _, line in numbered))
    try:
        trace.load(trace_lines)
    except ValueError as error:
        raise ValueError(f"not a recorded simulation: in its trace, {error}") from error
    seed, verdict, replaced = about
    choices = Choices(models, tuple(steps), tuple(faults), fates)
    return Recording(scenario, seed, choices, verdict, replaced, trace_lines)


def _step(told: dict[str, Any], scenario: Scenario, models: dict[str, str]) -> Step:
    step = Step(**told | {"args": tuple(told["args"]), "wait_s": _seconds(told["wait_s"])})
    if step.host not in hosts(scenario) or len(step.args) != CALLS[models[step.key]][step.f]:
        raise ValueError(f"no such step: {step}")
    return step


def _fault(told: dict[str, Any], scenario: Scenario) -> Fault:
    places = tuple(told["places"])
    fault = Fault(told["kind"], _seconds(told["at_s"]), _seconds(told["for_s"]), places)
    named = hosts(scenario) if fault.kind == "restart-proposer" else acceptors(scenario)
    known = _ways(scenario) if fault.kind in ("partition", "one-way") else named
    if fault.kind not in get_args(FaultKind) or not set(places) <= set(known):
        raise ValueError(f"no such fault: {fault}")
    return fault


def _ways(scenario: Scenario) -> list[str]:
    pairs = [(host, name) for host in hosts(scenario) for name in acceptors(scenario)]
    return [f"{a}>{b}" for pair in pairs for a, b in (pair, pair[::-1])]


def _seconds(told: Any) -> float:
    if type(told) not in (int, float) or not math.isfinite(told) or told < 0:
        raise ValueError(f"{told!r} is not a number of seconds")
    return float(told)
