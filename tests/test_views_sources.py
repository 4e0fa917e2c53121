"""Runs from everywhere: every scenario of the simulator, and real servers, are told to the end and drawn."""

from __future__ import annotations

import asyncio

import pytest

from gryadka.acceptors.servers import LocalCluster
from gryadka.errors import GryadkaError
from gryadka.protocol.acceptor import ZERO
from gryadka.simulation.run import simulate
from gryadka.simulation.scenarios import SCENARIOS
from gryadka.trace import Event, Trace
from gryadka.views.cluster import ClusterView, main_key
from gryadka.views.spacetime import SpaceTime
from tests.test_views_cluster import keyed, last, texts


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_is_told_and_ends_where_its_acceptors_stand(scenario: str) -> None:
    trace = Trace(simulate(scenario, seed=6).events[:400])
    view, diagram = ClusterView(trace), SpaceTime(trace, most=120)
    assert all(view[number].announced for number in range(len(view)))
    for number in range(0, len(view), 25):
        keyed(view[number])
    assert len(diagram) > 30
    stood = {event.node: event.state for event in trace if event.kind == "state" and event.key == main_key(trace)}
    forgot = any(event.note and event.note.startswith("without") for event in trace)
    for name, state in stood.items():
        assert state is not None
        shown = texts(keyed(last(view))[f"node {name}"])
        promised = "nothing" if state.promised == ZERO else state.promised
        assert f"promised {promised}" in shown or forgot


@pytest.mark.slow
def test_faults_of_every_kind_are_told() -> None:
    told = []
    for scenario in ("restarts", "slow-acceptor", "one-way", "amnesia", "duplicates", "partition-2-2-2"):
        view = ClusterView(Trace(simulate(scenario, seed=2).events))
        told += [view[number].announced for number in range(len(view))]
    for words in (
        " crashes.",
        " is back, in place of proposer-",
        " is back, without what it had stored.",
        " stands still.",
        " goes on.",
        " is cut.",
        " is open again.",
        " is lost.",
        " is duplicated: it arrives 2 times.",
        " is lost: nobody is there.",
        " is lost: the way is cut.",
        "gets no answer from",
        "too late to matter.",
    ):
        assert [line for line in told if words in line], words


async def test_real_servers_one_of_them_dead(cluster: LocalCluster) -> None:
    events: list[Event] = []
    first, second = cluster.proposer(observe=events.append), cluster.proposer(observe=events.append)
    await first.change("k", lambda value: "one")
    await cluster.kill(2)
    await second.change("k", lambda value: f"{value} and two")
    await asyncio.gather(*(p.change("k", lambda value: value) for p in (first, second)), return_exceptions=True)
    await first.close()
    await second.close()
    view = ClusterView(Trace(events))
    told = [view[number].announced for number in range(len(view))]
    assert [line for line in told if '"one and two" is chosen' in line]
    assert [line for line in told if f"no answer from {cluster.names[2]}" in line]
    assert '"one and two"' in " ".join(texts(keyed(last(view))[f"node {cluster.names[0]}"]))
    on_their_way = [line for line in last(view).words.split("\n") if line.startswith("on its way")]
    assert on_their_way == []
    assert len(SpaceTime(Trace(events))) > 10
    assert not [event for event in events if isinstance(event, GryadkaError)]
