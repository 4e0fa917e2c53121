"""Many runs: scenarios times seeds, on as many processes as you like, or on other computers.

What may live here: handing out runs, adding up what came of them. `joblib` carries them. One setting moves a
campaign to a Dask cluster, and nothing else changes:

    import joblib
    from distributed import Client                   # pip install "dask[distributed]"

    client = Client("tcp://scheduler:8786")          # or Client() for a cluster on this computer
    with joblib.parallel_config(backend="dask"):
        print(campaign(["loss-6-2-2"], range(100_000), jobs=-1)[0])
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Unpack

from joblib import Parallel, delayed, effective_n_jobs

from gryadka.checking.linearizability import Unknown
from gryadka.simulation.run import RuleOptions, scenario_named, simulate
from gryadka.simulation.scenarios import Scenario

RUNS_PER_JOB = 64


@dataclass
class Tally:
    """What came of one scenario's runs. `counts` are those of `Result.counts`, added up; `violations`,
    `undecided` and `idle` (not one change acknowledged) are the seeds of such runs."""

    scenario: Scenario
    runs: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    virtual_s: float = 0.0
    violations: list[int] = field(default_factory=list)
    undecided: list[int] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)

    @property
    def as_it_should(self) -> bool:
        """Whether a sound scenario's runs were all judged ok and got something done, or a must-fail one showed
        a violation."""
        if self.scenario.must_fail:
            return bool(self.violations)
        return not (self.violations or self.undecided or self.idle)

    @property
    def so_far(self) -> str:
        """What can be said before all runs are over."""
        return f"{self.scenario.name}: interrupted after {self.runs:,} runs, {len(self.violations):,} violations so far"

    def __str__(self) -> str:
        wanted = "has to show violations" if self.scenario.must_fail else "must show none"
        verdict = "as it should" if self.as_it_should else "NOT AS IT SHOULD BE"
        parts = [f"{self.runs:,} runs", f"{self.counts['acknowledged']:,} acknowledged changes"]
        parts += [f"{len(self.violations):,} violations ({wanted})"]
        parts += [f"{len(self.undecided):,} undecided"] if self.undecided else []
        parts += [f"{len(self.idle):,} that did nothing"] if self.idle else []
        return f"{self.scenario.name}: {', '.join(parts)}: {verdict}"


@dataclass(frozen=True)
class _Brief:
    """What a campaign keeps of a run: little, because it may have to travel."""

    seed: int
    counts: dict[str, int]
    virtual_s: float
    violated: bool
    undecided: bool
    idle: bool


def campaign(
    scenarios: Iterable[str | Scenario],
    seeds: Iterable[int],
    *,
    jobs: int = 1,
    progress: Callable[[Tally], None] | None = None,
    **rules: Unpack[RuleOptions],
) -> list[Tally]:
    """Run every scenario with every seed, and return one tally a scenario.

    `jobs` is the number of processes, -1 for one a core. `progress` is called after each run, in the order of
    seeds. Raises what `simulate` raises.
    """
    seeds = list(seeds)
    tallies = []
    with Parallel(n_jobs=jobs) as parallel:
        for scenario in map(scenario_named, scenarios):
            tally = Tally(scenario)
            tallies.append(tally)
            left = iter(seeds)
            # By the slice rather than as a stream of results: every backend can do that.
            while some := list(islice(left, RUNS_PER_JOB * effective_n_jobs(jobs))):
                for brief in parallel(delayed(_run)(scenario, seed, rules) for seed in some):
                    _add(tally, brief)
                    if progress:
                        progress(tally)
    return tallies


def _run(scenario: Scenario, seed: int, rules: RuleOptions) -> _Brief:
    result = simulate(scenario, seed, record=False, **rules)
    undecided = isinstance(result.verdict, Unknown)
    return _Brief(seed, result.counts, result.virtual_s, result.violated, undecided, result.idle)


def _add(tally: Tally, brief: _Brief) -> None:
    tally.runs += 1
    tally.counts.update(brief.counts)
    tally.virtual_s += brief.virtual_s
    if brief.violated:
        tally.violations.append(brief.seed)
    if brief.undecided:
        tally.undecided.append(brief.seed)
    if brief.idle:
        tally.idle.append(brief.seed)
