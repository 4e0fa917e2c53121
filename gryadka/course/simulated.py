"""A learner's rules or proposer in the simulator: a few scenarios and seeds, and the shortest run that fails.

What may live here: those runs, and what is said of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Unpack

from tqdm.auto import tqdm

from gryadka.checking.limits import TimeUp, time_limit
from gryadka.checking.rules import Broken
from gryadka.checking.verdicts import Unknown, Violation
from gryadka.course.checking import why
from gryadka.course.finding import Finding
from gryadka.course.story import tell
from gryadka.simulation.loop import SimulationError
from gryadka.simulation.run import Result, RuleOptions, simulate
from gryadka.simulation.shrink import shrink

SCENARIOS = ("loss-2-2-2", "reorder-2-2-1", "duplicates", "restarts")
SEEDS = range(10)
RUN_LIMIT_S = 5.0
ALL_LIMIT_S = 40.0
ENOUGH = 0.5  # of a run's operations have to get an answer; with Gryadka's own, more than eight in ten do
MAX_SHORTER_RUNS = 1_200


def simulated(
    scenarios: Sequence[str] = SCENARIOS, seeds: Sequence[int] = SEEDS, **rules: Unpack[RuleOptions]
) -> Finding:
    """Run the scenarios with these rules. An interrupt goes through; whatever else happens is told."""
    begun_s = time.monotonic()
    runs = [(scenario, seed) for scenario in scenarios for seed in seeds]
    acknowledged = undecided = 0
    for done, (scenario, seed) in enumerate(tqdm(runs, desc="simulating", unit="run", leave=False, delay=1)):
        if time.monotonic() - begun_s > ALL_LIMIT_S:
            return Finding(
                f"after {ALL_LIMIT_S:g} s only {done} of {len(runs)} simulated runs were over: is it slow, or does it "
                "block, in time.sleep? A pause is written `await asyncio.sleep(...)`"
            )
        where = f"in the simulated run {scenario!r}, seed {seed}"
        try:
            with time_limit(RUN_LIMIT_S):
                result = simulate(scenario, seed, record=False, **rules)
        except TimeUp:
            return Finding(f"{where}: it has not ended after {RUN_LIMIT_S:g} s: a loop without end?")
        except (Broken, SimulationError) as error:
            return Finding(f"{where}: {error}")
        except Exception as error:
            return Finding(f"{where}: {why(error)}")
        if result.violated:
            return shortest(simulate(scenario, seed, **rules), rules)[0]
        counts = result.counts
        answered = len(result.history) - counts["failed"] - counts["unknown"]
        if answered < ENOUGH * len(result.history):
            return Finding(f"{where}: only {answered} of {len(result.history)} operations got an answer")
        acknowledged += counts["acknowledged"]
        undecided += isinstance(result.verdict, Unknown)
    if undecided:
        return Finding(f"{undecided} of {len(runs)} simulated runs could not be judged")
    return Finding(covered=f"{len(runs)} simulated runs with {acknowledged:,} acknowledged changes")


def shortest(failed: Result, rules: RuleOptions) -> tuple[Finding, Result]:
    """Make a run with a violation short, and tell it."""
    result = failed
    with tqdm(desc="making it short", total=MAX_SHORTER_RUNS, unit="run", leave=False, delay=1) as bar:

        def progress(runs: int, _: int) -> None:
            bar.update(runs - bar.n)

        # A rule may raise in another run than the one that failed: then the long one has to do.
        with suppress(Exception):
            result = shrink(failed, max_runs=MAX_SHORTER_RUNS, progress=progress, **rules)
    reason = result.verdict.reason if isinstance(result.verdict, Violation) else str(result.verdict)
    seen = [f"so clients saw: {line.strip()}" for line in str(result.verdict).splitlines()[1:]]
    found = f"a simulated run went wrong: {reason}"
    return Finding(found, steps=(*tell(result.events), *seen), events=result.events), result
