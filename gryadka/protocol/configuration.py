"""Who the acceptors are, and how many of them make a quorum.

The one rule: every prepare quorum shares an acceptor with every accept quorum, so that whoever prepares
hears of whatever was chosen. Majorities keep it, and so do other sizes
(Howard, Malkhi, Spiegelman, "Flexible Paxos: Quorum intersection revisited", 2016, section 3).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from gryadka.errors import ConfigurationError, QuorumsMiss


@dataclass(frozen=True)
class Quorum:
    """Any `size` of `members` (acceptors' names).

    Raises `ConfigurationError` for a repeated member, or a size that is not between 1 and all of them.
    """

    members: tuple[str, ...]
    size: int

    def __post_init__(self) -> None:
        if len(set(self.members)) != len(self.members):
            raise ConfigurationError(f"an acceptor is named twice, and would vote twice: {', '.join(self.members)}")
        if not 1 <= self.size <= len(self.members):
            raise ConfigurationError(f"a quorum of {self.size} cannot be formed by {len(self.members)} acceptors")

    def met_by(self, names: Collection[str]) -> bool:
        """Say whether the acceptors with these names form a quorum."""
        return sum(map(names.__contains__, self.members)) >= self.size

    def lost_without(self, names: Collection[str]) -> bool:
        """Say whether no quorum can form any more once these acceptors are left out."""
        return len(self.members) - sum(map(names.__contains__, self.members)) < self.size


@dataclass(frozen=True)
class Configuration:
    """A prepare quorum and an accept quorum that always meet.

    Raises `QuorumsMiss`, with an example of two quorums that miss each other, if they do not;
    `unsafe=True` lets such a pair through, for runs that are meant to fail.
    """

    prepare: Quorum
    accept: Quorum
    unsafe: bool = False

    def __post_init__(self) -> None:
        # The worst case for `prepare`: it takes every acceptor that `accept` does not know, and as few
        # common ones as it can. If an accept quorum fits beside that, the two miss each other.
        prepare = sorted(self.prepare.members, key=self.accept.members.__contains__)[: self.prepare.size]
        accept = [name for name in self.accept.members if name not in prepare][: self.accept.size]
        if len(accept) == self.accept.size and not self.unsafe:
            raise QuorumsMiss(prepare, accept)

    @classmethod
    def majority(cls, names: Iterable[str]) -> Configuration:
        """Majorities of these acceptors: 2F+1 of them go on while F are down."""
        members = tuple(names)
        quorum = Quorum(members, len(members) // 2 + 1)
        return cls(quorum, quorum)
