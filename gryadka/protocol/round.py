"""A round: one ballot's attempt at one change, as a state machine without input or output.

Tell it of each reply; it says whether its quorum is reached, missed, or still open. Whoever drives it
sends `round.message` to `round.quorum.members`, first as a prepare, then, after `propose`, as an accept:

    Prepare ── quorum of promises ──> choose the value, apply the change ──> Accept ── quorum ──> chosen

Source: CASPaxos, section 2.2. The rule of `choose` is Paxos's own (Lamport, "Paxos Made Simple", 2.2, P2c).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from gryadka.protocol.acceptor import YES, Accept, Ballot, Conflict, Message, Prepare, Promise, Read, Reply
from gryadka.protocol.configuration import Configuration, Quorum


def choose(promises: Iterable[Promise]) -> Promise:
    """Return the promise with the highest accepted ballot: its value is the register's current one.

    If any value was chosen at a lower ballot than ours, this is it or descends from it.
    """
    return max(promises, key=lambda promise: promise.accepted)


class Status(Enum):
    """Where the present phase of a round stands."""

    WAITING = "waiting"
    REACHED = "reached"
    MISSED = "missed"


class Round:
    """One ballot, from prepare to accept.

    Read only: `configuration`, `ballot`, `message` (what to send in this phase), `granted` (acceptor ->
    its yes), `refused` (acceptor -> its conflict, or the error for which it gave no answer).
    """

    __slots__ = ("ballot", "configuration", "granted", "message", "refused")

    def __init__(self, configuration: Configuration, ballot: Ballot) -> None:
        self.configuration = configuration
        self.ballot = ballot
        self.message: Message | Read = Prepare(ballot)
        self.granted: dict[str, Reply] = {}
        self.refused: dict[str, Conflict | Exception] = {}

    @property
    def quorum(self) -> Quorum:
        """The quorum that the present phase needs."""
        return self.configuration.prepare if isinstance(self.message, Prepare) else self.configuration.accept

    @property
    def status(self) -> Status:
        """Whether the present phase's quorum is reached, can no longer be reached, or is open."""
        if self.quorum.met_by(self.granted):
            return Status.REACHED
        return Status.MISSED if self.quorum.lost_without(self.refused) else Status.WAITING

    def receive(self, acceptor: str, message: Message | Read, reply: Reply | BaseException) -> None:
        """Take in what `acceptor` said to `message`. Late replies, and second ones, change nothing."""
        if message != self.message or acceptor in self.granted or acceptor in self.refused:
            return
        if isinstance(reply, YES[type(message)]):
            self.granted[acceptor] = reply
        else:
            self.refused[acceptor] = reply if isinstance(reply, Conflict | Exception) else TypeError(f"said {reply!r}")

    def current(self) -> Promise:
        """Return the register's accepted ballot and value, once the prepare quorum is reached."""
        return choose(reply for reply in self.granted.values() if isinstance(reply, Promise))

    def propose(self, value: str, promise: Ballot) -> None:
        """Begin the accept phase with this value; `promise` is the ballot of the round to come."""
        self.message = Accept(self.ballot, value, promise)
        self.granted, self.refused = {}, {}

    def successor(self) -> Round | None:
        """Return the next round, prepared by the promises that this round's accepts carried, or None.

        The acceptors that accepted have to form a *prepare* quorum: an accept quorum need not be one.
        """
        accept = self.message
        if not isinstance(accept, Accept) or not self.configuration.prepare.met_by(self.granted):
            return None
        following = Round(self.configuration, accept.promise)
        following.granted = dict.fromkeys(self.granted, Promise(accept.ballot, accept.value))
        return following

    def problem(self) -> str:
        """Say in a sentence what the present phase lacks, and why."""
        reasons = "; ".join(f"{name} {getattr(said, 'reason', said)}" for name, said in self.refused.items()) or "none"
        return f"{type(self.message).__name__.lower()} got {len(self.granted)} of {self.quorum.size} answers: {reasons}"
