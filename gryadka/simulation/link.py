"""A link to a run: one line of text that somebody else can paste, to see the same.

    print(traced(result).link())                     # gryadka-run:loss-2-2-2:7
    trace = rebuild("gryadka-run:loss-2-2-2:7")

What may live here: that text. Three kinds of it begin with three words:

| link | what follows |
|---|---|
| `gryadka-run:` | a scenario's name and a seed; or, after `:`, all that was decided in the run, folded |
| `gryadka-cluster:` | what was done to a cluster by hand, folded (see `manual`) |
| `gryadka-events:` | the events themselves, folded (see `gryadka.trace`) |

A link holds data and no code: whoever replaced a rule of the run has to hand it to `rebuild` again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

from gryadka import trace
from gryadka.errors import ConfigurationError
from gryadka.protocol.acceptor import accept, prepare
from gryadka.simulation import manual, record
from gryadka.simulation.run import Result, RuleOptions, simulate
from gryadka.simulation.scenarios import SCENARIOS
from gryadka.trace import Trace

RUN = "gryadka-run:"


def traced(result: Result, **rules: Unpack[RuleOptions]) -> Trace:
    """Return the run's events as a trace that has a short link. `rules` are those that it was run with.

    To find out how short the link may be, the run is made once more.
    """
    return Trace(result.events, source=link(result, **rules))


def link(result: Result, **rules: Unpack[RuleOptions]) -> str:
    """Return a link to this run: scenario and seed if they decide all of it, or else all that was decided."""
    scenario = result.scenario
    if scenario == SCENARIOS.get(scenario.name) and simulate(scenario, result.seed, **rules).choices == result.choices:
        return f"{RUN}{scenario.name}:{result.seed}"
    recording = replace(record.Recording.of(result), trace_lines=tuple(trace.dump([])))
    return f"{RUN}:{trace.fold(chr(10).join(record.dump(recording)))}"


def rebuild(link: str, **rules: Unpack[RuleOptions]) -> Trace:
    """Make the run of a link again, and return its trace. Raises `ValueError` for any other text."""
    link = link.strip()
    if link.startswith(manual.LINK):
        cluster = manual.from_link(link, prepare=rules.get("prepare", prepare), accept=rules.get("accept", accept))
        try:
            return cluster.trace
        finally:
            cluster.close()
    if not link.startswith(RUN):
        return Trace.from_link(link)
    name, colon, rest = link.removeprefix(RUN).partition(":")
    if not colon:
        raise ValueError("the link is cut short: after the scenario's name comes the seed")
    if name:
        try:
            result = simulate(name, int(rest), **rules)
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
    else:
        recording = record.load(trace.unfold(rest).splitlines())
        result = simulate(recording.scenario, recording.seed, choices=recording.choices, **rules)
    return Trace(result.events, source=link)
