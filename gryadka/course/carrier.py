"""Between a client and the services: requests and answers that get lost, come late, or find nobody there.

What may live here: that, on the clock of the loop that runs. No HTTP is spoken: a request is a call of a `Store`.
What a client is told is what `RemoteStore` would tell it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from gryadka.errors import NotApplied, OutcomeUnknown
from gryadka.http.reading import read_once
from gryadka.http.records import Answer, Condition, Record
from gryadka.http.store import ANY, Store

TIMEOUT_S = 0.5
WAY_S = 0.002

_FATES = {
    "lost": "it gets lost",
    "late": "it is late",
    "answer lost": "its answer gets lost",
    "refused": "nobody is there",
}
_DRAWN = ("fine",) * 14 + ("lost", "late", "answer lost", "answer lost")


@dataclass
class Between:
    """What lies between the clients and the services, and which of these are `down`.

    `broken` says whether things go wrong at this time, and `say` is told of each request that does.
    """

    chance: random.Random
    _: KW_ONLY
    broken: Callable[[], bool]
    say: Callable[[str], None]
    services: list[Store] = field(default_factory=list)
    down: set[int] = field(default_factory=set)
    troubled: int = 0  # requests that were lost, late or refused


class Carrier:
    """The services as one client sees them. Each request goes to one of them, drawn by lot."""

    def __init__(self, between: Between, client: str) -> None:
        self._between, self._client = between, client

    async def get(self, key: str) -> Record:
        """As `KeyValue`."""
        record: Record = await self._carried("GET", lambda store: store.get(key))
        return record

    async def put(self, key: str, value: Any, *, condition: Condition = ANY, once: str | None = None) -> Answer:
        """As `KeyValue`."""
        return await self._written("PUT", once, lambda store: store.put(key, value, condition=condition, once=once))

    async def delete(self, key: str, *, condition: Condition = ANY, once: str | None = None) -> Answer:
        """As `KeyValue`."""
        return await self._written("DELETE", once, lambda store: store.delete(key, condition=condition, once=once))

    async def change(
        self, key: str, name: str, arguments: Any, *, condition: Condition = ANY, once: str | None = None
    ) -> Answer:
        """As `KeyValue`."""
        return await self._written(
            "POST", once, lambda store: store.change(key, name, arguments, condition=condition, once=once)
        )

    async def close(self) -> None:
        """Do nothing: the services are not this client's."""

    async def _written(self, method: str, once: str | None, ask: Callable[[Store], Awaitable[Answer]]) -> Answer:
        read_once(once)
        answer: Answer = await self._carried(method, ask)
        return answer

    async def _carried(self, method: str, ask: Callable[[Store], Awaitable[Any]]) -> Any:
        between = self._between
        number = between.chance.randrange(len(between.services))
        await asyncio.sleep(WAY_S)
        fate = between.chance.choice(_DRAWN) if between.broken() else "fine"
        if number in between.down:
            fate = "refused"
        if fate != "fine":
            between.troubled += 1
            between.say(f"{self._client}'s {method} to service {number + 1}: {_FATES[fate]}")
        if fate == "refused":
            raise NotApplied("not applied: the service cannot be reached")
        if fate == "lost":
            await asyncio.sleep(TIMEOUT_S)
            raise _unclear(method)
        delay_s = between.chance.uniform(TIMEOUT_S, 4 * TIMEOUT_S) if fate == "late" else 0.0
        task = asyncio.create_task(_later(delay_s, ask, between.services[number]))
        task.add_done_callback(lambda task: task.cancelled() or task.exception())  # perhaps nobody waits for it
        done, _ = await asyncio.wait({task}, timeout=TIMEOUT_S)
        if not done or fate == "answer lost":
            raise _unclear(method)
        return task.result()


class Overtaken(Carrier):
    """The services as a client sees them whose writes set out only when `go` is set: others are quicker."""

    def __init__(self, between: Between, client: str) -> None:
        super().__init__(between, client)
        self.go = asyncio.Event()

    async def _written(self, method: str, once: str | None, ask: Callable[[Store], Awaitable[Answer]]) -> Answer:
        self._between.say(f"{self._client}'s {method} is slow to set out")
        await self.go.wait()
        return await super()._written(method, once, ask)


async def _later(delay_s: float, ask: Callable[[Store], Awaitable[Any]], store: Store) -> Any:
    await asyncio.sleep(delay_s)
    return await ask(store)


def _unclear(method: str) -> NotApplied | OutcomeUnknown:
    if method == "GET":
        return NotApplied("not read: no answer came")
    return OutcomeUnknown("perhaps applied, perhaps not: no answer came")
