"""The generic explorer, on small models whose answers are known from elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Hashable, Iterator
from itertools import count, pairwise
from math import comb
from pathlib import Path
from typing import Any, TypeVar

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tqdm import tqdm

from gryadka.checking import explore as explorer
from gryadka.checking.explore import (
    STATES_PER_CHECK,
    ActionProperty,
    Budget,
    BudgetSpent,
    Exhausted,
    GoalReached,
    Model,
    NotDeterministicError,
    Progress,
    Property,
    Step,
    Violation,
    explore,
    progress_bar,
)

State = TypeVar("State", bound=Hashable)
Label = TypeVar("Label")
Jugs = tuple[int, int]


def pour(jugs: Jugs) -> list[tuple[str, Jugs]]:
    """Two jugs, of 3 and 5 litres; the DieHard example of TLA+."""
    small, big = jugs
    to_big, to_small = min(small, 5 - big), min(big, 3 - small)
    return [
        ("fill small", (3, big)),
        ("fill big", (small, 5)),
        ("empty small", (0, big)),
        ("empty big", (small, 0)),
        ("small to big", (small - to_big, big + to_big)),
        ("big to small", (small + to_small, big - to_small)),
    ]


def four_litres(jugs: Jugs) -> bool:
    return jugs[1] == 4


def walk(model: Model[State, Label], trace: tuple[Step[State, Label], ...]) -> None:
    """Fail unless the trace is a run of the model, from the start."""
    assert trace[0].label is None and trace[0].state in model.initial
    for before, step in pairwise(trace):
        assert (step.label, step.state) in list(model.successors(before.state))


def counter(limit: int | None = None) -> Model[int, str]:
    """Counts up, for ever or up to a limit."""
    return Model([0], lambda n: [] if n == limit else [("add one", n + 1)])


# Verdicts.


def test_exhausted_counts_are_those_of_tlc_for_the_jugs() -> None:
    # TLC on DieHard.tla: 97 states generated, 16 distinct, depth 8.
    verdict = explore(Model([(0, 0)], pour))
    assert verdict == Exhausted(97, 16, 8)
    assert str(verdict) == "exhausted (97 states generated, 16 distinct, depth 8)"


def test_violation_is_the_shortest_known_solution_of_the_jugs() -> None:
    model = Model([(0, 0)], pour, invariants=[Property("big is not 4", lambda jugs: not four_litres(jugs))])
    verdict = explore(model)
    assert isinstance(verdict, Violation)
    assert (verdict.name, verdict.kind, verdict.depth) == ("big is not 4", "invariant", 7)
    assert [step.label for step in verdict.trace] == [
        None, "fill big", "big to small", "empty small", "big to small", "fill big", "big to small",
    ]  # fmt: skip
    walk(model, verdict.trace)
    assert "fails after 6 steps" in str(verdict)


def test_goal_reached_by_a_shortest_trace() -> None:
    verdict = explore(Model([(0, 0)], pour), goal=Property("four litres", four_litres))
    assert isinstance(verdict, GoalReached)
    assert (verdict.name, len(verdict.trace), verdict.trace[-1].state) == ("four litres", 7, (3, 4))
    assert str(verdict).startswith("goal reached: 'four litres' after 6 steps")


def test_goal_out_of_reach_exhausts() -> None:
    never = Property[Jugs]("nine litres", lambda jugs: sum(jugs) > 8)
    assert explore(Model([(0, 0)], pour), goal=never) == Exhausted(97, 16, 8)


def test_must_reach_property_never_reached_is_a_violation() -> None:
    wanted = [Property("four litres", four_litres), Property("six litres", lambda jugs: jugs[1] == 6)]
    assert explore(Model([(0, 0)], pour, must_reach=wanted[:1])) == Exhausted(97, 16, 8)
    verdict = explore(Model([(0, 0)], pour, must_reach=wanted))
    assert verdict == Violation(97, 16, 8, "six litres", "never reached", ())
    assert "true in no state" in str(verdict)


def test_a_model_that_does_nothing_fails_its_must_reach_property() -> None:
    lazy: Model[int, str] = Model([0], lambda n: [], must_reach=[Property("moves", lambda n: n > 0)])
    assert explore(lazy) == Violation(1, 1, 1, "moves", "never reached", ())


def test_initial_state_can_satisfy_or_violate() -> None:
    done = Property[int]("is zero", lambda n: n == 0)
    assert isinstance(explore(Model([0], lambda n: [], must_reach=[done])), Exhausted)
    assert explore(counter(), goal=done) == GoalReached(1, 1, 1, "is zero", (Step(None, 0),))
    assert explore(Model([0, 1, 2], lambda n: [], invariants=[done])) == Violation(
        2, 2, 1, "is zero", "invariant", (Step(None, 1),)
    )


def test_no_initial_state_is_refused() -> None:
    empty: Model[int, str] = Model([], lambda n: [])
    with pytest.raises(ValueError, match="initial"):
        explore(empty)


def test_several_initial_states_and_repeats_among_them() -> None:
    assert explore(Model([3, 5, 3], lambda n: [("down", n - 1)] if n else [])) == Exhausted(3 + 5, 6, 4)


# Action properties.


def test_action_property_sees_a_step_to_a_state_that_is_old() -> None:
    """The states 0, 1, 2 are all fine; the step from 2 back to 0 is not, and 0 was seen long before."""
    rises = ActionProperty[int, str]("rises", lambda before, label, after: before < after)
    ring = Model([0], lambda n: [("next", (n + 1) % 3)], action_properties=[rises])
    verdict = explore(ring)
    assert verdict == Violation(
        4, 3, 3, "rises", "action", (Step(None, 0), Step("next", 1), Step("next", 2), Step("next", 0))
    )
    walk(ring, verdict.trace)


def test_action_property_is_given_the_label() -> None:
    poured = ActionProperty[Jugs, str]("pours", lambda a, label, b: "to" not in label or sum(a) == sum(b))
    assert explore(Model([(0, 0)], pour, action_properties=[poured])) == Exhausted(97, 16, 8)
    no_fill = ActionProperty[Jugs, str]("never fill big", lambda before, label, after: label != "fill big")
    verdict = explore(Model([(0, 0)], pour, action_properties=[no_fill]))
    assert isinstance(verdict, Violation)
    assert verdict.trace == (Step(None, (0, 0)), Step("fill big", (0, 5)))


# Mutual exclusion: two processes and a door.

Doors = tuple[str, str]


def careless(state: Doors) -> Iterator[tuple[str, Doors]]:
    """Look whether the other one is inside; enter later, without another look."""
    for me in (0, 1):
        following = {"idle": "looked", "looked": "inside", "inside": "idle"}[state[me]]
        if following != "looked" or state[1 - me] != "inside":
            yield f"{me} {following}", (following, state[1]) if me == 0 else (state[0], following)


def test_check_then_act_breaks_mutual_exclusion_in_four_steps() -> None:
    alone = Property[Doors]("mutual exclusion", lambda state: state != ("inside", "inside"))
    model = Model([("idle", "idle")], careless, invariants=[alone])
    verdict = explore(model)
    assert isinstance(verdict, Violation) and len(verdict.trace) - 1 == 4
    walk(model, verdict.trace)


# Against another search.


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[int, list[int]], int]:
    size = draw(st.integers(1, 12))
    node = st.integers(0, size - 1)
    edges = draw(st.fixed_dictionaries({n: st.lists(node, max_size=4) for n in range(size)}))
    return edges, draw(node)


@given(graphs())
def test_random_graphs_agree_with_networkx(drawn: tuple[dict[int, list[int]], int]) -> None:
    edges, target = drawn
    model: Model[int, int] = Model([0], lambda n: [(turn, after) for turn, after in enumerate(edges[n])])
    graph: nx.DiGraph[int] = nx.DiGraph([(n, after) for n in edges for after in edges[n]])
    graph.add_node(0)
    distance = nx.single_source_shortest_path_length(graph, 0)
    generated = 1 + sum(len(edges[n]) for n in distance)
    assert explore(model) == Exhausted(generated, len(distance), 1 + max(distance.values()))

    verdict = explore(model, goal=Property("target", lambda n: n == target))
    assert isinstance(verdict, GoalReached) == (target in distance)
    if isinstance(verdict, GoalReached):
        assert len(verdict.trace) - 1 == distance[target]
        assert verdict.depth == len(verdict.trace)
        walk(model, verdict.trace)


# Symmetry.

Counters = tuple[int, ...]
ZEROS: Counters = (0, 0, 0)


def three_counters(state: Counters) -> Iterator[tuple[str, Counters]]:
    for place, value in enumerate(state):
        if value < 4:
            yield f"counter {place}", (*state[:place], value + 1, *state[place + 1 :])


def in_order(state: Counters) -> Counters:
    return tuple(sorted(state))


def test_symmetry_counts_multisets() -> None:
    full = explore(Model([ZEROS], three_counters))
    reduced = explore(Model([ZEROS], three_counters, canonical=in_order))
    assert (full.distinct, full.depth) == (5**3, 13)
    assert (reduced.distinct, reduced.depth) == (comb(5 + 3 - 1, 3), 13)


def test_symmetry_keeps_traces_real_and_as_short() -> None:
    """The trace is a run of the model as written: no counter changes its place between two steps."""
    small = Property[Counters]("not (1, 2, 4)", lambda s: in_order(s) != (1, 2, 4))
    model = Model([ZEROS], three_counters, invariants=[small], canonical=in_order)
    verdict = explore(model)
    assert isinstance(verdict, Violation)
    assert len(verdict.trace) - 1 == 7
    walk(model, verdict.trace)


# Budgets: unknown is never "ok". The largest numbers here only bound a broken search.


def test_budget_of_states() -> None:
    verdict = explore(counter(), budget=Budget(max_states=100))
    assert verdict == BudgetSpent(101, 100, 100, "states")
    assert str(verdict).startswith("unknown: the budget of states is spent, no fault found so far")


def test_budget_of_exactly_the_states_there_are_is_enough() -> None:
    assert explore(counter(9), budget=Budget(max_states=10)) == Exhausted(10, 10, 10)
    assert isinstance(explore(counter(9), budget=Budget(max_states=9)), BudgetSpent)


def test_unreached_must_reach_property_is_unknown_when_the_budget_is_spent() -> None:
    late = Model([0], counter().successors, must_reach=[Property("late", lambda n: n == 10**9)])
    assert isinstance(explore(late, budget=Budget(max_states=50)), BudgetSpent)


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(max_states=100_000, max_seconds=0), "seconds"),
        (Budget(max_states=100_000, max_memory_mb=1), "memory"),
        (Budget(max_states=100_000, max_seconds=3600, max_memory_mb=10**6), "states"),
    ],
)
def test_budgets_of_time_and_memory(budget: Budget, reason: str) -> None:
    verdict = explore(counter(), budget=budget)
    assert isinstance(verdict, BudgetSpent)
    assert verdict.reason == reason


def test_time_budget_is_heeded_inside_one_endless_list_of_successors() -> None:
    model: Model[int, str] = Model([0], lambda n: (("again", 0) for _ in range(10**6)))
    assert explore(model, budget=Budget(max_seconds=0)) == BudgetSpent(STATES_PER_CHECK, 1, 1, "seconds")


def test_memory_budget_is_refused_where_memory_cannot_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    with pytest.raises(RuntimeError, match="max_states"):
        explore(counter(5), budget=Budget(max_memory_mb=100))


# Interrupt and progress.


def test_interrupt_keeps_the_counts() -> None:
    def interrupted(n: int) -> list[tuple[str, int]]:
        if n == 5000:
            signal.raise_signal(signal.SIGINT)
        return [("add one", n + 1)] if n < 6000 else []

    verdict = explore(Model([0], interrupted))
    assert verdict == BudgetSpent(5001, 5001, 5001, "interrupted")
    assert str(verdict).startswith("unknown: interrupted")


def test_progress_is_reported_and_grows() -> None:
    seen: list[Progress] = []
    verdict = explore(counter(5000), progress=seen.append)
    assert isinstance(verdict, Exhausted)
    expected = range(STATES_PER_CHECK, 5001 + 1, STATES_PER_CHECK)
    assert [now.generated for now in seen] == list(expected)
    assert all(now.distinct == now.depth == now.generated and now.waiting == 2 for now in seen)


def test_progress_counts_the_states_that_wait() -> None:
    """From 0 to 1..1000, and from each of these to one more: one leaves the queue as the next joins."""
    fan = {0: range(1, 1001)} | {n: range(n + 1000, n + 1001) for n in range(1, 1001)}
    seen: list[Progress] = []
    explore(Model([0], lambda n: (("to", after) for after in fan.get(n, ()))), progress=seen.append)
    assert [now.waiting for now in seen] == [min(now.generated, 1001) for now in seen]
    assert len(seen) == 2001 // STATES_PER_CHECK


def test_progress_bar_counts_distinct_states(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bars: list[tqdm[None]] = []

    def make(**options: Any) -> tqdm[None]:
        bars.append(tqdm(**options))
        return bars[0]

    monkeypatch.setattr(explorer, "tqdm", make)
    with progress_bar("counting") as show:
        explore(counter(5000), progress=show)
    assert bars[0].n == 5001 // STATES_PER_CHECK * STATES_PER_CHECK
    assert "counting" in capsys.readouterr().err


# Faults in the model.


def test_a_model_that_changes_its_mind_is_named() -> None:
    calls = count()

    def fickle(n: int) -> list[tuple[str, int]]:
        return [("step", n + 1 + 10 * next(calls))] if n < 100 else []

    with pytest.raises(NotDeterministicError, match="two different answers"):
        explore(Model([0], fickle, invariants=[Property("below 5", lambda n: n < 5)]))


def test_a_model_that_takes_a_step_back_is_named() -> None:
    answers = iter([[("step", 1)], [("step", 2)], []])

    def forgetful(n: int) -> list[tuple[str, int]]:
        return next(answers)

    with pytest.raises(NotDeterministicError):
        explore(Model([0], forgetful, invariants=[Property("below 2", lambda n: n < 2)]))


def test_an_exception_in_the_model_is_not_swallowed() -> None:
    def broken(n: int) -> list[tuple[str, int]]:
        raise ZeroDivisionError("in the model")

    with pytest.raises(ZeroDivisionError, match="in the model"):
        explore(Model([0], broken))


# Determinism.

SCRIPT = """
from gryadka.checking.explore import Model, Property, explore
from gryadka.checking.synod import Synod, remember

def swap(word):
    return [(f"{i}{j}", "".join(sorted(word[:i])) + word[j:] + word[i:j])
            for i in range(len(word)) for j in range(i, len(word))]

print(explore(Model(["paxos", "synod"], swap)))
print(explore(Model(["paxos", "synod"], swap, canonical=frozenset)))
print(explore(Model(["paxos"], swap), goal=Property("x first", lambda word: word[0] == "x")).trace)
print(explore(Model(["paxos"], swap), goal=Property("so", lambda word: word[:2] == "so")).trace)
print(explore(Synod(change=remember, quorum_size=1).model()).trace)
"""


@pytest.mark.slow
def test_hash_seeds_change_nothing() -> None:
    root = Path(__file__).parent.parent

    def run(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)}
        command = [sys.executable, "-c", SCRIPT]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    outputs = {run(seed) for seed in ("0", "1", "2", "42")}
    assert len(outputs) == 1
    assert "Step(label=" in outputs.pop()
