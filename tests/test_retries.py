"""Lesson 05's judge: right loops pass, each plausible wrong one is told what it did, and a night is repeatable."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from gryadka.checking.limits import TimeUp
from gryadka.course import retries
from gryadka.course.checking import Unfinished
from gryadka.errors import ChangeRejected, NotApplied, OutcomeUnknown
from gryadka.proposer import Proposer
from gryadka.simulation.scenarios import Scenario

IMPATIENT, ALONE, HASTY, PAIR, OUTAGES = retries.NIGHTS
FAILED = (NotApplied, OutcomeUnknown)


def plain(amount: int) -> Any:
    return lambda box: {"balance": (box or {"balance": 0})["balance"] + amount}


async def read_before_repeating(proposer: Proposer, key: str, amount: int, token: str) -> None:
    """As right as the course's own, although its change is not idempotent: a read settles what became of it."""

    def pay_in(box: Any) -> Any:
        box = box or {"balance": 0, "tokens": []}
        return {"balance": box["balance"] + amount, "tokens": [*box["tokens"], token]}

    while True:
        try:
            box: Any = await proposer.change(key, lambda box: box)
            if box and token in box["tokens"]:
                return
            await proposer.change(key, pay_in)
            return
        except FAILED:
            pass


async def blind(proposer: Proposer, key: str, amount: int, token: str) -> None:
    while True:
        try:
            await proposer.change(key, plain(amount))
            return
        except FAILED:
            pass


@pytest.mark.slow
@pytest.mark.parametrize("right", [retries.deposit, read_before_repeating])
def test_right_loops_pass_after_changes_of_every_ending(right: retries.Deposit) -> None:
    finding = retries.judge(right)
    assert finding.holds, finding
    assert "200 seeded runs with 480 deposits" in finding.covered
    nights = [retries.spend(right, scenario, seed) for scenario in retries.NIGHTS for seed in range(20)]
    for scenario in retries.NIGHTS:
        outcomes = sum(
            (night.outcomes for night in nights if night.scenario is scenario), start=type(nights[0].outcomes)()
        )
        assert min(outcomes[name] for name in ("applied", "NotApplied", "OutcomeUnknown")) > 0, scenario.name


def test_a_blind_repetition_is_shown_to_double() -> None:
    finding = retries.judge(blind)
    assert finding.why == "the deposit of 1 is in the box 2 times: the balance is 2, and should be 1"
    assert len(finding.steps) <= 12, "short enough to be read"
    unknown = next(number for number, step in enumerate(finding.steps) if "OutcomeUnknown" in step)
    assert any('accepts {"balance":1} from proposer-1' in step for step in finding.steps[:unknown])
    assert "in the end the box holds {'balance': 2}" in finding.steps[-1]
    assert {event.key for event in finding.events} == {retries.KEY, None}
    assert {"partitioned", "healed", "change-begun", "sent", "state"} <= {event.kind for event in finding.events}


def test_nobody_is_seen_who_opens_the_box() -> None:
    """A "proposer 99" of whom the lesson had never told asked from step 39 on."""
    night = retries.spend(retries.deposit, ALONE, 0)
    assert night.value == {"balance": 1, "tokens": ["slip-1"]}
    assert {event.peer for event in night.events if event.kind == "state"} == {"proposer-1"}


@pytest.mark.slow
def test_a_loop_that_keeps_one_token_is_shown_a_night_that_can_be_read() -> None:
    """It was told in 59 steps, half of them attempts that were cut off."""

    async def one_token(proposer: Proposer, key: str, amount: int, token: str) -> None:
        def pay_in(box: Any) -> Any:
            box = box or {"balance": 0, "last": None}
            return box if box["last"] == token else {"balance": box["balance"] + amount, "last": token}

        while True:
            try:
                await proposer.change(key, pay_in)
                return
            except FAILED:
                pass

    finding = retries.judge(one_token)
    assert "the deposit of 10 is in the box 2 times" in finding.why
    assert len(finding.steps) <= 20


@pytest.mark.parametrize("scenario", retries.NIGHTS, ids=lambda scenario: scenario.name)
def test_a_seed_gives_the_same_night(scenario: Scenario) -> None:
    one, two = (retries.spend(retries.deposit, scenario, seed=3) for _ in range(2))
    assert one.events == two.events and one.log == two.log and one.value == two.value
    assert retries.spend(retries.deposit, scenario, seed=4).events != one.events


@pytest.mark.slow
def test_all_has_healed_in_the_end() -> None:
    """Nothing that leaves later is lost, and the box can be opened at once, in every night."""
    for scenario in retries.NIGHTS:
        for seed in range(10):
            night = retries.spend(retries.deposit, scenario, seed)
            late = {event.kind for event in night.events if event.at_s > retries.FAULTS_S}
            assert not late & {"dropped", "duplicated", "partitioned"}, (scenario.name, seed)
            assert night.value, "the box was opened"
            assert night.log[-1][0] < 4.5 * retries.FAULTS_S


async def once(proposer: Proposer, key: str, amount: int, token: str) -> None:
    await proposer.change(key, plain(amount))


async def sleeps(proposer: Proposer, key: str, amount: int, token: str) -> None:
    while True:
        await asyncio.sleep(1)


async def turns(proposer: Proposer, key: str, amount: int, token: str) -> None:
    while True:
        await asyncio.sleep(0)


async def refuses(proposer: Proposer, key: str, amount: int, token: str) -> None:
    raise ChangeRejected


async def another_shape(proposer: Proposer, key: str, amount: int, token: str) -> None:
    await retries.deposit(proposer, key, amount, token)
    while True:
        try:
            await proposer.change(key, lambda box: "rich")
            return
        except FAILED:
            pass


async def too_much(proposer: Proposer, key: str, amount: int, token: str) -> None:
    await retries.deposit(proposer, key, amount * 11, token)


async def skeleton(proposer: Proposer, key: str, amount: int, token: str) -> None:
    raise NotImplementedError("your turn")


async def yields(proposer: Proposer, key: str, amount: int, token: str) -> Any:
    yield amount


def not_async(proposer: Proposer, key: str, amount: int, token: str) -> None:
    pass


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (once, "the deposit of 1 gave up: it let OutcomeUnknown out"),
        (sleeps, "the deposit of 1 was still trying, 60 s after all had healed"),
        pytest.param(turns, "the run could not go on: it has not ended by 0 s of its own", marks=pytest.mark.slow),
        (refuses, "in refuses, line "),
        (another_shape, "value[\"balance\"] has to be a whole number; in the end the value was 'rich'"),
        (too_much, "the balance is 11, and should be 1"),
        (yields, "yields uses yield; it has to await"),
        (not_async, "not_async has to be a function that begins with `async def`"),
        (7, "7 has to be a function that begins with `async def`"),
    ],
)
def test_other_mistakes_get_a_sentence(wrong: Any, sentence: str) -> None:
    assert sentence in retries.judge(wrong).why


def test_a_skeleton_is_unfinished() -> None:
    with pytest.raises(Unfinished, match=r"^deposit$"):
        retries.judge(skeleton)


def test_a_loop_that_never_waits_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    async def spins(proposer: Proposer, key: str, amount: int, token: str) -> None:
        while True:
            pass

    monkeypatch.setattr(retries, "LIMIT_S", 0.3)
    assert "or never await anything" in retries.judge(spins).why
    with pytest.raises(TimeUp), retries.time_limit(0.3):  # the limit, and nothing else, ended it
        retries.spend(spins, ALONE, 0)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"balance": 111}, ""),
        ({"balance": 101}, "the deposit of 10 was lost: the balance is 101, and should be 111"),
        ({"balance": 311}, "the deposit of 100 is in the box 3 times: the balance is 311, and should be 111"),
        ({"balance": 1111}, "the balance is 1111, and should be 111"),
        ({"balance": 111.0}, "has to be a whole number"),
        ({"sum": 111}, "the deposit of 1 was lost: nothing is in the box"),
        (111, "has to be a whole number"),
        (None, "the deposit of 1 was lost: nothing is in the box"),
    ],
)
def test_the_digits_tell_what_is_in_the_box(value: Any, sentence: str) -> None:
    why = retries.Night(OUTAGES, 0, amounts=[1, 10, 100], value=value).why
    assert sentence in why and bool(sentence) == bool(why)


def test_a_loop_that_blocks_is_told_so_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def blocks(proposer: Proposer, key: str, amount: int, token: str) -> None:
        time.sleep(0.05)
        await retries.deposit(proposer, key, amount, token)

    monkeypatch.setattr(retries, "ALL_LIMIT_S", 0.2)
    assert "after 0.2 s only" in retries.judge(blocks).why


def test_a_loop_that_blocks_is_not_given_the_patience_of_virtual_time() -> None:
    assert retries.ALL_LIMIT_S < retries.PATIENCE_S, "seconds of real time, and of virtual time, are two things"
