"""The three kinds of register."""

from __future__ import annotations

import asyncio

import pytest

from gryadka import ChangeRejected, Proposer
from gryadka.acceptors.memory import memory_acceptors
from gryadka.protocol.value import Value
from gryadka.registers import CompareAndSet, Counter, LastWriterWins


def proposer() -> Proposer:
    return Proposer(*memory_acceptors(3))


async def test_the_last_writer_wins() -> None:
    notes = LastWriterWins(proposer())
    assert await notes.read("todo") is None
    assert await notes.write("todo", ["milk"]) == ["milk"]
    assert await notes.write("todo", ["bread"]) == ["bread"]
    assert await notes.read("todo") == ["bread"]


async def test_compare_and_set_starts_at_version_zero_and_counts_on() -> None:
    notes = CompareAndSet(proposer())
    assert await notes.read("todo") == {"ver": 0, "val": None}
    assert await notes.write("todo", 0, "milk") == {"ver": 1, "val": "milk"}
    assert await notes.write("todo", 1, "bread") == {"ver": 2, "val": "bread"}


@pytest.mark.parametrize("ver", [0, 2, -1])
async def test_a_write_with_another_version_is_refused_with_what_is_stored(ver: int) -> None:
    notes = CompareAndSet(proposer())
    await notes.write("todo", 0, "milk")
    with pytest.raises(ChangeRejected, match=f"version {ver} was expected, 1 is stored") as caught:
        await notes.write("todo", ver, "bread")
    assert caught.value.value == {"ver": 1, "val": "milk"}
    assert await notes.read("todo") == {"ver": 1, "val": "milk"}


async def test_of_writers_that_saw_the_same_version_one_wins() -> None:
    notes = CompareAndSet(proposer())
    outcomes = await asyncio.gather(*(notes.write("todo", 0, n) for n in range(10)), return_exceptions=True)
    assert sum(isinstance(outcome, ChangeRejected) for outcome in outcomes) == 9
    assert (await notes.read("todo"))["ver"] == 1


async def test_a_counter_counts() -> None:
    visits = Counter(proposer())
    assert await visits.read("home") == 0
    await asyncio.gather(*(visits.add("home") for _ in range(50)))
    assert await visits.add("home", -8) == 42
    assert await visits.read("home") == 42


async def test_a_read_of_a_missing_versioned_register_leaves_nothing_behind() -> None:
    through = proposer()
    assert await CompareAndSet(through).read("todo") == {"ver": 0, "val": None}
    assert await LastWriterWins(through).read("todo") is None


@pytest.mark.parametrize("stored", [7, "text", ["milk"], {"ver": 1}, {"val": 1}])
async def test_a_register_of_another_kind_is_told_and_left_as_it_is(stored: Value) -> None:
    through = proposer()
    await LastWriterWins(through).write("todo", stored)
    for call in (CompareAndSet(through).read("todo"), CompareAndSet(through).write("todo", 0, "milk")):
        with pytest.raises(TypeError, match="which has no version"):
            await call
    assert await LastWriterWins(through).read("todo") == stored
