"""A client that never rests: it counts, on both services, and says what it saw.

    STORES="http://127.0.0.1:8081 http://127.0.0.1:8082" python client.py

Four workers count on two counters that are new with each start. Each request has an Idempotency-Key, so
whatever stays unclear is sent again, to the other service, until somebody says how it ended: once, however
often it was sent. So each answer has to be more than the one before, and at the end each counter holds exactly
what was acknowledged. HISTORY names a file for all that was asked and answered, for `gryadka check-history`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from gryadka.checking.history import Recorder, dump
from gryadka.errors import NotApplied, OutcomeUnknown
from gryadka.http.client import RemoteStore

WORKERS = 4
COUNTERS = 2
PAUSE_S = 0.01  # leaves some of the computer to the servers


class Seen:
    """What the client saw so far. A gap is a time without any acknowledgement."""

    def __init__(self) -> None:
        self.acknowledged = self.not_applied = self.unknown = 0
        self.longest_gap_s = 0.0
        self.faults: list[str] = []
        self._last_s = time.monotonic()

    def acknowledge(self) -> None:
        now_s = time.monotonic()
        self.longest_gap_s = max(self.longest_gap_s, now_s - self._last_s)
        self._last_s = now_s
        self.acknowledged += 1

    def __str__(self) -> str:
        return (
            f"acknowledged {self.acknowledged}; sent again: {self.not_applied} not applied, {self.unknown} unknown; "
            f"longest gap {self.longest_gap_s:.2f} s"
        )


class Client:
    def __init__(self, urls: list[str], file: TextIO | None) -> None:
        self.seen = Seen()
        self.stop = asyncio.Event()
        run = secrets.token_hex(4)
        self.counts = {f"clicks-{run}-{number}": 0 for number in range(COUNTERS)}
        self.open = dict.fromkeys(self.counts, 0)  # changes that nobody could say the end of
        self._stores = [RemoteStore(url, timeout_s=3) for url in urls]
        self._file = file
        if file:
            print(*dump([]), file=file)

    async def run(self) -> None:
        workers = [asyncio.create_task(self._work(number)) for number in range(WORKERS)]
        telling = asyncio.create_task(self._tell())
        await asyncio.gather(*workers)
        telling.cancel()
        for key, count in self.counts.items():
            await self._check(key, count)
        for store in self._stores:
            await store.close()

    async def _check(self, key: str, count: int) -> None:
        for store in self._stores:
            try:
                found = (await store.get(key)).value or 0
            except NotApplied:
                continue
            if not count <= found <= count + self.open[key]:
                self.seen.faults.append(f"{key} is {found}, but {count} changes were acknowledged")
            return
        self.seen.faults.append(f"{key} could not be read: no service answers")

    async def _work(self, worker: int) -> None:
        key = [*self.counts][worker % COUNTERS]
        last = 0
        while not self.stop.is_set():
            recorder = Recorder()  # one for each: what is written already need not be kept
            try:
                with recorder.operation(process=worker, f="add", args=(1,), key=key) as adding:
                    result = await self._add(key, worker)
                    adding.ok(result)
                self._acknowledged(key, result, last)
                last = result
            except OutcomeUnknown:
                self.open[key] += 1
            if self._file:
                print(*(operation.to_json() for operation in recorder.history()), file=self._file)
            await asyncio.sleep(PAUSE_S)

    def _acknowledged(self, key: str, result: int, last: int) -> None:
        self.seen.acknowledge()
        self.counts[key] += 1
        if result <= last:
            self.seen.faults.append(f"{key} was {last}, and then {result}")

    async def _add(self, key: str, worker: int) -> int:
        once = secrets.token_hex(8)
        while True:
            for number in range(len(self._stores)):
                store = self._stores[(worker + number) % len(self._stores)]
                try:
                    return (await store.change(key, "increment", {}, once=once)).result
                except NotApplied:
                    self.seen.not_applied += 1
                except OutcomeUnknown:
                    self.seen.unknown += 1
                await asyncio.sleep(0.05)
            if self.stop.is_set():
                raise OutcomeUnknown("the client was stopped before anybody could say")

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(1)
            print(time.strftime("%H:%M:%S"), self.seen, flush=True)


async def main() -> int:
    with ExitStack() as stack:
        name = os.environ.get("HISTORY")
        file = stack.enter_context(Path(name).open("w", encoding="utf-8")) if name else None
        client = Client(os.environ["STORES"].split(), file)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, client.stop.set)
        await client.run()
    faults = client.seen.faults
    print(f"in the end: {client.seen}", *faults or ["every counter holds what was acknowledged"], sep="\n", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
