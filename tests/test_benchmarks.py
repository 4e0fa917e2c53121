"""The benchmarks run, count right, and say where they ran. How fast anything is, no test asks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gryadka.acceptors.servers import FAKE, find_server

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
CLIENTS_AND_KEYS = [(1, 1), (8, 8), (64, 64), (256, 256), (64, 1)]
SYSTEMS = ["gryadka", "traced", "plain", "raw"]


def run(*options: str, name: str = "change", **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *options]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=200)


@pytest.mark.slow
@pytest.mark.platform
@pytest.mark.skipif(find_server() == FAKE, reason="there is no server to measure on this platform")
def test_the_benchmark_of_changes_has_every_row_and_counts_each_change_once() -> None:
    done = run("--json", "--seconds", "0.02", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["server"] in ("redis", "valkey") and result["server_version"]
    assert (result["servers"], result["rounds"], result["seconds"]) == (3, 1, 0.02)
    wanted = [(*load, system) for load in CLIENTS_AND_KEYS for system in SYSTEMS]
    wanted.insert(-1, (64, 1, "plain, in turn"))
    rows = [(row["fsync"], row["clients"], row["keys"], row["system"]) for row in result["rows"]]
    assert rows == [(fsync, *row) for fsync in ("no", "always") for row in wanted]
    for row in result["rows"]:
        assert row["acknowledged"] > 0 and row["changes_per_second"] > 0, row
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] <= row["max_ms"], row
        if row["system"] == "plain" and row["clients"] > row["keys"]:
            assert row["acknowledged"] <= row["stored"] <= row["acknowledged"] + row["unknown"], row
        else:
            assert (row["unknown"], row["stored"]) == (0, row["acknowledged"]), row


@pytest.mark.slow
@pytest.mark.platform
@pytest.mark.skipif(find_server() == FAKE, reason="there is no server to measure on this platform")
def test_the_benchmark_of_changes_measures_one_setting_if_it_is_named_and_titles_its_table() -> None:
    done = run("--seconds", "0.02", "--rounds", "1", "--fsync", "no")
    assert done.returncode == 0, done.stderr
    assert "appendfsync no" in done.stdout and "appendfsync always" not in done.stdout


def test_the_benchmark_of_changes_measures_real_servers_only() -> None:
    done = run(GRYADKA_SERVER=FAKE)
    assert done.returncode == 1
    assert "install redis-server" in done.stderr and not done.stdout


def test_the_benchmark_of_changes_explains_itself() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert all(option in done.stdout for option in ("--json", "--seconds", "--rounds", "--fsync"))


# -- the others: a small part of each ----------------------------------------------------------------------


def told(name: str, *options: str) -> Any:
    done = run("--json", *options, name=name)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_benchmark_of_the_explorer_counts_every_state_of_a_grid() -> None:
    (row,) = told("explore", "--only", "grid", "--repeat", "1")["rows"]
    assert (row["generated"], row["distinct"], row["depth"]) == (1 + 3 * 60**3, 60**3, 1 + 3 * 59)
    assert row["generated_per_second"] > 0 and row["seconds"] > 0


def test_the_benchmark_of_the_model_explores_scopes() -> None:
    result = told("model", "--only", "5 acceptors, 2 proposers, 1 ballot", "--repeat", "1")
    assert [(row["generated"], row["distinct"], row["depth"]) for row in result["rows"]] == [(4692, 1204, 22)]
    assert result["zoo"]["mutants"] == result["zoo"]["sound_variants"] == 0


def test_the_benchmark_of_the_model_runs_the_zoo() -> None:
    result = told("model", "--only", "refuses everything", "--repeat", "1")
    assert not result["rows"] and (result["zoo"]["mutants"], result["zoo"]["sound_variants"]) == (1, 0)


@pytest.mark.slow
def test_the_benchmark_of_the_simulator_tells_a_must_fail_scenario_from_the_others() -> None:
    result = told("simulate", "--seeds", "2")
    assert [row["scenario"] for row in result["rows"] if row["violations"]] == ["loss-quorum-of-1"]
    assert len(result["rows"]) == 10 and not any(row["undecided"] for row in result["rows"])
    assert result["acknowledged"] == sum(row["acknowledged"] for row in result["rows"]) > 500


def test_the_benchmark_of_the_history_checker_says_what_is_known() -> None:
    rows = told("linearizability", "--only", "5 clients")
    assert [row["verdict"] for row in rows] == 2 * (2 * ["ok"] + 2 * ["violation"])
    assert all(row["agrees"] and row["operations"] == 1000 for row in rows)


@pytest.mark.slow
def test_the_benchmark_of_tracing_has_every_row_and_counts_events() -> None:
    rows = {row["system"]: row for row in told("tracing", "--changes", "20", "--rounds", "2")["rows"]}
    assert list(rows) == ["removed", "removed, again", "off", "on, nothing kept", "on, all kept", "on, live view"]
    assert all(row["change_us"] > 0 and row["ratio_from"] <= row["ratio"] <= row["ratio_to"] for row in rows.values())
    # A change begins and ends; three accepts are sent, three answers come, and three acceptors have a new state.
    assert rows["removed"]["ratio"] == 1 and 11 <= rows["on, all kept"]["events"] <= 12


@pytest.mark.slow
@pytest.mark.platform
@pytest.mark.skipif(find_server() == FAKE, reason="there is no server to measure on this platform")
def test_the_benchmark_of_members_goes_through_every_step_and_loses_nothing() -> None:
    result = told("members", "--rounds", "1", "--records", "5", "--clients", "4")
    assert len(result["rows"]) == 6 and result["acknowledged"] > 100
    assert all(0 < row["gap_ms"] <= row["longest_gap_ms"] and row["changes_per_second"] > 0 for row in result["rows"])
