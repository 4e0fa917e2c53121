"""`gryadka serve` and `gryadka kv`, as processes of their own and on real servers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

import gryadka
from gryadka import cli, kv_commands
from gryadka.acceptors.servers import FAKE, LocalCluster, find_server
from gryadka.http import Service, Store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "gryadka"]


@pytest.fixture
async def servers() -> AsyncIterator[LocalCluster]:
    if find_server() == FAKE:
        pytest.skip("needs a real server")
    async with gryadka.local_cluster(3, server=find_server()) as started:
        yield started


def run(*arguments: str, stdin: str | None = None, **env: str | None) -> Result:
    return CliRunner().invoke(cli.app, arguments, input=stdin, env={"GRYADKA_URLS": None} | env)


async def kv(*arguments: str, **env: str | None) -> Result:
    """In a thread, so that the test's own loop can serve it."""
    return await asyncio.to_thread(run, "kv", *arguments, **env)


# -- kv, both ways ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["--server", "--acceptor", "GRYADKA_URLS"])
async def test_the_four_commands(servers: LocalCluster, way: str) -> None:
    async with Service(Store(servers.proposer())) as service:
        env: dict[str, str | None] = {}
        if way == "GRYADKA_URLS":
            env["GRYADKA_URLS"] = " ".join(servers.urls)
            where = []
        else:
            urls = [service.url] if way == "--server" else servers.urls
            where = [part for url in urls for part in (way, url)]
        missing = await kv("get", "todo", *where, **env)
        assert missing.exit_code == 1 and "no record" in missing.stderr and missing.stdout == ""
        first = (await kv("cas", "todo", "absent", '["milk"]', *where, **env)).stdout.strip()
        assert first.startswith("1-")
        assert (await kv("get", "todo", *where, **env)).stdout == '["milk"]\n'
        second = (await kv("cas", "todo", first, '"тест"', *where, **env)).stdout.strip()
        assert json.loads((await kv("get", "todo", "--json", *where, **env)).stdout) == {
            "key": "todo",
            "value": "тест",
            "etag": second,
        }
        stale = await kv("cas", "todo", first, "1", *where, **env)
        assert stale.exit_code == 1 and f'{{"value": "тест", "etag": "{second}"}}' in stale.stderr
        told = json.loads((await kv("cas", "todo", "absent", "1", "--json", *where, **env)).stdout)
        assert (told["error"], told["outcome"]) == ("precondition-failed", "not applied")
        assert told["current"] == {"value": "тест", "etag": second}
        assert (await kv("del", "todo", "--etag", first, *where, **env)).exit_code == 1
        gone = await kv("del", "todo", "--etag", second, "--json", *where, **env)
        assert (gone.exit_code, json.loads(gone.stdout)) == (0, {"key": "todo", "etag": None})
        assert (await kv("del", "todo", *where, **env)).exit_code == 1
        again = (await kv("put", "todo", "-5", *where, **env)).stdout.strip()
        assert again.startswith("1-") and again != first
        assert (await kv("get", "todo", *where, **env)).stdout == "-5\n"
        for result in (missing, stale):
            assert not any(url.split(":")[2].split("@")[0] in result.output for url in servers.urls)


async def test_both_ways_lead_to_the_same_records(servers: LocalCluster) -> None:
    env = {"GRYADKA_URLS": " ".join(servers.urls)}
    async with Service(Store(servers.proposer())) as service:
        etag = (await kv("put", "a/b ?", "{}", **env)).stdout.strip()
        read = json.loads((await kv("get", "a/b ?", "--json", "--server", service.url)).stdout)
        assert read["etag"] == etag
        assert (await kv("cas", "a/b ?", f'"{etag}"', "1", **env)).exit_code == 0  # quotes do no harm


async def test_a_value_from_standard_input_and_text_as_it_stands(servers: LocalCluster) -> None:
    env = {"GRYADKA_URLS": " ".join(servers.urls)}
    assert (await kv("put", "a", "-", stdin="[1,\n2]", **env)).exit_code == 0
    assert (await kv("get", "a", **env)).stdout == "[1, 2]\n"
    assert (await kv("put", "a", "hello", "--text", **env)).exit_code == 0
    assert (await kv("put", "b", "-", "--text", stdin="two\nlines\n", **env)).exit_code == 0
    assert (await kv("get", "a", **env)).stdout == '"hello"\n'
    assert (await kv("get", "b", **env)).stdout == '"two\\nlines\\n"\n'


async def test_a_command_that_cannot_be_carried_out_ends_with_2(servers: LocalCluster) -> None:
    env = {"GRYADKA_URLS": " ".join(servers.urls)}
    for arguments, words in (
        (["put", "a", "hello"], "not JSON"),
        (["put", "", "1"], "the key is empty"),
        (["put", "k" * 1025, "1"], "1024 are allowed"),
        (["get", "a", "--server", "nonsense"], "a service's URL looks like"),
        (["get", "a", "--acceptor", "nonsense"], "URL cannot be read"),
    ):
        done = await kv(*arguments, **env)
        assert done.exit_code == 2 and words in done.stderr and done.stderr.count("\n") == 1, done.output
    nobody = await kv("get", "a")
    assert nobody.exit_code == 2 and "GRYADKA_URLS" in nobody.stderr


@pytest.mark.slow
@pytest.mark.slow
async def test_without_a_quorum_the_exit_code_says_what_is_known(servers: LocalCluster) -> None:
    env = {"GRYADKA_URLS": " ".join(servers.urls)}
    async with Service(Store(servers.proposer(timeout_s=0.3))) as service:
        await kv("put", "a", "1", **env)
        await servers.kill(0)
        await servers.kill(1)
        for where in (["--timeout", "0.3"], ["--server", service.url]):
            read = await kv("get", "a", *where, **env)
            assert read.exit_code == 4 and "not" in read.stderr
            written = await kv("put", "a", "2", "--json", *where, **env)
            assert (written.exit_code, json.loads(written.stdout)["outcome"]) in ((3, "unknown"), (4, "not applied"))


# -- a service that is none, or gone ---------------------------------------------------------------------


async def answering(raw: bytes) -> tuple[asyncio.Server, str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("raw", "read_code", "write_code"),
    [
        (b"", 4, 3),  # gone before it answered
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops", 4, 3),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 4, 3),  # a proxy's, which may have passed it on
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\noops", 4, 3),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 2, 3),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 4, 3),
        (b'HTTP/1.1 503 Busy\r\nContent-Length: 43\r\n\r\n{"error": "x",    "outcome": "not applied"}\n', 4, 4),
        (b'HTTP/1.1 500 Oops\r\nContent-Length: 37\r\n\r\n{"error": "x", "outcome": "unknown"}\n', 4, 3),
    ],
)
async def test_only_the_store_itself_is_believed(raw: bytes, read_code: int, write_code: int) -> None:
    server, url = await answering(raw)
    async with server:
        assert (await kv("get", "a", "--server", url)).exit_code == read_code
        assert (await kv("put", "a", "1", "--server", url)).exit_code == write_code
        assert (await kv("del", "a", "--server", url)).exit_code == write_code


async def test_a_service_that_is_not_there_has_applied_nothing() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        assert (await kv("put", "a", "1", "--server", url)).exit_code == 4


async def test_a_service_that_hangs_is_unknown_and_how_to_repeat_is_told() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        put = await kv("put", "a", "1", "--server", url, "--timeout", "0.2")
        assert put.exit_code == 3 and "`gryadka kv cas`" in put.stderr
        assert (await kv("get", "a", "--server", url, "--timeout", "0.2")).exit_code == 4


# -- serve -----------------------------------------------------------------------------------------------


class Serve:
    """`gryadka serve` in a process of its own, on a free port."""

    def __init__(self, urls: list[str], *options: str, **env: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0", "--json", *options],
            cwd=ROOT,
            env=os.environ | {"GRYADKA_URLS": " ".join(urls)} | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.line = self.process.stdout.readline()
        self.told: dict[str, Any] = json.loads(self.line or "{}")

    def end(self, number: int = signal.SIGKILL) -> tuple[int, str]:
        self.process.send_signal(number)
        _, stderr = self.process.communicate(timeout=30)
        return self.process.returncode, stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_serve_serves_until_it_is_stopped_and_says_no_password(servers: LocalCluster, number: int) -> None:
    serve = await asyncio.to_thread(Serve, servers.urls)
    try:
        assert serve.told["acceptors"] == servers.names and serve.told["admin"] is None
        async with httpx.AsyncClient(base_url=serve.told["url"], trust_env=False, timeout=30) as http:
            assert (await http.put("/kv/a", json=1)).status_code == 201
            await servers.kill(0)
            assert (await http.get("/kv/a")).json() == 1
            assert (await http.get("/kv/a?")).status_code in (200, 400)
        code, stderr = await asyncio.to_thread(serve.end, number)
        assert (code, stderr) == (0, "")
        assert not any(url.split(":")[2].split("@")[0] in serve.line for url in servers.urls)
    finally:
        serve.process.kill()


@pytest.mark.slow
async def test_a_request_under_way_is_answered_before_serve_ends(servers: LocalCluster) -> None:
    serve = await asyncio.to_thread(Serve, servers.urls, "--timeout", "20")
    try:
        async with httpx.AsyncClient(base_url=serve.told["url"], trust_env=False, timeout=30) as http:
            await http.put("/kv/a", json=1)
            await servers.pause(0)
            await servers.pause(1)
            put = asyncio.create_task(http.put("/kv/a", json=2))
            while "under_way 1.0" not in (await http.get("/metrics")).text:
                await asyncio.sleep(0.01)
            ended = asyncio.create_task(asyncio.to_thread(serve.end, signal.SIGTERM))
            await asyncio.sleep(0.1)
            await servers.resume(0)
            await servers.resume(1)
            assert (await put).status_code == 200
            assert (await ended)[0] == 0
    finally:
        serve.process.kill()


@pytest.mark.slow
async def test_the_first_answer_is_given_after_the_service_was_killed(servers: LocalCluster) -> None:
    body = {"change": "increment", "arguments": {"by": 5}}
    answers = []
    for _ in range(2):
        serve = await asyncio.to_thread(Serve, servers.urls)
        try:
            async with httpx.AsyncClient(base_url=serve.told["url"], trust_env=False, timeout=30) as http:
                answers.append((await http.post("/kv/n", json=body, headers={"Idempotency-Key": "a"})).json())
        finally:
            await asyncio.to_thread(serve.end)
    assert answers[0] == answers[1] and answers[0]["result"] == 5


@pytest.mark.slow
async def test_the_operator_has_another_port_and_a_token(servers: LocalCluster) -> None:
    token = "0123456789abcdef"
    serve = await asyncio.to_thread(Serve, servers.urls, "--admin-port", "0", GRYADKA_ADMIN_TOKEN=token)
    try:
        async with httpx.AsyncClient(base_url=serve.told["admin"], trust_env=False) as http:
            for wrong in ({}, {"Authorization": "Bearer no"}, {"Authorization": f"Basic {token}"}):
                refused = await http.get("/proposer", headers=wrong)
                assert refused.status_code == 401 and refused.headers["WWW-Authenticate"] == "Bearer"
            told = (await http.get("/proposer", headers={"Authorization": f"Bearer {token}"})).json()
            assert told["acceptors"] == servers.names and told["quorums"]["accept"]["size"] == 2
            assert (await http.get("/kv/a", headers={"Authorization": f"Bearer {token}"})).status_code == 404
    finally:
        await asyncio.to_thread(serve.end)


@pytest.mark.slow
async def test_changes_of_ones_own_are_named_on_the_command_line(servers: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "my_changes.py").write_text(
        "from gryadka.http import Changed\nCHANGES = {'double': lambda value: Changed(2 * value)}\n"
    )
    serve = await asyncio.to_thread(Serve, servers.urls, "--changes", "my_changes:CHANGES", PYTHONPATH=str(tmp_path))
    try:
        async with httpx.AsyncClient(base_url=serve.told["url"], trust_env=False, timeout=30) as http:
            await http.put("/kv/n", json=21)
            assert (await http.post("/kv/n", json={"change": "double"})).status_code == 200
            assert (await http.post("/kv/n", json={"change": "increment"})).json()["result"] == 43
    finally:
        await asyncio.to_thread(serve.end)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name the acceptors"),
        (["--acceptor", "redis://h", "--acceptor", "redis://h"], "named twice"),
        (["--acceptor", "redis://h", "--admin-port", "0"], "GRYADKA_ADMIN_TOKEN"),
        (["--acceptor", "redis://h", "--changes", "nowhere:X"], "No module named 'nowhere'"),
        (["--acceptor", "redis://h", "--changes", "gryadka"], "my_changes:CHANGES"),
        (["--acceptor", "redis://h", "--changes", "gryadka:local_cluster"], "a table maps names to functions"),
    ],
    ids=str,
)
def test_serve_refuses_what_cannot_be_in_one_sentence(arguments: list[str], words: str) -> None:
    done = run("serve", *arguments, GRYADKA_ADMIN_TOKEN=None)
    assert done.exit_code == 2 and words in done.stderr and done.stderr.count("\n") == 1, done.output


def test_a_port_that_cannot_be_had_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [*COMMAND, "serve", "--acceptor", "redis://h", "--port", port]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"gryadka: cannot listen at 127.0.0.1:{port}: ") and done.stderr.count("\n") == 1


def test_a_token_that_could_be_guessed_is_refused() -> None:
    done = run("serve", "--acceptor", "redis://h", "--admin-port", "0", GRYADKA_ADMIN_TOKEN="short")
    assert done.exit_code == 2 and "at least 16" in done.stderr


def test_the_commands_are_started_without_the_service() -> None:
    program = "import sys, gryadka.cli; assert not {'tornado', 'prometheus_client'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
    assert kv_commands.kv.info.help
