"""The model of CASPaxos: what it counts, what it reaches, and that symmetry hides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from gryadka.checking.explore import Exhausted, GoalReached, Property, Violation, explore
from gryadka.checking.model import (
    Caspaxos,
    Label,
    Numbers,
)
from gryadka.checking.mutants import MUTANTS
from gryadka.checking.rules import Broken, Memory, Scope, unpack
from gryadka.errors import ConfigurationError
from gryadka.protocol.acceptor import (
    Accept,
    Prepare,
)

pytestmark = pytest.mark.slow

TURNS = Scope(changes=(("append", "append"), ("append",)))
CACHE = replace(TURNS, ballots=3, cache=True)
FLEXIBLE = Scope(acceptors=4, prepare_quorum=3, accept_quorum=2)


def mutant(name: str) -> Caspaxos:
    return next(mutant for mutant in MUTANTS if mutant.name == name).model()


def found(model: Caspaxos, *, only_clients: bool = False) -> Violation[Numbers, Label]:
    verdict = explore(model.model(only_clients=only_clients))
    assert isinstance(verdict, Violation)
    return verdict


# -- what is counted -------------------------------------------------------------------------------------


def test_one_of_each_has_the_states_that_can_be_counted_by_hand() -> None:
    """Start, asked to promise, promised, asked to accept, accepted, ended: each state follows from the last."""
    assert explore(Caspaxos(Scope(1, 1, 1)).model()) == Exhausted(6, 6, 6)


@pytest.mark.parametrize(
    ("scope", "generated", "distinct", "depth"),
    [
        (Scope(3, 1, 1), 24, 15, 9),
        (Scope(3, 2, 1), 791, 287, 16),
        (Scope(3, 2, 2), 63_451, 15_214, 26),
        (Scope(3, 3, 1), 25_053, 6_852, 23),
        (Scope(5, 2, 1), 4_692, 1_204, 22),
        (Scope(3, 2, 1, symmetric=False), 3_408, 1_031, 16),
    ],
)
def test_the_protocol_exhausts_without_a_fault(scope: Scope, generated: int, distinct: int, depth: int) -> None:
    assert explore(Caspaxos(scope).model()) == Exhausted(generated, distinct, depth)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scope", "generated", "distinct", "depth"),
    [
        (Scope(symmetric=False), 314_097, 68_193, 26),
        (Scope(deadlines=True), 209_681, 40_758, 26),
        (Scope(changes=("append", "append"), deadlines=True), 1_012_781, 192_467, 30),
        (Scope(changes=(("append",), ("create",))), 63_451, 15_214, 26),
        (Scope(changes=(("append",), ("read", "read"))), 78_423, 18_804, 28),
        (Scope(conflicts=True), 78_341, 18_546, 26),
        (Scope(conflicts=True, duplicates=False), 117_570, 26_561, 26),
        (Scope(4, 2, 2, prepare_quorum=3, accept_quorum=2), 205_835, 43_289, 32),
        (Scope(4, 2, 2, prepare_quorum=2, accept_quorum=3), 417_993, 67_571, 28),
        (CACHE, 213_574, 51_336, 26),
        (replace(CACHE, deadlines=True), 1_120_112, 219_521, 27),
        (replace(CACHE, conflicts=True), 290_362, 70_323, 26),
    ],
)
def test_so_it_does_with_all_that_a_real_cluster_has(scope: Scope, generated: int, distinct: int, depth: int) -> None:
    assert explore(Caspaxos(scope).model()) == Exhausted(generated, distinct, depth)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scope", "generated", "distinct", "depth"),
    [
        (Scope(lineage=1), 52_047, 12_864, 25),
        (Scope(ballots=3, lineage=1), 1_818_590, 361_575, 34),
        (replace(CACHE, lineage=1), 202_416, 48_745, 25),
        (replace(CACHE, lineage=1, deadlines=True), 1_039_022, 203_375, 25),
    ],
)
def test_the_retry_rule_is_sound_when_a_lineage_is_too_short_to_name_everybody(
    scope: Scope, generated: int, distinct: int, depth: int
) -> None:
    assert explore(Caspaxos(scope).model()) == Exhausted(generated, distinct, depth)


# -- what can be reached: a check that never meets the hard case has checked nothing ----------------------


def reach(scope: Scope, name: str, holds: Callable[[Memory], bool]) -> bool:
    model = Caspaxos(scope)
    goal = Property[Numbers](name, lambda state: any(map(holds, model.world(state).memories)))
    return isinstance(explore(model.model(), goal=goal), GoalReached)


def two_changes_with_one_prepare(me: Memory) -> bool:
    return len(me.outcomes) == 2 and sum(isinstance(message, Prepare) for message in me.sent) == 1


def own_value_found_and_chosen_again(me: Memory) -> bool:
    values = [message.value for message in me.sent if isinstance(message, Accept)]
    return len(me.outcomes) == 1 and len(values) == 2 and unpack(values[0])[0] == unpack(values[1])[0] != ()


def own_value_found_under_anothers(me: Memory) -> bool:
    """The caller is shown what its change made of the register; what was chosen again is longer."""
    last = next((message for message in reversed(me.sent) if isinstance(message, Accept)), None)
    return bool(me.outcomes) and last is not None and len(unpack(last.value)[0]) > len(me.outcomes[0].history) > 0


def passed_over_and_applied_again(me: Memory) -> bool:
    values = [unpack(message.value)[0] for message in me.sent if isinstance(message, Accept)]
    return len(me.outcomes) == 1 and len(values) == 2 and values[0] == (1,) and values[1] == (2, 1)


def unknown(me: Memory) -> bool:
    return any(outcome.ending == "unknown" for outcome in me.outcomes)


def test_the_hard_cases_of_the_retry_rule_are_reached() -> None:
    assert reach(Scope(), "chosen again", own_value_found_and_chosen_again)
    assert reach(Scope(), "carried on by another", own_value_found_under_anothers)
    assert reach(Scope(), "passed over by another", passed_over_and_applied_again)
    assert reach(CACHE, "one round trip", two_changes_with_one_prepare)


def test_an_outcome_stays_unknown_only_if_a_lineage_cannot_name_everybody() -> None:
    assert not reach(Scope(), "unknown", unknown)
    assert reach(Scope(lineage=1), "unknown", unknown)


# -- symmetry --------------------------------------------------------------------------------------------


def reachable(model: Caspaxos) -> set[Numbers]:
    seen, waiting = {model.initial}, [model.initial]
    while waiting:
        for _, after in model.successors(waiting.pop()):
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    return seen


def readable(model: Caspaxos, state: Numbers) -> Any:
    return model.world(state), tuple(sorted(model.cells(state), key=repr))


def test_symmetry_neither_loses_a_state_nor_invents_one() -> None:
    plain, reduced = Caspaxos(Scope(ballots=1, symmetric=False)), Caspaxos(Scope(ballots=1))
    states = {readable(plain, state) for state in reachable(plain)}
    assert states == {readable(reduced, state) for state in reachable(reduced)}
    assert len(states) == 287


@pytest.mark.parametrize("name", ["takes the first value", "keeps the old ballot", "counts late replies"])
def test_symmetry_changes_no_verdict(name: str) -> None:
    reduced = mutant(name)
    plain = Caspaxos(replace(reduced.scope, symmetric=False), reduced.steps.rules)
    one, other = found(reduced), found(plain)
    assert (one.name, len(one.trace)) == (other.name, len(other.trace))


# -- scopes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"acceptors": 0}, "needs an acceptor"),
        ({"changes": ()}, "needs an acceptor"),
        ({"lineage": 0}, "a place in a lineage"),
        ({"changes": (("append",),)}, "2 proposers, but changes for 1"),
        ({"accept_quorum": 4}, "a quorum of 4 cannot be formed by 3"),
        ({"prepare_quorum": 0}, "a quorum of 0"),
    ],
)
def test_a_scope_in_which_nothing_can_happen_is_refused(wrong: Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        Scope(**wrong)


def test_a_stored_text_that_nobody_sent_is_refused() -> None:
    assert unpack(None) == ((), {})
    assert unpack('{"value":[1,2],"lineage":{"1": 3}}') == ((1, 2), {"1": 3})
    for text in ("made up", "[]", '{"value":3,"lineage":{}}'):
        with pytest.raises(Broken, match="never proposed"):
            unpack(text)
