"""examples/http-kv: its story runs from start to end, without Docker, and is what the Compose file describes."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from gryadka.acceptors.servers import FAKE, find_server
from gryadka.checking.history import load
from gryadka.checking.linearizability import Budget, Ok, check_history_file

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "http-kv"
COMPOSE: dict[str, Any] = yaml.safe_load((EXAMPLE / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
README = (EXAMPLE / "README.md").read_text()
STORY = re.findall(r"^(gryadka .*?) +# (.+)$", "\n".join(re.findall(r"```sh\n(.*?)```", README, re.S)), re.M)
PASSWORDS = {"REDIS_PASSWORD": "0" * 48, "ADMIN_TOKEN": "1" * 48}


def local() -> Any:
    spec = importlib.util.spec_from_file_location("example_local", EXAMPLE / "local.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def as_here(text: str) -> str:
    """A word of the Compose file, as it has to be on this computer."""
    for name, value in PASSWORDS.items():
        text = re.sub(r"\$\{" + name + r"(:\?[^}]*)?\}", value, text)
    text = text.replace("$$", "$").replace("${HISTORY:-}", "").replace("0.0.0.0:", "127.0.0.1:")
    return re.sub(r"(?<=[/@])(redis|proposer)\d(?=:)", "127.0.0.1", text).replace("0.0.0.0", "127.0.0.1")


# -- the Compose file ------------------------------------------------------------------------------------


def test_what_runs_without_docker_is_what_the_compose_file_says() -> None:
    processes = local().read(PASSWORDS)
    assert list(processes) == list(SERVICES)
    for name, service in SERVICES.items():
        process = processes[name]
        assert process.command == [as_here(word) for word in service["command"]]
        assert process.environment == {key: as_here(word) for key, word in service["environment"].items()}
        assert process.after == list(service.get("depends_on", []))
        for port in service.get("ports", []):
            assert port == f"127.0.0.1:{process.ports[0]}:{process.ports[0]}"
        kind, *check = map(as_here, service.get("healthcheck", {}).get("test", [""]))
        assert (process.healthcheck or []) == (["sh", "-c", *check] if kind == "CMD-SHELL" else check)
    assert [len(process.ports) for process in processes.values()] == [1] * 5 + [2, 2, 0, 0]


def test_whoever_is_waited_for_has_a_health_check_and_starts_earlier() -> None:
    names = list(SERVICES)
    for name, service in SERVICES.items():
        for other, wanted in service.get("depends_on", {}).items():
            assert wanted == {"condition": "service_healthy"} and "healthcheck" in SERVICES[other]
            assert names.index(other) < names.index(name)


def test_a_shift_moves_every_port_and_nothing_else() -> None:
    here, moved = local().read(PASSWORDS), local().read(PASSWORDS, 1000)
    for name, process in here.items():
        assert moved[name].ports == [port + 1000 for port in process.ports]
        before = "\0".join([*process.command, *process.environment.values(), *(process.healthcheck or [])])
        after = "\0".join([*moved[name].command, *moved[name].environment.values(), *(moved[name].healthcheck or [])])
        shifted = re.sub(r"\b(700[1-5]|[89]08[12])\b", lambda match: str(int(match[0]) + 1000), before)
        assert after == shifted


def test_the_servers_forget_nothing_and_let_nobody_in_without_a_password() -> None:
    servers = [service for name, service in SERVICES.items() if name.startswith("redis")]
    assert len(servers) == 5
    for service in servers:
        command = " ".join(service["command"])
        for words in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"):
            assert words in command
        assert "requirepass $$REDISCLI_AUTH" in command and "--requirepass" not in command
        assert service["volumes"][0].endswith(":/data") and "ports" not in service
    assert {service["volumes"][0].split(":")[0] for service in servers} == set(COMPOSE["volumes"])


def test_without_passwords_it_says_how_to_make_them() -> None:
    with pytest.raises(Exception, match=r"REDIS_PASSWORD: run ./passwords.sh first"):
        local().read({})


def test_passwords_are_made_once_at_random_and_for_their_owner_only(tmp_path: Path) -> None:
    made = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        (folder / "passwords.sh").write_bytes((EXAMPLE / "passwords.sh").read_bytes())
        for _ in range(2):
            subprocess.run(["sh", folder / "passwords.sh"], check=True)
            made.append((folder / ".env").read_text())
        assert (folder / ".env").stat().st_mode & 0o777 == 0o600 and len(list(folder.iterdir())) == 2
    assert made[0] == made[1] != made[2] == made[3]
    assert all(re.fullmatch(r"REDIS_PASSWORD=[0-9a-f]{48}\nADMIN_TOKEN=[0-9a-f]{48}\n", text) for text in made)
    ignored = subprocess.run(["git", "check-ignore", "-q", EXAMPLE / ".env"], cwd=ROOT, check=False)
    assert ignored.returncode == 0


# -- the image -------------------------------------------------------------------------------------------

DOCKERFILE = (EXAMPLE / "Dockerfile").read_text()


def test_the_image_gets_what_it_copies_and_the_context_leaves_out_the_rest() -> None:
    wanted = [path for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.M) for path in line.split()]
    lines = (EXAMPLE / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = [line[1:] for line in lines if line.startswith("!")]
    assert "*" in lines and sorted(wanted) == sorted(let_in)
    for path in wanted:
        assert (ROOT / path).exists()
    assert not any(fnmatch("examples/http-kv/.env", path) for path in let_in)
    for service in SERVICES.values():
        if "build" in service:
            assert (EXAMPLE / service["build"]["context"] / service["build"]["dockerfile"]).samefile(
                EXAMPLE / "Dockerfile"
            )


def test_the_image_has_every_package_that_its_commands_load() -> None:
    (listed,) = re.findall(r"pip install .*-c constraints.txt (.*)", DOCKERFILE)
    program = f"""
import importlib.metadata, sys
sys.path.insert(0, {str(EXAMPLE)!r})
import gryadka.cli, gryadka.doctor, gryadka.http.admin, gryadka.http.client, gryadka.http.operator, client
owners = importlib.metadata.packages_distributions()
print(*{{owner for name in sys.modules for owner in owners.get(name.split(".")[0], [])}})
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    loaded = {name.replace("_", "-") for name in told.split()} - {"gryadka", "setuptools"}
    brought_along = {"annotated-doc", "shellingham"}  # by typer
    assert loaded - brought_along == set(listed.split())


# -- the story -------------------------------------------------------------------------------------------


class Running:
    """`make example`, without make, on ports that are free."""

    def __init__(self, folder: Path) -> None:
        self.shift = free_shift()
        self.history = folder / "history.jsonl"
        self.log = folder / "log"
        command = [sys.executable, EXAMPLE / "local.py", "--shift", str(self.shift)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | PASSWORDS | {"HISTORY": str(self.history)}
            )
        self.seen: list[psutil.Process] = []

    def until(self, words: str, *, after: int = 0) -> int:
        """Wait until the log has these words behind `after`; return where they end."""
        deadline_s = time.monotonic() + 60
        while (found := self.log.read_text().find(words, after)) < 0:
            assert time.monotonic() < deadline_s and self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        return found + len(words)

    def operator(self, command: str) -> str:
        words = [sys.executable, EXAMPLE / "local.py", "--shift", str(self.shift), "operator", "-c", command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, env=os.environ | PASSWORDS)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pids(self) -> dict[str, int]:
        return {name: int(pid) for name, pid in re.findall(r"^(\w+) +\| is process (\d+)", self.log.read_text(), re.M)}

    def end(self, number: int) -> int:
        self.seen = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        return self.process.wait(60)

    def left(self) -> list[psutil.Process]:
        _, alive = psutil.wait_procs(self.seen, timeout=10)
        return alive


def free_shift() -> int:
    ports = (*range(7001, 7006), 8081, 8082, 9081, 9082)
    for shift in range(10_000 + os.getpid() % 500 * 10, 20_000, 10):
        try:
            for port in ports:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + shift))
            return shift
        except OSError:
            continue
    raise AssertionError("no free ports")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    if find_server() == FAKE:
        pytest.skip("needs a real server")
    example = Running(tmp_path)
    try:
        yield example
    finally:
        if example.process.poll() is None:
            example.end(signal.SIGTERM)


@pytest.mark.slow
def test_the_story_runs_as_it_is_written_and_nothing_is_lost(running: Running) -> None:
    running.until("everything runs")
    check_processes(running)
    assert [words for _, words in STORY if words.startswith("epoch")] == [
        f"epoch {n}" for n in (0, 0, 1, 1, 2, 3, 4, 4)
    ]
    told = running.operator("set -e\n" + "\n".join(f"{command}\necho @@" for command, _ in STORY))
    for (command, words), answer in zip(STORY, told.split("@@"), strict=False):
        assert words in answer, command
    running.until("acknowledged", after=len(running.log.read_text()))  # the client is still at work
    listed = json.loads(running.operator("gryadka acceptors ls --json"))
    members = {row["name"].split(":")[1] for row in listed["acceptors"] if row["state"] == "member"}
    assert members == {str(port + running.shift) for port in (7003, 7004, 7005)}
    os.kill(running.pids()["proposer1"], signal.SIGKILL)  # the client goes on with the other one
    running.until("acknowledged", after=running.until("proposer1 | has ended by signal 9"))
    assert running.end(signal.SIGINT) == 0 and running.left() == []
    check_history(running)
    said = running.log.read_text() + told
    assert not any(password in said for password in PASSWORDS.values())


def check_processes(running: Running) -> None:
    """The processes that the system knows have the commands, the environment and the ports of the Compose file."""
    pids = running.pids()
    assert set(pids) == set(SERVICES) - {"operator"}
    for name, pid in pids.items():
        expected = local().read(PASSWORDS | {"HISTORY": str(running.history)}, running.shift)[name]
        process = psutil.Process(pid)
        guard = process.parent()  # it hands its environment on; Redis writes its title over its own
        assert guard and expected.environment.items() <= guard.environ().items()
        ports = {connection.laddr.port for connection in process.net_connections() if connection.status == "LISTEN"}
        assert ports == set(expected.ports)
        line = " ".join(process.cmdline())
        assert "redis-server" in line if name.startswith("redis") else line.endswith(shlex.join(expected.command[1:]))
        assert not any(password in line for password in PASSWORDS.values())


def check_history(running: Running) -> None:
    assert "every counter holds what was acknowledged" in running.log.read_text()
    (told,) = re.findall(r"in the end: acknowledged (\d+); .* longest gap ([\d.]+) s", running.log.read_text())
    operations = load(running.history.read_text().splitlines())
    assert len([operation for operation in operations if operation.completed_s]) == int(told[0]) > 100
    assert isinstance(check_history_file(running.history, "counter", Budget(5_000_000)), Ok)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_behind_even_if_it_was_still_starting(running: Running, number: int) -> None:
    running.until("redis2")
    code = running.end(number)
    assert running.left() == [] and code == (0 if number == signal.SIGINT else -number)


@pytest.mark.slow
def test_a_port_in_use_is_one_sentence_and_nothing_is_started() -> None:
    shift = free_shift()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 8082 + shift))
        taken.listen()
        command = [sys.executable, EXAMPLE / "local.py", "--shift", str(shift)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | PASSWORDS)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"example: port {8082 + shift} of proposer2 is in use")
    assert done.stderr.count("\n") == 1


def test_make_example_starts_it() -> None:
    told = subprocess.run(
        ["make", "-n", "example", "EXAMPLE_FLAGS=--shift 7"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "examples/http-kv/local.py --shift 7" in told


def test_the_operators_shell_knows_all_that_the_story_names() -> None:
    known = {*SERVICES["operator"]["environment"]}
    assert {name for command, _ in STORY for name in re.findall(r"\$(\w+)", command)} <= known
    assert SERVICES["operator"]["profiles"] and SERVICES["operator"]["command"][0] == "bash"
