"""How long is nobody answered while the members change? On real servers, three to four to five to four to three.

    python benchmarks/members.py                  a table
    python benchmarks/members.py --json           the same as JSON
    python benchmarks/members.py --clients 16 --records 1000 --rounds 5

Clients add one to a counter each, without a pause, through two proposers. Meanwhile the members change step by step;
one server is killed on the way and another takes its place. A *gap* is a time without any acknowledged change; a
step's gap is the longest that overlaps it. The first step changes nothing, to compare with. At the end every counter
is read, and the history is checked: a lost change, or one that was applied twice, ends the run with an error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import median

from tqdm import tqdm  # type: ignore[import-untyped]

import gryadka
from gryadka.acceptors.servers import FAKE, LocalCluster, find_server
from gryadka.checking.history import History, Outcome
from gryadka.course.load import Load
from gryadka.operations.membership import change_members

STILL_S = 1.0


@dataclass(frozen=True)
class Row:
    """One step: how long it took, the changes that were acknowledged meanwhile, and the gap; medians over rounds."""

    step: str
    seconds: float
    changes_per_second: float
    gap_ms: float
    longest_gap_ms: float


async def _still(cluster: LocalCluster) -> None:
    await asyncio.sleep(STILL_S)


async def _add(cluster: LocalCluster) -> None:
    await cluster.add_server()
    await change_members(cluster.connects, cluster.names)


async def _replace(cluster: LocalCluster) -> None:
    await cluster.kill(0)
    await cluster.add_server()
    await change_members(cluster.connects, cluster.names[1:])


def _keep(names: slice) -> Callable[[LocalCluster], Awaitable[object]]:
    return lambda cluster: change_members(cluster.connects, cluster.names[names])


STEPS: dict[str, Callable[[LocalCluster], Awaitable[object]]] = {
    "nothing changes": _still,
    "3 to 4": _add,
    "4 to 5": _add,
    "a server is killed and replaced": _replace,
    "5 to 4": _keep(slice(2, None)),
    "4 to 3": _keep(slice(3, None)),
}


async def once(clients: int, records: int) -> tuple[History, list[float]]:
    """Go through all steps, and return what the clients saw and when each step began and ended.

    Raises `SystemExit` if a change was lost.
    """
    async with gryadka.local_cluster(3) as cluster:
        writer = cluster.proposer(timeout_s=30.0)
        await asyncio.gather(*(writer.change(f"quiet {number}", lambda _: "here") for number in range(records)))
        load = Load(cluster, clients, pause_s=0.0).start()
        await asyncio.sleep(0.3)
        times_s = [time.monotonic()]
        for step in STEPS.values():
            await step(cluster)
            times_s.append(time.monotonic())
        told = await load.end()
        if "none was lost" not in told:
            raise SystemExit(told)
        return load.recorder.history(), times_s


def judge(history: History, times_s: Sequence[float]) -> list[tuple[float, float, float]]:
    """Return, for each step, its seconds, the changes per second, and the gap in ms."""
    times = (one.completed_s for one in history if one.outcome is Outcome.OK and one.process != "the looker")
    answers_s = sorted(at_s for at_s in times if at_s is not None)
    measured = []
    for begun_s, ended_s in pairwise(times_s):
        gap_s = max(b - a for a, b in pairwise(answers_s) if b > begun_s and a < ended_s)
        answered = sum(begun_s <= at_s < ended_s for at_s in answers_s)
        measured.append((ended_s - begun_s, answered / (ended_s - begun_s), 1000 * gap_s))
    return measured


def measure(clients: int, records: int, rounds: int) -> tuple[int, list[Row]]:
    """Return how many changes were acknowledged in all rounds, and a row for each step."""
    rows: list[list[tuple[float, float, float]]] = []
    acknowledged = 0
    for _ in tqdm(range(rounds), desc="changing members", unit="round", leave=False, disable=not sys.stderr.isatty()):
        history, times_s = asyncio.run(once(clients, records))
        acknowledged += sum(one.outcome is Outcome.OK for one in history)
        rows.append(judge(history, times_s))
    return acknowledged, [
        Row(
            step,
            *(round(median(column), 4) for column in zip(*each, strict=True)),
            round(max(gap for *_, gap in each), 4),
        )
        for step, each in zip(STEPS, zip(*rows, strict=True), strict=True)
    ]


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description="How long nobody is answered while the members change.")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--clients", type=int, default=16, help="clients that change their counters meanwhile")
    parser.add_argument("--records", type=int, default=100, help="further records, which nobody touches meanwhile")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured; medians count")
    options = parser.parse_args()
    if find_server() == FAKE:
        sys.exit("there is no real server here: install redis-server or valkey-server")
    acknowledged, rows = measure(options.clients, options.records, options.rounds)
    if options.json:
        about = {"python": platform.python_version(), "machine": platform.machine(), "clients": options.clients}
        about |= {"records": options.records, "rounds": options.rounds, "acknowledged": acknowledged}
        json.dump(about | {"rows": [asdict(row) for row in rows]}, sys.stdout, indent=2)
        print()
        return
    print(f"{'step':<34}{'seconds':>9}{'changes/s':>12}{'gap, ms':>10}{'longest of all, ms':>21}")
    for row in rows:
        figures = f"{row.seconds:>9.2f}{row.changes_per_second:>12,.0f}{row.gap_ms:>10.1f}{row.longest_gap_ms:>21.1f}"
        print(f"{row.step:<34}{figures}")
    print(f"{acknowledged:,} changes acknowledged in {options.rounds} rounds, and none was lost")


if __name__ == "__main__":
    main()
