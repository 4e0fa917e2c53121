"""What makes a server unfit to be an acceptor: judged on facts, then found on real servers."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import RedisError

import gryadka
from gryadka import ConfigurationError, Proposer
from gryadka.acceptors import guard
from gryadka.acceptors.servers import FAKE, _free_port, find_server
from gryadka.doctor import Diagnosis, Facts, Level, gather, judge

SECRET = "not-to-be-shown"

SOUND = Facts(
    name="127.0.0.1:6379",
    latency_s=0.001,
    program="Redis 7.2.4",
    version="7.2.4",
    mode="standalone",
    role="master",
    replicas=0,
    run_id="a",
    appendonly=True,
    appendfsync="always",
    no_appendfsync_on_rewrite=False,
    save="",
    maxmemory=0,
    maxmemory_policy="noeviction",
    bind="127.0.0.1 -::1",
    protected_mode=True,
    strangers_may_write=False,
    identity="i",
    members=("i",),
)
OPEN: dict[str, Any] = {"strangers_may_write": True}


def three(**of_each: Any) -> list[Facts]:
    names = "abc"
    return [
        replace(SOUND, **{"name": name, "run_id": name, "identity": name, "members": tuple(names), **of_each})
        for name in names
    ]


def level_of(diagnosis: Diagnosis, check: str, number: int = 0) -> Level:
    (finding,) = (finding for finding in diagnosis.servers[number].findings if finding.check == check)
    return finding.level


def said(diagnosis: Diagnosis) -> str:
    findings = [finding for server in diagnosis.servers for finding in server.findings]
    return "\n".join(f"{finding.words} | {finding.change}" for finding in [*findings, *diagnosis.together])


# -- the judgement, on facts ------------------------------------------------------------------------------


def test_three_sound_servers_are_fit_in_every_respect() -> None:
    diagnosis = judge(three())
    assert diagnosis.verdict is Level.FIT
    levels = {finding.level for server in diagnosis.servers for finding in server.findings}
    assert levels | {finding.level for finding in diagnosis.together} == {Level.FIT}
    assert "any 1 may be down" in said(diagnosis)


EACH = [
    ("durability", {"appendonly": False}, Level.UNFIT, "CONFIG SET appendonly yes"),
    ("durability", {"appendonly": False, "save": ""}, Level.UNFIT, "keeps nothing on its disk"),
    ("durability", {"appendonly": False, "save": "3600 1"}, Level.UNFIT, "snapshots only"),
    ("durability", {"appendonly": False, "save": None}, Level.UNFIT, "no append-only file"),
    ("durability", {"appendfsync": "everysec"}, Level.UNFIT, "`appendfsync always` in redis.conf"),
    ("durability", {"appendfsync": "no", "appendonly": None}, Level.UNFIT, "appendfsync no"),
    ("durability", {"no_appendfsync_on_rewrite": True}, Level.UNFIT, "no-appendfsync-on-rewrite no"),
    ("durability", {"appendonly": None}, Level.UNKNOWN, "does not tell"),
    ("durability", {"appendfsync": None}, Level.UNKNOWN, "appendfsync"),
    ("durability", {"no_appendfsync_on_rewrite": None}, Level.UNKNOWN, "does not tell"),
    ("eviction", {"maxmemory_policy": "allkeys-lru", "maxmemory": 1}, Level.UNFIT, "maxmemory-policy noeviction"),
    ("eviction", {"maxmemory_policy": "allkeys-lru", "maxmemory": 0}, Level.NOTE, "no maxmemory so far"),
    ("eviction", {"maxmemory_policy": "allkeys-lru", "maxmemory": None}, Level.UNKNOWN, "from which size"),
    ("eviction", {"maxmemory_policy": "volatile-ttl", "maxmemory": 1}, Level.FIT, "registers never do"),
    ("eviction", {"maxmemory_policy": "noeviction", "maxmemory": 1}, Level.FIT, "refuses writes"),
    ("eviction", {"maxmemory_policy": None}, Level.UNKNOWN, "does not tell"),
    ("role", {"role": "slave"}, Level.UNFIT, "name its master"),
    ("role", {"role": "active-replica"}, Level.UNFIT, "active-replica"),
    ("role", {"role": None}, Level.UNKNOWN, "does not tell"),
    ("role", {"replicas": 2}, Level.NOTE, "never promote"),
    ("role", {"replicas": None}, Level.NOTE, "perhaps replicas"),
    ("mode", {"mode": "cluster"}, Level.UNFIT, "cluster-enabled no"),
    ("mode", {"mode": "sentinel"}, Level.UNFIT, "not a store"),
    ("mode", {"mode": None}, Level.UNKNOWN, "does not tell"),
    ("version", {"version": "3.2.12"}, Level.UNFIT, "install Redis 7"),
    ("version", {"version": "4.0.0"}, Level.NOTE, "gaps"),
    ("version", {"version": "6.2.14"}, Level.NOTE, "install Redis 7"),
    ("version", {"version": "10.0.1"}, Level.FIT, ""),
    ("version", {"version": "unstable"}, Level.UNKNOWN, "does not tell"),
    ("version", {"version": None}, Level.UNKNOWN, "does not tell"),
    ("password", {"strangers_may_write": None}, Level.UNKNOWN, "does not tell"),
    ("password", OPEN, Level.NOTE, "this computer only"),
    ("password", OPEN | {"bind": "0.0.0.0", "protected_mode": False}, Level.UNFIT, "requirepass"),
    ("password", OPEN | {"bind": "127.0.0.1 10.0.0.5", "protected_mode": False}, Level.UNFIT, "anyone"),
    ("password", OPEN | {"bind": "", "protected_mode": False}, Level.UNFIT, "anyone"),
    ("password", OPEN | {"bind": "* -::*", "protected_mode": True}, Level.NOTE, "every program here"),
    ("password", OPEN | {"bind": "10.0.0.5", "protected_mode": True, "version": "6.2.0"}, Level.UNFIT, "anyone"),
    ("password", OPEN | {"bind": "", "protected_mode": True, "version": "6.2.0"}, Level.NOTE, "this computer"),
    ("password", OPEN | {"bind": "10.0.0.5", "protected_mode": None}, Level.UNKNOWN, "who can reach it"),
    ("password", OPEN | {"bind": None, "protected_mode": False}, Level.UNKNOWN, "who can reach it"),
    ("password", OPEN | {"local": False}, Level.UNFIT, "anyone who reaches it"),
    ("script", {"script_fault": "does not let this user run the script"}, Level.UNFIT, "~gryadka:* +hget +hmget"),
    ("writing", {"write_fault": "is full"}, Level.UNFIT, "is full"),
    ("identity", {"identity": None, "members": ()}, Level.FIT, "is new"),
    ("identity", {"members": ()}, Level.FIT, "not finished"),
    ("identity", {"identity": None}, Level.UNFIT, "lost its own identity"),
    ("identity", {"identity": "other"}, Level.UNFIT, "not a member"),
    ("identity", {"identity_fault": "holds something else"}, Level.UNFIT, "holds something else"),
    ("reach", {"latency_s": 0.9}, Level.NOTE, "900 ms"),
    ("reach", {"latency_s": None}, Level.UNKNOWN, "not timed"),
    ("reach", {"fault": "cannot be reached"}, Level.UNFIT, "cannot be reached"),
]


@pytest.mark.parametrize(("check", "facts", "level", "words"), EACH, ids=str)
def test_each_fact_has_its_verdict(check: str, facts: dict[str, Any], level: Level, words: str) -> None:
    diagnosis = judge([replace(SOUND, **facts)])
    assert level_of(diagnosis, check) is level
    assert words in said(diagnosis)
    expected = Level.FIT if level is Level.NOTE else level
    assert diagnosis.verdict is diagnosis.servers[0].verdict is expected


TOGETHER = [
    ("twice", {"run_id": "a"}, Level.UNFIT, "vote twice"),
    ("twice", {"identity": "a", "members": ("a", "b", "c")}, Level.UNFIT, "copy"),
    ("cluster", {"members": ("b", "x", "y")}, Level.UNFIT, "not of the cluster that a belongs to"),
    ("cluster", {"members": (), "identity": "x"}, Level.UNFIT, "not of the cluster"),
    ("cluster", {"members": (), "identity": None}, Level.UNFIT, "data was lost"),
]


@pytest.mark.parametrize(("check", "facts", "level", "words"), TOGETHER, ids=str)
def test_servers_that_are_no_cluster_are_found_out(check: str, facts: dict[str, Any], level: Level, words: str) -> None:
    one, other, third = three()
    diagnosis = judge([one, replace(other, **facts), third])
    (finding,) = (finding for finding in diagnosis.together if finding.check == check)
    assert finding.level is level and words in finding.words + finding.change
    assert diagnosis.verdict is level


@pytest.mark.parametrize(
    ("count", "level", "words"),
    [
        (1, Level.NOTE, "1 acceptor: none may"),
        (2, Level.NOTE, "2 acceptors: none may"),
        (3, Level.FIT, "any 1"),
        (4, Level.NOTE, "any 1"),
        (5, Level.FIT, "any 2"),
    ],
)
def test_how_many_may_be_down(count: int, level: Level, words: str) -> None:
    blank = {"identity": None, "members": ()}
    servers = [replace(SOUND, name=str(n), run_id=str(n), **blank) for n in range(count)]  # type: ignore[arg-type]
    diagnosis = judge(servers)
    (finding,) = diagnosis.together
    assert finding.level is level and words in finding.words
    assert diagnosis.verdict is Level.FIT
    # One that cannot be reached is still one of them.
    diagnosis = judge([*servers[:-1], Facts(name="down", fault="cannot be reached")])
    assert diagnosis.together[-1].words == finding.words and diagnosis.verdict is Level.UNFIT


def test_a_start_that_was_cut_short_is_fit() -> None:
    one, other, third = three()
    assert judge([one, replace(other, members=()), third]).verdict is Level.FIT
    assert judge(three(members=())).verdict is Level.FIT


def test_a_server_that_is_down_is_not_said_to_have_lost_its_data() -> None:
    one, other, _ = three()
    diagnosis = judge([one, other, Facts(name="c", fault="cannot be reached")])
    assert [finding.check for finding in diagnosis.together] == ["number"]


def test_part_of_a_cluster_may_be_examined_by_itself() -> None:
    diagnosis = judge(three()[:1])
    assert diagnosis.verdict is Level.FIT and "of a cluster of 3" in said(diagnosis)


def maybe(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([*values, None])


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "local": st.booleans(),
    "fault": st.sampled_from(["", "", "", "is gone"]),
    "latency_s": maybe(0.001, 2.0),
    "version": maybe("7.2.4", "6.0.0", "3.0.0"),
    "mode": maybe("standalone", "cluster"),
    "role": maybe("master", "slave"),
    "replicas": maybe(0, 1),
    "run_id": maybe("x", "y", "z"),
    "appendonly": maybe(True, False),
    "appendfsync": maybe("always", "everysec"),
    "no_appendfsync_on_rewrite": maybe(True, False),
    "save": maybe("", "3600 1"),
    "maxmemory": maybe(0, 1),
    "maxmemory_policy": maybe("noeviction", "allkeys-lru", "volatile-lru"),
    "bind": maybe("127.0.0.1", "0.0.0.0"),
    "protected_mode": maybe(True, False),
    "strangers_may_write": maybe(True, False),
    "identity": maybe("i", "j"),
    "members": st.sampled_from([(), ("i",), ("i", "j", "k")]),
    "script_fault": st.sampled_from(["", "", "fails"]),
    "write_fault": st.sampled_from(["", "", "is full"]),
}
TOLD = [name for name, value in vars(Facts(name="")).items() if value is None and name in FIELDS and name != "identity"]
ANY_FACTS = st.fixed_dictionaries(FIELDS).map(lambda drawn: Facts(name="a", **drawn))
NEARLY_SOUND = (
    st.sets(st.sampled_from(sorted(FIELDS)), max_size=3)
    .flatmap(lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in sorted(names)}))
    .map(lambda drawn: replace(SOUND, **drawn))
)


@settings(max_examples=300)
@given(st.one_of(ANY_FACTS, NEARLY_SOUND))
def test_fit_means_that_everything_needed_is_known_and_sound(facts: Facts) -> None:
    sound = (
        not (facts.fault or facts.script_fault or facts.write_fault)
        and facts.latency_s is not None
        and facts.version in ("7.2.4", "6.0.0")
        and facts.mode == "standalone"
        and facts.role == "master"
        and (facts.appendonly, facts.appendfsync, facts.no_appendfsync_on_rewrite) == (True, "always", False)
        and (
            facts.maxmemory_policy in ("noeviction", "volatile-lru")
            or (facts.maxmemory_policy == "allkeys-lru" and facts.maxmemory == 0)
        )
        and (
            facts.strangers_may_write is False
            or (
                facts.strangers_may_write is True
                and facts.local
                and (
                    facts.bind in ("127.0.0.1", SOUND.bind)
                    or (facts.protected_mode is True and facts.version == "7.2.4")
                )
            )
        )
        and (facts.identity in facts.members or not facts.members)
    )
    assert (judge([facts]).verdict is Level.FIT) == sound


@given(st.one_of(ANY_FACTS, NEARLY_SOUND), st.sampled_from(TOLD))
def test_what_is_not_told_never_makes_a_server_fit(facts: Facts, name: str) -> None:
    before, after = judge([facts]), judge([replace(facts, **{name: None})])
    assert before.verdict is Level.FIT or after.verdict is not Level.FIT


@given(st.lists(NEARLY_SOUND, min_size=1, max_size=4), st.randoms())
def test_the_order_of_the_servers_does_not_matter(servers: list[Facts], chance: random.Random) -> None:
    shuffled = chance.sample(servers, len(servers))
    assert judge(servers).verdict is judge(shuffled).verdict


@given(ANY_FACTS)
def test_whatever_is_not_fit_says_what_to_do(facts: Facts) -> None:
    told_by_server = {"fails", "is full", "is gone"}
    for finding in judge([facts]).servers[0].findings:
        if finding.level is not Level.FIT and finding.words not in told_by_server and finding.check != "reach":
            assert finding.change


# -- on real servers -------------------------------------------------------------------------------------


@asynccontextmanager
async def server(directory: Path, **changes: str) -> AsyncIterator[tuple[str, Redis]]:
    """A server that is sound but for `changes`, empty and without identity; ended with the test's process."""
    program = find_server()
    if program == FAKE:
        pytest.skip("needs a real server")
    port = _free_port() if "cluster_enabled" not in changes else free_port_of_a_cluster()
    sound = {"bind": "127.0.0.1", "requirepass": SECRET, "save": '""', "appendonly": "yes", "appendfsync": "always"}
    sound |= {"port": str(port), "dir": str(directory), "logfile": "server.log"} | changes
    conf = directory / "server.conf"
    conf.write_text("".join(f"{name.replace('_', '-')} {value}\n" for name, value in sound.items()))
    process = subprocess.Popen(
        [sys.executable, guard.__file__, program, conf], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
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


async def changes_so_far(redis: Redis) -> int:
    return int((await redis.info("persistence"))["rdb_changes_since_last_save"])


async def test_a_local_cluster_is_fit_and_asking_writes_nothing() -> None:
    async with gryadka.local_cluster(3, urls=[], server=find_server()) as cluster:
        await cluster.proposer().change("greeting", lambda _: "hello")
        async with Redis.from_url(cluster.urls[0]) as redis:
            before, changes = await contents(redis), await changes_so_far(redis)
            diagnosis = await diagnose(*cluster.urls)
            assert await contents(redis) == before and len(before) == 2
            assert await changes_so_far(redis) == changes > 0
    assert diagnosis.verdict is Level.FIT
    assert "one of 3 members" in said(diagnosis)
    assert all(server.facts.latency_s for server in diagnosis.servers)
    assert {finding.level for server in diagnosis.servers for finding in server.findings} == {Level.FIT}


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


NEEDED = "~gryadka:* +hget +hmget +hset +hsetnx +evalsha +script|load"


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
        assert "~other:* +hget" in said(diagnosis) and diagnosis.verdict is Level.UNFIT

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
    clusters = [gryadka.local_cluster(2, urls=[], server=find_server()) for _ in range(2)]
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


@pytest.mark.parametrize("members", [None, "not a list", "{}"])
async def test_a_name_that_is_taken_is_found(tmp_path: Path, members: str | None) -> None:
    async with server(tmp_path) as (url, redis):
        if members is None:
            await redis.set("gryadka:acceptor", "mine")
        else:
            await redis.hset("gryadka:acceptor", mapping={"identity": "i", "members": members})
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
