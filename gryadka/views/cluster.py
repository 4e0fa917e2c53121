"""A run as frames: proposers above, acceptors below, and between them the messages on their way.

What may live here: the layout and the drawing of scenes (see `scene`), and cutting a run into steps.

Where things stand is worked out once, from the whole run, so nothing jumps from one frame to the next. A message
waits at the node that it is going to: above an acceptor, or, on its way back, below a proposer. A line from a
proposer to an acceptor is what that acceptor has answered in the proposer's present round: solid for yes, dashed
for no. The solid lines of one proposer are its quorum as it forms.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from gryadka.trace import Event, Trace
from gryadka.views import wording
from gryadka.views.frames import Choice, Frame
from gryadka.views.scene import Acceptor, Packet, Proposer, Scene, same_sending
from gryadka.views.svg import WIDTH, Look, box, cross, drawn, group, label, line, shortened

_CHARACTER = 7.2
_ROW = 26
_MOST_ROWS = 6
_NARROWEST = 150  # an acceptor's column: "promised nothing" fits
_PROPOSER, _ACCEPTOR = 88, 92
_SAYS = 54


@dataclass(frozen=True)
class Layout:
    """Where things stand: the middles of nodes, and how much room there is for messages, in rows."""

    proposers: Mapping[str, float]
    acceptors: Mapping[str, float]
    rows_up: int = _MOST_ROWS  # above an acceptor
    rows_back: int = _MOST_ROWS  # below a proposer
    width: float = WIDTH

    @classmethod
    def of(cls, proposers: Sequence[str], acceptors: Sequence[str], rows: tuple[int, int]) -> Layout:
        """Spread the nodes evenly. `rows` are the most messages that ever wait at an acceptor, and at a proposer."""
        width = max(WIDTH, _NARROWEST * len(acceptors))
        places = [
            {name: width / len(names) * (number + 0.5) for number, name in enumerate(names)}
            for names in (proposers, acceptors)
        ]
        up, back = (min(max(number, 1), _MOST_ROWS) for number in rows)
        return cls(places[0], places[1], up, back, width)

    @property
    def proposer_width(self) -> float:
        """How wide a proposer's column is."""
        return self.width / max(len(self.proposers), 2) - 12

    @property
    def acceptor_width(self) -> float:
        """How wide an acceptor's column is."""
        return self.width / max(len(self.acceptors), 3) - 12

    @property
    def acceptors_top(self) -> float:
        """Where the acceptors' boxes begin."""
        return 26 + _PROPOSER + _ROW * (self.rows_up + self.rows_back) + 44

    @property
    def height(self) -> float:
        """How high the picture is."""
        return self.acceptors_top + _ACCEPTOR + _SAYS


class ClusterView:
    """The frames of a run, as far as it concerns one register. It is a `View`.

    `steps` are groups of events; by default each event is a step, except that asking several acceptors the same
    is one; in a trace with captions, a step is what happened at one instant. `key` is the register, by default the
    one that most events are about. `quorum` is how many acceptors make one, by default a majority.
    """

    def __init__(self, trace: Trace, *, key: str | None = None, title: str = "", quorum: int | None = None) -> None:
        self.key = main_key(trace) if key is None else key
        self.title = title or ("A run" if self.key is None else f"What happens to {self.key}")
        events = [event for event in trace if event.key in (None, self.key)]
        self.steps = _told_steps(events) if trace.captions else steps_of(events)
        self.captions = trace.captions
        proposers, acceptors = nodes(trace)
        acting = {name for event in events if event.key for name in (event.node, event.peer)}
        proposers = [name for name in proposers if name in acting] or proposers
        self.quorum = quorum or len(acceptors) // 2 + 1
        self._names = proposers, acceptors
        rows = self._rows(events)
        self.layout = Layout.of(proposers, acceptors, rows)
        self._frames = self._draw_all(events)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> Frame:
        return self._frames[number]

    def _scene(self, events: Sequence[Event]) -> Scene:
        return Scene(*self._names, quorum=self.quorum, rest=events)

    def _rows(self, events: Sequence[Event]) -> tuple[int, int]:
        # How many messages wait at one node, at most.
        scene, up, back = self._scene(events), 0, 0
        for step in self.steps:
            scene.step(step)
            waiting = Counter((packet.reply is None, _target(packet)) for packet in scene.packets)
            up = max([up, *(n for (forth, _), n in waiting.items() if forth)])
            back = max([back, *(n for (forth, _), n in waiting.items() if not forth)])
        return up, back

    def _draw_all(self, events: Sequence[Event]) -> list[Frame]:
        scene = self._scene(events)
        frames = [draw(scene, self.layout, "Nothing has happened yet.", f"{self.title}: before the first step")]
        for number, step in enumerate(self.steps, start=1):
            told = scene.step(step)
            if number <= len(self.captions):
                caption = self.captions[number - 1]
                told = f"{caption[0].upper()}{caption[1:]}" if caption else told
            frames.append(draw(scene, self.layout, told, f"{self.title}: step {number} of {len(self.steps)}"))
        return frames


# -- cutting -------------------------------------------------------------------------------------------------


def nodes(trace: Iterable[Event]) -> tuple[list[str], list[str]]:
    """Return the names of the proposers, lower numbers first, and of the acceptors, in the order of the alphabet."""
    proposers: dict[str, None] = {}
    acceptors: dict[str, None] = {}
    for event in trace:
        for name in (event.node, event.peer):
            if name:
                (proposers if name.startswith("proposer-") else acceptors)[name] = None
    return sorted(proposers, key=lambda name: (len(name), name)), sorted(acceptors)


def main_key(trace: Iterable[Event]) -> str | None:
    """Return the register that most events are about, the first of them if there are several; None if none is."""
    counted = Counter(event.key for event in trace if event.key is not None)
    return counted.most_common(1)[0][0] if counted else None


def steps_of(events: Iterable[Event]) -> list[list[Event]]:
    """Cut a run into steps: each event is one, except that asking several acceptors the same at once is one."""
    steps: list[list[Event]] = []
    for event in events:
        asked = [other.peer for other in steps[-1]] if steps else []
        if steps and same_sending(steps[-1][-1], event) and event.peer not in asked:
            steps[-1].append(event)
        else:
            steps.append([event])
    return steps


def _told_steps(events: Iterable[Event]) -> list[list[Event]]:
    return [list(step) for _, step in groupby(events, key=lambda event: event.at_s)]


# -- drawing -------------------------------------------------------------------------------------------------


def draw(
    scene: Scene, layout: Layout, told: str, title: str, *, below: str = "", choices: Sequence[Choice] = ()
) -> Frame:
    """Draw one moment. `told` says what has just happened; `below` stands under the picture."""
    shapes = [*_links(scene, layout), *_cuts(scene, layout)]
    shapes += [_proposer(name, who, scene, layout) for name, who in scene.proposers.items() if name in layout.proposers]
    shapes += [_acceptor(name, who, scene, layout) for name, who in scene.acceptors.items()]
    shapes += _packets(scene, layout)
    height = layout.height
    if below:
        height += 30
        shapes.append(label(6, height - 10, shortened(below, int(layout.width / _CHARACTER))))
    words = "\n".join([told, *in_words(scene), *([below] if below else [])])
    return Frame(drawn(title, words, shapes, height, width=layout.width), words, tuple(choices))


def in_words(scene: Scene) -> list[str]:
    """Tell all that the picture of a scene shows."""
    lines = []
    for name, acceptor in scene.acceptors.items():
        how = "is down; stored: " if not acceptor.up else "stands still; " if acceptor.paused else ""
        lines.append(f"{name}: {how}{wording.state(acceptor.state)}")
        if acceptor.refused:
            lines.append(f"{name} {acceptor.said}")
    for name, proposer in scene.proposers.items():
        lines.append(f"{wording.node(name)}: {'; '.join(_facts(proposer, scene.quorum))}")
    for packet in scene.packets:
        what = _said(packet)
        ends = (wording.node(packet.proposer), packet.acceptor)
        source, target = ends if packet.reply is None else ends[::-1]
        lines.append(f"{'lost' if packet.lost else 'on its way'} from {source} to {target}: {what}")
    lines += [f"the way from {wording.node(one)} to {wording.node(other)} is cut" for one, other in scene.cuts]
    if scene.chosen:
        lines.append(f"chosen last: {wording.value(scene.chosen.value)}, at {wording.ballot(scene.chosen.ballot)}")
    return lines


def _facts(proposer: Proposer, quorum: int) -> list[str]:
    facts = []
    if not proposer.up:
        facts.append("gone")
    elif proposer.change is not None:
        facts.append(f"change {proposer.change}")
    else:
        facts.append(proposer.ended or "idle")
    if proposer.message and proposer.change is not None:
        facts.append(f"asks to {wording.wish(proposer.message)}")
        facts.append(f"yes: {', '.join(proposer.granted) or 'nobody'} ({len(proposer.granted)} of {quorum})")
        facts += [f"no: {', '.join(proposer.refused)}"] if proposer.refused else []
        facts += [proposer.why] if proposer.why else []
    return facts


def _proposer(name: str, proposer: Proposer, scene: Scene, layout: Layout) -> str:
    width, middle = layout.proposer_width, layout.proposers[name]
    room = int((width - 12) / _CHARACTER)
    look: Look = "now" if name in scene.now else "paper"
    shapes = [box(-width / 2, 0, width, _PROPOSER, look=look, dashed=not proposer.up)]
    facts = _facts(proposer, scene.quorum)
    shapes.append(label(0, 19, shortened(f"{wording.node(name)}: {facts[0]}", room), anchor="middle", bold=True))
    votes = [fact for fact in facts[2:] if fact != proposer.why]
    wish = "".join(facts[1:2]).partition(", and to promise")[0]  # the message itself shows that, too
    lines = [wish, proposer.in_short if proposer.change is not None else "", "; ".join(votes)]
    for number, fact in enumerate(filter(None, lines)):
        shapes.append(label(0, 38 + 18 * number, shortened(fact, room), anchor="middle"))
    return group(f"node {name}", middle, 2, shapes)


def _acceptor(name: str, acceptor: Acceptor, scene: Scene, layout: Layout) -> str:
    width, state = layout.acceptor_width, acceptor.state
    room = int((width - 20) / _CHARACTER)
    look: Look = "now" if name in scene.now else "paper"
    shapes = [box(-width / 2, 0, width, _ACCEPTOR, look=look, dashed=not acceptor.up or acceptor.paused)]
    heading = name if acceptor.up else f"{name} (down)"
    heading += " (stands still)" if acceptor.paused else ""
    shapes.append(label(0, 20, shortened(heading, room), anchor="middle", bold=True))
    for number, fact in enumerate(wording.facts(state)):
        shapes.append(label(10 - width / 2, 42 + 20 * number, shortened(fact, room)))
    if not acceptor.up:
        shapes.append(cross(0, _ACCEPTOR / 2, width / 2 - 8, _ACCEPTOR / 2 - 8))
    if acceptor.refused:  # why, at the acceptor itself
        for number, text in enumerate(textwrap.wrap(acceptor.said, room + 2)[:3]):
            shapes.append(label(-width / 2 + 4, _ACCEPTOR + 16 + 16 * number, text))
    return group(f"node {name}", layout.acceptors[name], layout.acceptors_top, shapes)


def _links(scene: Scene, layout: Layout) -> list[str]:
    shapes = []
    for name, proposer in scene.proposers.items():
        if name in layout.proposers and proposer.change is not None:
            for peers, look in ((proposer.granted, "yes"), (proposer.refused, "no")):
                for peer in peers:
                    ends = layout.proposers[name], 2 + _PROPOSER, layout.acceptors[peer], layout.acceptors_top
                    shapes.append(group(f"{look} {name} {peer}", 0, 0, [line(*ends, look=look)]))  # type: ignore[arg-type]
    return shapes


def _cuts(scene: Scene, layout: Layout) -> list[str]:
    # A cross on the way, nearer to the end that cannot be reached.
    places, shapes = {**layout.proposers, **layout.acceptors}, []
    top, bottom = 2.0 + _PROPOSER, layout.acceptors_top
    for source, target in scene.cuts:
        if source in places and target in places:
            down = source in layout.proposers
            (x1, x2) = (places[source], places[target]) if down else (places[target], places[source])
            part = 0.6 if down else 0.4
            x, y = x1 + (x2 - x1) * part, top + (bottom - top) * part
            shapes.append(group(f"cut {source} {target}", 0, 0, [line(x1, top, x2, bottom), cross(x, y, 9, 9)]))
    return shapes


def _packets(scene: Scene, layout: Layout) -> list[str]:
    shapes, waiting = [], Counter[tuple[bool, str]]()
    for packet in scene.packets:
        forth, target = packet.reply is None, _target(packet)
        row = waiting[forth, target]
        waiting[forth, target] += 1
        places, rows = (layout.acceptors, layout.rows_up) if forth else (layout.proposers, layout.rows_back)
        if row >= rows or target not in places:
            continue  # the words tell of it
        y = layout.acceptors_top - 14 - _ROW * (row + 1) if forth else 2 + _PROPOSER + 10 + _ROW * row
        width = (layout.acceptor_width if forth else layout.proposer_width) - 8
        shapes.append(_packet(packet, places[target], y, width))
    for (forth, target), number in waiting.items():
        places, rows = (layout.acceptors, layout.rows_up) if forth else (layout.proposers, layout.rows_back)
        if number > rows and target in places:
            y = layout.acceptors_top - 20 - _ROW * rows if forth else 2 + _PROPOSER + 20 + _ROW * rows
            shapes.append(label(places[target], y, f"and {number - rows} more", anchor="middle"))
    return shapes


def _packet(packet: Packet, x: float, y: float, width: float) -> str:
    forth = packet.reply is None
    text = f"▼ {_said(packet)}" if forth else f"▲ {packet.acceptor}: {_said(packet)}"
    shapes = [box(-width / 2, 0, width, _ROW - 4, look="paper", dashed=not forth)]
    room = int((width - 10) / _CHARACTER)
    if forth and len(text) > room:  # the list of messages names the promise, too
        text = f"▼ {wording.message(packet.message, promise=False)}"
    shapes.append(label(6 - width / 2, 15, shortened(text, room)))
    if packet.lost:
        shapes.append(cross(0, (_ROW - 4) / 2, width / 2 - 4, 9))
    return group(f"packet {packet.number}", x, y, shapes)


def _said(packet: Packet) -> str:
    return wording.message(packet.message) if packet.reply is None else wording.reply(packet.reply)


def _target(packet: Packet) -> str:
    return packet.acceptor if packet.reply is None else packet.proposer
