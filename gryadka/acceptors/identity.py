"""Who each server is: identities made once, when a cluster first starts, and checked ever after.

A server that lost its data has forgotten promises, and must not vote in its old place (PROTOCOL: amnesia).
So each acceptor keeps, beside its registers, a random `identity` and the list of all `members`' identities:

1. First start: *no* server has `members` yet, and all of them answer. Each gets an identity if it has none,
   and only when every one has does any get `members`. Two proposers may do this at once: an identity is
   set only where none is, so both read back the same ones. A start cut short is simply started again.
2. Ever after: a server without identity, or with one that is not a member's, is refused.

It cannot reveal an old copy of the data that was restored, nor a key that was evicted: `gryadka doctor`
warns of what leads there.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gryadka.acceptors import Acceptor
from gryadka.acceptors.observed import Observed
from gryadka.acceptors.redis import RedisAcceptor, script
from gryadka.acceptors.wire import Wire
from gryadka.errors import AcceptorError, ConfigurationError
from gryadka.trace import Observe

Connect = Callable[[], AbstractConnection]


class Introduction:
    """Learns the identities of a cluster's servers from the servers, and starts the cluster if it is new.

    `connects` maps each acceptor's name to a function that makes a fresh connection to it.
    """

    def __init__(self, connects: Mapping[str, Connect], *, namespace: str = "gryadka", timeout_s: float = 1.0) -> None:
        self._connects = connects
        self._own_key = f"{namespace}:acceptor"
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._members: list[str] = []
        self._known: dict[str, str] = {}

    async def identity(self, name: str) -> str:
        """Return the identity that the server called `name` has to have.

        Raises:
            AcceptorError: this server must not take part; the reason says why.
            ConfigurationError: the servers, taken together, are not one cluster.
        """
        async with self._lock:
            if name not in self._known:
                if not self._members:
                    await self._learn()
                identity, _ = await self._ask(name)
                self._known[name] = self._checked(name, identity)
            return self._known[name]

    def _checked(self, name: str, identity: str | None) -> str:
        if identity is None:
            raise AcceptorError(
                name,
                "has no identity while its cluster does: it is new, or lost its data; add it as a new member",
            )
        if identity not in self._members:
            raise AcceptorError(name, "belongs to another cluster; check its URL")
        for other, taken in self._known.items():
            if taken == identity:
                raise ConfigurationError(f"{name} and {other} are one and the same server, which would vote twice")
        return identity

    async def _learn(self) -> None:
        answers = await asyncio.gather(*map(self._ask, self._connects), return_exceptions=True)
        found = dict(zip(self._connects, answers, strict=True))
        lists = {name: answer[1] for name, answer in found.items() if isinstance(answer, tuple) and answer[1]}
        if not lists:
            for error in answers:
                if isinstance(error, BaseException):
                    raise AcceptorError("the cluster", f"needs all its servers to start for the first time; {error}")
            await self._bootstrap()
            return
        (name, members), *others = lists.items()
        for other, theirs in others:
            if theirs != members:
                raise ConfigurationError(f"{name} and {other} belong to two different clusters; check the URLs")
        if len(members) != len(self._connects):
            raise ConfigurationError(
                f"this cluster has {len(members)} acceptors, but {len(self._connects)} are named: "
                "name all of them, or quorums would miss each other"
            )
        self._members = members

    async def _bootstrap(self) -> None:
        for name in self._connects:
            await self._ask(name, "HSETNX", self._own_key, "identity", secrets.token_hex(8))
        identities = {name: (await self._ask(name))[0] for name in self._connects}
        if len(set(identities.values())) != len(identities):
            raise ConfigurationError("two of the URLs lead to the same server, which would vote twice")
        members = sorted(identity for identity in identities.values() if identity)
        for name in self._connects:
            await self._ask(name, "HSETNX", self._own_key, "members", json.dumps(members))
        await self._learn()

    async def _ask(self, name: str, *command: str) -> tuple[str | None, list[str]]:
        # Sends a command, if any, over its own connection; returns the server's identity and members.
        wire = await Wire.over(name, self._connects[name](), self._timeout_s)
        try:
            if command:
                await wire.call(*command)
            reply = await wire.call("HMGET", self._own_key, "identity", "members")
        finally:
            await wire.close()
        identity, members = reply
        return identity and identity.decode(), json.loads(members) if members else []


def introduced(
    connects: Mapping[str, Connect],
    *,
    namespace: str = "gryadka",
    timeout_s: float = 1.0,
    observe: Observe | None = None,
    lua: str | None = None,
) -> dict[str, Acceptor]:
    """Return an acceptor for each connection, all of one cluster; see `RedisAcceptor` for the options."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", namespace):
        raise ConfigurationError(f"a namespace is made of letters, digits, '-' and '_'; {namespace!r} is not")
    introduction = Introduction(connects, namespace=namespace, timeout_s=timeout_s)
    acceptors: dict[str, Acceptor] = {}
    for name, connect in connects.items():
        acceptor = RedisAcceptor(name, connect, introduction.identity, namespace, timeout_s, lua or script())
        acceptors[name] = Observed(name, acceptor, observe) if observe else acceptor
    return acceptors


def redis_acceptors(
    urls: Iterable[str], *, namespace: str = "gryadka", timeout_s: float = 1.0, **options: Any
) -> dict[str, Acceptor]:
    """Return an acceptor for each Redis URL (redis://, rediss://, unix://), named by host and port.

    Raises `ConfigurationError` for a URL that cannot be read, or one that is named twice.
    """
    connects: dict[str, Connect] = {}
    for url in urls:
        name, connect = from_url(url, timeout_s)
        if name in connects:
            raise ConfigurationError(f"{name} is named twice, and would vote twice")
        connects[name] = connect
    return introduced(connects, namespace=namespace, timeout_s=timeout_s, **options)


def from_url(url: str, timeout_s: float) -> tuple[str, Connect]:
    """Return an acceptor's name and its connect function for a Redis URL. Raises `ConfigurationError`."""
    try:
        options: dict[str, Any] = dict(parse_url(url))
        kind = options.pop("connection_class", Connection)
        place = options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
        name = f"{place}/{options['db']}" if options.get("db") else place
        # The client must never send a command again by itself (pitfall 2), nor give up on its own clock, nor
        # decode what it reads.
        options |= {"socket_timeout": None, "socket_connect_timeout": timeout_s, "retry": Retry(NoBackoff(), 0)}
        options |= {"decode_responses": False, "protocol": 2, "driver_info": None}
        kind(**options)
    except (ValueError, TypeError):
        # The URL may hold a password, and so may the error: neither is repeated.
        raise ConfigurationError(
            "a server's URL cannot be read, or has an unknown option; it should look like "
            "redis://:password@host:6379/0 (a password with odd characters has to be percent-encoded)"
        ) from None
    return name, lambda: kind(**options)
