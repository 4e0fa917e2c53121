"""A proposer in bad company: acceptors that answer nonsense, observers that fail, callers that err or leave early.

Whatever they do, no register may be stuck for good, nobody's vote may be counted that was not given, and nobody may
be told what is not so.
"""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Callable
from typing import Any

import pytest

from gryadka import AcceptorError, ConfigurationError, NotApplied, OutcomeUnknown, Proposer
from gryadka.acceptors.memory import MemoryAcceptor
from gryadka.acceptors.observed import Observed
from gryadka.protocol.acceptor import Accept, Accepted, Ballot, Conflict, Prepare, State
from gryadka.protocol.configuration import Configuration
from gryadka.protocol.round import Round
from gryadka.protocol.value import pack
from gryadka.simulation.loop import run
from gryadka.trace import Event
from tests.puppet import Puppet, deliver, puppets

MAJORITY = Configuration.majority("ABC")
QUICK: dict[str, Any] = {"pause_s": (0.0001, 0.002)}


def read(value: Any) -> Any:
    return value


def cancelled(replies: list[Any]) -> Any:
    raise asyncio.CancelledError


class Odd(MemoryAcceptor):
    """Answers properly, until it is given a `twist` for its replies."""

    twist: Callable[[list[Any]], Any] | None = None

    async def send(self, requests: Any) -> Any:
        await asyncio.sleep(0)
        replies = await super().send(requests)
        return self.twist(replies) if self.twist else replies


NONSENSE = {
    "too few replies": lambda replies: replies[1:],
    "too many replies": lambda replies: [*replies, Accepted()],
    "no list": lambda replies: None,
    "nothing": lambda replies: [None] * len(replies),
    "words": lambda replies: ["yes"] * len(replies),
    "a class": lambda replies: [ValueError] * len(replies),
    "a conflict without a ballot": lambda replies: [Conflict(7)] * len(replies),  # type: ignore[arg-type]
    "what something else was cancelled for": cancelled,
}


@pytest.mark.parametrize("twist", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_from_acceptors_leaves_no_register_stuck(twist: Callable[[list[Any]], Any]) -> None:
    """The task that waited for their replies waited for good, and every later change of the key ended with it."""

    async def scenario() -> None:
        acceptors = {name: Odd(name) for name in "ABC"}
        proposer = Proposer(MAJORITY, acceptors, **QUICK)
        for acceptor in acceptors.values():
            acceptor.twist = twist
        for call in (proposer.change("k", lambda _: 1, timeout_s=0.5), proposer.read("k", timeout_s=0.5)):
            with pytest.raises(NotApplied, match=r"got 0 of 2 answers: A "):
                await asyncio.wait_for(call, 2)
        for acceptor in acceptors.values():
            acceptor.twist = None
        assert await proposer.change("k", lambda _: 2) == await proposer.read("k") == 2
        await proposer.close()

    run(scenario())  # in virtual time: nothing is late because the computer is busy


async def test_nonsense_from_one_acceptor_costs_the_others_nothing() -> None:
    for twist in NONSENSE.values():
        acceptors = {name: Odd(name) for name in "ABC"}
        acceptors["B"].twist = twist
        proposer = Proposer(MAJORITY, acceptors, **QUICK)
        assert await asyncio.gather(*(proposer.change(key, lambda _: 1) for key in "xyz")) == [1, 1, 1]


@pytest.mark.parametrize("nonsense", [None, "yes", Accepted(), State()])
def test_a_reply_of_the_wrong_kind_is_no_vote(nonsense: Any) -> None:
    """It was counted as a yes: a read of A and of B's nonsense showed the value before the one on B and C."""

    async def scenario() -> None:
        acceptors = {name: Odd(name) for name in "ABC"}
        writer = Proposer(MAJORITY, acceptors, **QUICK)
        await writer.change("k", lambda _: "old")
        acceptors["A"].up = False
        await writer.change("k", lambda _: "new")
        acceptors["A"].up, acceptors["C"].up = True, False
        acceptors["B"].twist = lambda replies: [nonsense] * len(replies)
        with pytest.raises(NotApplied, match="B said"):
            await Proposer(MAJORITY, acceptors, **QUICK).change("k", read, timeout_s=0.5)

    run(scenario())  # in virtual time: nothing is late because the computer is busy


@pytest.mark.parametrize("kind", ["change-begun", "sent", "delivered", "failed", "change-ended"])
async def test_an_observer_that_raises_is_reported_and_harms_nobody(kind: str) -> None:
    """One that raised at each reply left the register stuck; at the end of a change, it hid that it was applied."""

    def observe(event: Event) -> None:
        if event.kind == kind:
            raise ZeroDivisionError(event.kind)

    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    acceptors = {name: Odd(name) for name in "ABC"}
    acceptors["C"].up = False
    proposer = Proposer(MAJORITY, acceptors, observe=observe, **QUICK)
    assert [await proposer.change("k", lambda value: (value or 0) + 1, timeout_s=1) for _ in range(3)] == [1, 2, 3]
    assert await proposer.read("k") == 3
    await proposer.close()
    assert reported and all(isinstance(context["exception"], ZeroDivisionError) for context in reported)
    assert kind in reported[0]["message"]


async def test_an_observer_of_states_that_raises_loses_no_reply() -> None:
    def observe(event: Event) -> None:
        raise ZeroDivisionError

    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    acceptors = {name: Observed(name, MemoryAcceptor(name), observe) for name in "ABC"}
    assert await Proposer(MAJORITY, acceptors, **QUICK).change("k", lambda _: 1, timeout_s=1) == 1
    assert len(reported) >= 4  # two promises and two accepts, at least


@pytest.mark.parametrize("turns", range(6))
async def test_a_change_ends_when_its_proposer_is_closed_however_soon(turns: int) -> None:
    """Closed before the register's task had begun, it left the caller waiting until the deadline: for ever, here."""
    configuration, acceptors = puppets()
    proposer = Proposer(configuration, acceptors)
    call = asyncio.create_task(proposer.change("k", lambda _: 1, timeout_s=math.inf))
    for _ in range(turns):
        await asyncio.sleep(0)
    await proposer.close()
    (outcome,) = await asyncio.wait_for(asyncio.gather(call, return_exceptions=True), 1)
    assert isinstance(outcome, NotApplied | OutcomeUnknown | ConfigurationError)


async def test_a_change_whose_time_is_no_number_is_not_made() -> None:
    """Its caller was told of the wrong type, and the change was applied all the same."""
    configuration, acceptors = puppets()
    proposer = Proposer(configuration, acceptors)
    with pytest.raises(TypeError):
        await proposer.change("k", lambda _: 1, timeout_s="5")  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    assert await proposer.read("k") is None


async def test_once_reconfigured_a_proposer_asks_no_acceptor_of_before() -> None:
    """In the turn in which another register was being asked, it did: they promised, knew nothing, and what the new
    ones held was overwritten unseen."""
    configuration, before = puppets()
    _, now = puppets()
    again = Configuration.majority("ABC")
    await Proposer(again, now, **QUICK).change("y", lambda _: ["held"])
    proposer = Proposer(configuration, before, **QUICK)
    proposer._counter = 10
    calls = [asyncio.create_task(proposer.change("x", lambda _: 1))]
    loop = asyncio.get_running_loop()
    loop.call_soon(loop.call_soon, proposer.reconfigure, again, now)  # after x was asked for, before y is
    calls.append(asyncio.create_task(proposer.change("y", lambda value: [*(value or []), "added"])))
    assert await asyncio.gather(*calls) == [1, ["held", "added"]]
    assert all("y" not in acceptor.states for acceptor in before.values())
    assert all("x" in acceptor.states for acceptor in before.values())  # so x was asked before


async def test_a_result_that_json_cannot_hold_is_told_once_an_earlier_attempt_is_overruled() -> None:
    """The first attempt reaches A alone. The second finds 5, from which the function makes what JSON cannot hold.
    Its caller was told so, and thought that nothing had happened: then the first one was found on A, and chosen."""
    configuration, acceptors = puppets()
    ours = Proposer(configuration, acceptors, **QUICK)
    five = Ballot(50, 2)

    def fate(acceptor: Puppet, key: str, message: Any) -> str:
        if isinstance(message, Accept) and message.ballot.proposer == ours.id and message.ballot.counter < 50:
            if acceptor.name == "C":  # another one's change reaches B, and a promise C
                acceptors["B"].states["k"] = State(five, five, pack("5", {}, five))
                acceptors["C"].states["k"] = State(five)
            return "lose reply" if acceptor.name == "A" else "lose"
        if isinstance(message, Prepare) and acceptor.name == "A" and message.ballot.counter > 2:
            return "lose"
        return "deliver"

    for acceptor in acceptors.values():
        acceptor.fate = fate
    with pytest.raises(ValueError, match="JSON"):
        await ours.change("k", lambda value: ["ours"] if value is None else math.nan)
    for acceptor in acceptors.values():
        acceptor.fate = deliver
    acceptors["B"].fate = lambda *_: "lose"
    assert await Proposer(configuration, acceptors, **QUICK).change("k", read) == 5


async def test_acceptors_are_let_go_of_once_they_serve_no_more() -> None:
    """Those of before at a reconfiguration, the others when the proposer is closed."""
    closed: list[str] = []

    class Closing(MemoryAcceptor):
        async def close(self) -> None:
            closed.append(self.name)

    proposer = Proposer(MAJORITY, {name: Closing(name) for name in "ABC"}, **QUICK)
    await proposer.change("k", lambda _: 1)
    proposer.reconfigure(Configuration.majority("DE"), {name: Closing(name) for name in "DE"})
    await proposer.change("k", lambda _: 2)
    assert closed == ["A", "B", "C"]
    await proposer.close()
    assert closed == ["A", "B", "C", "D", "E"]


def test_an_acceptor_that_never_answers_keeps_nobody_waiting() -> None:
    class Silent(MemoryAcceptor):
        async def send(self, requests: Any) -> Any:
            await asyncio.Event().wait()

    async def scenario() -> None:
        acceptors = {"A": MemoryAcceptor("A"), "B": Silent("B"), "C": MemoryAcceptor("C")}
        proposer = Proposer(MAJORITY, acceptors, **QUICK)
        assert [await proposer.change("k", lambda value: (value or 0) + 1) for _ in range(3)] == [1, 2, 3]
        assert await proposer.read("k") == 3
        assert asyncio.get_running_loop().time() == 0
        await proposer.close()

    run(scenario())


async def test_an_acceptor_that_is_down_does_not_keep_finished_rounds_alive() -> None:
    """Its error's traceback held every round of a batch, each of which led to further ones: 30,000 rounds stayed."""
    configuration, acceptors = puppets()
    acceptors["C"].up = False

    async def send(requests: Any) -> Any:
        await asyncio.sleep(0)
        raise AcceptorError("C", "is down")

    acceptors["C"].send = send  # type: ignore[method-assign]
    gc.collect()
    before = sum(isinstance(each, Round) for each in gc.get_objects())
    async with Proposer(configuration, acceptors, **QUICK) as proposer:
        for number in range(100):
            keys = [f"k{(number + other) % 10}" for other in range(5)]
            await asyncio.gather(*(proposer.change(key, lambda value: (value or 0) + 1) for key in keys))
        gc.collect()
        assert sum(isinstance(each, Round) for each in gc.get_objects()) - before <= 10  # one a key is cached


async def test_the_loops_task_factory_changes_nothing() -> None:
    """A task that began at once, as eager ones do, found its queue without its caller."""

    def refuse(loop: Any, work: Any, **_: Any) -> Any:
        raise AssertionError("made by the loop's factory")

    configuration, acceptors = puppets()
    async with Proposer(configuration, acceptors, **QUICK) as proposer:
        asyncio.get_running_loop().set_task_factory(refuse)
        try:
            assert await proposer.change("k", lambda value: 1) == 1
        finally:
            asyncio.get_running_loop().set_task_factory(None)
