"""The virtual loop: time jumps, order is fixed, and the real world is out of reach."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from gryadka.simulation.loop import SimulationError, VirtualLoop, run


def test_an_hour_takes_no_time_and_the_clock_shows_an_hour() -> None:
    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert run(main()) == 3600.0


def test_timers_go_off_by_time_and_those_of_one_instant_as_they_were_set() -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        heard: list[str] = []
        for name, delay_s in [("c", 0.2), ("a", 0.1), ("b", 0.1), ("d", 0.2), ("z", 0.0)]:
            loop.call_later(delay_s, heard.append, name)
        loop.call_at(0.15, heard.append, "between")
        loop.call_soon(heard.append, "soon")
        loop.call_later(0.12, heard.append, "never").cancel()
        await asyncio.sleep(1)
        return heard

    assert run(main()) == ["soon", "z", "a", "b", "between", "c", "d"]


def test_what_is_ready_comes_before_any_timer_even_one_that_is_due() -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        heard: list[str] = []

        def first() -> None:
            heard.append("first")
            loop.call_soon(heard.append, "at once")

        loop.call_later(0.1, first)
        loop.call_later(0.1, heard.append, "second")
        await asyncio.sleep(0.2)
        return heard

    assert run(main()) == ["first", "at once", "second"]


def test_many_small_sleeps_do_not_drift() -> None:
    async def main() -> float:
        for _ in range(1000):
            await asyncio.sleep(0.0001)
        return asyncio.get_running_loop().time()

    assert run(main()) == 0.1


def test_a_cancelled_timer_does_not_move_the_clock() -> None:
    async def main() -> float:
        asyncio.get_running_loop().call_later(50, print).cancel()
        await asyncio.sleep(1)
        return asyncio.get_running_loop().time()

    assert run(main()) == 1.0


async def _connect() -> None:
    await asyncio.open_connection("127.0.0.1", 1)


async def _read_socket() -> None:
    with socket.socket() as one:
        asyncio.get_running_loop().add_reader(one, print)


async def _use_a_thread() -> None:
    await asyncio.to_thread(time.sleep, 0)


async def _start_a_process() -> None:
    await asyncio.create_subprocess_exec("true")


@pytest.mark.parametrize("wrong", [_connect, _read_socket, _use_a_thread, _start_a_process])
def test_the_real_world_is_refused_with_a_sentence(wrong: Callable[[], Any]) -> None:
    with pytest.raises(SimulationError, match="no sockets, threads, processes or signals"):
        run(wrong())


def test_every_method_of_a_loop_is_there_or_refused() -> None:
    public = [name for name in dir(asyncio.AbstractEventLoop) if not name.startswith("_")]
    assert len(public) > 40
    assert [name for name in public if name not in VirtualLoop.__dict__] == []


def test_waiting_for_what_nobody_will_do_is_noticed() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(SimulationError, match="nothing is left to happen"):
        run(main())


@pytest.mark.parametrize("pause_s", [0, 1e-9, 1.0])
def test_a_run_without_end_is_ended(pause_s: float) -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(pause_s)

    with pytest.raises(SimulationError, match="has not ended"):
        run(main(), max_steps=1000)


def test_an_error_in_a_callback_ends_the_run() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(1, lambda: 1 // 0)
        await asyncio.sleep(5)
        raise AssertionError("the run went on")

    with pytest.raises(ZeroDivisionError):
        run(main())


def test_whatever_is_left_at_the_end_is_cancelled() -> None:
    heard = []

    async def forever() -> None:
        try:
            heard.append("begun")
            await asyncio.sleep(10**6)
        finally:
            heard.append("cancelled")

    async def main() -> None:
        asyncio.create_task(forever())  # noqa: RUF006  (left behind on purpose)
        await asyncio.sleep(1)

    run(main())
    assert heard == ["begun", "cancelled"]


def test_what_begins_while_the_rest_is_cancelled_ends_too() -> None:
    """After Ctrl-C a delivery that nobody had awaited was told on the terminal, now and then."""
    heard: list[str] = []

    async def leave() -> None:
        try:
            await asyncio.sleep(1)
        finally:
            await asyncio.sleep(0)
            asyncio.get_running_loop().create_task(again())

    async def again() -> None:
        try:
            heard.append("again")
            await asyncio.sleep(1)
        finally:
            heard.append("ended")

    async def main() -> None:
        asyncio.get_running_loop().create_task(leave())
        await asyncio.sleep(0)

    run(main())
    assert heard == ["again", "ended"]


def test_ctrl_c_ends_a_run_even_if_a_task_takes_it_for_an_error_of_its_own() -> None:
    """Once in a hundred times a change function kept it for a caller who had left, and the simulation went on."""
    heard: list[str] = []

    async def main() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            heard.append("the present step is not disturbed")
            await asyncio.sleep(1)
            heard.append("never")
        except KeyboardInterrupt:
            heard.append("kept")
        finally:
            await asyncio.sleep(0)
            heard.append("ended")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(main())
    assert heard == ["the present step is not disturbed", "ended"]
    assert signal.getsignal(signal.SIGINT) is before is signal.default_int_handler


def test_a_second_ctrl_c_does_not_wait_for_a_step_without_end() -> None:
    sent: list[int] = []

    async def main() -> None:
        for number in range(3):
            os.kill(os.getpid(), signal.SIGINT)
            sent.append(number)

    with pytest.raises(KeyboardInterrupt):
        run(main())
    assert sent == [0]


def test_ctrl_c_that_somebody_else_has_taken_stays_with_them() -> None:
    heard: list[int] = []

    async def main() -> int:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(1)
        return 5

    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        assert (run(main()), heard) == (5, [signal.SIGINT])
    finally:
        signal.signal(signal.SIGINT, before)


async def test_it_runs_inside_another_loop_and_gives_it_back() -> None:
    """As in a notebook, where a cell is run by a task of the kernel's own loop."""
    outer, task = asyncio.get_running_loop(), asyncio.current_task()

    async def main() -> bool:
        await asyncio.sleep(1000)
        return asyncio.get_running_loop() is not outer and asyncio.current_task() is not task

    assert run(main())
    assert asyncio.get_running_loop() is outer and asyncio.current_task() is task
    await asyncio.sleep(0.001)  # the outer loop still works


async def test_ctrl_c_leaves_the_outer_loop_usable() -> None:
    outer, heard = asyncio.get_running_loop(), []

    async def main() -> None:
        try:
            asyncio.get_running_loop().call_later(1, _interrupt)
            await asyncio.sleep(10)
        finally:
            heard.append("tidied up")

    with pytest.raises(KeyboardInterrupt):
        run(main())
    assert heard == ["tidied up"] and asyncio.get_running_loop() is outer
    await asyncio.sleep(0.001)
    assert run(asyncio.sleep(1, "again")) == "again"


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_asyncio_timeouts_and_gather_work() -> None:
    async def main() -> tuple[Any, float]:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.sleep(100)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(100), 3)
        both = await asyncio.gather(asyncio.sleep(2, 1), asyncio.sleep(1, 2))
        return list(both), asyncio.get_running_loop().time()

    assert run(main()) == ([1, 2], 7.0)
