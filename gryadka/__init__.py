"""Gryadka: a replicated, consistent key-value store. CASPaxos, over plain Redis servers as acceptors.

async with gryadka.local_cluster(3) as cluster:
    proposer = cluster.proposer()
    await proposer.change("greeting", lambda value: "hello")
"""

from gryadka.acceptors.servers import local_cluster
from gryadka.errors import (
    AcceptorError,
    ChangeRejected,
    ConfigurationError,
    GryadkaError,
    NotApplied,
    OutcomeUnknown,
    QuorumsMiss,
)
from gryadka.proposer import Proposer

__version__ = "0.1.0"

__all__ = [
    "AcceptorError",
    "ChangeRejected",
    "ConfigurationError",
    "GryadkaError",
    "NotApplied",
    "OutcomeUnknown",
    "Proposer",
    "QuorumsMiss",
    "local_cluster",
]
