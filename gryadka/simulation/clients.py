"""The clients of a simulation, and the judge of what they saw.

What may live here: how a step becomes a call of a register, how its end is written into the history, and which
model of a register each key is judged by. No network, no faults.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from gryadka.checking.history import History, Operation, Recorder, Refusal
from gryadka.checking.linearizability import (
    MODELS,
    Budget,
    Ok,
    Unknown,
    Verdict,
    Violation,
    check,
    check_versioned,
)
from gryadka.errors import ChangeRejected, NotApplied, OutcomeUnknown
from gryadka.operations.deletion import delete
from gryadka.proposer import Proposer
from gryadka.protocol.value import Value
from gryadka.registers import CompareAndSet, Counter
from gryadka.simulation.appends import check_appends, check_texts
from gryadka.simulation.plan import Step

CALLS: Mapping[str, Mapping[str, int]] = {
    "versioned-register": {"read": 0, "cas": 1},
    "counter": {"read": 0, "add": 1},
    "append": {"read": 0, "append": 1},
    "text": {"get": 0, "append": 1, "put": 1},
}
"""Kind of register -> what a step may ask of it -> how many arguments the step brings."""


@dataclass(eq=False)
class Seat:
    """The place of a proposer. When the proposer dies, its seat is `dead`, and another seat takes the place."""

    proposer: Proposer
    dead: bool = False


class Client:
    """Makes its steps one after the other, each at the proposer that has the seat then."""

    def __init__(self, models: Mapping[str, str], seats: Mapping[str, Seat], recorder: Recorder) -> None:
        self._models = models
        self._seats = seats
        self._recorder = recorder
        self._versions: dict[str, int] = {}  # key -> the version seen last

    async def work(self, steps: Iterable[Step]) -> None:
        """Make these steps. How a change may end is written down; other errors are raised."""
        for step in steps:
            await asyncio.sleep(step.wait_s)
            await self._make(step)

    async def _make(self, step: Step) -> None:
        seat = self._seats[step.host]
        args = (self._versions.get(step.key, 0), *step.args) if step.f == "cas" else step.args
        begun = self._recorder.begin(process=step.client, f=step.f, args=args, key=step.key)
        ended: Callable[[], None] = begun.unknown
        try:
            result = await self._call(seat.proposer, step.key, step.f, args)
            ended = partial(begun.ok, result)
        except ChangeRejected as refusal:
            ended = partial(begun.ok, Refusal(self._seen(step.key, refusal.value)))
        except NotApplied:
            ended = begun.failed
        except OutcomeUnknown:
            pass
        if seat.dead:  # a process that has died tells nobody what it knew
            ended = begun.unknown
        ended()

    async def _call(self, proposer: Proposer, key: str, f: str, args: tuple[Value, ...]) -> Value:
        model = self._models[key]
        if model == "versioned-register":
            register = CompareAndSet(proposer)
            return self._seen(key, await (register.read(key) if f == "read" else register.write(key, *args)))
        if model == "counter":
            return await Counter(proposer).add(key, *(args or (0,)))
        if f == "put":
            return await delete(proposer, key)
        return await proposer.change(key, lambda text: (text or "") + "".join(args))

    def _seen(self, key: str, value: Any) -> Value:
        if self._models[key] != "versioned-register":
            return value
        self._versions[key] = value["ver"] if value else 0
        return value if self._versions[key] else None  # as the checker writes "never written"


# -- the judge -------------------------------------------------------------------------------------------


_CHECKS: Mapping[str, Callable[[Iterable[Operation], Budget], Verdict]] = {
    "versioned-register": check_versioned,
    "counter": lambda operations, budget: check(operations, MODELS["counter"], budget),
    "append": lambda operations, budget: check_appends(operations),
    "text": check_texts,
}


def judge(history: History, models: Mapping[str, str], budget: Budget) -> Verdict:
    """Return whether the history is linearizable, each key by its own model; the first violation, if any."""
    verdicts = [_CHECKS[models[key]](operations, budget) for key, operations in history.by_key().items()]
    for worst in (Violation, Unknown):
        for verdict in verdicts:
            if isinstance(verdict, worst):
                return verdict
    fine = [verdict for verdict in verdicts if isinstance(verdict, Ok)]
    points = [point for ok in fine for point in zip(ok.points_s, ok.linearization, strict=True)]
    points.sort(key=lambda point: point[0])
    return Ok(tuple(operation for _, operation in points), tuple(at_s for at_s, _ in points))
