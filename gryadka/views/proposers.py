"""What each proposer has in hand: its queue, its counter, its cache, and the round trips that it used.

What may live here: counting a run's events, and the frames of that. Nothing asks a proposer: its events tell all.

The theory in a few lines. A change takes two round trips, a prepare and an accept. An accept may carry a promise of
the next ballot with it; a proposer that holds such a promise of a quorum (its *cache*) needs no prepare the next
time (CASPaxos, section 2.2.1). And changes that wait for one register share a round. So the round trips for each
change tell how well both work: 2 without them, 1 with the cache, less when changes share rounds, and more when
proposers are in each other's way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from gryadka.protocol.acceptor import Accept, Ballot, Conflict, Message
from gryadka.trace import Event
from gryadka.views import wording
from gryadka.views.cluster import nodes
from gryadka.views.frames import Frame, Frames
from gryadka.views.svg import WIDTH, box, cross, drawn, group, label, shortened

MOST = 8
"""How many proposers are drawn."""

_CHARACTER = 6.9
_HEIGHT, _GAP, _TOP = 108, 10, 30
_SQUARES = 16


@dataclass
class Hand:
    """What one proposer has done, and has in hand now. `cache` maps a register to the ballot it was promised."""

    up: bool = True
    waiting: int = 0
    counter: int = 0
    prepares: int = 0
    accepts: int = 0
    saved: int = 0
    conflicts: int = 0
    unanswered: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    cache: dict[str, Ballot] = field(default_factory=dict)
    asked: dict[str, Message] = field(default_factory=dict)
    granted: dict[str, set[str]] = field(default_factory=dict)

    @property
    def round_trips(self) -> int:
        """How many times it asked all acceptors something."""
        return self.prepares + self.accepts

    @property
    def ended(self) -> int:
        """How many changes have ended, one way or another."""
        return sum(self.outcomes.values())


class Hands:
    """The proposers of a run, by name. Feed it with events; `quorum` is by default a majority of those asked."""

    def __init__(self, quorum: int | None = None) -> None:
        self.hands: dict[str, Hand] = {}
        self._last: tuple[Event, int] | str = "Nothing has happened yet"
        self._quorum = quorum
        self._peers: set[str] = set()

    @property
    def said(self) -> str:
        """What has happened last. It is put into words when it is asked for: thousands of events may come between."""
        return self._last if isinstance(self._last, str) else _told(*self._last)

    @said.setter
    def said(self, text: str) -> None:
        self._last = text

    def add(self, event: Event) -> bool:
        """Take in an event. Returns whether anything changed."""
        hand = self.hands.get(event.node)
        if hand is None:
            if not event.node.startswith("proposer-"):
                return False
            hand = self.hands[event.node] = Hand()
        number: int | None = 0
        if event.kind == "change-begun":
            number = hand.waiting = hand.waiting + 1
        elif event.kind == "change-ended":
            hand.waiting -= 1
            hand.outcomes[event.note or ""] += 1
        elif event.kind == "sent" and event.message:
            self._peers.add(event.peer or "")
            number = self._sent(hand, event.key or "", event.message)
        elif event.kind == "delivered" and event.message:
            number = self._delivered(hand, event.key or "", event)
        elif event.kind == "failed":
            hand.unanswered += 1
        elif event.kind in ("crashed", "restarted"):
            hand.up = event.kind == "restarted"
        else:
            number = None
        if number is not None:
            self._last = event, number
        return number is not None

    def _sent(self, hand: Hand, key: str, message: Message) -> int | None:
        # Returns how many prepares this saved; None for the same question, to one acceptor more.
        if hand.asked.get(key) == message:
            return None
        hand.asked[key], hand.granted[key] = message, set()
        hand.counter = max(hand.counter, message.ballot.counter)
        held = hand.cache.pop(key, None)  # a promise serves one round only
        if not isinstance(message, Accept):
            hand.prepares += 1
            return 0
        hand.accepts += 1
        hand.counter = max(hand.counter, message.promise.counter)
        hand.saved += held == message.ballot
        return int(held == message.ballot)

    def _delivered(self, hand: Hand, key: str, event: Event) -> int | None:
        message, reply = event.message, event.reply
        if isinstance(reply, Conflict):
            hand.conflicts += 1
            hand.counter = max(hand.counter, reply.promised.counter)
            return 0
        granted = hand.granted.setdefault(key, set())
        if message != hand.asked.get(key) or not isinstance(message, Accept) or message.promise == message.ballot:
            return None
        granted.add(event.peer or "")
        if len(granted) != (self._quorum or len(self._peers) // 2 + 1):
            return None
        hand.cache[key] = message.promise
        return 0


def _told(event: Event, number: int) -> str:
    # What happened, in words. `number` is how many changes are under way, or how many prepares were saved.
    name, message = wording.node(event.node), event.message
    if event.kind == "change-begun":
        return f"{name} is asked for a change; {number} of its changes are under way"
    if event.kind == "change-ended":
        return f"a change of {name} ends: {wording.outcome(event.note)}"
    if event.kind == "sent" and message:
        return f"{name} sends {wording.short(message)}" + (", and needed no prepare" if number else "")
    if event.kind == "delivered" and isinstance(message, Accept) and not isinstance(event.reply, Conflict):
        return f"{name} holds the promise of {wording.ballot(message.promise)} for its next round"
    if isinstance(event.reply, Conflict):
        return f"{name} is refused by {event.peer}, which has promised {wording.ballot(event.reply.promised)}"
    if event.kind == "failed":
        return f"{name} gets no answer from {event.peer}"
    return f"{name} {wording.FAULTS[event.kind]}"


def frames(trace: Iterable[Event], *, quorum: int | None = None, title: str = "The proposers") -> Frames:
    """Return the frames of a run: one before it, and one for each event that changes what a proposer has in hand."""
    events = list(trace)
    hands = Hands(quorum)
    for name in nodes(events)[0]:
        hands.hands[name] = Hand()
    view = Frames(title)
    view.append(draw(hands, title))
    view.extend(draw(hands, title) for event in events if hands.add(event))
    return view


def draw(hands: Hands, title: str = "The proposers") -> Frame:
    """Draw what each proposer has in hand."""
    room = int((WIDTH - 12) / _CHARACTER)
    said = hands.said[:1].upper() + hands.said[1:] + "."
    shapes = [label(6, 18, shortened(said, room), bold=True)]
    lines = [said]
    for number, (name, hand) in enumerate(hands.hands.items()):
        facts = facts_of(hand)
        lines.append(f"{wording.node(name)}: {'; '.join(facts)}")
        if number < MOST:
            shapes.append(group(name, 4, _TOP + (_HEIGHT + _GAP) * number, _shapes(wording.node(name), hand, facts)))
    y = _TOP + (_HEIGHT + _GAP) * min(MOST, len(hands.hands))
    if len(hands.hands) > MOST:
        lines.insert(1, f"{MOST} of {len(hands.hands)} proposers are drawn.")
        shapes.append(label(6, y + 10, lines[1]))
        y += 16
    return Frame(drawn(title, "\n".join(lines), shapes, y), "\n".join(lines))


def facts_of(hand: Hand) -> list[str]:
    """Say what a proposer has in hand and has done, a fact a line."""
    cached = [
        f"{wording.ballot(ballot)} for {key}" if key else wording.ballot(ballot) for key, ballot in hand.cache.items()
    ]
    more = f" and {len(cached) - 2} more" if len(cached) > 2 else ""
    outcomes = [f"{count} {_OUTCOMES.get(note, note)}" for note, count in sorted(hand.outcomes.items())]
    each = f" ({hand.round_trips / hand.ended:.2f} a change)" if hand.ended else ""
    kinds = f"{hand.prepares} prepare, {hand.accepts} accept, {hand.saved} saved"
    facts = [
        f"queue: {hand.waiting} waiting" if hand.waiting else "queue: empty",
        f"counter: {hand.counter}",
        f"cache: promised {', '.join(cached[:2])}{more}" if cached else "cache: empty",
        f"round trips: {hand.round_trips}{each}: {kinds}",
        f"changes ended: {', '.join(outcomes) or 'none'}",
    ]
    trouble = [(hand.conflicts, "refused"), (hand.unanswered, "not answered")]
    told = ", ".join(f"{name}: {count}" for count, name in trouble if count)
    return [*facts, *([f"messages {told}"] if told else []), *([] if hand.up else ["down"])]


_OUTCOMES = {"ChangeRejected": "refused", "NotApplied": "not applied", "OutcomeUnknown": "unknown"}


def _shapes(name: str, hand: Hand, facts: list[str]) -> list[str]:
    width = WIDTH - 8
    shapes = [box(0, 0, width, _HEIGHT, dashed=not hand.up), label(12, 22, name, bold=True)]
    if not hand.up:
        shapes.append(cross(60, 60, 40, 26))
    for number, fact in enumerate(facts[:6]):
        shapes.append(label(170, 18 + 16.5 * number, shortened(fact, int((width - 176) / _CHARACTER))))
    # The queue, a square for each change that waits.
    for number in range(min(hand.waiting, _SQUARES)):
        x, y = 12 + 17 * (number % 8), 38 + 17 * (number // 8)
        shapes.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="currentColor" fill-opacity="0.3"/>')
    if hand.waiting > _SQUARES:
        shapes.append(label(12, 90, f"and {hand.waiting - _SQUARES} more"))
    return shapes
