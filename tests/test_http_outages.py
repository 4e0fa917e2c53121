"""The HTTP store in trouble: servers that die or freeze, unknown outcomes, health, and how it stops."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urlsplit

import httpx
import pytest

from gryadka.acceptors.servers import LocalCluster
from gryadka.http import Service, Store
from tests.http_client import change, client

pytestmark = pytest.mark.slow

# -- trouble ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.slow
async def test_without_a_quorum_it_is_503_or_504_and_the_word_is_kept(cluster: LocalCluster) -> None:
    async with Service(Store(cluster.proposer(timeout_s=0.5))) as service, client(service) as http:
        await http.put("/kv/a", json=1)
        await cluster.kill(0)
        assert (await http.put("/kv/a", json=2)).status_code == 200
        await cluster.kill(1)
        statuses = set()
        for number in range(4):
            answer = await http.put(f"/kv/{'ab'[number % 2]}", json=3)
            statuses.add(answer.status_code)
            told = answer.json()
            if answer.status_code == 503:
                assert told["outcome"] == "not applied" and answer.headers["Retry-After"] == "1"
            else:
                assert (answer.status_code, told["outcome"]) == (504, "unknown")
        assert 503 in statuses
        read = await http.get("/kv/a")
        assert read.status_code == 503 and read.json()["outcome"] == "not applied"  # a read changes nothing
        health = await http.get("/healthz")
        assert health.status_code == 503 and health.json()["status"] == "no quorum"
        await cluster.restart(0)
        assert (await http.get("/kv/a")).json() in (2, 3)
        assert (await http.get("/kv/b")).status_code in (200, 404)
        assert (await http.get("/healthz")).status_code == 200


async def test_an_unknown_outcome_is_settled_by_asking_again_with_the_same_key(cluster: LocalCluster) -> None:
    """Its one accept reaches a minority before the servers freeze."""
    async with Service(Store(cluster.proposer(timeout_s=0.5))) as service, client(service) as http:
        await change(http, "n", "increment")  # now it is cached: the next change begins with its accept
        await cluster.pause(0)
        await cluster.pause(1)
        unknown = await change(http, "n", "increment", once="a")
        assert (unknown.status_code, unknown.json()["outcome"]) == (504, "unknown")
        assert "repeat it with the same Idempotency-Key" in unknown.json()["message"]
        await cluster.resume(0)
        await cluster.resume(1)
        async with Service(Store(cluster.proposer(timeout_s=20))) as other, client(other) as elsewhere:
            assert (await change(elsewhere, "n", "increment", once="a")).json()["result"] == 2
            assert (await elsewhere.get("/kv/n")).json() == 2


async def test_health_names_the_acceptor_that_does_not_answer_and_no_password(cluster: LocalCluster) -> None:
    async with Service(Store(cluster.proposer())) as service, client(service) as http:
        healthy = await http.get("/healthz")
        assert healthy.json() == {"status": "ok", "acceptors": dict.fromkeys(cluster.names, "ok")}
        await cluster.kill(2)
        limping = await http.get("/healthz")
        assert limping.status_code == 200 and "cannot be reached" in limping.json()["acceptors"][cluster.names[2]]
        figures = (await http.get("/metrics")).text
        assert f'gryadka_acceptor_up{{acceptor="{cluster.names[0]}"}} 1.0' in figures
        assert f'gryadka_acceptor_up{{acceptor="{cluster.names[2]}"}} 0.0' in figures
        for url in cluster.urls:
            assert url.split("@")[0].removeprefix("redis://:") not in limping.text + figures


@pytest.mark.slow
@pytest.mark.slow
async def test_health_does_not_wait_for_an_acceptor_that_hangs(cluster: LocalCluster) -> None:
    async with Service(Store(cluster.proposer())) as service, client(service) as http:
        await cluster.pause(1)  # before it is first connected to
        for answer in await asyncio.gather(*(http.get("/healthz") for _ in range(5))):
            assert answer.status_code in (200, 503)  # the others may have to wait for its introduction
            assert answer.json()["acceptors"][cluster.names[1]] != "ok"
        assert (await http.put("/kv/a", json=1)).status_code == 201
        assert (await http.get("/healthz")).status_code == 200
        await cluster.resume(1)
        while (await http.get("/healthz")).json()["acceptors"] != dict.fromkeys(cluster.names, "ok"):
            await asyncio.sleep(0.05)


async def test_figures_count_what_was_answered_and_labels_cannot_be_made_up(cluster: LocalCluster) -> None:
    async with Service(Store(cluster.proposer())) as service, client(service) as http:
        await http.put("/kv/a", json=1)
        await http.get("/kv/a")
        await http.get("/kv/a", headers={"If-Match": '"0-0"'})
        await http.request("MADEUP", "/kv/a")
        answer = await http.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    lines = answer.text.splitlines()
    assert 'gryadka_http_requests_total{method="GET",status="412"} 1.0' in lines
    assert 'gryadka_http_requests_total{method="PUT",status="201"} 1.0' in lines
    assert 'gryadka_http_request_seconds_count{method="PUT"} 1.0' in lines
    assert "gryadka_http_requests_under_way 0.0" in lines
    assert 'method="other",status="405"' in answer.text and "MADEUP" not in answer.text


# -- stopping --------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_stopping_lets_what_is_under_way_finish_and_takes_no_more(cluster: LocalCluster) -> None:
    service = await Service(Store(cluster.proposer(timeout_s=20))).start()
    async with client(service) as http, client(service) as late:
        await http.put("/kv/a", json=1)
        await late.get("/kv/a")  # opens its connection
        await cluster.pause(0)
        await cluster.pause(1)
        under_way = asyncio.create_task(http.put("/kv/a", json=2))
        while not service.under_way:
            await asyncio.sleep(0.01)
        stopping = asyncio.create_task(service.stop())
        await asyncio.sleep(0.05)
        refused = await late.put("/kv/a", json=3)
        assert (refused.status_code, refused.json()["outcome"]) == (503, "not applied")
        assert (await late.get("/healthz")).json()["status"] == "stopping"
        await cluster.resume(0)
        await cluster.resume(1)
        assert (await under_way).status_code == 200
        await stopping
        with pytest.raises(httpx.TransportError):
            await late.get("/kv/a")


async def test_stopping_ends_what_takes_too_long_with_its_outcome(cluster: LocalCluster) -> None:
    service = await Service(Store(cluster.proposer(timeout_s=60)), grace_s=0.1).start()
    async with client(service) as http:
        await http.put("/kv/a", json=1)
        for number in range(2):
            await cluster.pause(number)
        under_way = asyncio.create_task(http.put("/kv/a", json=2))
        while not service.under_way:
            await asyncio.sleep(0.01)
        await service.stop()
        answer = await under_way
        assert (answer.status_code, answer.json()["outcome"]) in ((503, "not applied"), (504, "unknown"))
        for number in range(2):
            await cluster.resume(number)


async def test_two_services_in_one_process_do_not_add_up(cluster: LocalCluster) -> None:
    services = [Service(Store(cluster.proposer())) for _ in range(2)]
    async with services[0], services[1], client(services[0]) as one, client(services[1]) as two:
        await one.put("/kv/a", json=1)
        assert "PUT" in (await one.get("/metrics")).text and "PUT" not in (await two.get("/metrics")).text


async def test_stopping_does_not_wait_for_a_body_that_never_ends(cluster: LocalCluster) -> None:
    service = await Service(Store(cluster.proposer())).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(service.url).port)
    writer.write(b"PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[1")
    await writer.drain()
    await asyncio.sleep(0.05)
    async with asyncio.timeout(5):
        await service.stop()
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_leaves_is_no_fault_of_the_service(
    cluster: LocalCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with Service(Store(cluster.proposer(timeout_s=20))) as service, client(service) as http:
        await http.put("/kv/a", json=1)
        for number in range(3):
            await cluster.pause(number)
        _, writer = await asyncio.open_connection("127.0.0.1", urlsplit(service.url).port)
        writer.write(b"PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n2")
        while not service.under_way:
            await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()
        for number in range(3):
            await cluster.resume(number)
        while service.under_way:
            await asyncio.sleep(0.01)
        assert (await http.get("/kv/a")).json() == 2  # it was asked for, and carried out
    assert not caplog.records
