"""Lesson 09's plans: how they are read, judged and carried out; and the clients that count meanwhile."""

from __future__ import annotations

import asyncio

import pytest

import gryadka
from gryadka import ConfigurationError
from gryadka.course import plans
from gryadka.course.checking import Unfinished
from gryadka.course.load import Load
from gryadka.operations.membership import change_members, standing
from gryadka.operations.plan import Adopt, Copy, Plan, Rescan, Start, Stop
from gryadka.protocol.acceptor import Accept
from gryadka.protocol.configuration import Configuration
from gryadka.trace import Trace

BEGIN = Configuration.majority("ABC")
GOOD = [
    plans.EXAMPLE,
    "adopt A B; start D; copy to D; adopt A B D; stop C",
    "start D; adopt A B C D; copy to D; adopt A B D",
]


# -- reading ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plan",
    [
        "start D\nadopt A B C D\nrescan\ncopy to D\nstop C",
        "START d # why not\n\n  adopt {a, b, c, d};rescan;copy D;stop c",
        ["start D", "adopt A, B, C and D", "rescan", "copy to D", "stop C"],
    ],
)
def test_a_plan_may_be_written_in_several_ways(plan: str | list[str]) -> None:
    adopt = Adopt(Configuration.majority("ABCD"))
    assert plans.read(plan) == [Start("D"), adopt, Rescan(), Copy(("D",)), Stop("C")]


@pytest.mark.parametrize("skeleton", ["", " \n", "start D\nyour turn: go on"])
def test_a_skeleton_is_unfinished(skeleton: str) -> None:
    for reads in (plans.judge, plans.as_written):
        with pytest.raises(Unfinished, match="your plan"):
            reads(skeleton)


@pytest.mark.parametrize("line", ["start", "start C D", "rescan D", "copy", "adopt", "go"])
def test_a_line_that_is_no_step_is_told(line: str) -> None:
    assert "a step looks like one of these" in plans.judge(f"start D; {line}").why


def test_a_coordinators_steps_are_told_with_letters() -> None:
    steps = ["start x:2", "adopt any 2 of x:2, x:1"]
    assert plans.told(steps, ["x:1", "x:2"]) == "start B\nadopt any 2 of A, B"
    flexible = "adopt prepare: any 2 of x:1, x:2; accept: any 1 of x:1, x:2"
    assert "accept: any 1" in plans.told([flexible], ["x:1", "x:2"])


# -- judging ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("plan", GOOD)
def test_a_plan_that_keeps_the_rules_passes_and_is_carried_out(plan: str) -> None:
    finding = plans.judge(plan)
    assert finding.holds and "10 simulated runs with C dead" in finding.covered
    assert plans.judge(plan) == finding, "the same seeds, the same words"


@pytest.mark.slow
def test_a_broken_rule_is_shown_with_a_run_in_which_clients_lose_something() -> None:
    finding = plans.judge("start D; adopt A B C D; adopt A B D")
    assert "miss each other" in finding.why
    assert finding.steps[-1] == "B accepts [2] at ballot 2; with that, [2] is acknowledged."
    assert len(finding.steps) == 12
    accepted = [event for event in Trace(finding.events) if event.kind == "state" and isinstance(event.message, Accept)]
    assert [event.node for event in accepted] == ["B", "C", "A", "B"]


def test_what_no_run_can_show_is_said_all_the_same() -> None:
    finding = plans.judge("adopt A B D")
    assert finding.why.endswith("D was not started") and not finding.steps


@pytest.mark.slow
def test_the_simulator_sees_what_is_lost_if_a_step_is_not_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lazy(*_: object) -> None:
        """Bring nothing."""

    monkeypatch.setattr(plans._Steps, "_bring", lazy)
    finding = plans.simulated(Plan(BEGIN, tuple(plans.read(plans.EXAMPLE))), range(40))
    assert "in the simulated run" in finding.why and "is down" in finding.why


@pytest.mark.slow
def test_the_simulator_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(*_: object) -> None:
        await asyncio.sleep(1000)

    monkeypatch.setattr(plans._Steps, "_bring", endless)
    monkeypatch.setattr(plans, "PATIENCE_S", 1.0)
    assert "was not carried out" in plans.simulated(Plan(BEGIN, tuple(plans.read(plans.EXAMPLE))), [0]).why


# -- on servers ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("plan", GOOD)
async def test_a_plan_is_carried_out_as_it_is_written(plan: str) -> None:
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        await cluster.proposer().change("quiet", lambda _: "here")
        await cluster.kill(2)
        await cluster.add_server()
        a, b, _, d = cluster.names
        report = await change_members(cluster.connects, [a, b, d], make=plans.as_written(plan))
        verbs = [step.split()[0] for step in plans.told(report.steps, cluster.names).splitlines()]
        assert verbs == [type(step).__name__.lower() for step in plans.read(plan)]
        await cluster.kill(0)
        assert await cluster.proposer().change("quiet", lambda value: value) == "here"


async def test_a_plan_that_breaks_a_rule_is_refused_before_its_first_step() -> None:
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        await cluster.add_server()
        a, b, _, d = cluster.names
        make = plans.as_written("start D; adopt A B D")
        with pytest.raises(ConfigurationError, match="miss each other"):
            await change_members(cluster.connects, [a, b, d], make=make)
        with pytest.raises(ConfigurationError, match="replaces one of three"):
            await change_members(cluster.connects, [b, d], make=make)
        assert (await standing(cluster.connects)).roster.epoch == 0


async def test_clients_count_and_a_loss_is_told() -> None:
    async with gryadka.local_cluster(3, server="fakeredis") as cluster:
        load = Load(cluster, clients=2).start()
        await asyncio.sleep(0.1)
        load.mark("something")
        assert "none was lost" in await load.end()
        assert load.acknowledged > 2 and 0 < load.longest_gap_s < 60
        assert "something" in load.picture().text

        load = Load(cluster, clients=2).start()
        await asyncio.sleep(0.05)
        await cluster.proposer().change("clicks 0", lambda _: 0)
        await asyncio.sleep(0.05)
        assert "none was lost" not in await load.end()
