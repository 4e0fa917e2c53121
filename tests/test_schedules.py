"""A learner's schedule: how it is read, judged, shown, and run on servers. Lesson 01's answers try the sentences."""

from __future__ import annotations

import asyncio

import pytest

from gryadka.acceptors.servers import LocalCluster
from gryadka.checking.linearizability import Ok, Violation
from gryadka.checking.naive import Naive, NotPossible, Step, search
from gryadka.course import schedules
from gryadka.course.checking import Unfinished
from gryadka.simulation.appends import check_appends

FINE = """
Ann asks A, Ann asks B, Ann stores A, Ann stores B
Bob asks B, Bob asks C, Bob stores B, Bob stores C
"""


@pytest.mark.parametrize(
    "schedule",
    [
        "Ann asks A, Bob stores B",
        "ann  ASKS a\n\n  bob stores b ;",
        ["Ann asks A", "Bob stores B"],
        "Ann asks A # x\nBob stores B",
    ],
)
def test_a_schedule_may_be_written_in_several_ways(schedule: schedules.Plan) -> None:
    assert schedules.read(schedule) == [Step("Ann", "asks", "A"), Step("Bob", "stores", "B")]


@pytest.mark.parametrize("skeleton", ["", " \n", "Ann asks A\nyour turn: go on"])
def test_a_skeleton_is_unfinished(skeleton: str) -> None:
    with pytest.raises(Unfinished, match="your schedule"):
        schedules.judge(skeleton)
    assert "your schedule is still unfinished" in schedules.picture(skeleton).text


def test_the_courses_own_schedule_is_as_short_as_any() -> None:
    finding = schedules.judge(schedules.EXAMPLE)
    assert finding.holds
    assert "none is shorter than yours, 8 steps" in finding.covered
    assert "Ann was told [milk], and Bob [bread]" in finding.covered


def test_a_longer_one_holds_too_and_is_told_of_the_shortest() -> None:
    finding = schedules.judge(schedules.EXAMPLE + "Ann stores B")
    assert finding.holds and "the shortest takes 8" in finding.covered


def test_one_that_loses_nothing_is_told_step_by_step() -> None:
    finding = schedules.judge(FINE)
    assert finding.why == "nothing is lost: Ann was told [milk] and Bob was told [milk, bread]"
    assert finding.steps[3:6] == (
        "Ann stores B: is told: milk",
        "Bob asks B: hears milk",
        "Bob asks C: hears nothing, sends 2: milk, bread",
    )


def test_it_is_told_up_to_the_step_that_cannot_happen() -> None:
    finding = schedules.judge("Ann asks A, Ann stores A")
    assert finding.why.startswith("step 2 cannot happen: Ann has only 1 of 2")
    assert len(finding.steps) == 1
    assert "Step 2 cannot happen" in schedules.picture("Ann asks A, Ann stores A").text
    assert "a step has three words" in schedules.picture("Ann asks").text


def test_the_picture_of_a_search_is_the_schedule_that_it_found() -> None:
    shown = schedules.picture(search())
    assert shown.text.splitlines()[0].startswith("1. Ann asks A")
    assert "neither list goes on from the other" in shown.text
    assert shown.drawing.count("<rect") == 8


def test_a_refusal_is_shown_as_one() -> None:
    naive = Naive(rule=lambda held, sent: (held, False))
    shown = schedules.picture("Ann asks A, Ann asks B, Ann stores A", naive)
    assert "Ann stores A: the replica says no (A holds 0: nothing" in shown.text
    assert shown.drawing.count("stroke-dasharray") == 3


@pytest.mark.parametrize(("schedule", "kind"), [(FINE, Ok), (schedules.EXAMPLE, Violation)])
def test_what_people_saw_is_a_history(schedule: str, kind: type) -> None:
    history = schedules.history(schedule)
    assert isinstance(check_appends(history), kind)
    assert [operation.outcome.value for operation in history] == ["ok", "ok"]
    assert schedules.history("Ann asks A")[0].completed_s is None


async def test_the_steps_happen_on_servers(cluster: LocalCluster) -> None:
    said: list[str] = []
    servers = schedules.plain_servers(cluster)
    await schedules.perform(servers, schedules.EXAMPLE, said.append)
    assert said[4] == '5. Ann stores C: SET [1, ["milk"]] -> [1, ["milk"]], stored'
    assert said[-1].startswith("Ann was told [milk], and Bob [bread]")
    assert [await server.get() for server in servers] == [[1, ["bread"]], [1, ["bread"]], [1, ["milk"]]]
    with pytest.raises(AssertionError):
        await schedules.perform(servers, FINE, said.append)  # they are not empty any more
    with pytest.raises(NotPossible):
        await schedules.perform(schedules.plain_servers(cluster), "Ann stores A", said.append)


async def test_the_first_two_are_enough_and_the_third_goes_on() -> None:
    arrived = asyncio.Event()

    async def call(delay_s: float) -> float:
        await asyncio.sleep(delay_s)
        if delay_s == 0.05:
            arrived.set()
        return delay_s

    assert await schedules.first_two(map(call, [0.05, 0, 0.01])) == [0, 0.01]
    assert not arrived.is_set()
    await asyncio.wait_for(arrived.wait(), timeout=5)


def test_what_two_people_can_send_fits_into_the_picture() -> None:
    assert "hears nothing, sends 2: milk, bread<" in schedules.picture(FINE).drawing
