"""The configuration that is in force, as each acceptor keeps it beside its identity.

It names acceptors by identity, since a server may be called differently from different places:

    {"epoch": 2, "prepare": [["5b1f", "90aa", "c3d4"], 2], "accept": [["5b1f", "90aa", "c3d4"], 2],
     "addresses": {"5b1f": "10.0.0.1:6379", ...}, "past": [...]}

The first one has epoch 0: majorities of all `members`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from gryadka.protocol.configuration import Configuration, Quorum


@dataclass(frozen=True)
class Roster:
    """Who the members are in one epoch. `configuration` names them by identity.

    `addresses` tells where each was found when it was added, as host and port, with neither user nor password.
    `past` tells where records may have been accepted last: a list of (accept quorum, who got a copy).
    """

    epoch: int
    configuration: Configuration
    addresses: Mapping[str, str] = field(default_factory=dict)
    past: tuple[tuple[Quorum, frozenset[str]], ...] = ()

    @classmethod
    def first(cls, members: Iterable[str]) -> Self:
        """Return the roster of a cluster whose members never changed."""
        return cls(0, Configuration.majority(members))

    @property
    def members(self) -> frozenset[str]:
        """The identities of all acceptors that take part."""
        return frozenset(self.configuration.prepare.members + self.configuration.accept.members)

    def called(self, names: Mapping[str, str]) -> Configuration:
        """Return the configuration with these names (identity -> name) in place of identities."""

        def renamed(quorum: Quorum) -> Quorum:
            return Quorum(tuple(names[identity] for identity in quorum.members), quorum.size)

        return Configuration(renamed(self.configuration.prepare), renamed(self.configuration.accept))

    def to_json(self) -> str:
        """Return the roster as a line of JSON."""
        return json.dumps(
            {
                "epoch": self.epoch,
                "prepare": _listed(self.configuration.prepare),
                "accept": _listed(self.configuration.accept),
                "addresses": dict(self.addresses),
                "past": [[*_listed(quorum), sorted(copied)] for quorum, copied in self.past],
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a roster back. Raises `ValueError` for anything that `to_json` does not write."""
        try:
            parts: dict[str, Any] = json.loads(text)
            prepare, accept = (Quorum(tuple(parts[name][0]), parts[name][1]) for name in ("prepare", "accept"))
            past = tuple((Quorum(tuple(names), size), frozenset(copied)) for names, size, copied in parts["past"])
            return cls(int(parts["epoch"]), Configuration(prepare, accept), parts["addresses"], past)
        except (AttributeError, KeyError, TypeError, IndexError) as error:
            raise ValueError(f"not a configuration: {error}") from error


def _listed(quorum: Quorum) -> list[Any]:
    return [list(quorum.members), quorum.size]
