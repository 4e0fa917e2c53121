"""The zoo: every wrong protocol is caught, by its property, in as few steps as it takes; no sound one is."""

from __future__ import annotations

import inspect
import json
import random
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gryadka.checking import commands, linearizability
from gryadka.checking import history as histories
from gryadka.checking.explain import events, explain, why
from gryadka.checking.explore import Budget, BudgetSpent, Step, Violation, explore
from gryadka.checking.model import NO_WAY_BACK, ONE_VALUE, SEEN_BY_CLIENTS, Caspaxos, Label, Numbers
from gryadka.checking.mutants import MUTANTS, SOUND_VARIANTS
from gryadka.checking.rules import Rules, Scope
from gryadka.checking.steps import Move
from gryadka.checking.zoo import Mutant, Result, Zoo
from gryadka.trace import dump, load

pytestmark = pytest.mark.slow

# The shortest run that shows each fault; None where no run can, because something never happens.
STEPS = {
    "forgets its promise": 3,
    "answers before it stores": 14,
    "loses its disk": 3,
    "promises without storing": 14,
    "promises every ballot": 4,
    "compares with the wrong sign": None,
    "compares the proposer first": 4,
    "compares counters only": 4,
    "refuses everything": None,
    "ignores its promise": 14,
    "accepts higher ballots only": None,
    "stores a duplicate again": 8,
    "drops its promise when it accepts": 5,
    "forgets the piggybacked promise": 18,
    "accepts without storing": 14,
    "keeps the old ballot": 14,
    "keeps the old value": 19,
    "accepts once": None,
    "promises without the value": 14,
    "reports the promised ballot": 14,
    "clears the value when it promises": 16,
    "takes the first value": 14,
    "takes any value": 19,
    "takes the most frequent value": 14,
    "takes the lowest ballot": 19,
    "takes the longest value": 19,
    "takes the highest proposer": 19,
    "ignores the promises": 14,
    "prepares with too few": 12,
    "accepts with too few": 12,
    "counts one acceptor twice": 10,
    "counts late replies": 15,
    "reuses its ballot": 6,
    "keeps the cache after a conflict": 10,
    "caches a lost round": 16,
    "fast forwards by assignment": 8,
    "acknowledges the old value": 7,
    "applies to a stale value": 18,
    "applies its change twice": 12,
    "repeats blindly": 12,
    "trusts the refusals of a quorum": 17,
    "trusts the refusals of all": 16,
    "recalls its last attempt only": 16,
    "judges by its last attempt": 21,
    "takes unknown for not applied": 17,
    "ignores the lineage": 17,
    "calls unknown not applied": 13,
    "serves callers who have left": 13,
    "refuses on a value that is not chosen": 16,
    "takes its own value for chosen": 16,
    "reads without choosing": 13,
    "reads once a prepare quorum agrees": 14,
}


# These take a second or more.
SLOW = {
    "judges by its last attempt",
    "caches a lost round",
    "caches what an accept quorum promised",
    "forgets the piggybacked promise",
    "loses its disk",
}


def animals(some: Sequence[Mutant]) -> list[Any]:
    return [pytest.param(each, id=each.name, marks=[pytest.mark.slow] if each.name in SLOW else []) for each in some]


@cache
def result_of(mutant: Mutant) -> Result:
    return mutant.run()


@pytest.mark.parametrize("mutant", animals(MUTANTS))
def test_it_is_caught(mutant: Mutant) -> None:
    result = result_of(mutant)
    assert (result.caught_by, result.steps) == (mutant.caught_by, STEPS[mutant.name])
    assert result.as_it_should_be


@pytest.mark.parametrize("mutant", animals(MUTANTS))
def test_the_run_that_catches_it_can_be_told_and_written_down(mutant: Mutant) -> None:
    model, violation = result_of(mutant).model, result_of(mutant).verdict
    assert isinstance(violation, Violation)
    steps = explain(model, violation.trace)
    assert len(steps) == max(0, len(violation.trace) - 1)
    assert all(step.words and step.events for step in steps)
    # The right rules object to a step of it; where the fault is that nothing ever happens, there is no step.
    assert any(step.should for step in steps) == (violation.kind != "never reached")
    assert why(model, violation)
    assert load(dump(events(model, violation.trace))) == events(model, violation.trace)


@pytest.mark.parametrize("mutant", animals(SOUND_VARIANTS))
def test_it_only_looks_wrong(mutant: Mutant) -> None:
    result = mutant.run()
    assert (result.verdict.word, result.caught_by) == ("exhausted", "")
    assert result.as_it_should_be


@pytest.mark.parametrize("mutant", animals([*MUTANTS, *SOUND_VARIANTS]))
def test_it_overrides_one_method_and_says_what_it_does(mutant: Mutant) -> None:
    own = [name for name in vars(mutant.rules) if inspect.isfunction(vars(mutant.rules)[name])]
    assert mutant.rules.__bases__ == (Rules,)
    assert len(own) == 1 and own[0] in vars(Rules)
    assert mutant.wrong.endswith(".") and len(mutant.wrong) > 20


def test_the_zoo_is_large_and_every_name_is_its_own() -> None:
    assert len(MUTANTS) >= 24 and len(SOUND_VARIANTS) >= 4
    assert len({mutant.name for mutant in [*MUTANTS, *SOUND_VARIANTS]}) == len(MUTANTS) + len(SOUND_VARIANTS)
    assert set(STEPS) == {mutant.name for mutant in MUTANTS}
    # Every method that a proposer or an acceptor can get wrong has somebody who does.
    decisions = {name for name, method in vars(Rules).items() if inspect.isfunction(method)}
    overridden = {name for mutant in MUTANTS for name in vars(mutant.rules)}
    assert decisions - overridden == {"__init__", "next_counters"}


# What breaks an inner property first does harm to a client later, after so many steps. (One that is not here
# does it in runs too long to look for.)
HARM = {
    "forgets its promise": 14,
    "promises every ballot": 14,
    "compares the proposer first": 14,
    "compares counters only": 14,
    "stores a duplicate again": 20,
    "drops its promise when it accepts": 14,
    "loses its disk": 14,
    "reuses its ballot": 17,
    "keeps the cache after a conflict": 15,
}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", animals([each for each in MUTANTS if each.name in HARM]))
def test_what_is_caught_early_harms_a_client_later(mutant: Mutant) -> None:
    assert mutant.caught_by in (NO_WAY_BACK, ONE_VALUE)
    verdict = explore(mutant.model().model(only_clients=True))
    assert isinstance(verdict, Violation)
    assert verdict.name in SEEN_BY_CLIENTS
    assert len(verdict.trace) - 1 == HARM[mutant.name]


# -- what the properties say is what a checker of histories says -----------------------------------------


def as_marks(numbers: Sequence[int]) -> str:
    return "".join(f"{number};" for number in numbers)


def operations(model: Caspaxos, trace: Sequence[Step[Numbers, Label]]) -> list[histories.Operation]:
    """What the callers of a run did and were told, as a history of a text that grows."""
    told: dict[int, dict[str, Any]] = {}
    for at_s, (before, step) in enumerate(pairwise(trace)):
        assert step.label
        who, act = step.label
        if not isinstance(act, Move):
            continue
        me, after = model.world(before.state).memories[who], model.world(step.state).memories[who]
        change = dict(enumerate(model.steps.changes[who])).get(len(me.outcomes))
        if after.waiting and not me.waiting and change:
            call = {"f": "get"} if change.wish == "read" else {"f": "append", "args": (as_marks([change.number]),)}
            told[change.number] = {"process": change.number, "invoked_s": at_s, **call}
        if act.outcome and act.outcome.ending != "unknown" and change:
            result = as_marks(act.outcome.history)
            ends: dict[str, dict[str, Any]] = {
                "applied": {"outcome": histories.Outcome.OK, "result": result},
                "refused": {"outcome": histories.Outcome.OK, "result": histories.Refusal(result)},
                "not applied": {"outcome": histories.Outcome.FAILED},
            }
            told[change.number] |= {"completed_s": at_s, **ends[act.outcome.ending]}
    return [histories.Operation(**parts) for parts in told.values()]


def linearizable(model: Caspaxos, trace: Sequence[Step[Numbers, Label]]) -> bool:
    verdict = linearizability.check(operations(model, trace), linearizability.MODELS["key-value"])
    assert not isinstance(verdict, linearizability.Unknown)
    return isinstance(verdict, linearizability.Ok)


def faultless(model: Caspaxos, state: Numbers) -> bool:
    return not any(model.why(name, state) for name in SEEN_BY_CLIENTS)


CAUGHT_BY_CLIENTS = [mutant for mutant in MUTANTS if mutant.caught_by in SEEN_BY_CLIENTS]


@pytest.mark.parametrize("mutant", animals(CAUGHT_BY_CLIENTS))
def test_the_caught_run_is_not_linearizable_and_one_step_earlier_it_was(mutant: Mutant) -> None:
    model, verdict = result_of(mutant).model, result_of(mutant).verdict
    assert isinstance(verdict, Violation)
    assert not linearizable(model, verdict.trace)
    assert linearizable(model, verdict.trace[:-1])


def stride(lottery: random.Random, steps: list[tuple[Label, Numbers]]) -> tuple[Label, Numbers]:
    """Draw a step; giving up is drawn seldom, or nothing would ever be chosen."""
    seldom = ("prepare", "leave")
    onward = [step for step in steps if not isinstance(act := step[0][1], Move) or act.kind not in seldom]
    return lottery.choice(onward if onward and lottery.random() < 0.95 else steps)


WALKED = ["", "ignores the promises", "accepts with too few", "repeats blindly", "calls unknown not applied"]


@pytest.mark.parametrize("name", WALKED)
def test_on_random_runs_properties_and_checker_agree(name: str) -> None:
    scope = Scope(ballots=3, changes=(("append", "append"), ("read", "create", "read")), deadlines=True)
    rules = next((mutant.rules for mutant in MUTANTS if mutant.name == name), Rules)
    model, faults = Caspaxos(scope, rules(scope)), 0
    for seed in range(300):
        lottery, trace = random.Random(seed), [Step[Numbers, Label](None, model.initial)]
        while faultless(model, trace[-1].state) and (steps := list(model.successors(trace[-1].state))):
            trace.append(Step(*stride(lottery, steps)))
        assert linearizable(model, trace) == faultless(model, trace[-1].state), (name, seed)
        faults += not faultless(model, trace[-1].state)
    assert (faults > 0) == (name != "")


# -- the command -----------------------------------------------------------------------------------------

app = typer.Typer()
commands.add_to(app)


def run(*arguments: str) -> tuple[int, str]:
    ended = CliRunner().invoke(app, ["mutants", *arguments], catch_exceptions=False)
    return ended.exit_code, ended.stdout


def test_the_command_prints_the_table() -> None:
    code, told = run("--only", "blindly")
    assert code == 0
    assert "repeats blindly" in told and "no change is applied" in told and " 12 " in told
    assert "1 of 1 wrong ones caught, 0 of 0 sound ones passed" in told


def test_the_command_in_json() -> None:
    code, told = run("--only", "promises a", "--json")
    (again, lower) = sorted(json.loads(told)["mutants"], key=lambda row: row["distinct"])
    assert code == 0
    assert (again["name"], again["sound"], again["caught_by"]) == ("promises an equal ballot again", True, None)
    assert (lower["name"], lower["as_it_should_be"]) == ("promises a lower ballot too", True)


@pytest.mark.parametrize(
    ("mutant", "word"),
    [
        (Mutant(Rules, Scope(ballots=1), "no change is applied twice"), "nothing: sound"),
        (Mutant(CAUGHT_BY_CLIENTS[0].rules, Scope(ballots=1), ""), "an acknowledged"),
        (Mutant(CAUGHT_BY_CLIENTS[0].rules, Scope(ballots=1), "another"), "an acknowledged"),
    ],
)
def test_the_command_is_red_if_a_wrong_one_passes_or_a_sound_one_is_caught(
    mutant: Mutant, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "MUTANTS", [mutant])
    monkeypatch.setattr(commands, "SOUND_VARIANTS", [])
    monkeypatch.setattr(commands, "OTHERS", [])
    code, told = run()
    assert code == 1 and "✗" in told and word in told


def test_ctrl_c_prints_the_table_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("accepts once", "takes any value")
    caught, interrupted = (next(mutant for mutant in MUTANTS if mutant.name == name) for name in names)
    spent = BudgetSpent(1, 1, 1, "interrupted")
    monkeypatch.setattr(commands, "MUTANTS", [caught, interrupted])
    monkeypatch.setattr(commands, "SOUND_VARIANTS", [])
    monkeypatch.setattr(commands, "OTHERS", [])
    real = Mutant.run
    monkeypatch.setattr(
        Mutant, "run", lambda self: real(self) if self is caught else Result(self, self.model(), spent, 0.0)
    )
    ended = CliRunner().invoke(app, ["mutants"])
    assert ended.exit_code == 130 and "1 of 1 wrong ones caught" in ended.stdout
    assert "interrupted: 1 of 2 were not tried" in ended.stderr


def test_a_search_that_gave_up_is_not_as_it_should_be() -> None:
    for mutant in (MUTANTS[-1], SOUND_VARIANTS[0]):
        result = mutant.run(Budget(max_states=10))
        assert isinstance(result.verdict, BudgetSpent) and not result.as_it_should_be
        assert (result.caught_by, result.steps) == ("", None)


def test_rules_join_the_zoo_where_they_are_written() -> None:
    zoo = Zoo()

    @zoo.mutant("a property")
    class SaysNoTwice(Rules):
        """Says no."""

    assert zoo.mutants == [Mutant(SaysNoTwice, Scope(), "a property")]
    assert (zoo.mutants[0].name, zoo.mutants[0].wrong) == ("says no twice", "Says no.")
