"""What `change` promises its callers. The pitfalls of real implementations have their own file."""

from __future__ import annotations

import asyncio
import math
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from gryadka import ChangeRejected, ConfigurationError, NotApplied, Proposer
from gryadka.protocol.acceptor import MAX_COUNTER, Accept, Ballot, Message, State
from gryadka.protocol.configuration import Configuration, Quorum
from gryadka.protocol.value import decode, unpack
from gryadka.trace import Event
from tests.puppet import Fate, Puppet, deliver, puppets


def make(fate: Fate = deliver, **options: Any) -> tuple[Proposer, dict[str, Puppet]]:
    configuration, acceptors = puppets(fate)
    options = {"pause_s": (0.0001, 0.002), "rng": random.Random(1)} | options
    return Proposer(configuration, acceptors, **options), acceptors


def add(amount: int) -> Callable[[Any], Any]:
    return lambda value: (value or 0) + amount


def stored(acceptor: Puppet, key: str) -> Any:
    return decode(unpack(acceptor.states[key].value)[0])


async def test_a_change_returns_what_is_stored() -> None:
    proposer, acceptors = make()
    assert await proposer.change("greeting", lambda value: "hello") == "hello"
    assert await proposer.change("greeting", lambda value: value + "!") == "hello!"
    assert {stored(acceptor, "greeting") for acceptor in acceptors.values()} == {"hello!"}


async def test_keys_are_independent() -> None:
    proposer, _ = make()
    assert [await proposer.change(key, add(amount)) for key, amount in (("a", 1), ("b", 5), ("a", 1))] == [1, 5, 2]


async def test_the_first_change_takes_two_round_trips_and_the_next_ones_take_one() -> None:
    proposer, acceptors = make()
    for _ in range(4):
        await proposer.change("n", add(1))
    kinds = [type(message).__name__ for message in acceptors["A"].heard]
    assert kinds == ["Prepare", "Accept", "Accept", "Accept", "Accept"]


async def test_changes_go_on_while_a_minority_is_down() -> None:
    proposer, acceptors = make()
    acceptors["B"].fate = lambda *_: "lose"
    assert await proposer.change("n", add(1)) == 1
    assert await proposer.change("n", add(1)) == 2


async def test_without_a_quorum_the_change_is_not_applied_and_says_why() -> None:
    proposer, acceptors = make(lambda acceptor, *_: "lose" if acceptor.name in "AB" else "deliver", timeout_s=0.3)
    with pytest.raises(NotApplied, match=r"safe to repeat.*A the message was lost; B the message was lost"):
        await proposer.change("n", add(1))
    for acceptor in acceptors.values():
        acceptor.fate = deliver
    assert await proposer.change("n", add(1)) == 1


async def test_any_proposer_sees_what_another_one_chose() -> None:
    configuration, acceptors = puppets()
    proposers = [Proposer(configuration, acceptors, pause_s=(0.0001, 0.002)) for _ in range(3)]
    for number, proposer in enumerate(proposers * 3, start=1):
        assert await proposer.change("n", add(1)) == number


async def test_every_caller_gets_a_copy_of_its_own() -> None:
    proposer, _ = make()
    first = await proposer.change("list", lambda value: [1])
    first.append(2)
    assert await proposer.change("list", lambda value: value) == [1]


# -- the queue ---------------------------------------------------------------------------------------


async def test_changes_that_wait_for_one_key_share_one_round() -> None:
    proposer, acceptors = make()
    await proposer.change("n", add(0))
    before = len(acceptors["A"].heard)
    assert await asyncio.gather(*(proposer.change("n", add(1)) for _ in range(100))) == list(range(1, 101))
    assert len(acceptors["A"].heard) - before <= 3


async def test_a_refused_change_does_not_hurt_those_that_share_its_round() -> None:
    proposer, _ = make()

    def refuse(value: Any) -> Any:
        raise ChangeRejected("not now")

    first, refused, last = await asyncio.gather(
        proposer.change("n", add(1)),
        proposer.change("n", refuse),
        proposer.change("n", add(1)),
        return_exceptions=True,
    )
    assert (first, last) == (1, 2)
    assert isinstance(refused, ChangeRejected) and refused.value == 1


async def test_cancelling_a_caller_does_not_cancel_the_round_of_the_others() -> None:
    proposer, _ = make()
    calls = [asyncio.create_task(proposer.change("n", add(1))) for _ in range(3)]
    await asyncio.sleep(0)
    calls[0].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [1, 2]  # it left before the round applied its function


async def test_a_caller_whose_deadline_has_passed_leaves_before_the_round_starts() -> None:
    gate = asyncio.Event()

    class Slow(Puppet):
        async def send(self, requests: Any) -> Any:
            await gate.wait()
            return await super().send(requests)

    acceptors = {name: Slow(name) for name in "ABC"}
    proposer = Proposer(Configuration.majority("ABC"), acceptors)
    first = asyncio.create_task(proposer.change("n", add(1)))
    await asyncio.sleep(0)
    second = asyncio.create_task(proposer.change("n", add(10), timeout_s=0.01))
    with pytest.raises(NotApplied):
        await second
    gate.set()
    assert await first == 1
    assert await proposer.change("n", add(0)) == 1


async def test_closing_ends_changes_under_way_and_refuses_new_ones() -> None:
    class Deaf(Puppet):
        async def send(self, requests: Any) -> Any:
            await asyncio.sleep(60)

    proposer = Proposer(Configuration.majority("A"), {"A": Deaf("A")})
    calls = [asyncio.create_task(proposer.change("n", add(1))) for _ in range(3)]
    await asyncio.sleep(0.01)
    await proposer.close()
    assert all(isinstance(outcome, NotApplied) for outcome in await asyncio.gather(*calls, return_exceptions=True))
    with pytest.raises(ConfigurationError, match="closed"):
        await proposer.change("n", add(1))


# -- the change function -----------------------------------------------------------------------------


async def test_the_function_gets_its_own_copy_so_changing_it_in_place_changes_nothing_else() -> None:
    proposer, _ = make()
    await proposer.change("list", lambda value: [1])

    def careless(value: list[int]) -> int:
        value.append(2)
        return len(value)

    seen = await asyncio.gather(proposer.change("list", lambda value: value), proposer.change("list", careless))
    assert seen == [[1], 2]


async def test_changing_the_argument_in_place_and_returning_nothing_is_an_error_not_a_deletion() -> None:
    proposer, _ = make()
    await proposer.change("list", lambda value: [1])
    with pytest.raises(TypeError, match="return the new value"):
        await proposer.change("list", lambda value: value.append(2))
    assert await proposer.change("list", lambda value: value) == [1]


async def test_a_function_may_return_none_for_nothing() -> None:
    proposer, _ = make()
    await proposer.change("list", lambda value: [1])
    assert await proposer.change("list", lambda value: None) is None


async def test_an_async_function_is_refused_in_words() -> None:
    proposer, _ = make()

    async def change(value: Any) -> Any:
        return value

    with pytest.raises(TypeError, match="plain function"):
        await proposer.change("n", change)


async def test_a_generator_is_not_taken_for_an_async_function() -> None:
    proposer, _ = make()

    def change(value: Any) -> Any:
        yield value

    with pytest.raises(TypeError, match="generator"):
        await proposer.change("n", change)


@pytest.mark.parametrize("key", [b"n", 5, None])
async def test_a_key_that_is_no_text_is_a_type_error(key: Any) -> None:
    proposer, _ = make()
    with pytest.raises(TypeError, match="'str'"):
        await proposer.change(key, add(1))


loop: list[Any] = []
loop.append(loop)
deep: list[Any] = []
for _ in range(100_000):
    deep = [deep]


@pytest.mark.parametrize(
    "result", [math.nan, math.inf, {1: "a"}, {"a": [{2: 0}]}, "\ud800", {"\ud800": 1}, {1, 2}, b"", loop, deep]
)
async def test_a_result_that_is_not_json_fails_before_any_accept_is_sent(result: object) -> None:
    proposer, acceptors = make()
    with pytest.raises((TypeError, ValueError, RecursionError)):
        await proposer.change("n", lambda value: result)
    assert not any(acceptor.accepts for acceptor in acceptors.values())
    assert await proposer.change("n", add(1)) == 1


async def test_what_is_returned_is_what_was_stored() -> None:
    proposer, _ = make()
    assert await proposer.change("n", lambda value: {"pair": (1, 2)}) == {"pair": [1, 2]}
    assert await proposer.change("n", lambda value: "тест \u2028 \x00 🦔") == "тест \u2028 \x00 🦔"
    assert await proposer.change("n", lambda value: 10**400) == 10**400


class Stop(BaseException):
    """Not an Exception."""


@pytest.mark.parametrize("error", [ZeroDivisionError("oops"), Stop(), KeyError("x"), TimeoutError("mine")])
async def test_what_the_function_raises_is_raised_once_the_value_is_chosen(error: BaseException) -> None:
    proposer, acceptors = make()
    await proposer.change("n", add(7))
    for name in "AB":
        acceptors[name].states["n"] = State(Ballot(1, 1))  # only C knows the value now

    def fail(value: Any) -> Any:
        raise error

    with pytest.raises(type(error)) as caught:
        await proposer.change("n", fail)
    assert caught.value is error
    assert [stored(acceptor, "n") for acceptor in acceptors.values()].count(7) >= 2


async def test_a_key_has_to_be_text_that_utf8_can_hold() -> None:
    proposer, _ = make()
    with pytest.raises(UnicodeEncodeError):
        await proposer.change("\ud800", add(1))
    with pytest.raises((TypeError, AttributeError)):
        await proposer.change(5, add(1))  # type: ignore[arg-type]


# -- where it may be used ----------------------------------------------------------------------------


def test_a_proposer_belongs_to_one_event_loop() -> None:
    proposer, _ = make()
    assert asyncio.run(proposer.change("n", add(1))) == 1
    with pytest.raises(ConfigurationError, match="loop"):
        asyncio.run(proposer.change("n", add(1)))


@pytest.mark.parametrize("used", [True, False])
async def test_a_forked_process_may_not_share_a_proposer(monkeypatch: pytest.MonkeyPatch, used: bool) -> None:
    """Pitfall 8. One that was made before the fork, but not used, was once let through: both had one id."""
    proposer, _ = make()
    if used:
        await proposer.change("n", add(1))
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(ConfigurationError, match="process"):
        await proposer.change("n", add(1))


def test_every_proposer_has_an_id_of_its_own() -> None:  # pitfall 8
    ids = {Proposer(*puppets()).id for _ in range(100)}
    assert len(ids) == 100
    assert all(0 < proposer_id <= MAX_COUNTER for proposer_id in ids)


@pytest.mark.parametrize("wrong", [0, -1, 2**53, 1.5, "7", None])
def test_an_id_is_an_integer_that_every_server_can_compare(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="lies between"):
        Proposer(*puppets(), id=wrong)


def test_a_configuration_that_names_an_unknown_acceptor_is_refused() -> None:
    _, acceptors = puppets()
    with pytest.raises(ConfigurationError, match="D"):
        Proposer(Configuration.majority("ABCD"), acceptors)


async def test_the_counter_is_not_allowed_past_what_lua_can_tell_apart() -> None:  # pitfall 8
    proposer, acceptors = make()
    for acceptor in acceptors.values():
        acceptor.states["n"] = State(Ballot(MAX_COUNTER, 5))
    with pytest.raises(ConfigurationError, match=r"2\*\*53"):
        await proposer.change("n", add(1))


async def test_a_fault_in_an_acceptor_is_that_acceptors_alone() -> None:
    proposer, acceptors = make()

    def explode(state: State, message: Message) -> Any:
        raise ZeroDivisionError("a bug")

    acceptors["B"]._prepare = explode  # type: ignore[assignment]
    assert await proposer.change("n", add(1)) == 1


async def test_a_configuration_error_reaches_the_caller_at_once() -> None:
    class Wrong(Puppet):
        async def send(self, requests: Any) -> Any:
            raise ConfigurationError("two clusters")

    proposer = Proposer(Configuration.majority("A"), {"A": Wrong("A")})
    with pytest.raises(ConfigurationError, match="two clusters"):
        await asyncio.wait_for(proposer.change("n", add(1)), 1)


# -- observing ---------------------------------------------------------------------------------------


async def test_an_observer_sees_a_change_from_begin_to_end() -> None:
    events: list[Event] = []
    proposer, _ = make(observe=events.append)
    await proposer.change("n", add(1))
    await asyncio.sleep(0.01)
    kinds = [event.kind for event in events]
    assert kinds[0] == "change-begun" and "change-ended" in kinds
    assert kinds.count("sent") == 6 and kinds.count("delivered") == 6
    assert {event.key for event in events} == {"n"}
    assert {event.peer for event in events if event.kind == "sent"} == {"A", "B", "C"}


async def test_the_same_seed_gives_the_same_events() -> None:
    async def run() -> list[Event]:
        events: list[Event] = []
        lottery = random.Random(7)
        fate = lambda *_: lottery.choice(["deliver", "deliver", "lose", "lose reply"])  # noqa: E731
        proposer, _ = make(fate, id=1, observe=events.append, rng=random.Random(3))
        await asyncio.gather(*(proposer.change(f"k{n % 3}", add(1)) for n in range(30)), return_exceptions=True)
        return [Event(event.kind, 0.0, event.node, peer=event.peer, message=event.message) for event in events]

    first, second = await run(), await run()
    assert sorted(map(str, first)) == sorted(map(str, second))


# -- flexible quorums --------------------------------------------------------------------------------


async def test_the_cache_holds_only_once_a_prepare_quorum_has_promised() -> None:
    four = ("A", "B", "C", "D")
    _, acceptors = puppets(names="ABCD")
    flexible = Configuration(Quorum(four, 3), Quorum(four, 2))
    proposer = Proposer(flexible, acceptors, pause_s=(0.0001, 0.002))

    def only_two(acceptor: Puppet, key: str, message: Message) -> str:
        return "lose" if isinstance(message, Accept) and acceptor.name in "CD" else "deliver"

    for acceptor in acceptors.values():
        acceptor.fate = only_two
    assert await proposer.change("n", add(1)) == 1
    assert await proposer.change("n", add(1)) == 2
    assert [type(message).__name__ for message in acceptors["A"].heard] == ["Prepare", "Accept"] * 2


@pytest.mark.parametrize("value", [{"a": 1, "lineage": {"1": 2}}, '"},"lineage":{"1":2}}', {"value": {"lineage": {}}}])
async def test_a_value_that_looks_like_the_stores_own_record_is_kept_as_it_is(value: object) -> None:  # pitfall 8
    proposer, _ = make()
    assert await proposer.change("n", lambda _: value) == value
    proposer._cache.clear()
    assert await proposer.change("n", lambda stored: stored) == value
