"""The benchmarks run, count right, and say where they ran. How fast anything is, no test asks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gryadka.acceptors.servers import FAKE, find_server

CHANGE = Path(__file__).parents[1] / "benchmarks" / "change.py"
CLIENTS_AND_KEYS = [(1, 1), (8, 8), (64, 64), (256, 256), (64, 1)]
SYSTEMS = ["gryadka", "traced", "plain", "raw"]


def run(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CHANGE), *options]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=200)


@pytest.mark.slow
@pytest.mark.platform
@pytest.mark.skipif(find_server() == FAKE, reason="there is no server to measure on this platform")
def test_the_benchmark_of_changes_has_every_row_and_counts_each_change_once() -> None:
    done = run("--json", "--seconds", "0.02", "--rounds", "1", "--fsync", "no")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["server"] in ("redis", "valkey") and result["server_version"]
    assert (result["servers"], result["fsync"], result["rounds"], result["seconds"]) == (3, "no", 1, 0.02)
    wanted = [(*load, system) for load in CLIENTS_AND_KEYS for system in SYSTEMS]
    wanted.insert(-1, (64, 1, "plain, in turn"))
    assert [(row["clients"], row["keys"], row["system"]) for row in result["rows"]] == wanted
    for row in result["rows"]:
        assert row["acknowledged"] > 0 and row["changes_per_second"] > 0, row
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] <= row["max_ms"], row
        if row["system"] == "plain" and row["clients"] > row["keys"]:
            assert row["acknowledged"] <= row["stored"] <= row["acknowledged"] + row["unknown"], row
        else:
            assert (row["unknown"], row["stored"]) == (0, row["acknowledged"]), row


def test_the_benchmark_of_changes_measures_real_servers_only() -> None:
    done = run(GRYADKA_SERVER=FAKE)
    assert done.returncode == 1
    assert "install redis-server" in done.stderr and not done.stdout


def test_the_benchmark_of_changes_explains_itself() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert all(option in done.stdout for option in ("--json", "--seconds", "--rounds", "--fsync"))
