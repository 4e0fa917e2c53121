"""What goes wrong in real implementations of CASPaxos. The numbers are those of the project's list.

1 a ballot used for two values · 2 an unknown outcome applied twice · 3 a refusal on a value that is not chosen
4 what the function does · 5 the counter behind its own promise · 6 duplicated and late messages
7 amnesia · 8 collisions of keys, numbers and ids · 9 changes sent as code · 10 hot keys
11 duelling proposers · 12 absence · 13 equal ballots · 14 a bad entry in a batch · 15 quorums too small

4 and 10 are mostly in test_proposer, 6 also in test_round, 7, 8 and 14 in test_redis_acceptor and
test_identity, 13 in test_acceptor, 15 in test_configuration.
"""

from __future__ import annotations

import ast
import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gryadka import ChangeRejected, NotApplied, OutcomeUnknown, Proposer
from gryadka.protocol.acceptor import ZERO, Accept, Ballot, Message, Prepare, State
from gryadka.protocol.configuration import Configuration, Quorum
from gryadka.protocol.value import LINEAGE, decode, unpack
from tests.examples import examples
from tests.puppet import Puppet, puppets

QUICK = {"pause_s": (0.0001, 0.002)}


def proposers(count: int, configuration: Configuration, acceptors: dict[str, Puppet], **options: Any) -> list[Proposer]:
    options = QUICK | options
    return [
        Proposer(configuration, acceptors, id=number, rng=random.Random(number), **options)
        for number in range(1, count + 1)
    ]


class Appender:
    """Appends a mark to a list, and counts how often it ran."""

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.runs = 0

    def __call__(self, value: Any) -> Any:
        self.runs += 1
        return [*(value or []), self.mark]


def read(value: Any) -> Any:
    return value


def stored(acceptor: Puppet, key: str = "k") -> Any:
    return decode(unpack(acceptor.states.get(key, State()).value)[0])


def after(first: int, fate: str, then: str = "deliver") -> Callable[[Puppet, str, Message], str]:
    """The first `first` accepts that are sent meet `fate`, whoever they go to; everything else meets `then`."""
    count = 0

    def decide(acceptor: Puppet, key: str, message: Message) -> str:
        nonlocal count
        if isinstance(message, Accept):
            count += 1
            if count <= first:
                return fate
        return then

    return decide


# -- 1 -----------------------------------------------------------------------------------------------


@examples(30)
@given(st.integers(0, 10_000))
def test_a_ballot_is_never_used_for_two_values_whatever_is_lost(seed: int) -> None:
    async def run() -> None:
        lottery = random.Random(seed)
        fates = ["deliver", "deliver", "lose", "lose reply", "twice"]
        configuration, acceptors = puppets(lambda *_: lottery.choice(fates))
        two = proposers(2, configuration, acceptors, timeout_s=0.3)
        calls = [two[number % 2].change("k", Appender(str(number))) for number in range(6)]
        await asyncio.gather(*calls, return_exceptions=True)
        values: dict[Ballot, str] = {}
        for acceptor in acceptors.values():
            for message in acceptor.accepts:
                assert values.setdefault(message.ballot, message.value) == message.value

    asyncio.run(run())


async def test_a_restarted_proposer_does_not_continue_with_old_ballots() -> None:
    configuration, acceptors = puppets()
    await Proposer(configuration, acceptors, **QUICK).change("k", Appender("before"))
    again = Proposer(configuration, acceptors, **QUICK)
    assert await again.change("k", Appender("after")) == ["before", "after"]
    assert len({message.ballot.proposer for message in acceptors["A"].heard}) == 2


# -- 2 -----------------------------------------------------------------------------------------------


async def test_an_accept_whose_replies_were_lost_is_found_and_not_applied_again() -> None:
    configuration, acceptors = puppets(after(3, "lose reply"))
    append = Appender("x")
    assert await proposers(1, configuration, acceptors)[0].change("k", append) == ["x"]
    assert append.runs == 1
    assert {str(stored(acceptor)) for acceptor in acceptors.values()} == {"['x']"}


async def test_an_accept_that_never_arrived_is_applied_again_once() -> None:
    configuration, acceptors = puppets(after(3, "lose"))
    append = Appender("x")
    assert await proposers(1, configuration, acceptors)[0].change("k", append) == ["x"]
    assert append.runs == 2


async def test_conflicts_from_every_acceptor_do_not_prove_that_nothing_was_accepted() -> None:
    """A takes the accept and its reply is lost; another proposer prepares; duplicates of the accept are then
    refused by all three. The other proposer goes on from the value on A. A blind retry would apply twice."""
    configuration, acceptors = puppets()
    first, second = proposers(2, configuration, acceptors)
    interfered = False

    def fate(acceptor: Puppet, key: str, message: Message) -> str:
        nonlocal interfered
        if isinstance(message, Accept) and message.ballot.proposer == first.id and not interfered:
            if acceptor.name == "A":
                acceptor.answer(key, message)  # accepted; what is heard is the duplicate's refusal
            acceptor.answer(key, Prepare(Ballot(message.ballot.counter + 5, second.id)))
            interfered = acceptor.name == "C"
        return "deliver"

    for acceptor in acceptors.values():
        acceptor.fate = fate
    append = Appender("x")
    assert await first.change("k", append) == ["x"]
    assert append.runs == 1
    assert await second.change("k", read) == ["x"]


async def test_a_change_that_another_proposer_carried_on_is_known_to_be_applied() -> None:
    """Ours is accepted on A alone; another proposer finds it there and appends its own. Ours is applied."""
    configuration, acceptors = puppets()
    ours, other = proposers(2, configuration, acceptors)
    append, carried_on = Appender("ours"), False

    def fate(acceptor: Puppet, key: str, message: Message) -> str:
        if isinstance(message, Accept) and message.ballot.proposer == ours.id and not carried_on:
            return "lose reply" if acceptor.name == "A" else "lose"
        if isinstance(message, Prepare) and message.ballot.proposer == other.id and acceptor.name == "C":
            return "lose"  # so that its quorum is A and B
        if isinstance(message, Prepare) and message.ballot.proposer == ours.id and not carried_on and append.runs:
            return "lose"  # so that the other comes first
        return "deliver"

    for acceptor in acceptors.values():
        acceptor.fate = fate
    call = asyncio.create_task(ours.change("k", append))
    await asyncio.sleep(0.02)
    assert await other.change("k", Appender("other")) == ["ours", "other"]
    carried_on = True
    assert await call == ["ours"]  # the value that our change produced
    assert append.runs == 1
    assert await other.change("k", read) == ["ours", "other"]


async def test_a_change_that_another_proposer_passed_over_is_applied_again() -> None:
    """Ours is accepted on A alone; another proposer's quorum is B and C, so ours can never be chosen."""
    configuration, acceptors = puppets()
    ours, other = proposers(2, configuration, acceptors)
    append, passed = Appender("ours"), False

    def fate(acceptor: Puppet, key: str, message: Message) -> str:
        if message.ballot.proposer == ours.id and append.runs and not passed:
            return "lose reply" if acceptor.name == "A" and isinstance(message, Accept) else "lose"
        if message.ballot.proposer == other.id and acceptor.name == "A" and not passed:
            return "lose"
        return "deliver"

    for acceptor in acceptors.values():
        acceptor.fate = fate
    call = asyncio.create_task(ours.change("k", append))
    await asyncio.sleep(0.02)
    assert await other.change("k", Appender("other")) == ["other"]
    passed = True
    assert await call == ["other", "ours"]
    assert append.runs == 2


async def test_a_stale_cache_costs_a_round_and_neither_loses_nor_doubles_a_change() -> None:
    configuration, acceptors = puppets()
    two = proposers(2, configuration, acceptors)
    for number in range(10):
        await two[number % 2].change("k", Appender(str(number)))
    assert await two[0].change("k", read) == [str(number) for number in range(10)]


async def test_the_outcome_is_unknown_when_more_proposers_came_between_than_a_lineage_names() -> None:
    configuration, acceptors = puppets()
    ours, *others = proposers(LINEAGE + 2, configuration, acceptors)
    append, over = Appender("ours"), False

    def fate(acceptor: Puppet, key: str, message: Message) -> str:
        if message.ballot.proposer == ours.id and append.runs and not over:
            return "lose reply" if acceptor.name == "A" and isinstance(message, Accept) else "lose"
        return "deliver"

    for acceptor in acceptors.values():
        acceptor.fate = fate
    call = asyncio.create_task(ours.change("k", append))
    await asyncio.sleep(0.02)
    for other in others:
        await other.change("k", Appender("other"))
    over = True
    with pytest.raises(OutcomeUnknown, match="a change to itself tells"):
        await call


async def test_at_the_deadline_a_sent_change_is_unknown_and_one_that_was_not_sent_is_not_applied() -> None:
    configuration, acceptors = puppets(
        lambda acceptor, key, message: "lose" if isinstance(message, Accept) else "deliver"
    )
    with pytest.raises(OutcomeUnknown):
        await proposers(1, configuration, acceptors)[0].change("k", Appender("x"), timeout_s=0.3)
    for acceptor in acceptors.values():
        acceptor.fate = lambda *_: "lose"
    with pytest.raises(NotApplied):
        await proposers(1, configuration, acceptors)[0].change("k", Appender("x"), timeout_s=0.3)


async def test_no_accept_is_ever_sent_twice() -> None:
    configuration, acceptors = puppets(after(5, "lose reply"))
    proposer = proposers(1, configuration, acceptors)[0]
    for number in range(5):
        await proposer.change("k", Appender(str(number)))
    for acceptor in acceptors.values():
        ballots = [message.ballot for message in acceptor.accepts]
        assert len(ballots) == len(set(ballots))


async def test_a_later_sent_accept_does_not_hide_an_earlier_one() -> None:
    """The first accept reaches A alone, the second nobody; the next quorum sees the first one on A."""
    configuration, acceptors = puppets()
    proposer = proposers(1, configuration, acceptors)[0]
    append = Appender("x")
    stage = 0

    def fate(acceptor: Puppet, key: str, message: Message) -> str:
        nonlocal stage
        if isinstance(message, Accept) and stage < 2:
            if acceptor.name == "C":
                stage += 1
            return "lose reply" if acceptor.name == "A" and message.ballot.counter <= 2 else "lose"
        if isinstance(message, Prepare) and acceptor.name == "A" and stage == 1:
            return "lose"  # the second attempt does not see what A holds
        if isinstance(message, Prepare) and acceptor.name == "C" and stage == 2:
            return "lose"  # the third one does
        return "deliver"

    for acceptor in acceptors.values():
        acceptor.fate = fate
    assert await proposer.change("k", append) == ["x"]
    assert append.runs == 2
    assert await proposer.change("k", read) == ["x"]


@examples(60)
@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from([1, 2, LINEAGE]))
def test_whatever_the_network_does_no_change_is_lost_and_none_is_applied_twice(
    seed: int, count: int, lineage: int
) -> None:
    """Every acknowledged change is in the final list once, a refused one never, an unknown one at most once,
    and what each caller was told is how the list once began."""

    async def run() -> None:
        lottery = random.Random(seed)
        fates = ["deliver"] * 6 + ["lose", "lose reply", "twice"]

        class Slow(Puppet):
            async def send(self, requests: Any) -> Any:
                for _ in range(lottery.randrange(6)):
                    await asyncio.sleep(0)
                replies = await super().send(requests)
                for _ in range(lottery.randrange(6)):
                    await asyncio.sleep(0)
                return replies

        acceptors: dict[str, Puppet] = {name: Slow(name, lambda *_: lottery.choice(fates)) for name in "ABC"}
        several = proposers(count, Configuration.majority("ABC"), acceptors, timeout_s=0.1)
        marks = [str(number) for number in range(24)]

        async def client(first: int) -> list[Any]:
            outcomes = []
            for mark in marks[first::3]:
                proposer = several[lottery.randrange(count)]
                (outcome,) = await asyncio.gather(proposer.change("k", Appender(mark)), return_exceptions=True)
                outcomes.append((mark, outcome))
            return outcomes

        outcomes = [pair for pairs in await asyncio.gather(*map(client, range(3))) for pair in pairs]
        fates[:] = ["deliver"]
        final = await several[0].change("k", read, timeout_s=20) or []
        for mark, outcome in outcomes:
            if isinstance(outcome, list):
                assert final.count(mark) == 1 and outcome == final[: len(outcome)] and outcome[-1] == mark
            else:
                assert isinstance(outcome, NotApplied | OutcomeUnknown)
                assert final.count(mark) <= isinstance(outcome, OutcomeUnknown)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gryadka.protocol.value.LINEAGE", lineage)
        asyncio.run(run())


# -- 3 -----------------------------------------------------------------------------------------------


async def test_a_refusal_is_reported_only_on_a_value_that_is_chosen() -> None:
    configuration, acceptors = puppets()
    acceptors["A"].states["k"] = State(Ballot(1, 9), Ballot(1, 9), '{"value":"half","lineage":{"9":1}}')
    acceptors["C"].up = False
    acceptors["C"].fate = lambda *_: "lose"

    def refuse(value: Any) -> Any:
        raise ChangeRejected("no")

    with pytest.raises(ChangeRejected) as caught:
        await proposers(1, configuration, acceptors)[0].change("k", refuse)
    assert caught.value.value == "half"
    assert stored(acceptors["A"]) == stored(acceptors["B"]) == "half"


async def test_a_refusal_is_not_reported_when_its_value_could_not_be_chosen() -> None:
    configuration, acceptors = puppets(
        lambda acceptor, key, message: "lose" if isinstance(message, Accept) else "deliver"
    )

    def refuse(value: Any) -> Any:
        raise ChangeRejected("no")

    with pytest.raises(NotApplied):
        await proposers(1, configuration, acceptors)[0].change("k", refuse, timeout_s=0.3)


# -- 4 -----------------------------------------------------------------------------------------------


async def test_every_run_of_the_function_gets_a_fresh_copy() -> None:
    configuration, acceptors = puppets(after(3, "lose"))
    proposer = proposers(1, configuration, acceptors)[0]
    seen: list[Any] = []

    def spoil(value: Any) -> Any:
        seen.append(list(value or []))
        value = value or []
        value.append("x")
        return value

    assert await proposer.change("k", spoil) == ["x"]
    assert seen == [[], []]


# -- 5 -----------------------------------------------------------------------------------------------


async def test_the_counter_is_never_behind_its_own_promise() -> None:
    configuration, acceptors = puppets()
    proposer = proposers(1, configuration, acceptors)[0]
    await proposer.change("k", Appender("x"))
    proposer._cache.clear()
    await proposer.change("k", Appender("y"))
    prepares = [message for message in acceptors["A"].heard if isinstance(message, Prepare)]
    assert len(prepares) == 2  # the second prepare was promised at once: no conflict with its own promise


async def test_a_late_conflict_does_not_turn_the_counter_back() -> None:
    configuration, acceptors = puppets()
    proposer = proposers(1, configuration, acceptors)[0]
    proposer._counter = 100
    acceptors["A"].states["k"] = State(Ballot(150, 9))
    acceptors["B"].states["k"] = State(Ballot(120, 9))
    await proposer.change("k", Appender("x"))
    counters = [message.ballot.counter for message in acceptors["C"].heard]
    assert counters == sorted(counters) and counters[-1] > 150


# -- 6 -----------------------------------------------------------------------------------------------


async def test_messages_that_arrive_twice_do_no_harm() -> None:
    # The second reply is the one that is heard: to an accept that carried a promise, it is a refusal.
    lottery = random.Random(6)
    configuration, acceptors = puppets(lambda *_: lottery.choice(["deliver", "twice"]))
    two = proposers(2, configuration, acceptors)
    outcomes = await asyncio.gather(*(two[n % 2].change("k", Appender(str(n))) for n in range(6)))
    final = await two[0].change("k", read)
    assert sorted(final) == ["0", "1", "2", "3", "4", "5"]
    assert all(outcome[-1] == str(number) for number, outcome in enumerate(outcomes))


# -- 9 -----------------------------------------------------------------------------------------------


def test_nothing_in_the_package_runs_text_as_code() -> None:
    for path in Path("gryadka").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile", "__import__"}, path
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not {"pickle", "marshal", "shelve", "dill", "cloudpickle"} & set(names), path


# -- 10 ----------------------------------------------------------------------------------------------


async def test_in_a_lost_round_a_change_is_unknown_and_a_refusal_or_a_read_is_not_applied() -> None:
    configuration, acceptors = puppets(
        lambda acceptor, key, message: "lose" if isinstance(message, Accept) else "deliver"
    )
    proposer = proposers(1, configuration, acceptors, timeout_s=0.3)[0]

    def refuse(value: Any) -> Any:
        raise ChangeRejected("no")

    outcomes = await asyncio.gather(
        proposer.change("k", Appender("x")),
        proposer.change("k", refuse),
        proposer.change("k", read),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown, NotApplied, NotApplied]


@pytest.mark.parametrize("leave", ["by deadline", "by cancelling"])
async def test_a_caller_who_left_while_the_prepare_was_under_way_is_not_applied(leave: str) -> None:
    """It was told that its change is not applied. The simulator found it applied all the same."""
    gate = asyncio.Event()

    class Slow(Puppet):
        async def send(self, requests: Any) -> Any:
            await gate.wait()
            return await super().send(requests)

    proposer = Proposer(Configuration.majority("ABC"), {name: Slow(name) for name in "ABC"}, **QUICK)
    stays = asyncio.create_task(proposer.change("k", Appender("stays")))
    leaves = asyncio.create_task(proposer.change("k", Appender("leaves"), timeout_s=0.05))
    alone = asyncio.create_task(proposer.change("other", Appender("leaves"), timeout_s=0.05))
    await asyncio.sleep(0.01)
    if leave == "by cancelling":
        leaves.cancel()
        alone.cancel()
    outcomes = await asyncio.gather(leaves, alone, return_exceptions=True)
    assert all(isinstance(outcome, NotApplied | asyncio.CancelledError) for outcome in outcomes)
    gate.set()
    assert await stays == ["stays"]
    assert await proposer.change("other", read) is None


async def test_each_caller_of_a_shared_round_gets_its_own_result() -> None:
    configuration, acceptors = puppets()
    proposer = proposers(1, configuration, acceptors)[0]
    results = await asyncio.gather(*(proposer.change("k", Appender(str(number))) for number in range(20)))
    assert [result[-1] for result in results] == [str(number) for number in range(20)]
    assert [len(result) for result in results] == list(range(1, 21))


# -- 11 ----------------------------------------------------------------------------------------------


async def test_duelling_proposers_all_get_through() -> None:
    configuration, acceptors = puppets()
    several = proposers(4, configuration, acceptors, timeout_s=20.0)
    calls = [proposer.change("k", Appender(f"{proposer.id}.{turn}")) for turn in range(10) for proposer in several]
    await asyncio.gather(*calls)
    final = await several[0].change("k", read)
    assert len(final) == len(set(final)) == 40


async def test_pauses_grow_and_differ() -> None:
    pauses: list[tuple[float, float]] = []

    class Dice(random.Random):
        def uniform(self, a: float, b: float) -> float:
            pauses.append((a, b))
            return 0.0

    configuration, acceptors = puppets(lambda *_: "lose")
    proposer = Proposer(configuration, acceptors, pause_s=(0.001, 0.01), rng=Dice(1), timeout_s=0.3)
    with pytest.raises(NotApplied):
        await proposer.change("k", read)
    assert pauses[:6] == [(0, 0.001), (0, 0.002), (0, 0.004), (0, 0.008), (0, 0.01), (0, 0.01)]


# -- 12 ----------------------------------------------------------------------------------------------


async def test_never_written_and_holding_none_read_alike() -> None:
    configuration, acceptors = puppets()
    proposer = proposers(1, configuration, acceptors)[0]
    assert await proposer.change("never", read) is None
    await proposer.change("gone", lambda value: 1)
    assert await proposer.change("gone", lambda value: None) is None
    assert await proposer.change("gone", lambda value: [value]) == [None]


# -- 15 ----------------------------------------------------------------------------------------------


async def test_an_accept_quorum_of_one_loses_an_acknowledged_change() -> None:
    """The must-fail twin: without intersection, a change that was acknowledged is gone."""
    three = ("A", "B", "C")
    unsafe = Configuration(Quorum(three, 2), Quorum(three, 1), unsafe=True)
    _, acceptors = puppets()
    first, second = proposers(2, unsafe, acceptors)
    for acceptor in acceptors.values():
        acceptor.fate = lambda acceptor, key, message: (
            "lose" if isinstance(message, Accept) and acceptor.name != "A" else "deliver"
        )
    assert await first.change("k", Appender("acknowledged")) == ["acknowledged"]
    acceptors["A"].fate = lambda *_: "lose"
    for name in "BC":
        acceptors[name].fate = lambda *_: "deliver"
    assert await second.change("k", read) is None
    assert acceptors["B"].states["k"].accepted > ZERO
