"""The records that the model of a change of members is made of. What happens to them is said in `members_steps`."""

from __future__ import annotations

from typing import Literal, NamedTuple

from gryadka.checking.numbered import put

History = tuple[int, ...]
Kind = Literal["change", "identity", "cached"]


class Report(NamedTuple):
    """What an acceptor holds: the ballot that it accepted last, and the history."""

    accepted: int
    value: History


class Seen(NamedTuple):
    """What the coordinator has read at an acceptor, and what it copies to a newcomer."""

    promised: int
    held: Report


class Acceptor(NamedTuple):
    """One acceptor, and those of its answers that may still matter, by ballot."""

    promised: int
    held: Report
    epoch: int
    promises: tuple[Report | None, ...]
    votes: tuple[bool, ...]
    read: Seen | None = None  # what the coordinator has read here, in the present step
    shown: Report | None = None  # what the reader was shown here, until it has its answer


class View(NamedTuple):
    """What the coordinator looks at: an acceptor's epoch, and what it has read there."""

    epoch: int
    read: Seen | None


class Round(NamedTuple):
    """What is done at one ballot. `epoch` tells whose quorum promised, `sent_in` whose has to accept."""

    kind: Kind | None = None  # None: nobody has used this ballot
    epoch: int = 0
    sent_in: int | None = None  # None: no accept was sent
    value: History = ()
    promise: int = 0  # the ballot whose promise the accept carries: a later one, or its own
    acknowledged: bool = False


class Reading(NamedTuple):
    """A read without a write: its epoch, what was acknowledged when it began, and what it shows in the end."""

    epoch: int
    begun: History
    value: History | None = None


class World(NamedTuple):
    """All that is not an acceptor's own: rounds by ballot, the plan's steps that are done, and copies."""

    rounds: tuple[Round, ...]
    done: int = 0
    copies: tuple[tuple[int, Seen], ...] = ()  # those that were sent, each with its sender's epoch
    copied: tuple[int, ...] = ()  # the newcomers that took one in the present step
    differ: bool = False  # the coordinator has read what it cannot copy, or what a newcomer may refuse
    reading: Reading | None = None

    @property
    def known(self) -> list[History]:
        """The histories that somebody outside knows of: those that were acknowledged, and one that was read."""
        read = [self.reading.value] if self.reading and self.reading.value is not None else []
        return [round.value for round in self.rounds if round.acknowledged] + read


class Label(NamedTuple):
    """A step: what the acceptor at a place did. `epoch`, `kind` and `heard` say more where telling needs it."""

    act: Literal["adopts", "promises", "accepts", "is read", "takes a copy", "shows", "forgets"]
    place: int
    ballot: int = 0
    epoch: int = 0
    heard: tuple[int, ...] = ()


def longest(world: World) -> History:
    """Return the longest history that somebody outside knows of."""
    return max(world.known, key=len, default=())


def with_round(world: World, ballot: int, round: Round) -> World:
    return world._replace(rounds=put(world.rounds, ballot, round))
