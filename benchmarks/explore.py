"""How fast is the explorer? States generated per second, per model.

    python benchmarks/explore.py                 a table, the best of three runs
    python benchmarks/explore.py --json          the same as JSON
    python benchmarks/explore.py --repeat 5
    python benchmarks/explore.py --only grid     models whose name contains this

Counts are exact and must not differ from run to run; only the seconds may. `grid` has successors that cost
next to nothing, so it shows the explorer alone; the others are CASPaxos in the form of its TLA+ models,
with all their properties, and without any (`bare`).
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from gryadka.checking.explore import Exhausted, Model, explore
from gryadka.checking.synod import Synod, remember

SIDE = 60


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    model: str
    generated: int
    distinct: int
    depth: int
    seconds: float
    generated_per_second: int


def grid() -> Model[int, str]:
    """A ring in each of three directions, 60 long; a state is one integer."""

    def successors(state: int) -> Iterator[tuple[str, int]]:
        for label, size in (("x", 1), ("y", SIDE), ("z", SIDE**2)):
            last = state // size % SIDE == SIDE - 1
            yield label, state - (SIDE - 1) * size if last else state + size

    return Model([0], successors)


def bare(synod: Synod) -> Model[Any, str]:
    """The model without properties."""
    return Model([synod.initial], synod.successors)


# A model is built anew for each run, so that no run profits from what an earlier one worked out.
MODELS: dict[str, Callable[[], Model[Any, str]]] = {
    "grid, 60 x 60 x 60": grid,
    "synod, 3 acceptors, B=2": lambda: Synod(3, 2).model(),
    "synod, 3 acceptors, B=2, symmetric": lambda: Synod(3, 2).model(symmetric=True),
    "synod, 3 acceptors, B=3": lambda: Synod(3, 3).model(),
    "synod, 3 acceptors, B=3, bare": lambda: bare(Synod(3, 3)),
    "synod, 3 acceptors, B=3, symmetric": lambda: Synod(3, 3).model(symmetric=True),
    "synod, 3 acceptors, B=3, histories": lambda: Synod(3, 3, change=remember).model(),
    "synod, 5 acceptors, B=2, symmetric": lambda: Synod(5, 2).model(symmetric=True),
}


def measure(name: str, build: Callable[[], Model[Any, str]], repeat: int) -> Row:
    """Explore the model `repeat` times and keep the fastest run."""
    runs = []
    for _ in range(repeat):
        model = build()
        begun = time.perf_counter()
        verdict = explore(model)
        runs.append((time.perf_counter() - begun, verdict))
    seconds = min(took for took, _ in runs)
    verdicts = {verdict for _, verdict in runs}
    if len(verdicts) != 1 or not isinstance(runs[0][1], Exhausted):
        raise SystemExit(f"{name}: expected one and the same exhausted search, got {verdicts}")
    counts = runs[0][1]
    return Row(
        name,
        counts.generated,
        counts.distinct,
        counts.depth,
        round(seconds, 4),
        round(counts.generated / seconds),
    )


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description="Speed of the explorer.")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--repeat", type=int, default=3, help="runs per model; the fastest counts")
    parser.add_argument("--only", default="", metavar="TEXT", help="only models whose name contains this")
    options = parser.parse_args()
    rows = [measure(name, build, options.repeat) for name, build in MODELS.items() if options.only in name]
    if options.json:
        about = {"python": platform.python_version(), "machine": platform.machine()}
        json.dump(about | {"rows": [asdict(row) for row in rows]}, sys.stdout, indent=2)
        print()
        return
    print(f"{'model':<46}{'generated':>12}{'distinct':>12}{'depth':>7}{'seconds':>9}{'generated/s':>13}")
    for row in rows:
        print(
            f"{row.model:<46}{row.generated:>12,}{row.distinct:>12,}{row.depth:>7}{row.seconds:>9.3f}"
            f"{row.generated_per_second:>13,}"
        )


if __name__ == "__main__":
    main()
