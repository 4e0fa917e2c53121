"""What does tracing cost, when it is off and when it is on?

    python benchmarks/tracing.py                  a table
    python benchmarks/tracing.py --json           the same as JSON
    python benchmarks/tracing.py --changes 50 --rounds 99
    python benchmarks/tracing.py --servers        against three real servers instead

One proposer changes one register, again and again, on three acceptors in this process: then nothing else takes time,
and what tracing costs shows most.

- *removed*: the proposer with every call of `_tell` cut out of its source, as if tracing had never been thought of.
- *removed, again*: the same once more. How far it is from 1 says what this computer can tell apart.
- *off*: `Proposer` as it is, without an `observe` callback.
- *on, nothing kept*: with a callback that does nothing, so events are made and thrown away.
- *on, all kept*: with a list that keeps every event.
- *on, live view*: with the views of `lab.live`, which follow the events; drawing them is not counted.

A round measures every system for a moment, one after the other, and each round begins with another one. Times are
those of the processor. A ratio is a system's time to that of *removed* in the same round: the median over all rounds,
and the quartiles on both sides of it.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import gc
import importlib.util
import json
import platform
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from types import ModuleType
from typing import Any

import gryadka
from gryadka import proposer as original
from gryadka.acceptors import Acceptor
from gryadka.acceptors.memory import memory_acceptors
from gryadka.acceptors.observed import Observed
from gryadka.acceptors.servers import FAKE, find_server
from gryadka.protocol.configuration import Configuration
from gryadka.trace import Event, Observe
from gryadka.views.live import Live

SYSTEMS = ("removed", "removed, again", "off", "on, nothing kept", "on, all kept", "on, live view")
Acceptors = Callable[[], Mapping[str, Acceptor]]


@dataclass(frozen=True)
class Row:
    """One line of the table: the processor's time for one change, and how many events were made for it."""

    system: str
    change_us: float
    ratio: float
    ratio_from: float
    ratio_to: float
    events: float


class _Cut(ast.NodeTransformer):
    # Takes out the calls of `_tell`, and the questions whether anybody observes.

    def __init__(self) -> None:
        self.cuts = 0

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "self._tell":
            self.cuts += 1
            return None
        return node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        self.generic_visit(node)
        return node if node.body else None


def without_tracing() -> ModuleType:
    """Return the module `gryadka.proposer` as it were without its calls of `_tell`."""
    path = Path(original.__file__)
    cut = _Cut()
    tree = cut.visit(ast.parse(path.read_text(encoding="utf-8")))
    if cut.cuts < 4 or ast.unparse(tree).count("self._tell("):
        raise SystemExit(f"of the calls of _tell, {cut.cuts} were found: this benchmark does not fit the proposer")
    spec = importlib.util.spec_from_loader("gryadka_proposer_without_tracing", loader=None)
    assert spec
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for the module of their class
    exec(compile(tree, str(path), "exec"), module.__dict__)  # the project's own source, less some lines
    return module


class Bench:
    """All systems on the same kind of acceptors."""

    def __init__(self, acceptors: Acceptors, changes: int) -> None:
        self._acceptors = acceptors
        self._changes = changes
        self._bare = without_tracing().Proposer
        self.times_us: dict[str, list[float]] = {system: [] for system in SYSTEMS}
        self.events = dict.fromkeys(SYSTEMS, 0)

    async def measure(self, system: str) -> None:
        """Make the changes through a fresh proposer, and take note of the time."""
        kept: list[Event] = []
        acceptors = self._acceptors()
        observers: dict[str, Callable[[], Observe]] = {
            "on, nothing kept": lambda: lambda event: None,
            "on, all kept": lambda: kept.append,
            "on, live view": lambda: Live(acceptors).observe,
        }
        observe = observers[system]() if system in observers else None
        if observe:
            acceptors = {name: Observed(name, acceptor, observe) for name, acceptor in acceptors.items()}
        kind: Any = self._bare if system.startswith("removed") else gryadka.Proposer
        proposer = kind(Configuration.majority(acceptors), acceptors, observe=observe)
        await proposer.change("count", lambda value: 0)  # connects; its successors take one round trip
        gc.collect()
        gc.disable()
        begun_ns = time.process_time_ns()
        for _ in range(self._changes):
            value = await proposer.change("count", _add_one)
        self.times_us[system].append((time.process_time_ns() - begun_ns) / 1000 / self._changes)
        gc.enable()
        await proposer.close()
        self.events[system] = len(kept)
        if value != self._changes:
            raise SystemExit(f"{system}: {self._changes} changes were made, and {value} are there")

    def row(self, system: str) -> Row:
        """Return what was measured."""
        pairs = zip(self.times_us[system], self.times_us["removed"], strict=True)
        ratios = [own / removed for own, removed in pairs]
        low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        figures = median(self.times_us[system]), median(ratios), low, high
        return Row(system, *(round(figure, 3) for figure in figures), round(self.events[system] / self._changes, 1))


def _add_one(value: Any) -> Any:
    return value + 1


async def measure(changes: int, rounds: int, *, servers: bool) -> list[Row]:
    """Measure every system in every round. Raises `SystemExit` if a change is lost."""
    async with AsyncExitStack() as stack:
        if servers:
            cluster = await stack.enter_async_context(gryadka.local_cluster(3, fsync="no"))
            bench = Bench(cluster.acceptors, changes)
        else:
            bench = Bench(lambda: memory_acceptors(3)[1], changes)
        for number in range(rounds):
            first = number % len(SYSTEMS)
            for system in SYSTEMS[first:] + SYSTEMS[:first]:
                await bench.measure(system)
        return [bench.row(system) for system in SYSTEMS]


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description="What tracing costs.")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--changes", type=int, default=100, help="changes of a system in a round")
    parser.add_argument("--rounds", type=int, default=100, help="how often everything is measured; medians count")
    parser.add_argument("--servers", action="store_true", help="against three real servers")
    options = parser.parse_args()
    if options.servers and find_server() == FAKE:
        sys.exit("there is no real server here: install redis-server or valkey-server")
    rows = asyncio.run(measure(options.changes, options.rounds, servers=options.servers))
    if options.json:
        about = {"python": platform.python_version(), "machine": platform.machine(), "servers": options.servers}
        json.dump(about | {"rows": [asdict(row) for row in rows]}, sys.stdout, indent=2)
        print()
        return
    print(f"{'tracing':<20}{'µs a change':>12}{'ratio':>9}{'quartiles':>18}{'events a change':>18}")
    for row in rows:
        spread = f"{row.ratio_from:.3f} to {row.ratio_to:.3f}"
        events = f"{row.events:g}" if row.events else ""
        print(f"{row.system:<20}{row.change_us:>12.1f}{row.ratio:>9.3f}{spread:>18}{events:>18}")


if __name__ == "__main__":
    main()
