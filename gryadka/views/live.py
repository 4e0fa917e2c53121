"""A cluster at work, as it happens: where its acceptors stand, and what its proposers have in hand.

What may live here: taking frames of what observers tell, at a steady pace, and a workload to look at. What is drawn
is up to `state_graph` and `proposers`; how frames are shown, to `player`.

    live = Live(cluster.names)
    live.start(clients([cluster.proposer(observe=live.observe)], key="counter"))
    live.players[0]                     # as a cell's last value; the work goes on after the cell has ended
    await live.finished()

Thousands of events come in a second, and nobody can look at more than some ten pictures. So an event only changes
what is known, which takes microseconds; at each tick of the clock what is known *then* is drawn, once. Frames are
never queued: what happened between two ticks is in the second picture, or has passed.

Everything here runs on the one event loop that the proposers run on: no locks, and no other thread. That includes
what is chosen in the view, to kill a server or to start it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from time import perf_counter
from typing import Any

from gryadka.acceptors.servers import LocalCluster
from gryadka.errors import ConfigurationError, NotApplied, OutcomeUnknown
from gryadka.proposer import Proposer
from gryadka.protocol.value import Value
from gryadka.trace import Event
from gryadka.views import proposers, state_graph
from gryadka.views.frames import Choice, Frames
from gryadka.views.player import Player
from gryadka.views.walk import Walk

FRAMES_PER_S = 12.0
"""How often a frame is taken, at most."""

KEEP = 1200
"""So many frames are kept, to be looked at again. Then the view stands still, and says so."""

STOPPED = "The view stands still after {count} frames. The cluster works on: look at it again to see more"


class Live:
    """Frames of a cluster's acceptors, by `names`, and of those proposers that were made with this `observe`.

    Follows one register: `key`, or the first one that an acceptor says yes to. With a `cluster`, whose names they
    are, its servers can be killed and started again from the view. Read only: `states` and `proposers`, the frames so
    far; `players`, which show them; `drawing_s`, how long each took to draw.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        key: str | None = None,
        cluster: LocalCluster | None = None,
        frames_per_s: float = FRAMES_PER_S,
        keep: int = KEEP,
    ) -> None:
        self.walk = Walk(list(names), key, forward=True)
        self.hands = proposers.Hands()
        self.states = Frames("Where the acceptors stand")
        self.proposers = Frames("What the proposers have in hand")
        self.drawing_s: list[float] = []
        self.events = 0
        self._period_s = 1 / frames_per_s
        self._keep = keep
        self._changed = True
        self._tasks: list[asyncio.Task[None]] = []
        self._cluster = cluster
        self._killed: set[int] = set()
        self._acting: set[asyncio.Task[None]] = set()
        self._begun_s = self._ended_s = 0.0
        self.shoot()
        self.players = [Player(self.states, speed=10, act=self.act), Player(self.proposers, speed=10)]

    def observe(self, event: Event) -> None:
        """Take note of an event. This is what proposers are to be given as `observe`."""
        self.events += 1
        if event.kind == "state":
            if self.walk.down.get(event.node):
                self.walk.down[event.node] = False
            self._changed |= self.walk.add(event)
            return
        if event.kind == "failed" and event.peer and not self.walk.down.get(event.peer):
            # Who does not answer is as good as down, until it answers again.
            self.walk.down[event.peer] = True
            self.walk.said = f"{event.peer} gives no answer"
        self._changed |= self.hands.add(event)

    def shoot(self) -> bool:
        """Take a frame of each view, if anything has changed since the last. Returns whether any was taken."""
        if not self._changed or len(self.states) >= self._keep:
            return False
        self._changed = False
        before_s = perf_counter()
        if len(self.states) == self._keep - 1:
            self.walk.said = self.hands.said = STOPPED.format(count=self._keep)
        frame = state_graph.draw(self.walk, title=self.states.title)
        self.states.append(replace(frame, choices=tuple(self._choices())))
        self.proposers.append(proposers.draw(self.hands, self.proposers.title))
        self.drawing_s.append(perf_counter() - before_s)
        return True

    def start(self, *work: Coroutine[Any, Any, None]) -> None:
        """Do this work, and take frames all the while, in tasks that outlive the cell that starts them.

        An error in it is shown in the view. Raises `RuntimeError` if work is under way already.
        """
        if not all(task.done() for task in self._tasks):
            for coroutine in work:
                coroutine.close()
            raise RuntimeError("work is under way already: `await live.finished()` first, or `live.stop()`")
        self._begun_s = self._ended_s = perf_counter()
        working = [asyncio.create_task(self._guarded(coroutine)) for coroutine in work]
        self._tasks = [*working, asyncio.create_task(self._film(working))]

    async def finished(self) -> None:
        """Wait until the work is done and the last frame is taken."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop(self) -> None:
        """End the work. The last frame is taken soon after."""
        for task in self._tasks[:-1]:
            task.cancel()

    @property
    def _working(self) -> bool:
        return not all(task.done() for task in self._tasks[:-1])

    def _choices(self) -> Iterator[Choice]:
        for number, name in enumerate(self.walk.states if self._cluster else ()):
            verb, label = ("restart", "Start again") if number in self._killed else ("kill", "Kill")
            yield Choice(f"{verb} {number}", "Servers", name, label, f"acceptor {name}", "k")
        if self._working:
            yield Choice("stop", "Work", "the clients", "Stop", key="s")

    def act(self, act: str, at: int) -> None:
        """Do what was chosen: "kill 0", "restart 0" or "stop". Raises `ValueError` for anything else."""
        verb, _, number = act.partition(" ")
        if act == "stop":
            self.stop()
        elif verb in ("kill", "restart") and self._cluster and number in map(str, range(len(self.walk.states))):
            task = asyncio.get_running_loop().create_task(self._strike(self._cluster, verb, int(number)))
            self._acting.add(task)  # or nobody would hold it
            task.add_done_callback(self._acting.discard)
        else:
            raise ValueError(f"there is no such thing to do: {act}")

    async def _strike(self, cluster: LocalCluster, verb: str, number: int) -> None:
        name = list(self.walk.states)[number]
        try:
            await (cluster.kill(number) if verb == "kill" else cluster.restart(number))
        except ConfigurationError as error:
            self.walk.said = str(error)
        else:
            self._killed.add(number)
            if verb == "restart":
                self._killed.discard(number)
            self.walk.down[name] = verb == "kill"
            self.walk.said = f"{name} is killed" if verb == "kill" else f"{name} is started again"
        self._changed = True
        self._show()

    def report(self) -> str:
        """Say how many frames were taken, how fast, and what drawing them took."""
        count, seconds = len(self.drawing_s), self._ended_s - self._begun_s
        if not seconds:
            return f"{count} frames, and no work yet"
        each_ms = [1000 * drawing_s for drawing_s in self.drawing_s]
        return (
            f"{count} frames in {seconds:.1f} s, {count / seconds:.1f} a second, of {self.events} events; "
            f"drawing both views took {sum(each_ms) / count:.1f} ms at the mean, {max(each_ms):.1f} ms at most"
        )

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # nobody would see it in a notebook
            self.walk.said = self.hands.said = f"the work ended with {type(error).__name__}: {error}"
            self._changed = True

    async def _film(self, working: Sequence[asyncio.Task[None]]) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while not all(task.done() for task in working):
            due_s = max(due_s + self._period_s, loop.time())  # a tick that was missed is not made up for
            await asyncio.wait(working, timeout=due_s - loop.time(), return_when=asyncio.ALL_COMPLETED)
            self._show()
        await asyncio.sleep(self._period_s)  # the last answers are still on their way
        self._changed = True  # there is no work left to be stopped
        self._show()

    def _show(self) -> None:
        if self.shoot():
            for player in self.players:
                # Whoever has gone back to look at something is left there.
                behind = len(player.view) - 2 - player.at
                player.update(at=None if behind < FRAMES_PER_S else player.at)
        self._ended_s = perf_counter()


def add_one(value: Value) -> Value:
    """Count: the change of the workload."""
    return (value or 0) + 1


async def clients(
    through: Sequence[Proposer], *, key: str = "counter", count: int = 16, for_s: float = 10.0, pause_s: float = 0.0
) -> None:
    """Let `count` clients change one register for `for_s` seconds, each through one of these proposers.

    Each begins its next change `pause_s` seconds after the last one's end. What could not be applied shows among
    the events; the client goes on. Raises `ConfigurationError`.
    """
    loop = asyncio.get_running_loop()
    end_s = loop.time() + for_s

    async def client(proposer: Proposer) -> None:
        while loop.time() < end_s:
            with suppress(NotApplied, OutcomeUnknown):
                await proposer.change(key, add_one)
            await asyncio.sleep(pause_s)

    await asyncio.gather(*(client(through[number % len(through)]) for number in range(count)))
