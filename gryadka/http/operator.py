"""What an operator asks of several services at once, through their admin ports.

What may live here: the client of `admin`. It asks, and never raises for a service that does not answer: that is
one of the answers that an operator wants.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from tornado.httpclient import AsyncHTTPClient

from gryadka.http.client import checked


async def ask_all(
    urls: Iterable[str], token: str, *, look: bool = False, timeout_s: float = 5.0
) -> list[dict[str, Any]]:
    """Return, for the admin URL of each service, what it tells of its proposer and of its configuration.

    One that does not answer in `timeout_s` seconds has `error` instead, a sentence. With `look`, each proposer first
    finds out which configuration is in force. Raises `ConfigurationError` for what is no URL of a service.
    """
    http = AsyncHTTPClient(force_instance=True)
    try:
        return await asyncio.gather(*(_ask(http, url, token, look, timeout_s) for url in map(checked, [*urls])))
    finally:
        http.close()


async def _ask(http: AsyncHTTPClient, url: str, token: str, look: bool, timeout_s: float) -> dict[str, Any]:
    async def told(method: str, path: str) -> dict[str, Any]:
        response = await http.fetch(
            url + path,
            method=method,
            headers={"Authorization": f"Bearer {token}"},
            body="" if method == "POST" else None,
            connect_timeout=timeout_s,
            request_timeout=timeout_s,
            follow_redirects=False,
            raise_error=False,
        )
        found = json.loads(response.body)
        if response.code != 200:
            raise ValueError(found["message"])
        if not isinstance(found, dict) or "epoch" not in found:
            raise KeyError
        return found

    try:
        configuration = await told("POST" if look else "GET", "/configuration")
        return {"admin": url, **await told("GET", "/proposer"), **configuration}
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return {"admin": url, "error": "what answered is no service of Gryadka"}
    except Exception as error:  # refused, too late, cut short: whatever it is, there was no answer
        return {"admin": url, "error": str(error) or type(error).__name__}
