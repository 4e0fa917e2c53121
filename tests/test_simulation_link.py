"""Links: a run as one line of text, made again somewhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gryadka.simulation.link import RUN, link, rebuild, traced
from gryadka.simulation.run import simulate
from gryadka.simulation.scenarios import SCENARIOS
from gryadka.trace import Trace, fold

SHORT = replace(SCENARIOS["loss-1-1-1"], name="short", steps=2)


def test_a_run_that_a_seed_decided_has_a_link_of_a_few_words() -> None:
    trace = traced(simulate("loss-1-1-1", seed=3))
    assert trace.link() == "gryadka-run:loss-1-1-1:3"
    assert rebuild(trace.link()) == trace
    assert len(trace) > 100


def test_a_run_with_choices_of_its_own_has_them_in_its_link() -> None:
    result = simulate("loss-1-1-1", seed=3)
    fewer = simulate("loss-1-1-1", seed=3, choices=replace(result.choices, steps=result.choices.steps[:2]))
    trace = traced(fewer)
    assert trace.link().startswith(f"{RUN}:")
    assert rebuild(trace.link()) == trace
    assert trace != traced(result)


def test_a_scenario_that_only_has_a_known_name_is_in_the_link_itself() -> None:
    disguised = simulate(replace(SHORT, name="loss-1-1-1"), seed=3)
    assert rebuild(link(disguised)) == Trace(disguised.events)


def test_a_link_with_events_needs_no_simulation() -> None:
    trace = Trace(simulate(SHORT, seed=1).events)
    assert rebuild(f" {trace.link()}\n") == trace


@pytest.mark.parametrize(
    "text",
    ["", RUN, f"{RUN}loss-1-1-1", f"{RUN}loss-1-1-1:x", f"{RUN}nowhere:1", f"{RUN}:", f"{RUN}:{fold('[]')}"],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        rebuild(text)
