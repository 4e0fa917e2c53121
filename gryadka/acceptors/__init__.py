"""Acceptors: where registers are kept. A proposer needs of them no more than the protocol below.

`memory` keeps them in this process, `redis` on a Redis server; `servers` starts servers on this computer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gryadka.errors import AcceptorError
from gryadka.protocol.acceptor import Message, Read, Reply, State

Request = tuple[str, Message | Read]
"""A register's key, and what is asked of that register."""


class Acceptor(Protocol):
    """What a proposer needs of an acceptor."""

    async def send(self, requests: Sequence[Request]) -> Sequence[Reply | AcceptorError]:
        """Answer each request, in order. Has to return, or raise, within bounded time. An error that is
        returned concerns one request; one that is raised concerns all. No request is ever carried twice."""

    async def close(self) -> None:
        """Let go of connections. Calling it again does nothing."""


async def state_of(acceptor: Acceptor, key: str) -> State:
    """Return what `acceptor` holds in the register of `key`. Raises `AcceptorError`."""
    (state,) = await acceptor.send([(key, Read())])
    if isinstance(state, AcceptorError):
        raise state
    assert isinstance(state, State)
    return state
