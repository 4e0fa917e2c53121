"""One connection on which commands follow each other without waiting: their replies return in order.

`redis` opens the connection: URLs, passwords and TLS are its work. From then on the wire reads it by itself,
because a reply that wakes no reader's task first makes a change a fifth faster.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Self

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import InvalidResponse, RedisError, ResponseError

from gryadka.acceptors.advice import explain


class Wire(asyncio.Protocol):
    """A connection to the acceptor called `name`, and who waits for its replies.

    It fails as a whole: after any error `open` is False for good, and a new wire begins from a known state.
    """

    def __init__(self, name: str, connection: AbstractConnection, timeout_s: float) -> None:
        self.open = True
        self._name = name
        self._connection = connection
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()  # until when, and who
        self._alarm: asyncio.TimerHandle | None = None  # one for all of them, set for the first
        self._parser = hiredis.Reader(protocolError=InvalidResponse, replyError=ResponseError)
        self._transport: asyncio.Transport = connection._writer.transport  # type: ignore[union-attr, assignment]
        self._transport.set_protocol(self)

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
        reply: asyncio.Future[Any] = self._loop.create_future()
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub allows one word only
        if self.open:
            self._waiting.append((self._loop.time() + self._timeout_s, reply))
            self._alarm = self._alarm or self._loop.call_later(self._timeout_s, self._watch)
            self._transport.write(packed)
        else:
            reply.set_exception(ConnectionError("the connection was closed"))
        try:
            return await reply
        except (RedisError, OSError) as error:
            await self.close()
            raise explain(self._name, error) from error

    async def close(self) -> None:
        """Let go of the connection. Whoever still waits is told that it failed."""
        self._fail(ConnectionError("the connection was closed"))

    def answered(self, answer: Any) -> None:
        """Give the next reply, or the error that the server answered, to whoever waits for it."""
        if not self._waiting:
            return self._fail(ConnectionError("the server said what nobody had asked"))
        _, reply = self._waiting.popleft()
        if isinstance(answer, Exception) and not reply.done():
            reply.set_exception(answer)
        elif not reply.done():
            reply.set_result(answer)

    # -- what the transport calls --------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take in what the server sent."""
        self._parser.feed(data)
        try:
            while (answer := self._parser.gets()) is not False:
                self.answered(answer)
        except RedisError as error:  # what it sent is no reply
            self._fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        """The server, or the way to it, is gone."""
        self._fail(error or ConnectionError("the server closed the connection"))

    # -- small print ---------------------------------------------------------------------------------

    def _watch(self) -> None:
        self._alarm = None
        if self._waiting and (until_s := self._waiting[0][0]) > self._loop.time():
            self._alarm = self._loop.call_at(until_s, self._watch)
        elif self._waiting:
            self._fail(TimeoutError(f"no reply within {self._timeout_s:g} s"))

    def _fail(self, error: Exception) -> None:
        self.open = False
        self._transport.abort()
        self._connection._close()  # type: ignore[no-untyped-call]
        if self._alarm:
            self._alarm.cancel()
        while self._waiting:
            _, reply = self._waiting.popleft()
            if not reply.done():
                reply.set_exception(error)
