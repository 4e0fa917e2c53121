"""How fast is `change`? Against three real servers, next to a plain client and next to the raw limit.

    python benchmarks/change.py                  two tables
    python benchmarks/change.py --json           the same as JSON
    python benchmarks/change.py --fsync no --seconds 1 --rounds 9

All on the same servers, with the same Lua script:

- *gryadka*: `Proposer.change`. *traced*: the same, with an `observe` callback that keeps the latest events.
- *plain*: the same protocol as one would first write it with `redis.asyncio`: a pool of connections, one request
  a call, a prepare and then an accept. Its changes of one key compete, and most of them end unknown; *plain, in
  turn* has a lock for each key, and takes its place in the ratios.
- *raw*: accepts that were packed in advance, those of all clients in one call to each server, and a quorum of
  answers waited for. No ballots, no change functions: what is left are the connections and the servers.

Each client begins its next change when the last one has ended. A round measures every system for a moment, one
after the other, and each round begins with another one, so that whatever else the computer does hits all alike.
Speeds are medians over the rounds, ratios are medians of each round's own ratio, a percentile is the median of
each round's percentile, and the maximum is that of all rounds. At the end every counter is read: a change that was
lost, or applied twice, ends the run with an error.

Everything is measured twice, on servers of its own. With `appendfsync no`, no server waits for its disk: that shows
the clients. `appendfsync always` is how acceptors have to run; but here all three flush to one disk, one after the
other, and every client waits for that, so that they look more alike than with a disk for each server.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import resource
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from itertools import groupby
from operator import itemgetter
from statistics import median
from typing import Any, Protocol

from clients import OWN_KEY, TIMEOUT_S, Plain, Raw
from redis.asyncio import Redis
from rich import box
from rich.console import Console
from rich.table import Table
from tqdm import tqdm  # type: ignore[import-untyped]

import gryadka
from gryadka.acceptors.servers import FAKE, LocalCluster, find_server

SERVERS = 3
FILES = 4096  # the plain client opens up to 256 connections to each server
Change = Callable[[str, Callable[[Any], Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Workload:
    """So many clients at once, spread over so many keys."""

    clients: int
    keys: int

    def __str__(self) -> str:
        return f"{self.clients} on {self.keys} key{'s' if self.keys > 1 else ''}"


WORKLOADS = [Workload(1, 1), Workload(8, 8), Workload(64, 64), Workload(256, 256), Workload(64, 1)]


@dataclass
class Tally:
    """What one system did under one workload."""

    latencies_s: list[list[float]] = field(default_factory=list)  # round -> one for each change, or each batch
    speeds: list[float] = field(default_factory=list)  # round -> changes per second
    acknowledged: int = 0
    unknown: int = 0
    stored: int = 0


class System(Protocol):
    """Something that can be measured."""

    async def run(self, keys: Sequence[str], clients: int, seconds: float, tally: Tally) -> None:
        """Work for so many seconds, and add it to the tally."""

    async def stored(self, keys: Sequence[str], tally: Tally) -> int:
        """Return the sum of these counters, as the servers have it."""


@dataclass
class Counters:
    """Clients that each add one to a counter, again and again. `other` is another client, which looks at the end."""

    change: Change
    other: Change

    async def run(self, keys: Sequence[str], clients: int, seconds: float, tally: Tally) -> None:
        """Work for so many seconds, and add it to the tally."""
        latencies_s: list[float] = []

        async def add_one(key: str) -> float | None:
            begun_s = time.perf_counter()
            try:
                await self.change(key, lambda value: (value or 0) + 1)
            except gryadka.OutcomeUnknown:
                tally.unknown += 1
                return None
            tally.acknowledged += 1
            return time.perf_counter() - begun_s

        async def client(key: str) -> None:
            while not latencies_s or time.perf_counter() < end_s:
                latency_s = await add_one(key)
                if latency_s is not None:
                    latencies_s.append(latency_s)

        await asyncio.gather(*map(add_one, keys))  # connections and first prepares are not measured
        begun_s = time.perf_counter()
        end_s = begun_s + seconds
        await asyncio.gather(*(client(keys[number % len(keys)]) for number in range(clients)))
        tally.speeds.append(len(latencies_s) / (time.perf_counter() - begun_s))
        tally.latencies_s.append(latencies_s)

    async def stored(self, keys: Sequence[str], tally: Tally) -> int:
        """Return the sum of these counters, as the servers have it."""
        return sum(await asyncio.gather(*(self.other(key, lambda value: value) for key in keys)))


@dataclass
class Batches:
    """Every client's change in one batch after the other; a batch is as long under way as each of its changes."""

    raw: Raw

    async def run(self, keys: Sequence[str], clients: int, seconds: float, tally: Tally) -> None:
        """Work for so many seconds, and add it to the tally."""
        packed = self.raw.pack(keys)
        await self.raw.batch(packed)
        latencies_s: list[float] = []
        begun_s = now_s = time.perf_counter()
        while not latencies_s or now_s < begun_s + seconds:
            was_s = now_s
            await self.raw.batch(packed)
            now_s = time.perf_counter()
            latencies_s.append(now_s - was_s)
        tally.speeds.append(len(latencies_s) * clients / (now_s - begun_s))
        tally.latencies_s.append(latencies_s)
        tally.acknowledged += len(latencies_s) * clients

    async def stored(self, keys: Sequence[str], tally: Tally) -> int:
        """Return what was acknowledged: every answer was looked at, and nothing is counted on the servers."""
        return tally.acknowledged


# -- the measurement --------------------------------------------------------------------------------------


def systems_for(workload: Workload) -> list[str]:
    """Return the names of the systems that this workload measures."""
    return ["gryadka", "traced", "plain", *(["plain, in turn"] if workload.clients > workload.keys else []), "raw"]


async def measure(seconds: float, rounds: int, fsync: str) -> dict[str, Any]:
    """Measure every system on servers with this `appendfsync`, and return it as JSON can hold it.

    Raises `SystemExit` if there is no real server, or a counter does not agree with what was acknowledged.
    """
    if find_server() == FAKE:
        raise SystemExit("this measures real servers, and none was found; install redis-server or valkey-server")
    plan = [
        (workload, name)
        for number in range(rounds)
        for workload in WORKLOADS
        for name in _turned(systems_for(workload), number)
    ]
    tallies = {part: Tally() for part in plan}
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(gryadka.local_cluster(SERVERS, fsync=fsync))
        systems = await _systems(cluster, stack)
        for workload, name in tqdm(plan, f"appendfsync {fsync}", unit=" slices", leave=False, disable=None):
            gc.collect()
            async with asyncio.timeout(seconds + TIMEOUT_S):
                await systems[name].run(_keys(workload, name), workload.clients, seconds, tallies[workload, name])
        for (workload, name), tally in tallies.items():
            tally.stored = await systems[name].stored(_keys(workload, name), tally)
            if not tally.acknowledged <= tally.stored <= tally.acknowledged + tally.unknown:
                raise SystemExit(
                    f"{name}, {workload}: {tally.acknowledged} changes were acknowledged and the outcome of "
                    f"{tally.unknown} is unknown, but {tally.stored} are stored"
                )
        about = await _about(cluster)
    about |= {"seconds": seconds, "rounds": rounds}
    return about | {"rows": [{"fsync": fsync} | _row(*part, tallies) for part in plan[: len(tallies)]]}


def _turned(names: list[str], number: int) -> Iterable[str]:
    at = number % len(names)
    return names[at:] + names[:at]


def _keys(workload: Workload, name: str) -> list[str]:
    return [f"{name}/{workload}/{number}" for number in range(workload.keys)]


async def _systems(cluster: LocalCluster, stack: AsyncExitStack) -> dict[str, System]:
    identities: list[Any] = []
    for url in cluster.urls:
        async with Redis.from_url(url, decode_responses=True) as server:
            identities.append(await server.hget(OWN_KEY, "identity"))
    most = max(workload.clients for workload in WORKLOADS)
    plain = Plain(cluster.urls, identities, most, in_turn=False)
    in_turn = Plain(cluster.urls, identities, most, in_turn=True)
    raw = Raw(cluster.urls, identities)
    for client in (plain, in_turn, raw):
        stack.push_async_callback(client.close)
    await raw.open()
    latest: deque[Any] = deque(maxlen=1000)
    gryadkas = cluster.proposer(), cluster.proposer(observe=latest.append)
    return {
        "gryadka": Counters(gryadkas[0].change, gryadkas[1].change),
        "traced": Counters(gryadkas[1].change, gryadkas[0].change),
        "plain": Counters(plain.change, in_turn.change),
        "plain, in turn": Counters(in_turn.change, plain.change),
        "raw": Batches(raw),
    }


async def _about(cluster: LocalCluster) -> dict[str, Any]:
    async with Redis.from_url(cluster.urls[0]) as server:
        info = await server.info("server")
    return {
        "servers": SERVERS,
        "server": info.get("server_name", "redis"),
        "server_version": info.get("valkey_version", info["redis_version"]),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "redis_py": version("redis"),
        "hiredis": version("hiredis"),
    }


def _row(workload: Workload, name: str, tallies: dict[tuple[Workload, str], Tally]) -> dict[str, Any]:
    tally = tallies[workload, name]
    plain = [other for other in systems_for(workload) if other.startswith("plain")][-1]

    def percentile_ms(percent: int) -> float:
        return round(1000 * median(sorted(part)[len(part) * percent // 100] for part in tally.latencies_s), 3)

    def times(other: str) -> float:
        pairs = zip(tally.speeds, tallies[workload, other].speeds, strict=True)
        return round(median(own / its for own, its in pairs), 3)

    return {
        "workload": str(workload),
        **asdict(workload),
        "system": name,
        "changes_per_second": round(median(tally.speeds), 1),
        **{f"p{percent}_ms": percentile_ms(percent) for percent in (50, 95, 99)},
        "max_ms": round(1000 * max(map(max, tally.latencies_s)), 3),
        "times_gryadka": times("gryadka"),
        "times_plain": times(plain),
        "times_raw": times("raw"),
        "acknowledged": tally.acknowledged,
        "unknown": tally.unknown,
        "stored": tally.stored,
    }


# -- the command ------------------------------------------------------------------------------------------


def show(result: dict[str, Any]) -> None:
    """Print the result as a table for each setting of the servers, under lines that say where it was measured."""
    print(
        "{servers} servers: {server} {server_version}; {cores} cores, {system}\n"
        "Python {python}, redis {redis_py}, hiredis {hiredis}; {rounds} rounds of {seconds} s each".format(**result)
    )
    for fsync, rows in groupby(result["rows"], itemgetter("fsync")):
        Console(width=None if sys.stdout.isatty() else 120).print(_table(f"appendfsync {fsync}", rows))


def _table(title: str, rows: Iterable[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False, collapse_padding=True)
    for column in ("clients", "system"):
        table.add_column(column, no_wrap=True)
    for column in ("changes/s", "p50 ms", "p95 ms", "p99 ms", "max ms", "/gryadka", "/plain", "/raw", "unknown"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        first = row["system"] == "gryadka"
        if first:
            table.add_section()
        table.add_row(
            row["workload"] if first else "",
            row["system"],
            f"{row['changes_per_second']:,.0f}",
            *(f"{row[f'{name}_ms']:.1f}" for name in ("p50", "p95", "p99", "max")),
            *(f"{row[f'times_{name}']:.2f}" for name in ("gryadka", "plain", "raw")),
            str(row["unknown"] or ""),
        )
    return table


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description="Changes per second and their latency, against three real servers.")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--seconds", type=float, default=0.5, help="how long each system works in each round")
    parser.add_argument("--rounds", type=int, default=7, help="how often everything is measured; medians count")
    parser.add_argument("--fsync", choices=["no", "always"], help="measure with this appendfsync only")
    options = parser.parse_args()
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed < FILES and (most == resource.RLIM_INFINITY or most >= FILES):
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, most))
    settings = [options.fsync] if options.fsync else ["no", "always"]
    results = [asyncio.run(measure(options.seconds, options.rounds, fsync)) for fsync in settings]
    result = results[0] | {"rows": [row for part in results for row in part["rows"]]}
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)


if __name__ == "__main__":
    main()
