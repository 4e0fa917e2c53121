"""An acceptor that keeps its registers in this process: for tests, for lessons, and for your own rules.

acceptor = MemoryAcceptor("A", prepare=my_prepare, accept=my_accept)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gryadka.acceptors import Request
from gryadka.errors import AcceptorError
from gryadka.protocol.acceptor import Accept, Message, Prepare, Read, Reply, State, accept, prepare
from gryadka.protocol.configuration import Configuration

PrepareRule = Callable[[State, Prepare], tuple[State, Reply]]
AcceptRule = Callable[[State, Accept], tuple[State, Reply]]


class MemoryAcceptor:
    """Answers by the rules given. `states` maps each key to its register's state; it may be read freely. A
    register that is not there is in the state `absent`.

    Set `up` to False and it answers nothing, as a dead server would; its registers survive.
    """

    def __init__(self, name: str, *, prepare: PrepareRule = prepare, accept: AcceptRule = accept) -> None:
        self.name = name
        self.states: dict[str, State] = {}
        self.absent = State()
        self.up = True
        self._prepare = prepare
        self._accept = accept

    async def send(self, requests: Sequence[Request]) -> list[Reply | AcceptorError]:
        """Answer each request, in order. Raises `AcceptorError` while `up` is False."""
        if not self.up:
            raise AcceptorError(self.name, "is down")
        return [self.answer(key, message) for key, message in requests]

    def answer(self, key: str, message: Message | Read) -> Reply:
        """Apply one message to the register of `key`, store its new state, and return the reply."""
        state = self.states.get(key, self.absent)
        if isinstance(message, Read):
            return state
        if isinstance(message, Prepare):
            state, reply = self._prepare(state, message)
        else:
            state, reply = self._accept(state, message)
        self.states[key] = state
        return reply

    async def close(self) -> None:
        """Do nothing: there is no connection."""


def memory_acceptors(count: int = 3, **rules: object) -> tuple[Configuration, dict[str, MemoryAcceptor]]:
    """Return `count` acceptors named A, B, C..., by name, and majorities of them. `rules` go to each."""
    names = [chr(ord("A") + number) for number in range(count)]
    acceptors = {name: MemoryAcceptor(name, **rules) for name in names}  # type: ignore[arg-type]
    return Configuration.majority(names), acceptors
