"""Runs behind controls: what they describe is what is run, and moving one makes another run."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gryadka import lab
from gryadka.errors import ConfigurationError
from gryadka.simulation.link import rebuild
from gryadka.views.runs import OPERATIONS, Runs


def test_the_run_is_the_one_that_the_controls_describe() -> None:
    runs = Runs("reorder-2-2-1", seed=5)
    scenario = runs.result.scenario
    assert (scenario.name, runs.result.seed, scenario.acceptors, scenario.steps) == ("reorder-2-2-1", 5, 3, OPERATIONS)
    runs.controls["f"].value = 2
    assert runs.result.scenario.acceptors == 5
    assert {event.node for event in runs.trace if event.kind == "state"} == set("ABCDE")


def test_another_seed_is_another_run_and_the_player_shows_it() -> None:
    runs = Runs(seed=1)
    before, shown = runs.trace, runs.player.in_words()
    runs.controls["seed"].value = 2
    assert runs.trace != before
    assert runs.player.in_words() != shown
    assert runs.player.at == 0
    assert len(runs.player.all_frames()["frames"]) == len(runs.player.view)


def test_another_scenario_brings_its_own_loss() -> None:
    runs = Runs("loss-2-2-2")
    assert runs.result.scenario.weather.loss == 0.08
    runs.controls["scenario"].value = "reorder-1-1-1"
    assert runs.result.scenario.weather.loss == 0
    assert runs.controls["loss"].value == 0


def test_the_more_is_lost_the_more_is_lost() -> None:
    runs = Runs()
    lost = []
    for loss in (0.0, 0.25, 0.5):
        runs.controls["loss"].value = loss
        lost.append(sum(event.kind == "dropped" for event in runs.trace))
    assert lost[0] == 0
    assert lost[0] < lost[1] < lost[2]


def test_the_verdict_and_a_link_are_told() -> None:
    runs = lab.runs("loss-1-1-1", 3)
    assert "linearizable" in runs.in_words()
    assert runs.in_words() in runs._repr_mimebundle_()["text/plain"]
    assert "image/svg+xml" in runs._repr_mimebundle_()
    assert rebuild(runs.trace.link()) == runs.trace


async def test_controls_that_move_on_another_thread_lead_to_one_run_on_the_main_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = Runs(seed=1)
    threads: list[str] = []
    again = runs._run

    def run() -> object:
        threads.append(threading.current_thread().name)
        return again()

    monkeypatch.setattr(runs, "_run", run)

    def move() -> None:
        for seed in (7, 8, 9):
            runs.controls["seed"].value = seed

    other = threading.Thread(target=move)
    other.start()
    other.join()
    assert threads == []
    await asyncio.sleep(0)
    assert threads == [threading.main_thread().name]
    assert runs.result.seed == 9


def test_the_speed_of_the_control_is_that_of_the_player_and_makes_no_other_run() -> None:
    runs = Runs(seed=1)
    before = runs.result
    runs.controls["speed"].value = 10
    assert runs.player.speed == 10
    runs.player.speed = 0.5  # as its own control, or its keys, do
    assert runs.controls["speed"].value == 0.5
    assert runs.result is before


def test_a_name_that_is_no_scenarios_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="there is no scenario"):
        lab.runs("nowhere")
