"""Lesson 12's lock: the course's own holds, runs can be made again, and commands work on both kinds of servers."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from gryadka.acceptors.servers import LocalCluster
from gryadka.course import capstone, lock
from gryadka.course.shell import shell
from gryadka.errors import ConfigurationError, NotApplied, OutcomeUnknown
from gryadka.http.records import Record
from gryadka.http.store import Store

WRONG: Any = runpy.run_path(str(Path(__file__).parent / "lessons/answers/12_capstone.py"))["WRONG"]


# -- the check -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_courses_own_lock_holds_and_its_judge_saw_trouble() -> None:
    found = lock.judge(capstone.acquire, capstone.release)
    assert found.holds, found
    nights = [lock.spend(capstone.acquire, capstone.release, kind, 3) for kind in lock.KINDS]
    *scripted, alone, crowd = nights
    rough = alone, crowd
    assert not any(night.troubled for night in scripted) and all(night.troubled for night in rough)
    words = "\n".join(step for night in rough for step in night.steps)
    for trouble in ("gets lost", "is late", "its answer gets lost", "nobody is there", "is killed", "sleeps", "dies"):
        assert trouble in words


@pytest.mark.parametrize("kind", lock.KINDS)
def test_the_same_seed_gives_the_same_night(kind: str) -> None:
    first, again, other = (lock.spend(capstone.acquire, capstone.release, kind, seed) for seed in (1, 1, 2))
    assert first.steps == again.steps and len(first.leases) >= 2
    assert other.steps != first.steps


def test_the_tokens_of_a_night_grow() -> None:
    night = lock.spend(capstone.acquire, capstone.release, "crowd", 0)
    leases = sorted(night.leases, key=lambda lease: lease.told_s)
    assert len({lease.owner for lease in leases}) == 3 and len({lease.token for lease in leases}) == len(leases)


def test_a_fault_is_told_by_the_run_that_leads_to_it() -> None:
    async def release(store: Any, name: str, token: int) -> None:
        await capstone.insist(lambda: store.delete(name))

    found = lock.judge(capstone.acquire, release)
    assert found.why == "token 1 was given twice: to Ann, and to Bob"
    assert found.steps[0] == "0.000 s: Ann asks for the lock" and "Bob gets token 1" in found.steps[-1]
    assert found.steps[-1].endswith(
        "By the rules: each time that the lock is given, the token is larger: here at least 2"
    )


def test_a_loop_that_never_awaits_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async def acquire(store: Any, name: str, me: str, now_s: float) -> int:
        while True:
            pass

    monkeypatch.setattr(lock, "LIMIT_S", 0.3)
    assert "never awaits" in lock.judge(acquire, capstone.release).why


def test_a_lock_that_waits_for_ever_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def acquire(store: Any, name: str, me: str, now_s: float) -> None:
        while True:
            await capstone.insist(lambda: store.get(name))

    monkeypatch.setattr(lock, "MAX_STEPS", 10_000)
    assert "the run could not go on" in lock.judge(acquire, capstone.release).why  # type: ignore[arg-type]


def test_every_wrong_answer_has_its_own_way_to_fail() -> None:
    sentences = [sentence for some in WRONG.values() for _, sentence in some.values()]
    assert len(sentences) > 25 and all(len(sentence) > 8 for sentence in sentences)


# -- what the lesson hands out ---------------------------------------------------------------------------


async def test_insist_asks_until_it_is_certain_and_lets_everything_else_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(capstone, "PAUSE_S", 0)
    endings: list[Any] = [NotApplied("no"), OutcomeUnknown("who knows"), 7]

    async def ask() -> int:
        ending = endings.pop(0)
        if isinstance(ending, Exception):
            raise ending
        return int(ending)

    assert await capstone.insist(ask) == 7 and endings == []
    endings.append(KeyError("x"))
    with pytest.raises(KeyError):
        await capstone.insist(ask)


def test_unchanged_is_a_condition_on_the_version_or_on_there_being_none() -> None:
    assert capstone.unchanged(Record()).none_match == ("*",)
    assert capstone.unchanged(Record(1, 4, "ab")).match == ('"4-ab"',)


async def test_any_of_asks_one_after_the_other(cluster: LocalCluster) -> None:
    class Told(Store):
        async def get(self, key: str) -> Record:
            asked.append(self)
            return await super().get(key)

    asked: list[Store] = []
    stores = [Told(cluster.proposer()) for _ in range(2)]
    both: Any = capstone.AnyOf(stores)
    for _ in range(3):
        await both.get("a")
    assert asked == [stores[0], stores[1], stores[0]]


# -- commands --------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_members_change_by_commands_on_both_kinds_of_servers(
    cluster: LocalCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    proposer = cluster.proposer()
    await proposer.change("a", lambda _: 1)
    for _ in range(2):
        await cluster.add_server()
    await shell(cluster, 'gryadka acceptors add "$SERVER3" --yes')
    await cluster.kill(0)
    await shell(cluster, 'gryadka acceptors remove "$SERVER0" --yes')
    await shell(cluster, 'gryadka acceptors replace "$SERVER1" "$SERVER4" --yes')
    capsys.readouterr()
    await shell(cluster, "gryadka acceptors ls")
    said = capsys.readouterr().out
    assert said.startswith("$ gryadka acceptors ls\n") and said.endswith("epoch 4\n")
    members = {line.split()[0] for line in said.splitlines() if line.endswith("  member")}
    assert members == {cluster.names[number] for number in (2, 3, 4)}
    assert await proposer.change("a", lambda value: value) == 1


async def test_other_commands_need_a_real_server(cluster: LocalCluster, capsys: pytest.CaptureFixture[str]) -> None:
    if cluster.urls:
        await shell(cluster, "echo $GRYADKA_URLS | wc -w")
        assert capsys.readouterr().out.split() == ["$", "echo", "$GRYADKA_URLS", "|", "wc", "-w", "3"]
    else:
        with pytest.raises(ConfigurationError, match="with fakeredis there is only"):
            await shell(cluster, "echo $GRYADKA_URLS")
