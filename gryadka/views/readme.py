"""Draws the picture in the README: one change, with one of three acceptors down.

    python -m gryadka.views.readme [FILE]

The run is a real one, of the course's own proposer on acceptors in memory. It comes out the same each
time, so a test can tell whether the file is up to date.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gryadka.acceptors import Acceptor
from gryadka.acceptors.memory import memory_acceptors
from gryadka.acceptors.observed import Observed
from gryadka.proposer import Proposer
from gryadka.trace import Event
from gryadka.views.static import rounds
from gryadka.views.svg import Picture

FILE = Path("notebooks/pictures/round.svg")


async def _run() -> list[Event]:
    events: list[Event] = []
    configuration, acceptors = memory_acceptors(3)
    acceptors["C"].up = False
    watched: dict[str, Acceptor] = {name: Observed(name, a, events.append) for name, a in acceptors.items()}
    proposer = Proposer(configuration, watched, id=7, observe=events.append)
    await proposer.change("greeting", lambda value: "hello")
    await proposer.close()
    return events


def picture() -> Picture:
    """Return the README's picture."""
    return rounds(asyncio.run(_run()), "One change survives a dead acceptor")


def main(arguments: list[str]) -> None:
    """Write the picture to the file that is named, or to its place in the project."""
    path = Path(arguments[0]) if arguments else FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(picture().svg, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
