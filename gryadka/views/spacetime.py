"""The space-time diagram of a run: a line for each node, time going down, an arrow for each message.

What may live here: that diagram, as frames that grow by a step at a time; the last one is the whole run.

The theory in a few lines (Lamport, "Time, clocks, and the ordering of events in a distributed system", 1978). An
event can be the cause of another only if one can walk from it to the other along lines and arrows, never upwards.
Two events without such a walk are concurrent: nobody can tell which was first, and the diagram may be bent so that
either is. So rows stand for order here, not for length of time; the time itself stands at the left.

A proposer's round is a bar on its line, hollow while it prepares, full while it asks to accept. The bar ends with
the quorum, with the next round, or when the proposer gives up.
"""

from __future__ import annotations

from dataclasses import dataclass

from gryadka.protocol.acceptor import Accept, Conflict
from gryadka.trace import Event, Trace
from gryadka.views import wording
from gryadka.views.cluster import main_key, nodes, steps_of
from gryadka.views.frames import Frame
from gryadka.views.scene import Packet, Scene
from gryadka.views.svg import WIDTH, Look, arrow, box, cross, drawn, group, label, line, shortened

MOST = 150
"""How many events are drawn, by default: the beginning of a longer run."""

_ROW, _TOP, _MARGIN = 24, 44, 62
_CHARACTER = 7.4
_NARROWEST = 112  # a lane's room: "promises 1:17" fits


@dataclass(eq=False)
class _Bar:
    # A round: where it began, and where it ended, in rows.
    proposer: str
    accepting: bool
    start: int
    end: int | None = None


class SpaceTime:
    """The frames of the diagram. It is a `View`.

    `key` is the register that is followed, by default the one that most events are about; `quorum` is how many
    acceptors make one, by default a majority; `most` is how many events are drawn.
    """

    def __init__(
        self, trace: Trace, *, key: str | None = None, quorum: int | None = None, most: int = MOST, title: str = ""
    ) -> None:
        key = main_key(trace) if key is None else key
        events = [event for event in trace if event.key in (None, key)]
        proposers, acceptors = nodes(events[:most])
        self.title = title or (f"The messages about {key}" if key else "The messages of a run")
        if len(events) > most:
            self.title += f": the first {most} of {len(events)} events"
        self._names = [*proposers, *acceptors]
        self._width = max(WIDTH, _MARGIN + _NARROWEST * len(self._names))
        pitch = (self._width - _MARGIN) / max(len(self._names), 1)
        self._x = {name: _MARGIN + pitch * (number + 0.05) for number, name in enumerate(self._names)}
        self._room = int((pitch - 8) / _CHARACTER)
        self._scene = Scene(proposers, acceptors, quorum=quorum or len(acceptors) // 2 + 1, rest=events)
        self._left: dict[int, tuple[int, bool]] = {}  # message -> the row in which it left, and whether it is a reply
        self._bars: list[_Bar] = []
        self._shapes: list[str] = []
        self._names_of: list[str] = []  # what stands beside events; above all lines
        self._told: list[str] = []
        self._begun_s = next((event.at_s for event in trace), 0.0)  # a real clock may have begun long before
        self._steps = steps_of(events[:most])
        self._frames = [self._frame(0)]
        for row, step in enumerate(self._steps, start=1):
            self._draw(step, row)
            self._frames.append(self._frame(row))

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> Frame:
        return self._frames[number]

    def _since(self, event: Event) -> float:
        return round(event.at_s - self._begun_s, 6)

    # -- one step ----------------------------------------------------------------------------------------

    def _draw(self, step: list[Event], row: int) -> None:
        before, event = [packet for packet in self._scene.packets if not packet.lost], step[0]
        told = self._scene.step(step)
        self._told.append(f"{self._since(event):g} s: {told or wording.node(event.node)}")
        heard = False  # one answer is heard at a time; a copy of it that nobody waits for is drawn no further
        for packet in before:
            heard = self._follow(packet, event, row, heard)
        for packet in self._scene.packets:
            if packet.number not in self._left:  # it has just left; one that nobody sent began with its answer
                self._left[packet.number] = row, packet.reply is not None
        self._follow_round(event, row)
        said, bold = self._said(event)
        if event.node in self._x and said:
            x, y = self._x[event.node], self._y(row)
            self._names_of.append(label(x + 8, y - 3, shortened(said, self._room), bold=bold, look="over"))
            if event.kind in ("crashed", "restarted", "paused", "resumed"):
                self._shapes.append(cross(x, y, 6, 6) if event.kind == "crashed" else box(x - 5, y - 5, 10, 10))

    def _follow(self, packet: Packet, event: Event, row: int, heard: bool) -> bool:
        # Draws the arrow of a message of which this event was the end of the way.
        start, was_back = self._left[packet.number]
        ends = packet.proposer, packet.acceptor
        source, target = ends[::-1] if was_back else ends
        if packet.lost:
            self._arrow(source, start, target, row, lost=True)
        elif packet.reply is not None and not was_back:
            self._arrow(source, start, target, row)
            self._left[packet.number] = row, True
        elif not heard and packet not in self._scene.packets and _hears(event, packet):
            if was_back:
                self._arrow(source, start, target, row)
            else:  # nobody told when the server answered: somewhere between
                middle = (start + row) / 2
                self._arrow(source, start, target, middle)
                self._arrow(target, middle, source, row, back=True)
            return True
        return heard

    def _follow_round(self, event: Event, row: int) -> None:
        mine = [bar for bar in self._bars if bar.proposer == event.node and bar.end is None]
        if event.kind == "sent" and event.message:
            for bar in mine:
                bar.end = row
            self._bars.append(_Bar(event.node, isinstance(event.message, Accept), row))
        elif event.note in ("NotApplied", "OutcomeUnknown") or event.kind == "crashed" or self._quorum(event):
            for bar in mine:
                bar.end = row

    def _quorum(self, event: Event) -> list[str]:
        # The acceptors that make a quorum with this very answer.
        proposer = self._scene.proposers.get(event.node)
        if event.kind != "delivered" or proposer is None or event.message != proposer.message:
            return []
        reached = len(proposer.granted) == self._scene.quorum and proposer.granted[-1] == event.peer
        return proposer.granted if reached else []

    def _said(self, event: Event) -> tuple[str, bool]:
        # What stands beside an event, and whether it matters more than most.
        if event.kind == "sent" and event.message:
            return wording.message(event.message).partition(", promise")[0], False
        if event.kind == "state" and event.message:
            if isinstance(event.reply, Conflict):
                return wording.reply(event.reply), True
            verb = "accepts" if isinstance(event.message, Accept) else "promises"
            return f"{verb} {wording.ballot(event.message.ballot)}", False
        if event.kind == "delivered":
            if not (quorum := self._quorum(event)):
                return "", False
            named = f"quorum {', '.join(quorum)}"  # addresses of servers are too long for that
            return named if len(named) <= self._room else f"quorum: {len(quorum)} of {len(self._scene.acceptors)}", True
        if event.kind == "failed":
            return f"no answer from {event.peer}" if event.peer else event.note or "", False
        if event.kind in ("change-begun", "change-ended"):
            ended = event.kind == "change-ended"
            return f"ends: {wording.outcome(event.note)}" if ended else f"change {event.change}", ended
        return (wording.FAULTS.get(event.kind, "") if event.kind not in ("partitioned", "healed") else ""), True

    # -- shapes ------------------------------------------------------------------------------------------

    def _y(self, row: float) -> float:
        return _TOP + _ROW * row

    def _arrow(
        self, source: str, start: float, target: str, end: float, *, back: bool | None = None, lost: bool = False
    ) -> None:
        x1, x2 = self._x[source], self._x[target]
        y1, y2 = self._y(start), self._y(end)
        back = source in self._scene.acceptors if back is None else back
        if lost:
            x2, y2 = x1 + (x2 - x1) * 0.7, y1 + (y2 - y1) * 0.7 + 6
            self._shapes.append(line(x1, y1, x2, y2, dashed=back) + cross(x2, y2, 6, 6))
        else:
            self._shapes.append(arrow(x1, y1, x2, y2, dashed=back))

    def _frame(self, row: int) -> Frame:
        bottom = self._y(len(self._steps) + 1)
        shapes = []
        for name, x in self._x.items():
            now = row > 0 and self._steps[row - 1][0].node == name
            shapes.append(label(x, 18, shortened(wording.node(name), self._room), anchor="middle", bold=now))
            shapes.append(line(x, 26, x, bottom, look="quiet"))
        for bar in self._bars:
            look: Look = "yes" if bar.accepting else "paper"
            top, end = self._y(bar.start), self._y(row if bar.end is None else bar.end)
            x = self._x[bar.proposer]
            full = [line(x, top, x, end, look=look)] if bar.accepting else []
            shapes += [box(x - 4, top, 8, max(end - top, 4)), *full]
        if row:
            event = self._steps[row - 1][0]
            mark = [label(4, 4, f"{self._since(event):.3g} s"), line(_MARGIN - 4, 0, self._width - 4, 0, look="quiet")]
            shapes.append(group("now", 0, self._y(row), mark))
        waiting = [self._waiting(packet, row) for packet in self._scene.packets if packet.number in self._left]
        shapes += [*self._shapes, *filter(None, waiting), *self._names_of]
        words = "\n".join([self._told[-1] if self._told else "Nothing has happened yet.", *self._told[:-1]])
        title = f"{self.title}: {row} of {len(self._steps)} steps"
        return Frame(drawn(title, words, shapes, bottom + 10, width=self._width), words)

    def _waiting(self, packet: Packet, row: int) -> str:
        # A message that is still on its way: an arrow that has not arrived.
        start, back = self._left[packet.number]
        ends = packet.proposer, packet.acceptor
        source, target = ends[::-1] if back else ends
        if packet.lost or target not in self._x or source not in self._x:
            return ""
        x1, y1 = self._x[source], self._y(start)
        x2 = x1 + (self._x[target] - x1) * 0.45
        return line(x1, y1, x2, max(self._y(row), y1 + 6), dashed=True, look="quiet")


def _hears(event: Event, packet: Packet) -> bool:
    ends = event.kind, event.node, event.peer, event.message
    return ends == ("delivered", packet.proposer, packet.acceptor, packet.message)
