"""The store itself, without HTTP: against a model in plain Python, and over a simulated network that a seed breaks."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gryadka.acceptors.memory import MemoryAcceptor, memory_acceptors
from gryadka.errors import NotApplied, OutcomeUnknown
from gryadka.http.failures import KeyReused, NotFound, PreconditionFailed, Refused
from gryadka.http.records import Answer, Condition
from gryadka.http.store import Store
from gryadka.proposer import Proposer
from gryadka.protocol.configuration import Configuration
from gryadka.simulation import plan
from gryadka.simulation.loop import run
from gryadka.simulation.network import Network
from gryadka.simulation.scenarios import LOSSY, SHUFFLED, Weather
from tests.examples import examples

# -- against a model -------------------------------------------------------------------------------------

CALLS = st.tuples(
    st.sampled_from(["get", "put", "put", "delete", "append"]),
    st.sampled_from(["none", "current", "old", "any", "absent"]),  # the condition
    st.sampled_from([None, None, "k1", "k2"]),  # the Idempotency-Key
    st.integers(0, 2),  # the value
)


class Model:
    """One record as its client sees it."""

    def __init__(self) -> None:
        self.value: Any = None
        self.etags: list[str | None] = [None]  # of all times; the last one is the present one
        self.answers: dict[str, tuple[Any, Answer]] = {}  # Idempotency-Key -> its request and its answer

    def expected(
        self, request: tuple[Any, ...], condition: Condition, once: str | None
    ) -> type[Refused] | Answer | None:
        """What the store has to say before it changes anything; None if it has to change something."""
        now, call = self.etags[-1], request[0]
        if once in self.answers:
            known, answer = self.answers[once]
            return answer if known == request else KeyReused
        if condition.match and (now is None or (now not in condition.match and "*" not in condition.match)):
            return PreconditionFailed
        if condition.none_match and now is not None:
            return PreconditionFailed
        return NotFound if call == "delete" and now is None else None


def condition(model: Model, kind: str) -> Condition:
    etags = [etag for etag in model.etags if etag]
    match kind:
        case "current":
            return Condition(match=(model.etags[-1] or '"0-0"',))
        case "old":
            return Condition(match=tuple(etag for etag in etags if etag != model.etags[-1]) or ('"0-0"',))
        case "any":
            return Condition(match=("*",))
        case "absent":
            return Condition(none_match=("*",))
    return Condition()


async def ask(store: Store, call: str, number: int, condition: Condition, once: str | None) -> Answer:
    if call == "put":
        return await store.put("a", [number], condition=condition, once=once)
    if call == "delete":
        return await store.delete("a", condition=condition, once=once)
    return await store.change("a", "append", {"item": number}, condition=condition, once=once)


@given(st.lists(CALLS, max_size=25))
@examples(200)
def test_the_store_does_what_a_model_in_plain_python_does(calls: list[tuple[str, str, str | None, int]]) -> None:
    async def play() -> None:
        configuration, acceptors = memory_acceptors(3)
        stores = [Store(Proposer(configuration, acceptors)) for _ in range(2)]
        model = Model()
        for number, (call, kind, once, value) in enumerate(calls):
            store, wanted = stores[number % 2], condition(model, kind)
            if call == "get":
                record = await store.get("a")
                assert (record.etag, record.value) == (model.etags[-1], model.value)
                continue
            request = (call, value if call != "delete" else None, wanted)
            expected = model.expected(request, wanted, once)
            if isinstance(expected, type):
                with pytest.raises(expected):
                    await ask(store, call, value, wanted, once)
                continue
            answer = await ask(store, call, value, wanted, once)
            if expected is not None:
                assert answer == expected
                continue
            assert (answer.etag is None) == (call == "delete") and (
                answer.etag is None or answer.etag not in model.etags
            )
            model.value = {"put": [value], "delete": None, "append": [*(model.value or []), value]}[call]
            assert answer.result == (len(model.value) if call == "append" else None)
            model.etags.append(answer.etag)
            if once:
                model.answers[once] = (request, answer)

    asyncio.run(play())


# -- over a network that a seed breaks -------------------------------------------------------------------

DOUBLED = Weather(delay_s=(0.0005, 0.02), late=0.05, duplicate=0.3)


def two_proposers(weather: Weather, seed: int) -> list[Proposer]:
    members = ["A", "B", "C"]
    fates = plan.DrawnFates(weather, plan.stream(seed, "network"))
    network = Network(asyncio.get_running_loop(), {name: MemoryAcceptor(name) for name in members}, fates)
    return [
        Proposer(
            Configuration.majority(members),
            network.links(f"P{number}", f"proposer-{number}", 0.03),
            timeout_s=0.06,
            pause_s=(0.002, 0.05),
            rng=plan.stream(seed, f"proposer {number}"),
            id=number,
        )
        for number in (1, 2)
    ]


async def exactly_once(
    weather: Weather, seed: int, keys_are_sent: bool = True
) -> tuple[list[str], dict[str, int], int]:
    """Three clients that repeat each request until it is answered: the list at the end, what they were told of
    the place of each item in it, and how many requests had to be sent again."""
    proposers = two_proposers(weather, seed)
    told: dict[str, int] = {}
    repeats = 0

    async def work(client: int, chance: random.Random) -> None:
        nonlocal repeats
        for number in range(8):
            item = f"{client}-{number}"
            while item not in told:
                store = Store(chance.choice(proposers))
                try:
                    answer = await store.change("a", "append", {"item": item}, once=item if keys_are_sent else None)
                    told[item] = answer.result
                except (NotApplied, OutcomeUnknown):
                    repeats += 1

    await asyncio.gather(*(work(client, plan.stream(seed, f"client {client}")) for client in range(3)))
    while True:
        try:
            items = (await Store(proposers[0]).get("a")).value
            break
        except NotApplied:
            pass
    for proposer in proposers:
        await proposer.close()
    return items, told, repeats


@pytest.mark.slow
@pytest.mark.parametrize("weather", [LOSSY, SHUFFLED, DOUBLED], ids=["loss", "reorder", "duplicates"])
def test_a_request_is_applied_exactly_once_whatever_the_network_does(weather: Weather) -> None:
    repeated = 0
    for seed in range(100):
        items, told, repeats = run(exactly_once(weather, seed))
        assert len(items) == len(set(items)) == len(told) == 24, seed
        assert all(items[place - 1] == item for item, place in told.items()), seed
        repeated += repeats
    assert repeated > 20


@pytest.mark.slow
def test_without_an_idempotency_key_some_request_is_applied_twice() -> None:
    runs = (run(exactly_once(LOSSY, seed, keys_are_sent=False)) for seed in range(100))
    assert any(len(items) > len(set(items)) for items, _, _ in runs)


# -- what a look costs -----------------------------------------------------------------------------------


async def test_looking_at_a_record_writes_nothing_and_leaves_the_writer_its_round_trip() -> None:
    configuration, acceptors = memory_acceptors(3)
    writer, reader = Store(Proposer(configuration, acceptors)), Store(Proposer(configuration, acceptors))
    await writer.put("todo", ["milk"])
    stored = {name: dict(acceptor.states) for name, acceptor in acceptors.items()}
    assert (await reader.get("todo")).value == ["milk"] and not (await reader.get("nothing here")).exists
    assert {name: dict(acceptor.states) for name, acceptor in acceptors.items()} == stored
