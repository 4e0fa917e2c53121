"""The model of a change of members: what it counts, what it catches, and that its lookahead tells the truth."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gryadka.checking import commands, members_commands
from gryadka.checking.explore import Budget, BudgetSpent, Exhausted, GoalReached, Property, Violation, explore
from gryadka.checking.members import CHOSEN_AT_LAST, FRESH, ONE_CHAIN, Members, planned
from gryadka.checking.members_state import Reading, Seen, World
from gryadka.checking.members_steps import Rules
from gryadka.checking.members_words import tell, why
from gryadka.checking.members_zoo import GROWTH, MUTANTS, SOUND_VARIANTS, TWIN, Change
from gryadka.checking.zoo import Result
from gryadka.errors import ConfigurationError
from gryadka.operations.plan import Adopt, Copy, Plan, Start
from gryadka.protocol.configuration import Configuration

# -- what is counted -------------------------------------------------------------------------------------


def test_one_acceptor_has_the_states_that_can_be_counted_by_hand() -> None:
    """Nothing yet, promised, and accepted, which is acknowledged at once: each follows from the last."""
    assert explore(Members("A", ballots=1).model()) == Exhausted(3, 3, 3)


@pytest.mark.parametrize(
    ("plan", "ballots", "options", "generated", "distinct", "depth"),
    [
        ("ABC", 3, {}, 3_904, 1_377, 14),
        ("ABC ABCD", 2, {}, 9_381, 2_791, 15),
        ("ABC ABCD", 2, {"cached_rounds": True}, 9_973, 2_993, 15),
        ("ABCD ABC", 2, {}, 29_311, 8_700, 18),
        ("ABCD ABCDE", 2, {}, 38_585, 9_600, 19),
        (GROWTH, 2, {}, 17_874, 6_797, 21),
        (TWIN, 2, {}, 52_243, 17_726, 22),
        (TWIN, 2, {"copy": False}, 17_228, 6_014, 17),
    ],
)
def test_a_right_plan_exhausts_without_a_fault(
    plan: str, ballots: int, options: dict[str, bool], generated: int, distinct: int, depth: int
) -> None:
    model = Members(plan, ballots, **options)
    assert explore(model.model()) == Exhausted(generated, distinct, depth)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plan", "ballots", "options", "generated", "distinct", "depth"),
    [
        ("ABC ABCD", 3, {}, 229_117, 60_058, 21),
        ("ABC AB", 3, {}, 101_476, 33_052, 17),
        ("AB ABC AB", 3, {}, 222_589, 66_817, 18),
        (GROWTH, 3, {"copy": False}, 129_259, 46_624, 20),
        ("ABC ABCDE", 2, {}, 3_869_260, 757_363, 32),
        ("ABC ABCDE", 2, {"copy": False}, 556_245, 125_163, 25),
        ("ABC AB", 2, {"reader": True}, 118_846, 37_310, 16),
        ("ABC ABCD", 2, {"reader": True}, 298_737, 72_358, 19),
        (GROWTH, 2, {"reader": True}, 300_407, 98_614, 23),
    ],
)
def test_so_does_a_larger_one(
    plan: str, ballots: int, options: dict[str, bool], generated: int, distinct: int, depth: int
) -> None:
    assert explore(Members(plan, ballots, **options).model()) == Exhausted(generated, distinct, depth)


# -- what can be reached ----------------------------------------------------------------------------------


def reach(model: Members, name: str, holds: Any) -> bool:
    goal = Property[tuple[int, ...]](name, lambda state: holds(model.world(state), model.acceptors(state)))
    return isinstance(explore(model.model(), goal=goal), GoalReached)


def finished(model: Members, world: World) -> bool:
    return model.steps.present(world) is None


@pytest.mark.slow
def test_the_hard_cases_are_reached() -> None:
    growth, rescanned = Members(GROWTH, 2), Members(GROWTH, 2, copy=False)
    cached, three = Members(GROWTH, 3, cached_rounds=True), Members("ABC ABCD", 2)
    assert reach(growth, "a copy is taken, and the plan ends", lambda w, _: w.copies and finished(growth, w))
    assert reach(
        rescanned,
        "an identity is chosen",
        lambda w, _: any(r.kind == "identity" and r.acknowledged and r.value for r in w.rounds),
    )
    assert reach(Members(GROWTH, 3), "both are at work", lambda w, _: {r.sent_in for r in w.rounds} >= {0, 2})
    assert reach(cached, "one round trip", lambda w, _: any(r.kind == "cached" and r.acknowledged for r in w.rounds))
    assert reach(
        three,
        "acknowledged in an epoch that is out of force",
        lambda w, _: finished(three, w) and any(r.acknowledged and r.sent_in == 0 for r in w.rounds),
    )
    assert reach(three, "a minority was left behind", lambda w, cells: finished(three, w) and cells[0].epoch == 0)


class NeverDone(Rules):
    """A coordinator that is killed in its first step."""

    def is_adopted(self, before: Configuration, following: Configuration, told: Collection[str]) -> bool:
        return False


class Deaf(Rules):
    """Acceptors that refuse everybody."""

    def refuses(self, own: int, epoch: int) -> bool:
        return True


def test_a_cluster_that_does_nothing_is_no_success() -> None:
    verdict = explore(Members("ABC ABCD", 2, rules=Deaf()).model())
    assert isinstance(verdict, Violation) and verdict.name == CHOSEN_AT_LAST
    assert (
        why(Members("ABC ABCD", 2, rules=Deaf()), verdict) == f"whatever happens, it is never so that {CHOSEN_AT_LAST}"
    )
    # With three of four in the new one, and a coordinator that stops there, the first step is enough to serve.
    assert isinstance(explore(Members("ABC ABCD", 2, rules=NeverDone()).model()), Exhausted)


# -- the zoo ---------------------------------------------------------------------------------------------

# The shortest run that shows each fault.
STEPS = {
    "skips the rescan": 5,
    "skips the rescan of a replacement": 7,
    "lets old epochs in": 7,
    "copies from one acceptor": 6,
    "copies no promise": 14,
    "reads what one has accepted": 5,
    "lets readers of old epochs in": 9,
    "reads who is behind": 12,
    "answers in a dead ones name": 5,
    "takes two steps at once": 3,
    "rescans too early": 6,
}
SLOW = {"copies no promise", "reads who is behind"}
READS_WHAT_IS_OLD = "lets readers of old epochs in"

# What is wrong is that something was left out, or the plan; each step by itself is one that the rules allow.
NO_STEP_IS_WRONG = {
    "skips the rescan",
    "skips the rescan of a replacement",
    "copies from one acceptor",
    "copies no promise",
    "reads what one has accepted",
    "takes two steps at once",
    "rescans too early",
}


def animals(some: list[Change]) -> list[Any]:
    return [pytest.param(each, id=each.name, marks=[pytest.mark.slow] if each.name in SLOW else []) for each in some]


@cache
def result_of(change: Change) -> Result[Members]:
    return change.run()


@pytest.mark.parametrize("change", animals(MUTANTS))
def test_a_wrong_change_is_caught_by_a_shortest_run_that_can_be_told(change: Change) -> None:
    result = result_of(change)
    assert result.as_it_should_be and result.steps == STEPS[change.name]
    assert isinstance(result.verdict, Violation)
    told = tell(result.model, result.verdict.trace)
    assert len(told) == result.steps and all(step.words.endswith(".") for step in told)
    assert any(step.should for step in told) or change.name in NO_STEP_IS_WRONG


@pytest.mark.slow
@pytest.mark.parametrize("change", animals([each for each in MUTANTS if each.name not in {*SLOW, READS_WHAT_IS_OLD}]))
def test_a_client_sees_it_one_ballot_later(change: Change) -> None:
    """The lookahead invents nothing: with a ballot more, two acknowledged histories do not fit together."""
    model = replace(change, ballots=change.ballots + 1).model()
    verdict = explore(model.model(only_clients=True), budget=Budget(max_states=1_000_000))
    assert isinstance(verdict, Violation) and verdict.name == ONE_CHAIN
    assert "does not go on from the first" in why(model, verdict)


@pytest.mark.parametrize("change", animals(SOUND_VARIANTS))
def test_what_only_looks_wrong_passes(change: Change) -> None:
    assert result_of(change).as_it_should_be and not result_of(change).caught_by


@pytest.mark.parametrize("name", ["takes two steps at once", "rescans too early", "starts the newcomer last"])
def test_the_library_refuses_such_a_plan(name: str) -> None:
    change = next(each for each in [*MUTANTS, *SOUND_VARIANTS] if each.name == name)
    assert not isinstance(change.plan, str)
    with pytest.raises(ConfigurationError, match="step"):
        Plan(change.plan[0], tuple(change.plan[1]))


# -- readers and copies ----------------------------------------------------------------------------------


class CopiesWhatIsNotChosen(Rules):
    """Copies the latest that a quorum has shown, though only one of it has accepted that."""

    def is_chosen(self, read: Sequence[Seen]) -> bool:
        return True


def follow(model: Members, run: str) -> tuple[int, ...]:
    """Take these steps, in words such as "A promises 1 in 0"; stop before one that is not possible."""
    state = model.initial
    for words in run.split(", "):
        name, act, number, epoch = re.fullmatch(r"(\w) ([a-z ]+?) ?(\d+)?(?: in (\d))?", words).groups("0")  # type: ignore[union-attr]
        label = (act, model.steps.names.index(name), int(number), int(epoch))
        found = [after for taken, after in model.successors(state) if (*taken[:4],) == label]
        if not found:
            break
        state = found[-1]
    return state


def test_what_only_one_has_accepted_is_not_copied() -> None:
    """On the newcomer it looked like one more vote: a reader counted two of three, yet what B accepts comes next."""
    steps = Start("D"), Adopt(Configuration.majority("ABCD")), Copy(("D",)), Adopt(Configuration.majority("ABD"))
    run = (
        "A promises 1 in 0, C promises 1 in 0, A accepts 1 in 0, B promises 2 in 0, C promises 2 in 0, "
        "A adopts in 1, C adopts in 1, D adopts in 1, A is read, C is read, D is read, D takes a copy 1, "
        "A adopts in 2, D adopts in 2, A shows in 2, D shows in 2, B accepts 2 in 0"
    )
    wrong, right = (
        Members((Configuration.majority("ABC"), steps), 2, reader=True, rules=rules)
        for rules in (CopiesWhatIsNotChosen(), Rules())
    )
    state = follow(wrong, run)
    assert wrong.world(state).reading == Reading(2, (), (1,))
    assert not wrong.found_by_the_next(state)
    state = follow(right, run)
    assert [cell.held.accepted for cell in right.acceptors(state)] == [1, 0, 0, 0] and not right.world(state).copied
    assert right.world(state).differ and right.found_by_the_next(state)


def test_a_reader_that_is_shown_what_is_old_is_caught_by_what_clients_see() -> None:
    (change,) = [change for change in MUTANTS if change.name == READS_WHAT_IS_OLD]
    model = change.model()
    verdict = explore(model.model(only_clients=True))
    assert isinstance(verdict, Violation) and verdict.name == FRESH
    assert "was acknowledged before the reader began, and it is shown" in why(model, verdict)


# -- plans and symmetry ----------------------------------------------------------------------------------


def test_a_plan_through_several_goals_is_one_plan() -> None:
    plan = planned("ABC ABCD ABCDE")
    assert [str(step).split()[0] for step in plan.steps] == ["start", "adopt", "start", "copy", "adopt"]
    assert planned("ABC ABCDE") == plan
    assert planned("ABC").steps == ()
    for wrong in ("", "AAB", "ABC AABB"):
        with pytest.raises(ConfigurationError):
            planned(wrong)


@pytest.mark.parametrize("options", [{}, {"copy": False}])
def test_symmetry_neither_loses_a_state_nor_invents_one(options: dict[str, bool]) -> None:
    plain, reduced = (Members("AB ABC", 2, symmetric=symmetric, **options) for symmetric in (False, True))

    def readable(model: Members) -> set[Any]:
        seen, waiting = {model.initial}, [model.initial]
        while waiting:
            fresh = {after for _, after in model.successors(waiting.pop())} - seen
            seen |= fresh
            waiting += fresh
        return {
            (model.world(state), *sorted(model.acceptors(state)[:2], key=repr), *model.acceptors(state)[2:])
            for state in seen
            if not model.world(state).copied
        }  # that one names a place

    assert readable(plain) == readable(reduced)


@pytest.mark.slow
@pytest.mark.parametrize("change", animals([change for change in MUTANTS if change.name not in SLOW]))
def test_symmetry_changes_no_verdict(change: Change) -> None:
    model = Members(change.plan, change.ballots, reader=change.reader, rules=change.rules(), symmetric=False)
    verdict = explore(model.model())
    assert isinstance(verdict, Violation) and len(verdict.trace) - 1 == STEPS[change.name]


# -- the commands ----------------------------------------------------------------------------------------

app = typer.Typer()
members_commands.add_to(app)
commands.add_to(app)


def run(*arguments: str) -> tuple[int, str]:
    ended = CliRunner().invoke(app, arguments, catch_exceptions=False)
    return ended.exit_code, ended.stdout


def test_the_command_says_what_it_covered() -> None:
    code, told = run("explore-members", "ABC", "ABCD")
    assert code == 0 and "plan: start D" in told and "exhausted (9,381 states generated, 2,791 distinct" in told


def test_the_command_tells_a_run_to_a_fault() -> None:
    code, told = run("explore-members", "--mutant", "lets old epochs in")
    assert code == 1
    assert "   3  the coordinator reads A, and finds nothing." in told
    assert "by the rules: A works in epoch 1, and refuses whoever works in epoch 0" in told
    assert "So [1] was acknowledged, but whoever asks B and C, a quorum in epoch 2, goes on without it." in told


def test_the_command_in_json() -> None:
    code, told = run("explore-members", GROWTH, "--rescan", "--json")
    answer = json.loads(told)
    assert code == 0 and (answer["verdict"], answer["distinct"]) == ("exhausted", 3_029)
    assert answer["plan"][3] == "rescan every record"
    code, told = run("explore-members", "--mutant", "skips the rescan", "--harm", "--json")
    answer = json.loads(told)
    assert code == 1 and answer["property"] == ONE_CHAIN and answer["steps"][0]["words"].startswith("A is asked first")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [((), "name the members"), (("ABC", "--mutant", "x"), "name the members"), (("--mutant", "x"), "lists them")],
)
def test_the_command_needs_one_of_the_two(arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        run("explore-members", *arguments)


def test_the_zoo_of_all_models_is_put_to_the_test_together() -> None:
    code, told = run("mutants", "--only", "the rescan", "--json")
    rows = json.loads(told)["mutants"]
    assert code == 0 and [row["steps"] for row in rows] == [5, 7]
    assert all(row["as_it_should_be"] and row["wrong"] for row in rows)


def test_a_search_that_gave_up_is_not_as_it_should_be() -> None:
    result = MUTANTS[0].run(Budget(max_states=10))
    assert isinstance(result.verdict, BudgetSpent) and not result.as_it_should_be
