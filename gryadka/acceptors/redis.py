"""An acceptor that keeps its registers on a Redis (or Valkey) server.

One hash per register, and one Lua script that answers a whole batch of requests. Redis runs a script
alone, so reading a register, deciding and storing are one step, and the reply leaves after the store.

    gryadka:acceptor              {identity, members, epoch, ...}  who this server is, and of which cluster
    gryadka:register:greeting     {promised, accepted, value}      e.g. {"4:17", "3:17", "\\"hello\\""}

No request is ever sent twice: this file repeats nothing, and the client library's own retries are off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from redis.asyncio.connection import AbstractConnection

from gryadka.acceptors import Request
from gryadka.acceptors.advice import explain
from gryadka.acceptors.wire import Wire
from gryadka.errors import AcceptorError
from gryadka.protocol.acceptor import Accepted, Ballot, Conflict, Promise, Reply, State

RECONNECT_PAUSE_S = 0.05


def script(**own: str) -> str:
    """Return the acceptor's Lua script. A lesson may give its own `prepare` or `accept` function."""
    parts = ("ballot", "prepare", "accept", "batch")
    return "\n".join(own.get(part) or files(__package__).joinpath(f"{part}.lua").read_text() for part in parts)


@dataclass(eq=False)
class RedisAcceptor:
    """One server's registers under `namespace`.

    `connect` makes a fresh connection. `introduce` is asked, before each, for the identity that the server
    called `name` has to have, and the epoch of the configuration that we work with; both travel in every call.
    A reply is waited for `timeout_s` seconds. `lua` is the script that answers.
    """

    name: str
    connect: Callable[[], AbstractConnection]
    introduce: Callable[[str], Awaitable[tuple[str, int]]]
    namespace: str = "gryadka"
    timeout_s: float = 1.0
    lua: str = field(default_factory=script)

    def __post_init__(self) -> None:
        self._wire: Wire | None = None
        self._sha, self._introduction = "", ("", 0)
        self._lock = asyncio.Lock()
        self._fault, self._next_try_s = AcceptorError(self.name, "was never reached"), 0.0

    async def send(self, requests: Sequence[Request]) -> list[Reply | AcceptorError]:
        """Answer each request, in order. Raises `AcceptorError` if the server cannot answer at all."""
        keys = [f"{self.namespace}:acceptor"] + [f"{self.namespace}:register:{key}" for key, _ in requests]
        fours = ([type(message).__name__.lower(), *map(str, message), "", "", ""][:4] for _, message in requests)
        words = [word for four in fours for word in four]
        said = await (await self._connected()).call("EVALSHA", self._sha, len(keys), *keys, *self._introduction, *words)
        return [self._reply(answer) for answer in said]

    async def close(self) -> None:
        """Let go of the connection, also of one that is just being made."""
        async with self._lock:
            if self._wire:
                await self._wire.close()

    async def _connected(self) -> Wire:
        async with self._lock:
            if self._wire and self._wire.open:
                return self._wire
            if asyncio.get_running_loop().time() < self._next_try_s:
                raise self._fault
            try:
                self._introduction = await self.introduce(self.name)
                self._wire = await Wire.over(self.name, self.connect(), self.timeout_s)
                self._sha = (await self._wire.call("SCRIPT", "LOAD", self.lua)).decode()
            except AcceptorError as error:
                # For a moment the same answer serves all, so that a dead server costs nobody time.
                self._fault, self._next_try_s = error, asyncio.get_running_loop().time() + RECONNECT_PAUSE_S
                raise
            return self._wire

    def _reply(self, answer: list[Any]) -> Reply | AcceptorError:
        # Bytes that are no text become JSON that nobody can read: so the proposer, too, knows which register it is.
        match answer:
            case [b"promise", accepted, text]:
                return Promise(to_ballot(accepted), text and text.decode(errors="backslashreplace"))
            case [b"accepted"]:
                return Accepted()
            case [b"conflict", promised]:
                return Conflict(to_ballot(promised))
            case [b"state", promised, accepted, text]:
                return State(to_ballot(promised), to_ballot(accepted), text and text.decode(errors="backslashreplace"))
        return explain(self.name, answer[-1].decode())


def to_ballot(text: bytes) -> Ballot:
    """Read a ballot as servers store it: "counter:proposer"."""
    return Ballot(*map(int, text.split(b":")))
