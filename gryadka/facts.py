"""What Redis servers tell of themselves, asked so that no key on them changes. `doctor` judges it.

What may live here: the questions, and their answers as plain values. No judgement, and no write.

Two questions go further than INFO and CONFIG GET, for these may be forbidden, or answer for another user:

- Does the acceptor's script run? It is asked to prepare ballot 0:0, which it can only refuse: nothing is
  stored (see `TRANSITIONS` in gryadka/protocol/acceptor.py).
- Would a write be taken? `HSET key field value field` lacks its last value. A server finds that out after it
  has looked at rights, disk, memory and role, so *this* complaint means that a whole HSET would have passed.
"""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from gryadka.acceptors.advice import explain
from gryadka.acceptors.identity import Connect, from_url, introduced
from gryadka.acceptors.redis import script
from gryadka.errors import ConfigurationError

_SETTINGS = (
    "appendfsync",
    "appendonly",
    "bind",
    "maxmemory",
    "maxmemory-policy",
    "no-appendfsync-on-rewrite",
    "protected-mode",
    "save",
)
_PINGS = 5


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What one server told; None is what it did not tell. Most fields are named as Redis names them.

    A `fault` says why the server, its script, a write or its identity cannot be used; "" is no fault.
    `refused` holds the questions that this user may not ask, with the server's words. No password is in here.
    """

    name: str
    namespace: str = "gryadka"
    user: str = "default"
    local: bool = True  # it was reached at an address that only this computer has
    fault: str = ""
    refused: tuple[str, ...] = ()
    latency_s: float | None = None
    program: str | None = None
    version: str | None = None
    mode: str | None = None
    role: str | None = None
    replicas: int | None = None
    run_id: str | None = None
    appendonly: bool | None = None
    appendfsync: str | None = None
    no_appendfsync_on_rewrite: bool | None = None
    save: str | None = None
    maxmemory: int | None = None
    maxmemory_policy: str | None = None
    bind: str | None = None
    protected_mode: bool | None = None
    strangers_may_write: bool | None = None
    identity: str | None = None
    members: tuple[str, ...] = ()
    identity_fault: str = ""
    script_fault: str = ""
    write_fault: str = ""


async def gather(urls: Iterable[str], *, namespace: str = "gryadka", timeout_s: float = 1.0) -> list[Facts]:
    """Ask the servers at these Redis URLs, all at once, and return what they told, in the same order.

    Each answer is waited for `timeout_s` seconds; a server that fails has a `fault`. Raises
    `ConfigurationError` for a URL that cannot be read, or a namespace that no cluster can have.
    """
    introduced({}, namespace=namespace)  # refuses a namespace that no cluster can have
    servers = []
    for number, url in enumerate(urls, start=1):
        try:
            name, connect = from_url(url, timeout_s)
            _, connect_as_stranger = from_url(_without_credentials(url), timeout_s)
            connect()  # refuses an option that it does not know
        except (ConfigurationError, TypeError):
            # What cannot be read may be a password: it is not repeated.
            raise ConfigurationError(
                f"URL number {number} cannot be read; it has the form redis://user:password@host:port/0, "
                "where a password has %2F for /, %3F for ?, %23 for #, %40 for @, %3A for : and %25 for %"
            ) from None
        servers.append((name, connect, connect_as_stranger))
    return await asyncio.gather(*(_facts(*server, namespace, timeout_s) for server in servers))


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in ("username", "password")]
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=urlencode(query)).geturl()


class _Talk:
    """Questions and answers on one connection, and the questions that were refused."""

    def __init__(self, connection: AbstractConnection, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self.user = str(getattr(connection, "username", None) or "default")
        self.refused: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(self._timeout_s):
            await self._connection.connect()  # type: ignore[no-untyped-call]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.disconnect(nowait=True)

    async def ask(self, *command: str) -> Any:
        async with asyncio.timeout(self._timeout_s):
            await self._connection.send_command(*command)
            return await self._connection.read_response()

    async def ask_if_allowed(self, *command: str) -> Any:
        # The answer, or None for a question that this user, or this server, does not let be asked.
        try:
            return await self.ask(*command)
        except ResponseError as error:
            self.refused.setdefault(command[0], str(error))
            return None


async def _facts(name: str, connect: Connect, as_stranger: Connect, namespace: str, timeout_s: float) -> Facts:
    own_key = f"{namespace}:acceptor"
    try:
        async with _Talk(connect(), timeout_s) as talk:
            identity = await _identity(talk, name, own_key)
            return Facts(
                name=name,
                namespace=namespace,
                user=talk.user,
                local=_is_local(name),
                latency_s=await _latency_s(talk),
                strangers_may_write=await _strangers_may_write(_Talk(as_stranger(), timeout_s), own_key),
                script_fault=await _script_fault(talk, name, namespace, identity.get("identity")),
                write_fault=await _write_fault(talk, name, own_key),
                **identity,
                **await _settings(talk),
                refused=tuple(f"{question}: {words}" for question, words in talk.refused.items()),
            )
    except (RedisError, OSError) as error:
        return Facts(name=name, namespace=namespace, fault=explain(name, error).reason)


async def _settings(talk: _Talk) -> dict[str, Any]:
    info: dict[str, str] = {}
    for line in (await talk.ask_if_allowed("INFO") or b"").decode(errors="replace").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            info[name] = value
    settings = {name: info[name.replace("-", "_")] for name in _SETTINGS if name.replace("-", "_") in info}
    for name in _SETTINGS:  # one by one: before version 7, CONFIG GET takes one name only
        pair = await talk.ask_if_allowed("CONFIG", "GET", name)
        if pair:
            settings[name] = pair[1].decode(errors="replace")
    version, valkey = info.get("redis_version"), info.get("valkey_version")
    return {
        "program": f"Valkey {valkey}" if valkey else version and f"Redis {version}",
        "version": version,
        "mode": info.get("redis_mode", info.get("server_mode")),
        "role": info.get("role"),
        "replicas": _number(info.get("connected_slaves")),
        "run_id": info.get("run_id"),
        "appendonly": _truth(info.get("aof_enabled", settings.get("appendonly"))),
        "appendfsync": settings.get("appendfsync"),
        "no_appendfsync_on_rewrite": _truth(settings.get("no-appendfsync-on-rewrite")),
        "save": settings.get("save"),
        "maxmemory": _number(settings.get("maxmemory")),
        "maxmemory_policy": settings.get("maxmemory-policy"),
        "bind": settings.get("bind"),
        "protected_mode": _truth(settings.get("protected-mode")),
    }


async def _latency_s(talk: _Talk) -> float:
    # The usual time of a round trip. A refusal takes as long as an answer.
    clock = asyncio.get_running_loop().time
    times_s = []
    for _ in range(_PINGS):
        begun_s = clock()
        with suppress(ResponseError):
            await talk.ask("PING")
        times_s.append(clock() - begun_s)
    return statistics.median(times_s)


async def _identity(talk: _Talk, name: str, own_key: str) -> dict[str, Any]:
    try:
        identity, members = await talk.ask("HMGET", own_key, "identity", "members")
        listed = json.loads(members or b"[]")
        if not isinstance(listed, list):
            raise ValueError(f"it is {listed!r}")
    except ResponseError as error:
        return {"identity_fault": explain(name, error).reason}
    except ValueError as error:
        return {"identity_fault": f"has a list of members in {own_key} that cannot be read ({error})"}
    return {"identity": identity and identity.decode(errors="backslashreplace"), "members": tuple(map(str, listed))}


async def _script_fault(talk: _Talk, name: str, namespace: str, identity: str | None) -> str:
    try:
        sha = (await talk.ask("SCRIPT", "LOAD", script())).decode()
        keys = f"{namespace}:acceptor", f"{namespace}:register:"
        # Its own epoch: the script would note a later one, and refuse every proposer from then on.
        [epoch] = await talk.ask("HMGET", keys[0], "epoch")
        replies = await talk.ask("EVALSHA", sha, "2", *keys, identity or "", epoch or "0", "prepare", "0:0", "", "")
    except ResponseError as error:
        # A new acceptor has no identity to compare, and members may change meanwhile: it ran as far as it can.
        ran = str(error).startswith("EPOCH") or (str(error).startswith("IDENTITY") and identity is None)
        return "" if ran else explain(name, error).reason
    kind, *rest = replies[0]
    return "" if kind == b"conflict" else f"answers prepare with {kind!r} {rest!r}"


async def _write_fault(talk: _Talk, name: str, own_key: str) -> str:
    try:
        await talk.ask("HSET", own_key, "field", "value", "field")
    except ResponseError as error:
        return "" if "wrong number of arguments" in str(error).lower() else explain(name, error).reason
    return "takes an HSET that lacks a value"


async def _strangers_may_write(stranger: _Talk, own_key: str) -> bool | None:
    try:
        async with stranger as talk:
            await talk.ask("HSET", own_key, "field", "value", "field")
    except (AuthenticationError, NoPermissionError):
        return False
    except ResponseError as error:
        return not str(error).startswith("DENIED")  # what protected mode says; other complaints come later
    except (RedisError, OSError):
        return None
    return True


def _is_local(name: str) -> bool:
    # `name` is host:port, host:port/db, or a socket's path.
    host = name.rpartition(":")[0]
    return name.startswith("/") or host == "localhost" or is_loopback(host)


def is_loopback(address: str) -> bool:
    """Say whether this is an IP address that only its own computer has."""
    try:
        return ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _truth(text: str | None) -> bool | None:
    return None if text is None else text in ("1", "yes")
