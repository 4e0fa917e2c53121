"""A learner's functions in the model: what they do wrong becomes a sentence."""

from __future__ import annotations

import contextlib
import random
import signal
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import pytest

from gryadka.checking import learner
from gryadka.checking.answers import sound_answers
from gryadka.checking.explain import events, explain, why
from gryadka.checking.explore import Budget, BudgetSpent, Exhausted, Violation, explore
from gryadka.checking.learner import LearnersRules, explore_functions
from gryadka.checking.limits import TimeUp, quiet, time_limit
from gryadka.checking.model import (
    ANSWERED,
    NOT_LOST,
    Caspaxos,
    Label,
    Numbers,
)
from gryadka.checking.mutants import MUTANTS
from gryadka.checking.rules import Scope
from gryadka.checking.zoo import Mutant
from gryadka.protocol.acceptor import (
    ZERO,
    Accept,
    Accepted,
    Ballot,
    Conflict,
    Prepare,
    Promise,
    Reply,
    State,
)
from gryadka.trace import dump, load

pytestmark = pytest.mark.slow


def found(model: Caspaxos, *, only_clients: bool = False) -> Violation[Numbers, Label]:
    verdict = explore(model.model(only_clients=only_clients))
    assert isinstance(verdict, Violation)
    return verdict


# -- learners' functions ---------------------------------------------------------------------------------


def fault(**functions: Any) -> tuple[str, int, str]:
    """The property that a learner's functions break, after how many steps, and why."""
    scope = Scope()
    model = Caspaxos(scope, LearnersRules(scope, **functions))
    violation = found(model)
    assert load(dump(events(model, violation.trace))) == events(model, violation.trace)
    return violation.name, len(violation.trace) - 1, why(model, violation)


def prepare(state: State, message: Prepare) -> tuple[State, Reply]:
    if message.ballot <= state.promised:
        return state, Conflict(state.promised)
    return State(message.ballot, state.accepted, state.value), Promise(state.accepted, state.value)


def accept(state: State, message: Accept) -> tuple[State, Reply]:
    if message.ballot < state.promised:
        return state, Conflict(state.promised)
    return State(message.promise, message.ballot, message.value), Accepted()


def choose(promises: Sequence[Promise]) -> Promise:
    return sorted(promises, key=lambda promise: promise.accepted)[-1]


def test_right_functions_of_a_learner_count_as_ours_do() -> None:
    scope = Scope()
    learners = LearnersRules(scope, prepare, accept, choose)
    assert explore(Caspaxos(scope, learners).model()) == Exhausted(63_451, 15_214, 26)


def test_a_crash_is_found_by_the_shortest_run_to_it() -> None:
    def crashing(state: State, message: Accept) -> tuple[State, Reply]:
        if state.value is not None:
            raise KeyError("old")
        return accept(state, message)

    name, steps, told = fault(accept=crashing)
    # Prepare, two promises, accept, accepted, and the same accept once more.
    assert (name, steps) == (ANSWERED, 6)
    assert "crashing raised KeyError: 'old'" in told and "State(promised=" in told


def changes_in_place(state: Any, message: Prepare) -> tuple[State, Reply]:
    state.promised = message.ballot
    return state, Promise(state.accepted, state.value)


def forgets_to_return(state: State, message: Prepare) -> None:
    prepare(state, message)


def returns_the_state_alone(state: State, message: Prepare) -> State:
    return prepare(state, message)[0]


def returns_the_reply_alone(state: State, message: Prepare) -> Reply:
    return prepare(state, message)[1]


def swaps(state: State, message: Prepare) -> tuple[Reply, State]:
    return prepare(state, message)[::-1]


def says_accepted(state: State, message: Prepare) -> tuple[State, Reply]:
    return state, Accepted()


def returns_a_plain_tuple(state: State, message: Prepare) -> tuple[State, Reply]:
    return State((1, 1), ZERO, None), Promise(ZERO, None)  # type: ignore[arg-type]


def stores_a_number(state: State, message: Prepare) -> tuple[State, Reply]:
    return state, Promise(ZERO, 7)  # type: ignore[arg-type]


def makes_up_a_value(state: State, message: Prepare) -> tuple[State, Reply]:
    return state._replace(promised=message.ballot), Promise(state.accepted, "made up")


@pytest.mark.parametrize(
    ("function", "steps", "sentence"),
    [
        (changes_in_place, 2, "nothing that it is given can be changed"),
        (forgets_to_return, 2, "prepare returned None; it has to return two things, the state and the reply"),
        (returns_the_state_alone, 2, "it has to return two things"),
        (returns_the_reply_alone, 2, "it has to return two things"),
        (swaps, 2, "where the State belongs"),
        (says_accepted, 2, "it has to be Promise or Conflict"),
        (returns_a_plain_tuple, 2, "but promised cannot be (1, 1)"),
        (stores_a_number, 2, "but value cannot be 7"),
        (makes_up_a_value, 4, "the value 'made up' was never proposed"),
    ],
)
def test_a_wrong_answer_gets_a_sentence(function: Any, steps: int, sentence: str) -> None:
    name, taken, told = fault(prepare=function)
    assert (name, taken) == (ANSWERED, steps)
    assert sentence in told


def test_functions_that_are_not_deterministic_are_noticed() -> None:
    lottery = random.Random(4)

    def lucky(state: State, message: Prepare) -> tuple[State, Reply]:
        return prepare(state, message) if lottery.random() < 0.5 else (state, Conflict(state.promised))

    name, _, told = fault(prepare=lucky)
    assert name == ANSWERED and "was asked the same twice, and said" in told


def test_a_function_that_hardly_ever_draws_another_answer_is_noticed() -> None:
    def seldom(state: State, message: Prepare) -> tuple[State, Reply]:
        return prepare(state, message) if random.random() > 0.001 else (state, Conflict(state.promised))

    random.seed(4)
    name, _, told = fault(prepare=seldom)
    assert name == ANSWERED and "was asked the same twice, and said" in told


def test_a_function_may_draw_lots_that_change_nothing() -> None:
    def shuffles(promises: Sequence[Promise]) -> Promise:
        return choose(random.sample(promises, len(promises)))

    (first, _) = explore_functions(choose=shuffles)
    assert isinstance(first.verdict, Exhausted)


def test_functions_that_count_their_calls_are_noticed() -> None:
    calls = [0]

    def counting(promises: Sequence[Promise]) -> Promise:
        calls[0] += 1
        return promises[calls[0] % len(promises)]

    name, _, told = fault(choose=counting)
    assert name == ANSWERED and "was asked the same twice" in told


def test_choose_has_to_pick_one_of_the_promises_and_to_leave_them_alone() -> None:
    name, steps, told = fault(choose=lambda promises: promises[0].value)
    assert (name, steps) == (ANSWERED, 4) and "none of the promises" in told
    name, steps, told = fault(choose=lambda promises: Promise(Ballot(9, 9), None))
    assert (name, steps) == (ANSWERED, 4) and "none of the promises" in told
    name, steps, told = fault(choose=lambda promises: promises.pop())
    assert (name, steps) == (ANSWERED, 4) and "changed what it was given" in told


def test_the_order_of_the_answers_is_not_given_away() -> None:
    """One that relies on it is caught, whichever end it takes."""
    assert fault(choose=lambda promises: promises[0])[:2] == (NOT_LOST, 14)
    assert fault(choose=lambda promises: promises[-1])[:2] == (NOT_LOST, 14)


def test_a_learners_interrupt_is_not_swallowed() -> None:
    def stuck(state: State, message: Prepare) -> tuple[State, Reply]:
        raise KeyboardInterrupt

    scope = Scope()
    verdict = explore(Caspaxos(scope, LearnersRules(scope, prepare=stuck)).model())
    assert str(verdict).startswith("unknown: interrupted")


def loops(state: State, message: Prepare) -> tuple[State, Reply]:
    while True:
        pass


def loops_and_catches(state: State, message: Prepare) -> tuple[State, Reply]:
    while True:
        with contextlib.suppress(Exception):
            state = state._replace(promised=message.ballot)


async def is_async(state: State, message: Prepare) -> tuple[State, Reply]:
    return prepare(state, message)


def yields(state: State, message: Prepare) -> Iterator[tuple[State, Reply]]:
    yield prepare(state, message)


def unfinished(state: State, message: Prepare) -> NoReturn:
    raise NotImplementedError("your turn")


def leaves(state: State, message: Prepare) -> NoReturn:
    sys.exit()


def ends_as_a_generator_does(state: State, message: Prepare) -> NoReturn:
    raise GeneratorExit


def asserts(state: State, message: Prepare) -> NoReturn:
    raise AssertionError


def a_state_of_its_own(state: State, message: Prepare) -> Any:
    own = namedtuple("State", State._fields)
    return own(*state), Conflict(ZERO)


def true_for_one(state: State, message: Prepare) -> tuple[State, Reply]:
    return state._replace(promised=Ballot(True, 1)), Promise(ZERO, None)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (loops, "loops has not returned after 0.05 s: a loop without end?"),
        (loops_and_catches, "loops_and_catches has not returned after 0.05 s"),
        (is_async, "is_async is async; it has to be a plain function"),
        (yields, "yields uses yield; it has to return its answer"),
        (unfinished, "unfinished is still unfinished"),
        (leaves, "leaves raised SystemExit, in line "),
        (ends_as_a_generator_does, "raised GeneratorExit, in line "),
        (asserts, "`raise AssertionError` (it was given "),
        (a_state_of_its_own, "prepare returned a State of another class"),
        (true_for_one, "but promised cannot be Ballot(counter=True, proposer=1)"),
        (7, "the function raised TypeError: 'int' object is not callable"),
    ],
)
def test_broken_work_gets_a_sentence(monkeypatch: pytest.MonkeyPatch, function: Any, sentence: str) -> None:
    monkeypatch.setattr(learner, "CALL_LIMIT_S", 0.05)
    name, _, told = fault(prepare=function)
    assert name == ANSWERED and sentence in told


def test_a_function_that_keeps_something_between_its_calls_is_noticed() -> None:
    """Two calls in a row agree, and later ones do not: the explorer itself asks each question once."""
    seen: list[str] = []

    def remembers(state: State, message: Prepare) -> tuple[State, Reply]:
        seen.append(str(message.ballot))
        return prepare(state, message) if len(seen) < 1_000 else (state, Conflict(state.promised))

    rules = LearnersRules(Scope(), remembers, accept)
    assert rules.ask_again() == ""
    explore(Caspaxos(Scope(), rules).model())
    seen += ["many"] * 1_000
    assert "was asked the same once more, later" in rules.ask_again()


@pytest.mark.parametrize("number", [1, 2])
def test_the_sound_answers_are_sound(number: int) -> None:
    """Where there are others: an equal ballot promised again, an old accept confirmed again, or refused."""

    def other(state: State, message: Any) -> tuple[State, Reply]:
        return sound_answers(state, message)[: number + 1][-1]

    done = explore_functions(prepare=other, accept=other)
    assert [explored.verdict.word for explored in done] == ["exhausted", "exhausted"]


def test_a_step_with_another_sound_answer_is_not_told_as_a_fault() -> None:
    def again(state: State, message: Prepare) -> tuple[State, Reply]:
        return sound_answers(state, message)[-1]

    def obeys(state: State, message: Accept) -> tuple[State, Reply]:
        return State(message.promise, message.ballot, message.value), Accepted()

    (explored,) = explore_functions(again, obeys)
    assert isinstance(explored.verdict, Violation)
    assert [bool(step.should) for step in explain(explored.model, explored.verdict.trace)] == [False] * 6 + [True]


# -- the leash -------------------------------------------------------------------------------------------


def test_the_inner_limit_rings_first_and_the_outer_one_still_rings() -> None:
    with pytest.raises(TimeUp), time_limit(0.2):
        with pytest.raises(TimeUp), time_limit(0.02):
            while True:
                pass
        while True:
            pass


def test_a_block_that_swallows_the_bell_is_told_at_its_end() -> None:
    with pytest.raises(TimeUp), time_limit(0.02), contextlib.suppress(BaseException):
        time.sleep(0.1)


def test_a_limit_that_is_not_reached_leaves_nothing_behind() -> None:
    outer = signal.getsignal(signal.SIGALRM)  # pytest has a time limit of its own
    left_s, again_s = signal.getitimer(signal.ITIMER_REAL)
    with time_limit(60):
        assert 50 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60
        assert signal.getsignal(signal.SIGALRM) is not outer
    now_s = signal.getitimer(signal.ITIMER_REAL)
    assert left_s - 10 < now_s[0] <= left_s and now_s[1] == again_s
    assert signal.getsignal(signal.SIGALRM) is outer


def test_away_from_the_main_thread_there_is_no_limit_and_no_error() -> None:
    ran = []

    def work() -> None:
        with time_limit(0.001):
            ran.append(sum(range(100_000)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran


def test_what_is_printed_is_counted_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with quiet() as printed:
        print("one\ntwo")
    assert (printed.lines, printed.characters) == (2, 8)
    assert capsys.readouterr().out == ""


def test_a_crash_is_told_where_refusals_are_heard_too() -> None:
    def crashing(state: State, message: Accept) -> tuple[State, Reply]:
        raise RuntimeError("no")

    scope = Scope(conflicts=True)
    assert found(Caspaxos(scope, LearnersRules(scope, accept=crashing))).name == ANSWERED


# -- scope after scope -----------------------------------------------------------------------------------


THEIRS = [mutant for mutant in MUTANTS if {"prepare", "accept", "choose"} & set(vars(mutant.rules))]


@pytest.mark.slow
@pytest.mark.parametrize("mutant", THEIRS, ids=lambda mutant: mutant.name)
def test_the_usual_scopes_catch_every_wrong_function_of_the_zoo(mutant: Mutant) -> None:
    rules = mutant.rules(Scope())
    done = explore_functions(rules.prepare, rules.accept, rules.choose)
    violation = done[-1].verdict
    assert isinstance(violation, Violation)
    # One that makes up its own promise is not even asked whether it is right.
    assert violation.name in (mutant.caught_by, ANSWERED) and why(done[-1].model, violation)


def test_right_functions_pass_every_scope() -> None:
    done = explore_functions(prepare, accept, choose)
    assert [explored.verdict for explored in done] == [
        Exhausted(63_451, 15_214, 26),
        Exhausted(213_574, 51_336, 26),
    ]


def test_the_first_fault_ends_it_and_so_does_a_spent_budget() -> None:
    (explored,) = explore_functions(choose=lambda promises: promises[0])
    assert isinstance(explored.verdict, Violation)
    (explored,) = explore_functions(prepare, budget=Budget(max_states=100))
    assert isinstance(explored.verdict, BudgetSpent)


def test_functions_with_endless_answers_end_by_their_budget() -> None:
    def climbing(state: State, message: Prepare) -> tuple[State, Reply]:
        higher = Ballot(state.promised.counter + 1, 1)
        return state._replace(promised=higher), Conflict(higher)

    (explored,) = explore_functions(climbing, budget=Budget(max_states=2_000))
    assert isinstance(explored.verdict, BudgetSpent)
