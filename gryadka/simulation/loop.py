"""An asyncio event loop whose clock is virtual: a simulated hour takes no longer than its work.

What may live here: that loop. No network, no chance, no wall clock, no protocol.

The theory in a few lines. A program built on asyncio touches time and order only through its event loop. So
whoever owns the loop owns both: this one runs whatever is ready, in the order in which it became ready; when
nothing is, it moves the clock straight to the earliest timer. Timers of the same instant go off in the order in
which they were set. Nothing here depends on chance, on hashes or on the computer's speed, so the same program
does the same things at the same virtual times, always.

    >>> async def wait() -> float:
    ...     await asyncio.sleep(3600)
    ...     return asyncio.get_running_loop().time()
    >>> run(wait())
    3600.0

It may run inside a cell of a notebook, where another loop is at work already: that one stands still meanwhile.
"""

from __future__ import annotations

import asyncio
import heapq
import signal
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from typing import Any, NoReturn, TypeVar, TypeVarTuple

from gryadka.errors import GryadkaError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MAX_STEPS = 10_000_000


class SimulationError(GryadkaError):
    """A simulation cannot go on: it asked for the real world, waits for nothing, or never ends."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """Offers `call_soon`, `call_later`, `call_at`, futures and tasks; whatever else loops have, it refuses.

    Time is counted in whole microseconds, so that sums do not drift. An exception that nobody handles, in a
    callback or in a task, ends the run and is raised from it. After `max_steps` callbacks the loop gives up.
    """

    def __init__(self, max_steps: int = MAX_STEPS) -> None:
        self._now_us = 0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []
        self._numbered = 0
        self._steps_left = max_steps
        self._running = self._stopping = self._closed = False
        self._unhandled: BaseException | None = None

    # -- what programs call ----------------------------------------------------------------------------

    def time(self) -> float:
        """Return the virtual time, in seconds since the loop was made."""
        return self._now_us / 1_000_000

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run `callback` after everything that is ready already."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run `callback` in `delay` seconds."""
        return self._set_timer(self._now_us + round(delay * 1_000_000), callback, args, context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run `callback` at the virtual time `when`."""
        return self._set_timer(round(when * 1_000_000), callback, args, context)

    def create_future(self) -> asyncio.Future[Any]:
        """Return a new future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """Return a new task that runs `coro`."""
        return asyncio.Task(coro, loop=self, **options)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """End the run with this exception: in a simulation a mistake must not pass unseen."""
        error = context.get("exception") or SimulationError(context["message"])
        self._unhandled = self._unhandled or error
        self._stopping = True

    def get_debug(self) -> bool:
        """Return False: the debug mode of asyncio measures real time."""
        return False

    def _interrupt(self, *_: object) -> None:
        # Ctrl-C ends the run after the present callback: in the middle of one it could be taken for an error of a
        # change function. A second one, should that callback never end, does not wait.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.call_exception_handler({"exception": KeyboardInterrupt()})

    # -- running ---------------------------------------------------------------------------------------

    def run_until_complete(self, future: Any) -> Any:
        """Run until `future` (or coroutine) is done, and return its result."""
        task = asyncio.ensure_future(future, loop=self)
        task.add_done_callback(self._end)
        self.run_forever()
        if not task.done():
            raise SimulationError("the simulation was stopped before it had ended")
        return task.result()

    def run_forever(self) -> None:
        """Run until `stop`. Raises `SimulationError` if nothing can happen any more, or far too much did."""
        if self._running or self._closed:
            raise SimulationError("this simulation runs already, or is closed")
        outer = asyncio._get_running_loop()
        task = asyncio.current_task(outer) if outer else None
        if outer and task:  # a notebook's; it has to step aside, and gets its place back
            asyncio.tasks._leave_task(outer, task)
        asyncio._set_running_loop(self)
        self._running, self._stopping = True, False
        ctrl_c = _ours_to_hear()
        if ctrl_c:
            signal.signal(signal.SIGINT, self._interrupt)
        try:
            self._run_until_stopped()
        finally:
            if ctrl_c:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            self._running = False
            asyncio._set_running_loop(outer)
            if outer and task:
                asyncio.tasks._enter_task(outer, task)
        if self._unhandled:
            error, self._unhandled = self._unhandled, None
            raise error

    def stop(self) -> None:
        """Let `run_forever` return after the present callback."""
        self._stopping = True

    def is_running(self) -> bool:
        """Say whether callbacks are being run."""
        return self._running

    def is_closed(self) -> bool:
        """Say whether the loop was closed."""
        return self._closed

    def close(self) -> None:
        """Cancel what is left and let it end, then let go of everything."""
        if self._closed:
            return
        self._steps_left = 10_000  # enough to end; a task that refuses to end is left behind
        with suppress(Exception):  # the run has ended with an error of its own, which matters more
            while left := asyncio.all_tasks(self):  # who is cancelled may begin something, which has to end too
                for task in left:
                    task.cancel()
                self.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._closed = True
        self._ready.clear()
        self._timers.clear()

    def _run_until_stopped(self) -> None:
        ready, timers = self._ready, self._timers
        while not self._stopping:
            if ready:
                handle = ready.popleft()
            elif timers:  # the clock moves only when nothing is ready
                when_us, _, timer = heapq.heappop(timers)
                if timer._cancelled:
                    continue
                self._now_us, handle = when_us, timer
            else:
                raise SimulationError("nothing is left to happen, and yet somebody waits for a future nobody will set")
            if self._steps_left <= 0:
                raise SimulationError(f"it has not ended by {self.time():g} s of its own: a loop without end, perhaps")
            self._steps_left -= 1
            if not handle._cancelled:
                handle._run()

    def _set_timer(
        self, when_us: int, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> asyncio.TimerHandle:
        if when_us < self._now_us:
            when_us = self._now_us
        timer = asyncio.TimerHandle(when_us / 1_000_000, callback, args, self, context)
        self._numbered += 1
        heapq.heappush(self._timers, (when_us, self._numbered, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        # asyncio calls this; a cancelled timer is skipped when its time comes.
        pass

    def _end(self, _: object) -> None:
        self._stopping = True


def _ours_to_hear() -> bool:
    # Ctrl-C is, where nobody else has taken it, and in the one thread that Python tells of it.
    main = threading.current_thread() is threading.main_thread()
    return main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _refusal(name: str) -> Callable[..., NoReturn]:
    def refuse(self: VirtualLoop, *_: object, **__: object) -> NoReturn:
        raise SimulationError(
            f"loop.{name}: inside a simulation there are no sockets, threads, processes or signals; "
            "use futures, tasks, asyncio.sleep and the simulated network"
        )

    return refuse


for _name in dir(asyncio.AbstractEventLoop):
    if not _name.startswith("_") and _name not in VirtualLoop.__dict__:
        setattr(VirtualLoop, _name, _refusal(_name))


def run(main: Coroutine[Any, Any, T], *, max_steps: int = MAX_STEPS) -> T:
    """Run `main` on a virtual clock of its own, from 0 s, and return what it returns.

    Raises what `main` raises, and `SimulationError` when it cannot go on.
    """
    loop = VirtualLoop(max_steps)  # type: ignore[abstract]  # the rest was added just above
    try:
        result: T = loop.run_until_complete(main)
        return result
    finally:
        loop.close()
