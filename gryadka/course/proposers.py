"""Finds out what is wrong with a learner's proposer.

What may live here: the questions that are asked about one, and in which runs.

A proposer is more than a few pure functions: it waits, repeats, and remembers. So it is not explored. It works, as it
stands, in the simulator, and is judged by what its clients see. What is taken is whatever makes a proposer as
`Proposer` does: usually a subclass that overrides one method, so that everything else is known to be right.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from gryadka.checking.limits import TimeUp, time_limit
from gryadka.course.finding import Finding
from gryadka.course.simulated import RUN_LIMIT_S, simulated
from gryadka.proposer import Proposer
from gryadka.simulation.run import simulate

SCENARIOS = ("loss-1-1-1", "loss-2-2-2", "reorder-2-2-1", "duplicates", "duel", "one-way", "restarts")
SEEDS = range(8)


def examine(proposer: Callable[..., Proposer]) -> Finding:
    """Let it work in several scenarios, and judge the histories of its clients."""
    if not callable(proposer) or inspect.iscoroutinefunction(proposer):
        return Finding(f"{proposer!r} makes no proposer: it has to be a class, such as a subclass of Proposer")
    change = getattr(proposer, "change", None)
    if inspect.isclass(proposer) and not inspect.iscoroutinefunction(change):
        return Finding(f"{proposer.__name__}.change has to be there, and has to be async: async def change(...)")
    if not _same_twice(proposer):
        return Finding(
            "the same run, made again, went another way: let chance come from self.rng, and from nothing else"
        )
    return simulated(SCENARIOS, SEEDS, proposer=proposer)


def _same_twice(proposer: Any) -> bool:
    # What cannot be told here, because it raises or never ends, is told by the runs that follow.
    try:
        with time_limit(RUN_LIMIT_S):
            first, second = (simulate("loss-2-2-2", 0, proposer=proposer).digest for _ in range(2))
    except (Exception, TimeUp):
        return True
    return first == second
