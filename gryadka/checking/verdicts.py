"""How a check of a history can end: ok with an order, violation with its evidence, or unknown.

What may live here: verdicts, and the budget whose end is the third of them. No check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gryadka.checking.history import Operation


@dataclass(frozen=True)
class Budget:
    """When to give up; `None` means no limit. A step is one move of the search, or one turning back.

    `max_steps` also bounds memory: a step keeps at most one configuration, some hundred bytes.
    """

    max_steps: int | None = 1_000_000
    max_seconds: float | None = None


DEFAULT_BUDGET = Budget()


@dataclass(frozen=True)
class Ok:
    """Linearizable. `linearization` is an order that explains every result, over all keys; operations that
    failed, and unknown ones that are not needed, are not in it. Each may have taken effect at the time of
    the same place in `points_s`."""

    linearization: tuple[Operation, ...]
    points_s: tuple[float, ...]

    def __str__(self) -> str:
        return f"ok: linearizable, {len(self.linearization)} operations"


@dataclass(frozen=True)
class Violation:
    """Not linearizable. `operations`, all on `key`, fit into no order, and nothing that the others did can help;
    `reason` says it in a sentence. `smallest` is True when it is sure that none of them can be spared."""

    key: str
    operations: tuple[Operation, ...]
    reason: str
    smallest: bool = True

    def __str__(self) -> str:
        return "\n  ".join([f"violation: {self.reason}", *map(_timed, self.operations)])


@dataclass(frozen=True)
class Unknown:
    """The budget was spent before there was an answer. It is not an ok."""

    reason: str

    def __str__(self) -> str:
        return f"unknown: {self.reason}"


Verdict: TypeAlias = Ok | Violation | Unknown


def _timed(operation: Operation) -> str:
    end = "open" if operation.completed_s is None else f"{operation.completed_s:.6g} s"
    return f"{operation.invoked_s:.6g} s to {end}: {operation}"
