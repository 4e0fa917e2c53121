"""Collection while the members change: acceptors 0, 1 and 2 are replaced by 2, 3 and 4.

What may live here: the steps of one change of members, as far as a collection can get in its way. The plans
themselves, and how neighbouring configurations work side by side, are not looked at here: this change is as abrupt
as one can be, with every step that a coordinator takes, at every acceptor, at any time:

    note the plan ──> start the newcomers ──> the old epoch refused ──> copy what a quorum holds ──> in force

Two newcomers at once, because two of three are a quorum: what they do not know, nobody may have to know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from gryadka.checking.deletion import Acceptor, Deletion, Label, Request, Rules, Scope, World
from gryadka.checking.numbered import Numbers

OLD, BOTH, NEW = range(3)
"""The part that an acceptor has: a member that leaves, one that stays, one that comes."""

UNKNOWN, OVER = -1, -2
"""What is noted of the plan: nothing yet, or that it is over. Else it is the floor when it was noted."""


@dataclass(frozen=True)
class MembersScope(Scope):
    """`epochs` says with which configuration each ballot works: 0 the old one, 1 the new one."""

    epochs: tuple[int, ...] = (0, 0, 1)


class MembersRules(Rules):
    """The guards that a change of members and a collection need of each other."""

    scope: MembersScope

    def is_current(self, acceptor: Acceptor, epoch: int) -> bool:
        """Say whether an acceptor lets somebody pass who works with this epoch's configuration."""
        return bool(acceptor.beside[1] <= epoch)

    def may_forget(self, acceptor: Acceptor, ballot: int) -> bool:
        """Say whether this acceptor lets a collector of this ballot's epoch forget anything now."""
        return self.may_forget_now(acceptor, self.scope.epochs[ballot - 1])

    def may_forget_now(self, acceptor: Acceptor, epoch: int) -> bool:
        """Say whether this acceptor lets a collector of this epoch forget anything."""
        _, own, noted = acceptor.beside
        return bool(own == epoch and noted < 0)

    def inherited(self, floors: Sequence[int]) -> int:
        """Return the floor of a newcomer, from those that a quorum told once it had noted the plan."""
        return max(floors)

    def tells(self, acceptor: Acceptor) -> int | None:
        """Return the floor that a member tells a newcomer, or None if it may not tell one."""
        noted: int = acceptor.beside[2]
        return noted if noted >= 0 else None


class DeletionAndMembers(Deletion):
    """The model. Beside an acceptor: its part, epoch, and what it noted. Beside the world: the ballots copied."""

    scope: MembersScope
    rules: MembersRules

    def __init__(self, scope: MembersScope, rules: MembersRules | None = None) -> None:
        super().__init__(scope, rules or MembersRules(scope))
        self._steps = cache(self._find_steps)

    def fresh(self) -> list[Acceptor]:
        """Return the five acceptors."""
        reports = (0,) * len(self.ballots)
        parts = (OLD, OLD, BOTH, NEW, NEW)
        return [Acceptor(reports=reports, beside=(part, 0, UNKNOWN)) for part in parts]

    def epoch(self, ballot: int) -> int:
        """Return the epoch that this ballot works with."""
        return self.scope.epochs[ballot - 1]

    def is_asked(self, world: World, acceptor: Acceptor, ballot: int) -> bool:
        """Say whether an acceptor is a member for this ballot, and does not refuse its epoch."""
        epoch = self.epoch(ballot)
        return acceptor.beside[0] in ((OLD, BOTH), (BOTH, NEW))[epoch] and self.rules.is_current(acceptor, epoch)

    def may_begin(self, world: World, ballot: int, acceptors: Sequence[Acceptor]) -> bool:
        """Say whether a change may be begun at this ballot."""
        in_force = self.epoch(ballot) == 0 or self.in_force(acceptors)
        return in_force and super().may_begin(world, ballot, acceptors)

    def send(self, world: World, ballot: int, request: Request) -> Iterator[World]:
        """Yield the world after an accept was sent: what was promised under one configuration serves that one."""
        if self.epoch(request.promise) == self.epoch(ballot):
            yield from super().send(world, ballot, request)

    def in_force(self, acceptors: Sequence[Acceptor]) -> bool:
        """Say whether the new configuration is: the newcomers have the copy, and who stays refuses the old epoch."""
        copied = all(acceptor.beside[2] == OVER for acceptor in acceptors if acceptor.beside[0] == NEW)
        return copied and all(acceptor.beside[1] == 1 for acceptor in acceptors if acceptor.beside[0] == BOTH)

    def successors(self, state: Numbers) -> Iterator[tuple[Label, Numbers]]:
        """The steps of the register, and those of the change of members."""
        yield from super().successors(state)
        number, cells = state[0], state[1:]
        for place, cell in enumerate(cells):
            if cells.index(cell) == place:
                for word, after in self._steps(cell, tuple(sorted(cells))):
                    yield (word, 0, place), self._settle(number, (*cells[:place], after, *cells[place + 1 :]))

    def _find_steps(self, cell: int, cells: Numbers) -> list[tuple[str, int]]:
        acceptor, acceptors = self.acceptors[cell], [self.acceptors[other] for other in cells]
        members = [other for other in acceptors if other.beside[0] != NEW]
        comes = acceptor.beside[0] == NEW
        found = self._newcomer(acceptor, members) if comes else self._member(acceptor, acceptors)
        return [(word, self.acceptors.number(after)) for word, after in found]

    def _member(self, acceptor: Acceptor, acceptors: Sequence[Acceptor]) -> Iterator[tuple[str, Acceptor]]:
        part, epoch, noted = acceptor.beside
        newcomers = [other for other in acceptors if other.beside[0] == NEW]
        if noted == UNKNOWN:
            yield "notes the plan", acceptor._replace(beside=(part, epoch, acceptor.floor))
        started = all(other.beside[1] == 1 for other in newcomers)
        if noted != UNKNOWN and epoch == 0 and started:
            yield "refuses the old epoch", acceptor._replace(beside=(part, 1, noted))
        if noted >= 0 and epoch == 1 and self.in_force(acceptors):
            yield "hears that the plan is over", acceptor._replace(beside=(part, epoch, OVER))

    def _newcomer(self, acceptor: Acceptor, members: Sequence[Acceptor]) -> Iterator[tuple[str, Acceptor]]:
        part, epoch, noted = acceptor.beside
        told = [floor for floor in map(self.rules.tells, members) if floor is not None]
        if epoch == 0 and len([other for other in members if other.beside[2] >= 0]) >= 2:
            for floor in sorted({self.rules.inherited(pair) for pair in combinations(told, 2)}):
                yield "is started", acceptor._replace(floor=floor, beside=(part, 1, UNKNOWN))
        frozen = [other for other in members if other.beside[1] == 1]
        if epoch == 1 and noted == UNKNOWN:
            for pair in combinations(frozen, 2):
                yield "gets the copy", self._copied(acceptor, pair)

    def _copied(self, acceptor: Acceptor, members: Sequence[Acceptor]) -> Acceptor:
        # What these members have promised and accepted, wherever it is higher than what the newcomer has.
        promised = max(member.promised for member in members)
        accepted = max(0, *(member.accepted for member in members))
        own = self.rules.promised(acceptor)
        acceptor = acceptor._replace(beside=(NEW, 1, OVER))
        if accepted and accepted >= own:
            return acceptor._replace(promised=promised, accepted=accepted)
        return acceptor._replace(promised=promised, accepted=max(0, acceptor.accepted)) if promised > own else acceptor
