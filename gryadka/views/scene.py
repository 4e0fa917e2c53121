"""What a run looks like at one moment: who is where, and which messages are on their way. Made from its events.

What may live here: following a run's events, and telling each in a sentence. Nothing is drawn (see `cluster`).

A scene follows one register. What a trace does not tell is made out from what it tells: real servers do not say
that a message arrived, only what was answered, and nobody says that an answer came when nobody waited for it any
more. So a scene that knows the whole run (`rest`) lets go of messages of which the run never speaks again, once
their proposer has gone on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count

from gryadka.protocol.acceptor import ZERO, Accept, Accepted, Conflict, Message, Prepare, Promise, Read, Reply, State
from gryadka.trace import FORGOTTEN, Event
from gryadka.views import wording

_Leg = tuple[str, str, Message, bool]
"""Messages that a trace does not tell apart: proposer, acceptor, message, and whether it is the way back."""


@dataclass(eq=False)
class Packet:
    """A message on its way to an acceptor; with `reply`, on its way back. `number` is its own for the whole run."""

    number: int
    proposer: str
    acceptor: str
    message: Message
    reply: Reply | None = None
    lost: bool = False

    @property
    def leg(self) -> _Leg:
        """What a trace knows it by."""
        return self.proposer, self.acceptor, self.message, self.reply is not None


@dataclass(eq=False)
class Acceptor:
    """`said` is its last answer, in a sentence; `refused` whether that was a no."""

    state: State = field(default_factory=State)
    up: bool = True
    paused: bool = False
    said: str = ""
    refused: bool = False


@dataclass(eq=False)
class Proposer:
    """`message` is what it asks for at present; `granted` and `refused` are who has said yes and who has not.

    `promises` are what it was told in its last prepare, by acceptor; `why` says why it proposes what it proposes, and
    `in_short` says so in a few words.
    """

    up: bool = True
    change: int | None = None
    message: Message | None = None
    granted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    promises: dict[str, Promise] = field(default_factory=dict)
    why: str = ""
    in_short: str = ""
    ended: str = ""


class Scene:
    """Follows the events of one register. `quorum` is how many acceptors make one.

    Read only: `acceptors` and `proposers` by name, `packets` on their way, `cuts` as (from, to), `now` (the nodes
    that the last step was about), `chosen` (the ballot and value that a quorum has accepted last, or None).
    """

    def __init__(
        self,
        proposers: Iterable[str],
        acceptors: Iterable[str],
        *,
        quorum: int,
        rest: Iterable[Event] | None = None,
    ) -> None:
        self.proposers = {name: Proposer() for name in proposers}
        self.acceptors = {name: Acceptor() for name in acceptors}
        self.quorum = quorum
        self.packets: list[Packet] = []
        self.cuts: list[tuple[str, str]] = []
        self.now: list[str] = []
        self.chosen: Accept | None = None
        self._votes: dict[Accept, list[str]] = {}
        self._numbers = count(1)
        self._to_come = None if rest is None else Counter(leg for event in rest if (leg := _ended_leg(event)))

    def step(self, events: Sequence[Event]) -> str:
        """Take in what happened in one step, and tell it in sentences, on one line."""
        self.packets = [packet for packet in self.packets if not packet.lost]
        self.now = []
        told: list[str] = []
        for number, event in enumerate(events):
            if event.kind == "sent" and number and same_sending(events[number - 1], event):
                self._sent(event)
                continue
            told.append(self._take(event, events[number:]))
            self.now += [event.node]
        self._let_go()
        return " ".join(sentence[0].upper() + sentence[1:] + "." for sentence in told if sentence)

    def seat(self, proposers: Iterable[str]) -> None:
        """Have these proposers from now on: those who have taken the place of others are new."""
        self.proposers = {name: self.proposers.get(name, Proposer()) for name in proposers}

    # -- one event ---------------------------------------------------------------------------------------

    def _take(self, event: Event, following: Sequence[Event]) -> str:
        if self._to_come is not None and (leg := _ended_leg(event)):
            self._to_come[leg] -= 1
        name = wording.node(event.node)
        if event.message == Read():
            return self._read(event, following)
        if event.kind == "sent" and event.message:
            asked = [other.peer or "" for other in following if same_sending(event, other)]
            self._sent(event)
            why = self.proposers[event.node].why if event.node in self.proposers else ""
            return f"{name} asks {listed(asked)} to {wording.wish(event.message)}" + (f": {why}" if why else "")
        if event.kind == "state" and event.message and event.node in self.acceptors:
            return self._answered(event, event.message)
        if event.kind == "state" and event.state and event.node in self.acceptors:  # of its own accord: see the note
            acceptor = self.acceptors[event.node]
            acceptor.state, acceptor.said = event.state, event.note or "changes"
            return f"{name} {acceptor.said}"
        if event.kind == "delivered" and event.message and event.reply is not None:  # `Accepted()` is falsy
            return self._heard(event, event.message, event.reply)
        if event.kind == "failed":
            return self._failed(event)
        if event.kind in ("dropped", "duplicated"):
            return self._on_the_way(event)
        if event.kind in ("change-begun", "change-ended"):
            return self._change(event)
        return self._fault(event)

    def _read(self, event: Event, following: Sequence[Event]) -> str:
        # It is told, and not drawn: it has no ballot, and leaves everything as it is.
        name = wording.node(event.node)
        if event.kind == "sent":
            asked = [other.peer or "" for other in following if same_sending(event, other)]
            return f"{name} asks {listed(asked)} what they hold"
        if isinstance(event.reply, State) and event.kind == "delivered":
            return f"{name} hears from {event.peer}: {wording.state(event.reply)}"
        if event.kind == "state":
            return f"{name} shows what it holds"
        return f"a question of {name} to {event.peer}: {event.note or event.kind}"

    def _sent(self, event: Event) -> None:
        proposer = self.proposers.get(event.node)
        if not event.message or not event.peer or proposer is None:
            return
        if proposer.message != event.message:
            proposer.why, proposer.in_short = _why(proposer, event.message)
            proposer.message, proposer.granted, proposer.refused = event.message, [], []
            proposer.promises = {}
        self.packets.append(Packet(next(self._numbers), event.node, event.peer, event.message))

    def _answered(self, event: Event, message: Message) -> str:
        acceptor, before = self.acceptors[event.node], self.acceptors[event.node].state
        who = event.peer or f"proposer-{message.ballot.proposer}"
        reply = _reply_of(message, event.state or before) if event.reply is None else event.reply
        acceptor.state = event.state or before
        packet = self._find((who, event.node, message, False))
        if packet is None:
            packet = Packet(next(self._numbers), who, event.node, message)
            self.packets.append(packet)
        packet.reply = reply
        return self._say(event.node, message, reply)

    def _say(self, name: str, message: Message, reply: Reply) -> str:
        acceptor = self.acceptors[name]
        acceptor.refused = isinstance(reply, Conflict)
        if isinstance(reply, Conflict):
            acceptor.said = f"says no to {wording.short(message)}: {wording.because(message, reply.promised)}"
        elif isinstance(reply, Promise):
            had = f"{wording.value(reply.value)} at {wording.ballot(reply.accepted)}"
            acceptor.said = f"promises {wording.ballot(message.ballot)}, and tells that it has accepted "
            acceptor.said += had if reply.accepted != ZERO or reply.value else "nothing"
        else:
            asked = wording.wish(message).removeprefix("accept ")
            acceptor.said = f"accepts {asked}".replace(", and to promise", ", and promises")
            if isinstance(message, Accept):
                return f"{name} {acceptor.said}{self._vote(name, message)}"
        return f"{name} {acceptor.said}"

    def _vote(self, name: str, message: Accept) -> str:
        voters = self._votes.setdefault(message, [])
        if name in voters:
            return ""
        voters.append(name)
        if len(voters) != self.quorum:
            return ""
        self.chosen = message
        return f"; a quorum has accepted it ({listed(voters)}), so {wording.value(message.value)} is chosen"

    def _heard(self, event: Event, message: Message, reply: Reply) -> str:
        peer, who = event.peer or "", self.proposers.get(event.node)
        if back := self._find((event.node, peer, message, True)):
            self.packets.remove(back)
        elif forth := self._find((event.node, peer, message, False)):  # nobody told what happened at the server
            self.packets.remove(forth)
            if peer in self.acceptors:
                self._say(peer, message, reply)
        told = f"{wording.node(event.node)} hears from {peer}: {wording.reply(reply)}"
        if who is None or message != who.message or peer in who.granted + who.refused:
            return f"{told}, too late to matter"
        (who.refused if isinstance(reply, Conflict) else who.granted).append(peer)
        if isinstance(reply, Promise):
            who.promises[peer] = reply
        if len(who.granted) == self.quorum and not isinstance(reply, Conflict):
            return f"{told}; that makes a quorum: {listed(who.granted)}"
        return told

    def _failed(self, event: Event) -> str:
        proposer = self.proposers.get(event.node)
        if proposer and event.message and event.message == proposer.message and event.peer not in proposer.granted:
            proposer.refused += [event.peer] if event.peer and event.peer not in proposer.refused else []
        note = (event.note or "").removeprefix(f"{event.peer}: ")
        to = f" to {wording.short(event.message)}" if event.message else ""
        return f"{wording.node(event.node)} gets no answer from {event.peer}{to}: {note}" if event.peer else note

    def _on_the_way(self, event: Event) -> str:
        back = event.reply is not None
        proposer, acceptor = (event.peer, event.node) if back else (event.node, event.peer)
        what = (
            f"the answer of {acceptor} to {wording.node(proposer or '')}"
            if back
            else (f"{wording.short(event.message)} to {acceptor}" if event.message else "a message")
        )
        if not event.message or not proposer or not acceptor:
            return ""
        found = self._find((proposer, acceptor, event.message, back))
        if event.kind == "dropped":
            if found:
                found.lost = True
            return f"{what} is lost: {event.note}" if event.note not in (None, "lost") else f"{what} is lost"
        self.packets.append(Packet(next(self._numbers), proposer, acceptor, event.message, event.reply))
        return f"{what} is duplicated: it {event.note or 'arrives twice'}"

    def _change(self, event: Event) -> str:
        proposer, name = self.proposers.setdefault(event.node, Proposer()), wording.node(event.node)
        if event.kind == "change-begun":
            proposer.change, proposer.ended = event.change, ""
            return f"{name} begins change {event.change}"
        proposer.change, proposer.ended = None, f"change {event.change}: {wording.outcome(event.note)}"
        return f"change {event.change} of {name} ends: {wording.outcome(event.note)}"

    def _fault(self, event: Event) -> str:
        node = self.acceptors.get(event.node) or self.proposers.get(event.node)
        name, note = wording.node(event.node), f", {event.note}" if event.note else ""
        if event.kind in ("partitioned", "healed") and event.peer:
            way = (event.node, event.peer)
            self.cuts = [cut for cut in self.cuts if cut != way] + [way] * (event.kind == "partitioned")
            return f"the way from {name} to {wording.node(event.peer)} is {wording.FAULTS[event.kind]}"
        if node and event.kind in ("crashed", "restarted"):
            node.up = event.kind == "restarted"
        if isinstance(node, Acceptor):
            node.paused = event.kind == "paused" or (node.paused and event.kind != "resumed")
            if event.note == FORGOTTEN:
                node.state = State()
        if isinstance(node, Proposer) and event.kind == "crashed":
            node.message, node.granted, node.refused, node.why = None, [], [], ""
            self.cuts = [cut for cut in self.cuts if event.node not in cut]
        return f"{name} {wording.FAULTS[event.kind]}{note}"

    # -- packets -----------------------------------------------------------------------------------------

    def _find(self, leg: _Leg) -> Packet | None:
        return next((packet for packet in self.packets if packet.leg == leg and not packet.lost), None)

    def _let_go(self) -> None:
        if self._to_come is None:
            return
        left, kept = self._to_come.copy(), []
        for packet in self.packets:
            who = self.proposers.get(packet.proposer)
            waits = who and who.message == packet.message and who.change is not None
            waits = waits and packet.acceptor not in (who.granted + who.refused if who else [])
            left[packet.leg] -= 1
            if waits or packet.lost or left[packet.leg] >= 0 or self._answer_to_come(packet):
                kept.append(packet)
        self.packets = kept

    def _answer_to_come(self, packet: Packet) -> bool:
        # Real servers say nothing of a message that they refuse; the answer tells that it had arrived.
        back = (packet.proposer, packet.acceptor, packet.message, True)
        return packet.reply is None and self._to_come is not None and self._to_come[back] > 0


def _ended_leg(event: Event) -> _Leg | None:
    # Which message's way this event ends, if it does.
    message = event.message
    if message and event.kind == "state":
        return event.peer or f"proposer-{message.ballot.proposer}", event.node, message, False
    if message and event.peer and event.kind == "delivered":
        return event.node, event.peer, message, True
    if message and event.peer and event.kind == "dropped":
        ends = (event.peer, event.node) if event.reply is not None else (event.node, event.peer)
        return *ends, message, event.reply is not None
    return None


def _why(proposer: Proposer, message: Message) -> tuple[str, str]:
    # Why a proposer proposes what it proposes, as far as the run tells: what the rule has it go on from.
    before, promises = proposer.message, proposer.promises
    if not isinstance(message, Accept):
        return "", ""
    if isinstance(before, Prepare) and before.ballot == message.ballot and promises:
        highest, names = max(promises.values(), key=lambda promise: promise.accepted), listed(list(promises))
        if highest.accepted == ZERO:
            nothing = f"{names} had accepted nothing"
            return f"by the rule it begins with nothing, for {nothing}", nothing
        value = f"{wording.value(highest.value)} at {wording.ballot(highest.accepted)}"
        short = f"from {value}, highest of {', '.join(promises)}"
        return f"by the rule it goes on from {value}, the highest that {names} told of", short
    if isinstance(before, Accept) and before.promise == message.ballot:
        return "this ballot was promised with its last accept, so it need not prepare", "it need not prepare"
    return "", ""


def _reply_of(message: Message, after: State) -> Reply:
    # What an acceptor answered that is in this state since, and tells no more.
    if isinstance(message, Prepare):
        return Promise(after.accepted, after.value) if after.promised == message.ballot else Conflict(after.promised)
    return Accepted() if after.accepted == message.ballot else Conflict(after.promised)


def same_sending(one: Event, other: Event) -> bool:
    """Whether two events that follow each other tell of the same message on its way to several acceptors."""
    # Not at the same time: a real clock goes on between the first and the last. No proposer sends a message twice.
    return one.kind == "sent" and (one.kind, one.node, one.key, one.message) == (
        other.kind,
        other.node,
        other.key,
        other.message,
    )


def listed(names: Sequence[str]) -> str:
    """Return "A, B and C"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
