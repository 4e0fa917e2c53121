"""Whether the acceptors answer: asked when somebody wants to know, and never for longer than a moment."""

from __future__ import annotations

import asyncio

from gryadka.acceptors import Acceptor, state_of
from gryadka.errors import GryadkaError
from gryadka.http.inside import look
from gryadka.proposer import Proposer

WAIT_S = 1.0


class Health:
    """Asks a proposer's acceptors for a register's state, which changes nothing there.

    A question is never cut short, since a connection may be half made then: it goes on while its acceptor is
    said not to answer in time, and whoever asks next waits for the same one.
    """

    def __init__(self, proposer: Proposer) -> None:
        self._proposer = proposer
        self._questions: dict[str, asyncio.Task[str | None]] = {}

    async def faults(self) -> dict[str, str | None]:
        """Return each acceptor's fault, None if it answers.

        If no quorum does, the members may have changed while the proposer had nothing to do: then it looks, and
        those that are members now are asked.
        """
        before = self._proposer.acceptors
        faults = await self._asked()
        answering = [name for name, fault in faults.items() if fault is None]
        configuration = self._proposer.configuration
        if configuration.prepare.met_by(answering) and configuration.accept.met_by(answering):
            return faults
        await look(self._proposer)
        return faults if self._proposer.acceptors is before else await self._asked()

    async def _asked(self) -> dict[str, str | None]:
        acceptors = self._proposer.acceptors  # others than last time, if members have changed
        for name, acceptor in acceptors.items():
            if name not in self._questions:
                self._questions[name] = asyncio.create_task(_fault(acceptor))
        asked = {name: self._questions[name] for name in acceptors}
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
        await state_of(acceptor, "")
    except GryadkaError as error:
        return str(error)
    return None
