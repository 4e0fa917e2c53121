"""Members change under the HTTP store: its clients notice nothing, and its operators see it."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from gryadka.acceptors.servers import LocalCluster
from gryadka.http import Service, Store
from gryadka.operations.membership import change_members
from tests.http_client import change, client


async def add(http: httpx.AsyncClient, number: int, over: asyncio.Event) -> int:
    """Count up, repeating what was not clear, and return how often it was acknowledged."""
    acknowledged, clear = 0, True
    while not (over.is_set() and clear):
        answer = await change(http, f"n-{number}", "increment", once=f"{number}-{acknowledged}")
        assert answer.status_code in (200, 503, 504), answer.text
        clear = answer.status_code == 200
        if clear:
            acknowledged += 1
            assert answer.json()["result"] == acknowledged
        await asyncio.sleep(0.01)
    return acknowledged


@pytest.mark.slow
async def test_members_change_and_each_request_is_still_applied_once(cluster: LocalCluster) -> None:
    services = [Service(Store(cluster.proposer(timeout_s=2))) for _ in range(2)]
    async with services[0], services[1], client(services[0]) as one, client(services[1]) as two:
        over = asyncio.Event()
        clients = [asyncio.create_task(add((one, two)[number % 2], number, over)) for number in range(4)]
        first, *rest = cluster.names
        newcomer = await cluster.add_server()
        await change_members(cluster.connects, [first, *rest, newcomer])
        await change_members(cluster.connects, [*rest, newcomer])
        await cluster.kill(0)  # it is no member any more, so nobody misses it
        await asyncio.sleep(0.2)
        over.set()
        counts = await asyncio.gather(*clients)
        assert min(counts) > 0
        for http in (one, two):
            for number, count in enumerate(counts):
                assert (await http.get(f"/kv/n-{number}")).json() == count
            health = await http.get("/healthz")
            assert health.json() == {"status": "ok", "acceptors": dict.fromkeys([*rest, newcomer], "ok")}
            figures = (await http.get("/metrics")).text
            assert f'gryadka_acceptor_up{{acceptor="{newcomer}"}} 1.0' in figures and f'"{first}"' not in figures
