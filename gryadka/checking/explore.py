"""Breadth-first explicit-state model checking.

What may live here: the search, its budget and its verdicts. Nothing here knows of Paxos, of messages
or of Redis; a model of anything can be explored. No randomness, and the wall clock only for a budget.

The theory in a few lines. A *model* says in which states a system may start and which states may follow
a state. Those states and steps form a graph. The search visits every state that can be reached, nearest
first, and remembers what it has visited, so it ends when the graph is finite. Three kinds of property
are judged on the way:

- an *invariant* holds in every state ("at most one value per ballot");
- an *action property* holds in every step ("a promise never goes back"); TLA+ gave it its name;
- a *must-reach* property holds in at least one state ("something is chosen"). Without one, a protocol
  that does nothing at all keeps every invariant and looks perfect.

Nearest first means that the first fault found is also one that takes the fewest steps, so the trace in a
`Violation` is as short as any can be.

*Symmetry*: if parts of a system are interchangeable, states that differ only by a swap of those parts
behave alike, and one of them stands for all. `Model.canonical` names that one (for example by sorting).
The search still walks through real states, so a trace is always a run of the model as written.

*Memory*: a visited state is remembered in a set, plus two integers: the state that it was found from, and
which successor it was. A trace is made by following these back to the start, then taking the same turns
again from there. Hence `successors` must be deterministic: same state, same successors, same order.

Counting follows TLC, the TLA+ model checker (Yu, Manolios, Lamport: "Model checking TLA+
specifications", CHARME 1999): *generated* counts the initial states and every successor ever produced,
also those seen before; *distinct* counts different states; *depth* counts levels, the initial one is 1.
"""

from __future__ import annotations

import sys
import time
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

from tqdm.auto import tqdm

from gryadka.errors import GryadkaError

State = TypeVar("State", bound=Hashable)
Label = TypeVar("Label")

Kind = Literal["invariant", "action", "never reached"]
Reason = Literal["states", "seconds", "memory", "interrupted"]

# Clock, memory and progress are looked at once per this many generated states: often enough to stop
# within a fraction of a second, seldom enough to cost nothing.
STATES_PER_CHECK = 256


@dataclass(frozen=True)
class Property(Generic[State]):
    """A named question about one state.

    `holds` must be a pure function. As an invariant it must be true in every state; as a must-reach
    property or a goal it is looked for, and one state is enough.
    """

    name: str
    holds: Callable[[State], bool]


@dataclass(frozen=True)
class ActionProperty(Generic[State, Label]):
    """A named question about one step, `holds(before, label, after)`, that must be true in every step."""

    name: str
    holds: Callable[[State, Label, State], bool]


@dataclass(frozen=True)
class Model(Generic[State, Label]):
    """What a system may do, and what must be true of it.

    States are immutable and hashable. `successors(state)` gives every step that is possible in a state,
    as pairs of a label (what happened) and the state after it, always in the same order. `canonical`, if
    given, maps states that differ only by a swap of interchangeable parts to one and the same key; the
    steps and the properties must not tell such states apart.
    """

    initial: Sequence[State]
    successors: Callable[[State], Iterable[tuple[Label, State]]]
    invariants: Sequence[Property[State]] = ()
    action_properties: Sequence[ActionProperty[State, Label]] = ()
    must_reach: Sequence[Property[State]] = ()
    canonical: Callable[[State], Hashable] | None = None


@dataclass(frozen=True)
class Budget:
    """When to give up. `None` means no limit.

    `max_states` counts distinct states. `max_seconds` is wall time. `max_memory_mb` (MiB) is the memory
    of the whole process, not of the search alone.
    """

    max_states: int | None = None
    max_seconds: float | None = None
    max_memory_mb: float | None = None


NO_LIMIT = Budget()


class Progress(NamedTuple):
    """Where a search stands: counts as in `Verdict`; `waiting` is the number of states to expand."""

    generated: int
    distinct: int
    depth: int
    waiting: int


class Step(NamedTuple, Generic[State, Label]):
    """One line of a trace: what happened (`None` for the start), and the state after it."""

    label: Label | None
    state: State


@dataclass(frozen=True)
class Verdict(Generic[State, Label]):
    """How a search ended: one of the four classes below, with its counts (see the top of the module)."""

    word: ClassVar[str] = ""

    generated: int
    distinct: int
    depth: int

    def __str__(self) -> str:
        """One sentence for people: how it ended, and the counts."""
        counts = f"{self.generated:,} states generated, {self.distinct:,} distinct, depth {self.depth}"
        return f"{self._story()} ({counts})"

    def _story(self) -> str:
        return self.word


@dataclass(frozen=True)
class Exhausted(Verdict[State, Label]):
    """Every reachable state was visited; every property holds; a goal, if one was given, is out of reach."""

    word: ClassVar[str] = "exhausted"


@dataclass(frozen=True)
class Violation(Verdict[State, Label]):
    """A property failed. `trace` is a shortest run that shows it, from the initial state to the fault.

    For kind `"never reached"` no run can show the fault, and the trace is empty.
    """

    word: ClassVar[str] = "violation"

    name: str
    kind: Kind
    trace: tuple[Step[State, Label], ...]

    def _story(self) -> str:
        if self.kind == "never reached":
            return f"violation: {self.name!r} is true in no state that can be reached"
        return f"violation: {self.name!r} fails after {len(self.trace) - 1} steps"


@dataclass(frozen=True)
class GoalReached(Verdict[State, Label]):
    """The goal was found. `trace` is a shortest run to it."""

    word: ClassVar[str] = "goal reached"

    name: str
    trace: tuple[Step[State, Label], ...]

    def _story(self) -> str:
        return f"goal reached: {self.name!r} after {len(self.trace) - 1} steps"


@dataclass(frozen=True)
class BudgetSpent(Verdict[State, Label]):
    """The search was stopped. No fault so far, but states remain: the answer is unknown, never "ok"."""

    word: ClassVar[str] = "unknown"

    reason: Reason

    def _story(self) -> str:
        why = "interrupted" if self.reason == "interrupted" else f"the budget of {self.reason} is spent"
        return f"unknown: {why}, no fault found so far"


class NotDeterministicError(GryadkaError):
    """`Model.successors` gave two different answers for one state, so nothing can be concluded."""


def explore(
    model: Model[State, Label],
    *,
    goal: Property[State] | None = None,
    budget: Budget = NO_LIMIT,
    progress: Callable[[Progress], None] | None = None,
) -> Verdict[State, Label]:
    """Visit every state of `model` that can be reached, nearest first, and say how that ended.

    Returns `Exhausted`, `Violation`, `GoalReached` or `BudgetSpent`. Ctrl-C, or the interrupt button of a
    notebook, ends the search with `BudgetSpent` and the counts so far. `progress` is called now and then.

    Raises `ValueError` for a model without initial states (it would pass every check), `RuntimeError` for
    a memory budget where memory cannot be measured, `NotDeterministicError` if the model changes its mind.
    """
    if not model.initial:
        raise ValueError("a model needs at least one initial state: nothing can be checked without one")
    if budget.max_memory_mb is not None:
        process_memory_mb()
    search = _Search(model, goal, budget, progress)
    try:
        return search.run()
    except KeyboardInterrupt:
        return BudgetSpent(*search.counts(), "interrupted")


@contextmanager
def progress_bar(
    description: str = "exploring", *, disable: bool | None = False
) -> Iterator[Callable[[Progress], None]]:
    """A bar to hand to `explore` as `progress`. It counts distinct states; their total is not known.

    `disable=None` shows it on a terminal only, as commands do.
    """
    with tqdm(desc=description, unit=" states", leave=False, disable=disable) as bar:

        def show(now: Progress) -> None:
            bar.set_postfix(depth=now.depth, waiting=now.waiting, refresh=False)
            bar.update(now.distinct - bar.n)

        yield show


def process_memory_mb() -> float:
    """Memory of this process in MiB: what it holds now on Linux, the most it ever held on macOS.

    Raises `RuntimeError` where neither can be read.
    """
    try:
        import resource
    except ImportError:
        raise RuntimeError("memory cannot be measured here: use max_states instead") from None
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


class _Search(Generic[State, Label]):
    """One run of `explore`. States are numbered in the order in which they are found.

    `parents[n]` is the number of the state that state `n` was found from (-1 for an initial one), and
    `turns[n]` says which of its successors it was.
    """

    def __init__(
        self,
        model: Model[State, Label],
        goal: Property[State] | None,
        budget: Budget,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.model = model
        self.goal = goal
        self.budget = budget
        self.progress = progress
        self.deadline = None if budget.max_seconds is None else time.monotonic() + budget.max_seconds
        self.invariants = [(wanted.name, wanted.holds) for wanted in model.invariants]
        self.not_yet_reached = list(model.must_reach)
        self.seen: set[Hashable] = set()
        self.parents = array("q")
        self.turns = array("q")
        self.level: list[State] = []
        self.next_level: list[State] = []
        self.generated = 0
        self.check_at = STATES_PER_CHECK
        self.levels_begun = 0

    def counts(self) -> tuple[int, int, int]:
        depth = self.levels_begun + bool(self.next_level)
        return self.generated, len(self.seen), depth

    def run(self) -> Verdict[State, Label]:
        verdict = self._begin()
        while verdict is None and self.next_level:
            self.level, self.next_level = self.next_level, []
            self.levels_begun += 1
            verdict = self._expand_level()
        if verdict is not None:
            return verdict
        if self.not_yet_reached:
            return Violation(*self.counts(), self.not_yet_reached[0].name, "never reached", ())
        return Exhausted(*self.counts())

    def _begin(self) -> Verdict[State, Label] | None:
        canonical = self.model.canonical
        for turn, state in enumerate(self.model.initial):
            self.generated += 1
            key = state if canonical is None else canonical(state)
            if key not in self.seen:
                verdict = self._visit(key, state, -1, turn)
                if verdict is not None:
                    return verdict
        return None

    def _expand_level(self) -> Verdict[State, Label] | None:
        """The hot loop: everything that is looked up often is a local name."""
        successors, canonical = self.model.successors, self.model.canonical
        kept, seen = [(wanted.name, wanted.holds) for wanted in self.model.action_properties], self.seen
        generated, check_at = self.generated, self.check_at
        first = len(self.parents) - len(self.level)
        try:
            for number, before in enumerate(self.level, first):
                generated_before = generated
                for label, after in successors(before):
                    generated += 1
                    for name, holds in kept:
                        if not holds(before, label, after):
                            self.generated = generated
                            trace = (*self._trace(number, before), Step(label, after))
                            return Violation(*self.counts(), name, "action", trace)
                    key = after if canonical is None else canonical(after)
                    if key not in seen:
                        self.generated = generated
                        verdict = self._visit(key, after, number, generated - generated_before - 1)
                        if verdict is not None:
                            return verdict
                    if generated >= check_at:
                        self.generated = generated
                        check_at = self.check_at = generated + STATES_PER_CHECK
                        spent = self._check_budget(number - first)
                        if spent is not None:
                            return spent
        finally:
            self.generated = generated
        return None

    def _visit(self, key: Hashable, state: State, parent: int, turn: int) -> Verdict[State, Label] | None:
        """Remember a state that was not seen before, and judge it."""
        if self.budget.max_states is not None and len(self.seen) >= self.budget.max_states:
            return BudgetSpent(*self.counts(), "states")
        number = len(self.parents)
        self.seen.add(key)
        self.parents.append(parent)
        self.turns.append(turn)
        self.next_level.append(state)
        for name, holds in self.invariants:
            if not holds(state):
                return Violation(*self.counts(), name, "invariant", self._trace(number, state))
        if self.not_yet_reached:
            self.not_yet_reached = [wanted for wanted in self.not_yet_reached if not wanted.holds(state)]
        if self.goal is not None and self.goal.holds(state):
            return GoalReached(*self.counts(), self.goal.name, self._trace(number, state))
        return None

    def _check_budget(self, expanded: int) -> BudgetSpent[State, Label] | None:
        """Report progress; `expanded` states of the current level are behind us."""
        if self.progress is not None:
            waiting = len(self.level) - expanded + len(self.next_level)
            self.progress(Progress(*self.counts(), waiting))
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return BudgetSpent(*self.counts(), "seconds")
        if self.budget.max_memory_mb is not None and process_memory_mb() > self.budget.max_memory_mb:
            return BudgetSpent(*self.counts(), "memory")
        return None

    def _trace(self, number: int, state: State) -> tuple[Step[State, Label], ...]:
        """The run that led to state `number`: follow the parents back, then take the same turns again."""
        turns = []
        while number >= 0:
            turns.append(self.turns[number])
            number = self.parents[number]
        trace: list[Step[State, Label]] = [Step(None, self.model.initial[turns.pop()])]
        while turns:
            following = self.model.successors(trace[-1].state)
            step = next(islice(following, turns.pop(), None), None)
            if step is None:
                break
            trace.append(Step(*step))
        if turns or trace[-1].state != state:
            raise NotDeterministicError("successors() gave two different answers for one and the same state")
        return tuple(trace)
