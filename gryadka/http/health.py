"""Whether the acceptors answer: asked when somebody wants to know, and never for longer than a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gryadka.acceptors import Acceptor
from gryadka.errors import GryadkaError

WAIT_S = 1.0


class Health:
    """Asks the acceptors for a register's state, which changes nothing there.

    A question is never cut short, since a connection may be half made then: it goes on while its acceptor is
    said not to answer in time, and whoever asks next waits for the same one.
    """

    def __init__(self, acceptors: Mapping[str, Acceptor]) -> None:
        self._acceptors = acceptors
        self._questions: dict[str, asyncio.Task[str | None]] = {}

    async def faults(self) -> dict[str, str | None]:
        """Return each acceptor's fault, None if it answers."""
        for name, acceptor in self._acceptors.items():
            if name not in self._questions:
                self._questions[name] = asyncio.create_task(_fault(acceptor))
        asked = {name: self._questions[name] for name in self._acceptors}
        await asyncio.wait(asked.values(), timeout=WAIT_S)
        for name, question in asked.items():
            if question.done() and self._questions.get(name) is question:
                del self._questions[name]
        return {name: task.result() if task.done() else "did not answer in time" for name, task in asked.items()}

    async def close(self) -> None:
        """Wait for the questions under way. The acceptors bound their time."""
        await asyncio.gather(*self._questions.values())


async def _fault(acceptor: Acceptor) -> str | None:
    try:
        await acceptor.read("")
    except GryadkaError as error:
        return str(error)
    return None
