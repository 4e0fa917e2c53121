"""Clients that count while something else happens, and what they saw of it: for lessons that change a running cluster.

load = Load(cluster).start()
load.mark("D joins")
...                            # whatever is to be done meanwhile
print(await load.end())        # how many were acknowledged, the longest gap, and whether one was lost
load.picture()
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from itertools import pairwise
from typing import Self

from gryadka.acceptors.servers import LocalCluster
from gryadka.checking.history import Outcome, Recorder
from gryadka.checking.linearizability import MODELS, check
from gryadka.checking.verdicts import Ok
from gryadka.errors import NotApplied, OutcomeUnknown
from gryadka.proposer import Proposer
from gryadka.views import figures
from gryadka.views.svg import Picture


class Load:
    """`clients` clients, each of which adds one to a register of its own, through two proposers of `cluster`.

    Between two additions each waits `pause_s` seconds. Begins with `start`; until `end` nothing waits for it.
    """

    def __init__(self, cluster: LocalCluster, clients: int = 8, pause_s: float = 0.01) -> None:
        self.recorder = Recorder()
        self.marks: dict[float, str] = {}
        self._cluster, self._pause_s = cluster, pause_s
        self._over = False
        proposers = [cluster.proposer(timeout_s=5.0) for _ in range(2)]
        self._clients = [self._client(number, proposers[number % 2]) for number in range(clients)]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> Self:
        """Let the clients go, and return at once."""
        self._tasks = [asyncio.create_task(client) for client in self._clients]
        return self

    def mark(self, what: str) -> None:
        """Take note of what happens now; the picture shows it."""
        self.marks[time.monotonic()] = what

    async def end(self) -> str:
        """Let the clients come to an end, look at what they counted, and say what came of it in a sentence."""
        self._over = True
        await asyncio.gather(*self._tasks)
        looker = self._cluster.proposer(timeout_s=5.0)
        for number in range(len(self._tasks)):
            key = f"clicks {number}"
            await self.recorder.record(_add(looker, key, 0), process="the looker", f="add", args=(0,), key=key)
        verdict = check(self.recorder.history(), MODELS["counter"])
        lost = "none was lost" if isinstance(verdict, Ok) else str(verdict)
        return f"{self.acknowledged:,} changes acknowledged; the longest gap {1000 * self.longest_gap_s:.0f} ms; {lost}"

    @property
    def acknowledged(self) -> int:
        """How many changes were acknowledged."""
        return len(self._answered_s())

    @property
    def longest_gap_s(self) -> float:
        """The longest time between two acknowledged changes, whosever they were."""
        return max((after - before for before, after in pairwise(self._answered_s())), default=0.0)

    def picture(self, title: str = "Changes acknowledged while the members change") -> Picture:
        """Draw how many changes were acknowledged, and what happened when."""
        operations = [one for one in self.recorder.history() if one.process != "the looker"]
        return figures.availability(operations, step_s=0.1, marks=self.marks, title=title)

    def _answered_s(self) -> list[float]:
        operations = [one for one in self.recorder.history() if one.outcome is Outcome.OK]
        ends_s = [one.completed_s for one in operations if one.process != "the looker"]
        return sorted(end_s for end_s in ends_s if end_s is not None)

    async def _client(self, number: int, proposer: Proposer) -> None:
        key = f"clicks {number}"
        while not self._over:
            with suppress(NotApplied, OutcomeUnknown):
                await self.recorder.record(_add(proposer, key, 1), process=number, f="add", args=(1,), key=key)
            await asyncio.sleep(self._pause_s)


async def _add(proposer: Proposer, key: str, amount: int) -> int:
    value: int = await proposer.change(key, lambda value: (value or 0) + amount)
    return value
