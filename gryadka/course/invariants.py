"""Finds out what is wrong with a learner's invariant: a predicate that is true in every state of the right protocol.

What may live here: what a state looks like to a learner, and the questions about a predicate.

An invariant that is too strong is false in a state that the right protocol can reach; the shortest run there shows
it. One that is too weak stays true while a wrong protocol loses a change: so it has to fail for given mutants.

    def kept(seen):
        return all(each.accepted <= each.promised for each in seen.acceptors)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import NamedTuple

from tqdm.auto import tqdm

from gryadka.checking.explain import events, explain
from gryadka.checking.explore import (
    Budget,
    BudgetSpent,
    Exhausted,
    Model,
    Progress,
    Property,
    Verdict,
    Violation,
    explore,
)
from gryadka.checking.learner import ask, told_error
from gryadka.checking.limits import TimeUp, time_limit
from gryadka.checking.model import Caspaxos, Label
from gryadka.checking.mutants import MUTANTS as ZOO
from gryadka.checking.numbered import Numbers
from gryadka.checking.rules import ACKNOWLEDGED, Broken, History, Scope, unpack
from gryadka.checking.zoo import Mutant
from gryadka.course.finding import Finding
from gryadka.course.story import told
from gryadka.protocol.acceptor import Accept, Ballot, Prepare

MUTANTS = ("ignores its promise", "promises without the value", "takes the first value")
"""Wrong protocols whose clients lose a change, by their names in the zoo: `gryadka mutants` lists all."""

BUDGET = Budget(max_states=300_000, max_seconds=30)
CALL_LIMIT_S = 1.0


class Remembered(NamedTuple):
    """What one acceptor remembers. `value` is the numbers of the changes that made it, oldest first."""

    promised: Ballot
    accepted: Ballot
    value: History

    def __str__(self) -> str:
        return f"promised {self.promised}, accepted {list(self.value)} at {self.accepted}"


class Proposal(NamedTuple):
    """An accept that was sent: this value, at this ballot."""

    ballot: Ballot
    value: History

    def __str__(self) -> str:
        return f"{list(self.value)} at {self.ballot}"


class Seen(NamedTuple):
    """A state of the whole, as an invariant is given it. Whatever was sent stays here for ever.

    `prepares` are the ballots of the prepares that were sent, `proposals` the accepts. `acknowledged` are the values
    that callers were shown when their change was over.
    """

    acceptors: tuple[Remembered, ...]
    prepares: tuple[Ballot, ...]
    proposals: tuple[Proposal, ...]
    acknowledged: tuple[History, ...]

    @property
    def majorities(self) -> list[tuple[Remembered, ...]]:
        """All smallest majorities of the acceptors."""
        return list(combinations(self.acceptors, len(self.acceptors) // 2 + 1))

    def __str__(self) -> str:
        lines = [f"{'ABCDEFGHI'[place]}: {each}" for place, each in enumerate(self.acceptors)]
        sent = ", ".join(map(str, self.proposals)) or "nothing"
        shown = ", ".join(str(list(history)) for history in self.acknowledged) or "nothing"
        return "; ".join([*lines, f"proposed: {sent}", f"acknowledged: {shown}"])


Invariant = Callable[[Seen], bool]


def seen(model: Caspaxos, state: Numbers) -> Seen:
    """Return a state of the model as an invariant is given it."""
    world = model.world(state)
    sent = [message for memory in world.memories for message in memory.sent]
    outcomes = [outcome for memory in world.memories for outcome in memory.outcomes]
    return Seen(
        tuple(Remembered(*cell.state[:2], unpack(cell.state.value)[0]) for cell in model.cells(state)),
        tuple(message.ballot for message in sent if isinstance(message, Prepare)),
        tuple(Proposal(each.ballot, unpack(each.value)[0]) for each in sent if isinstance(each, Accept)),
        tuple(outcome.history for outcome in outcomes if outcome.ending in ACKNOWLEDGED),
    )


def examine(invariant: Invariant, mutants: Sequence[str] = MUTANTS) -> Finding:
    """Examine a predicate. `mutants` are names of the zoo; raises `KeyError` for another name."""
    if not callable(invariant):
        return Finding(f"the invariant is {invariant!r}; it has to be a function")
    animals = [_ANIMALS[name] for name in mutants]
    right = Caspaxos(Scope())
    try:
        ask(invariant, seen(right, right.initial))
        verdict = _explore(right, partial(_carefully, invariant))
        if isinstance(verdict, Violation):
            return _too_strong(right, verdict)
        if isinstance(verdict, BudgetSpent):
            return Finding(f"after {verdict.distinct:,} states the time was up: the invariant is too slow")
        caught = []
        for animal in tqdm(animals, desc="mutants", leave=False, delay=1):
            found = _explore(animal.model(), partial(_call, invariant))
            if not isinstance(found, Violation):
                return _too_weak(animal, found)
            caught.append(f"{animal.name} (after {len(found.trace) - 1} steps)")
    except Broken as error:
        return Finding(str(error))
    states = f"true in every one of {verdict.distinct:,} states of the right protocol"
    return Finding(covered=f"{states}; false for {', '.join(caught) or 'no mutant, because none was given'}")


_ANIMALS = {animal.name: animal for animal in ZOO}


def _explore(model: Caspaxos, invariant: Callable[[Seen], bool]) -> Verdict[Numbers, Label]:
    own = Property[Numbers]("the invariant", lambda state: invariant(seen(model, state)))
    whole = model.model()
    with tqdm(desc="exploring", unit=" states", leave=False, delay=1) as bar:

        def progress(now: Progress) -> None:
            bar.update(now.distinct - bar.n)

        just_this = Model(whole.initial, whole.successors, [own], canonical=whole.canonical)
        verdict = explore(just_this, budget=BUDGET, progress=progress)
    if isinstance(verdict, BudgetSpent) and verdict.reason == "interrupted":
        raise KeyboardInterrupt
    return verdict


def _carefully(invariant: Invariant, whole: Seen) -> bool:
    # Asked again, and with the acceptors in another order, which must not matter: one order stands for all.
    turned = whole._replace(acceptors=whole.acceptors[::-1])
    first, second, again = (_call(invariant, each) for each in (whole, turned, whole))
    if first != again:
        raise Broken(f"the invariant was asked the same twice, and said {first} and then {again} (for {whole})")
    if first != second:
        raise Broken(
            f"the invariant says {first}, and {second} once acceptors change places; none is special ({whole})"
        )
    return first


def _call(invariant: Invariant, whole: Seen) -> bool:
    try:
        with time_limit(CALL_LIMIT_S):
            said = invariant(whole)
    except TimeUp:
        raise Broken(f"it has not returned after {CALL_LIMIT_S:g} s: a loop without end? (for {whole})") from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise Broken(f"the invariant raised {told_error(error)} (for {whole})") from error
    if not isinstance(said, bool):
        raise Broken(f"the invariant has to return True or False; it returned {said!r} (for {whole})")
    return said


def _too_strong(model: Caspaxos, violation: Violation[Numbers, Label]) -> Finding:
    last = seen(model, violation.trace[-1].state)
    steps = [told(step) for step in explain(model, violation.trace)]
    return Finding(
        "the invariant is too strong: the right protocol can get to a state where it is false",
        steps=(*steps, f"there it is false: {last}"),
        events=tuple(events(model, violation.trace)),
    )


def _too_weak(animal: Mutant, verdict: Verdict[Numbers, Label]) -> Finding:
    if isinstance(verdict, Exhausted):
        states = f"all {verdict.distinct:,} states"
        why = f"the invariant is too weak: it is true in {states} of the protocol that {animal.name}"
        return _with_run(animal, f"{why}, too. {animal.wrong}")
    return Finding(
        f"after {verdict.distinct:,} states of the protocol that {animal.name} it was still true: too weak, or slow"
    )


def _with_run(animal: Mutant, why: str) -> Finding:
    # How that protocol goes wrong: there the invariant could have noticed.
    model = animal.model()
    verdict = explore(model.model(), budget=BUDGET)
    if not isinstance(verdict, Violation):
        return Finding(why)
    steps = tuple(map(told, explain(model, verdict.trace)))
    return Finding(why, steps=steps, events=tuple(events(model, verdict.trace)))
