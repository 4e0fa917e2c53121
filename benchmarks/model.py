"""How fast is the model of CASPaxos explored, and how fast is the zoo of mutants caught?

    python benchmarks/model.py                  a table, the best of three runs
    python benchmarks/model.py --json           the same as JSON
    python benchmarks/model.py --repeat 1       faster, and less steady
    python benchmarks/model.py --only lineage   scopes and mutants whose name contains this
    python benchmarks/model.py --large          scopes of millions of states too: minutes, and 3 GB of memory

Counts are exact and must not differ from run to run; only the seconds may.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from dataclasses import asdict, dataclass, replace

from gryadka.checking.explore import Exhausted, explore
from gryadka.checking.model import Caspaxos
from gryadka.checking.mutants import MUTANTS, SOUND_VARIANTS
from gryadka.checking.rules import Scope

CACHE = Scope(ballots=3, cache=True, changes=(("append", "append"), ("append",)))

SCOPES = {
    "3 acceptors, 2 proposers, 2 ballots": Scope(3, 2, 2),
    "the same, callers leave": Scope(3, 2, 2, deadlines=True),
    "the same, no symmetry": Scope(3, 2, 2, symmetric=False),
    "3 acceptors, 3 proposers, 1 ballot": Scope(3, 3, 1),
    "5 acceptors, 2 proposers, 1 ballot": Scope(5, 2, 1),
    "5 acceptors, 2 proposers, 2 ballots": Scope(5, 2, 2),
    "one round trip, 3 ballots": CACHE,
    "refusals heard": Scope(conflicts=True),
    "lineage of 1, 3 ballots": Scope(ballots=3, lineage=1),
}
LARGE = {
    "lineage of 1, 3 proposers, 2 ballots": Scope(3, 3, 2, (("append",), ("append",), ("read",)), lineage=1),
    "lineage of 2, 3 proposers, 2 ballots": Scope(3, 3, 2, lineage=2),
    "lineage of 1, callers leave, 3 ballots": replace(CACHE, cache=False, lineage=1, deadlines=True),
    "lineage of 1, one round trip, 4 ballots": replace(CACHE, ballots=4, lineage=1),
    "lineage of 1, 4 ballots": Scope(ballots=4, lineage=1),
}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    scope: str
    generated: int
    distinct: int
    depth: int
    seconds: float
    generated_per_second: int


def measure(name: str, scope: Scope, repeat: int) -> Row:
    """Explore the scope `repeat` times, each time anew, and keep the fastest run."""
    runs = []
    for _ in range(repeat):
        begun = time.perf_counter()
        verdict = explore(Caspaxos(scope).model())
        runs.append((time.perf_counter() - begun, verdict))
    verdicts = {verdict for _, verdict in runs}
    if len(verdicts) != 1 or not isinstance(runs[0][1], Exhausted):
        raise SystemExit(f"{name}: expected one and the same exhausted search, got {verdicts}")
    seconds, counts = min(took for took, _ in runs), runs[0][1]
    rate = round(counts.generated / seconds)
    return Row(name, counts.generated, counts.distinct, counts.depth, round(seconds, 3), rate)


def measure_zoo(only: str) -> dict[str, float | int]:
    """Run every animal of the zoo once whose name contains `only`."""
    begun = time.perf_counter()
    results = [animal.run() for animal in [*MUTANTS, *SOUND_VARIANTS] if only in animal.name]
    seconds = round(time.perf_counter() - begun, 1)
    failed = [result.mutant.name for result in results if not result.as_it_should_be]
    if failed:
        raise SystemExit(f"not as it should be: {failed}")
    mutants = sum(bool(result.mutant.caught_by) for result in results)
    return {"mutants": mutants, "sound_variants": len(results) - mutants, "seconds": seconds}


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description="Speed of the model of CASPaxos.")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--repeat", type=int, default=3, help="runs per scope; the fastest counts")
    parser.add_argument("--only", default="", metavar="TEXT", help="only scopes and mutants whose name contains this")
    parser.add_argument("--large", action="store_true", help="scopes of millions of states too, once each")
    options = parser.parse_args()
    rows = [measure(name, scope, options.repeat) for name, scope in SCOPES.items() if options.only in name]
    if options.large:
        rows += [measure(name, scope, 1) for name, scope in LARGE.items() if options.only in name]
    zoo = measure_zoo(options.only)
    if options.json:
        about = {"python": platform.python_version(), "machine": platform.machine()}
        json.dump(about | {"rows": [asdict(row) for row in rows], "zoo": zoo}, sys.stdout, indent=2)
        print()
        return
    print(f"{'scope':<42}{'generated':>12}{'distinct':>11}{'depth':>7}{'seconds':>9}{'generated/s':>13}")
    for row in rows:
        print(
            f"{row.scope:<42}{row.generated:>12,}{row.distinct:>11,}{row.depth:>7}{row.seconds:>9.3f}"
            f"{row.generated_per_second:>13,}"
        )
    print(f"the zoo: {zoo['mutants']} mutants and {zoo['sound_variants']} sound variants in {zoo['seconds']} s")


if __name__ == "__main__":
    main()
