"""Lesson 01: a schedule, written by hand, that loses an item of the naive register.

What may live here: reading a schedule, judging it, showing it, and running it on real servers. What the register
does stands in `gryadka.checking.naive`.

    judge("Ann asks A, Ann asks B, Bob asks B, ...").why     # "" once it loses something
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from gryadka.acceptors.redis import RedisAcceptor
from gryadka.acceptors.servers import LocalCluster
from gryadka.acceptors.wire import Wire
from gryadka.checking.history import History, Operation, Outcome
from gryadka.checking.naive import (
    PEOPLE,
    REPLICAS,
    Copy,
    Naive,
    NotPossible,
    Searched,
    State,
    Step,
    listed,
    search,
)
from gryadka.course.checking import Unfinished
from gryadka.course.finding import Finding
from gryadka.errors import GryadkaError
from gryadka.views import replicas
from gryadka.views.svg import Picture

T = TypeVar("T")

EXAMPLE = """
Ann asks C, Ann asks A, Bob asks B, Bob asks A
Ann stores C, Ann stores A, Bob stores A, Bob stores B
"""
"""What the lesson goes on with while the learner's own is unfinished."""

NAIVE = Naive()

Plan = str | Sequence[str]
"""A schedule as a learner writes it: a step a line, or with commas between them."""


class NotAStep(GryadkaError):
    """A line of a schedule cannot be read; the message says which, and how a step looks."""


def read(schedule: Plan) -> list[Step]:
    """Return the steps of a schedule. Small and capital letters are alike, and what follows a # is left out.

    Raises `Unfinished` for a skeleton, `NotAStep` for a line that is none.
    """
    if isinstance(schedule, list | tuple):
        schedule = "\n".join(map(str, schedule))
    if not isinstance(schedule, str):
        raise NotAStep(f"a schedule is text, such as 'Ann asks A, Ann asks B', not {schedule!r}")
    if "your turn" in schedule or not schedule.strip():
        raise Unfinished("your schedule")
    steps = []
    for line in re.split(r"[\n,;]", re.sub(r"#.*", "", schedule)):
        words = line.split()
        if len(words) == 3:
            who, verb, where = words
            steps.append(Step(who.capitalize(), verb.lower(), where.upper()))
        elif words:
            said = " ".join(words)
            raise NotAStep(f"step {len(steps) + 1} is {said!r}; a step has three words, such as: Ann asks A")
    return steps


def judge(schedule: Plan, naive: Naive = NAIVE) -> Finding:
    """Say whether this schedule makes the naive register lose something. Raises `Unfinished`."""
    try:
        steps = read(schedule)
    except NotAStep as error:
        return Finding(why=str(error))
    rows, state, stop = _rows(steps, naive)
    told = tuple(f"{row.step}: {row.remark}" for row in rows)
    if stop:
        return Finding(why=f"step {len(rows) + 1} cannot happen: {stop}", steps=told)
    if why := naive.why(state):
        shortest = search(naive.people, naive.quorum, naive.rule)
        least = len(shortest.steps)
        tried = f"every schedule of up to {least} steps, shortest first ({shortest.verdict.distinct:,} states)"
        mine = f"none is shorter than yours, {least} steps" if len(steps) == least else f"the shortest takes {least}"
        return Finding(covered=f"{tried}; of those that lose something, {mine}. In yours, {why}")
    return Finding(why=_nothing_lost(naive, state), steps=told)


def picture(schedule: Plan | Searched, naive: Naive = NAIVE, title: str = "A schedule, step by step") -> Picture:
    """Draw a run: a schedule, or the shortest one of a search. What cannot happen ends it, with a sentence."""
    try:
        steps = list(schedule.steps) if isinstance(schedule, Searched) else read(schedule)
    except NotAStep as error:
        return replicas.draw([], REPLICAS, title, f"The schedule cannot be read: {error}")
    except Unfinished as error:
        return replicas.draw([], REPLICAS, title, f"Nothing to draw: {error} is still unfinished")
    rows, state, stop = _rows(steps, naive)
    note = f"Step {len(rows) + 1} cannot happen: {stop}" if stop else naive.why(state)
    return replicas.draw(rows, REPLICAS, title, note or _nothing_lost(naive, state))


def history(schedule: Plan, naive: Naive = NAIVE) -> History:
    """Return what the people saw, as a history of appends; times count steps. Raises `Unfinished`, `NotAStep`,
    and `NotPossible`."""
    state, begun, ended = naive.begin(), dict[str, float](), dict[str, tuple[float, str]]()
    for at, step in enumerate(read(schedule), start=1):
        state = naive.take(state, step)
        begun.setdefault(step.who, at - 0.4)
        for who, items in naive.told(state).items():
            ended.setdefault(who, (at + 0.4, "".join(f"{item};" for item in items)))
    operations = []
    for who, invoked_s in begun.items():
        operation = Operation(process=who, f="append", args=(f"{PEOPLE[who]};",), invoked_s=invoked_s)
        if who in ended:
            at_s, text = ended[who]
            operation = Operation(
                process=who, f="append", args=operation.args, outcome=Outcome.OK, result=text,
                invoked_s=invoked_s, completed_s=at_s,
            )  # fmt: skip
        operations.append(operation)
    return History(operations)


def _rows(steps: Iterable[Step], naive: Naive) -> tuple[list[replicas.Row], State, str]:
    # Each step that can happen, the state after it, and what stands in the way of the next one.
    rows: list[replicas.Row] = []
    state = naive.begin()
    for step in steps:
        before = state
        try:
            state = naive.take(before, step)
        except NotPossible as error:
            return rows, before, str(error)
        holds = tuple(str(replica.copy) for replica in state.replicas)
        remark, changes = _remark(naive, before, step, state)
        rows.append(replicas.Row(str(step), step.where, changes, holds, remark))
    return rows, state, ""


def _remark(naive: Naive, before: State, step: Step, after: State) -> tuple[str, bool]:
    who, where = naive.names.index(step.who), REPLICAS.index(step.where)
    if step.verb == "asks":
        copy = naive.sends(after, step.who)
        hears = f"hears of {listed(after.replicas[where].copy.items)}"
        return (hears if copy is None else f"{hears}, sends {copy}"), False
    yes = after.people[who].stored > before.people[who].stored
    if step.who in naive.told(after) and step.who not in naive.told(before):
        return f"is told: {listed(naive.told(after)[step.who])}", True
    return ("stored" if yes else "the replica says no"), yes


def _nothing_lost(naive: Naive, state: State) -> str:
    told = naive.told(state)
    parts = [f"{who} was told [{listed(told[who])}]" if who in told else f"{who} is not done" for who in naive.names]
    return f"nothing is lost: {' and '.join(parts)}"


# -- on real servers -------------------------------------------------------------------------------------


class PlainServer:
    """A server that holds one copy, by plain GET and SET: it knows of no ballots and no promises.

    A copy is JSON, `[number, [items...]]`; `[0, []]` if there is none.
    """

    def __init__(self, wire: Wire, key: str) -> None:
        self._wire, self._key = wire, key

    async def get(self) -> list[Any]:
        """Return the copy that is stored."""
        text = await self._wire.call("GET", self._key)
        copy: list[Any] = [0, []] if text is None else json.loads(text)
        return copy

    async def set(self, copy: Sequence[Any]) -> None:
        """Store this copy, whatever was there."""
        await self._wire.call("SET", self._key, json.dumps(copy))

    async def close(self) -> None:
        """Let go of the connection."""
        await self._wire.close()


async def plain_servers(cluster: LocalCluster, key: str | None = None) -> list[PlainServer]:
    """Return every server of the cluster as a plain one, with an empty list, or with the one under `key`."""
    key = key or f"naive:{secrets.token_hex(4)}"
    found = []
    for name, acceptor in cluster.acceptors().items():
        assert isinstance(acceptor, RedisAcceptor)
        found.append(PlainServer(await Wire.over(name, acceptor.connect(), acceptor.timeout_s), key))
    return found


async def first_two(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Start all of these at once, and return what the first two gave; the others go on by themselves."""
    tasks = [asyncio.create_task(call) for call in calls]
    for task in tasks:
        task.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody has to ask
    done = []
    for each in asyncio.as_completed(tasks):
        done.append(await each)
        if len(done) == 2:
            break
    return done


async def perform(servers: Sequence[PlainServer], schedule: Plan, say: Callable[[str], None] = print) -> None:
    """Run a schedule on these servers: each question is a GET, each store a SET; say what came of each step.

    Raises `Unfinished`, `NotAStep`, `NotPossible`, and
    `AssertionError` if a server holds something else than the model.
    """
    state = NAIVE.begin()
    for number, step in enumerate(read(schedule), start=1):
        state, before = NAIVE.take(state, step), state
        server = servers[REPLICAS.index(step.where)]
        if step.verb == "asks":
            command = "GET"
        else:
            copy = NAIVE.sends(before, step.who)
            assert copy is not None
            command = f"SET {json.dumps(copy)}"
            await server.set(copy)
        held = await server.get()
        assert Copy(held[0], tuple(held[1])) == state.replicas[REPLICAS.index(step.where)].copy
        say(f"{number}. {step}: {command} -> {json.dumps(held)}, {_remark(NAIVE, before, step, state)[0]}")
    say(NAIVE.why(state) or _nothing_lost(NAIVE, state))
