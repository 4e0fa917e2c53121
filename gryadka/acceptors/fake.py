"""fakeredis in this process, in the place of a server: for fast tests, and where no server can be found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from gryadka.acceptors.wire import Wire


class FakeServer:
    """The same script and answers as a server's, but no disk, no password, no network."""

    url: str | None = None

    def __init__(self) -> None:
        from fakeredis import FakeServer as Store
        from fakeredis.aioredis import FakeAsyncRedisConnection

        self._store = Store()
        self._store.connected = False
        self._running = asyncio.Event()
        running = self._running

        class Connection(FakeAsyncRedisConnection):
            async def _connect(self) -> None:
                await super()._connect()
                self._writer.transport = _Transport(self, running)  # type: ignore[union-attr]

        self.connect: Callable[[], AbstractConnection] = lambda: Connection(server=self._store, protocol=2)

    async def start(self) -> None:
        """Answer again, with all that was stored."""
        self._store.connected = True
        self._running.set()

    async def kill(self) -> None:
        """Refuse connections until the next start."""
        self._store.connected = False
        self._running.set()

    async def pause(self) -> None:
        """Answer nothing until `resume`."""
        self._running.clear()

    async def resume(self) -> None:
        """Answer again."""
        self._running.set()


class _Transport:
    # What a wire needs of an asyncio transport; fakeredis has none, and gives its replies parsed.

    def __init__(self, connection: Any, running: asyncio.Event) -> None:
        self._connection = connection
        self._running = running
        self._commands: asyncio.Queue[bytes] = asyncio.Queue()

    def set_protocol(self, wire: Wire) -> None:
        self._task = asyncio.create_task(self._serve(wire))

    def write(self, command: bytes) -> None:
        self._commands.put_nowait(command)

    def abort(self) -> None:
        if self._task is not asyncio.current_task():
            self._task.cancel()

    async def _serve(self, wire: Wire) -> None:
        try:
            while wire.open:
                command = await self._commands.get()
                await self._running.wait()
                await self._connection.send_packed_command(command, check_health=False)
                try:
                    wire.answered(await self._connection.read_response())
                except ResponseError as refused:
                    wire.answered(refused)
        except (RedisError, OSError) as error:
            wire.connection_lost(error)
