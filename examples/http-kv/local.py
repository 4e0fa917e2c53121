"""What compose.yaml describes, without Docker: the same commands, environment, health checks and ports, on 127.0.0.1.

    python local.py              start everything, until Ctrl-C
    python local.py operator     a shell for the operator, in another terminal

Compose's file is read, so the two cannot drift apart. What differs: each name of a server is 127.0.0.1, what the
servers store is removed at the end, and `redis-server` is whatever `gryadka up` would start. `--shift N` adds N
to every port.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from gryadka.acceptors import servers
from gryadka.errors import ConfigurationError, GryadkaError

HERE = Path(__file__).resolve().parent
GUARD = Path(servers.__file__).with_name("guard.py")
HEALTHY_TIMEOUT_S = 30.0
GRACE_S = 15.0

# Where there is no redis-cli: all that the health check needs of it.
REDIS_CLI = f"""#!{sys.executable}
import os, socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[sys.argv.index("-p") + 1])), 3) as server:
    server.sendall(f"AUTH {{os.environ['REDISCLI_AUTH']}}\\r\\nPING\\r\\n".encode())
    answers = server.makefile()
    print(answers.readline(), answers.readline())
"""


@dataclass(frozen=True)
class Process:
    """One service of the Compose file, as it is started here."""

    name: str
    command: list[str]
    environment: dict[str, str]
    ports: list[int]
    healthcheck: list[str] | None
    after: list[str]


# -- from the Compose file to processes ----------------------------------------------------------------------


def read(environment: Mapping[str, str], shift: int = 0) -> dict[str, Process]:
    """Return the services by name. `environment` fills in Compose's `${NAME}`."""
    whole = yaml.safe_load((HERE / "compose.yaml").read_text(encoding="utf-8"))
    found = whole["services"]
    ports = {int(port) for text in _texts(found) for port in re.findall(r"\b[789]\d{3}\b", text)}

    def local(text: str) -> str:
        text = re.sub(r"\$\$|\$\{(\w+)(:[-?])?([^}]*)\}", lambda match: _filled(match, environment), text)
        text = re.sub(rf"\b({'|'.join(found)})(?=:\d)", "127.0.0.1", text).replace("0.0.0.0", "127.0.0.1")
        return re.sub(r"\b\d{4}\b", lambda match: str(int(match[0]) + shift * (int(match[0]) in ports)), text)

    return {name: _process(name, service, local) for name, service in found.items()}


def _process(name: str, service: dict[str, Any], local: Callable[[str], str]) -> Process:
    command = [local(word) for word in service["command"]]
    environment = {key: local(value) for key, value in service.get("environment", {}).items()}
    check = service.get("healthcheck", {}).get("test")
    if check:
        kind, *words = map(local, check)
        check = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
    numbers = [environment["PORT"]] if "PORT" in environment else []
    numbers += [after for before, after in pairwise(command) if before.endswith("port")]
    return Process(name, command, environment, [int(port) for port in numbers], check, [*service.get("depends_on", [])])


def _filled(match: re.Match[str], environment: Mapping[str, str]) -> str:
    if match[0] == "$$":
        return "$"
    name, kind, rest = match.groups()
    if not environment.get(name) and kind == ":?":
        raise ConfigurationError(f"{name}: {rest}")
    return environment.get(name) or rest


def _texts(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, list | dict):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from _texts(inner)


def passwords() -> dict[str, str]:
    """Return what passwords.sh makes, as Compose would read it."""
    subprocess.run(["sh", HERE / "passwords.sh"], check=True)
    lines = (HERE / ".env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


# -- processes -----------------------------------------------------------------------------------------------


class Example:
    """The processes that run. Whatever ends this one, even SIGKILL, ends them too."""

    def __init__(self, processes: Mapping[str, Process], home: Path) -> None:
        self._processes = processes
        self._home = home
        self._running: dict[str, tuple[asyncio.subprocess.Process, int]] = {}
        self._listening: list[asyncio.Task[None]] = []
        self._path = os.pathsep.join([str(programs(home)), str(Path(sys.executable).parent), os.environ["PATH"]])
        self._dead: dict[str, str] = {}

    async def start(self) -> None:
        """Start each, once those that it depends on are healthy. Raises `ConfigurationError`."""
        for process in self._processes.values():
            for port in process.ports:
                _check_free(port, process.name)
        for process in self._processes.values():
            await asyncio.gather(*(self._healthy(self._processes[name]) for name in process.after))
            await self._launch(process)
        await asyncio.gather(*map(self._healthy, self._processes.values()))

    async def stop(self) -> None:
        """End each as Docker would, with SIGTERM and some grace, those first that were started last."""
        for guard, pid in reversed(self._running.values()):
            assert guard.stdin
            with suppress(ProcessLookupError, TimeoutError):
                os.kill(pid, signal.SIGTERM)
                await asyncio.wait_for(guard.wait(), GRACE_S)
            guard.stdin.close()
            await guard.wait()
        await asyncio.gather(*self._listening)

    async def _launch(self, process: Process) -> None:
        quiet = process.name.startswith("redis")
        home = self._home / process.name if quiet else HERE
        home.mkdir(exist_ok=True)
        guard = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-E", GUARD, "sh", "-c", 'exec "$@" >&2', "sh", *process.command,
            cwd=home, env=self._environment(process), start_new_session=True,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert guard.stdout
        pid = int(await guard.stdout.readline())
        self._running[process.name] = guard, pid
        _tell(process.name, f"is process {pid}{''.join(f', at 127.0.0.1:{port}' for port in process.ports)}")
        self._listening.append(asyncio.create_task(self._listen(process.name, guard, quiet)))

    def _environment(self, process: Process) -> dict[str, str]:
        own = {name: os.environ[name] for name in ("HOME", "TERM", "LANG") if name in os.environ}
        return own | {"PATH": self._path, "PYTHONUNBUFFERED": "1"} | process.environment

    async def _listen(self, name: str, guard: asyncio.subprocess.Process, quiet: bool) -> None:
        assert guard.stderr
        last = b""
        async for line in guard.stderr:
            last = line
            if not quiet:
                _tell(name, line.decode(errors="replace").rstrip())
        status = await guard.wait()
        how = f"by signal {256 - status}" if status > 128 else f"with status {status}"  # as a guard passes it on
        self._dead[name] = f"has ended {how}; its last words: {last.decode(errors='replace').strip() or 'none'}"
        _tell(name, self._dead[name])

    async def _healthy(self, process: Process) -> None:
        if not process.healthcheck:
            return
        deadline_s = asyncio.get_running_loop().time() + HEALTHY_TIMEOUT_S
        while process.name not in self._dead:
            check = await asyncio.create_subprocess_exec(
                *process.healthcheck, env=self._environment(process), stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            if await check.wait() == 0:
                return
            if asyncio.get_running_loop().time() > deadline_s:
                raise ConfigurationError(f"{process.name} is not healthy after {HEALTHY_TIMEOUT_S:g} seconds")
            await asyncio.sleep(0.1)
        raise ConfigurationError(f"{process.name} {self._dead[process.name]}")


def programs(home: Path) -> Path:
    """Return a folder with the programs that Redis's image has, for the PATH."""
    found = servers.find_server()
    if found == servers.FAKE:
        raise ConfigurationError("the example needs a real server: install redis-server or valkey-server")
    folder = home / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "redis-server").symlink_to(found)
    if not shutil.which("redis-cli"):
        (folder / "redis-cli").write_text(REDIS_CLI, encoding="utf-8")
        (folder / "redis-cli").chmod(0o755)
    return folder


def _tell(name: str, words: str) -> None:
    print(f"{name:9} | {words}", flush=True)


def _check_free(port: int, name: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise ConfigurationError(
                f"port {port} of {name} is in use: end what uses it, or move all ports with --shift 1000"
            ) from None


# -- the two commands -----------------------------------------------------------------------------------------


async def up(processes: Mapping[str, Process]) -> int:
    """Keep everything running until Ctrl-C or SIGTERM. One that ends by itself is told, and the others go on."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="gryadka-example-") as folder:
        example = Example(processes, Path(folder))
        try:
            stopping = asyncio.create_task(stop.wait())
            starting = asyncio.create_task(example.start())
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():
                await starting
                print("everything runs; `local.py operator` opens a shell; Ctrl-C ends it all", flush=True)
                await stopping
        finally:
            starting.cancel()
            await asyncio.wait({starting})
            await example.stop()
    return 0


def operate(process: Process, words: list[str]) -> None:
    """Become the operator's shell."""
    own = Path(sys.executable).parent
    environment = os.environ | process.environment | {"PATH": f"{own}{os.pathsep}{os.environ['PATH']}"}
    os.execvpe(process.command[0], [*process.command, *words], environment)


def main() -> int:
    """Read the command line, and do what it says."""
    parser = argparse.ArgumentParser(description="The example without Docker.")
    parser.add_argument("--shift", type=int, default=0, help="add this to every port")
    parser.add_argument("command", nargs="?", choices=["up", "operator"], default="up")
    parser.add_argument("words", nargs=argparse.REMAINDER, help="for the operator's shell, such as -c COMMAND")
    given = parser.parse_args()
    try:
        processes = read(passwords() | os.environ, given.shift)  # as Compose does: .env, unless the shell knows better
        operator = processes.pop("operator")
        if given.command == "operator":
            operate(operator, given.words)
        return asyncio.run(up(processes))
    except GryadkaError as error:
        print(f"example: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
