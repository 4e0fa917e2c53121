"""A register without promises: ask a majority, write to a majority, and be done.

What may live here: that register as a model for `explore`, and its runs in words. It is wrong on purpose, and
lesson 01 shows why. Nothing here is part of Gryadka.

The theory in a few lines. People share one list, kept on several replicas. A replica holds a *copy*: the list,
and a number that says how new it is. Whoever adds an item asks the replicas. A majority of answers is enough;
the newest copy counts. Then the list with the new item, one number higher, is sent to the replicas. Once a
majority has said yes, the person is told the list: done.

Any two majorities share a replica, so whoever begins after somebody was told hears of it. (Attiya, Bar-Noy and
Dolev, "Sharing memory robustly in message-passing systems", 1995, make registers that are read and written out
of that.) But two who begin at the same moment hear of the same list, and both go on from there.

    >>> print(search().verdict)
    violation: 'no item is lost' fails after 8 steps (622 states generated, 284 distinct, depth 9)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from gryadka.checking.explore import NO_LIMIT, Budget, Exhausted, Model, Property, Verdict, Violation, explore
from gryadka.errors import GryadkaError

PEOPLE = {"Ann": "milk", "Bob": "bread", "Cleo": "eggs"}
"""Who takes part, in this order, and what each of them adds."""

REPLICAS = "ABC"
NOT_LOST = "no item is lost"


class Copy(NamedTuple):
    """What a replica holds, and what a person sends: a list, and how new it is. Copies compare by number first."""

    number: int = 0
    items: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.number}: {listed(self.items)}"


Rule = Callable[[Copy, Copy], tuple[Copy, bool]]
"""How a replica takes a copy: from what it holds and what it is sent, to what it holds then, and its yes or no."""


def overwrite(held: Copy, sent: Copy) -> tuple[Copy, bool]:
    """Store whatever comes, and say yes: what SET does in Redis."""
    return sent, True


class Replica(NamedTuple):
    """A replica's copy, and of each person whether they have asked it and sent it their list."""

    copy: Copy
    asked: tuple[bool, ...]
    sent: tuple[bool, ...]


class Person(NamedTuple):
    """How many have answered a person, the newest copy among the answers, and how many have stored theirs."""

    answers: int = 0
    newest: Copy = Copy()
    stored: int = 0


class State(NamedTuple):
    """The whole system at one moment."""

    replicas: tuple[Replica, ...]
    people: tuple[Person, ...]


class Step(NamedTuple):
    """`who` asks replica `where`, or stores there; the question or the list arrives, and the answer returns."""

    who: str
    verb: str
    where: str

    def __str__(self) -> str:
        return " ".join(self)


class NotPossible(GryadkaError):
    """This step cannot happen now; the message says why, in a sentence."""


@dataclass(frozen=True)
class Naive:
    """The register for the first `people` of `PEOPLE`; `quorum` answers are enough, `rule` is how replicas store."""

    people: int = 2
    quorum: int = 2
    rule: Rule = overwrite

    @property
    def names(self) -> tuple[str, ...]:
        """Who takes part."""
        return tuple(PEOPLE)[: self.people]

    def begin(self) -> State:
        """Return the state before the first step: empty lists everywhere."""
        nobody = (False,) * self.people
        return State((Replica(Copy(), nobody, nobody),) * len(REPLICAS), (Person(),) * self.people)

    def take(self, state: State, step: Step) -> State:
        """Return the state after this step. Raises `NotPossible`."""
        who, where = self._places(step)
        person, replica = state.people[who], state.replicas[where]
        if step.verb == "asks":
            if replica.asked[who]:
                raise NotPossible(f"{step.who} has asked {step.where} before")
            if person.answers == self.quorum:
                raise NotPossible(f"{step.who} has {self.quorum} answers, and asks no more")
            person = person._replace(answers=person.answers + 1, newest=max(person.newest, replica.copy))
            replica = replica._replace(asked=_marked(replica.asked, who))
        else:
            if replica.sent[who]:
                raise NotPossible(f"{step.who} has stored at {step.where} before")
            copy = self.sends(state, step.who)
            if copy is None:
                raise NotPossible(
                    f"{step.who} has only {person.answers} of {self.quorum} answers, and cannot store yet"
                )
            held, yes = self.rule(replica.copy, copy)
            person = person._replace(stored=person.stored + yes)
            replica = replica._replace(copy=held, sent=_marked(replica.sent, who))
        return State(_replaced(state.replicas, where, replica), _replaced(state.people, who, person))

    def sends(self, state: State, who: str) -> Copy | None:
        """Return the copy that a person sends to the replicas; None before there are enough answers."""
        person = state.people[self.names.index(who)]
        if person.answers < self.quorum:
            return None
        return Copy(person.newest.number + 1, (*person.newest.items, PEOPLE[who]))

    def told(self, state: State) -> dict[str, tuple[str, ...]]:
        """Return the list that each person was told, of those for whom enough replicas have said yes."""
        done = [name for name, person in zip(self.names, state.people, strict=True) if person.stored >= self.quorum]
        return {name: copy.items for name in done if (copy := self.sends(state, name))}

    def why(self, state: State) -> str:
        """Say in a sentence what was lost, or "" if nothing was.

        Nothing is lost as long as, of any two lists that people were told, one begins with the other.
        """
        for (first, one), (second, other) in combinations(self.told(state).items(), 2):
            short, long = sorted([one, other], key=len)
            if long[: len(short)] != short:
                both = f"{first} was told [{listed(one)}], and {second} [{listed(other)}]"
                return f"{both}: neither list goes on from the other"
        return ""

    def model(self) -> Model[State, Step]:
        """Return the model to explore. Replicas are interchangeable, so states that swap them count once."""
        return Model(
            initial=[self.begin()],
            successors=self._successors,
            invariants=[Property(NOT_LOST, lambda state: not self.why(state))],
            must_reach=[Property("everybody is told a list", lambda state: len(self.told(state)) == self.people)],
            canonical=lambda state: (tuple(sorted(state.replicas)), state.people),
        )

    def _successors(self, state: State) -> Iterator[tuple[Step, State]]:
        for who in self.names:
            for verb in ("asks", "stores"):
                for where in REPLICAS:
                    step = Step(who, verb, where)
                    with suppress(NotPossible):
                        yield step, self.take(state, step)

    def _places(self, step: Step) -> tuple[int, int]:
        if step.who not in self.names:
            raise NotPossible(f"nobody is called {step.who!r} here; there are {listed(self.names)}")
        if step.verb not in ("asks", "stores"):
            raise NotPossible(f"{step.who} cannot do {step.verb!r}; a step says asks or stores")
        if len(step.where) != 1 or step.where not in REPLICAS:
            raise NotPossible(f"there is no server {step.where!r}; there are {listed(REPLICAS)}")
        return self.names.index(step.who), REPLICAS.index(step.where)


@dataclass(frozen=True)
class Searched:
    """How a search of all schedules ended; `steps` are the shortest one that loses an item, if there is any."""

    verdict: Verdict[State, Step]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The schedule, without the beginning."""
        if not isinstance(self.verdict, Violation):
            return ()
        return tuple(step.label for step in self.verdict.trace if step.label)

    def __str__(self) -> str:
        states = f"{self.verdict.distinct:,} different states"
        if self.steps:
            return f"an item can be lost, in {len(self.steps)} steps; none does it in fewer ({states} looked at)"
        if isinstance(self.verdict, Exhausted):
            return f"no schedule loses an item: all {states} looked at"
        return str(self.verdict)


def search(people: int = 2, quorum: int = 2, rule: Rule = overwrite, *, budget: Budget = NO_LIMIT) -> Searched:
    """Look through every schedule, shortest first, for one that loses an item."""
    return Searched(explore(Naive(people, quorum, rule).model(), budget=budget))


def listed(items: Sequence[str]) -> str:
    """Return the items with commas between them, "nothing" if there are none."""
    return ", ".join(items) or "nothing"


def _marked(marks: tuple[bool, ...], place: int) -> tuple[bool, ...]:
    return (*marks[:place], True, *marks[place + 1 :])


def _replaced(some: tuple, place: int, new: object) -> tuple:  # type: ignore[type-arg]  # any tuple, any part
    return (*some[:place], new, *some[place + 1 :])
