"""What `change.py` measures Gryadka against: a plain client of the same protocol, and the raw limit.

Both use the acceptors' own Lua script on the same servers. Neither is for use: `Plain` holds no deadline, and
`Raw` follows no protocol at all.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

import gryadka
from gryadka.acceptors.identity import from_url
from gryadka.acceptors.redis import script

QUORUM = 2
TIMEOUT_S = 30.0
OWN_KEY = "gryadka:acceptor"
REGISTER = "gryadka:register:"
PAUSE_S = (0.002, 0.5)  # as a Proposer's


class Plain:
    """The protocol as one would first write it: every request is a call, and a change is two rounds of calls.

    Changes of one key compete and are tried again, or with `in_turn` wait for a lock of that key.
    """

    def __init__(self, urls: Sequence[str], identities: Sequence[str], connections: int, *, in_turn: bool) -> None:
        # An accept must never be sent again by the library: its outcome would be unknown.
        options: dict[str, Any] = {"max_connections": connections, "timeout": TIMEOUT_S, "retry": Retry(NoBackoff(), 0)}
        self._clients = [Redis.from_pool(BlockingConnectionPool.from_url(url, **options)) for url in urls]
        self._scripts = [client.register_script(script()) for client in self._clients]
        self._identities = identities
        self._id = random.SystemRandom().randrange(1, 2**53)
        self._counter = 0
        self._in_turn = in_turn
        self._locks: dict[str, asyncio.Lock] = {}

    async def change(self, key: str, f: Callable[[Any], Any]) -> Any:
        """Replace the value of `key` by `f(value)` and return it.

        Raises `OutcomeUnknown` if, after an accept was sent, somebody else's value is found.
        """
        async with self._locks.setdefault(key, asyncio.Lock()) if self._in_turn else nullcontext():
            sent: dict[tuple[int, int], str] = {}  # ballot -> the value that its accept carried
            for attempt in itertools.count():
                self._counter += 1
                ballot = self._counter, self._id
                promises = await self._ask(key, b"promise", "prepare", _text(ballot), "", "")
                if len(promises) >= QUORUM:
                    accepted, value = max((_ballot(at), stored or b"null") for _, at, stored in promises)
                    if sent and accepted not in sent and accepted > min(sent):
                        raise gryadka.OutcomeUnknown("somebody went on, perhaps from our value, perhaps not")
                    after = sent.get(accepted) or json.dumps(f(json.loads(value)))
                    sent[ballot] = after
                    if len(await self._ask(key, b"accepted", "accept", _text(ballot), after, _text(ballot))) >= QUORUM:
                        return json.loads(after)
                await asyncio.sleep(random.uniform(0, min(PAUSE_S[0] * 2**attempt, PAUSE_S[1])))

    async def _ask(self, key: str, wanted: bytes, *request: str) -> list[list[Any]]:
        # Returns the answers of the wanted kind.
        keys = [OWN_KEY, REGISTER + key]
        calls = zip(self._scripts, self._identities, strict=True)
        replies = await asyncio.gather(*(call(keys=keys, args=[identity, 0, *request]) for call, identity in calls))
        answers = [answer for (answer,) in replies]
        for answer in answers:
            if answer[0] == b"conflict":
                self._counter = max(self._counter, _ballot(answer[1])[0])
        return [answer for answer in answers if answer[0] == wanted]

    async def close(self) -> None:
        """Let go of the connections."""
        for client in self._clients:
            await client.aclose(close_connection_pool=True)


class Raw:
    """One call of the script after another, packed in advance, each with an accept for every register."""

    def __init__(self, urls: Sequence[str], identities: Sequence[str]) -> None:
        self._connections = [from_url(url, TIMEOUT_S)[1]() for url in urls]
        self._identities = identities
        self._sha = ""
        self._number = 0  # of the batch under way
        self._answered = 0  # how many servers answered it
        self._quorum: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._readers: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Connect, load the script, and begin to read answers."""
        for connection in self._connections:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("SCRIPT", "LOAD", script())
            self._sha = (await connection.read_response()).decode()
        self._readers = [asyncio.create_task(self._read(connection)) for connection in self._connections]

    def pack(self, keys: Sequence[str]) -> list[bytes]:
        """Return the bytes of one batch, for each server. They serve again: an equal ballot is accepted."""
        names = [OWN_KEY, *(REGISTER + key for key in keys)]
        accept = "accept", "1:1", '{"value":1234567,"lineage":{"4503599627370496":1234567}}', "1:1"
        return [
            b"".join(wire.pack_command("EVALSHA", self._sha, len(names), *names, identity, 0, *accept * len(keys)))
            for wire, identity in zip(self._connections, self._identities, strict=True)
        ]

    async def batch(self, packed: Sequence[bytes]) -> None:
        """Send a batch and wait until a quorum has answered. Raises `RuntimeError` for a refusal."""
        self._number += 1
        self._answered = 0
        self._quorum = asyncio.get_running_loop().create_future()
        for connection, command in zip(self._connections, packed, strict=True):
            await connection.send_packed_command(command, check_health=False)
        await self._quorum

    async def _read(self, connection: Any) -> None:
        for number in itertools.count(1):
            answers = await connection.read_response()
            if number == self._number:  # not a late answer to a batch that has its quorum
                self._answered += 1
                if any(answer != [b"accepted"] for answer in answers) and not self._quorum.done():
                    self._quorum.set_exception(RuntimeError(f"the script answered {answers}"))
                elif self._answered == QUORUM and not self._quorum.done():
                    self._quorum.set_result(None)

    async def close(self) -> None:
        """Let go of the connections."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for connection in self._connections:
            await connection.disconnect(nowait=True)


def _text(ballot: tuple[int, int]) -> str:
    return f"{ballot[0]}:{ballot[1]}"


def _ballot(text: bytes) -> tuple[int, int]:
    counter, proposer = text.split(b":")
    return int(counter), int(proposer)
