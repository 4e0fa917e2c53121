"""What a proposer may conclude about a change whose accept it has sent, and when it must not conclude anything.

Each of these decisions once had a wrong variant that every fast test let through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gryadka import ConfigurationError, OutcomeUnknown, Proposer
from gryadka.acceptors.memory import MemoryAcceptor
from gryadka.proposer import _Caller
from gryadka.protocol.acceptor import MAX_COUNTER, Accept, Ballot, Message, Prepare, Promise, Read
from gryadka.protocol.configuration import Configuration
from gryadka.protocol.round import Round
from gryadka.protocol.value import LINEAGE, pack, reaches_below, unpack
from gryadka.simulation.loop import run
from tests.puppet import Puppet, puppets

QUICK: dict[str, Any] = {"pause_s": (0.0001, 0.002)}
FULL = {str(100 + place): 20 + place for place in range(LINEAGE)}


@pytest.mark.parametrize(
    ("lineage", "sent", "applies"),
    [
        ({}, [3], True),
        ({"100": 7}, [3], True),  # whole: so ours is no part of it
        (FULL, [21], True),  # who was left out is older than the oldest here, and that one is older than ours
        (FULL, [20], False),  # ours may be the one that was left out: another one's has the same counter
        (FULL, [10], False),
        (FULL, [10, 30], False),  # the first attempt counts, not the last
        (FULL, [30, 40], True),
        ({"0": 5, "100": 9}, [6], True),  # forgotten was what is older than ours
        ({"0": 5, "100": 9}, [5], False),
        ({"0": 5, "100": 9}, [3, 8], False),
    ],
)
async def test_a_change_is_applied_again_only_if_no_attempt_can_be_in_the_line(
    lineage: Mapping[str, int], sent: Sequence[int], applies: bool
) -> None:
    configuration, acceptors = puppets()
    proposer = Proposer(configuration, acceptors, id=1)
    caller = _Caller(lambda value: "again", asyncio.get_running_loop().create_future(), sent=True)
    accepted = Ballot(60, 100 + LINEAGE - 1)
    stored = pack('"theirs"', lineage, accepted)
    round = Round(configuration, Ballot(70, 1))
    for name in "AB":
        round.receive(name, round.message, Promise(accepted, stored))
    text, outcomes = proposer._proposal(round, {Ballot(counter, 1): [] for counter in sent}, [caller])
    assert [outcome for _, outcome in outcomes] == ['"again"'] * applies
    assert unpack(text)[0] == ('"again"' if applies else '"theirs"')


def test_a_lineage_leaves_out_the_oldest_and_never_the_newest() -> None:
    _, lineage = unpack(pack("1", FULL, Ballot(99, 7)))
    assert lineage == {**dict(list(FULL.items())[1:]), "7": 99}
    tied = dict.fromkeys(FULL, 99)
    assert unpack(pack("1", tied, Ballot(99, 2000)))[1]["2000"] == 99
    assert not reaches_below(tied, Ballot(99, 7))


def test_a_change_stays_unknown_although_its_later_attempt_changes_nothing() -> None:
    """Ours reaches A alone. Then it finds another one's value, which it leaves as it is, and that is lost: as for any
    read, it was told that nothing was applied. The first attempt is chosen afterwards."""

    async def scenario() -> None:
        configuration, acceptors = puppets()
        ours = Proposer(configuration, acceptors, **QUICK)
        other = Ballot(50, 2)

        def fate(acceptor: Puppet, key: str, message: Message) -> str:
            if isinstance(message, Accept):
                if acceptor.name == "C" and message.ballot.counter < 50:
                    for name in "BC":
                        acceptors[name].answer(key, Prepare(other))
                    acceptors["B"].answer(key, Accept(other, pack('"theirs"', {}, other), other))
                return "lose reply" if acceptor.name == "A" and message.ballot.counter < 50 else "lose"
            return "lose" if acceptor.name == "A" and message.ballot.counter > 2 else "deliver"

        for acceptor in acceptors.values():
            acceptor.fate = fate
        runs: list[Any] = []

        def create(value: Any) -> Any:
            runs.append(value)
            return value or "ours"

        with pytest.raises(OutcomeUnknown):
            await ours.change("k", create, timeout_s=0.2)
        assert runs[:2] == [None, "theirs"]
        for acceptor in acceptors.values():
            acceptor.fate = lambda acceptor, *_: "lose" if acceptor.name == "B" else "deliver"
        assert await Proposer(configuration, acceptors, **QUICK).change("k", lambda value: value) == "ours"

    run(scenario())  # in virtual time: nothing is late because the computer is busy


class Gated(MemoryAcceptor):
    """Answers once its `gate` is open."""

    def __init__(self, name: str, gate: asyncio.Event) -> None:
        super().__init__(name)
        self.gate = gate
        self.heard: list[Any] = []

    async def send(self, requests: Any) -> Any:
        await self.gate.wait()
        self.heard += [message for _, message in requests]
        return await super().send(requests)


async def test_a_round_that_was_prepared_before_a_reconfiguration_proposes_nothing() -> None:
    gate = asyncio.Event()
    before = {name: Gated(name, gate) for name in "ABC"}
    configuration, now = puppets()
    await Proposer(configuration, now, **QUICK).change("k", lambda _: ["held"])
    proposer = Proposer(Configuration.majority("ABC"), before, **QUICK)
    proposer._counter = 10  # so that those of now would accept what it proposes
    call = asyncio.create_task(proposer.change("k", lambda value: [*(value or []), "added"]))
    await asyncio.sleep(0.01)
    proposer.reconfigure(configuration, now)
    gate.set()
    assert await call == ["held", "added"]
    assert all([type(message) for message in acceptor.heard] == [Prepare] for acceptor in before.values())


async def test_a_read_that_was_asked_before_a_reconfiguration_shows_what_holds_after_it() -> None:
    gate = asyncio.Event()
    before = {name: Gated(name, gate) for name in "ABC"}
    configuration, now = puppets()
    await Proposer(configuration, now, **QUICK).change("k", lambda _: "now")
    proposer = Proposer(Configuration.majority("ABC"), before, **QUICK)
    reading = asyncio.create_task(proposer.read("k"))
    await asyncio.sleep(0.01)
    proposer.reconfigure(configuration, now)
    gate.set()
    assert await reading == "now"


@pytest.mark.parametrize(("left", "applied"), [(3, 2), (2, 1), (1, 0), (0, 0), (-1000, 0)])
async def test_counters_are_used_up_to_the_limit_and_not_past_it(left: int, applied: int) -> None:
    """Each change takes one ballot and promises the next. A pause may jump past the limit."""
    configuration, acceptors = puppets()
    proposer = Proposer(configuration, acceptors, **QUICK)
    proposer._counter = MAX_COUNTER - left
    for number in range(applied):
        assert await proposer.change("k", lambda value: (value or 0) + 1) == number + 1
    with pytest.raises(ConfigurationError, match=r"2\*\*53"):
        await proposer.change("k", lambda value: (value or 0) + 1)
    assert await proposer.read("k") == (applied or None)
    ballots = [message.ballot for message in acceptors["A"].heard if not isinstance(message, Read)]
    assert all(ballot.counter <= MAX_COUNTER for ballot in ballots)


async def test_the_cache_keeps_the_latest_registers_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gryadka.proposer.CACHE_SIZE", 2)
    configuration, acceptors = puppets()
    proposer = Proposer(configuration, acceptors, **QUICK)
    for key in ("a", "b", "c", "c", "b", "a"):
        await proposer.change(key, lambda value: (value or 0) + 1)
    kinds = [type(message).__name__ for message in acceptors["A"].heard]
    assert kinds == ["Prepare", "Accept"] * 3 + ["Accept", "Accept"] + ["Prepare", "Accept"]


@pytest.mark.parametrize("number", [0, -1, MAX_COUNTER + 1])
def test_an_id_that_means_something_else_is_refused(number: int) -> None:
    """In a lineage 0 stands for what was forgotten: a proposer of that id took it for its own lost accept, and told
    its caller that the change was applied, which nobody had stored."""
    configuration, acceptors = puppets()
    with pytest.raises(ConfigurationError, match=f"between 0.*{number} does not"):
        Proposer(configuration, acceptors, id=number)
    assert Proposer(configuration, acceptors, id=MAX_COUNTER).id == MAX_COUNTER
