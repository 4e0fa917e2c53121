"""Deletion as a model for `explore`: a register is written, deleted, collected, and written again.

What may live here: the model of one register that is collected with a *floor ballot*. Models built on it are in
`deletion_members`, `deletion_ages` and `quorum_reads`; what must be true is in `one_order`.

The theory in a few lines. A deletion writes a *tombstone*: a record whose value is nothing. To *collect* it is to
remove the record itself. What can go wrong is what an acceptor forgets with it, its promise:

- *lost delete*: a delayed accept, older than the tombstone, arrives after it is gone, and the value is back;
- *lost update*: some acceptors still hold the tombstone, others have forgotten it; a new value with a ballot below
  the tombstone's is accepted by these, and loses to it.

The floor: each acceptor keeps one ballot for all its registers, and a register without a record counts as promised
at it. The collector asks for the tombstone's ballot to be accepted by *all* acceptors; then each removes the record
if it is still that one, and raises its floor to what the record had promised, in one step.

**The floor is what we keep**, and not the ages of CASPaxos, section 3.1. Both were explored to the end, and both are
right (states, with 3 acceptors): the floor with write, delete, read, write 624,285; with cached rounds, write, write,
delete, write 305,274; while two members of three are replaced 397,242; the ages with write, read, read 13,362, and
15,206 with a proposer that joins. But in place of the floor's two guards (it is kept; it is raised to the promise)
the ages need nine, two of which the paper's text leaves open: what was promised above the tombstone must not be
removed with it, and a proposer has to end its open round besides its cache. And one proposer that does not answer
stops all collection, where the floor asks none.

What the floor cannot do is to tell a proposer that does not know whether its own change was applied. A register that
was collected *looks* as if it never had ancestors; `Rules.may_apply` is the rule for that.

The abstraction is that of `synod`: messages stay sent and are answered at any time, again, or never; ballots belong
to nobody, so a proposer that restarts or joins is just one more ballot. A collector is no more than its messages:
one that stops half way is one whose messages are not answered, and another that begins is a tombstone's next ballot.

    print(explore(Deletion(Scope(("write", "delete", "read"))).model()))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from gryadka.checking.explore import Model, Property
from gryadka.checking.numbered import Numbered, Numbers, put, sort_acceptors
from gryadka.checking.one_order import LOST, ONE_ORDER, TWICE, UNDONE, Kind, Operation, Value, judge

GONE = "a deleted record is gone everywhere"


@dataclass(frozen=True)
class Scope:
    """How much is explored: ballot number n makes the change `kinds[n - 1]`.

    `cache`: accepts may carry a promise, which serves a later ballot without a prepare. `again` maps a ballot to the
    earlier one whose change it tries again. `other_keys`: floors rise for other registers' sake, at any time.
    """

    kinds: tuple[Kind, ...] = ("write", "delete", "write")
    acceptors: int = 3
    prepare_quorum: int = 2
    accept_quorum: int = 2
    cache: bool = False
    again: tuple[tuple[int, int], ...] = ()
    other_keys: bool = False


class Request(NamedTuple):
    """An accept: made from what was accepted at ballot `seen` (0: nothing), it stores `value` and shows `result`."""

    seen: int
    value: Value
    result: Value
    promise: int


class World(NamedTuple):
    """What was sent, by ballot, and what came of it. Sets of ballots are bits of a number."""

    begun: tuple[int | None, ...]  # what had been acknowledged when the change began, or None if it has not begun
    prepares: int
    accepts: tuple[Request | None, ...]
    acknowledged: int = 0
    forgets: int = 0
    beside: Any = ()  # for a model that is built on this one


class Acceptor(NamedTuple):
    """An acceptor, and the answers that may still matter. No record is `accepted` -1."""

    promised: int = 0
    accepted: int = -1
    floor: int = 0
    votes: int = 0  # the ballots that it has accepted
    reports: Numbers = ()  # for each ballot that it promised, the set of ballots that it said it had accepted
    beside: Any = ()


class Rules:
    """The guards of a collection. A wrong one overrides a method."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def promised(self, acceptor: Acceptor) -> int:
        """Return the ballot that counts as promised."""
        return acceptor.floor if acceptor.accepted < 0 else acceptor.promised

    def collectable(self, value: Value, votes: int) -> bool:
        """Say whether a collector may send its forget for a value that so many acceptors have accepted."""
        return value == () and votes == self.scope.acceptors

    def may_forget(self, acceptor: Acceptor, ballot: int) -> bool:
        """Say whether this acceptor lets a collector forget anything now."""
        return True

    def still_there(self, acceptor: Acceptor, ballot: int, value: Value) -> bool:
        """Say whether the record, which holds `value`, is the tombstone that was accepted at `ballot`."""
        return acceptor.accepted == ballot

    def raised(self, acceptor: Acceptor, ballot: int, value: Value) -> int:
        """Return the floor once this record is forgotten, which holds `value`."""
        return max(acceptor.floor, acceptor.promised)

    def may_apply(self, first: int, ancestors: Sequence[int]) -> bool:
        """Say whether to apply a change again that was sent at ballot `first` and is not among the `ancestors`.

        What was made from nothing, after that, may hide that it was applied, deleted and collected.
        """
        return bool(ancestors) and ancestors[-1] < first


Label = tuple[str, int, int]
"""What happened, at which ballot, and where (an acceptor's place from 0, or -1)."""


class Deletion:
    """The model of one register, and what its numbers stand for."""

    def __init__(self, scope: Scope, rules: Rules | None = None) -> None:
        self.scope = scope
        self.rules = rules or Rules(scope)
        self.ballots = range(1, len(scope.kinds) + 1)
        self.again = dict(scope.again)
        self.worlds: Numbered[World] = Numbered()
        self.acceptors: Numbered[Acceptor] = Numbered()
        self._answers = cache(self._find_answers)
        self._judge = cache(self._find_faults)
        self._settled = cache(self._find_settled)
        nothing = (None,) * len(self.ballots)
        world = self.worlds.number(World(nothing, 0, nothing))
        self.initial: Numbers = (world, *map(self.acceptors.number, self.fresh()))

    def fresh(self) -> list[Acceptor]:
        """Return the acceptors as they are at first."""
        return [Acceptor(reports=(0,) * len(self.ballots))] * self.scope.acceptors

    def model(self) -> Model[Numbers, Label]:
        """For `explore`."""
        gone = [Property(GONE, self.gone)] if set(self.scope.kinds) != {"write"} else []
        return Model(
            initial=[self.initial],
            successors=self.successors,
            invariants=[Property(name, self._never(name)) for name in (TWICE, UNDONE, LOST, ONE_ORDER)],
            must_reach=[*gone, *map(self._can_be_acknowledged, self.ballots)],
            canonical=sort_acceptors,
        )

    # -- what may happen -----------------------------------------------------------------------------------

    def successors(self, state: Numbers) -> Iterator[tuple[Label, Numbers]]:
        """Every step that is possible: an acceptor answers a request, perhaps the first to do so."""
        number, cells = state[0], state[1:]
        acceptors = [self.acceptors[cell] for cell in cells]
        for world, first in [(number, 0), *self._requests(self.worlds[number], acceptors)]:
            for place, cell in enumerate(cells):
                if cells.index(cell) == place:
                    for kind, ballot, left in self._answers(world, cell, first):
                        yield (kind, ballot, place), self._settle(world, (*cells[:place], left, *cells[place + 1 :]))

    def _requests(self, world: World, acceptors: Sequence[Acceptor]) -> Iterator[tuple[int, int]]:
        """The worlds with one more request, and its ballot. It is sent when it is first answered, and not before:
        what nobody has answered yet changes nothing, and a change that begins later must have seen more."""
        reserved = {request.promise for ballot, request in self.sent(world) if request.promise > ballot}
        for ballot in self.ballots:
            if world.accepts[ballot - 1]:
                continue
            if world.prepares >> ballot & 1:
                for seen in self._may_see(ballot, acceptors):
                    yield from self._propose(world, ballot, seen, reserved)
            elif ballot in reserved:
                yield from self._propose_at_once(world, ballot, acceptors, reserved)
            elif self.may_begin(world, ballot, acceptors):
                for begun in self.begin(world, ballot):
                    yield self.worlds.number(begun._replace(prepares=world.prepares | 1 << ballot)), ballot

    def may_begin(self, world: World, ballot: int, acceptors: Sequence[Acceptor]) -> bool:
        """Say whether a change may be begun at this ballot."""
        return ballot not in self.again or world.accepts[self.again[ballot] - 1] is not None

    def begin(self, world: World, ballot: int) -> Iterator[World]:
        """Yield the world after a change was begun, in each way in which it can be."""
        yield world._replace(begun=put(world.begun, ballot - 1, world.acknowledged))

    def send(self, world: World, ballot: int, request: Request) -> Iterator[World]:
        """Yield the world after an accept was sent, in each way in which it can be."""
        yield world._replace(accepts=put(world.accepts, ballot - 1, request))

    def _may_see(self, ballot: int, acceptors: Sequence[Acceptor]) -> Iterator[int]:
        # What a prepare quorum may report as the highest accepted ballot.
        reports = [acceptor.reports[ballot - 1] for acceptor in acceptors]
        for seen in range(ballot):
            below = (2 << seen) - 1
            enough = sum(bool(said & below) for said in reports) >= self.scope.prepare_quorum
            if enough and any(said >> seen & 1 for said in reports):
                yield seen

    def _propose_at_once(
        self, world: World, ballot: int, acceptors: Sequence[Acceptor], reserved: set[int]
    ) -> Iterator[tuple[int, int]]:
        seen = next(before for before, request in self.sent(world) if request.promise == ballot)
        if sum(acceptor.votes >> seen & 1 for acceptor in acceptors) >= self.scope.prepare_quorum:
            for begun in self.begin(world, ballot):
                yield from self._propose(begun, ballot, seen, reserved)

    def _propose(self, world: World, ballot: int, seen: int, reserved: set[int]) -> Iterator[tuple[int, int]]:
        made = self._made(world, ballot, seen)
        if made is None:
            return
        free = [
            later
            for later in self.ballots[ballot:]
            if self.scope.cache and later not in reserved and not world.prepares >> later & 1
        ]
        for promise in (ballot, *free):
            request = Request(seen, *made, promise)
            for after in self.send(world, ballot, request):
                yield self.worlds.number(after), ballot

    def _made(self, world: World, ballot: int, seen: int) -> tuple[Value, Value] | None:
        # The value to store and the one to show; None if the caller is told that nobody can know.
        value = self.value(world, seen)
        change = self.again.get(ballot, ballot)
        if first := world.accepts[change - 1]:
            ancestors = self.ancestors(world, seen)
            if change in ancestors:
                return value, first.result
            if not self.rules.may_apply(change, ancestors):
                return None
        kind = self.scope.kinds[change - 1]
        value = (*value, change) if kind == "write" else () if kind == "delete" else value
        return value, value

    def _find_answers(self, number: int, cell: int, first: int) -> list[tuple[str, int, int]]:
        """What this acceptor may do with what was sent (or with the `first` such request alone, if there is one):
        in a word, at which ballot, and its next state."""
        found: list[tuple[str, int, Acceptor]] = []
        for ballot in [first] if first else self.ballots:
            found += self._at(self.worlds[number], self.acceptors[cell], ballot)
        return [(word, ballot, self.acceptors.number(after)) for word, ballot, after in found]

    def _at(self, world: World, acceptor: Acceptor, ballot: int) -> Iterator[tuple[str, int, Acceptor]]:
        request, promised = world.accepts[ballot - 1], self.rules.promised(acceptor)
        if self.is_asked(world, acceptor, ballot):
            if request and ballot >= promised:
                votes = acceptor.votes | 1 << ballot
                yield "accepts", ballot, acceptor._replace(promised=request.promise, accepted=ballot, votes=votes)
            if world.prepares >> ballot & 1 and ballot > promised:
                yield "promises", ballot, self._promise(acceptor, ballot, useful=request is None)
        if world.forgets >> ballot & 1 and acceptor.accepted > 0:
            value = self.value(world, acceptor.accepted)
            if self.rules.may_forget(acceptor, ballot) and self.rules.still_there(acceptor, ballot, value):
                floor = self.rules.raised(acceptor, ballot, value)
                yield "forgets", ballot, acceptor._replace(promised=0, accepted=-1, floor=floor)
        if self.scope.other_keys and ballot > acceptor.floor:
            yield "raises its floor", ballot, acceptor._replace(floor=ballot)

    def is_asked(self, world: World, acceptor: Acceptor, ballot: int) -> bool:
        """Say whether an acceptor is asked at this ballot at all, and does not refuse whoever asks."""
        return True

    def _promise(self, acceptor: Acceptor, ballot: int, *, useful: bool) -> Acceptor:
        accepted = max(acceptor.accepted, 0)
        said = acceptor.reports[ballot - 1] | 1 << accepted if useful else 0
        return acceptor._replace(promised=ballot, accepted=accepted, reports=put(acceptor.reports, ballot - 1, said))

    def _settle(self, number: int, cells: Sequence[int]) -> Numbers:
        """What follows at once: a quorum's answers are an acknowledgement, and what cannot matter any more is left."""
        world = self.worlds[number]
        for ballot, request in self.sent(world):
            votes = sum(self.acceptors[cell].votes >> ballot & 1 for cell in cells)
            if votes >= self.scope.accept_quorum:
                world = world._replace(acknowledged=world.acknowledged | 1 << ballot)
            if self.rules.collectable(request.value, votes):
                world = world._replace(forgets=world.forgets | 1 << ballot)
        number = self.worlds.number(world)
        return (number, *[self._settled(number, cell) for cell in cells])

    def _find_settled(self, number: int, cell: int) -> int:
        # Without the answers that cannot matter any more.
        world, acceptor = self.worlds[number], self.acceptors[cell]
        votes, reports = acceptor.votes, list(acceptor.reports)
        for ballot, request in self.sent(world):
            reports[ballot - 1] = 0
            waits = request.promise > ballot and world.accepts[request.promise - 1] is None
            waits = waits or not world.acknowledged >> ballot & 1
            collectable = self.rules.collectable(request.value, self.scope.acceptors)
            if not waits and (world.forgets >> ballot & 1 or not collectable):
                votes &= ~(1 << ballot)
        return self.acceptors.number(acceptor._replace(votes=votes, reports=tuple(reports)))

    # -- how to read a state -------------------------------------------------------------------------------

    def sent(self, world: World) -> list[tuple[int, Request]]:
        """Return the accepts that were sent, each after its ballot."""
        return [(ballot, request) for ballot, request in enumerate(world.accepts, start=1) if request]

    def value(self, world: World, ballot: int) -> Value:
        """Return the value that was proposed at this ballot; 0 stands for none."""
        request = world.accepts[ballot - 1] if ballot > 0 else None
        return request.value if request else ()

    def ancestors(self, world: World, ballot: int) -> list[int]:
        """Return the ballots that a value was made from, latest first, back to the one that was made from nothing."""
        found = []
        while ballot > 0:
            found.append(ballot)
            request = world.accepts[ballot - 1]
            ballot = request.seen if request else 0
        return found

    # -- what must be true ---------------------------------------------------------------------------------

    def gone(self, state: Numbers) -> bool:
        """A value was deleted, and no acceptor keeps a record of it."""
        world = self.worlds[state[0]]
        return world.forgets > 0 and all(self.acceptors[cell].accepted < 0 for cell in state[1:])

    def _can_be_acknowledged(self, ballot: int) -> Property[Numbers]:
        def acknowledged(state: Numbers) -> bool:
            return bool(self.worlds[state[0]].acknowledged >> ballot & 1)

        return Property(f"the change at ballot {ballot} is acknowledged", acknowledged)

    def why(self, name: str, state: Numbers) -> str:
        """Say in a sentence how the property called `name` fails in this state; "" if it does not."""
        return self._judge(state[0]).get(name, "")

    def _never(self, name: str) -> Callable[[Numbers], bool]:
        return lambda state: name not in self._judge(state[0])

    def _find_faults(self, number: int) -> dict[str, str]:
        return dict(judge(self.operations(self.worlds[number])))

    def operations(self, world: World) -> list[Operation]:
        """Return what clients know: each change whose accept was sent, at any of its ballots."""
        found: dict[int, Operation] = {}
        for ballot, request in self.sent(world):
            change = self.again.get(ballot, ballot)
            done = bool(world.acknowledged >> ballot & 1)
            kind = self.scope.kinds[change - 1]
            if change not in found or done:
                found[change] = Operation(
                    change, kind, request.result if done else None, self.ended(world.begun[change - 1])
                )
        return list(found.values())

    def ended(self, acknowledged: int | None) -> frozenset[int]:
        """Return the numbers of the changes, and of whatever is numbered on from them, in a set of bits."""
        bits = acknowledged or 0
        return frozenset(self.again.get(number, number) for number in range(1, bits.bit_length()) if bits >> number & 1)
