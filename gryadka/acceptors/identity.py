"""Who each server is: identities made once, when a cluster first starts, and checked ever after.

A server that lost its data has forgotten promises, and must not vote in its old place (PROTOCOL: amnesia).
So each acceptor keeps, beside its registers, a random `identity` and the list of all `members`' identities:

1. First start: *no* server has `members` yet, and all of them answer. Each gets an identity if it has none,
   and only when every one has does any get `members`. Two proposers may do this at once: an identity is
   set only where none is, so both read back the same ones. A start cut short is simply started again.
2. Ever after: a server without identity, or with one that is not a member's, is refused.
3. Members may change (gryadka/operations): then each server keeps the configuration in force as well, and its
   epoch. Every call carries the caller's epoch, and an older one is refused. So a proposer learns of a change
   from the refusal, takes over what it finds, and goes on.

It cannot reveal an old copy of the data that was restored, nor a key that was evicted: `gryadka doctor`
warns of what leads there.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gryadka.acceptors import Acceptor
from gryadka.acceptors.observed import Observed
from gryadka.acceptors.redis import RedisAcceptor, script
from gryadka.acceptors.roster import Roster
from gryadka.acceptors.wire import Wire
from gryadka.errors import UNREADABLE, AcceptorError, ConfigurationError
from gryadka.protocol.configuration import Configuration
from gryadka.trace import Observe

if TYPE_CHECKING:
    from gryadka.proposer import Proposer

TIMEOUT_S = 1.0
P = TypeVar("P", bound="Proposer")

_TWICE = "one and the same server, or to a copy of it, which would vote twice"

Connect = Callable[[], AbstractConnection]
Follow = Callable[[Configuration, Mapping[str, Acceptor]], None]


class Introduction:
    """Learns from a cluster's servers who they are, and starts the cluster if it is new.

    `connects` maps each acceptor's name to a function that makes a fresh connection to it, and `others` those of
    acceptors that may become members later. An introduction belongs to one configuration, that of `roster`, or
    the one that it finds in force. When a later one is in force, it calls `follow` with that configuration and
    new acceptors, and has nothing more to do with it.
    """

    def __init__(
        self,
        connects: Mapping[str, Connect],
        *,
        namespace: str = "gryadka",
        timeout_s: float = 1.0,
        observe: Observe | None = None,
        lua: str | None = None,
        others: Mapping[str, Connect] | None = None,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", namespace):
            raise ConfigurationError(f"a namespace is made of letters, digits, '-' and '_'; {namespace!r} is not")
        self.follow: Follow | None = None
        self._connects = connects
        self._others = {} if others is None else others  # one that makes its entries is empty at first
        self._namespace = namespace
        self._own_key = f"{namespace}:acceptor"
        self._timeout_s = timeout_s
        self._observe = observe
        self._lua = lua or script()
        self._lock = asyncio.Lock()
        self._roster: Roster | None = None
        self._left = False
        self._known: dict[str, str] = {}

    def acceptors(self) -> dict[str, Acceptor]:
        """Return an acceptor for each connection; their `send` and `read` do the rest."""
        made: dict[str, Acceptor] = {}
        for name, connect in self._connects.items():
            acceptor = RedisAcceptor(name, connect, self.introduce, self._namespace, self._timeout_s, self._lua)
            made[name] = Observed(name, acceptor, self._observe) if self._observe else acceptor
        return made

    async def introduce(self, name: str) -> tuple[str, int]:
        """Return the identity that the server called `name` has to have, and the epoch that we work with.

        Raises:
            AcceptorError: this server must not take part, or not for us; the reason says why.
            ConfigurationError: the servers, taken together, are not one cluster.
        """
        async with self._lock:
            if self._roster is None and not self._left:
                self._adopt(await self._learn(name))
        identity, roster = await self._ask(name)
        if self._roster and roster and roster.epoch > self._roster.epoch:
            self._adopt(roster)
        if self._left or self._roster is None:
            raise AcceptorError(name, "knows of a later configuration, which is in force from now on")
        self._known[name] = self._checked(name, identity)
        return self._known[name], self._roster.epoch

    def _adopt(self, roster: Roster) -> None:
        # Acceptors of a proposer stay with the epoch that its rounds began with: a later one gets new ones.
        if not self.follow or (not roster.epoch and len(roster.members) == len(self._connects)):
            self._roster = roster
            return
        known = {identity: name for name, identity in self._known.items()}
        names = {member: known.get(member) or roster.addresses[member] for member in roster.members}
        places = {name: self._connects.get(name) or self._others[name] for name in names.values()}
        following = Introduction(
            places, namespace=self._namespace, timeout_s=self._timeout_s,
            observe=self._observe, lua=self._lua, others=self._others,
        )  # fmt: skip
        following._roster = roster
        following.follow, self.follow, self._left = self.follow, None, True
        following.follow(roster.called(names), following.acceptors())

    def _checked(self, name: str, identity: str | None) -> str:
        assert self._roster
        if identity is None:
            raise AcceptorError(
                name,
                "has no identity while its cluster does: it is new, or lost its data; add it as a new member",
            )
        if identity not in self._roster.members:
            raise AcceptorError(name, "belongs to another cluster, or is no member any more; check its URL")
        for other, taken in self._known.items():
            if taken == identity and other != name:
                raise ConfigurationError(f"{name} and {other} lead to {_TWICE}")
        return identity

    async def _learn(self, name: str) -> Roster:
        answers = await asyncio.gather(*map(self._ask, self._connects), return_exceptions=True)
        found = dict(zip(self._connects, answers, strict=True))
        rosters = {name: answer[1] for name, answer in found.items() if isinstance(answer, tuple) and answer[1]}
        if not rosters:
            if isinstance(fault := found[name], BaseException):
                raise fault  # its own; nobody can say whether the cluster is new
            for error in answers:
                if isinstance(error, BaseException):
                    raise AcceptorError(
                        name, f"is new, and its cluster needs all its servers to start for the first time; {error}"
                    )
            await self._bootstrap()
            return await self._learn(name)
        latest = max(rosters, key=lambda name: rosters[name].epoch)
        roster = rosters[latest]
        for name, other in rosters.items():
            if other.epoch == roster.epoch and other.members != roster.members:
                raise ConfigurationError(f"{latest} and {name} belong to two different clusters; check the URLs")
        named = {name: answer[0] for name, answer in found.items() if isinstance(answer, tuple)}
        self._known = {name: identity for name, identity in named.items() if identity in roster.members}
        if len(set(self._known.values())) != len(self._known):
            raise ConfigurationError(f"two of the URLs lead to {_TWICE}")
        if not roster.epoch and len(self._connects) != len(roster.members) != len(self._known):
            raise ConfigurationError(
                f"this cluster has {len(roster.members)} acceptors, but {len(self._connects)} are named: "
                "name all of them, or quorums would miss each other"
            )
        return roster

    async def _bootstrap(self) -> None:
        for name in self._connects:
            await self._ask(name, "HSETNX", self._own_key, "identity", secrets.token_hex(8))
        identities = {name: (await self._ask(name))[0] for name in self._connects}
        if len(set(identities.values())) != len(identities):
            raise ConfigurationError(f"two of the URLs lead to {_TWICE}")
        members = sorted(identity for identity in identities.values() if identity)
        for name in self._connects:
            await self._ask(name, "HSETNX", self._own_key, "members", json.dumps(members))

    async def _ask(self, name: str, *command: str) -> tuple[str | None, Roster | None]:
        # Sends a command, if any, over its own connection; returns the server's identity and configuration.
        wire = await Wire.over(name, self._connects[name](), self._timeout_s)
        try:
            if command:
                await wire.call(*command)
            identity, members, roster = await wire.call("HMGET", self._own_key, "identity", "members", "configuration")
            await self._refuse_replica(wire)
        finally:
            await wire.close()
        try:
            if roster:
                return identity.decode(), Roster.from_json(roster)
            return identity and identity.decode(), Roster.first(json.loads(members)) if members else None
        except UNREADABLE as error:
            raise AcceptorError(
                name, f"keeps no list of members in {self._own_key}, but something else ({error})"
            ) from error

    async def _refuse_replica(self, wire: Wire) -> None:
        # It shows its master's identity, and perhaps old values: it cannot vote, but could mislead a read.
        try:
            await wire.call("HDEL", self._own_key, "")  # changes nothing: no field has this name
        except AcceptorError as error:  # others, such as a right that is missing, show where they matter
            if str(error.__cause__).startswith("READONLY"):
                raise


class Connections(dict[str, Connect]):
    """What connects to the acceptors at these URLs, by name: host and port.

    One that nobody named is found at its address, with the user, password and options of the first URL.
    Raises `ConfigurationError` for a URL that cannot be read, or one that is named twice.
    """

    def __init__(self, urls: Iterable[str], timeout_s: float = TIMEOUT_S) -> None:
        super().__init__()
        self._timeout_s = timeout_s
        self._url = ""
        for url in urls:
            name, connect = from_url(url, timeout_s)
            if name in self:
                raise ConfigurationError(f"{name} is named twice, and would vote twice")
            self[name] = connect
            self._url = self._url or url

    def __missing__(self, address: str) -> Connect:
        place, _, database = address.partition("/")
        parts = urlsplit(self._url)
        login, at, _ = parts.netloc.rpartition("@")
        url = urlunsplit(parts._replace(netloc=f"{login}{at}{place}", path=f"/{database}"))
        return from_url(url, self._timeout_s)[1]


def introduced(connects: Mapping[str, Connect], **options: Any) -> dict[str, Acceptor]:
    """Return an acceptor for each connection, all of one cluster; `options` are those of `Introduction`."""
    return Introduction(connects, **options).acceptors()


def proposer_on(kind: type[P], connects: Mapping[str, Connect], introduction: Introduction, **options: Any) -> P:
    """Return a proposer of this kind, with majorities of these acceptors or whatever is in force later on."""
    acceptors = introduction.acceptors()
    proposer = kind(Configuration.majority(connects), acceptors, **options)
    introduction.follow = proposer.reconfigure
    return proposer


def redis_acceptors(
    urls: Iterable[str], *, namespace: str = "gryadka", timeout_s: float = 1.0, **options: Any
) -> dict[str, Acceptor]:
    """Return an acceptor for each Redis URL (redis://, rediss://, unix://), named by host and port.

    Raises `ConfigurationError` for a URL that cannot be read, or one that is named twice.
    """
    return introduced(Connections(urls, timeout_s), namespace=namespace, timeout_s=timeout_s, **options)


def redis_proposer(kind: type[P], urls: Iterable[str], *, namespace: str = "gryadka", **options: Any) -> P:
    """Return a proposer of this kind on the acceptors at these URLs; see `Proposer.from_urls`."""
    connects = Connections(urls)
    introduction = Introduction(connects, namespace=namespace, observe=options.get("observe"), others=connects)
    return proposer_on(kind, connects, introduction, **options)


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
