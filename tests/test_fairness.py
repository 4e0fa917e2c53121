"""Proposers that meet on one register all the time: each of them gets its turn."""

from __future__ import annotations

import asyncio
import random

import pytest

from gryadka import Proposer
from gryadka.acceptors.memory import memory_acceptors
from gryadka.simulation.loop import run
from gryadka.simulation.network import Network


async def hot(count: int, way_s: float, for_s: float) -> list[int]:
    """Let proposers count on one register, each as fast as it can, and return how often each of them did."""
    configuration, acceptors = memory_acceptors(3)
    loop = asyncio.get_running_loop()
    network = Network(loop, acceptors, lambda source, target, number: (way_s,))
    done = [0] * count

    async def work(number: int) -> None:
        links = network.links(f"P{number}", f"proposer-{number}", 1.0)
        proposer = Proposer(configuration, links, id=number + 1, rng=random.Random(number), timeout_s=60)
        while loop.time() < for_s:
            await proposer.change("k", lambda value: (value or 0) + 1)
            done[number] += 1

    await asyncio.gather(*map(work, range(count)))
    reader = Proposer(configuration, network.links("R", "reader", 1.0), id=99)
    assert await reader.read("k") == sum(done)
    return done


@pytest.mark.parametrize(("way_s", "for_s"), [(0.0002, 1.5), (0.002, 8), (0.05, 100)])
@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_a_proposer_with_the_cached_round_does_not_starve_the_others(count: int, way_s: float, for_s: float) -> None:
    done = run(hot(count, way_s, for_s))
    assert min(done) > max(done) / 10
