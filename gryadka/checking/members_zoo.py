"""Changes of members that go wrong, each of which the model has to catch, and some that only look wrong.

What may live here: wrong rules, and wrong plans. Each wrong one breaks one rule, in the smallest plan that shows
what comes of it: one acceptor that becomes two and then three is to three, four and five as a small example is to
a larger one. Of every two configurations that are no neighbours some quorums miss each other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gryadka.checking.members import FOUND, Members
from gryadka.checking.members_state import Report, Round, Seen
from gryadka.checking.members_steps import Rules
from gryadka.checking.zoo import Animal
from gryadka.operations.plan import Adopt, Copy, Rescan, Start, Step
from gryadka.protocol.configuration import Configuration, Quorum

R = TypeVar("R", bound=type[Rules])
Handmade = tuple[Configuration, Sequence[Step]]

GROWTH = "A AB ABC"
TWIN = "ABC AB ABD"


@dataclass(frozen=True)
class Change(Animal[Members]):
    """A change of members under some rules: its plan, ballots, and what has to become of it."""

    rules: type[Rules]
    plan: str | Handmade
    ballots: int
    caught_by: str
    cached_rounds: bool = False
    reader: bool = False
    copy: bool = True

    def model(self) -> Members:
        """Return the model of it."""
        options = {"cached_rounds": self.cached_rounds, "reader": self.reader, "copy": self.copy}
        return Members(self.plan, self.ballots, rules=self.rules(), **options)


MUTANTS: list[Change] = []
SOUND_VARIANTS: list[Change] = []


def _wrong(plan: str | Handmade, ballots: int = 2, caught_by: str = FOUND, **options: bool) -> Callable[[R], R]:
    def add(rules: R) -> R:
        MUTANTS.append(Change(rules, plan, ballots, caught_by, **options))
        return rules

    return add


def _sound(plan: str | Handmade, **options: bool) -> Callable[[R], R]:
    def add(rules: R) -> R:
        SOUND_VARIANTS.append(Change(rules, plan, 2, "", **options))
        return rules

    return add


def _handmade(begin: str, *steps: Step) -> Handmade:
    return Configuration.majority(begin), steps


def _adopt(names: str) -> Adopt:
    return Adopt(Configuration.majority(names))


# -- wrong rules -----------------------------------------------------------------------------------------


@_wrong(GROWTH)
class SkipsTheRescan(Rules):
    """Grows twice, and brings no record along: each neighbour is fine, and yet the first and the last miss."""

    def brings(self, step: Rescan | Copy) -> bool:
        return False


@_wrong(TWIN)
class SkipsTheRescanOfAReplacement(SkipsTheRescan):
    """Lets a member go and takes an empty one in its place, and brings no record along."""


@_wrong(GROWTH)
class LetsOldEpochsIn(Rules):
    """Has acceptors that answer whoever asks, whatever configuration that one works with."""

    def refuses(self, own: int, epoch: int) -> bool:
        return False


@_wrong(GROWTH)
class CopiesFromOneAcceptor(Rules):
    """Copies what one acceptor holds, which may have missed the latest."""

    def sources(self, current: Configuration) -> Quorum:
        return Quorum(current.prepare.members, 1)


@_wrong(_handmade("ABC", Start("D"), _adopt("ABCD"), Copy(("D",)), _adopt("ABD")))
class CopiesNoPromise(Rules):
    """Has newcomers that may help to choose what is below the ballot of an old proposer, which is still at work."""

    def promise(self, read: Sequence[Seen]) -> int:
        return max(one.held.accepted for one in read)


@_wrong("ABC ABCD", reader=True)
class ReadsWhatOneHasAccepted(Rules):
    """Has readers that show the latest of a prepare quorum, whether it is chosen or not."""

    def shows(self, configuration: Configuration, told: Sequence[Report]) -> bool:
        return len(told) >= configuration.prepare.size


@_wrong(GROWTH, reader=True)
class LetsReadersOfOldEpochsIn(Rules):
    """Has acceptors that show what they hold to readers with any configuration, since to show it changes nothing."""

    def refuses_reader(self, own: int, epoch: int) -> bool:
        return False


@_wrong(_handmade("ABC", Start("D"), _adopt("ABCD"), Copy(("D",)), _adopt("ACD")))
class ReadsWhoIsBehind(Rules):
    """Copies from an acceptor that still serves the epoch before, and may accept something once it was read."""

    def may_be_read(self, own: int, epoch: int) -> bool:
        return True


@_wrong("ABC ABCD")
class AnswersInADeadOnesName(Rules):
    """Puts an empty server in the place of a dead one, under its identity."""

    def may_forget(self) -> bool:
        return True


# -- wrong plans: `Plan` refuses each of them ------------------------------------------------------------------


@_wrong(_handmade("A", Start("B"), Start("C"), _adopt("ABC")))
class TakesTwoStepsAtOnce(Rules):
    """Goes from one configuration to another that misses it."""


@_wrong(_handmade("A", Start("B"), Rescan(), _adopt("AB"), Start("C"), _adopt("ABC")))
class RescansTooEarly(Rules):
    """Rescans before the larger configuration is in force: its own members are all that the records reach."""


# -- sound: what only looks wrong ------------------------------------------------------------------------


@_sound(GROWTH, copy=False)
class RescansWhereItCouldCopy(Rules):
    """Chooses every record again, though a copy would do."""


@_sound(GROWTH, cached_rounds=True)
class KeepsItsCacheAcrossAChange(Rules):
    """Goes on from a cached round in the next configuration: its promises were taken over by newcomers."""

    def sends_in(self, round: Round, latest: int) -> Sequence[int]:
        return range(round.epoch, latest + 1) if round.kind == "cached" else (round.epoch,)


@_sound(GROWTH)
class EndsItsRoundInTheNextEpoch(Rules):
    """Learns of the next configuration in the middle of a round, and sends the accept there."""

    def sends_in(self, round: Round, latest: int) -> Sequence[int]:
        return range(round.epoch, latest + 1)


@_sound(_handmade("AB", _adopt("ABC"), Start("C")))
class StartsTheNewcomerLast(Rules):
    """Counts on an acceptor before it runs: until then it is a member that is down."""


@_sound("ABC ABCD")
class AsksEverybodyToLeave(Rules):
    """Waits until every member of both configurations has adopted, though fewer would do."""

    def is_adopted(self, before: Configuration, following: Configuration, told: Collection[str]) -> bool:
        return {*before.prepare.members, *following.prepare.members} <= set(told)
