"""Many clients of the HTTP store at once, through two services: no update is lost, and histories are linearizable."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from gryadka.acceptors.servers import LocalCluster
from gryadka.checking.history import Begun, History, Recorder, Refusal
from gryadka.checking.linearizability import MODELS, Ok, Violation, check, check_versioned
from gryadka.http import Service, Store
from gryadka.http.records import Condition
from tests.http_client import change, client

Clients = list[httpx.AsyncClient]

pytestmark = pytest.mark.slow


@asynccontextmanager
async def two_services(cluster: LocalCluster, timeout_s: float = 10.0) -> AsyncIterator[Clients]:
    one, two = (Service(Store(cluster.proposer(timeout_s=timeout_s))) for _ in range(2))
    async with one, two, client(one) as first, client(two) as second:
        yield [first, second]


# -- a counter made of compare-and-set -------------------------------------------------------------------


async def add_one(clients: Clients, number: int, times: int) -> tuple[int, int]:
    """Add one `times` times, by reading and writing back; return how many were acknowledged, and how many perhaps."""
    acknowledged = perhaps = 0
    rng = random.Random(number)
    while acknowledged + perhaps < times:
        read = await rng.choice(clients).get("/kv/n")
        condition = {"If-Match": read.headers["ETag"]} if read.status_code == 200 else {"If-None-Match": "*"}
        count = read.json() if read.status_code == 200 else 0
        written = await rng.choice(clients).put("/kv/n", json=count + 1, headers=condition)
        assert written.status_code in (200, 201, 412, 503, 504)
        acknowledged += written.status_code in (200, 201)
        perhaps += written.status_code == 504
    return acknowledged, perhaps


async def counted(cluster: LocalCluster) -> tuple[int, int, int]:
    async with two_services(cluster) as clients:
        counts = await asyncio.gather(*(add_one(clients, number, 8) for number in range(6)))
        final = (await clients[0].get("/kv/n")).json()
        assert (await clients[1].get("/kv/n")).json() == final
    return sum(one for one, _ in counts), sum(two for _, two in counts), final


async def test_no_update_of_a_counter_is_lost(cluster: LocalCluster) -> None:
    acknowledged, perhaps, final = await counted(cluster)
    assert acknowledged > 0 and acknowledged <= final <= acknowledged + perhaps


async def test_without_the_condition_updates_are_lost(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Condition, "check", lambda *_: None)
    acknowledged, _, final = await counted(cluster)
    assert final < acknowledged


async def test_each_request_is_applied_once_however_often_it_is_sent(cluster: LocalCluster) -> None:
    """Clients that repeat whatever is not clear, at any service, until they have an answer."""

    async def add(clients: Clients, number: int) -> None:
        rng = random.Random(number)
        for request in range(6):
            repeats = 1 + rng.randrange(3)
            while repeats:
                answer = await change(rng.choice(clients), "n", "increment", once=f"{number}-{request}")
                repeats -= answer.status_code == 200
                assert answer.status_code in (200, 503, 504)

    async with two_services(cluster, timeout_s=0.5) as clients:
        adding = [asyncio.create_task(add(clients, number)) for number in range(5)]
        for number in range(3):
            await cluster.pause(number)
            await asyncio.sleep(0.1)
            await cluster.resume(number)
        await asyncio.gather(*adding)
        answer = httpx.Response(503)
        while answer.status_code == 503:
            answer = await clients[0].get("/kv/n")
        assert answer.json() == 30


# -- linearizable histories ------------------------------------------------------------------------------


def version(etag: str) -> int:
    found = re.fullmatch(r'"(\d+)-[0-9a-f]{16}"', etag)
    assert found, etag
    return int(found[1])


def end(begun: Begun, answer: httpx.Response | None, ok: Callable[[httpx.Response], object]) -> None:
    """Write down how an operation ended."""
    if answer is None or answer.status_code == 504:
        begun.unknown()
    elif answer.status_code == 503:
        begun.failed()
    else:
        begun.ok(ok(answer))


async def sent(request: Awaitable[httpx.Response]) -> httpx.Response | None:
    try:
        return await request
    except httpx.TransportError:
        return None


async def versioned_client(clients: Clients, recorder: Recorder, process: int, operations: int) -> None:
    rng = random.Random(process)
    known = dict.fromkeys(["a", "b"], "")
    for number in range(operations):
        key, http, value = rng.choice("ab"), rng.choice(clients), f"{process}-{number}"
        path = f"/kv/{key}"
        if rng.random() < 0.4:
            reading = recorder.begin(process=process, key=key, f="read")
            answer = await sent(http.get(path))
            end(reading, answer, lambda a: seen(a) if a.status_code == 200 else None)
            if answer is not None and answer.status_code == 200:
                known[key] = answer.headers["ETag"]
        elif rng.random() < 0.3:
            writing = recorder.begin(process=process, key=key, f="write", args=[value])
            end(writing, await sent(http.put(path, json=value)), lambda a, v=value: made(a, v))  # type: ignore[misc]
        else:
            etag = known[key]
            condition = {"If-Match": etag} if etag else {"If-None-Match": "*"}
            begun = recorder.begin(process=process, key=key, f="cas", args=[version(etag) if etag else 0, value])
            answer = await sent(http.put(path, json=value, headers=condition))
            end(begun, answer, lambda a, v=value: refused(a) if a.status_code == 412 else made(a, v))  # type: ignore[misc]
            if answer is not None and "ETag" in answer.headers:
                known[key] = answer.headers["ETag"]


def seen(answer: httpx.Response) -> object:
    return {"ver": version(answer.headers["ETag"]), "val": answer.json()}


def made(answer: httpx.Response, value: object) -> object:
    assert answer.status_code in (200, 201), answer.text
    return {"ver": version(answer.headers["ETag"]), "val": value}


def refused(answer: httpx.Response) -> Refusal:
    current = answer.json()["current"]
    return Refusal(current and {"ver": version(current["etag"]), "val": current["value"]})


async def versioned_history(cluster: LocalCluster) -> History:
    recorder = Recorder()
    async with two_services(cluster, timeout_s=1.0) as clients:
        work = [asyncio.create_task(versioned_client(clients, recorder, process, 25)) for process in range(6)]
        for number in range(3):
            await asyncio.sleep(0.05)
            await cluster.kill(number)
            await asyncio.sleep(0.05)
            await cluster.restart(number)
        await asyncio.gather(*work)
    return recorder.history()


async def test_a_history_of_puts_and_compare_and_sets_is_linearizable(cluster: LocalCluster) -> None:
    history = await versioned_history(cluster)
    verdict = check_versioned(history)
    assert isinstance(verdict, Ok), str(verdict)
    assert sum(isinstance(operation.result, Refusal) for operation in history) > 5
    assert sum(operation.f != "read" and isinstance(operation.result, dict) for operation in history) > 20


async def test_without_the_condition_the_history_is_a_violation(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Condition, "check", lambda *_: None)
    assert isinstance(check_versioned(await versioned_history(cluster)), Violation)


async def deleting_client(clients: Clients, recorder: Recorder, process: int, operations: int) -> None:
    rng = random.Random(process)
    for number in range(operations):
        key, http, value = rng.choice("ab"), rng.choice(clients), f"{process}-{number}"
        path = f"/kv/{key}"
        f = rng.choice(["read", "write", "delete"])
        if f == "read":
            reading = recorder.begin(process=process, key=key, f="read")
            end(reading, await sent(http.get(path)), lambda a: a.json() if a.status_code == 200 else None)
        elif f == "write":
            writing = recorder.begin(process=process, key=key, f="write", args=[value])
            end(writing, await sent(http.put(path, json=value)), lambda a: None)
        else:  # a deletion of nothing is refused: it saw that there is nothing
            deleting = recorder.begin(process=process, key=key, f="write", args=[None])
            end(deleting, await sent(http.delete(path)), lambda a: None if a.status_code == 204 else Refusal(None))


async def test_a_history_with_deletions_is_linearizable(cluster: LocalCluster) -> None:
    recorder = Recorder()
    async with two_services(cluster, timeout_s=1.0) as clients:
        work = [asyncio.create_task(deleting_client(clients, recorder, process, 20)) for process in range(5)]
        for number in range(3):
            await cluster.pause(number)
            await asyncio.sleep(0.1)
            await cluster.resume(number)
        await asyncio.gather(*work)
    verdict = check(recorder.history(), MODELS["register"])
    assert isinstance(verdict, Ok), str(verdict)
