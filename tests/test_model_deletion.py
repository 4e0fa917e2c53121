"""The models of deletion and of quorum reads: what they count, what they catch, and how they tell it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import permutations
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gryadka.checking import commands, deletion_commands
from gryadka.checking.deletion import Acceptor, Deletion, Label, Numbers, Rules, Scope
from gryadka.checking.deletion_ages import AgesScope
from gryadka.checking.deletion_members import MembersScope
from gryadka.checking.deletion_words import tell, why
from gryadka.checking.deletion_zoo import (
    AGES,
    MEMBERS,
    MUTANTS,
    READS,
    REPEATED,
    SOUND_VARIANTS,
    TWO,
    YOUNG,
    Collection,
    model_of,
)
from gryadka.checking.explore import Budget, BudgetSpent, Exhausted, Violation, explore
from gryadka.checking.one_order import LOST, ONE_ORDER, TWICE, UNDONE, Kind, Operation, Value, judge
from gryadka.checking.quorum_reads import ReadsScope
from gryadka.errors import ConfigurationError
from gryadka.protocol import acceptor as protocol
from gryadka.protocol.acceptor import ZERO, Accept, Accepted, Ballot, Prepare, Promise, State

W: Kind = "write"
D: Kind = "delete"
R: Kind = "read"

# -- what is counted -------------------------------------------------------------------------------------

SMALL = [
    (Scope((W, D)), 1_020, 278, 16),
    (Scope((W, D), other_keys=True), 26_917, 3_886, 13),
    (Scope((W, W, D), cache=True), 27_662, 6_502, 20),
    (MembersScope((W, R), epochs=(1, 0)), 10_848, 2_957, 25),
    (ReadsScope((W, D), readers=1), 81_053, 15_384, 19),
    (ReadsScope((W,), 4, 2, 3), 74_961, 12_153, 17),
]

LARGE = [
    (Scope((W, D, R)), 62_193, 13_378, 23),
    (Scope((W, R, R)), 49_195, 10_601, 22),
    (Scope((R, W, W)), 91_805, 19_533, 20),
    (Scope((R, W, R)), 111_709, 23_588, 23),
    (Scope((W, D, W), cache=True), 53_830, 11_821, 19),
    (REPEATED, 83_680, 23_136, 18),
    (YOUNG, 54_233, 16_041, 17),
    (TWO, 38_122, 13_004, 24),
    (MEMBERS, 277_248, 48_051, 34),
    (MembersScope((W, R), epochs=(0, 1)), 51_459, 9_650, 28),
    (MembersScope((W, W), epochs=(0, 0), cache=True), 90_304, 23_896, 23),
    (MembersScope((R, W), epochs=(0, 1)), 86_799, 16_695, 29),
    (AGES, 45_557, 13_362, 29),
    (AgesScope((W, D, W), proposers=(0, 1, 0)), 28_167, 7_172, 22),
    (AgesScope((R, W, W), proposers=(0, 0, 1)), 52_711, 12_448, 22),
    (AgesScope(AGES.kinds, proposers=AGES.proposers, joins=0), 51_049, 15_206, 30),
    (ReadsScope((W,), 4, 3, 2), 116_305, 17_143, 17),
    (READS, 1_111_253, 202_255, 18),
    (ReadsScope((W, W), 4, 2, 3, readers=1), 204_921, 31_538, 17),
    (ReadsScope((W, W), 4, 3, 2, readers=1), 163_699, 27_619, 18),
    (ReadsScope((W, D), 4, 2, 3, readers=1), 912_170, 133_595, 25),
    (ReadsScope((W, D), 4, 3, 2, readers=1), 633_738, 94_119, 26),
]


def named(scope: Scope) -> str:
    return f"{type(scope).__name__} {' '.join(scope.kinds)} {scope.prepare_quorum}/{scope.accept_quorum}"


@pytest.mark.parametrize(
    ("scope", "generated", "distinct", "depth"),
    [
        *[pytest.param(*row, id=f"{named(row[0])} {row[2]}") for row in SMALL],
        *[pytest.param(*row, id=f"{named(row[0])} {row[2]}", marks=pytest.mark.slow) for row in LARGE],
    ],
)
def test_what_is_right_exhausts_without_a_fault(scope: Scope, generated: int, distinct: int, depth: int) -> None:
    assert explore(model_of(scope).model()) == Exhausted(generated, distinct, depth)


class Swapped(Deletion):
    """Takes each step that the model takes in this state, or in one that differs from it by a swap of acceptors."""

    def successors(self, state: Numbers) -> Iterator[tuple[Label, Numbers]]:
        number, cells = state[0], state[1:]
        for order in permutations(range(len(cells))):
            for label, after in super().successors((number, *(cells[place] for place in order))):
                moved = dict(zip(order, after[1:], strict=True))
                yield label, (after[0], *(moved[place] for place in range(len(cells))))


def test_symmetry_changes_no_verdict() -> None:
    for rules in (None, next(animal.rules for animal in MUTANTS if animal.name == "collects a value")):
        scope = Scope((W, D)) if rules is None else Scope((W, R))
        plain = explore(replace(Swapped(scope, rules and rules(scope)).model(), canonical=None))
        reduced = explore(model_of(scope, rules).model())
        assert type(plain) is type(reduced) and plain.depth == reduced.depth
        assert plain.distinct > 3 * reduced.distinct


# -- what is caught --------------------------------------------------------------------------------------

STEPS = {
    "keeps no floor": 14,
    "raises the floor to the tombstone only": 14,
    "collects what a majority has": 13,
    "forgets without comparing": 14,
    "forgets any tombstone": 14,
    "collects a value": 11,
    "collects nothing": None,
    "applies again to nothing": 12,
    "applies again to a young register": 12,
    "starts a newcomer without the floor": 25,
    "forgets while members change": 25,
    "tells its floor without the plan": 25,
    "does not raise the age": 19,
    "does not move the counter": 20,
    "lets old ages pass": 19,
    "keeps an open round": 20,
    "keeps what it has cached": 14,
    "skips a proposer": 18,
    "tells a majority the ages": 18,
    "forgets a newer promise": 19,
    "joins in the middle": 20,
    "shows the highest ballot": 7,
    "shows the first answer": 5,
    "is content with a prepare quorum": 8,
    "is content with an accept quorum": 7,
    "trusts who reports nothing": 16,
}
FAST = ("collects a value", "collects nothing", "shows the first answer", "is content with an accept quorum")


def animals(some: list[Collection]) -> list[Any]:
    return [
        pytest.param(animal, id=animal.name, marks=() if animal.name in FAST else pytest.mark.slow) for animal in some
    ]


@pytest.mark.parametrize("animal", animals(MUTANTS))
def test_every_wrong_guard_is_caught_in_as_few_steps_as_it_takes(animal: Collection) -> None:
    result = animal.run()
    assert (result.caught_by, result.steps) == (animal.caught_by, STEPS[animal.name])
    assert isinstance(result.verdict, Violation)
    model = result.model
    told = tell(model, result.verdict.trace)
    assert len(told) == (result.steps or 0) and all(told)
    assert why(model, result.verdict)


@pytest.mark.parametrize("animal", animals(SOUND_VARIANTS))
def test_what_only_looks_wrong_is_not_caught(animal: Collection) -> None:
    assert animal.run().as_it_should_be


def test_each_animal_overrides_one_guard_and_has_a_name_of_its_own() -> None:
    everybody = [*MUTANTS, *SOUND_VARIANTS]
    assert set(STEPS) == {animal.name for animal in MUTANTS}
    assert len({animal.name for animal in everybody}) == len(everybody)
    for animal in everybody:
        assert len([name for name in vars(animal.rules) if not name.startswith("__")]) == 1
        assert animal.wrong.endswith(".")
    assert set(map(id, everybody)) <= set(map(id, commands.OTHERS))


def test_a_run_that_is_too_long_ends_as_unknown() -> None:
    result = MUTANTS[0].run(Budget(max_states=10))
    assert isinstance(result.verdict, BudgetSpent) and not result.as_it_should_be


# -- the model and the protocol --------------------------------------------------------------------------


def test_the_models_acceptor_answers_as_the_protocols_does() -> None:
    """The model is written apart from `gryadka.protocol`; what both do to one acceptor has to agree."""
    model = Deletion(Scope((W, W, W)))
    request = {ballot: Accept(Ballot(ballot, 1), "x", Ballot(ballot, 1)) for ballot in (1, 2, 3)}
    for promised in range(4):
        for accepted in range(promised + 1):
            ours = Acceptor(promised, accepted, reports=(0, 0, 0))
            theirs = State(_ballot(promised), _ballot(accepted), "x")
            for ballot in (1, 2, 3):
                goes_on = ballot > model.rules.promised(ours)
                assert goes_on == isinstance(protocol.prepare(theirs, Prepare(_ballot(ballot)))[1], Promise)
                takes_it = ballot >= model.rules.promised(ours)
                assert takes_it == isinstance(protocol.accept(theirs, request[ballot])[1], Accepted)


def _ballot(number: int) -> Ballot:
    return Ballot(number, 1) if number else ZERO


def test_an_absent_register_counts_as_promised_at_the_floor() -> None:
    rules = Rules(Scope())
    assert rules.promised(Acceptor(0, -1, floor=5)) == 5
    assert rules.promised(Acceptor(2, 0, floor=5)) == 2


# -- what clients see ------------------------------------------------------------------------------------


def faults(*operations: tuple[Kind, Value | None, set[int]]) -> list[str]:
    numbered = [
        Operation(number, kind, shown, frozenset(before)) for number, (kind, shown, before) in enumerate(operations, 1)
    ]
    return [name for name, _ in judge(numbered)]


def test_what_fits_an_order_is_no_fault() -> None:
    assert not faults((W, (1,), set()), (D, (), {1}), (R, (), {1, 2}))
    assert not faults((W, (1,), set()), (D, None, set()), (R, (), {1}))
    assert not faults((W, None, set()), (R, (), set()), (R, (1,), {2}))
    assert not faults((W, (1,), set()), (D, (), set()), (R, (1,), {1, 2}))


def test_a_fault_is_called_by_its_name() -> None:
    assert faults((W, (1,), set()), (D, (), {1}), (R, (1,), {1, 2})) == [UNDONE, ONE_ORDER]
    assert faults((W, (1,), set()), (R, (), {1})) == [LOST, ONE_ORDER]
    assert faults((W, (1, 1), set())) == [TWICE, ONE_ORDER]
    assert faults((W, (1,), set()), (W, (2,), set())) == [ONE_ORDER]


# -- the command -----------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    deletion_commands.add_to(app)
    app.command()(commands.mutants)
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_the_command_explores_what_is_asked() -> None:
    code, told = run("explore-deletion", "write", "delete", "--json")
    assert code == 0
    assert (found := json.loads(told))["verdict"] == "exhausted"
    assert found["distinct"] == 278 and found["scope"] == json.loads(json.dumps(asdict(Scope((W, D)))))


def test_the_command_tells_the_run_that_shows_a_fault() -> None:
    code, told = run("explore-deletion", "--mutant", "collects a value")
    assert code == 1
    assert "A forgets the record; its floor is 1" in told
    assert told.rstrip().endswith("So change 1 was acknowledged, and then change 3 (a read) was shown [].")
    code, told = run("explore-deletion", "--mutant", "collects nothing", "--json")
    assert code == 1 and json.loads(told)["steps"] == []
    assert json.loads(told)["why"] == "whatever happens, it is never so that a deleted record is gone everywhere"


@pytest.mark.parametrize(
    "arguments", [(), ("write", "--mutant", "collects a value"), ("shout",), ("--mutant", "nobody")]
)
def test_the_command_refuses_what_makes_no_sense(arguments: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError):
        run("explore-deletion", *arguments)


def test_the_zoo_lists_them() -> None:
    code, told = run("mutants", "--only", "collects a value", "--json")
    assert code == 0 and [row["name"] for row in json.loads(told)["mutants"]] == ["collects a value"]
