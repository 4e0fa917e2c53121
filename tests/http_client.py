"""What the tests of the HTTP store share."""

from __future__ import annotations

from typing import Any

import httpx

from gryadka.http import Service


def client(service: Service, **options: Any) -> httpx.AsyncClient:
    """Return a client of this service."""
    return httpx.AsyncClient(base_url=service.url, timeout=30, trust_env=False, **options)


async def change(http: httpx.AsyncClient, key: str, name: str, once: str = "", **arguments: Any) -> httpx.Response:
    """Ask for a change by its name; `once` is the Idempotency-Key."""
    headers = {"Idempotency-Key": once} if once else {}
    return await http.post(f"/kv/{key}", json={"change": name, "arguments": arguments}, headers=headers)
