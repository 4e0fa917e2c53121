"""Wrong collectors, and wrong readers, each of which the model has to catch, and some that only look wrong.

What may live here: wrong guards of `deletion`, `deletion_members`, `deletion_ages` and `quorum_reads`. Each breaks
one rule, in the smallest scope that shows what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gryadka.checking.deletion import GONE, Acceptor, Deletion, Rules, Scope
from gryadka.checking.deletion_ages import AgesRules, AgesScope, DeletionByAges, Lows
from gryadka.checking.deletion_members import DeletionAndMembers, MembersRules, MembersScope
from gryadka.checking.one_order import LOST, ONE_ORDER, UNDONE, Kind, Value
from gryadka.checking.quorum_reads import QuorumReads, ReadsRules, ReadsScope, Told
from gryadka.checking.zoo import Animal

R = TypeVar("R", bound=type[Rules])

WRITE_DELETE_READ: tuple[Kind, ...] = ("write", "delete", "read")
REPEATED = Scope(("write", "delete", "write", "read"), 2, 1, 2, again=((3, 1),))
YOUNG = Scope(("write", "delete", "write", "write"), 2, 1, 2, again=((4, 1),))
TWO = Scope(("read", "write", "delete", "read"), 2, 2, 1)
MEMBERS = MembersScope(("write", "read", "read"), epochs=(1, 0, 1))
AGES = AgesScope(("write", "read", "read"), proposers=(0, 1, 1))
READS = ReadsScope(("write", "write"))


@dataclass(frozen=True)
class Collection(Animal[Deletion]):
    """A collection under some rules: its scope, and what has to become of it."""

    rules: type[Rules]
    scope: Scope
    caught_by: str

    def model(self) -> Deletion:
        """Return the model of it."""
        return model_of(self.scope, self.rules)


def model_of(scope: Scope, rules: type[Rules] | None = None) -> Deletion:
    """Return the model that explores this kind of scope, under its own rules if no others are given."""
    models: dict[type[Scope], Callable[..., Deletion]] = {
        MembersScope: DeletionAndMembers,
        AgesScope: DeletionByAges,
        ReadsScope: QuorumReads,
    }
    return models.get(type(scope), Deletion)(scope, rules(scope) if rules else None)


MUTANTS: list[Collection] = []
SOUND_VARIANTS: list[Collection] = []


def _wrong(caught_by: str, scope: Scope) -> Callable[[R], R]:
    def add(rules: R) -> R:
        MUTANTS.append(Collection(rules, scope, caught_by))
        return rules

    return add


def _sound(scope: Scope) -> Callable[[R], R]:
    def add(rules: R) -> R:
        SOUND_VARIANTS.append(Collection(rules, scope, ""))
        return rules

    return add


# -- the floor -------------------------------------------------------------------------------------------


@_wrong(LOST, Scope(("write", "read", "read")))
class KeepsNoFloor(Rules):
    """Forgets the record, and with it what it had promised."""

    def raised(self, acceptor: Acceptor, ballot: int, value: Value) -> int:
        return acceptor.floor


@_wrong(ONE_ORDER, Scope(("read", "write", "write")))
class RaisesTheFloorToTheTombstoneOnly(Rules):
    """Forgets that it has promised more since it accepted the tombstone."""

    def raised(self, acceptor: Acceptor, ballot: int, value: Value) -> int:
        return max(acceptor.floor, ballot)


@_wrong(UNDONE, Scope(WRITE_DELETE_READ))
class CollectsWhatAMajorityHas(Rules):
    """Takes a tombstone that was acknowledged for one that everybody has."""

    def collectable(self, value: Value, votes: int) -> bool:
        return value == () and votes >= self.scope.accept_quorum


@_wrong(LOST, Scope(("read", "write", "read")))
class ForgetsWithoutComparing(Rules):
    """Forgets whatever is there by now."""

    def still_there(self, acceptor: Acceptor, ballot: int, value: Value) -> bool:
        return True


@_wrong(UNDONE, TWO)
class ForgetsAnyTombstone(Rules):
    """Forgets a tombstone that is newer than the one which everybody has."""

    def still_there(self, acceptor: Acceptor, ballot: int, value: Value) -> bool:
        return value == ()


@_wrong(LOST, Scope(WRITE_DELETE_READ))
class CollectsAValue(Rules):
    """Does not look whether what everybody has is a tombstone."""

    def collectable(self, value: Value, votes: int) -> bool:
        return votes == self.scope.acceptors


@_wrong(GONE, Scope(WRITE_DELETE_READ))
class CollectsNothing(Rules):
    """Does nothing at all, which is perfectly safe."""

    def collectable(self, value: Value, votes: int) -> bool:
        return False


@_wrong(UNDONE, REPEATED)
class AppliesAgainToNothing(Rules):
    """Takes a register that holds nothing for one that never held anything."""

    def may_apply(self, first: int, ancestors: Sequence[int]) -> bool:
        return not ancestors or ancestors[-1] < first


@_wrong(ONE_ORDER, YOUNG)
class AppliesAgainToAYoungRegister(Rules):
    """Takes a value that was made from nothing lately for one that remembers everything."""

    def may_apply(self, first: int, ancestors: Sequence[int]) -> bool:
        return bool(ancestors)


# -- while the members change ----------------------------------------------------------------------------


@_wrong(LOST, MEMBERS)
class StartsANewcomerWithoutTheFloor(MembersRules):
    """Lets a newcomer begin with nothing promised."""

    def inherited(self, floors: Sequence[int]) -> int:
        return 0


@_wrong(LOST, MEMBERS)
class ForgetsWhileMembersChange(MembersRules):
    """Asks for the epoch only, and not whether a plan is noted."""

    def may_forget_now(self, acceptor: Acceptor, epoch: int) -> bool:
        return bool(acceptor.beside[1] == epoch)


@_wrong(LOST, MEMBERS)
class TellsItsFloorWithoutThePlan(MembersRules):
    """Tells a newcomer its floor, though it may still raise it."""

    def tells(self, acceptor: Acceptor) -> int | None:
        return acceptor.floor


@_sound(MEMBERS)
class ForgetsForALaterEpoch(MembersRules):
    """Lets a collector pass who knows of a later configuration."""

    def may_forget_now(self, acceptor: Acceptor, epoch: int) -> bool:
        _, own, noted = acceptor.beside
        return bool(own <= epoch and noted < 0)


# -- by ages ---------------------------------------------------------------------------------------------


@_wrong(LOST, AGES)
class DoesNotRaiseTheAge(AgesRules):
    """Moves a proposer's counter, and lets what it sent before pass."""

    def visited(self, lows: Lows, ballot: int) -> Lows:
        return (*lows[:-1], max(lows[-1], ballot))


@_wrong(LOST, AGES)
class DoesNotMoveTheCounter(AgesRules):
    """Raises a proposer's age, and lets it go on from where its counter was."""

    def visited(self, lows: Lows, ballot: int) -> Lows:
        return (*lows, lows[-1])


@_wrong(LOST, AGES)
class LetsOldAgesPass(AgesRules):
    """Does not look at the age of a message."""

    def passes(self, age: int, least: int) -> bool:
        return True


@_wrong(LOST, AGES)
class KeepsAnOpenRound(AgesRules):
    """Drops what it has cached, and ends the round that it is in the middle of."""

    def ages(self, begun: int, now: int) -> Sequence[int]:
        return [now]


@_wrong(UNDONE, AgesScope(("write", "write", "delete", "read"), 2, 1, 2, True, proposers=(0, 0, 1, 1)))
class KeepsWhatItHasCached(AgesRules):
    """Uses a promise of before the collection with its new age."""

    def cached_ages(self, before: int, now: int) -> Sequence[int]:
        return [now]


@_wrong(LOST, AGES)
class SkipsAProposer(AgesRules):
    """Does not wait for the one proposer that does not answer."""

    def all_visited(self, visited: int, proposers: int) -> bool:
        return visited >= proposers - 1


@_wrong(LOST, AGES)
class TellsAMajorityTheAges(AgesRules):
    """Does not wait for the one acceptor that does not answer."""

    def all_told(self, told: int) -> bool:
        return told > self.scope.acceptors // 2


@_wrong(ONE_ORDER, AgesScope(("read", "write", "write"), proposers=(0, 0, 1)))
class ForgetsANewerPromise(AgesRules):
    """Compares the tombstone's ballot, and not what was promised since."""

    def still_there(self, acceptor: Acceptor, ballot: int, value: Value) -> bool:
        return acceptor.accepted == ballot


@_wrong(LOST, AgesScope(AGES.kinds, proposers=AGES.proposers, joins=0))
class JoinsInTheMiddle(AgesRules):
    """Starts a proposer that the collector did not know of when it began."""

    def may_join(self, *, collecting: bool) -> bool:
        return True


# -- reads in one round trip -----------------------------------------------------------------------------


@_wrong(LOST, READS)
class ShowsTheHighestBallot(ReadsRules):
    """Does not ask whether what a prepare quorum reports was chosen."""

    def answer(self, told: Sequence[Told]) -> int | None:
        return max(told)[0] if len(told) >= self.scope.prepare_quorum else None


@_wrong(LOST, READS)
class ShowsTheFirstAnswer(ReadsRules):
    """Does not wait for a quorum."""

    def answer(self, told: Sequence[Told]) -> int | None:
        return max(told)[0]


@_wrong(LOST, ReadsScope(("write", "write"), 4, 2, 3))
class IsContentWithAPrepareQuorum(ReadsRules):
    """Shows what a prepare quorum reports alike, though an accept quorum is larger."""

    def answer(self, told: Sequence[Told]) -> int | None:
        ballots = [accepted for accepted, _ in told]
        return max(ballots) if ballots.count(max(ballots)) >= self.scope.prepare_quorum else None


@_wrong(LOST, ReadsScope(("write", "write"), 4, 3, 2))
class IsContentWithAnAcceptQuorum(ReadsRules):
    """Shows what an accept quorum reports alike, though a prepare quorum is larger."""

    def answer(self, told: Sequence[Told]) -> int | None:
        ballots = [accepted for accepted, _ in told]
        return max(ballots) if ballots.count(max(ballots)) >= self.scope.accept_quorum else None


@_wrong(UNDONE, ReadsScope(("write", "delete"), 4, 3, 2, readers=1))
class TrustsWhoReportsNothing(ReadsRules):
    """Takes one that reports nothing for one that knows of nothing newer."""

    def may_be_hidden(self, highest: int, told: Sequence[Told]) -> bool:
        return False


@_sound(ReadsScope(("write", "delete"), readers=1))
class TrustsWhoReportsNothingOfAMajority(ReadsRules):
    """Does the same where all quorums are majorities."""

    def may_be_hidden(self, highest: int, told: Sequence[Told]) -> bool:
        return False


@_sound(ReadsScope(("write", "delete"), 4, 3, 2, readers=1))
class LeavesOutWhoReportsNothing(ReadsRules):
    """Wants a prepare quorum of those that report something."""

    def may_be_hidden(self, highest: int, told: Sequence[Told]) -> bool:
        return sum(accepted > 0 for accepted, _ in told) < self.scope.prepare_quorum
