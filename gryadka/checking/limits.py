"""Other people's code on a leash: it may take so long, and what it prints is counted instead of shown.

What may live here: that leash. Nothing of Paxos.

The theory in a few lines. A function that never returns holds the only thread there is. The system can ring a
bell for it (a POSIX interval timer), and Python hears the bell between any two of the function's steps and raises
`TimeUp` there. In a notebook that works as well, since cells run on the main thread.

What it cannot stop, and Ctrl-C cannot either: one long step inside C code, such as `10 ** 10 ** 9`, and a loop
with a bare `except:`, which swallows the bell. Nothing rings on Windows, or away from the main thread.
"""

from __future__ import annotations

import io
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

AGAIN_S = 0.2  # the bell goes on ringing, for code that has swallowed it once


class TimeUp(KeyboardInterrupt):
    """The time is up. A kind of interrupt, so that no `except Exception` and no event loop keeps it."""


@contextmanager
def time_limit(limit_s: float) -> Iterator[None]:
    """Raise `TimeUp` inside this block once it has run for `limit_s` seconds. Blocks may be nested.

    A block that swallows it, and ends all the same, raises it at its end.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    rang = over = False

    def ring(*_: object) -> None:
        nonlocal rang
        if not over:
            rang = True
            raise TimeUp

    begun = time.monotonic()
    outer = signal.signal(signal.SIGALRM, ring)
    left_s, again_s = signal.setitimer(signal.ITIMER_REAL, limit_s, AGAIN_S)
    try:
        yield
    finally:
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, outer)
        if left_s:
            left_s = max(left_s - (time.monotonic() - begun), 0.001)
            signal.setitimer(signal.ITIMER_REAL, left_s, again_s)
    if rang:
        raise TimeUp


class Printed(io.TextIOBase):
    """Takes what is printed, and keeps nothing but the number of lines and characters."""

    def __init__(self) -> None:
        self.lines = 0
        self.characters = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Count."""
        self.lines += text.count("\n")
        self.characters += len(text)
        return len(text)


@contextmanager
def quiet() -> Iterator[Printed]:
    """Count what is printed in this block, and show none of it."""
    with redirect_stdout(Printed()) as printed:
        yield printed
