"""How fast is the simulator? Acknowledged changes per second, on one core, histories fully checked.

    python benchmarks/simulate.py                 a table
    python benchmarks/simulate.py --json          the same as JSON
    python benchmarks/simulate.py --seeds 100

The scenarios are the ten without membership changes that the JavaScript Gryadka has, too. Only changes that were
acknowledged count: no reads, no refusals, no unknown outcomes. A run counts with its history checked for
linearizability; `checking` is the part of the seconds that this takes. Seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any
from unittest import mock

from gryadka.checking.linearizability import Unknown
from gryadka.simulation import clients, run
from gryadka.simulation.scenarios import CLASSIC, Scenario

SEEDS = 30


@dataclass
class Row:
    """One line of the table."""

    scenario: str
    runs: int
    acknowledged: int
    violations: int
    undecided: int
    virtual_s: float
    seconds: float
    checking: float
    changes_per_second: int


def measure(scenario: Scenario, seeds: int) -> Row:
    """Make the runs of one scenario."""
    checking = 0.0
    judge = clients.judge

    def timed(*parts: Any) -> Any:
        nonlocal checking
        begun = time.process_time()
        verdict = judge(*parts)
        checking += time.process_time() - begun
        return verdict

    row = Row(scenario.name, seeds, 0, 0, 0, 0.0, 0.0, 0.0, 0)
    with mock.patch.object(run, "judge", timed):
        begun = time.process_time()
        for seed in range(seeds):
            result = run.simulate(scenario, seed, record=False)
            row.acknowledged += result.counts["acknowledged"]
            row.violations += result.violated
            row.undecided += isinstance(result.verdict, Unknown)
            row.virtual_s += result.virtual_s
        row.seconds = time.process_time() - begun
    row.checking = checking
    row.changes_per_second = round(row.acknowledged / row.seconds)
    if bool(row.violations) != scenario.must_fail:
        raise SystemExit(f"{scenario.name}: {row.violations} violations in {seeds} seeds")
    return row


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description="Speed of the simulator.")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="runs per scenario")
    options = parser.parse_args()
    rows = [measure(scenario, options.seeds) for scenario in CLASSIC]
    acknowledged, seconds = sum(row.acknowledged for row in rows), sum(row.seconds for row in rows)
    if options.json:
        about = {"python": platform.python_version(), "machine": platform.machine()}
        total = {"acknowledged": acknowledged, "seconds": seconds, "changes_per_second": round(acknowledged / seconds)}
        json.dump(about | total | {"rows": [asdict(row) for row in rows]}, sys.stdout, indent=2)
        print()
        return
    print(f"{'scenario':<20}{'runs':>6}{'acknowledged':>14}{'virtual s':>11}", end="")
    print(f"{'seconds':>9}{'checking':>9}{'changes/s':>10}")
    for row in rows:
        print(
            f"{row.scenario:<20}{row.runs:>6}{row.acknowledged:>14,}{row.virtual_s:>11.1f}"
            f"{row.seconds:>9.2f}{row.checking:>9.2f}{row.changes_per_second:>10,}"
        )
    print(f"{'together':<26}{acknowledged:>14,}{'':>11}{seconds:>9.2f}{'':>9}{round(acknowledged / seconds):>10,}")


if __name__ == "__main__":
    main()
