"""How fast is the linearizability checker, and does it say what is known to be true?

    python benchmarks/linearizability.py [--json] [--jepsen DIR] [--only TEXT]

Histories come from a seeded generator: clients of a register that is linearizable by construction, some of
whose outcomes are lost. For a history that is *not* linearizable, one read is made to return a value that
was overwritten before the read began. With `--jepsen DIR` the etcd histories `etcd_000.log` to
`etcd_102.log` in DIR are judged as well. They come from Kyle Kingsbury's Jepsen runs of 2014 and are part of
the test data of the checkers by Anish Athalye (porcupine) and Alex Horn (linearizability-checker), where
their verdicts are stated.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from gryadka.checking.edn import read_history
from gryadka.checking.history import History, Operation, Outcome, Refusal
from gryadka.checking.linearizability import MODELS, Ok, Verdict, Violation, check, check_versioned

# Of the 102 etcd histories (number 95 is empty: the cluster did not start), these are linearizable.
JEPSEN_OK = {2, 5, 7, 18, 25, 31, 38, 45, 48, 49, 51, 53, 56, 67, 75, 76, 80, 87, 92, 98, 100, 101, 102}


@dataclass(frozen=True)
class Shape:
    """What a generated history looks like. `lost` is the share of operations whose outcome is unknown."""

    operations: int
    clients: int
    keys: int = 1
    lost: float = 0.0


class _Register:
    """A versioned register, at whatever instant it is asked."""

    def __init__(self) -> None:
        self.version, self.value = 0, None

    def apply(self, f: str, args: tuple[Any, ...]) -> Any:
        seen = {"ver": self.version, "val": self.value} if self.version else None
        if f == "read":
            return seen
        if f == "cas" and args[0] != self.version:
            return Refusal(seen)
        self.version, self.value = self.version + 1, args[-1]
        return {"ver": self.version, "val": self.value}


def generate(shape: Shape, seed: int, *, stale: bool = False) -> History:
    """Return a history of versioned registers: linearizable, or with one stale read."""
    rng = random.Random(seed)
    registers = {f"k{number}": _Register() for number in range(shape.keys)}
    operations: list[Operation] = []
    effects: list[tuple[float, int]] = []  # when, and which operation
    results: dict[int, Any] = {}
    free_at = [(rng.random(), client) for client in range(shape.clients)]
    heapq.heapify(free_at)

    def take_effect(until_s: float) -> None:
        while effects and effects[0][0] <= until_s:
            _, number = heapq.heappop(effects)
            results[number] = registers[operations[number].key].apply(operations[number].f, operations[number].args)

    while len(operations) < shape.operations:
        begin_s, client = heapq.heappop(free_at)
        take_effect(begin_s)
        key = f"k{rng.randrange(shape.keys)}"
        f, serial = rng.choice(["read", "write", "cas"]), len(operations) + 1
        args = {"read": (), "write": (serial,), "cas": (registers[key].version, serial)}[f]
        end_s = begin_s + rng.expovariate(1.0)
        lost = rng.random() < shape.lost
        if not lost or rng.random() < 0.5:
            effect_s = rng.uniform(begin_s, end_s) + (rng.expovariate(0.1) if lost else 0.0)
            heapq.heappush(effects, (effect_s, len(operations)))
        ending: dict[str, Any] = {} if lost else {"outcome": Outcome.OK, "completed_s": end_s}
        operations.append(Operation(process=client, f=f, args=args, key=key, invoked_s=begin_s, **ending))
        heapq.heappush(free_at, (end_s + 0.1 * rng.random(), client))
    take_effect(float("inf"))
    told = [
        replace(operation, result=results[number]) if operation.outcome is Outcome.OK else operation
        for number, operation in enumerate(operations)
    ]
    return History(_with_stale_read(told, rng) if stale else told)


def _with_stale_read(operations: list[Operation], rng: random.Random) -> list[Operation]:
    # A read is stale for sure if it returns a version below one that was seen before the read began.
    answered = [operation for operation in operations if _version(operation)]
    answered.sort(key=lambda operation: operation.completed_s or 0.0)
    for read in rng.sample([operation for operation in answered if operation.f == "read"], k=len(answered) // 4):
        before = [one for one in answered if one.key == read.key and (one.completed_s or 0.0) < read.invoked_s]
        newest = max(map(_version, before), default=0)
        older = [one for one in before if 0 < _version(one) < newest and not isinstance(one.result, Refusal)]
        if older:
            stale = replace(read, result=rng.choice(older).result)
            return [stale if one is read else one for one in operations]
    raise ValueError("no read can be made stale; take more operations")


def _version(operation: Operation) -> int:
    result = operation.result.value if isinstance(operation.result, Refusal) else operation.result
    return int(result["ver"]) if isinstance(result, dict) else 0


def as_register(history: Iterable[Operation]) -> History:
    """Return the same history with versions taken away: values alone, a cas told as the read or write it was."""
    plain = []
    for operation in history:
        refused = isinstance(operation.result, Refusal)
        result = operation.result.value if refused else operation.result
        f = {"cas": "read" if refused else "write"}.get(operation.f, operation.f)
        args = operation.args[-1:] if f == "write" else ()
        plain.append(replace(operation, f=f, args=args, result=result["val"] if isinstance(result, dict) else result))
    return History(plain)


@dataclass(frozen=True)
class Row:
    """One line of the table; `agrees` tells whether the verdict is the one that is known to be true."""

    name: str
    operations: int
    verdict: str
    agrees: bool
    seconds: float


def _measured(name: str, operations: int, judge: Callable[[], Verdict], expected: bool) -> Row:
    start = time.perf_counter()
    verdict = judge()
    seconds = time.perf_counter() - start
    agrees = isinstance(verdict, Ok if expected else Violation)
    return Row(name, operations, type(verdict).__name__.lower(), agrees, seconds)


SHAPES = [
    Shape(1_000, 5),
    Shape(1_000, 5, lost=0.05),
    Shape(5_000, 20, lost=0.2),
    Shape(20_000, 10, keys=20, lost=0.02),
    Shape(100_000, 20, keys=5, lost=0.02),
]


def generated(seed: int, only: str) -> Iterable[Row]:
    """Judge generated histories whose name contains `only`, as they are and with a stale read, in both ways."""
    for shape in SHAPES:
        for stale in (False, True):
            name = f"{shape.clients} clients, {shape.keys} keys, {shape.lost:.0%} lost{', stale' if stale else ''}"
            if only not in name:
                continue
            history = generate(shape, seed, stale=stale)
            plain = as_register(history)
            yield _measured(f"register: {name}", len(plain), partial(check, plain, MODELS["register"]), not stale)
            yield _measured(f"versioned: {name}", len(history), partial(check_versioned, history), not stale)


def jepsen(directory: Path) -> Iterable[Row]:
    """Judge the etcd histories: read all, decide all, and find each smallest failing part."""
    model, histories = MODELS["cas-register"], {}
    paths = sorted(directory.glob("etcd_*.log"))
    start = time.perf_counter()
    for path in paths:
        history = read_history(path) if path.stat().st_size else History()
        if history:
            histories[int(path.stem.removeprefix("etcd_"))] = history
    read_s = time.perf_counter() - start
    count = sum(map(len, histories.values()))
    yield Row(f"jepsen: {len(histories)} histories, read", count, "-", True, read_s)
    for smallest in (False, True):
        start = time.perf_counter()
        verdicts = {number: check(one, model, smallest=smallest) for number, one in histories.items()}
        seconds = time.perf_counter() - start
        agrees = all(isinstance(v, Ok if number in JEPSEN_OK else Violation) for number, v in verdicts.items())
        good = sum(isinstance(verdict, Ok) for verdict in verdicts.values())
        what = "decided, with smallest parts" if smallest else "decided"
        yield Row(f"jepsen: {what}", count, f"{good} ok, {len(verdicts) - good} violations", agrees, seconds)


def main() -> int:
    """Print the table; the exit code is 1 if a verdict is not the known one."""
    parser = argparse.ArgumentParser(description="Measure the linearizability checker.")
    parser.add_argument("--jepsen", type=Path, metavar="DIR", help="a directory with etcd_000.log ... etcd_102.log")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", metavar="TEXT", help="only generated histories whose name contains this")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    rows = [*generated(options.seed, options.only), *(jepsen(options.jepsen) if options.jepsen else [])]
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        print(f"{'history':<52} {'operations':>10} {'verdict':>24} {'as known':>8} {'seconds':>8}")
        for row in rows:
            known = "yes" if row.agrees else "NO"
            print(f"{row.name:<52} {row.operations:>10} {row.verdict:>24} {known:>8} {row.seconds:>8.3f}")
    return 0 if all(row.agrees for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
