"""Runs one command, and kills it when this process's own standard input ends.

    python guard.py redis-server redis.conf

Whoever started the guard holds the other end of that input. When it ends, in whatever way (a crash, a
killed kernel, Ctrl-C), the system closes that end, so no server outlives the cluster that it belongs to.
The command's process id is printed first. Standard library only: this file is run by itself.

A folder that was named on the standard input goes as well, unless "keep" was the last word: what the servers of a
killed kernel stored, nobody can use any more. It is the whole cluster's, so that those that were down go with it; all
its guards remove it, and the last of them does so when nobody writes there any more.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

KEEP = "keep"
PR_SET_PDEATHSIG = 1


def end_with_parent() -> Callable[[], object] | None:
    """Return what a new process calls so that it is killed when this one is (`killall -9 python`), on Linux."""
    try:
        import ctypes

        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):  # another system, or a Python without ctypes
        return None
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    command = subprocess.Popen(
        sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=end_with_parent()
    )
    print(command.pid, flush=True)

    told: list[str] = []  # once the input has ended

    def watch() -> None:
        words = b""
        while part := os.read(0, 1024):
            words += part
        told.extend(os.fsdecode(words).split("\0"))
        command.kill()

    threading.Thread(target=watch, daemon=True).start()
    status = command.wait()
    if told and told[0] and told[-1] != KEEP:
        shutil.rmtree(told[0], ignore_errors=True)
    return status


if __name__ == "__main__":
    # An interrupt meant for the learner's program is not meant for its servers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main())
