"""The wire: replies find who waits for them, however they are cut into packets; after any fault it is no more used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio.connection import Connection

from gryadka import AcceptorError
from gryadka.acceptors.wire import Wire

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PING = b"*1\r\n$4\r\nPING\r\n"


@asynccontextmanager
async def a_wire(serve: Serve, timeout_s: float = 1.0) -> AsyncIterator[Wire]:
    """Connect to a server that answers as `serve` does, once it was greeted."""

    ended = asyncio.Event()

    async def greeted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        writer.close()
        ended.set()

    server = await asyncio.start_server(greeted, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = Connection(host="127.0.0.1", port=port, driver_info=None, protocol=2, socket_timeout=None)
    wire = await Wire.over("A", connection, timeout_s)
    try:
        yield wire
    finally:
        await wire.close()
        await ended.wait()
        server.close()
        await server.wait_closed()


async def test_replies_find_their_commands_however_they_are_cut_into_packets() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3 * len(PING))
        for part in (b"+on", b"e\r\n:2", b"\r\n*1\r\n$5\r\nthree\r\n"):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)

    async with a_wire(serve) as wire:
        replies = await asyncio.gather(*(wire.call("PING") for _ in range(3)))
    assert replies == [b"one", 2, [b"three"]]


async def test_what_the_server_refuses_is_explained_and_ends_the_wire() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2 * len(PING))
        writer.write(b"-OOM command not allowed\r\n+late\r\n")
        await reader.read()

    async with a_wire(serve) as wire:
        first, second = await asyncio.gather(wire.call("PING"), wire.call("PING"), return_exceptions=True)
        assert isinstance(first, AcceptorError) and "maxmemory" in first.reason
        assert second == b"late"
        assert not wire.open
        with pytest.raises(AcceptorError, match="cannot be reached"):
            await wire.call("PING")


async def test_a_silent_server_is_given_up_by_the_oldest_command_and_its_wire_ends() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(PING))
        writer.write(b"+first\r\n")
        await reader.read()

    async with a_wire(serve, timeout_s=0.1) as wire:
        assert await wire.call("PING") == b"first"
        await asyncio.sleep(0.07)  # the watch is set for the first command, and has to be moved on
        with pytest.raises(AcceptorError, match="did not answer in time"):
            await asyncio.wait_for(wire.call("PING"), 5)
        assert not wire.open


async def test_what_a_server_does_not_read_is_not_kept_for_it() -> None:
    released = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()

    async with a_wire(serve, timeout_s=0.1) as wire:
        with pytest.raises(AcceptorError, match="did not answer in time"):
            await wire.call("SET", "k", b"x" * 50_000_000)
        assert wire._transport.get_write_buffer_size() == 0
        released.set()


async def test_a_connection_that_the_server_closes_ends_the_wire_at_once_for_who_waits_and_who_comes_later() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(PING))

    async with a_wire(serve) as wire:
        for _ in range(2):
            with pytest.raises(AcceptorError, match="cannot be reached"):
                await asyncio.wait_for(wire.call("PING"), 0.5)
        # Who waits is told once: each call that failed told all of them again, which took seconds under load.
        assert not wire._waiting and not wire._connection.is_connected


@pytest.mark.parametrize("nonsense", [b"+nobody asked\r\n", b"HTTP/1.1 400 Bad Request\r\n"])
async def test_a_server_that_speaks_out_of_turn_is_not_listened_to(nonsense: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(PING))
        writer.write(b"+first\r\n" + nonsense)
        await reader.read()

    async with a_wire(serve) as wire:
        await wire.call("PING")
        await asyncio.sleep(0.05)
        assert not wire.open


async def test_who_no_longer_waits_takes_nobody_elses_reply() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2 * len(PING))
        writer.write(b"+first\r\n+second\r\n")
        await reader.read()

    async with a_wire(serve) as wire:
        leaves, stays = asyncio.create_task(wire.call("PING")), asyncio.create_task(wire.call("PING"))
        await asyncio.sleep(0)
        leaves.cancel()
        assert await stays == b"second"
        assert wire.open
