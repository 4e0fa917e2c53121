"""How wrong protocols are collected, and how each one is put to the test.

What may live here: the collection and the run. The animals are in `mutants` (acceptors, choice of a value) and
`retry` (quorums, ballots, repeats, answers to callers), and in `members_zoo` and `deletion_zoo` (other models).

Each is `Rules` with exactly one method overridden. Its class name is its name, and its docstring says what is
wrong. `@zoo.mutant(...)` names the property that must catch it, and a scope that is large enough to show it.
`@zoo.sound(...)` marks a variant that only looks wrong: it has to be explored to the end without a fault, or the
model would call sound protocols wrong.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from gryadka.checking.explore import Budget, Exhausted, Model, Verdict, Violation, explore
from gryadka.checking.model import Caspaxos
from gryadka.checking.rules import Rules, Scope

R = TypeVar("R", bound=type[Rules])

ENOUGH = Budget(max_states=2_000_000)
"""Several times what the largest of them needs: a mutant that is not caught ends as unknown, not never."""


class Explored(Protocol):
    """What `explore` can be asked about."""

    def model(self) -> Model[Any, Any]:
        """Return it in the form that `explore` takes."""


M = TypeVar("M", bound=Explored)


class Animal(Generic[M]):
    """A variant of the rules of some model, and what has to become of it: `caught_by` is "" for a sound one."""

    rules: type[Any]
    caught_by: str

    @property
    def name(self) -> str:
        """The class name, in words."""
        return re.sub(r"(?<!^)(?=[A-Z])", " ", self.rules.__name__).lower()

    @property
    def wrong(self) -> str:
        """What it does, in a sentence."""
        return (self.rules.__doc__ or "").strip()

    def model(self) -> M:
        """Return the model of this variant."""
        raise NotImplementedError

    def run(self, budget: Budget = ENOUGH) -> Result[M]:
        """Explore it, and tell how that ended."""
        begun, model = time.perf_counter(), self.model()
        verdict = explore(model.model(), budget=budget)
        return Result(self, model, verdict, time.perf_counter() - begun)


@dataclass(frozen=True)
class Mutant(Animal[Caspaxos]):
    """A variant of the rules of one register, in a scope that is large enough to show the fault."""

    rules: type[Rules]
    scope: Scope
    caught_by: str

    def model(self) -> Caspaxos:
        """Return the model of this variant."""
        return Caspaxos(self.scope, self.rules(self.scope))


@dataclass(frozen=True)
class Result(Generic[M]):
    """How the exploration of a variant ended; it took `seconds` of wall time. `model` reads its states."""

    mutant: Animal[M]
    model: M
    verdict: Verdict[Any, Any]
    seconds: float

    @property
    def caught_by(self) -> str:
        """The property that failed, or "" if none did."""
        return self.verdict.name if isinstance(self.verdict, Violation) else ""

    @property
    def steps(self) -> int | None:
        """The length of the shortest run that shows the fault; None if no run can show it, or none was found."""
        trace = self.verdict.trace if isinstance(self.verdict, Violation) else ()
        return len(trace) - 1 if trace else None

    @property
    def as_it_should_be(self) -> bool:
        """Whether a wrong variant was caught by its property, or a sound one was explored to the end."""
        return self.caught_by == self.mutant.caught_by and isinstance(self.verdict, Violation | Exhausted)


class Zoo:
    """Two lists that grow as classes are defined."""

    def __init__(self) -> None:
        self.mutants: list[Mutant] = []
        self.sound_variants: list[Mutant] = []

    def mutant(self, caught_by: str, scope: Scope | None = None) -> Callable[[R], R]:
        """Mark rules as wrong."""
        return self._into(self.mutants, caught_by, scope)

    def sound(self, scope: Scope | None = None) -> Callable[[R], R]:
        """Mark rules as sound, though they differ from ours."""
        return self._into(self.sound_variants, "", scope)

    def _into(self, there: list[Mutant], caught_by: str, scope: Scope | None) -> Callable[[R], R]:
        def add(rules: R) -> R:
            there.append(Mutant(rules, scope or Scope(), caught_by))
            return rules

        return add
