"""How pictures name things: ballots, values, messages, replies, nodes, and why an acceptor says no.

What may live here: short texts made from values of the protocol. One wording for all views, so that a learner
meets the same words in every picture.
"""

from __future__ import annotations

from gryadka.errors import UNREADABLE
from gryadka.protocol.acceptor import (
    ZERO,
    Accept,
    Ballot,
    Conflict,
    Message,
    Prepare,
    Promise,
    Read,
    Reply,
    State,
)
from gryadka.protocol.value import unpack


def ballot(ballot: Ballot) -> str:
    """Name a ballot: "4:17". A proposer's id may be a long random number; its last digits tell a few apart."""
    if ballot == ZERO:
        return "nothing"
    return str(ballot) if ballot.proposer < 1000 else f"{ballot.counter}:…{ballot.proposer % 1000:03}"


def value(stored: str | None) -> str:
    """Name what is stored, without the lineage beside it. Text that no proposer wrote is named as it is."""
    if stored is None:
        return "none"
    try:
        return unpack(stored)[0]
    except UNREADABLE:
        return stored


def state(state: State | None) -> str:
    """Name all that an acceptor remembers of one register; None stands for an acceptor that is down."""
    return "down" if state is None else ", ".join(facts(state))


def facts(state: State) -> tuple[str, str, str]:
    """Name the three things that an acceptor remembers of one register."""
    return f"promised {ballot(state.promised)}", f"accepted {ballot(state.accepted)}", f"value {value(state.value)}"


def message(message: Message | Read, *, promise: bool = True) -> str:
    """Name a message: "prepare 1:7", "accept 1:7 "hello", promise 2:7".

    An accept's promise is named if it is another ballot, and with `promise`.
    """
    if isinstance(message, Read):
        return "read"
    if isinstance(message, Prepare):
        return f"prepare {ballot(message.ballot)}"
    told = f"accept {ballot(message.ballot)} {value(message.value)}"
    return f"{told}, promise {ballot(message.promise)}" if promise and message.promise != message.ballot else told


def wish(message: Message) -> str:
    """Say what a message asks for: "promise 1:7", "accept "hello" at 1:7, and to promise 2:7 next"."""
    if isinstance(message, Prepare):
        return f"promise {ballot(message.ballot)}"
    promise = "" if message.promise == message.ballot else f", and to promise {ballot(message.promise)} next"
    return f"accept {value(message.value)} at {ballot(message.ballot)}{promise}"


def short(message: Message) -> str:
    """Name a message by its kind and ballot alone."""
    return f"{type(message).__name__.lower()} {ballot(message.ballot)}"


def reply(reply: Reply) -> str:
    """Name a reply in a few words: "promise (none)", "accepted", "conflict 4:17"."""
    if isinstance(reply, Conflict):
        return f"conflict {ballot(reply.promised)}"
    if isinstance(reply, Promise):
        return f"promise ({value(reply.value)})"
    return "accepted"


FAULTS = {
    "crashed": "crashes",
    "restarted": "is back",
    "paused": "stands still",
    "resumed": "goes on",
    "partitioned": "cut",
    "healed": "open again",
}
"""What is said of a node, or of a way, that this happens to."""

_OUTCOMES = {
    "ChangeRejected": "refused by the change function",
    "NotApplied": "not applied, and it never will be",
    "OutcomeUnknown": "outcome unknown, perhaps applied",
}


def outcome(note: str | None) -> str:
    """Say how a change ended, from the note of its last event."""
    return _OUTCOMES.get(note or "", note or "")


def node(name: str) -> str:
    """Name a node: an acceptor by its own name, a proposer as "proposer 7" or "proposer …123"."""
    kind, _, number = name.rpartition("-")
    if kind == "proposer":
        return f"proposer …{number[-3:]}" if len(number) > 3 else f"proposer {number}"
    return name


def because(message: Message, promised: Ballot) -> str:
    """Say why an acceptor that has promised `promised` says no to `message`."""
    asked = ballot(message.ballot)
    if isinstance(message, Accept):
        return f"it has promised {ballot(promised)}, and {asked} is lower"
    if message.ballot == promised:
        return f"it has promised {asked} already, and promises a ballot only once"
    return f"it has promised {ballot(promised)}, and {asked} is not higher"
