"""Past Gryadka, straight to a cluster's servers: for tests of what they store."""

from typing import Any

from gryadka.acceptors.servers import LocalCluster
from gryadka.acceptors.wire import Wire

OWN = "gryadka:acceptor"
"""The acceptor's own hash."""


async def raw(cluster: LocalCluster, name: str, *command: str) -> Any:
    """Send one command to a server, and return its reply."""
    wire = await Wire.over(name, cluster.connects[name](), 1.0)
    try:
        return await wire.call(*command)
    finally:
        await wire.close()
