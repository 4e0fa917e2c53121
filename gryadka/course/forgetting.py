"""Lesson 10: when a collector may begin, and how an acceptor forgets, as a learner wrote both.

What may live here: asking a learner's two functions, and judging them. What may happen to a register that is written,
deleted, read and collected is explored by `gryadka.checking.deletion`, of which they become the guards.

    may_collect(states, tombstone)     # what all acceptors have: may they forget what was accepted at this ballot?
    forget(state, tombstone, floor)    # one of them is told to: what it has then, (state or None, floor)

`states` holds a `State` for each acceptor, or None for one that does not answer. A state whose value is None is a
tombstone, once something was accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from gryadka.acceptors import state_of
from gryadka.acceptors.servers import LocalCluster
from gryadka.acceptors.wire import Wire
from gryadka.checking.deletion import GONE, Acceptor, Deletion, Rules, Scope
from gryadka.checking.deletion_words import events, tell, why
from gryadka.checking.explore import Budget, BudgetSpent, Violation, explore
from gryadka.checking.learner import ask
from gryadka.checking.one_order import Value
from gryadka.checking.rules import Broken
from gryadka.course.finding import Finding
from gryadka.errors import AcceptorError
from gryadka.protocol.acceptor import ZERO, Ballot, State
from gryadka.protocol.value import decode, unpack

States = Sequence[State | None]
MayCollect = Callable[[States, Ballot], bool]
Forget = Callable[[State, Ballot, Ballot], tuple[State | None, Ballot]]

FEW = Scope(("read", "write", "delete", "read"), 2, 2, 1)
TWO_ACCEPTORS = "here there are two acceptors, A and B: both have to promise, and one yes is enough to accept"

SCOPES = (
    Scope(("write", "delete", "read")),
    Scope(("read", "write", "read")),
    Scope(("read", "write", "write")),
    FEW,
)
"""Enough to catch whatever the zoo knows of wrong collectors."""

ENOUGH = Budget(max_states=300_000, max_seconds=40)


def may_collect(states: States, tombstone: Ballot) -> bool:
    """Say whether all have accepted this tombstone: what the lesson goes on with while the learner's is unfinished."""
    return all(state is not None and state.accepted == tombstone and state.value is None for state in states)


def forget(state: State, tombstone: Ballot, floor: Ballot) -> tuple[State | None, Ballot]:
    """Forget the record if it still is this tombstone, and keep its promise as the floor."""
    return (None, max(floor, state.promised)) if state.accepted == tombstone else (state, floor)


class LearnersRules(Rules):
    """The guards of a collection, as somebody wrote them. Raises `Broken` for an answer that none may give."""

    def __init__(self, scope: Scope, may_collect: MayCollect, forget: Forget) -> None:
        super().__init__(scope)
        self._learners = may_collect, forget
        self._begins = cache(self._ask_all)
        self._left = cache(self._ask_one)

    def collectable(self, value: Value, votes: int) -> bool:
        """Ask whether a collector may begin, whatever those show that have not accepted it."""
        return votes > 0 and self._begins(value, votes)  # the collector has heard of it from somebody

    def still_there(self, acceptor: Acceptor, ballot: int, value: Value) -> bool:
        """Ask whether the acceptor forgets."""
        return self._left(acceptor._replace(votes=0, reports=()), ballot, value)[0] is None

    def raised(self, acceptor: Acceptor, ballot: int, value: Value) -> int:
        """Ask for the floor."""
        return self._left(acceptor._replace(votes=0, reports=()), ballot, value)[1].counter

    def _ask_all(self, value: Value, votes: int) -> bool:
        tombstone, older = _ballot(2), State(_ballot(2), _ballot(1), "[1]")
        have = State(tombstone, tombstone, _text(value))
        others: Sequence[State | None] = (State(), older, None)
        return any(
            may_they(self._learners[0], [*[have] * votes, *[other] * (self.scope.acceptors - votes)], tombstone)
            for other in others
        )

    def _ask_one(self, acceptor: Acceptor, ballot: int, value: Value) -> tuple[State | None, Ballot]:
        state = State(_ballot(acceptor.promised), _ballot(acceptor.accepted), _text(value))
        return told_to(self._learners[1], state, _ballot(ballot), _ballot(acceptor.floor))


def may_they(may_collect: MayCollect, states: States, tombstone: Ballot) -> bool:
    """Ask a learner's `may_collect`. Raises `Broken`."""
    answer: object = ask(may_collect, list(states), tombstone)
    if not isinstance(answer, bool):
        raise Broken(f"may_collect returned {answer!r}; it has to be True or False")
    return answer


def told_to(forget: Forget, state: State, tombstone: Ballot, floor: Ballot) -> tuple[State | None, Ballot]:
    """Ask a learner's `forget`. Raises `Broken`."""
    answer: Any = ask(forget, state, tombstone, floor)
    if type(answer) is not tuple or len(answer) != 2:
        raise Broken(f"forget returned {answer!r}; it has to return two things: the state or None, and the floor")
    left, after = answer
    if left is not None and left != state:
        raise Broken(f"forget made {left!r} of {state!r}; a record is kept as it is, or forgotten: None")
    if not isinstance(after, Ballot):
        raise Broken(f"forget returned {after!r} as the floor, which has to be a Ballot")
    if after < floor:
        raise Broken(f"forget lowered the floor from {floor} to {after}: it stands for all other registers, too")
    return left, after


# -- judging ---------------------------------------------------------------------------------------------


def judge(may_collect: MayCollect, forget: Forget) -> Finding:
    """Say whether nothing is lost, and nothing comes back, with these two as the guards of a collection."""
    try:
        _first_questions(may_collect, forget)
        finding = _explored(may_collect, forget)
        if finding.holds:
            _last_question(forget)
        return finding
    except Broken as error:
        return Finding(why=str(error))


def _first_questions(may_collect: MayCollect, forget: Forget) -> None:
    # What shows at once that a function is unfinished, or not one of that form.
    for name, function in {"may_collect": may_collect, "forget": forget}.items():
        if not callable(function):
            raise Broken(f"{name} is {function!r}; it has to be a function")
    tombstone = State(_ballot(3), _ballot(2), None)
    may_they(may_collect, [tombstone, tombstone, tombstone], _ballot(2))
    for floor in (ZERO, _ballot(5)):
        told_to(forget, tombstone, _ballot(2), floor)


def _last_question(forget: Forget) -> None:
    # What is safe, and of no use: the explorer's changes promise no more than they accept.
    if told_to(forget, State(_ballot(5), _ballot(3), None), _ballot(3), _ballot(2))[0] is not None:
        raise Broken(
            "forget kept a record that had accepted 3:1, the tombstone, and has promised 5:1 since: it still is that "
            "tombstone, and on a real server, where each accept promises more, it would stay for ever"
        )


def _explored(may_collect: MayCollect, forget: Forget) -> Finding:
    states = 0
    for scope in SCOPES:
        model = Deletion(scope, LearnersRules(scope, may_collect, forget))
        verdict = explore(model.model(), budget=ENOUGH)
        states += verdict.distinct
        if isinstance(verdict, BudgetSpent):
            if verdict.reason == "interrupted":
                raise KeyboardInterrupt
            return Finding(why=f"there is no end to it after {verdict.distinct:,} states, so nothing can be said")
        if isinstance(verdict, Violation):
            return _fault(model, verdict)
    whole = "a register is written, deleted, read and collected, whatever is lost, late or repeated"
    return Finding(covered=f"every one of {states:,} states in which {whole}")


def _fault(model: Deletion, violation: Violation[Any, Any]) -> Finding:
    if violation.name == GONE:
        return Finding(why="a deleted record is never forgotten everywhere, whatever happens")
    if not violation.trace:
        return Finding(why=f"after all that was done, {why(model, violation)}")
    steps = tuple(tell(model, violation.trace))
    reason = f"{why(model, violation)} ({violation.name})"
    if model.scope == FEW:  # the picture would wait for a second yes
        return Finding(why=reason, steps=(TWO_ACCEPTORS, *steps))
    return Finding(why=reason, steps=steps, events=tuple(events(model, violation.trace)))


def _ballot(number: int) -> Ballot:
    return Ballot(number, 1) if number > 0 else ZERO


def _text(value: Value) -> str | None:
    return str(list(value)) if value else None


# -- real servers ----------------------------------------------------------------------------------------


async def shown(cluster: LocalCluster, key: str) -> list[State | None]:
    """Return what each server has of `key`, None if it does not answer; a tombstone's value is None."""
    found: list[State | None] = []
    for acceptor in cluster.acceptors().values():
        try:
            state = await state_of(acceptor, key)
            found.append(state._replace(value=None) if decode(unpack(state.value)[0]) is None else state)
        except AcceptorError:
            found.append(None)
        finally:
            await acceptor.close()
    return found


async def sizes(cluster: LocalCluster) -> list[int]:
    """Return how many keys each server holds, its own one included."""
    found = []
    for name, connect in cluster.connects.items():
        wire = await Wire.over(name, connect(), 1.0)
        try:
            found.append(await wire.call("DBSIZE"))
        finally:
            await wire.close()
    return found
