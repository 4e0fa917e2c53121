"""Runs one command, and kills it when this process's own standard input ends.

    python guard.py redis-server redis.conf

Whoever started the guard holds the other end of that input. When it ends, in whatever way (a crash, a
killed kernel, Ctrl-C), the system closes that end, so no server outlives the cluster that it belongs to.
The command's process id is printed first. Standard library only: this file is run by itself.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> int:
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    print(command.pid, flush=True)

    def watch() -> None:
        while os.read(0, 1024):
            pass
        command.kill()

    threading.Thread(target=watch, daemon=True).start()
    return command.wait()


if __name__ == "__main__":
    # An interrupt meant for the learner's program is not meant for its servers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main())
