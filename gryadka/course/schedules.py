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
    Searched,
    Step,
    search,
)
from gryadka.course.checking import Unfinished
from gryadka.course.finding import Finding
from gryadka.errors import GryadkaError
from gryadka.views import replicas
from gryadka.views.naive import Hand, Run
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
    run = Run(naive, steps)
    told = tuple(f"{row.step}: {row.remark}" for row in run.rows)
    if run.stop:
        return Finding(why=f"step {len(run.rows) + 1} cannot happen: {run.stop}", steps=told)
    if lost := naive.why(run.now):
        shortest = search(naive.people, naive.quorum, naive.rule)
        least = len(shortest.steps)
        tried = f"every schedule of up to {least} steps, shortest first ({shortest.verdict.distinct:,} states)"
        mine = f"none is shorter than yours, {least} steps" if len(steps) == least else f"the shortest takes {least}"
        return Finding(covered=f"{tried}; of those that lose something, {mine}. In yours, {lost}")
    return Finding(why=run.ending, steps=told)


def picture(schedule: Plan | Searched, naive: Naive = NAIVE, title: str = "A schedule, step by step") -> Picture:
    """Draw a run: a schedule, or the shortest one of a search. What cannot happen ends it, with a sentence."""
    try:
        steps = list(schedule.steps) if isinstance(schedule, Searched) else read(schedule)
    except NotAStep as error:
        return replicas.draw([], REPLICAS, title, f"The schedule cannot be read: {error}")
    except Unfinished as error:
        return replicas.draw([], REPLICAS, title, f"Nothing to draw: {error} is still unfinished")
    run = Run(naive, steps)
    note = f"Step {len(run.rows) + 1} cannot happen: {run.stop}" if run.stop else run.ending
    return replicas.draw(run.rows, REPLICAS, title, note)


def by_hand(naive: Naive = NAIVE) -> Hand:
    """Return a schedule without steps, in a player: each click takes one. See `Hand.schedule`."""
    return Hand(naive)


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


# -- on real servers -------------------------------------------------------------------------------------


class PlainServer:
    """A server that holds one copy, by plain GET and SET: it knows of no ballots and no promises.

    A copy is JSON, `[number, [items...]]`; `[0, []]` if there is none. Each call has a connection of its own.
    """

    def __init__(self, acceptor: RedisAcceptor, key: str) -> None:
        self._acceptor, self._key = acceptor, key

    async def get(self) -> list[Any]:
        """Return the copy that is stored."""
        text = await self._call("GET", self._key)
        copy: list[Any] = [0, []] if text is None else json.loads(text)
        return copy

    async def set(self, copy: Sequence[Any]) -> None:
        """Store this copy, whatever was there."""
        await self._call("SET", self._key, json.dumps(copy))

    async def _call(self, *command: str) -> Any:
        acceptor = self._acceptor
        wire = await Wire.over(acceptor.name, acceptor.connect(), acceptor.timeout_s)
        try:
            return await wire.call(*command)
        finally:
            await wire.close()


def plain_servers(cluster: LocalCluster, key: str | None = None) -> list[PlainServer]:
    """Return every server of the cluster as a plain one, with an empty list, or with the one under `key`."""
    key = key or f"naive:{secrets.token_hex(4)}"
    acceptors = cluster.acceptors().values()
    return [PlainServer(acceptor, key) for acceptor in acceptors if isinstance(acceptor, RedisAcceptor)]


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
    run = Run(NAIVE)
    for number, step in enumerate(read(schedule), start=1):
        sends = NAIVE.sends(run.now, step.who)
        run.take(step)
        server, replica = servers[REPLICAS.index(step.where)], run.now.replicas[REPLICAS.index(step.where)]
        command = "GET"
        if step.verb == "stores":
            command = f"SET {json.dumps(sends)}"
            await server.set(sends or ())
        held = await server.get()
        assert Copy(held[0], tuple(held[1])) == replica.copy, f"{step.where} holds {held}: was it empty at first?"
        say(f"{number}. {step}: {command} -> {json.dumps(held)}, {run.rows[-1].remark}")
    say(run.ending)
