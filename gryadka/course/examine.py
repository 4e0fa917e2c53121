"""Finds out what is wrong with a learner's rules: `prepare`, `accept`, and the choice of a value.

What may live here: the order of the questions. The answers come from the explorer, which visits every state that a
few acceptors and proposers can reach; then from the simulator, where real proposers work with the rules; and last
from a table of cases, for rules that lose nothing and still say no for no reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

from tqdm.auto import tqdm

from gryadka.checking.answers import sound_answers
from gryadka.checking.explain import asked, events, explain, held, said, why
from gryadka.checking.explore import Budget, BudgetSpent, Progress, Violation
from gryadka.checking.learner import (
    SCOPES,
    AcceptFunction,
    ChooseFunction,
    Explored,
    LearnersRules,
    PrepareFunction,
    explore_functions,
)
from gryadka.checking.model import ANSWERED, EVERYTHING, SOMETHING
from gryadka.checking.rules import Broken, Rules, Scope
from gryadka.course.finding import Finding
from gryadka.course.simulated import simulated
from gryadka.course.story import told, with_rule
from gryadka.protocol import acceptor as own
from gryadka.protocol.acceptor import ZERO, Accept, Ballot, Message, Prepare, Promise, State

BUDGET = Budget(max_states=300_000, max_seconds=40)
THREE_PROMISES = Scope(proposers=3, ballots=1, prepare_quorum=3, accept_quorum=1)
"""All have to promise, and one to accept. Any two such quorums meet, and whoever chooses hears three promises."""

BALLOTS = [Ballot(counter, proposer) for counter, proposer in product((1, 2, 3), (1, 2))]


def acceptor(prepare: PrepareFunction = own.prepare, accept: AcceptFunction = own.accept) -> Finding:
    """Examine an acceptor's two rules; Gryadka's own stand in for what is left out."""
    functions: dict[str, Any] = {}
    if prepare is not own.prepare:
        functions["prepare"] = prepare
    if accept is not own.accept:
        functions["accept"] = accept
    if not functions:
        return Finding("there is nothing to check: hand over your own prepare, your own accept, or both")
    rules = LearnersRules(Scope(), **functions)
    asks = {
        "prepare": partial(rules.prepare, State(), Prepare(Ballot(1, 1))),
        "accept": partial(rules.accept, State(), Accept(Ballot(1, 1), _stored(1), Ballot(1, 1))),
    }
    return _examine(rules, [asks[name] for name in functions], SCOPES, functions)


def choose(choose: ChooseFunction) -> Finding:
    """Examine the rule by which a proposer picks, from a quorum's promises, the one that its change starts from."""
    rules = LearnersRules(Scope(), choose=choose)
    first = partial(rules.choose, [Promise(ZERO, None), Promise(Ballot(1, 1), _stored(1))])
    return _examine(rules, [first], (*SCOPES, THREE_PROMISES), {"choose": choose})


def _examine(
    rules: LearnersRules, asks: Sequence[Callable[[], object]], scopes: Sequence[Scope], functions: dict[str, Any]
) -> Finding:
    for name, function in functions.items():
        if not callable(function):
            return Finding(f"{name} is {function!r}; it has to be a function")
    try:
        for first in asks:
            first()
    except Broken as error:
        return Finding(str(error))
    explored = _explore(scopes, functions)
    if found := _fault(explored[-1], rules):
        return found
    runs = simulated(**functions)
    if not runs.holds:
        # A run without a violation has nothing to show; the case by case often has.
        example = "" if runs.steps else next(_unlike(rules), "")
        return replace(runs, why=f"{runs.why}{example and f': {example}'}")
    if changed := next(filter(None, (each.ask_again() for each in explored)), ""):
        return Finding(changed)
    if strict := next(_unlike(rules), ""):
        return Finding(f"nothing is ever lost, but {strict}")
    return Finding(covered=f"{_covered(explored)}; {runs.covered}")


def _explore(scopes: Sequence[Scope], functions: dict[str, Any]) -> list[Explored]:
    with tqdm(desc="exploring", unit=" states", leave=False, delay=1) as bar:

        def progress(now: Progress) -> None:
            bar.update(now.distinct - bar.n)

        return explore_functions(**functions, scopes=scopes, budget=BUDGET, progress=progress)


def _fault(explored: Explored, rules: Rules) -> Finding | None:
    model, verdict = explored.model, explored.verdict
    if isinstance(verdict, BudgetSpent):
        if verdict.reason == "interrupted":
            raise KeyboardInterrupt
        if verdict.reason == "seconds":
            return Finding(
                f"only {verdict.distinct:,} states were done after {BUDGET.max_seconds:g} s: your rules are slow"
            )
        return Finding(
            f"after {verdict.distinct:,} states there still are new ones, so nothing can be said: "
            "perhaps a ballot is made up, where only those that were sent should be stored"
        )
    if not isinstance(verdict, Violation):
        return None
    if verdict.kind == "never reached":
        harm = {SOMETHING: "no change", EVERYTHING: "not every change"}[verdict.name]
        example = next(_unlike(rules), "")
        return Finding(f"{harm} can ever be acknowledged, whatever happens{example and f': {example}'}")
    reason = why(model, verdict)
    steps = tuple(map(told, explain(model, verdict.trace)))
    found = reason if verdict.name == ANSWERED else f"{reason} ({verdict.name})"
    return Finding(found, steps=steps, events=tuple(events(model, verdict.trace)))


def _covered(explored: Sequence[Explored]) -> str:
    counts: dict[str, int] = {}
    for each in explored:
        who = f"{each.model.scope.acceptors} acceptors and {each.model.scope.proposers} proposers"
        counts[who] = counts.get(who, 0) + each.verdict.distinct
    parts = [f"every one of {states:,} states of {who}" for who, states in counts.items()]
    return ", ".join(parts) + ", whatever is lost, late or repeated"


# -- case by case ----------------------------------------------------------------------------------------


def _unlike(rules: Rules) -> Iterator[str]:
    # Where an acceptor's answer is none of the sound ones, case by case.
    for promised, accepted, ballot in product([ZERO, *BALLOTS], [ZERO, *BALLOTS], BALLOTS):
        if accepted <= promised:
            state = State(promised, accepted, None if accepted == ZERO else _stored(1))
            later = ballot._replace(counter=ballot.counter + 1)
            messages: list[Message] = [Prepare(ballot)]
            if ballot != accepted:
                messages += [Accept(ballot, _stored(2), promise) for promise in (ballot, later)]
            else:  # no ballot has two values, so this one comes for the second time
                messages += [Accept(ballot, _stored(1), promise) for promise in (ballot, later) if promise <= promised]
            yield from filter(None, (_difference(rules, state, message) for message in messages))


def _difference(rules: Rules, state: State, message: Message) -> str:
    sound = sound_answers(state, message)
    try:
        answer = rules.prepare(state, message) if isinstance(message, Prepare) else rules.accept(state, message)
    except Broken as error:
        return str(error)
    if answer in sound:
        return ""
    case = f"an acceptor that has {held(state)}, and is asked to {asked(message)},"
    if answer[1] in [reply for _, reply in sound]:
        return with_rule(f"{case} then has {held(answer[0])}", f"it has {held(sound[0][0])}")
    return with_rule(f"{case} {said(message, answer[1])}", f"it {said(message, sound[0][1])}")


def _stored(number: int) -> str:
    # A register's text after this one change, by proposer 1.
    return Rules(Scope()).pack((number,), {}, Ballot(1, number))
