"""The zoo's other half: what a proposer counts, which ballots it uses, when it repeats, what it tells callers.

What may live here: wrong and sound proposers. The retry rule is the one that most implementations get wrong.
Once an accept was sent it may take effect at any later time. Refusals prove nothing, not even from every
acceptor: one may have accepted, its reply lost, and what is heard is the refusal of a duplicate. And one
acceptor that took the value is enough for a later round, anyone's, to finish it. So before a change is
applied again, the value that a prepare quorum reports has to show that it descends from none of its attempts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gryadka.checking.model import NO_WAY_BACK, NOT_APPLIED, NOT_LOST, ONCE, ONE_CHAIN, ONE_VALUE
from gryadka.checking.rules import Attempt, Change, Ending, History, Memory, Outcome, Rules, Scope, unpack
from gryadka.checking.zoo import Zoo
from gryadka.protocol.acceptor import ZERO, Accept, Ballot, Message, Promise

zoo = Zoo()

ALONE = Scope(proposers=1, ballots=3)
LINEAGE_OF_ONE = Scope(lineage=1)
LEAVERS = Scope(deadlines=True)
READER = Scope(changes=(("append",), ("read", "read")))
TURNS = Scope(changes=(("append", "append"), ("append",)))
CACHE = replace(TURNS, ballots=3, cache=True)
ALONE_WITH_CACHE = replace(ALONE, ballots=4, cache=True, deadlines=True, changes=("append", "append", "append"))
FLEXIBLE_READER = replace(READER, acceptors=4, prepare_quorum=2, accept_quorum=3)
FLEXIBLE_CACHE = replace(CACHE, acceptors=4, prepare_quorum=3, accept_quorum=2)


# -- what it counts --------------------------------------------------------------------------------------


@zoo.mutant(NOT_LOST)
class PreparesWithTooFew(Rules):
    """Goes on with promises from a set that can miss an accept quorum."""

    def prepare_quorum(self) -> int:
        return super().prepare_quorum() - 1


@zoo.mutant(NOT_LOST)
class AcceptsWithTooFew(Rules):
    """Acknowledges once a set has accepted that can miss a prepare quorum."""

    def accept_quorum(self) -> int:
        return super().accept_quorum() - 1


@zoo.mutant(NOT_LOST)
class CountsOneAcceptorTwice(Rules):
    """Counts answers, and one acceptor's answer may arrive twice."""

    def votes(self, acceptors: int) -> int:
        return 2 * acceptors


@zoo.mutant(ONE_CHAIN)
class CountsLateReplies(Rules):
    """Counts replies to an older round of its own."""

    def counts(self, asked: Message, message: Message) -> bool:
        return type(asked) is type(message)


# -- which ballots and values it uses --------------------------------------------------------------------


@zoo.mutant(ONE_VALUE, ALONE_WITH_CACHE)
class ReusesItsBallot(Rules):
    """Proposes the next change in the same round, once the accept of the last one has timed out."""

    def cached(self, memory: Memory, accepted: int) -> Accept | None:
        asked = memory.asked
        return asked._replace(promise=asked.ballot) if isinstance(asked, Accept) and not memory.waiting else None


@zoo.mutant(ONE_VALUE, ALONE_WITH_CACHE)
class KeepsTheCacheAfterAConflict(Rules):
    """Leaves the entry in the cache when the round that used it is lost, and uses it again."""

    def cached(self, memory: Memory, accepted: int) -> Accept | None:
        entry = memory.sent[-2] if len(memory.sent) > 1 else None
        used = isinstance(entry, Accept) and memory.asked is not None and entry.promise == memory.asked.ballot
        return entry if isinstance(entry, Accept) and used and not memory.waiting else super().cached(memory, accepted)


@zoo.mutant(ONE_CHAIN, replace(CACHE, deadlines=True))
class CachesALostRound(Rules):
    """Uses the promises of an accept that missed its quorum."""

    def cached(self, memory: Memory, accepted: int) -> Accept | None:
        asked = memory.asked
        return asked if isinstance(asked, Accept) and asked.promise > asked.ballot and not memory.waiting else None


@zoo.mutant(NO_WAY_BACK, replace(CACHE, conflicts=True))
class FastForwardsByAssignment(Rules):
    """Sets its counter to what a refusal names, and a late refusal turns it back."""

    def fast_forward(self, counter: int, seen: int) -> int:
        return seen


@zoo.mutant(NOT_LOST)
class AcknowledgesTheOldValue(Rules):
    """Chooses the value again as it was, and reports the change as applied."""

    def apply(self, change: Change, history: History) -> tuple[History, Outcome]:
        return history, Outcome("applied", history)


@zoo.mutant(ONE_CHAIN, TURNS)
class AppliesToAStaleValue(Rules):
    """Trusts the value that it proposed last, and not what the promises tell."""

    def current(self, promises: Sequence[Promise], last: Accept | None) -> Promise:
        return Promise(last.ballot, last.value) if last else super().current(promises, last)


# -- when it repeats -------------------------------------------------------------------------------------


@zoo.mutant(ONCE)
class AppliesItsChangeTwice(Rules):
    """Finds its own value, and applies the change to it again."""

    def recall(self, own: Ballot, attempts: Sequence[Attempt]) -> Attempt | None:
        return None


@zoo.mutant(ONCE)
class RepeatsBlindly(Rules):
    """Forgets that it has sent an accept, once the round is lost."""

    def after_lost_round(self, attempts: tuple[Attempt, ...], refusals: int) -> tuple[Attempt, ...]:
        return ()


@zoo.mutant(ONCE, Scope(conflicts=True, duplicates=False))
class TrustsTheRefusalsOfAQuorum(Rules):
    """Takes it for proven that nothing was accepted, once a quorum has refused."""

    def after_lost_round(self, attempts: tuple[Attempt, ...], refusals: int) -> tuple[Attempt, ...]:
        return () if refusals >= self.accept_quorum() else attempts


@zoo.mutant(ONCE, Scope(conflicts=True))
class TrustsTheRefusalsOfAll(Rules):
    """Takes it for proven that nothing was accepted, once all have refused; but a duplicate is refused as well."""

    def after_lost_round(self, attempts: tuple[Attempt, ...], refusals: int) -> tuple[Attempt, ...]:
        return () if refusals == self.scope.acceptors else attempts


@zoo.mutant(ONCE, ALONE)
class RecallsItsLastAttemptOnly(Rules):
    """Looks for its last attempt in the value, and takes an older one for somebody else's."""

    def recall(self, own: Ballot, attempts: Sequence[Attempt]) -> Attempt | None:
        return super().recall(own, attempts[-1:])


@zoo.mutant(ONCE, replace(LINEAGE_OF_ONE, ballots=3, changes=(("append",), ("read",))))
class JudgesByItsLastAttempt(Rules):
    """Asks whether the lineage reaches below its last attempt, where the first one matters."""

    def may_apply(self, lineage: Mapping[str, int], attempts: Sequence[Attempt]) -> bool:
        return super().may_apply(lineage, attempts[-1:])


@zoo.mutant(ONCE, LINEAGE_OF_ONE)
class TakesUnknownForNotApplied(Rules):
    """Cannot tell whether the value descends from its attempt, and applies the change again."""

    def may_apply(self, lineage: Mapping[str, int], attempts: Sequence[Attempt]) -> bool:
        return True


@zoo.mutant(ONCE)
class IgnoresTheLineage(Rules):
    """Stores the last proposer alone, as if the value had no older ancestors."""

    def pack(self, history: History, lineage: Mapping[str, int], ballot: Ballot) -> str:
        return super().pack(history, {}, ballot)


# -- what it tells callers -------------------------------------------------------------------------------


@zoo.mutant(NOT_APPLIED, LEAVERS)
class CallsUnknownNotApplied(Rules):
    """Reports a change as not applied, although its accept was sent."""

    def give_up(self, attempts: Sequence[Attempt]) -> Ending:
        return "not applied"


@zoo.mutant(NOT_APPLIED, LEAVERS)
class ServesCallersWhoHaveLeft(Rules):
    """Proposes the change of a caller who was told, while the round was prepared, that it is not applied."""

    def serves(self, waiting: bool) -> bool:
        return True


@zoo.mutant(NOT_LOST, Scope(proposers=3, ballots=1, changes=(("append",), ("create",), ("append",))))
class RefusesOnAValueThatIsNotChosen(Rules):
    """Reports a refusal, and the value that it saw, before that value is chosen."""

    def must_be_chosen(self, outcome: Outcome, changes: bool, promises: Sequence[Promise]) -> bool:
        return outcome.ending != "refused"


@zoo.mutant(NOT_LOST)
class TakesItsOwnValueForChosen(Rules):
    """Acknowledges its change once it finds its value on one acceptor, and does not choose it again."""

    def must_be_chosen(self, outcome: Outcome, changes: bool, promises: Sequence[Promise]) -> bool:
        return not changes or all(unpack(promise.value)[0] != outcome.history for promise in promises)


@zoo.mutant(NOT_LOST, READER)
class ReadsWithoutChoosing(Rules):
    """Answers a read with the highest value that a prepare quorum reports."""

    def must_be_chosen(self, outcome: Outcome, changes: bool, promises: Sequence[Promise]) -> bool:
        return changes


@zoo.mutant(NOT_LOST, FLEXIBLE_READER)
class ReadsOnceAPrepareQuorumAgrees(Rules):
    """Answers a read once a prepare quorum reports one value, where an accept quorum has to."""

    def must_be_chosen(self, outcome: Outcome, changes: bool, promises: Sequence[Promise]) -> bool:
        return changes or not _agree(promises, self.prepare_quorum())


# -- sound: what only looks wrong ------------------------------------------------------------------------


@zoo.sound(READER)
class ReadsOnceAnAcceptQuorumAgrees(Rules):
    """Answers a read in one round trip once an accept quorum reports the highest value: it is chosen."""

    def must_be_chosen(self, outcome: Outcome, changes: bool, promises: Sequence[Promise]) -> bool:
        return changes or not _agree(promises, self.accept_quorum())


@zoo.sound(Scope(conflicts=True, duplicates=False))
class TrustsTheRefusalsOfAllWithoutDuplicates(Rules):
    """Repeats once all have refused, in a network where nothing arrives twice."""

    def after_lost_round(self, attempts: tuple[Attempt, ...], refusals: int) -> tuple[Attempt, ...]:
        return () if refusals == self.scope.acceptors else attempts


@zoo.sound()
class KnowsNoLineage(Rules):
    """Goes by the highest accepted ballot alone: its own, below its first attempt, or unknown."""

    def may_apply(self, lineage: Mapping[str, int], attempts: Sequence[Attempt]) -> bool:
        first = min((attempt.ballot.counter for attempt in attempts), default=0)
        return not attempts or max(lineage.values(), default=0) < first


@zoo.sound(FLEXIBLE_CACHE)
class CachesWhatAnAcceptQuorumPromised(Rules):
    """Skips the prepare once an accept quorum has accepted and promised, though no prepare quorum has.

    Whoever prepares a ballot between the two needs one of those acceptors, and each of them refuses it.
    """

    def cached(self, memory: Memory, accepted: int) -> Accept | None:
        asked = memory.asked
        if memory.waiting or not isinstance(asked, Accept) or asked.promise == asked.ballot:
            return None
        return asked if accepted >= self.accept_quorum() else None


def _agree(promises: Sequence[Promise], quorum: int) -> bool:
    # Nothing at all is agreed upon by any prepare quorum; a cached round has heard nobody.
    highest = max(promises, key=lambda promise: promise.accepted, default=None)
    return highest is not None and (highest.accepted == ZERO or promises.count(highest) >= quorum)
