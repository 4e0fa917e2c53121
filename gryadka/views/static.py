"""Pictures that stand still: what acceptors remember, how they answer, and one change as messages.

Each returns a `Picture`, which a notebook shows when it is a cell's last value.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

from gryadka.protocol.acceptor import TRANSITIONS, Accepted, Conflict, Promise, State
from gryadka.trace import Event
from gryadka.views import wording
from gryadka.views.svg import WIDTH, Picture, arrow, box, cross, label, line, shortened

_CHARACTER = 7.6
"""How wide a letter is, in pixels, with a little to spare."""

_BOX = 96
_GAP = 12
_ROW = 27

# What a reply means to those who do not know its name.
_MEANING: dict[type, tuple[str, str]] = {
    Promise: ("yes", "stores the promise"),
    Accepted: ("yes", "stores ballot, value and its promise"),
    Conflict: ("no", "stores nothing"),
}


def acceptors(states: Mapping[str, State | None]) -> Picture:
    """Draw what each acceptor remembers of one register, by name; None stands for one that is down."""
    columns = len(states) if 1 <= len(states) <= 4 else 3
    pitch = WIDTH / columns
    shapes = []
    for number, (name, state) in enumerate(states.items()):
        top = 4 + (_BOX + _GAP) * (number // columns)
        shapes.append(_acceptor_box(pitch * (number % columns) + 6, top, pitch - _GAP, name, state))
    rows = max(1, -(-len(states) // columns))
    text = "\n".join(f"{name}: {wording.state(state)}" for name, state in states.items())
    return Picture("What each acceptor remembers", text, "\n".join(shapes), 8 + rows * (_BOX + _GAP) - _GAP)


def transitions() -> Picture:
    """Draw the acceptor's whole rule, from the table that the rule itself reads."""
    kinds = list(dict.fromkeys(kind for kind, _ in TRANSITIONS))
    cases = list(dict.fromkeys(case for _, case in TRANSITIONS))
    margin, height = 90, 80
    pitch = (WIDTH - margin) / len(cases)
    shapes = [label(6, 18, "its ballot is")]
    lines = []
    for column, case in enumerate(cases):
        shapes.append(label(margin + pitch * (column + 0.5), 18, f"{case} {_THAN[case]} promised", anchor="middle"))
    for row, kind in enumerate(kinds):
        top = 30 + (height + _GAP) * row
        shapes.append(label(6, top + 44, kind, bold=True))
        for column, case in enumerate(cases):
            reply = TRANSITIONS[kind, case]
            word, stores = _MEANING[reply]
            middle = margin + pitch * (column + 0.5)
            shapes.append(box(margin + pitch * column + 6, top, pitch - _GAP, height, dashed=word == "no"))
            shapes.append(label(middle, top + 26, f"{word}: {reply.__name__}", anchor="middle", bold=True))
            for number, part in enumerate(textwrap.wrap(stores, int((pitch - _GAP) / _CHARACTER))):
                shapes.append(label(middle, top + 46 + 18 * number, part, anchor="middle"))
            lines.append(f"{kind}, its ballot {case} {_THAN[case]} promised: {word}, {reply.__name__}, {stores}")
    picture_height = 30 + (height + _GAP) * len(kinds)
    return Picture("How an acceptor answers", "\n".join(lines), "\n".join(shapes), picture_height)


_THAN = {"lower": "than", "equal": "to", "higher": "than"}


def rounds(events: Iterable[Event], title: str = "One change, message by message") -> Picture:
    """Draw the messages of a short run, time going down: a line for each node, an arrow for each message.

    Answers are dashed; a message that got none ends in a cross. Below each acceptor stands what it remembers
    in the end, if `events` tell of its states. It suits one change or two, not a long run.
    """
    return _Sketch(list(events)).picture(title)


class _Sketch:
    # Lays a run's events out: a column for each node, a row for each event that is drawn.

    def __init__(self, events: list[Event]) -> None:
        sent = [event for event in events if event.kind == "sent"]
        self.peers = list(dict.fromkeys(event.peer for event in sent if event.peer))
        nodes = list(dict.fromkeys(event.node for event in sent)) + self.peers
        self.pitch = (WIDTH - 150) / max(len(nodes) - 1, 1)
        self.columns = {node: 70 + number * self.pitch for number, node in enumerate(nodes)}
        self.failed = {(event.node, event.peer, event.message) for event in events if event.kind == "failed"}
        self.dead = {peer for _, peer, _ in self.failed} - {event.peer for event in events if event.kind == "delivered"}
        self.states = {event.node: event.state for event in events if event.kind == "state" and event.state}
        self.shapes: list[str] = []
        self.lines: list[str] = []
        self.y = 42.0
        for event in events:
            self._draw(event)

    def picture(self, title: str) -> Picture:
        bottom = self.y
        for node, x in self.columns.items():
            self.shapes.append(label(x, 20, wording.node(node), anchor="middle", bold=True))
            self.shapes.append(line(x, 28, x, bottom, dashed=node in self.dead))
        if self.states:
            for peer in self.peers:
                self._draw_memory(peer, bottom)
            bottom += 54
        return Picture(title, "\n".join(self.lines), "\n".join(self.shapes), round(bottom) + 4)

    def _draw(self, event: Event) -> None:
        node, peer = event.node, event.peer or ""
        if event.kind in ("change-begun", "change-ended") and node in self.columns:
            remark = "begins" if event.kind == "change-begun" else f"ends: {event.note}"
            self.lines.append(f"{wording.node(node)}: the change {remark}")
            self.shapes.append(label(self.columns[node] + 10, self.y + 6, self._fitted(remark)))
            self.y += _ROW
        elif event.kind == "sent" and event.message:
            lost = (node, peer, event.message) in self.failed
            said = wording.message(event.message, promise=False)
            self.lines.append(f"{wording.node(node)} to {peer}: {said}" + (" (no answer)" if lost else ""))
            self._draw_arrow(self.columns[node], self.columns[peer], said, lost=lost)
        elif event.kind == "delivered" and event.message and event.reply is not None:
            said = wording.reply(event.reply)
            self.lines.append(f"{peer} answers {wording.node(node)}: {said}")
            self._draw_arrow(self.columns[peer], self.columns[node], said, dashed=True)

    def _draw_arrow(self, start: float, end: float, said: str, *, dashed: bool = False, lost: bool = False) -> None:
        # It falls a little on its way, as time goes by. The words stand beside the acceptor's column,
        # where no other column cuts them.
        tip, fall = (end - 20 if lost else end), 8
        self.shapes.append(arrow(start, self.y, tip, self.y + fall, dashed=dashed))
        if lost:
            self.shapes.append(cross(tip + 8, self.y + fall, 5, 5))
        words_end = max(start, end) - (36 if lost else 20)
        self.shapes.append(label(words_end, self.y - 4, self._fitted(said), anchor="end"))
        self.y += _ROW

    def _fitted(self, text: str) -> str:
        return shortened(text, int((self.pitch - 14) / _CHARACTER))

    def _draw_memory(self, peer: str, top: float) -> None:
        x, state = self.columns[peer], self.states.get(peer)
        remembers = ["no answer" if peer in self.dead else "nothing heard yet"]
        if state:
            value = "no value" if state.value is None else wording.value(state.value)
            remembers = [wording.facts(state)[0], value]
        self.lines.append(f"In the end {peer}: {wording.state(state) if state else remembers[0]}")
        width = min(140, self.pitch - 8)
        self.shapes.append(box(x - width / 2, top, width, 50, dashed=state is None))
        for number, text in enumerate(remembers):
            text = shortened(text, int((width - 8) / _CHARACTER))
            self.shapes.append(label(x, top + 40 - 10 * len(remembers) + 20 * number, text, anchor="middle"))


def _acceptor_box(left: float, top: float, width: float, name: str, state: State | None) -> str:
    middle, room = left + width / 2, int((width - 24) / _CHARACTER)
    shapes = [
        box(left, top, width, _BOX, dashed=state is None),
        label(middle, top + 20, shortened(name, room + 1), anchor="middle", bold=True),
    ]
    if state is None:
        shapes += cross(middle, top + 48, width / 2 - 14, 18), label(middle, top + 86, "down", anchor="middle")
    else:
        for number, fact in enumerate(wording.facts(state)):
            shapes.append(label(left + 12, top + 42 + 20 * number, shortened(fact, room)))
    return "".join(shapes)
