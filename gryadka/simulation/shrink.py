"""From a failing run to a short one that fails as well.

What may live here: leaving out. No files, no printing.

The theory in a few lines. First, runs of the same scenario that end after a few steps are tried, under some
seeds: a short run that fails is a better place to start from than a long one. Then choices are left out. A run's
choices are steps, faults and fates, and a failure needs few of them: so leave some out, run again, and keep what
still fails, large parts first, then ever smaller ones, down to one at a time (after Zeller and Hildebrandt,
"Simplifying and isolating failure-inducing input", 2002). A fate is left out by letting its packet arrive as
usual. What is left is short; nobody claims that it is the shortest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, Unpack

from gryadka.simulation.plan import Choices, Step
from gryadka.simulation.run import Result, RuleOptions, simulate
from gryadka.simulation.scenarios import Scenario

Item = TypeVar("Item")

MAX_RUNS = 2500
FEW_STEPS = (1, 2, 4, 8, 16)
SEEDS = 200

Progress = Callable[[int, int], None]
"""Called with how many runs were made so far, and how many steps the shortest failing one has."""


class _Spent(Exception):
    """All the runs that were granted have been made."""


def shrink(
    result: Result, *, max_runs: int = MAX_RUNS, progress: Progress | None = None, **rules: Unpack[RuleOptions]
) -> Result:
    """Return a run with as few steps, faults and strange fates as could be found, that shows a violation, too.

    `result` is a run with a violation, and `rules` are those that it was run with. The seed of what is
    returned may be another. Raises `ValueError` if `result` shows no violation.
    """
    if not result.violated:
        raise ValueError("only a run that shows a violation can be made smaller")
    shrinker = _Shrinker(result, max_runs, progress, rules)
    try:
        shrinker.start_small()
        shrinker.leave_out()
    except _Spent:
        pass
    return shrinker.best


class _Shrinker:
    def __init__(self, result: Result, max_runs: int, progress: Progress | None, rules: RuleOptions) -> None:
        self._rules, self._progress, self._max_runs = rules, progress, max_runs
        self._runs = 0
        self.best = simulate(result.scenario, result.seed, choices=result.choices, **rules)

    def start_small(self) -> None:
        """Look for a failure among runs that end early."""
        scenario, first = self.best.scenario, self.best.seed
        for steps in FEW_STEPS:
            for seed in range(first, first + SEEDS):
                if steps < scenario.steps and self._fails(replace(scenario, steps=steps), seed):
                    return

    def leave_out(self) -> None:
        """Leave out steps, then fates, then faults, and all over again until nothing changes."""
        before = None
        while before != self.best.choices:
            before = choices = self.best.choices
            self._fewest(_in_turns(choices), lambda steps: replace(self.best.choices, steps=steps))
            fates = tuple(self.best.choices.fates.items())
            self._fewest(fates, lambda fates: replace(self.best.choices, fates=dict(fates)))
            self._fewest(self.best.choices.faults, lambda faults: replace(self.best.choices, faults=faults))

    def _fewest(self, items: tuple[Item, ...], chosen: Callable[[tuple[Item, ...]], Choices]) -> None:
        size = len(items)
        while size:
            start = 0
            while start < len(items):
                rest = items[:start] + items[start + size :]
                if self._fails(self.best.scenario, self.best.seed, chosen(rest)):
                    items = rest
                else:
                    start += size
            size //= 2

    def _fails(self, scenario: Scenario, seed: int, choices: Choices | None = None) -> bool:
        # If so, it is the best so far. It is recorded only then: most trials do not fail.
        if self._runs >= self._max_runs:
            raise _Spent
        self._runs += 1
        trial = simulate(scenario, seed, choices=choices, record=False, **self._rules)
        if trial.violated:
            self.best = simulate(scenario, seed, choices=choices, **self._rules)
        if self._progress:
            self._progress(self._runs, len(self.best.choices.steps))
        return trial.violated


def _in_turns(choices: Choices) -> tuple[Step, ...]:
    # Each client's first step, then each one's second...: parts of this order are parts of the run in time.
    made: Counter[int] = Counter()
    turns = []
    for step in choices.steps:
        made[step.client] += 1
        turns.append((made[step.client], step))
    return tuple(step for _, step in sorted(turns, key=lambda turn: turn[0]))
