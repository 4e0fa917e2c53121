"""A proposer is judged by the histories of its clients, in the simulator."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from gryadka import proposer as proposer_module
from gryadka.course import proposers, simulated
from gryadka.course.checks import LearnersChecks
from gryadka.course.finding import Finding
from gryadka.errors import NotApplied
from gryadka.proposer import Proposer
from gryadka.protocol.acceptor import (
    Ballot,
)
from gryadka.protocol.value import pack, unpack


class Mine(Proposer):
    """Changes nothing."""


class RepeatsBlindly(Proposer):
    """Applies the change again, whatever became of its first accept."""

    def _proposal(self, round: Any, sent: Any, group: Any) -> Any:
        text, lineage = unpack(round.current().value)
        text, outcomes = proposer_module._apply(text, group)
        return pack(text, lineage, round.ballot), outcomes


class KeepsItsCache(Proposer):
    """Goes on with a cached round after it was refused."""

    async def _prepared(self, key: str) -> Any:
        cached = self._cache.get(key)
        return (cached and cached.successor()) or await super()._prepared(key)


class ReusesABallot(Proposer):
    def _next_ballot(self) -> Ballot:
        return Ballot(1, self.id)


class GivesUp(Proposer):
    async def change(self, key: str, f: Any, *, timeout_s: float | None = None) -> Any:
        raise NotApplied("too tired")


class Loops(Proposer):
    async def change(self, key: str, f: Any, *, timeout_s: float | None = None) -> Any:
        while True:
            pass


class Raises(Proposer):
    async def change(self, key: str, f: Any, *, timeout_s: float | None = None) -> Any:
        raise KeyError("x")


class Unfinished(Proposer):
    async def change(self, key: str, f: Any, *, timeout_s: float | None = None) -> Any:
        raise NotImplementedError("your turn")


class TakesTime(Proposer):
    """Waits as long as the real clock says."""

    async def change(self, key: str, f: Any, *, timeout_s: float | None = None) -> Any:
        await asyncio.sleep(time.perf_counter() % 1e-3)
        return await super().change(key, f, timeout_s=timeout_s)


class NotAsync(Proposer):
    def change(self, key: str, f: Any, *, timeout_s: float | None = None) -> Any:
        return None


@pytest.mark.slow
@pytest.mark.parametrize("proposer", [Proposer, Mine, lambda *parts, **options: Mine(*parts, **options)])
def test_right_proposers_pass(proposer: Any) -> None:
    assert proposers.examine(proposer) == Finding(covered="56 simulated runs with 4,535 acknowledged changes")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("proposer", "why"),
    [
        (RepeatsBlindly, "a simulated run went wrong: key 'versioned-register-1': "),
        (KeepsItsCache, "operations got an answer"),
        (ReusesABallot, "operations got an answer"),
        (GivesUp, "only 0 of 41 operations got an answer"),
        (Loops, "it has not ended after 0.2 s: a loop without end?"),
        (Raises, "KeyError: 'x'"),
        (Unfinished, "change is still unfinished"),
        (TakesTime, "the same run, made again, went another way: let chance come from self.rng"),
        (NotAsync, "NotAsync.change has to be there, and has to be async"),
        (None, "None makes no proposer"),
        (object, "object.change has to be there"),
    ],
)
def test_a_wrong_proposer_is_told(monkeypatch: pytest.MonkeyPatch, proposer: Any, why: str) -> None:
    for module in (simulated, proposers):
        monkeypatch.setattr(module, "RUN_LIMIT_S", 0.2 if proposer is Loops else 5.0)
    found = proposers.examine(proposer)
    assert why in found.why
    assert bool(found.steps) == bool(found.events) == found.why.startswith("a simulated run")


@pytest.mark.slow
def test_a_change_done_twice_is_told_by_a_short_run() -> None:
    checks = LearnersChecks()
    checks.proposer(RepeatsBlindly)
    assert len(checks.finding.steps) <= 25 and checks.finding.steps[0].startswith("proposer-1 begins change 1 of")
    assert "so clients saw: " in checks.finding.steps[-1]
    assert not any("By the rules" in step for step in checks.finding.steps), "the acceptors are not to blame"


def test_a_proposer_that_blocks_is_told_so_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It passed, after more than a minute."""

    class Blocks(Proposer):
        async def change(self, key: str, f: Any, *, timeout_s: float | None = None) -> Any:
            time.sleep(0.001)
            return await super().change(key, f, timeout_s=timeout_s)

    monkeypatch.setattr(simulated, "ALL_LIMIT_S", 0.2)
    why = proposers.examine(Blocks).why
    assert why.startswith("after 0.2 s only ") and "`await asyncio.sleep(...)`" in why
