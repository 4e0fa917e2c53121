"""Registers of three kinds, each a change function or two on top of a proposer.

    notes = LastWriterWins(proposer)
    await notes.write("todo", ["milk"])

Each call may raise what `Proposer.change` raises: `NotApplied` (repeat it), `OutcomeUnknown` (read first). A key
belongs to one kind of register; to use it as another one raises `TypeError`.
"""

from __future__ import annotations

from gryadka.errors import ChangeRejected
from gryadka.proposer import Proposer
from gryadka.protocol.value import Value


class LastWriterWins:
    """Plain reads and writes: whoever writes last wins."""

    def __init__(self, proposer: Proposer) -> None:
        self.proposer = proposer

    async def read(self, key: str) -> Value:
        """Return the value of `key`, None if it was never written."""
        return await self.proposer.change(key, lambda value: value)

    async def write(self, key: str, value: Value) -> Value:
        """Store `value`, and return it as it was stored."""
        return await self.proposer.change(key, lambda _: value)


class CompareAndSet:
    """Versioned values, `{"ver": 0, "val": None}` before the first write: a write has to name the version
    that it replaces, so nobody overwrites what they have not seen."""

    def __init__(self, proposer: Proposer) -> None:
        self.proposer = proposer

    async def read(self, key: str) -> Value:
        """Return `{"ver": ..., "val": ...}`. A read of what was never written stores nothing new."""
        return _versioned(await self.proposer.change(key, lambda value: value))

    async def write(self, key: str, ver: int, value: Value) -> Value:
        """Replace version `ver` by `value`, and return the new `{"ver": ver + 1, "val": value}`.

        Raises `ChangeRejected`, whose `value` is what is stored, if another version is there.
        """

        def replace(stored: Value) -> Value:
            seen = _versioned(stored)["ver"]
            if seen != ver:
                raise ChangeRejected(f"version {ver} was expected, {seen} is stored")
            return {"ver": ver + 1, "val": value}

        return await self.proposer.change(key, replace)


class Counter:
    """A number that counts up and down, from 0."""

    def __init__(self, proposer: Proposer) -> None:
        self.proposer = proposer

    async def read(self, key: str) -> int:
        """Return the count."""
        return await self.add(key, 0)

    async def add(self, key: str, amount: int = 1) -> int:
        """Add `amount`, and return the new count."""
        count: int = await self.proposer.change(key, lambda value: (value or 0) + amount)
        return count


def _versioned(stored: Value) -> Value:
    if stored is None:
        return {"ver": 0, "val": None}
    if not isinstance(stored, dict) or stored.keys() != {"ver", "val"}:
        raise TypeError(f"this register holds {stored!r}, which has no version: another kind of register wrote it")
    return stored
