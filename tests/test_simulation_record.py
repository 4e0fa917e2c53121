"""Runs as files: saved, read back, replayed, and made short."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from gryadka import trace
from gryadka.protocol.acceptor import Accept, Accepted, Reply, State
from gryadka.simulation import record
from gryadka.simulation.plan import Fault
from gryadka.simulation.record import Recording, replay
from gryadka.simulation.run import Result, simulate
from gryadka.simulation.scenarios import SCENARIOS
from gryadka.simulation.shrink import shrink

SHORT = {name: dataclasses.replace(scenario, steps=6) for name, scenario in SCENARIOS.items()}


@pytest.fixture(scope="module")
def failing() -> Result:
    """A long run that shows a violation."""
    found = (simulate("loss-quorum-of-1", seed) for seed in range(20))
    return next(result for result in found if result.violated)


@pytest.fixture(scope="module")
def short(failing: Result) -> Result:
    return shrink(failing)


def accepts_everything(state: State, message: Accept) -> tuple[State, Reply]:
    return State(message.promise, message.ballot, message.value), Accepted()


# -- files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHORT)
def test_a_saved_run_is_read_back_whole_and_replays_to_the_byte(name: str, tmp_path: Path) -> None:
    recording = Recording.of(simulate(SHORT[name], 3))
    record.save(tmp_path / "run.jsonl", recording)
    read = record.read(tmp_path / "run.jsonl")
    assert read == recording
    again = replay(read)
    assert again.same and again.first_difference is None
    assert list(record.dump(Recording.of(again.result))) == (tmp_path / "run.jsonl").read_text().splitlines()


def test_a_replay_draws_nothing_from_the_seed_but_pauses() -> None:
    """In a run without conflicts there are no pauses, so even another seed replays it."""
    recording = Recording.of(simulate(SHORT["reorder-1-1-1"], 3))
    assert replay(dataclasses.replace(recording, seed=99)).same


def test_the_end_of_the_file_is_a_plain_trace() -> None:
    result = simulate(SHORT["restarts"], 1)
    lines = list(record.dump(Recording.of(result)))
    start = next(number for number, line in enumerate(lines) if line.startswith('{"schema"'))
    assert tuple(trace.load(lines[start:])) == result.events
    assert Recording.of(result).events == list(result.events)


def test_a_replay_under_other_rules_tells_where_it_differs() -> None:
    recording = Recording.of(simulate("partition-2-2-2", 0, accept=accepts_everything))
    assert recording.replaced == ("accept",) and recording.verdict == "violation"
    assert replay(recording, accept=accepts_everything).same
    other = replay(recording)
    assert not other.same and not other.result.violated
    number = other.first_difference
    assert number is not None and number > 1
    lines = list(trace.dump(other.result.events))
    assert lines[: number - 1] == list(recording.trace_lines[: number - 1])
    assert lines[number - 1] != recording.trace_lines[number - 1]


def test_a_shorter_or_a_longer_trace_is_different() -> None:
    recording = Recording.of(simulate(SHORT["loss-1-1-1"], 1))
    lines = recording.trace_lines
    cut = replay(dataclasses.replace(recording, trace_lines=lines[:-2]))
    assert cut.first_difference == len(lines) - 1
    longer = replay(dataclasses.replace(recording, trace_lines=(*lines, lines[-1])))
    assert longer.first_difference == len(lines) + 1


LINES = list(record.dump(Recording.of(simulate(SHORT["amnesia"], 1))))


def lines_with(**changes: Any) -> list[str]:
    lines = LINES[:]
    for number, line in enumerate(LINES if changes else []):
        told = json.loads(line)
        for name, change in changes.items():
            if name in told:
                inner = told[name] if isinstance(told[name], dict) and isinstance(change, dict) else told
                inner.update(change if isinstance(change, dict) else {name: change})
                lines[number] = json.dumps(told)
    return lines


@pytest.mark.parametrize(
    "changes",
    [
        {"simulation": 2},
        {"seed": "x"},
        {"scenario": {"storms": [{"kind": "storm", "calm_s": [0, 1]}]}},
        {"scenario": {"weather": {"sun": 1}}},
        {"scenario": 7},
        {"models": []},
        {"step": {"host": "P9"}},
        {"step": {"key": "other"}},
        {"step": {"f": "eval"}},
        {"step": {"args": [1, 2, 3]}},
        {"step": {"wait_s": float("nan")}},
        {"step": {"more": 1}},
        {"fault": {"kind": "flood"}},
        {"fault": {"at_s": -1}},
        {"fault": {"places": ["Z"]}},
        {"arrives_s": ["soon"]},
        {"arrives_s": [True]},
        {"kind": "invented"},
    ],
    ids=str,
)
def test_a_file_that_save_did_not_write_is_refused_with_the_line(changes: dict[str, Any]) -> None:
    record.load(lines_with())
    with pytest.raises(ValueError, match=r"line [0-9]+: "):
        record.load(lines_with(**changes))


@pytest.mark.parametrize("text", ["", "\n", "[]", "null", '{"schema": 1}', "{", '{"simulation": 1}'])
def test_a_file_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="line 1: "):
        record.load(text.splitlines())


def test_a_file_without_its_trace_is_refused() -> None:
    lines = lines_with()
    with pytest.raises(ValueError, match="line"):
        record.load(line for line in lines if "schema" not in line and "kind" not in line)


# -- making it short -------------------------------------------------------------------------------------


def test_a_long_failure_becomes_a_short_one(failing: Result, short: Result) -> None:
    assert short.violated
    assert len(failing.events) > 1000 > 100 > len(short.events)
    assert len(short.choices.steps) <= 4 and len(short.choices.fates) <= 12


def test_what_is_left_cannot_be_left_out(short: Result) -> None:
    choices = short.choices
    for number in range(len(choices.steps)):
        fewer = dataclasses.replace(choices, steps=choices.steps[:number] + choices.steps[number + 1 :])
        assert not simulate(short.scenario, short.seed, choices=fewer).violated
    for packet in choices.fates:
        fates = {name: fate for name, fate in choices.fates.items() if name != packet}
        fewer = dataclasses.replace(choices, fates=fates)
        assert not simulate(short.scenario, short.seed, choices=fewer).violated


def test_the_short_run_can_be_saved_and_replayed(short: Result) -> None:
    again = replay(record.load(record.dump(Recording.of(short))))
    assert again.same and again.result.violated


def test_shrinking_twice_gives_the_same(failing: Result, short: Result) -> None:
    assert shrink(failing).digest == short.digest


def test_shrinking_keeps_to_its_runs_and_tells_of_them(failing: Result) -> None:
    heard: list[tuple[int, int]] = []
    result = shrink(failing, max_runs=7, progress=lambda runs, steps: heard.append((runs, steps)))
    assert result.violated and [runs for runs, _ in heard] == list(range(1, 8))
    assert shrink(failing, max_runs=0).digest == failing.digest


def test_of_the_faults_only_needed_ones_are_left() -> None:
    failing = next(result for seed in range(20) if (result := simulate("amnesia", seed)).violated)
    short = shrink(failing)
    needed = short.choices.faults
    assert short.violated and 1 <= len(needed) < len(failing.choices.faults)
    harmless = Fault("pause", 0.0, 0.0, ("A",))
    more = dataclasses.replace(short.choices, faults=(harmless, *needed))
    assert harmless in simulate(short.scenario, short.seed, choices=more).choices.faults
    again = shrink(simulate(short.scenario, short.seed, choices=more))
    assert again.violated and harmless not in again.choices.faults


def test_a_wrong_rule_is_shrunk_with_that_rule() -> None:
    failing = simulate("partition-2-2-2", 0, accept=accepts_everything)
    short = shrink(failing, accept=accepts_everything)
    assert short.violated and len(short.events) < 100
    assert not simulate(short.scenario, short.seed, choices=short.choices).violated


def test_a_run_without_a_violation_is_not_shrunk() -> None:
    with pytest.raises(ValueError, match="only a run that shows a violation"):
        shrink(simulate(SHORT["loss-1-1-1"], 1))
