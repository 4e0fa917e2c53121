"""What an operator sees of a service's proposer, and has it do. A client of `change` needs none of it.

What may live here: the few looks inside that the operator's routes share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gryadka.acceptors.identity import Connect
from gryadka.acceptors.redis import RedisAcceptor
from gryadka.errors import ConfigurationError
from gryadka.proposer import Proposer

LOOKS = 5


def epoch(proposer: Proposer) -> int | None:
    """Return the epoch that the proposer's calls carry, None before it has reached an acceptor."""
    # (identity, epoch), as the acceptor was introduced; the proposer itself knows of no epochs.
    known = [acceptor._introduction for acceptor in _servers(proposer).values()]
    return max((epoch for identity, epoch in known if identity), default=None)


def connects(proposer: Proposer) -> dict[str, Connect]:
    """Return what connects to each of its acceptors, by name."""
    return {name: acceptor.connect for name, acceptor in _servers(proposer).items()}


def namespace(proposer: Proposer) -> str:
    """Return what the names of its keys begin with. Raises `ConfigurationError` if its acceptors are no servers."""
    for acceptor in _servers(proposer).values():
        return acceptor.namespace
    raise ConfigurationError("this proposer's acceptors are no servers; there is nothing to operate")


async def look(proposer: Proposer) -> None:
    """Have the proposer ask its acceptors, now, which configuration is in force, and work with it.

    By itself it asks them when they refuse it, and when it connects to one. Raises `ConfigurationError` if
    they are not one cluster.
    """
    for _ in range(LOOKS):
        before = proposer.acceptors
        asked = (acceptor.introduce(name) for name, acceptor in _servers(proposer).items())
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, ConfigurationError):
                raise answer
        if proposer.acceptors is before:  # else those of the new configuration may know of a later one
            return


def cached(proposer: Proposer) -> int:
    """Return for how many keys its next change can skip the first of its two rounds."""
    return len(proposer._cache)


def drop_cache(proposer: Proposer) -> int:
    """Forget them, and return how many they were. The next change of each takes two round trips."""
    count = len(proposer._cache)
    proposer._cache.clear()
    return count


def _servers(proposer: Proposer) -> Mapping[str, RedisAcceptor]:
    return {name: one for name, one in proposer.acceptors.items() if isinstance(one, RedisAcceptor)}
