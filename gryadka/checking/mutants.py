"""The zoo: plausible wrong protocols that the model has to catch, and sound ones that it must not.

What may live here: wrong acceptors, and wrong ways to choose a value. Wrong quorums, ballots, repeats and
answers to callers are in `retry`. `MUTANTS` and `SOUND_VARIANTS` hold those of both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from gryadka.checking import retry
from gryadka.checking.model import EVERYTHING, NO_WAY_BACK, NOT_LOST, ONE_CHAIN, SOMETHING
from gryadka.checking.rules import Rules, Scope
from gryadka.checking.zoo import Zoo
from gryadka.protocol.acceptor import ZERO, Accept, Accepted, Conflict, Prepare, Promise, Reply, State

Answer = tuple[State, Reply]

zoo = Zoo()

SMALL = Scope(ballots=1)
CACHE = Scope(ballots=3, cache=True, changes=(("append", "append"), ("append",)))


# -- what an acceptor promises ---------------------------------------------------------------------------


@zoo.mutant(NO_WAY_BACK)
class ForgetsItsPromise(Rules):
    """Keeps promises in memory only, where a restart loses them."""

    def stored(self, before: State, after: State) -> Iterable[State]:
        return [after, after._replace(promised=after.accepted)]


@zoo.mutant(NOT_LOST, SMALL)
class AnswersBeforeItStores(Rules):
    """Crashes between its answer and the write, and what it answered is lost."""

    def stored(self, before: State, after: State) -> Iterable[State]:
        return [after, before]


@zoo.mutant(NO_WAY_BACK)
class LosesItsDisk(Rules):
    """Comes back empty, under its old name."""

    def stored(self, before: State, after: State) -> Iterable[State]:
        return [after, State()]


@zoo.mutant(ONE_CHAIN)
class PromisesWithoutStoring(Rules):
    """Answers with a promise, and stores nothing."""

    def prepare(self, state: State, message: Prepare) -> Answer:
        return state, super().prepare(state, message)[1]


@zoo.mutant(NO_WAY_BACK)
class PromisesEveryBallot(Rules):
    """Stores the latest promise where the highest belongs."""

    def prepare(self, state: State, message: Prepare) -> Answer:
        return state._replace(promised=message.ballot), Promise(state.accepted, state.value)


@zoo.mutant(SOMETHING)
class ComparesWithTheWrongSign(Rules):
    """Promises lower ballots and refuses higher ones."""

    def prepare(self, state: State, message: Prepare) -> Answer:
        if message.ballot >= state.promised:
            return state, Conflict(state.promised)
        return state._replace(promised=message.ballot), Promise(state.accepted, state.value)


@zoo.mutant(NO_WAY_BACK)
class ComparesTheProposerFirst(Rules):
    """Orders ballots by proposer, and then by counter."""

    def prepare(self, state: State, message: Prepare) -> Answer:
        if message.ballot[::-1] <= state.promised[::-1]:
            return state, Conflict(state.promised)
        return state._replace(promised=message.ballot), Promise(state.accepted, state.value)


@zoo.mutant(NO_WAY_BACK)
class ComparesCountersOnly(Rules):
    """Lets a ballot pass whose counter is equal, though its proposer is lower."""

    def prepare(self, state: State, message: Prepare) -> Answer:
        if message.ballot.counter < state.promised.counter:
            return state, Conflict(state.promised)
        return state._replace(promised=message.ballot), Promise(state.accepted, state.value)


@zoo.mutant(SOMETHING)
class RefusesEverything(Rules):
    """Does nothing at all, which is perfectly safe."""

    def prepare(self, state: State, message: Prepare) -> Answer:
        return state, Conflict(state.promised)


# -- what an acceptor accepts ----------------------------------------------------------------------------


@zoo.mutant(ONE_CHAIN)
class IgnoresItsPromise(Rules):
    """Accepts a ballot below the one that it has promised."""

    def accept(self, state: State, message: Accept) -> Answer:
        return State(max(state.promised, message.promise), message.ballot, message.value), Accepted()


@zoo.mutant(SOMETHING)
class AcceptsHigherBallotsOnly(Rules):
    """Refuses the very ballot that it has promised."""

    def accept(self, state: State, message: Accept) -> Answer:
        return super().accept(state, message) if message.ballot > state.promised else (state, Conflict(state.promised))


@zoo.mutant(NO_WAY_BACK)
class StoresADuplicateAgain(Rules):
    """Takes an accept that it has accepted before, although it has promised more since."""

    def accept(self, state: State, message: Accept) -> Answer:
        if message.ballot == state.accepted:
            return State(message.promise, message.ballot, message.value), Accepted()
        return super().accept(state, message)


@zoo.mutant(NO_WAY_BACK)
class DropsItsPromiseWhenItAccepts(Rules):
    """Takes the promise for redeemed, and begins afresh."""

    def accept(self, state: State, message: Accept) -> Answer:
        after, reply = super().accept(state, message)
        return (after._replace(promised=ZERO) if isinstance(reply, Accepted) else after), reply


@zoo.mutant(ONE_CHAIN, CACHE)
class ForgetsThePiggybackedPromise(Rules):
    """Accepts, and does not store the promise that the accept carried."""

    def accept(self, state: State, message: Accept) -> Answer:
        return super().accept(state, message._replace(promise=message.ballot))


@zoo.mutant(NOT_LOST)
class AcceptsWithoutStoring(Rules):
    """Says accepted, and stores the promise alone."""

    def accept(self, state: State, message: Accept) -> Answer:
        after, reply = super().accept(state, message)
        return after._replace(accepted=state.accepted, value=state.value), reply


@zoo.mutant(NOT_LOST)
class KeepsTheOldBallot(Rules):
    """Stores the new value under the ballot of the old one."""

    def accept(self, state: State, message: Accept) -> Answer:
        after, reply = super().accept(state, message)
        return after._replace(accepted=state.accepted), reply


@zoo.mutant(ONE_CHAIN)
class KeepsTheOldValue(Rules):
    """Stores the new ballot with the value that was there before."""

    def accept(self, state: State, message: Accept) -> Answer:
        after, reply = super().accept(state, message)
        return after._replace(value=state.value or after.value), reply


@zoo.mutant(EVERYTHING)
class AcceptsOnce(Rules):
    """Never accepts a second value: a constant, and no register."""

    def accept(self, state: State, message: Accept) -> Answer:
        return super().accept(state, message) if state.accepted == ZERO else (state, Conflict(state.promised))


# -- what a promise tells --------------------------------------------------------------------------------


@zoo.mutant(NOT_LOST)
class PromisesWithoutTheValue(Rules):
    """Does not tell what it has accepted."""

    def prepare(self, state: State, message: Prepare) -> Answer:
        after, reply = super().prepare(state, message)
        return after, Promise(ZERO, None) if isinstance(reply, Promise) else reply


@zoo.mutant(NOT_LOST)
class ReportsThePromisedBallot(Rules):
    """Tells the ballot that it has promised where the one that it has accepted belongs."""

    def prepare(self, state: State, message: Prepare) -> Answer:
        after, reply = super().prepare(state, message)
        return after, Promise(state.promised, state.value) if isinstance(reply, Promise) else reply


@zoo.mutant(NOT_LOST)
class ClearsTheValueWhenItPromises(Rules):
    """Begins each ballot with an empty register."""

    def prepare(self, state: State, message: Prepare) -> Answer:
        after, reply = super().prepare(state, message)
        return State(after.promised) if isinstance(reply, Promise) else after, reply


# -- which value a proposer takes ------------------------------------------------------------------------


@zoo.mutant(NOT_LOST)
class TakesTheFirstValue(Rules):
    """Takes the value that arrives first."""

    def choose(self, promises: Sequence[Promise]) -> Promise:
        return promises[0]


@zoo.mutant(ONE_CHAIN)
class TakesAnyValue(Rules):
    """Takes whichever value is there, and asks for no ballot."""

    def choose(self, promises: Sequence[Promise]) -> Promise:
        return next((promise for promise in promises if promise.value), promises[0])


@zoo.mutant(NOT_LOST)
class TakesTheMostFrequentValue(Rules):
    """Lets the acceptors vote on the value."""

    def choose(self, promises: Sequence[Promise]) -> Promise:
        return Counter(promises).most_common(1)[0][0]


@zoo.mutant(ONE_CHAIN)
class TakesTheLowestBallot(Rules):
    """Takes the oldest value."""

    def choose(self, promises: Sequence[Promise]) -> Promise:
        return min((promise for promise in promises if promise.value), default=promises[0])


@zoo.mutant(ONE_CHAIN)
class TakesTheLongestValue(Rules):
    """Takes the value that looks as if most changes had gone into it."""

    def choose(self, promises: Sequence[Promise]) -> Promise:
        return max(promises, key=lambda promise: len(promise.value or ""))


@zoo.mutant(ONE_CHAIN)
class TakesTheHighestProposer(Rules):
    """Orders accepted ballots by proposer, and then by counter."""

    def choose(self, promises: Sequence[Promise]) -> Promise:
        return max(promises, key=lambda promise: promise.accepted[::-1])


@zoo.mutant(NOT_LOST)
class IgnoresThePromises(Rules):
    """Begins with an empty register, whatever the promises tell."""

    def choose(self, promises: Sequence[Promise]) -> Promise:
        return Promise(ZERO, None)


# -- sound: what only looks wrong ------------------------------------------------------------------------


@zoo.sound()
class PromisesAnEqualBallotAgain(Rules):
    """Answers a duplicate of the prepare that it has promised last as it did before, not with a refusal."""

    def prepare(self, state: State, message: Prepare) -> Answer:
        if message.ballot == state.promised:
            return state, Promise(state.accepted, state.value)
        return super().prepare(state, message)


@zoo.sound()
class PromisesALowerBallotToo(Rules):
    """Says yes to a lower prepare without lowering its promise: it will refuse that ballot's accept."""

    def prepare(self, state: State, message: Prepare) -> Answer:
        return state._replace(promised=max(message.ballot, state.promised)), Promise(state.accepted, state.value)


@zoo.sound()
class AcceptsOnlyWhatItHasPromised(Rules):
    """Refuses an accept above its promise: fewer acceptors take part, and nothing breaks."""

    def accept(self, state: State, message: Accept) -> Answer:
        return super().accept(state, message) if message.ballot == state.promised else (state, Conflict(state.promised))


@zoo.sound()
class RefusesADuplicateAccept(Rules):
    """Accepts a ballot once, and refuses it the second time."""

    def accept(self, state: State, message: Accept) -> Answer:
        return super().accept(state, message) if message.ballot > state.accepted else (state, Conflict(state.promised))


MUTANTS = [*zoo.mutants, *retry.zoo.mutants]
SOUND_VARIANTS = [*zoo.sound_variants, *retry.zoo.sound_variants]
