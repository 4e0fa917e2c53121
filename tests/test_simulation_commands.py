"""`gryadka simulate`, `gryadka replay`, campaigns, and the benchmark: what they print, and how they end."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import pytest
import typer
from typer.testing import CliRunner, Result

from gryadka.errors import ConfigurationError
from gryadka.protocol.acceptor import Accept, Accepted, Conflict, Prepare, Reply, State
from gryadka.simulation import commands, record
from gryadka.simulation.campaign import Tally, campaign
from gryadka.simulation.scenarios import CLASSIC, SCENARIOS

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "simulate.py"
SMALL = [dataclasses.replace(SCENARIOS[name], steps=5) for name in ("loss-2-2-2", "amnesia")]

app = typer.Typer()
commands.add_to(app)


def gryadka(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def accepts_everything(state: State, message: Accept) -> tuple[State, Reply]:
    return State(message.promise, message.ballot, message.value), Accepted()


def refuses_everything(state: State, message: Prepare) -> tuple[State, Reply]:
    return state, Conflict(message.ballot)


@pytest.fixture(autouse=True)
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, scenario in list(SCENARIOS.items()):
        monkeypatch.setitem(SCENARIOS, name, dataclasses.replace(scenario, steps=8))


# -- simulate --------------------------------------------------------------------------------------------


def test_the_list_has_one_name_a_line_and_marks_those_that_must_fail() -> None:
    done = gryadka("simulate", "--list")
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert [line.split()[0] for line in lines] == list(SCENARIOS)
    assert [line for line in lines if "must fail" in line] == [
        "loss-quorum-of-1 (must fail)",
        "amnesia (must fail)",
        "members-without-rescan (must fail)",
        "deletion-without-floor (must fail)",
        "deletion-on-a-majority (must fail)",
    ]


def test_a_sound_scenario_ends_with_0() -> None:
    done = gryadka("simulate", "loss-2-2-2", "--seed", "5", "--seeds", "3")
    assert done.exit_code == 0, done.output
    assert (
        done.output.startswith("loss-2-2-2: 3 runs, ") and "0 violations (must show none): as it should" in done.output
    )


def test_a_must_fail_scenario_ends_with_0_when_it_failed_and_with_1_when_it_did_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert gryadka("simulate", "amnesia", "--seeds", "4").exit_code == 0
    harmless = dataclasses.replace(SCENARIOS["amnesia"], storms=())
    monkeypatch.setitem(SCENARIOS, "amnesia", harmless)
    done = gryadka("simulate", "amnesia", "--seeds", "2")
    assert done.exit_code == 1 and "NOT AS IT SHOULD BE" in done.output


def test_a_violation_where_there_must_be_none_ends_with_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wrong = dataclasses.replace(SCENARIOS["amnesia"], must_fail=False)
    monkeypatch.setitem(SCENARIOS, "amnesia", wrong)
    done = gryadka("simulate", "amnesia", "--seeds", "3", "--save", str(tmp_path / "run.jsonl"))
    assert done.exit_code == 1
    recording = record.read(tmp_path / "run.jsonl")
    assert recording.verdict == "violation" and len(recording.choices.steps) < 8
    assert "violation: key" in done.output


def test_all_means_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(SCENARIOS)[2:]:
        if name != "members-without-rescan":
            monkeypatch.delitem(SCENARIOS, name)
    done = gryadka("simulate", "all", "--seeds", "6")
    assert done.exit_code == 0, done.output
    assert [line.split(":")[0] for line in done.output.splitlines()] == list(SCENARIOS)


def test_an_unknown_name_and_a_path_that_cannot_be_written_are_the_callers_mistakes(tmp_path: Path) -> None:
    for words in (["nope"], ["loss-1-1-1", "--save", str(tmp_path / "missing" / "run.jsonl")]):
        assert isinstance(gryadka("simulate", *words).exception, ConfigurationError)


def test_no_processes_at_all_means_one_a_core() -> None:
    assert gryadka("simulate", "loss-1-1-1", "--jobs", "0").exit_code == 0


def test_ctrl_c_tells_what_is_known_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    from gryadka.simulation import campaign as campaigns

    run = campaigns._run
    calls = []

    def interrupted(*brief: Any) -> Any:
        calls.append(brief)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return run(*brief)

    monkeypatch.setattr(campaigns, "_run", interrupted)
    monkeypatch.setattr(campaigns, "RUNS_PER_JOB", 1)
    done = gryadka("simulate", "all", "--seeds", "3")
    assert done.exit_code == 130
    whole, part = done.output.splitlines()
    assert whole.startswith("loss-1-1-1: 3 runs, ") and whole.endswith("as it should")
    assert part == "loss-2-2-2: interrupted after 1 runs, 0 violations so far"


# -- replay ----------------------------------------------------------------------------------------------


def test_a_saved_run_replays_the_same(tmp_path: Path) -> None:
    path = str(tmp_path / "run.jsonl")
    assert gryadka("simulate", "restarts", "--seed", "4", "--save", path).exit_code == 0
    done = gryadka("replay", path)
    assert done.exit_code == 0
    assert done.output.startswith("the same: restarts, seed 4, ") and "ok: linearizable" in done.output


def test_a_changed_trace_replays_differently(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    gryadka("simulate", "restarts", "--save", str(path))
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]))
    done = gryadka("replay", str(path))
    assert done.exit_code == 1 and done.output.startswith("different, from line ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read: No such file"),
        ("nonsense", "line 1: not JSON, from column 1 on; was it cut off?"),
        ('{"schema": 1}', "this is a trace alone, to be played"),
        ('{"simulation": 1}', "line 1: it has no 'scenario'"),
    ],
)
def test_a_file_that_is_no_run_is_the_callers_mistake(text: str | None, words: str, tmp_path: Path) -> None:
    if text:
        (tmp_path / "run.jsonl").write_text(text)
    error = gryadka("replay", str(tmp_path / "run.jsonl")).exception
    assert isinstance(error, ConfigurationError) and words in str(error)


# -- rules of one's own --------------------------------------------------------------------------------------

MINE = """
from gryadka.protocol.acceptor import Accepted, State

def accept(state, message):
    return State(message.promise, message.ballot, message.value), Accepted()
"""


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_rule_of_ones_own_is_simulated_and_replayed(jobs: str, tmp_path: Path) -> None:
    rules, path = tmp_path / "my_work.py", tmp_path / "run.jsonl"
    rules.write_text(MINE)
    more = ["--seeds", "4", "--jobs", jobs, "--rules", str(rules), "--save", str(path)]
    done = gryadka("simulate", "partition-2-2-2", *more)
    assert done.exit_code == 1 and "NOT AS IT SHOULD BE" in done.output
    assert record.read(path).replaced == ("accept",)
    again = gryadka("replay", str(path), "--rules", str(rules))
    assert again.exit_code == 0 and again.output.startswith("the same: ") and "violation: key" in again.output
    other = gryadka("replay", str(path))
    assert other.exit_code == 1 and "note: this run had its own accept" in other.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read: No such file"),
        ("def (", "cannot be run: SyntaxError: "),
        ("1 / 0", "cannot be run: ZeroDivisionError: "),
        ("prepare = 7", "defines none of prepare, accept, choose, proposer"),
        ("def prepare(state, message):\n    return state.missing", "rules.py, line 2: AttributeError: "),
    ],
)
def test_a_file_of_rules_that_does_not_work_gets_a_sentence(text: str | None, words: str, tmp_path: Path) -> None:
    if text:
        (tmp_path / "rules.py").write_text(text)
    error = gryadka("simulate", "loss-1-1-1", "--rules", str(tmp_path / "rules.py")).exception
    assert isinstance(error, ConfigurationError) and words in str(error)


# -- campaigns -------------------------------------------------------------------------------------------


def test_a_campaign_adds_up_its_runs() -> None:
    heard: list[tuple[str, int]] = []
    sound, broken = campaign(SMALL, range(10), progress=lambda tally: heard.append((tally.scenario.name, tally.runs)))
    assert (sound.runs, broken.runs) == (10, 10) and not sound.violations and broken.violations
    assert sound.as_it_should and broken.as_it_should
    assert sum(sound.counts.values()) == 10 * (2 * 5 + 2)
    assert heard == [(scenario.name, run) for scenario in SMALL for run in range(1, 11)]


def test_wrong_rules_and_idle_ones_are_told_apart() -> None:
    (wrong,) = campaign(["partition-2-2-2"], range(5), accept=accepts_everything)
    assert wrong.violations and not wrong.idle and not wrong.as_it_should
    (idle,) = campaign(SMALL[:1], range(2), prepare=refuses_everything)
    assert idle.idle == [0, 1] and not idle.violations and not idle.as_it_should
    assert "2 that did nothing" in str(idle)


def test_a_history_that_could_not_be_judged_is_not_as_it_should() -> None:
    assert not Tally(SMALL[0], runs=1, undecided=[3]).as_it_should
    assert "1 undecided" in str(Tally(SMALL[0], runs=1, undecided=[3]))


@pytest.mark.slow
def test_processes_give_the_same_tallies() -> None:
    assert campaign(SMALL, range(30), jobs=2, accept=accepts_everything) == campaign(
        SMALL, range(30), accept=accepts_everything
    )


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_tallies() -> None:
    """One setting moves a campaign to a cluster: here a local one, of two processes."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        spread = campaign(SMALL, range(30), jobs=-1)
        assert client.scheduler_info()["workers"]
    assert spread == campaign(SMALL, range(30))


# -- the benchmark ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_benchmark_counts_its_ten_scenarios() -> None:
    done = subprocess.run([sys.executable, str(BENCHMARK), "--json", "--seeds", "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [row["scenario"] for row in told["rows"]] == [scenario.name for scenario in CLASSIC]
    assert told["acknowledged"] == sum(row["acknowledged"] for row in told["rows"]) > 500
    assert all(row["runs"] == 2 and row["seconds"] > 0 and row["undecided"] == 0 for row in told["rows"])
