"""Acceptors whose network a test decides, message by message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gryadka.acceptors import Request
from gryadka.acceptors.memory import MemoryAcceptor
from gryadka.errors import AcceptorError
from gryadka.protocol.acceptor import Accept, Message, Read, Reply
from gryadka.protocol.configuration import Configuration

Fate = Callable[["Puppet", str, Message | Read], str]
"""Says what becomes of a message: "deliver", "lose" (never arrives), "lose reply" (arrives, and its reply is
lost), "twice" (arrives twice, and the second reply is the one that is heard)."""


def deliver(acceptor: Puppet, key: str, message: Message | Read) -> str:
    return "deliver"


class Puppet(MemoryAcceptor):
    """A memory acceptor behind a network that obeys `fate`. `heard` lists every message that arrived."""

    def __init__(self, name: str, fate: Fate = deliver) -> None:
        super().__init__(name)
        self.fate = fate
        self.heard: list[Message | Read] = []

    async def send(self, requests: Sequence[Request]) -> list[Reply | AcceptorError]:
        await asyncio.sleep(0)
        return [self._carry(key, message) for key, message in requests]

    def _carry(self, key: str, message: Message | Read) -> Reply | AcceptorError:
        fate = self.fate(self, key, message)
        if fate == "lose":
            return AcceptorError(self.name, "the message was lost")
        self.heard.append(message)
        reply = self.answer(key, message)
        if fate == "twice":
            reply = self.answer(key, message)
        return AcceptorError(self.name, "the reply was lost") if fate == "lose reply" else reply

    @property
    def accepts(self) -> list[Accept]:
        return [message for message in self.heard if isinstance(message, Accept)]


def puppets(fate: Fate = deliver, names: str = "ABC") -> tuple[Configuration, dict[str, Puppet]]:
    return Configuration.majority(names), {name: Puppet(name, fate) for name in names}
