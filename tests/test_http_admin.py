"""What the operator of a service asks of it: who it is, what it works with, a rescan, its cache."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from gryadka.acceptors.servers import LocalCluster
from gryadka.http import Service, Store, admin
from gryadka.http.admin import ROUTES, Admin
from gryadka.operations.membership import change_members
from gryadka.operations.records import registers
from tests.http_client import client
from tests.test_http_malformed import HEADERS as ODD

TOKEN = "0123456789abcdef"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def operated(cluster: LocalCluster) -> AsyncIterator[Admin]:
    service = Service(Store(cluster.proposer(timeout_s=2)))
    async with service, Admin(service, TOKEN) as started:
        yield started


@pytest.fixture
async def http(operated: Admin) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=operated.url, headers=HEADERS, timeout=30, trust_env=False) as made:
        yield made


async def fill(operated: Admin, count: int) -> None:
    for number in range(count):
        await operated.service.store.put(f"key-{number}", number)


async def held(cluster: LocalCluster, number: int) -> dict[str, int]:
    """What one server has, by key."""
    name = cluster.names[number]
    found = registers(name, cluster.connects[name], "gryadka")
    return {key: json.loads(state.value)["value"]["value"] async for key, state in found if state.value}


async def lines(http: httpx.AsyncClient) -> AsyncIterator[dict[str, Any]]:
    async with http.stream("POST", "/rescan") as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            yield json.loads(line)


# -- who it is -------------------------------------------------------------------------------------------


async def test_it_tells_who_it_is_and_knows_its_epoch_once_it_has_reached_an_acceptor(
    operated: Admin, http: httpx.AsyncClient, cluster: LocalCluster
) -> None:
    told = (await http.get("/proposer")).json()
    assert told["id"] == operated.proposer.id and told["url"] == operated.service.url
    assert (told["acceptors"], told["epoch"], told["cached"]) == (cluster.names, None, 0)
    assert told["quorums"]["prepare"] == {"members": cluster.names, "size": 2}
    assert (told["under_way"], told["rescan"], told["stopping"]) == (0, None, False)
    await fill(operated, 2)
    told = (await http.get("/proposer")).json()
    assert (told["epoch"], told["cached"]) == (0, 2)


async def test_it_tells_that_it_is_behind(operated: Admin, http: httpx.AsyncClient, cluster: LocalCluster) -> None:
    await fill(operated, 1)
    newcomer = await cluster.add_server()
    await change_members(cluster.connects, [*cluster.names[1:3], newcomer])
    told = (await http.get("/configuration")).json()
    assert told["epoch"] == 0 and set(told["quorums"]["accept"]["members"]) == set(cluster.names[:3])
    assert told["in_force"] == {"epoch": 2, "members": sorted([*cluster.names[1:3], newcomer])}
    assert told["plan"] is None


async def test_it_works_with_what_is_in_force_once_it_is_told_to_look(
    operated: Admin, http: httpx.AsyncClient, cluster: LocalCluster
) -> None:
    await fill(operated, 1)
    newcomer = await cluster.add_server()
    members = sorted([*cluster.names[1:3], newcomer])
    await change_members(cluster.connects, members)
    assert (await http.get("/proposer")).json()["epoch"] == 0
    told = (await http.post("/configuration")).json()
    assert told["epoch"] == 2 and told["in_force"] == {"epoch": 2, "members": members}
    assert told["acceptors"] == dict.fromkeys(members, "ok")
    assert sorted(told["quorums"]["accept"]["members"]) == members
    assert (await http.get("/cache")).json() == {"cached": 0}  # promises to the old members are worth nothing


async def test_a_service_with_nothing_to_do_is_healthy_after_a_change_of_members(
    operated: Admin, cluster: LocalCluster
) -> None:
    await fill(operated, 1)
    newcomer = await cluster.add_server()
    await change_members(cluster.connects, [*cluster.names[1:3], newcomer])
    async with client(operated.service) as served:
        health = await served.get("/healthz")
    assert health.status_code == 200
    assert health.json()["acceptors"] == dict.fromkeys([*cluster.names[1:3], newcomer], "ok")


async def test_it_tells_of_a_plan_that_was_cut_short(
    operated: Admin, http: httpx.AsyncClient, cluster: LocalCluster
) -> None:
    await fill(operated, 1)
    newcomer = await cluster.add_server()

    def power_cut(words: str, done: int, whole: int) -> None:
        if words.startswith("adopt"):
            raise KeyError(words)

    with pytest.raises(KeyError):
        await change_members(cluster.connects, [*cluster.names[:3], newcomer], progress=power_cut)
    plan = (await http.get("/configuration")).json()["plan"]
    assert plan["done"] == 1 and plan["steps"][0] == f"start {newcomer}" and plan["steps"][1].startswith("adopt")


async def test_a_cluster_that_cannot_be_asked_is_told_as_such(http: httpx.AsyncClient, cluster: LocalCluster) -> None:
    for number in range(3):
        await cluster.kill(number)
    told = (await http.get("/configuration")).json()
    assert told["in_force"] is None and "none of these servers knows its cluster" in told["fault"]
    assert "ok" not in told["acceptors"].values()
    assert (await http.post("/rescan")).status_code == 503


# -- rescan ----------------------------------------------------------------------------------------------


async def test_after_a_rescan_every_member_has_every_record(
    operated: Admin, http: httpx.AsyncClient, cluster: LocalCluster
) -> None:
    await fill(operated, 1)
    await cluster.kill(2)
    await fill(operated, 20)
    await cluster.restart(2)
    assert len(await held(cluster, 2)) < 20
    *_, last = [line async for line in lines(http)]
    assert last == {"records": 20, "moved": 20 * 3 * 2, "epoch": 0}
    for number in range(3):
        assert await held(cluster, number) == {f"key-{number}": number for number in range(20)}
    assert (await http.get("/proposer")).json()["rescan"] is None


@pytest.fixture
async def endless(operated: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rescan that has dealt with 5 of 10 records and never gets any further."""

    async def rescan(connects: object, *, namespace: str, progress: Any) -> None:
        progress(5, 10)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)  # as long as it takes to let go of connections

    monkeypatch.setattr(admin, "rescan", rescan)
    monkeypatch.setattr(admin, "TELL_EVERY_S", 0.01)


@pytest.mark.usefixtures("endless")
async def test_a_long_rescan_tells_how_far_it_is_and_can_be_ended(operated: Admin, http: httpx.AsyncClient) -> None:
    told = lines(http)
    while await anext(told) != {"done": 5, "of": 10}:
        pass
    assert (await http.get("/proposer")).json()["rescan"] == {"done": 5, "of": 10}
    again = await http.post("/rescan")
    assert again.status_code == 409 and "under way" in again.json()["message"]
    await fill(operated, 1)  # the service goes on
    assert (await http.delete("/rescan")).status_code == 204
    *_, last = [line async for line in told]
    assert last["error"] == "not-applied" and "POST begins again" in last["message"]
    none = await http.delete("/rescan")
    assert none.status_code == 404 and "no rescan" in none.json()["message"]


@pytest.mark.usefixtures("endless")
async def test_a_rescan_ends_when_nobody_waits_for_it_any_more(operated: Admin, http: httpx.AsyncClient) -> None:
    async with http.stream("POST", "/rescan") as answer:
        assert json.loads(await anext(answer.aiter_lines()))
        assert operated.rescanning and operated.work
    async with asyncio.timeout(10):
        await asyncio.wait({operated.work})
    assert operated.work.cancelled() and (await http.get("/proposer")).json()["rescan"] is None


@pytest.mark.usefixtures("endless")
async def test_a_rescan_ends_with_the_service(operated: Admin, http: httpx.AsyncClient) -> None:
    told = lines(http)
    await anext(told)
    await operated.stop()
    assert operated.work and operated.work.cancelled()
    await told.aclose()


async def test_a_rescan_waits_for_no_change_and_no_change_for_it(
    operated: Admin, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted while it runs: the service answers, and each increment is applied once."""
    await fill(operated, 300)
    monkeypatch.setattr(admin, "TELL_EVERY_S", 0.001)
    async with client(operated.service) as served:
        whole, counted = asyncio.create_task(http.post("/rescan")), 0
        while not whole.done():
            answer = await served.post("/kv/n", json={"change": "increment"})
            assert answer.status_code == 200
            counted += 1
        assert json.loads((await whole).text.splitlines()[-1])["records"] >= 300
        assert counted > 1 and (await served.get("/kv/n")).json() == counted


# -- the cache -------------------------------------------------------------------------------------------


async def test_the_cache_is_counted_and_dropped_and_nothing_else_is(operated: Admin, http: httpx.AsyncClient) -> None:
    await fill(operated, 3)
    assert (await http.get("/cache")).json() == {"cached": 3}
    assert (await http.delete("/cache")).json() == {"dropped": 3}
    assert (await http.get("/cache")).json() == {"cached": 0}
    assert (await operated.service.store.get("key-2")).value == 2


# -- who may -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
async def test_without_the_token_nothing_is_told_or_done(
    operated: Admin, http: httpx.AsyncClient, path: str, method: str
) -> None:
    refused = await http.request(method, path, headers={"Authorization": f"Bearer {TOKEN[:-1]}"})
    assert refused.status_code == 401 and TOKEN not in refused.text
    assert refused.headers["Connection"] == "close"  # a body may still be under way, and nobody will read it
    assert not operated.rescanning


@pytest.mark.parametrize("path", ROUTES)
async def test_other_methods_are_refused_with_those_that_are_allowed(http: httpx.AsyncClient, path: str) -> None:
    refused = await http.put(path)
    assert refused.status_code == 405
    for method in refused.headers["Allow"].split(", "):
        assert hasattr(ROUTES[path], method.lower())


@pytest.mark.parametrize("head", ["Content-Length: 9999999999", "Transfer-Encoding: chunked"])
async def test_a_body_is_refused_before_it_is_read(operated: Admin, head: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(operated.url).port)
    asked = f"POST /configuration HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{head}\r\n\r\n"
    writer.write(asked.encode())
    async with asyncio.timeout(10):
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 413")
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@pytest.mark.slow
async def test_no_malformed_request_is_a_fault_of_the_service(
    operated: Admin, caplog: pytest.LogCaptureFixture
) -> None:
    """Each odd header, with each method, on each path, with the token and without."""

    async def status(head: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(operated.url).port)
        try:
            writer.write(head)
            async with asyncio.timeout(20):
                return (await reader.readuntil(b"\r\n")).split()[1]
        except asyncio.IncompleteReadError:  # it did not deserve an answer
            return b""
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    told: Counter[bytes] = Counter()
    for path, method in product(["/nothing", *ROUTES], [b"GET", b"POST", b"DELETE", b"BREW"]):
        lines = [method + b" " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n" + odd for odd in ODD]
        token = f"\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n".encode()
        told.update(await asyncio.gather(*(status(line + end) for line in lines for end in (token, b"\r\n\r\n"))))
    assert {b"200", b"400", b"401", b"404", b"413"} <= set(told)
    assert not {answer for answer in told if answer.startswith(b"5")}, told
    assert not [record for record in caplog.records if record.name.startswith("gryadka")]
    await fill(operated, 1)
