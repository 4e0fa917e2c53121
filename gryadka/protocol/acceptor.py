"""The acceptor: what one server remembers of one register, and how it answers.

Only values and pure functions may live here; storage and networks live elsewhere. The whole theory:

- An acceptor remembers the highest ballot that it *promised*, and the last value that it *accepted*
  together with that value's ballot.
- Asked to prepare or to accept, it says yes to a ballot that is high enough and remembers it *before*
  it answers. To any other it says no, and names the ballot that it has promised.

`promised` is never below `accepted`, so one comparison decides every answer. `TRANSITIONS` lists all six
cases; the functions below, the pictures and the tests read that one table.

Source: Rystsov, "CASPaxos: Replicated State Machines without logs" (arXiv 1802.07000), section 2.2.
"""

from __future__ import annotations

from typing import NamedTuple


class Ballot(NamedTuple):
    """A round's number. Ballots order by counter; the proposer's id breaks ties, so no two are equal."""

    counter: int
    proposer: int

    def __str__(self) -> str:
        return f"{self.counter}:{self.proposer}"


ZERO = Ballot(0, 0)
"""Below every ballot that a proposer uses: "nothing promised", "nothing accepted"."""


MAX_COUNTER = 2**53 - 1
"""The highest counter and proposer id. Lua's numbers are doubles, which begin to round above it."""


class State(NamedTuple):
    """One register on one acceptor. `value` is opaque here; a proposer stores JSON text in it."""

    promised: Ballot = ZERO
    accepted: Ballot = ZERO
    value: str | None = None


class Prepare(NamedTuple):
    """Asks: promise me this ballot, and tell me what you accepted last."""

    ballot: Ballot


class Accept(NamedTuple):
    """Asks: accept this value at this ballot, and from now on promise `promise`.

    With `promise == ballot` it is the accept of plain Paxos. A higher one saves the next round its
    prepare: that is the one-round-trip optimisation (CASPaxos, section 2.2.1).
    """

    ballot: Ballot
    value: str
    promise: Ballot


class Read(NamedTuple):
    """Asks: show me your state. It promises nothing and stores nothing; every acceptor answers it with its `State`.

    Source of quorum reads: Charapko, Ailijani, Demirbas, "Linearizable Quorum Reads in Paxos" (2019).
    """


class Promise(NamedTuple):
    """Yes to a prepare: what was accepted last (`ZERO` and `None` if nothing was)."""

    accepted: Ballot
    value: str | None


class Accepted(NamedTuple):
    """Yes to an accept."""


class Conflict(NamedTuple):
    """No: this acceptor has already promised `promised`."""

    promised: Ballot

    def __str__(self) -> str:
        return f"has promised {self.promised}"


Message = Prepare | Accept
Reply = Promise | Accepted | Conflict | State
YES: dict[type, type[Reply]] = {Prepare: Promise, Accept: Accepted, Read: State}
"""What a yes to each kind of message is. Whatever else comes as a reply grants nothing."""

# (message, how its ballot compares with the promised one) -> the answer. A yes stores, a no does not.
#
# A prepare has to be *higher*: each acceptor promises a ballot at most once, so even two proposers that
# share an id by mistake cannot both prepare the same ballot. (Promising an equal one again is sound too,
# as long as ids are unique.) An accept may be *equal*: that is the promise being redeemed, or a duplicate.
TRANSITIONS: dict[tuple[str, str], type[Reply]] = {
    ("prepare", "lower"): Conflict,
    ("prepare", "equal"): Conflict,
    ("prepare", "higher"): Promise,
    ("accept", "lower"): Conflict,
    ("accept", "equal"): Accepted,
    ("accept", "higher"): Accepted,
}


def transition(kind: str, ballot: Ballot, promised: Ballot) -> type[Reply]:
    """Look up the type of the answer to a message of this `kind` ("prepare" or "accept")."""
    return TRANSITIONS[kind, "lower" if ballot < promised else "higher" if ballot > promised else "equal"]


def prepare(state: State, message: Prepare) -> tuple[State, Reply]:
    """Answer a prepare. Returns the state to store before the reply may leave, and the reply."""
    if transition("prepare", message.ballot, state.promised) is Conflict:
        return state, Conflict(state.promised)
    return state._replace(promised=message.ballot), Promise(state.accepted, state.value)


def accept(state: State, message: Accept) -> tuple[State, Reply]:
    """Answer an accept. Returns the state to store before the reply may leave, and the reply."""
    if transition("accept", message.ballot, state.promised) is Conflict:
        return state, Conflict(state.promised)
    return State(promised=message.promise, accepted=message.ballot, value=message.value), Accepted()
