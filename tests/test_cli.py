"""The command `gryadka`: what it prints, how it ends, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner, Result

from gryadka import __version__, cli
from gryadka.acceptors.servers import FAKE, find_server
from gryadka.checking.linearizability import MODELS
from gryadka.facts import Facts
from gryadka.loc import count

COMMAND = [sys.executable, "-m", "gryadka"]
ROOT = Path(__file__).parents[1]
HISTORY = """\
{"history": 1}
{"process": 1, "key": "x", "f": "write", "args": [1], "outcome": "ok", "invoked_s": 0, "completed_s": 1}
{"process": 1, "key": "x", "f": "write", "args": [2], "outcome": "ok", "invoked_s": 0, "completed_s": 1}
{"process": 1, "key": "x", "f": "write", "args": [3], "outcome": "ok", "invoked_s": 0, "completed_s": 1}
{"process": 2, "key": "x", "f": "read", "args": [], "outcome": "ok", "result": 1, "invoked_s": 2, "completed_s": 3}
{"process": 2, "key": "x", "f": "read", "args": [], "outcome": "ok", "result": 1, "invoked_s": 4, "completed_s": 5}
"""


def run(*arguments: str, **env: str | None) -> Result:
    return CliRunner().invoke(cli.app, arguments, env={"GRYADKA_URLS": None, "GRYADKA_SERVER": None} | env)


# -- small ones ------------------------------------------------------------------------------------------


def test_version_and_help() -> None:
    assert run("--version").stdout == f"gryadka {__version__}\n"
    for arguments in ([], ["--help"]):
        shown = run(*arguments).output
        assert all(name in shown for name in ("up", "doctor", "loc", "check-history"))


def test_it_runs_as_a_module() -> None:
    done = subprocess.run([*COMMAND, "--version"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"gryadka {__version__}\n", "")


def test_loc_prints_the_count_of_each_file_and_the_total() -> None:
    printed = run("loc")
    assert printed.exit_code == 0
    core, beside = printed.stdout.split("\n\n")
    assert re.search(rf"^ *{count().total}  the core; its limit is 500$", core, re.MULTILINE)
    for part, counts in ((core, count().core), (beside, count().beside)):
        for name, lines in counts.items():
            assert re.search(rf"^ *{lines}  {name}$", part, re.MULTILINE)
    told = json.loads(run("loc", "--json").stdout)
    assert told == {"total": count().total, "limit": 500, "core": count().core, "beside": count().beside}


@pytest.mark.parametrize(
    ("arguments", "env", "words"),
    [
        (["up", "--server", "fakeredis"], {}, "fakeredis lives inside one process"),
        (["up"], {"GRYADKA_SERVER": "fakeredis"}, "fakeredis lives inside one process"),
        (["up", "--server", "nowhere"], {}, "no server program 'nowhere'"),
        (["doctor", "nonsense"], {}, "URL number 1 cannot be read"),
        (["doctor", "redis://h", "--namespace", "a:b"], {}, "a namespace is made of"),
        (["check-history", "nowhere"], {}, "nowhere cannot be read: No such file"),
        (["explore", "--save", "/"], {}, "/ cannot be written: name a file"),
        (["explore", "--save", "no/where"], {}, "no/where cannot be written: name a file"),
        (["simulate", "loss-1-1-1", "--save", "no/where"], {}, "no/where cannot be written: name a file"),
    ],
    ids=str,
)
def test_an_error_is_one_sentence_and_exit_code_2(arguments: list[str], env: dict[str, str], words: str) -> None:
    done = run(*arguments, **env)
    assert done.exit_code == 2 and done.stdout == ""
    assert done.stderr.startswith("gryadka: ") and words in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["doctor"], ["up", "--servers", "0"], ["up", "--fsync", "maybe"], ["nonsense"]], ids=str
)
def test_a_call_that_is_wrong_ends_with_2(arguments: list[str]) -> None:
    assert run(*arguments, GRYADKA_URLS="").exit_code == 2


def test_ctrl_c_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "gather", interrupted)
    done = run("doctor", "redis://h")
    assert (done.exit_code, done.output.strip()) == (130, "")


# -- check-history ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "options", "exit_code", "verdict"),
    [("1", [], 0, "ok"), ("2", [], 1, "violation"), ("2", ["--max-steps", "1"], 3, "unknown")],
)
def test_a_history_is_judged(tmp_path: Path, result: str, options: list[str], exit_code: int, verdict: str) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text(HISTORY.replace('"result": 1, "invoked_s": 4', f'"result": {result}, "invoked_s": 4'))
    done = run("check-history", str(file), *options)
    assert done.exit_code == exit_code and done.stdout.startswith(f"{verdict}: ")
    told = json.loads(run("check-history", "--json", str(file), *options).stdout)
    assert told["verdict"] == verdict
    if verdict == "violation":
        assert told["key"] == "x" and "read" in {operation["f"] for operation in told["operations"]}


def test_a_model_that_there_is_not_or_a_broken_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text(HISTORY)
    done = run("check-history", str(file), "--model", "nonsense")
    assert done.exit_code == 2 and "there is no model 'nonsense'" in done.stderr
    file.write_text(HISTORY + "{")
    done = run("check-history", str(file))
    assert done.exit_code == 2 and "line 7" in done.stderr


def test_jepsens_registers_by_key_are_judged_key_by_key(tmp_path: Path) -> None:
    file = tmp_path / "history.edn"
    calls = [(0, ":write", "[1 3]"), (0, ":write", "[2 4]"), (0, ":read", "[1 3]")]
    file.write_text(
        "".join(f"{{:process {p} :type {t} :f {f} :value {v}}}\n" for p, f, v in calls for t in (":invoke", ":ok"))
    )
    assert run("check-history", str(file)).exit_code == 1, "taken for one register, it read an old value"
    assert run("check-history", str(file), "--keyed").exit_code == 0


def test_help_shows_brackets_that_are_meant() -> None:
    shown = " ".join(re.sub("[│ ]+", " ", run("check-history", "--help", COLUMNS="200").output).split())
    assert "each :value is [key value], a register a key" in shown  # they once passed for markup, and were gone


def test_help_names_every_model() -> None:
    shown = re.sub(r"\W+", " ", run("check-history", "--help", COLUMNS="200").output.replace("-", "_"))
    assert all(name.replace("-", "_") in shown for name in MODELS)


# -- up and doctor, on real servers ----------------------------------------------------------------------


class Up:
    """`gryadka up` in a process of its own, whose servers keep their data under `directory`."""

    def __init__(self, directory: Path, *options: str, before: Sequence[str] = ()) -> None:
        if find_server() == FAKE:
            pytest.skip("needs a real server")
        env = os.environ | {"TMPDIR": str(directory), "GRYADKA_SERVER": find_server(), "GRYADKA_URLS": "redis://h:1"}
        self.directory = directory
        self.process = subprocess.Popen(
            [*before, *COMMAND, "up", *options],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Under `nohup` the tests themselves would hand on that the signal is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )

    def lines(self, count: int) -> list[str]:
        assert self.process.stdout
        return [self.process.stdout.readline().strip() for _ in range(count)]

    def servers(self) -> list[psutil.Process]:
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in below if process.exe() == os.path.realpath(find_server())]

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def two_servers(tmp_path: Path) -> Iterator[Up]:
    up = Up(tmp_path, "--servers", "2")
    yield up
    up.end()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_up_leaves_no_server_behind(two_servers: Up, number: signal.Signals) -> None:
    assert len(two_servers.lines(2)) == 2
    below = psutil.Process(two_servers.process.pid).children(recursive=True)
    assert len(two_servers.servers()) == 2 and len(list(two_servers.directory.iterdir())) == 1
    two_servers.process.send_signal(number)
    _, alive = psutil.wait_procs(below, timeout=20)
    assert not alive
    stdout, stderr = two_servers.process.communicate(timeout=20)
    if number == signal.SIGKILL:
        assert two_servers.process.returncode == -number
    else:
        assert two_servers.process.returncode == 128 + number
        assert list(two_servers.directory.iterdir()) == []  # their data is removed
        assert stdout == "" and "Traceback" not in stderr


@pytest.mark.slow
def test_a_second_ctrl_c_does_not_cut_the_cleaning_up_short(two_servers: Up) -> None:
    two_servers.lines(2)
    below = psutil.Process(two_servers.process.pid).children(recursive=True)
    while two_servers.process.poll() is None:
        two_servers.process.send_signal(signal.SIGINT)
        time.sleep(0.005)
    two_servers.process.communicate(timeout=20)
    # The last one may have come when all was done and Python itself was ending.
    assert two_servers.process.returncode in (130, -signal.SIGINT)
    assert not psutil.wait_procs(below, timeout=20)[1]
    assert list(two_servers.directory.iterdir()) == []


@pytest.mark.slow
def test_up_outlives_its_terminal_when_it_was_told_to(tmp_path: Path) -> None:
    """`nohup` has the signal of a closed terminal ignored; so it stays."""
    up = Up(tmp_path, "--servers", "1", before=["nohup"])
    try:
        urls = up.lines(1)
        up.process.send_signal(signal.SIGHUP)
        assert run("doctor", *urls).exit_code == 0
        up.process.terminate()
        up.process.communicate(timeout=20)
        assert up.process.returncode == 128 + signal.SIGTERM
    finally:
        up.end()


@pytest.mark.slow
def test_what_up_prints_can_be_given_to_doctor(two_servers: Up) -> None:
    urls = two_servers.lines(2)
    assert all(re.fullmatch(r"redis://:[\w-]{24,}@127\.0\.0\.1:\d+/0", url) for url in urls)
    passwords = [re.split("[:@]", url)[2] for url in urls]
    for done in (run("doctor", *urls), run("doctor", GRYADKA_URLS="\n".join(urls))):
        assert done.exit_code == 0 and done.stdout.count(": fit\n") == 2
        assert "2 acceptors: none may be down" in done.stdout
        assert not any(password in done.output for password in passwords)

    victim = two_servers.servers()[0]
    victim.kill()
    psutil.wait_procs([victim], timeout=20)
    done = run("doctor", *urls, "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 1 and told["verdict"] == "unfit"
    assert sorted(server["verdict"] for server in told["servers"]) == ["fit", "unfit"]
    assert told["servers"][0]["facts"]["name"] == urls[0].split("@")[1].removesuffix("/0")
    assert {"check", "level", "words", "change"} == set(told["servers"][0]["findings"][0])
    assert not any(password in done.output for password in passwords)

    two_servers.process.terminate()
    _, stderr = two_servers.process.communicate(timeout=20)
    assert find_server() in stderr and "appendfsync always" in stderr and "Ctrl-C" in stderr
    assert f"export GRYADKA_URLS='{' '.join(urls)}'\n" in stderr


@pytest.mark.slow
def test_a_server_of_up_can_replace_a_member_if_it_was_started_empty(tmp_path: Path) -> None:
    (tmp_path / "members").mkdir()
    (tmp_path / "empty").mkdir()
    members, empty = Up(tmp_path / "members"), Up(tmp_path / "empty", "--servers", "1", "--empty")
    try:
        urls, (newcomer,) = members.lines(3), empty.lines(1)
        old = urls[0].split("@")[1].removesuffix("/0")
        done = run("acceptors", "replace", old, newcomer, "--yes", GRYADKA_URLS=" ".join(urls))
        assert done.exit_code == 0 and "epoch" in done.stdout, done.output  # it once belonged to a cluster of its own
        empty.process.terminate()
        _, stderr = empty.process.communicate(timeout=20)
        assert "no cluster yet" in stderr and "export" not in stderr
    finally:
        members.end()
        empty.end()


@pytest.mark.slow
def test_up_prints_one_json_object(tmp_path: Path) -> None:
    up = Up(tmp_path, "--servers", "1", "--fsync", "everysec", "--json")
    try:
        (line,) = up.lines(1)
        told = json.loads(line)
        assert (told["fsync"], told["program"], len(told["urls"])) == ("everysec", find_server(), 1)
        done = run("doctor", *told["urls"])
        assert done.exit_code == 1 and "to do: CONFIG SET appendfsync always" in done.stdout
        up.process.terminate()
        stdout, stderr = up.process.communicate(timeout=20)
        assert (stdout, stderr) == ("", "")
    finally:
        up.end()


def test_what_is_only_unknown_ends_with_3(monkeypatch: pytest.MonkeyPatch) -> None:
    async def told_little(*_: Any, **__: Any) -> list[Any]:
        return [Facts(name="managed:6379", latency_s=0.1, strangers_may_write=False)]

    monkeypatch.setattr(cli, "gather", told_little)
    done = run("doctor", "redis://h")
    assert done.exit_code == 3 and "managed:6379: unknown" in done.stdout
