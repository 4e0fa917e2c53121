"""What is wrong with a server is found on real servers, and asking changes nothing."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

import gryadka
from gryadka import ConfigurationError, Proposer
from gryadka.acceptors import guard
from gryadka.acceptors.servers import FAKE, _free_port, find_server
from gryadka.doctor import Diagnosis, Level, gather, judge
from tests.test_doctor import level_of, said

SECRET = "not-to-be-shown"


def real_server() -> str:
    program = find_server()
    if program == FAKE:
        pytest.skip("needs a real server")
    return program


@asynccontextmanager
async def server(directory: Path, **changes: str) -> AsyncIterator[tuple[str, Redis]]:
    """A server that is sound but for `changes`, empty and without identity; ended with the test's process."""
    port = _free_port() if "cluster_enabled" not in changes else free_port_of_a_cluster()
    sound = {"bind": "127.0.0.1", "requirepass": SECRET, "save": '""', "appendonly": "yes", "appendfsync": "always"}
    sound |= {"port": str(port), "dir": str(directory), "logfile": "server.log"} | changes
    conf = directory / "server.conf"
    conf.write_text("".join(f"{name.replace('_', '-')} {value}\n" for name, value in sound.items()))
    process = subprocess.Popen(
        [sys.executable, guard.__file__, real_server(), conf], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    password = "" if sound["requirepass"] == '""' else f":{SECRET}@"
    url = f"redis://{password}127.0.0.1:{port}/0"
    try:
        async with Redis.from_url(url) as redis:
            for _ in range(500):
                if await answers(redis):
                    break
                await asyncio.sleep(0.02)
            else:
                pytest.fail((directory / "server.log").read_text())
            yield url, redis
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait()


def free_port_of_a_cluster() -> int:
    """A server in cluster mode takes another port as well, 10,000 above its own."""
    for _ in range(1000):
        port = _free_port()
        with socket.socket() as probe, suppress(OSError, OverflowError):
            probe.bind(("127.0.0.1", port + 10_000))
            return port
    pytest.fail("found no two free ports")


async def answers(redis: Redis) -> bool:
    try:
        return bool(await redis.ping())
    except (OSError, RedisError):
        return False


async def diagnose(*urls: str, **options: Any) -> Diagnosis:
    diagnosis = judge(await gather(urls, timeout_s=options.pop("timeout_s", 5.0), **options))
    assert SECRET not in repr(diagnosis)
    return diagnosis


async def contents(redis: Redis) -> dict[bytes, bytes | None]:
    return {key: await redis.dump(key) for key in await redis.keys("*")}


async def test_a_local_cluster_is_fit_and_asking_writes_nothing() -> None:
    async with gryadka.local_cluster(3, server=real_server()) as cluster:
        await cluster.proposer().change("greeting", lambda _: "hello")
        async with Redis.from_url(cluster.urls[0]) as redis:
            before = await contents(redis)
            diagnosis = await diagnose(*cluster.urls)
            assert await contents(redis) == before and len(before) == 2
    assert diagnosis.verdict is Level.FIT
    assert "one of 3 members" in said(diagnosis)
    assert all(server.facts.latency_s for server in diagnosis.servers)
    noted = {f.check for server in diagnosis.servers for f in server.findings if f.level is not Level.FIT}
    assert noted <= {"version"}  # of a server before version 7


async def test_after_a_change_of_members_asking_is_fine_and_proposers_go_on() -> None:
    # The question once came with epoch 2**53, which the script noted: no proposer was served any more.
    async with gryadka.local_cluster(3, server=real_server()) as cluster:
        async with Redis.from_url(cluster.urls[0]) as redis:
            await redis.hset("gryadka:acceptor", "epoch", "7")
            diagnosis = await diagnose(*cluster.urls)
            assert await redis.hget("gryadka:acceptor", "epoch") == b"7"
        assert diagnosis.verdict is Level.FIT, said(diagnosis)
        assert await cluster.proposer().change("greeting", lambda _: "hello") == "hello"


async def test_a_new_server_is_fit_and_stays_new(tmp_path: Path) -> None:
    async with server(tmp_path) as (url, redis):
        diagnosis = await diagnose(url)
        assert diagnosis.verdict is Level.FIT and level_of(diagnosis, "script") is Level.FIT
        assert "is new" in said(diagnosis)
        assert await redis.dbsize() == 0


@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        ({"appendonly": "no"}, "durability", "keeps nothing on its disk"),
        ({"appendonly": "no", "save": "3600 1"}, "durability", "snapshots only"),
        ({"appendfsync": "everysec"}, "durability", "appendfsync everysec"),
        ({"no_appendfsync_on_rewrite": "yes"}, "durability", "no-appendfsync-on-rewrite yes"),
        ({"maxmemory": "100mb", "maxmemory_policy": "allkeys-lru"}, "eviction", "allkeys-lru"),
        ({"maxmemory": "1"}, "writing", "maxmemory"),
        ({"min_replicas_to_write": "1"}, "writing", "too few replicas"),
        ({"cluster_enabled": "yes"}, "mode", "cluster mode"),
    ],
    ids=str,
)
async def test_an_unfit_setting_is_found(tmp_path: Path, changes: dict[str, str], check: str, words: str) -> None:
    async with server(tmp_path, **changes) as (url, _):
        diagnosis = await diagnose(url)
    assert level_of(diagnosis, check) is diagnosis.verdict is Level.UNFIT
    assert words in said(diagnosis)


async def test_what_it_says_to_do_makes_the_server_fit(tmp_path: Path) -> None:
    """The CONFIG SET commands that it prints are the ones that mend it."""
    unfit = {"appendonly": "no", "maxmemory": "100mb", "maxmemory_policy": "allkeys-lru"}
    async with server(tmp_path, appendfsync="everysec", **unfit) as (url, redis):
        diagnosis = await diagnose(url)
        commands = re.findall(r"CONFIG SET ([a-z-]+) ([a-z]+)", said(diagnosis))
        assert {name for name, _ in commands} == {"appendonly", "appendfsync", "maxmemory-policy"}
        for name, value in commands:
            await redis.config_set(name, value)
        assert (await diagnose(url)).verdict is Level.FIT


async def test_a_server_without_password_on_loopback_is_noted(tmp_path: Path) -> None:
    async with server(tmp_path, requirepass='""') as (url, _):
        diagnosis = await diagnose(url)
    assert level_of(diagnosis, "password") is Level.NOTE
    facts = diagnosis.servers[0].facts
    assert (facts.bind, facts.protected_mode, facts.local) == ("127.0.0.1", True, True)
    assert diagnosis.verdict is Level.FIT


@pytest.mark.slow
async def test_a_replica_is_unfit_and_its_master_is_noted(tmp_path: Path) -> None:
    for name in ("master", "replica"):
        (tmp_path / name).mkdir()
    async with server(tmp_path / "master", repl_diskless_sync_delay="0") as (master, redis):
        await redis.hset("gryadka:acceptor", mapping={"identity": "i", "members": '["i"]'})
        replicaof = {"replicaof": f"127.0.0.1 {urlsplit(master).port}", "masterauth": SECRET}
        async with server(tmp_path / "replica", **replicaof) as (replica, follower):
            for _ in range(500):
                if await follower.exists("gryadka:acceptor"):
                    break
                await asyncio.sleep(0.02)
            diagnosis = await diagnose(master, replica)
    assert level_of(diagnosis, "role", 0) is Level.NOTE
    assert level_of(diagnosis, "role", 1) is level_of(diagnosis, "writing", 1) is Level.UNFIT
    assert "name its master" in said(diagnosis) and "one is a copy of the other" in said(diagnosis)


NEEDED = "~gryadka:* +hmget +hset +hsetnx +evalsha +script|load"


async def acl_user(redis: Redis, url: str, rights: str) -> str:
    await redis.execute_command("ACL", "SETUSER", "bob", "reset", "on", f">{SECRET}2", *rights.split())
    return url.replace(f":{SECRET}@", f"bob:{SECRET}2@")


async def test_what_a_user_may_not_ask_is_unknown(tmp_path: Path) -> None:
    async with server(tmp_path) as (url, redis):
        diagnosis = await diagnose(await acl_user(redis, url, NEEDED))
        unknown = {f.check for f in diagnosis.servers[0].findings if f.level is Level.UNKNOWN}
        assert unknown == {"version", "mode", "role", "durability", "eviction"}
        assert diagnosis.verdict is Level.UNKNOWN
        assert "ACL SETUSER bob +info" in said(diagnosis) and "(INFO: " in said(diagnosis)
        assert diagnosis.servers[0].facts.appendonly is None

        diagnosis = await diagnose(await acl_user(redis, url, NEEDED), namespace="other")
        assert "~other:* +hmget" in said(diagnosis) and diagnosis.verdict is Level.UNFIT

        diagnosis = await diagnose(await acl_user(redis, url, NEEDED + " +info"))
        unknown = {f.check for f in diagnosis.servers[0].findings if f.level is Level.UNKNOWN}
        assert unknown == {"durability"} and diagnosis.verdict is Level.UNKNOWN

        diagnosis = await diagnose(await acl_user(redis, url, NEEDED + " +info +config|get"))
        assert diagnosis.verdict is Level.FIT


async def test_the_rights_it_names_are_enough_for_an_acceptor(tmp_path: Path) -> None:
    async with server(tmp_path) as (url, redis):
        url = await acl_user(redis, url, NEEDED)
        proposer = Proposer.from_urls([url])
        assert await proposer.change("key", lambda _: 1) == 1
        await proposer.close()


@pytest.mark.parametrize("right", NEEDED.split())
async def test_each_right_that_an_acceptor_lacks_is_found(tmp_path: Path, right: str) -> None:
    async with server(tmp_path) as (url, redis):
        await redis.hset("gryadka:acceptor", mapping={"identity": "i", "members": '["i"]'})
        rights = " ".join(other for other in NEEDED.split() if other != right)
        diagnosis = await diagnose(await acl_user(redis, url, rights + " +info +config|get"))
    if right == "+hsetnx":
        assert diagnosis.verdict is Level.FIT  # it has its identity already, and needs it no more
    else:
        assert diagnosis.verdict is Level.UNFIT and NEEDED in said(diagnosis)


async def test_a_wrong_password_a_missing_one_and_a_dead_server_are_unfit(tmp_path: Path) -> None:
    async with server(tmp_path) as (url, _):
        urls = [url.replace(SECRET, "wrong"), url.replace(f":{SECRET}@", "")]
        for facts in await gather(urls, timeout_s=5.0):
            assert "refused the password" in facts.fault and "wrong" not in repr(facts)
            assert judge([facts]).verdict is Level.UNFIT
    (facts,) = await gather([url])
    assert "cannot be reached" in facts.fault
    assert SECRET not in repr(facts)


@pytest.mark.parametrize("requirepass", [SECRET, '""'])  # without one, connecting asks nothing
async def test_a_frozen_server_is_unfit_within_bounded_time(tmp_path: Path, requirepass: str) -> None:
    async with server(tmp_path, requirepass=requirepass) as (url, redis):
        pid = (await redis.info("server"))["process_id"]
        os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(30):
                (facts,) = await gather([url], timeout_s=0.2)
        finally:
            os.kill(pid, signal.SIGCONT)
    assert "did not answer in time" in facts.fault


async def test_lost_data_two_clusters_and_one_server_twice_are_found() -> None:
    clusters = [gryadka.local_cluster(2, server=real_server()) for _ in range(2)]
    async with clusters[0] as cluster, clusters[1] as other:
        here, there = cluster.urls
        diagnosis = await diagnose(here, other.urls[0])
        assert "not of the cluster" in said(diagnosis) and diagnosis.verdict is Level.UNFIT
        diagnosis = await diagnose(here, here.replace("127.0.0.1", "localhost"))
        assert "one and the same server" in said(diagnosis) and diagnosis.verdict is Level.UNFIT
        async with Redis.from_url(there) as redis:
            await redis.flushall()
        diagnosis = await diagnose(here, there)
        assert "its data was lost" in said(diagnosis) and diagnosis.verdict is Level.UNFIT


@pytest.mark.parametrize("members", [None, "not a list", "{}", '["i"]'])
async def test_a_name_that_is_taken_is_found(tmp_path: Path, members: str | None) -> None:
    async with server(tmp_path) as (url, redis):
        if members is None:
            await redis.set("gryadka:acceptor", "mine")
        else:
            await redis.hset("gryadka:acceptor", mapping={"identity": b"\xff", "members": members})
        diagnosis = await diagnose(url)
        assert level_of(diagnosis, "identity") is Level.UNFIT
        assert level_of(await diagnose(url, namespace="other"), "identity") is Level.FIT


@pytest.mark.parametrize(
    "url",
    ["redis://:se/cret@host:1", "redis://:p#cret@host:1", "nothing", "redis://h:1/0?cret=1", "redis://[cret"],
)
async def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="URL number 2 cannot be read") as caught:
        await gather(["redis://127.0.0.1:1", url])
    assert "cret" not in str(caught.value) and caught.value.__cause__ is None


async def test_a_namespace_that_no_cluster_can_have_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="namespace"):
        await gather([], namespace="a:b")
