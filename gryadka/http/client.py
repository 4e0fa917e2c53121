"""The four operations of the store, asked of a service over HTTP.

    store = RemoteStore("http://127.0.0.1:8080")
    answer = await store.put("todo", ["milk"])

It raises what `Store` raises. Where the service gave no clear answer, a read was certainly not applied, and
anything else has an unknown outcome: send it again with the same Idempotency-Key, or with the ETag of a read.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from gryadka.errors import ConfigurationError, NotApplied, OutcomeUnknown
from gryadka.http.failures import REFUSALS, TO_REPEAT, BadRequest, PreconditionFailed
from gryadka.http.reading import check_key, check_value
from gryadka.http.records import Answer, Condition, Record, to_stored
from gryadka.http.store import ANY
from gryadka.protocol.value import Value, encode

_ETAG = re.compile(r'"(\d{1,18})-([0-9a-f]+)"')


class RemoteStore:
    """Records behind the service at `url`. A request may take `timeout_s` seconds."""

    def __init__(self, url: str, *, timeout_s: float = 10.0) -> None:
        self._url = checked(url)
        self._timeout_s = timeout_s
        self._http = AsyncHTTPClient(force_instance=True)

    async def get(self, key: str) -> Record:
        """Return the record under `key`; its version is 0 if there is none."""
        response = await self._send("GET", key)
        told = _json(response)
        if response.code == 404 and isinstance(told, dict) and told.get("error") == "not-found":
            return Record()
        self._check("GET", response)
        return _record(told, response.headers.get("ETag"))

    async def put(self, key: str, value: Value, *, condition: Condition = ANY, once: str | None = None) -> Answer:
        """Store `value` under `key`."""
        check_value(value)
        return await self._change("PUT", key, encode(value), condition, once)

    async def delete(self, key: str, *, condition: Condition = ANY, once: str | None = None) -> Answer:
        """Delete the record under `key`."""
        return await self._change("DELETE", key, None, condition, once)

    async def change(
        self,
        key: str,
        name: str,
        arguments: Mapping[str, Any],
        *,
        condition: Condition = ANY,
        once: str | None = None,
    ) -> Answer:
        """Make the change called `name`. The answer has its result."""
        body = encode({"change": name, "arguments": dict(arguments)})
        return await self._change("POST", key, body, condition, once)

    async def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    async def _change(self, method: str, key: str, body: str | None, condition: Condition, once: str | None) -> Answer:
        headers = {"Idempotency-Key": once} if once is not None else {}
        for name, etags in (("If-Match", condition.match), ("If-None-Match", condition.none_match)):
            if etags:
                headers[name] = ", ".join(etags)
        response = await self._send(method, key, body, headers)
        self._check(method, response)
        told = {"etag": None} if response.code == 204 else _json(response)
        if not isinstance(told, dict) or "etag" not in told:
            raise _unclear(method, "what answered is no store of Gryadka; check the URL")
        return Answer(told["etag"], told.get("result"))

    async def _send(
        self, method: str, key: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> HTTPResponse:
        check_key(key)
        try:
            return await self._http.fetch(
                f"{self._url}/kv/{quote(key, safe='')}",
                method=method,
                body=body,
                headers={**(headers or {}), "Content-Type": "application/json"},
                connect_timeout=self._timeout_s,
                request_timeout=self._timeout_s,
                follow_redirects=False,
                raise_error=False,
            )
        except (ConnectionRefusedError, socket.gaierror) as error:  # nothing can have arrived
            raise NotApplied(f"not applied: the service cannot be reached ({error.strerror})") from None
        except Exception as error:
            raise _unclear(method, f"the service gave no answer ({type(error).__name__})") from None

    def _check(self, method: str, response: HTTPResponse) -> None:
        # Raises what the response says, unless it says that all is well.
        if response.code in (200, 201, 204):
            return
        told = _json(response)
        told = told if isinstance(told, dict) else {}
        word, message = told.get("error"), str(told.get("message"))
        if word in REFUSALS:
            refusal = REFUSALS[word](message)
            if isinstance(refusal, PreconditionFailed) and (current := told.get("current")):
                refusal.value = to_stored(_record(current.get("value"), current.get("etag")))
            raise refusal
        if told.get("outcome") != "not applied":  # or it is a proxy's own page
            if word and method != "GET":  # it says what to do
                raise OutcomeUnknown(f"{message}, {response.code}")
            raise _unclear(method, f"{message if word else 'something else than the store answered'}, {response.code}")
        if response.code == 503:
            raise NotApplied(message)
        raise BadRequest(message, response.code, str(word))


def checked(url: str) -> str:
    """Return a service's URL without a slash at its end. Raises `ConfigurationError` if it cannot be one."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
        fine = fine and parts.port != 0
    except ValueError:  # a port or an address that is none
        fine = False
    if not fine:
        raise ConfigurationError("a service's URL looks like http://127.0.0.1:8080; this one does not")
    return url.rstrip("/")


def _unclear(method: str, why: str) -> NotApplied | OutcomeUnknown:
    if method == "GET":
        return NotApplied(f"not read: {why}; try again")
    return OutcomeUnknown(f"perhaps applied, perhaps not: {why}; {TO_REPEAT}")


def _json(response: HTTPResponse) -> Any:
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        return None


def _record(value: Value, etag: object) -> Record:
    found = _ETAG.fullmatch(etag) if isinstance(etag, str) else None
    if not found:
        raise ConfigurationError("what answered is no store of Gryadka: it gave no ETag; check the URL")
    return Record(value, int(found[1]), found[2])
