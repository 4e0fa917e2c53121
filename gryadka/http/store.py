"""The four operations of the store, on a proposer: get, put, delete, and a change by name.

    store = Store(proposer)
    answer = await store.put("todo", ["milk"])
    await store.put("todo", ["bread"], condition=Condition(match=(answer.etag,)))

`gryadka.http.client.RemoteStore` has the same four, over HTTP.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any, Protocol

from gryadka.http.changes import STANDARD, Changes, find
from gryadka.http.failures import ChangeFailed, DoesNotFit, Refused
from gryadka.http.reading import check_key, check_value
from gryadka.http.records import Answer, Condition, Record, Request, Write, answer, apply, deleted, from_stored, written
from gryadka.proposer import Proposer
from gryadka.protocol.value import Value

ANY = Condition()


class KeyValue(Protocol):
    """What a `Store` and a `RemoteStore` can do. Each call may raise `Refused`, `NotApplied`,
    `OutcomeUnknown` and `ConfigurationError`; `once` is an Idempotency-Key."""

    async def get(self, key: str) -> Record: ...
    async def put(self, key: str, value: Value, *, condition: Condition = ANY, once: str | None = None) -> Answer: ...
    async def delete(self, key: str, *, condition: Condition = ANY, once: str | None = None) -> Answer: ...
    async def change(
        self,
        key: str,
        name: str,
        arguments: Mapping[str, Any],
        *,
        condition: Condition = ANY,
        once: str | None = None,
    ) -> Answer: ...
    async def close(self) -> None: ...


class Store:
    """Records on a proposer's registers. `changes` are those that may be asked for by name."""

    def __init__(self, proposer: Proposer, changes: Changes = STANDARD) -> None:
        self.proposer = proposer
        self.changes = changes

    async def get(self, key: str) -> Record:
        """Return the record under `key`; its version is 0 if there is none."""
        check_key(key)
        return from_stored(await self.proposer.read(key))

    async def put(self, key: str, value: Value, *, condition: Condition = ANY, once: str | None = None) -> Answer:
        """Store `value` under `key`."""
        check_value(value)
        request = _request(condition, once, "put", value)
        return await self._change(key, request, lambda record: written(record, value, None, request.incarnation))

    async def delete(self, key: str, *, condition: Condition = ANY, once: str | None = None) -> Answer:
        """Delete the record under `key`."""
        return await self._change(key, _request(condition, once, "delete"), deleted)

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
        change = find(self.changes, name, arguments)
        request = _request(condition, once, name, dict(arguments))

        def write(record: Record) -> Record:
            try:
                value, result = change(record.value)
            except Refused:
                raise
            except Exception as error:
                raise ChangeFailed(f"the change {name!r} failed: see the service's log, and mend it") from error
            try:
                check_value(value)
                check_value(result)
            except ValueError as error:
                raise DoesNotFit(f"{name} makes a value that cannot be stored: {error}") from None
            return written(record, value, result, request.incarnation)

        return await self._change(key, request, write)

    async def close(self) -> None:
        """Close the proposer."""
        await self.proposer.close()

    async def _change(self, key: str, request: Request, write: Write) -> Answer:
        check_key(key)
        # The answer is read out of what is stored: whatever else a change function leaves does not count.
        stored = await self.proposer.change(key, lambda stored: apply(stored, request, write))
        return answer(stored, request.once)


def _request(condition: Condition, once: str | None, *asked: Value) -> Request:
    text = json.dumps([condition.match, condition.none_match, *asked], sort_keys=True)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Request(secrets.token_hex(8), condition, once, fingerprint)
