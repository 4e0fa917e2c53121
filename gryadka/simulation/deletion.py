"""Deleted records that are forgotten while everything else goes wrong: a simulated collector at the place C1.

What may live here: that collector. What it does with each record is the real thing
(`gryadka.operations.deletion.Collector`); what an acceptor does stands in `network`, as in the real one's script.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence

from gryadka.errors import AcceptorError
from gryadka.operations.deletion import Collector, Report
from gryadka.operations.plan import members
from gryadka.proposer import Proposer
from gryadka.protocol.acceptor import State
from gryadka.protocol.configuration import Configuration, Quorum
from gryadka.simulation.network import InForce, Link

HOST = "C1"
PAUSE_S = (0.0, 0.01)
LIFE_S = (0.005, 0.1)


class _OnMajority(Collector):
    """Takes a tombstone that a majority has accepted for one that all have."""

    def _is_everywhere(self, states: Sequence[State], latest: State) -> bool:
        return 2 * sum(state.accepted == latest.accepted for state in states) > len(states)


async def collect_always(
    links: Callable[[int], Mapping[str, Link]],
    begin: Configuration,
    proposer: Callable[[Configuration, Mapping[str, Link]], Proposer],
    keys: Sequence[str],
    chance: random.Random,
    *,
    on_majority: bool = False,
) -> None:
    """Collect all records, all over again, for ever; each collector dies soon, and another begins.

    `links` returns every acceptor, as seen from C1 in an epoch, and `proposer` makes a proposer on some of them.
    """
    in_force = InForce(0, begin)

    def follow(told: InForce) -> None:
        nonlocal in_force
        in_force = max(in_force, told, key=lambda known: known.epoch)

    while True:
        await asyncio.sleep(chance.uniform(*PAUSE_S))
        epoch, current = in_force
        ways = {name: link for name, link in links(epoch).items() if name in members(current)}
        for link in ways.values():
            link.follow = follow
        everyone = Quorum(tuple(ways), len(ways))
        own = proposer(Configuration(current.prepare, current.accept if on_majority else everyone), ways)
        collector = (_OnMajority if on_majority else Collector)(ways, own)
        try:
            async with asyncio.timeout(chance.uniform(*LIFE_S)):
                for link in ways.values() if epoch else ():
                    await link.adopt(epoch, current)  # it may have missed the last change of members
                for key in keys:
                    await collector.collect(key, Report())
        except (AcceptorError, TimeoutError):
            pass
        await own.close()
