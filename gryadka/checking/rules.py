"""The decisions of CASPaxos, one method each, so that a model can be built from right ones and from wrong ones.

What may live here: the rules, and the small records that they read. What a run may do lives in `model`, which
asks these rules at every step.

`Rules` calls the functions of `gryadka.protocol`, the very ones that run in front of real servers. What the
driver decides while it waits (`gryadka.proposer`) has to be said once more here, because a model cannot wait;
a test compares the two, decision by decision.

A register holds a *history* here: the numbers of the changes that made its value, oldest first. So a lost
change is a number that is missing, and a change that was applied twice stands there twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from gryadka.errors import ConfigurationError, GryadkaError
from gryadka.protocol import acceptor as protocol
from gryadka.protocol import value
from gryadka.protocol.acceptor import Accept, Ballot, Message, Prepare, Promise, Reply, State
from gryadka.protocol.round import choose
from gryadka.protocol.value import LINEAGE

History = tuple[int, ...]
Wish = Literal["append", "read", "create"]
Ending = Literal["applied", "refused", "unknown", "not applied"]

ACKNOWLEDGED: tuple[Ending, ...] = ("applied", "refused")


class Broken(GryadkaError):
    """A rule raised, or returned what no rule may return. The message says so in a sentence."""


class Change(NamedTuple):
    """What a caller wants: append its number, only read, or append its number if nothing is there yet."""

    number: int
    wish: Wish


class Outcome(NamedTuple):
    """What a caller was told: how its change ended, and the history that it was shown."""

    ending: Ending
    history: History = ()


class Attempt(NamedTuple):
    """An accept that was sent for a change: what it brings, and whether that is a new value."""

    ballot: Ballot
    outcome: Outcome
    changes: bool


class Memory(NamedTuple):
    """What one proposer knows. It serves its changes in turn; `outcomes` tells of those that are over."""

    counter: int = 0
    waiting: bool = False  # somebody waits for the present change
    asked: Message | None = None  # the message whose answers still matter
    attempts: tuple[Attempt, ...] = ()  # of the present change
    floor: History = ()  # the longest history that anybody had been shown when the present change began
    sent: tuple[Message, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    lost: str = ""  # what an outcome has left out, though it had been acknowledged before


@dataclass(frozen=True)
class Scope:
    """How much is explored. A few acceptors, proposers and ballots show nearly every fault that there is.

    Every proposer has the counters 1 to `ballots`, and serves the changes in `changes` in turn (its own list,
    if there is one for each). `cache`: accepts carry the promise of the next ballot. `deadlines`: callers
    leave before their change is over. `conflicts`: proposers hear refusals; a round may be given up without.
    `duplicates=False`: no accept arrives twice. Quorums are majorities unless their sizes are given.
    `lineage` is how many proposers a value's lineage names. `symmetric`: acceptors are interchangeable.

    Raises `ConfigurationError` for a scope in which nothing can happen.
    """

    acceptors: int = 3
    proposers: int = 2
    ballots: int = 2
    changes: tuple[Wish, ...] | tuple[tuple[Wish, ...], ...] = ("append",)
    cache: bool = False
    deadlines: bool = False
    conflicts: bool = False
    duplicates: bool = True
    prepare_quorum: int | None = None
    accept_quorum: int | None = None
    lineage: int = LINEAGE
    symmetric: bool = True

    def __post_init__(self) -> None:
        if min(self.acceptors, self.proposers, self.ballots, self.lineage, len(self.changes)) < 1:
            raise ConfigurationError("a scope needs an acceptor, a proposer, a ballot, a change, a place in a lineage")
        if len(self.wishes()) != self.proposers:
            raise ConfigurationError(f"there are {self.proposers} proposers, but changes for {len(self.wishes())}")
        for size in (self.prepare_quorum, self.accept_quorum):
            if size is not None and not 1 <= size <= self.acceptors:
                raise ConfigurationError(f"a quorum of {size} cannot be formed by {self.acceptors} acceptors")

    def wishes(self) -> list[tuple[Wish, ...]]:
        """Return what each proposer's callers want."""
        own = [wishes for wishes in self.changes if isinstance(wishes, tuple)]
        return own or [tuple(wish for wish in self.changes if isinstance(wish, str))] * self.proposers


class Rules:
    """The protocol as it should be. A wrong one overrides a method."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    # -- the acceptor --

    def prepare(self, state: State, message: Prepare) -> tuple[State, Reply]:
        """Answer a prepare."""
        return protocol.prepare(state, message)

    def accept(self, state: State, message: Accept) -> tuple[State, Reply]:
        """Answer an accept."""
        return protocol.accept(state, message)

    def stored(self, before: State, after: State) -> Iterable[State]:
        """Say in which states an acceptor may be found once it has answered: it may have crashed."""
        return [after]

    # -- the proposer: quorums and ballots --

    def prepare_quorum(self) -> int:
        """Say how many promises a round needs."""
        return self.scope.prepare_quorum or self.scope.acceptors // 2 + 1

    def accept_quorum(self) -> int:
        """Say how many acceptors have to accept."""
        return self.scope.accept_quorum or self.scope.acceptors // 2 + 1

    def votes(self, acceptors: int) -> int:
        """Say how many votes so many acceptors have, each of which may have answered more than once."""
        return acceptors

    def counts(self, asked: Message, message: Message) -> bool:
        """Say whether a reply to `message` counts for what was `asked` last."""
        return message == asked

    def next_counters(self, counter: int) -> Iterable[int]:
        """Say which counters the next ballot may have. All registers share a counter, so that it may jump."""
        return range(counter + 1, self.scope.ballots + 1)

    def fast_forward(self, counter: int, seen: int) -> int:
        """Return the counter after a refusal that named the counter `seen`."""
        return max(counter, seen)

    def cached(self, memory: Memory, accepted: int) -> Accept | None:
        """Return the accept whose promises serve the next round, so that it needs no prepare.

        So many acceptors have `accepted` what was asked last.
        """
        asked = memory.asked
        if memory.waiting or not isinstance(asked, Accept) or asked.promise == asked.ballot:
            return None
        return asked if self.votes(accepted) >= max(self.prepare_quorum(), self.accept_quorum()) else None

    # -- the proposer: what to propose --

    def choose(self, promises: Sequence[Promise]) -> Promise:
        """Pick the promise that holds the register's value."""
        return choose(promises)

    def current(self, promises: Sequence[Promise], last: Accept | None) -> Promise:
        """Return the register's accepted ballot and value; the proposer's own `last` accept is no substitute."""
        return self.choose(promises)

    def recall(self, own: Ballot, attempts: Sequence[Attempt]) -> Attempt | None:
        """Return the attempt that the value descends from, if one of this change's attempts is it.

        `own` is this proposer's latest ballot in the value's lineage.
        """
        return next((attempt for attempt in attempts if attempt.ballot == own), None)

    def may_apply(self, lineage: Mapping[str, int], attempts: Sequence[Attempt]) -> bool:
        """Say whether to apply the change to a value whose lineage names none of its attempts."""
        if not any(attempt.changes for attempt in attempts):
            return True
        # The question of `value.reaches_below`, for lineages of any length.
        first = min(attempt.ballot for attempt in attempts)
        return len(lineage) < self.scope.lineage or min(lineage.values()) < first.counter

    def apply(self, change: Change, history: History) -> tuple[History, Outcome]:
        """Run the change function: return the next history, and what the caller gets."""
        if change.wish == "read":
            return history, Outcome("applied", history)
        if change.wish == "create" and history:
            return history, Outcome("refused", history)
        longer = (*history, change.number)
        return longer, Outcome("applied", longer)

    def pack(self, history: History, lineage: Mapping[str, int], ballot: Ballot) -> str:
        """Return what an accept stores, with a lineage that names no more proposers than the scope says."""
        if len(lineage) >= self.scope.lineage and str(ballot.proposer) not in lineage:
            lineage = dict(list(lineage.items())[1:])  # the one with the lowest ballot makes room
        return value.pack(value.encode(history or None), lineage, ballot)

    # -- the proposer: what to tell the caller --

    def must_be_chosen(self, outcome: Outcome, changes: bool, promises: Sequence[Promise]) -> bool:
        """Say whether the new value has to be chosen before the caller is told its outcome.

        `changes` says whether it differs from the one that `promises` brought (none from a cached round).
        """
        return True

    def after_lost_round(self, attempts: tuple[Attempt, ...], refusals: int) -> tuple[Attempt, ...]:
        """Return the attempts that may still take effect, once so many acceptors have refused the last one."""
        return attempts

    def give_up(self, attempts: Sequence[Attempt]) -> Ending:
        """Say what a caller is told who leaves before its change is over."""
        return "unknown" if any(attempt.changes for attempt in attempts) else "not applied"

    def serves(self, waiting: bool) -> bool:
        """Say whether a prepared round proposes its change, now that its caller still waits, or has left."""
        return waiting


def is_prefix(one: History, other: History) -> bool:
    """Say whether `other` begins with `one`."""
    return other[: len(one)] == one


def unpack(stored: str | None) -> tuple[History, dict[str, int]]:
    """Return a stored value's history and lineage, both empty where nothing is stored.

    Raises `Broken` for a text that no proposer has ever sent.
    """
    if stored is None:
        return (), {}
    try:
        whole = json.loads(stored)
        return tuple(whole["value"] or ()), dict(whole["lineage"])
    except (ValueError, TypeError, KeyError) as error:
        raise Broken(f"the value {stored!r} was never proposed") from error
