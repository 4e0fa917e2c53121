"""Commands in a lesson, as an operator types them in a terminal.

    await shell(cluster, 'gryadka acceptors add "$SERVER3" --yes')

What may live here: that one function. With real servers a shell runs the command, in a process of its own. No other
process can reach fakeredis, so there the same change of members is made from here, and a line says so.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path

from gryadka.acceptors.servers import LocalCluster
from gryadka.errors import ConfigurationError
from gryadka.operations.membership import change_members, standing


async def shell(cluster: LocalCluster, command: str) -> None:
    """Run a command, and print it with what it says.

    Its environment has the URLs of all servers of `cluster` in `GRYADKA_URLS`, and each one in `SERVER0`, `SERVER1`...
    Raises `ConfigurationError` if there is no real server and the command is none of `gryadka acceptors`.
    """
    print(f"$ {command}")
    if not cluster.urls:
        print(await _from_here(cluster, command))
        return
    own = {f"SERVER{number}": url for number, url in enumerate(cluster.urls)}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", command,
        env=os.environ | own | {"GRYADKA_URLS": " ".join(cluster.urls), "PATH": path},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    print(said.decode(errors="replace").rstrip())


async def _from_here(cluster: LocalCluster, command: str) -> str:
    def name(word: str) -> str:
        found = re.fullmatch(r"\$SERVER(\d+)", word)
        return cluster.names[int(found[1])] if found else word

    words = [name(word) for word in shlex.split(command) if not word.startswith("-")]
    found = await standing(cluster.connects)
    named = {identity: name for name, identity in found.identities.items()} | dict(found.roster.addresses)
    silent = [name for name in cluster.names if name not in found.identities]
    now = sorted(named.get(identity) or silent[0] for identity in found.roster.members)
    match words:
        case ["gryadka", "acceptors", "ls"]:
            return "\n".join([*(f"{name}  member" for name in now), f"epoch {found.roster.epoch}"])
        case ["gryadka", "acceptors", "add", newcomer]:
            then = [*now, newcomer]
        case ["gryadka", "acceptors", "remove", leaver]:
            then = [name for name in now if name != leaver]
        case ["gryadka", "acceptors", "replace", leaver, newcomer]:
            then = [*(name for name in now if name != leaver), newcomer]
        case _:
            raise ConfigurationError("with fakeredis there is only gryadka acceptors ls, add, remove and replace")
    report = await change_members(cluster.connects, then)
    lines = "(fakeredis lives in this process, so it is done from here)", *report.steps, f"epoch {report.epoch}"
    return "\n".join(lines)
