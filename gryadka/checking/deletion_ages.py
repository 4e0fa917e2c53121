"""Collection by the paper's ages, to compare it with the floor ballot of `deletion`.

What may live here: the steps of the collector that CASPaxos describes (section 3.1). Once a tombstone has been
accepted by all acceptors, it

    visits every proposer: it drops its cache, moves its counter past the tombstone, raises its age
    ──> tells every acceptor, which refuses proposers of a lower age from then on
    ──> lets every acceptor forget the record, if it is still that tombstone.

Each message carries its sender's age. A message that was sent before a visit may arrive after it, so a round may
begin with any age that its proposer has had. A proposer that joins is known to a collector only if it came first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gryadka.checking.deletion import Acceptor, Deletion, Label, Request, Rules, Scope, World
from gryadka.checking.numbered import Numbers
from gryadka.checking.one_order import Value

Lows = tuple[int, ...]
"""A proposer's counter at the beginning of each of its ages: it begins only with higher ballots."""


@dataclass(frozen=True)
class AgesScope(Scope):
    """`proposers` says whose each ballot is, from 0. `joins` is one that comes later, or -1."""

    proposers: tuple[int, ...] = (0, 1, 0)
    joins: int = -1


class Beside(NamedTuple):
    """What is kept beside the world."""

    lows: tuple[Lows, ...]  # of each proposer
    ages: tuple[int, ...]  # with which each ballot's message was sent
    visits: tuple[tuple[int, int, int], ...] = ()  # tombstone, proposer, its age from then on
    telling: int = 0  # the tombstones of which some acceptor was told
    joined: bool = False


class AgesRules(Rules):
    """The guards of a collection by ages."""

    def promised(self, acceptor: Acceptor) -> int:
        """Return the ballot that counts as promised: no floor here."""
        return max(acceptor.promised, 0)

    def still_there(self, acceptor: Acceptor, ballot: int, value: Value) -> bool:
        """Say whether the record is the tombstone of this ballot, and has promised nothing since."""
        return acceptor.accepted == ballot == acceptor.promised

    def raised(self, acceptor: Acceptor, ballot: int, value: Value) -> int:
        """Keep the floor where it is."""
        return 0

    def visited(self, lows: Lows, ballot: int) -> Lows:
        """Return a proposer's counters once it was visited for the tombstone of this ballot."""
        return (*lows, max(lows[-1], ballot))

    def ages(self, begun: int, now: int) -> Sequence[int]:
        """Say with which ages an accept may be sent whose round began at one age, and whose proposer is at another."""
        return [begun]

    def cached_ages(self, before: int, now: int) -> Sequence[int]:
        """Say with which ages a cached round may begin that was promised at the age `before`."""
        return [before]

    def passes(self, age: int, least: int) -> bool:
        """Say whether an acceptor lets a message pass."""
        return age >= least

    def may_join(self, *, collecting: bool) -> bool:
        """Say whether a proposer may join now."""
        return not collecting

    def all_visited(self, visited: int, proposers: int) -> bool:
        """Say whether enough proposers were visited."""
        return visited == proposers

    def all_told(self, told: int) -> bool:
        """Say whether enough acceptors were told."""
        return told == self.scope.acceptors


class DeletionByAges(Deletion):
    """The model. Beside an acceptor: the least age that it lets pass of each proposer, and the tombstones told of."""

    scope: AgesScope
    rules: AgesRules

    def __init__(self, scope: AgesScope, rules: AgesRules | None = None) -> None:
        super().__init__(scope, rules or AgesRules(scope))
        world = self.worlds[self.initial[0]]
        lows = ((0,),) * (max(scope.proposers) + 1)
        world = world._replace(beside=Beside(lows, (-1,) * len(self.ballots), joined=scope.joins < 0))
        self.initial = (self.worlds.number(world), *self.initial[1:])

    def fresh(self) -> list[Acceptor]:
        """Return the acceptors as they are at first."""
        none = (0,) * (max(self.scope.proposers) + 1)
        return [acceptor._replace(beside=(none, 0)) for acceptor in super().fresh()]

    def begin(self, world: World, ballot: int) -> Iterator[World]:
        """Yield the world after a change was begun, with any age at which this ballot could be used."""
        beside: Beside = world.beside
        whose = self.scope.proposers[ballot - 1]
        if whose == self.scope.joins and not beside.joined:
            return
        lows, before = beside.lows[whose], [b for b, sent in self.sent(world) if sent.promise == ballot != b]
        ages: Sequence[int] = [age for age, low in enumerate(lows) if ballot > low]
        if before:
            ages = self.rules.cached_ages(beside.ages[before[0] - 1], len(lows) - 1)
        for age in ages:
            for begun in super().begin(world, ballot):
                yield self._with_age(begun, ballot, age)

    def send(self, world: World, ballot: int, request: Request) -> Iterator[World]:
        """Yield the world after an accept was sent."""
        now = len(world.beside.lows[self.scope.proposers[ballot - 1]]) - 1
        later = request.promise
        if self.scope.proposers[later - 1] != self.scope.proposers[ballot - 1]:
            return
        for age in self.rules.ages(world.beside.ages[ballot - 1], now):
            for sent in super().send(world, ballot, request):
                yield self._with_age(sent, ballot, age)

    def _with_age(self, world: World, ballot: int, age: int) -> World:
        ages = list(world.beside.ages)
        ages[ballot - 1] = age
        return world._replace(beside=world.beside._replace(ages=tuple(ages)))

    def is_asked(self, world: World, acceptor: Acceptor, ballot: int) -> bool:
        """Say whether an acceptor lets this ballot's messages pass."""
        least = acceptor.beside[0][self.scope.proposers[ballot - 1]]
        return self.rules.passes(world.beside.ages[ballot - 1], least)

    def successors(self, state: Numbers) -> Iterator[tuple[Label, Numbers]]:
        """The steps of the register, and those of the collector and of who joins."""
        number, cells = state[0], state[1:]
        world, acceptors = self.worlds[number], [self.acceptors[cell] for cell in cells]
        told = {t: sum(acceptor.beside[1] >> t & 1 for acceptor in acceptors) for t in self.ballots}
        for label, after in super().successors(state):
            if label[0] != "forgets" or self.rules.all_told(told[label[1]]):
                yield label, after
        for label, changed in self._visits(world, acceptors):
            yield label, self._settle(self.worlds.number(changed), cells)
        for tombstone in self.ballots:
            if self._may_tell(world, tombstone):
                yield from self._tell(world, tombstone, cells)

    def _visits(self, world: World, acceptors: Sequence[Acceptor]) -> Iterator[tuple[Label, World]]:
        beside: Beside = world.beside
        done = {(tombstone, whose) for tombstone, whose, _ in beside.visits}
        for tombstone in self.ballots:
            for whose, lows in enumerate(beside.lows):
                known = whose != self.scope.joins or beside.joined
                late = beside.telling >> tombstone & 1
                if world.forgets >> tombstone & 1 and known and not late and (tombstone, whose) not in done:
                    after = self.rules.visited(lows, tombstone)
                    visits = tuple(sorted({*beside.visits, (tombstone, whose, len(after) - 1)}))
                    everyone = (*beside.lows[:whose], after, *beside.lows[whose + 1 :])
                    visited = beside._replace(lows=everyone, visits=visits)
                    yield ("visits", tombstone, whose), world._replace(beside=visited)
        collecting = any(
            beside.telling >> tombstone & 1 and any(acceptor.accepted == tombstone for acceptor in acceptors)
            for tombstone in self.ballots
        )
        if not beside.joined and self.rules.may_join(collecting=collecting):
            yield ("joins", 0, self.scope.joins), world._replace(beside=beside._replace(joined=True))

    def _may_tell(self, world: World, tombstone: int) -> bool:
        beside: Beside = world.beside
        if beside.telling >> tombstone & 1:
            return True
        visited = sum(one == tombstone for one, _, _ in beside.visits)
        known = len(beside.lows) - (not beside.joined)
        return bool(world.forgets >> tombstone & 1) and self.rules.all_visited(visited, known)

    def _tell(self, world: World, tombstone: int, cells: Numbers) -> Iterator[tuple[Label, Numbers]]:
        beside: Beside = world.beside
        number = self.worlds.number(world._replace(beside=beside._replace(telling=beside.telling | 1 << tombstone)))
        for place, cell in enumerate(cells):
            acceptor = self.acceptors[cell]
            least, told = list(acceptor.beside[0]), acceptor.beside[1] | 1 << tombstone
            for one, whose, age in beside.visits:
                if one == tombstone:
                    least[whose] = max(least[whose], age)
            after = self.acceptors.number(acceptor._replace(beside=(tuple(least), told)))
            if after != cell and cells.index(cell) == place:
                left = (*cells[:place], after, *cells[place + 1 :])
                yield ("is told the ages", tombstone, place), self._settle(number, left)
