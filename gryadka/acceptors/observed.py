"""Observers are told of what happens and can disturb nothing. An acceptor tells each state that its answers reveal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gryadka.acceptors import Acceptor, Request
from gryadka.errors import AcceptorError
from gryadka.protocol.acceptor import Reply
from gryadka.trace import Event, Observe, state_after


def tell(observe: Observe, event: Event) -> None:
    """Call `observe`. What it raises is its own fault: the event loop reports it, and the protocol goes on."""
    try:
        observe(event)
    except Exception as error:
        words = f"an observer failed at the event {event.kind!r}"
        asyncio.get_running_loop().call_exception_handler({"message": words, "exception": error})


class Observed:
    """Passes everything on to `acceptor`, and tells `observe` of each state that a yes leaves behind."""

    def __init__(self, name: str, acceptor: Acceptor, observe: Observe) -> None:
        self.name = name
        self._acceptor = acceptor
        self._observe = observe

    async def send(self, requests: Sequence[Request]) -> Sequence[Reply | AcceptorError]:
        """Answer each request, in order."""
        replies = await self._acceptor.send(requests)
        at_s = asyncio.get_running_loop().time()
        for (key, message), reply in zip(requests, replies, strict=True):
            if state := state_after(message, reply):
                tell(self._observe, Event("state", at_s, self.name, key=key, message=message, state=state))
        return replies

    async def close(self) -> None:
        """Close the acceptor."""
        await self._acceptor.close()
