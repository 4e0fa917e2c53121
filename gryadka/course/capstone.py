"""Lesson 12: a lock with a fence, on the HTTP store.

What may live here: what the lesson hands to its learners, and the course's own lock. How a learner's is judged
stands in `lock`.

The theory in a few lines. A lock that a dead program holds has to become free by itself, so it is lent for a time, a
*lease* (Gray and Cheriton, 1989). Then a program that only slept may still believe that it has the lock, and no clock
of its own can tell it in time. So each time that the lock is given it comes with a larger number, a *fencing token*,
and whoever is written to refuses a smaller one than it has seen (Burrows, "The Chubby lock service", 2006, calls it
a sequencer; Kleppmann, "How to do distributed locking", 2016, named the fence). For safety the clocks count for
nothing then, and the store has to give no token twice.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import cycle
from typing import Any, TypeVar

from gryadka.errors import NotApplied, OutcomeUnknown
from gryadka.http.failures import PreconditionFailed
from gryadka.http.records import Condition, Record
from gryadka.http.store import KeyValue

T = TypeVar("T")

LEASE_S = 2.0
PAUSE_S = 0.05

FREE: dict[str, Any] = {"owner": None, "token": 0, "until": 0.0}
"""What a lock is like that nobody ever asked for."""


async def insist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again until the answer is certain. What `ask` does must do no harm when it is done twice.

    Raises what `ask` raises, but for `NotApplied` and `OutcomeUnknown`.
    """
    while True:
        try:
            return await ask()
        except (NotApplied, OutcomeUnknown):
            await asyncio.sleep(PAUSE_S)


def unchanged(record: Record) -> Condition:
    """Return the condition that a record is still as it was read; or that there still is none."""
    return Condition(match=(record.etag,)) if record.etag else Condition(none_match=("*",))


async def acquire(store: KeyValue, name: str, me: str, now_s: float) -> int | None:
    """Return a token if the lock is mine for `LEASE_S` seconds from `now_s` on, None if another one has it."""
    record = await insist(lambda: store.get(name))
    lock: Any = record.value or FREE
    if lock["owner"] and lock["until"] > now_s:
        return None
    mine: Any = {"owner": me, "token": lock["token"] + 1, "until": now_s + LEASE_S}
    once = secrets.token_hex(8)
    try:
        await insist(lambda: store.put(name, mine, condition=unchanged(record), once=once))
    except PreconditionFailed:
        return None
    return int(mine["token"])


async def release(store: KeyValue, name: str, token: int) -> None:
    """Free the lock, unless it was given to somebody else since this token."""
    record = await insist(lambda: store.get(name))
    lock: Any = record.value
    if lock["token"] != token:
        return
    free: Any = lock | {"owner": None}
    with suppress(PreconditionFailed):  # somebody was quicker: then it is not ours to free
        await insist(lambda: store.put(name, free, condition=unchanged(record)))


class AnyOf:
    """Asks one of several services, and the next one the next time: so `insist` gets past one that is down."""

    def __init__(self, stores: Iterable[KeyValue]) -> None:
        self._stores = cycle(stores)

    def __getattr__(self, name: str) -> Any:
        return getattr(next(self._stores), name)
