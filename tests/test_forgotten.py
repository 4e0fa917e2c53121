"""What proposers make of a register that was forgotten, whoever forgot it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gryadka import OutcomeUnknown, Proposer
from gryadka.protocol.acceptor import ZERO, Accept, Ballot, Message, Read, State
from gryadka.protocol.value import reaches_below, unpack
from tests.puppet import Puppet, puppets


def forget(acceptors: dict[str, Puppet], key: str) -> None:
    """Do what a collector does once the tombstone is everywhere."""
    for acceptor in acceptors.values():
        floor = acceptor.states.pop(key).promised
        acceptor.absent = State(floor, ZERO, f'{{"value":null,"lineage":{{"0": {floor.counter}}}}}')


class Held:
    """P's first accept reaches A alone, and P hears nothing until `go` is set."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.waiting = asyncio.Event()

    def fate(self, acceptor: Puppet, key: str, message: Message | Read) -> str:
        if isinstance(message, Accept) and not self.go.is_set():
            return "lose reply" if acceptor.name == "A" else "lose"
        return "deliver"


async def held_back(born_again: bool) -> tuple[Any, Any]:
    """P's change is taken over by Q, read, deleted and forgotten, perhaps written again. What does P say, and what
    is there afterwards?"""
    held, (configuration, acceptors) = Held(), puppets()
    for acceptor in acceptors.values():
        acceptor.fate = held.fate
    p = Proposer(configuration, acceptors, id=1, pause_s=(0.05, 0.05), timeout_s=5)
    asked = asyncio.ensure_future(p.change("k", lambda value: [*(value or []), "p"]))
    while not any(acceptor.states.get("k", State()).value for acceptor in acceptors.values()):
        await asyncio.sleep(0)
    held.go.set()
    q = Proposer(configuration, acceptors, id=2)
    q._counter = 50
    assert await q.change("k", lambda value: value) == ["p"]
    await q.change("k", lambda _: None)
    forget(acceptors, "k")
    if born_again:
        r = Proposer(configuration, acceptors, id=3)
        assert await r.change("k", lambda value: [*(value or []), "r"]) == ["r"]
    (outcome,) = await asyncio.gather(asked, return_exceptions=True)
    return outcome, await q.read("k")


@pytest.mark.parametrize("born_again", [False, True])
async def test_a_change_that_was_seen_deleted_and_forgotten_is_not_applied_again(born_again: bool) -> None:
    outcome, left = await held_back(born_again)
    assert isinstance(outcome, OutcomeUnknown)
    assert left == (["r"] if born_again else None)


async def test_a_first_write_after_a_collection_is_repeated_if_its_accept_was_lost() -> None:
    """Its ballot is above the floor, so nothing of it was forgotten."""
    configuration, acceptors = puppets()
    for acceptor in acceptors.values():
        acceptor.states["k"] = State(Ballot(4, 1))
    forget(acceptors, "k")
    lost: list[str] = []

    def fate(acceptor: Puppet, key: str, message: Message | Read) -> str:
        if isinstance(message, Accept) and len(lost) < 3:
            lost.append(acceptor.name)
            return "lose"
        return "deliver"

    for acceptor in acceptors.values():
        acceptor.fate = fate
    proposer = Proposer(configuration, acceptors, id=9, pause_s=(0.001, 0.002))
    assert await proposer.change("k", lambda value: [*(value or []), "x"]) == ["x"]
    assert len(lost) == 3
    assert unpack(acceptors["A"].states["k"].value)[1]["0"] == 4


@pytest.mark.parametrize(
    ("lineage", "covered"),
    [
        ({}, True),
        ({"7": 9}, True),
        ({"0": 3, "7": 9}, True),
        ({"0": 5}, False),
        ({"0": 6, "7": 9}, False),
        ({str(number): number for number in range(5, 21)}, False),
        ({str(number): number for number in range(4, 20)}, True),
    ],
)
def test_a_lineage_covers_what_is_above_the_ballot_that_it_was_born_at(lineage: dict[str, int], covered: bool) -> None:
    assert reaches_below(lineage, Ballot(5, 1)) == covered
