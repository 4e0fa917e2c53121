"""Live views: what they show last is what the servers hold, and however much happens, few frames are taken."""

from __future__ import annotations

import asyncio
import random
from xml.etree import ElementTree

import pytest

from gryadka import lab
from gryadka.acceptors import state_of
from gryadka.acceptors.memory import memory_acceptors
from gryadka.acceptors.observed import Observed
from gryadka.acceptors.servers import LocalCluster, local_cluster
from gryadka.errors import AcceptorError
from gryadka.proposer import Proposer
from gryadka.protocol.acceptor import ZERO, Ballot, Prepare, Promise, State
from gryadka.trace import Event
from gryadka.views import wording
from gryadka.views.live import Live, add_one, clients

SVG = "{http://www.w3.org/2000/svg}"


def promised(name: str, counter: int) -> Event:
    ballot = Ballot(counter, 7)
    return Event(
        "state", counter, name, key="k", message=Prepare(ballot), reply=Promise(ZERO, None), state=State(ballot)
    )


async def in_memory(live: Live) -> Proposer:
    configuration, acceptors = memory_acceptors(3)
    seen = {name: Observed(name, acceptor, live.observe) for name, acceptor in acceptors.items()}
    return Proposer(configuration, seen, id=7, rng=random.Random(7), observe=live.observe)


async def until(condition: object, live: Live) -> None:
    async with asyncio.timeout(20):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.02)
            live.shoot()


async def test_the_last_frame_says_what_the_servers_hold(cluster: LocalCluster) -> None:
    live = Live(cluster.names, key="counter", frames_per_s=20)
    through = [cluster.proposer(observe=live.observe) for _ in range(2)]
    live.start(clients(through, for_s=0.5))
    assert len(live.states) == 1, "it returns at once"
    await live.finished()
    value = await through[0].change("counter", lambda value: value)
    acceptors = cluster.acceptors()
    held = [f"{name}: {wording.state(await state_of(acceptor, 'counter'))}" for name, acceptor in acceptors.items()]
    lines = [f"{letter} is {line}" for letter, line in zip("ABC", held, strict=True)]
    await until(lambda: live.states[-1].words.splitlines()[1:4] == lines, live)
    assert sum(hand.outcomes["applied"] for hand in live.hands.hands.values()) >= value > 16
    assert live.events > 10 * len(live.states), "frames are not queued"
    assert 2 <= len(live.states) == len(live.proposers) == len(live.drawing_s)
    assert live.report().startswith(f"{len(live.drawing_s)} frames in ")


async def test_what_happens_between_two_frames_is_in_the_second_and_no_change_is_no_frame() -> None:
    live = Live(["A", "B", "C"])
    assert len(live.states) == 1 and not live.shoot()
    for counter in range(1, 1000):
        live.observe(promised("A", counter))
    assert live.shoot() and not live.shoot()
    assert len(live.states) == 2
    assert "A: promised 999:7, accepted nothing, value none" in live.states[-1].words
    live.observe(promised("A", 5))  # it comes late
    assert not live.shoot()


async def test_an_acceptor_that_gives_no_answer_is_crossed_out_until_it_answers(cluster: LocalCluster) -> None:
    live = Live(cluster.names)
    proposer = cluster.proposer(observe=live.observe)
    await proposer.change("k", add_one)
    await cluster.kill(2)
    await proposer.change("k", add_one)
    down = cluster.names[2]
    await until(lambda: live.walk.down.get(down), live)
    live.shoot()
    assert crossed(live) == 1
    assert live.states[-1].words.splitlines()[3].endswith(", down")
    await cluster.restart(2)
    async with asyncio.timeout(20):
        while live.walk.down.get(down):
            await proposer.change("k", add_one)
    live.shoot()
    assert crossed(live) == 0


def crossed(live: Live) -> int:
    groups = ElementTree.fromstring(live.states[-1].svg).iter(f"{SVG}g")
    return sum(bool(group.findall(f"{SVG}line")) for group in groups if group.attrib["data-key"].startswith("acceptor"))


async def test_the_view_stands_still_when_it_is_full_and_says_so() -> None:
    live = Live(["A"], keep=3)
    for counter in range(1, 10):
        live.observe(promised("A", counter))
        live.shoot()
    assert len(live.states) == len(live.proposers) == 3
    assert live.states[-1].announced.startswith("The view stands still after 3 frames.")
    assert live.proposers[-1].announced.startswith("The view stands still after 3 frames.")


async def test_an_error_in_the_work_shows_in_the_view() -> None:
    async def broken() -> None:
        raise KeyError("nobody would see this")

    live = Live(["A"])
    live.start(broken())
    await live.finished()
    assert live.states[-1].announced == "the work ended with KeyError: 'nobody would see this'."


async def test_work_is_started_once_and_can_be_stopped_and_started_again() -> None:
    live = Live("ABC", frames_per_s=100)
    proposer = await in_memory(live)
    live.start(clients([proposer], for_s=1000, count=3))
    with pytest.raises(RuntimeError, match="under way already"):
        live.start(clients([proposer]))
    await asyncio.sleep(0.05)
    live.stop()
    await asyncio.wait_for(live.finished(), 10)
    frames = len(live.states)
    assert frames > 1
    live.start(clients([proposer], for_s=0.05, count=3, pause_s=0.01))
    await asyncio.wait_for(live.finished(), 10)
    assert len(live.states) > frames


async def test_players_show_every_frame_and_leave_alone_who_has_gone_back() -> None:
    live = Live(["A"], frames_per_s=200)

    async def work() -> None:
        counter = 0
        for frames in (20, 30):
            while len(live.states) < frames:
                counter += 1
                live.observe(promised("A", counter))
                await asyncio.sleep(0.005)
            assert live.players[1].at == len(live.proposers) - 1
            if frames == 30:
                assert live.players[0].at == 0
            live.players[0].at = 0

    live.start(work())
    await asyncio.wait_for(live.finished(), 60)
    states, proposers = live.players
    assert len(states.all_frames()["frames"]) == len(live.states) >= 30
    assert "the work ended" not in live.states[-1].words
    assert states.at == 0
    assert proposers.at == len(live.proposers) - 1


async def test_servers_are_killed_and_started_again_from_the_view(cluster: LocalCluster) -> None:
    live = Live(cluster.names, cluster=cluster)
    name = cluster.names[1]
    acts = ["kill 0", "kill 1", "kill 2"]
    assert [choice.act for choice in live.states[-1].choices] == acts
    assert live.states[-1].choices[1].on == f"acceptor {name}"
    for nonsense in ("kill 3", "kill x", "kill -1", "start 1"):
        with pytest.raises(ValueError, match="no such thing to do"):
            live.act(nonsense, 0)
    live.act("kill 1", 0)
    await until(lambda: live.states[-1].announced == f"{name} is killed.", live)
    assert crossed(live) == 1
    assert [choice.act for choice in live.states[-1].choices] == ["kill 0", "restart 1", "kill 2"]
    fresh = cluster.acceptors()[name]
    with pytest.raises(AcceptorError):
        await state_of(fresh, "k")
    live.act("restart 1", 0)
    await until(lambda: live.states[-1].announced == f"{name} is started again.", live)
    assert crossed(live) == 0
    assert [choice.act for choice in live.states[-1].choices] == acts
    assert await state_of(cluster.acceptors()[name], "k") == State()


async def test_the_clients_are_stopped_from_the_view_and_nonsense_is_refused() -> None:
    live = Live("ABC", frames_per_s=100)
    assert live.states[-1].choices == ()
    for nonsense in ("kill 0", "kill x", "restart -1", "", "stop now"):
        with pytest.raises(ValueError, match="no such thing to do"):
            live.act(nonsense, 0)
    proposer = await in_memory(live)
    live.start(clients([proposer], for_s=1000, count=2))
    await until(lambda: len(live.states) > 1, live)
    assert [choice.act for choice in live.states[-1].choices] == ["stop"]
    live.act("stop", 0)
    await asyncio.wait_for(live.finished(), 10)
    assert live.states[-1].choices == ()


async def test_a_server_that_is_not_ours_is_left_alone_and_the_view_says_why() -> None:
    cluster = local_cluster(urls=[f"redis://127.0.0.1:{port}/0" for port in (1, 2, 3)])
    live = Live(cluster.names, cluster=cluster)
    live.act("kill 0", 0)
    await until(lambda: "which may not kill it" in live.states[-1].announced, live)
    assert crossed(live) == 0


async def test_a_lesson_shows_it_in_one_line(cluster: LocalCluster, capsys: pytest.CaptureFixture[str]) -> None:
    live = lab.live(cluster, for_s=0.1, clients=4)
    assert "Where the acceptors stand" in capsys.readouterr().out
    await live.finished()
    assert len(live.hands.hands) == 2 and live.walk.key == "counter"
    assert "accepted" in live.states[-1].words
