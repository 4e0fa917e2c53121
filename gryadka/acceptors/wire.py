"""One connection on which commands follow each other without waiting: their replies return in order."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Self

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from gryadka.acceptors.advice import explain


class Wire:
    """A connection to the acceptor called `name`, and who waits for its replies.

    It fails as a whole: after any error `open` is False for good, and a new wire begins from a known state.
    """

    def __init__(self, name: str, connection: AbstractConnection, timeout_s: float) -> None:
        self.open = True
        self._name = name
        self._connection = connection
        self._timeout_s = timeout_s
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def over(cls, name: str, connection: AbstractConnection, timeout_s: float) -> Self:
        """Connect, within `timeout_s` seconds, and return the wire. Raises `AcceptorError`."""
        try:
            async with asyncio.timeout(timeout_s):
                await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if isinstance(error, RedisError | OSError):
                raise explain(name, error) from error
            raise
        return cls(name, connection, timeout_s)

    async def call(self, *command: str | bytes | int) -> Any:
        """Send a command and return its reply.

        Raises `AcceptorError` if the server refuses the command, gives no reply within the wire's
        `timeout_s` seconds, or the connection fails; in the latter two it may have been carried out.
        """
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub allows one word only
        self._waiting.append(reply)
        try:
            async with asyncio.timeout(self._timeout_s):
                # Written before this awaits anything: replies are waited for in the order of the commands.
                await self._connection.send_packed_command(packed, check_health=False)
                return await reply
        except (RedisError, OSError) as error:
            await self.close()
            raise explain(self._name, error) from error
        finally:
            reply.cancel()

    async def close(self) -> None:
        """Let go of the connection. Whoever still waits is told that it failed."""
        self._reader.cancel()
        self._fail(ConnectionError("the connection was closed"))
        await self._connection.disconnect(nowait=True)

    async def _read(self) -> None:
        try:
            while True:
                try:
                    answer, refused = await self._connection.read_response(), None
                except ResponseError as error:
                    answer, refused = None, error
                reply = self._waiting.popleft()
                if refused and not reply.done():
                    reply.set_exception(refused)
                elif not reply.done():
                    reply.set_result(answer)
        except (RedisError, OSError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.open = False
        for reply in self._waiting:
            if not reply.done():
                reply.set_exception(error)
