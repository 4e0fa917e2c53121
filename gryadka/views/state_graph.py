"""The acceptor's state graph as frames: a board of states, the moves between them, and who stands where.

What may live here: the board's layout and its drawing. The graph, and how acceptors are followed through it, are in
`walk`, where the theory stands too.

A column for each promised ballot, a row for each accepted one. So a place depends on the ranks of its two ballots
and on nothing else: a higher ballot adds a column and a row at the end, and nothing that is there moves. (A layout
that centres each layer, as `networkx.multipartite_layout` does, moves everything whenever a layer grows.)

| what is drawn | what it means |
|---|---|
| a box | a state that the rules can reach; thin, as long as no acceptor has been there |
| a dashed box with "!" | a state that the rules cannot reach |
| a letter in a circle | an acceptor that stands there; crossed out while it is down |
| a thick arrow | a move that an acceptor made, named by its message |
| a dashed arrow | a move that the rules forbid |
| a thin arrow | a move that the rules allow |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd, hypot
from string import ascii_uppercase
from typing import NamedTuple

import networkx as nx

from gryadka.acceptors.memory import AcceptRule, PrepareRule
from gryadka.protocol.acceptor import Ballot, accept, prepare
from gryadka.trace import Event
from gryadka.views import wording
from gryadka.views.cluster import main_key, nodes
from gryadka.views.frames import Frame, Frames
from gryadka.views.svg import WIDTH, Look, box, cross, drawn, group, label, shortened, words
from gryadka.views.walk import MOST_BALLOTS, Place, Walk, reachable, right

_CHARACTER = 7.4
_LEFT, _TOP, _NOTE = 112, 72, 18
_BOX = 46
_TOKEN = 9.5
_HALO = "paint-order: stroke; stroke: var(--jp-layout-color0, #ffffff); stroke-width: 5px; font-size: 11px"
_ELSEWHERE = (0.5, 0.62, 0.3, 0.72, 0.2)  # parts of an arrow where its name may stand if its best place is taken
_FEW = 2  # up to so many ballots, arrows are named
_SOME = 3  # and up to so many, the graph is drawn in full

Move = tuple[Place, Place]


@dataclass(frozen=True)
class Board:
    """Where places are, in pixels. `columns` counts ballots, without "nothing"; `values` those of one ballot."""

    columns: int
    values: int = 1

    @property
    def pitch(self) -> float:
        """How far columns are apart."""
        return (WIDTH - _LEFT - (40 if self.columns <= _SOME else 0)) / (self.columns + 1)

    @property
    def box_width(self) -> float:
        """How wide a place is."""
        return min(88.0, self.pitch - 16)

    @property
    def roomy(self) -> bool:
        """Whether there is room to name arrows, and to write into every box."""
        return self.columns <= _FEW

    @property
    def row(self) -> float:
        """How far rows are apart."""
        return 78 if self.columns <= _SOME else 62

    @property
    def bottom(self) -> float:
        """Where the last row ends."""
        return _TOP + self.row * (1 + self.columns * self.values)

    def line(self, place: Place) -> int:
        """Return the number of the row that a place is in, from 0."""
        return (place.accepted - 1) * self.values + 1 + place.value if place.accepted else 0

    def at(self, place: Place) -> tuple[float, float]:
        """Return the middle of a place."""
        return _LEFT + self.pitch * (place.promised + 0.5), _TOP + self.row * (self.line(place) + 0.5)


def frames(trace: Iterable[Event], *, key: str | None = None, most: int = MOST_BALLOTS, title: str = "") -> Frames:
    """Return the frames of a run: one before it, and one for each answer of an acceptor.

    `key` is the register, by default the one that most events are about. No more than the `most` highest ballots
    are on the board at a time.
    """
    events = list(trace)
    key = main_key(events) if key is None else key
    names = nodes(events)[1]
    end = Walk(names, key, most=most)
    for event in events:
        end.add(event)
    board = Board(max(1, len(end.ballots)), end.values_at_most)
    view = Frames(title or ("An acceptor's states" if key is None else f"The acceptors' states of {key}"))
    walk = Walk(names, key, most=most)
    view.append(draw(walk, board, view.title))
    view.extend(draw(walk, board, view.title) for event in events if walk.add(event))
    return view


def draw(walk: Walk, board: Board | None = None, title: str = "The acceptors' states") -> Frame:
    """Draw where the acceptors of a walk stand, on a board that stays the same from frame to frame."""
    board = board or Board(walk.most, walk.values_at_most)
    graph = right(len(walk.ballots), walk.values_at_most)
    return _Drawing(walk, board, graph, graph).frame(title)


def rules(ballots: int = 2, values: int = 1, *, prepare: PrepareRule = prepare, accept: AcceptRule = accept) -> Frame:
    """Draw all states that an acceptor with these rules can reach in a small model, against the right rules'.

    Raises what `gryadka.views.walk.reachable` raises.
    """
    graph = reachable(ballots, values, prepare=prepare, accept=accept)
    ranked = [Ballot(rank, rank) for rank in range(1, ballots + 1)]
    named: dict[Ballot, list[str | None]] = {  # each ballot has values of its own
        at: [f'"v{(at.counter - 1) * values + n}"' for n in range(1, values + 1)] for at in ranked
    }
    walk = Walk((), ballots=ranked, values=named)
    walk.said = f"With {ballots} ballot{'s' * (ballots != 1)} an acceptor can be in {len(graph)} states"
    drawing = _Drawing(walk, Board(max(1, ballots), values), right(ballots, values), graph)
    return drawing.frame("The states that an acceptor can reach")


class _Drawing:
    # One frame. `right` is what the right rules can reach, `graph` what the rules of this picture can.

    def __init__(self, walk: Walk, board: Board, right: nx.MultiDiGraph, graph: nx.MultiDiGraph) -> None:
        self.walk, self.board, self.right, self.graph = walk, board, right, graph
        self.standing = {name: walk.place(state) for name, state in walk.states.items()}
        self.moves = walk.moves()
        self.visited = {place for move in self.moves for place in move} | set(self.standing.values())
        self.places = sorted({*right, *graph, *self.visited})
        self.wrong = {(before, after) for before, after in self.graph.edges() if not right.has_edge(before, after)}
        self.wrong |= {move for move, step in self.moves.items() if step.wrong}
        self.tags = {name: name if len(name) < 3 else ascii_uppercase[n % 26] for n, name in enumerate(walk.states)}

    def frame(self, title: str) -> Frame:
        shapes = [*self._headings(), *self._arrows()]
        shapes += [self._box(place) for place in self.places]
        shapes += self._arrow_names() if self.board.roomy else []
        shapes += [self._token(name) for name in self.standing]
        y = self.board.bottom
        for line in (notes := self._notes()):
            y += _NOTE
            shapes.append(label(6, y, shortened(line, int((WIDTH - 12) / _CHARACTER))))
        shapes.append(label(6, 18, shortened(self.walk.said, int((WIDTH - 12) / _CHARACTER)), bold=True))
        said = "\n".join([self.walk.said + ".", *notes, *self._graph_in_words()])
        return Frame(drawn(title, said, shapes, y + 12), said)

    # -- what is where ---------------------------------------------------------------------------------------

    def _headings(self) -> list[str]:
        shapes = [label(6, 46, "promised →"), label(6, 66, "accepted ↓")]
        room = int(self.board.pitch / _CHARACTER)
        for rank, name in enumerate(self._names()):
            x, _ = self.board.at(Place(rank, 0))
            _, y = self.board.at(Place(0, rank))
            shapes.append(label(x, 46, shortened(name, room), anchor="middle"))
            shapes.append(label(6, y + 4, shortened(name, int((_LEFT - 12) / _CHARACTER))))
        return shapes

    def _names(self) -> list[str]:
        nothing = "older" if self.walk.dropped else "nothing"
        return [nothing, *map(wording.ballot, self.walk.ballots)]

    def _value(self, place: Place) -> str:
        if not 0 < place.accepted <= len(self.walk.ballots):
            return "" if self.walk.dropped else "no value"
        values = self.walk.values[self.walk.ballots[place.accepted - 1]]
        return wording.value(values[place.value]) if place.value < len(values) else "any"

    def _box(self, place: Place) -> str:
        x, y = self.board.at(place)
        name, title = f"state {'-'.join(map(str, place))}", f"<title>{words(self._in_words(place))}</title>"
        wrong, missed = place not in self.right, place not in self.graph
        if self.board.columns > _SOME and not wrong and place not in self.visited:
            return group(name, x, y, [title, '<circle r="5" class="paper"/>'])
        width = self.board.box_width
        look: Look = "now" if place in self.standing.values() else "paper"
        shapes = [title, box(-width / 2, -_BOX / 2, width, _BOX, dashed=wrong or missed, look=look)]
        text = ("! " if wrong else "") + self._value(place)
        bold = place in self.visited
        room = int((width - 4) / (_CHARACTER + bold))
        shapes.append(label(0, -6, shortened(text, room), anchor="middle", bold=bold))
        if wrong or missed:
            shapes.append(label(0, 14, "wrong" if wrong else "missed", anchor="middle"))
        return group(name, x, y, shapes)

    def _token(self, name: str) -> str:
        # Those who stand at one place stand side by side there.
        here = [other for other, place in self.standing.items() if place == self.standing[name]]
        pitch = min(2 * _TOKEN + 3, (self.board.box_width - 2 * _TOKEN) / max(1, len(here) - 1))
        x, y = self.board.at(self.standing[name])
        x += pitch * (here.index(name) - (len(here) - 1) / 2)
        shapes = [f'<circle r="{_TOKEN}" class="paper"/>', label(0, 4.5, self.tags[name], anchor="middle", bold=True)]
        if self.walk.down.get(name):
            shapes.append(cross(0, 0, _TOKEN, _TOKEN))
        return group(f"acceptor {name}", x, y + 11, shapes)

    # -- moves -----------------------------------------------------------------------------------------------

    def _arrows(self) -> list[str]:
        # First what could happen, and upon that what did.
        could = self.graph.edges() if self.board.columns <= _SOME else []
        thin = [move for move in dict.fromkeys(could) if move not in self.moves]
        looks: dict[Move, Look] = dict.fromkeys(thin, "quiet")
        looks.update(dict.fromkeys(self.moves, "yes"))
        return [_arrow(self._way(move), move, "no" if move in self.wrong else look) for move, look in looks.items()]

    def _arrow_names(self) -> list[str]:
        shapes: list[str] = []
        taken: list[_Span] = []
        boxes = [span for place in self.places for span in self._box_spans(place)]
        moves = dict.fromkeys([*self.graph.edges(), *self.moves])
        for move in sorted(moves, key=_is_level, reverse=True):  # there is only one good place at a level arrow
            way, step = self._way(move), self.moves.get(move)
            name = wording.short(step.message) if step else self._edge_name(*move)
            name = ("! " if move in self.wrong else "") + name
            places = [self._name_place(move, way), *((*_on_the_way(way, part), "middle") for part in _ELSEWHERE)]
            free = [place for place in places if not _covers(taken, _span(place, name))]
            clear = [place for place in free if not _covers(boxes, _span(place, name))]
            x, y, anchor = (clear or free or places)[0]
            taken.append(_span((x, y, anchor), name))
            text = f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}" fill="currentColor" style="{_HALO}">'
            shapes.append(f"{text}{words(name)}</text>")
        return shapes

    def _box_spans(self, place: Place) -> list[_Span]:
        (x, y), half = self.board.at(place), self.board.box_width / 2
        return [(x - half, x + half, y + part * _BOX) for part in (-0.3, 0, 0.3)]

    def _name_place(self, move: Move, way: Way) -> tuple[float, float, str]:
        # Nearer to an arrow's beginning, for many may end at one place; but above or below a level one, and beside one
        # of two that go both ways, or of a long slope.
        both = self._both(move)
        if _is_level(move):
            x, y = _on_the_way(way, 0.5)
            return x, y + (-9 if way.turn_y <= way.y1 + 1 else 11), "middle"
        if both:
            x, y = _on_the_way(way, 0.5)
            return x, y, "start" if x > (way.x1 + way.x2) / 2 else "end"
        if 0 < move[0].promised < move[1].promised and move[1].accepted - move[0].accepted > 1:
            x, y = _on_the_way(way, 0.28)
            return x + 7, y, "start"
        return *_on_the_way(way, 0.4), "middle"

    def _way(self, move: Move) -> Way:
        return _way(self.board, *move, both=self._both(move))

    def _both(self, move: Move) -> bool:
        return move[::-1] in self.moves or self.graph.has_edge(*move[::-1])

    def _edge_name(self, before: Place, after: Place) -> str:
        message = next(iter(self.graph.get_edge_data(before, after).values()))["message"]
        return f"{type(message).__name__.lower()} {wording.ballot(self.walk.ballots[message.ballot.counter - 1])}"

    # -- words -----------------------------------------------------------------------------------------------

    def _in_words(self, place: Place) -> str:
        names = self._names()
        value = f" ({self._value(place)})" if place.accepted else ""
        return f"promised {names[place.promised]}, accepted {names[place.accepted]}{value}"

    def _notes(self) -> list[str]:
        notes = []
        for name, state in self.walk.states.items():
            tag = name if self.tags[name] == name else f"{self.tags[name]} is {name}"
            down = ", down" if self.walk.down.get(name) else ""
            notes.append(f"{tag}: {wording.state(state)}{down}")
        if self.board.columns > _SOME:
            notes.append("To the right goes a prepare, downwards an accept. Small circles: nobody has been there.")
        if self.walk.dropped:
            notes.append(f"Only the {len(self.walk.ballots)} highest ballots are drawn, in their order.")
        if self.wrong:
            notes.append("Dashed, with !: the rules forbid it.")
        wrong = [place for place in self.places if place not in self.right]
        notes += [f'Wrong: the rules never lead to "{self._in_words(place)}".' for place in wrong]
        missed = [place for place in self.places if place not in self.graph]
        return notes + [f'Missed: the rules also lead to "{self._in_words(place)}".' for place in missed]

    def _graph_in_words(self) -> list[str]:
        lines = [f"With these ballots an acceptor can reach {len(self.right)} states."]
        if self.standing:
            lines[0] += f" So far {len(self.visited & set(self.right))} of them were reached."
            for move, step in self.moves.items():
                lines.append(f"{step.acceptor} went by {wording.short(step.message)} {self._from_to(*move)}")
        else:
            for move in dict.fromkeys(self.graph.edges()):
                lines.append(f"{self._edge_name(*move)} leads {self._from_to(*move)}")
        return lines

    def _from_to(self, before: Place, after: Place) -> str:
        forbidden = ", which the rules forbid" if (before, after) in self.wrong else ""
        return f"from {self._in_words(before)} to {self._in_words(after)}{forbidden}"


class Way(NamedTuple):
    """A curved line from one point to another; it would turn at the point in between."""

    x1: float
    y1: float
    turn_x: float
    turn_y: float
    x2: float
    y2: float


def _way(board: Board, before: Place, after: Place, *, both: bool) -> Way:
    # A straight line, but a bow around the places that it would hit, and two bows where moves go both ways.
    (x1, y1), (x2, y2) = board.at(before), board.at(after)
    right, down = after.promised - before.promised, board.line(after) - board.line(before)
    hits = gcd(right, down) > 1
    bend = (
        0.0 if not hits else _BOX + 22 if y1 == y2 else board.box_width + 24 if x1 == x2 else 0.3 * hypot(right, down)
    )
    if hits and y1 != y2 and x1 != x2:
        bend *= board.row
    side = 1 if right > 0 and down > 0 else -1
    if both:
        bend, side = max(bend, 20), 1
    length = hypot(x2 - x1, y2 - y1)
    turn_x = (x1 + x2) / 2 - side * bend * (y2 - y1) / length
    turn_y = (y1 + y2) / 2 + side * bend * (x2 - x1) / length
    return Way(*_border(board, x1, y1, turn_x, turn_y), turn_x, turn_y, *_border(board, x2, y2, turn_x, turn_y))


def _arrow(way: Way, move: Move, look: Look) -> str:
    x1, y1, turn_x, turn_y, x2, y2 = way
    length = hypot(x2 - turn_x, y2 - turn_y) or 1
    along, across = (x2 - turn_x) / length, (y2 - turn_y) / length
    wide = 4 if look == "quiet" else 5
    points = [(x2, y2), *((x2 - 9 * along - s * wide * across, y2 - 9 * across + s * wide * along) for s in (1, -1))]
    head = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    path = f"M{x1:.1f} {y1:.1f}Q{turn_x:.1f} {turn_y:.1f} {x2 - 6 * along:.1f} {y2 - 6 * across:.1f}"
    quiet = ' class="quiet"' if look == "quiet" else ""
    shapes = [
        f'<path d="{path}" class="{look}"/>',
        f'<polygon points="{head}" fill="currentColor" stroke="none"{quiet}/>',
    ]
    return group(f"move {' '.join('-'.join(map(str, place)) for place in move)}", 0, 0, shapes)


def _is_level(move: Move) -> bool:
    return move[0].accepted == move[1].accepted and abs(move[1].promised - move[0].promised) == 1


_Span = tuple[float, float, float]
"""A piece of the picture where something is written or drawn: from, to, height."""


def _span(place: tuple[float, float, str], name: str) -> _Span:
    # How far a name reaches at a place, and at what height it stands.
    x, y, anchor = place
    width = 6.2 * len(name)
    left = x - {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor] * width
    return left, left + width, y


def _covers(taken: Iterable[_Span], new: _Span) -> bool:
    return any(new[0] < right and left < new[1] and abs(new[2] - y) < 12 for left, right, y in taken)


def _on_the_way(way: Way, part: float) -> tuple[float, float]:
    # The point of a bow after that part of it.
    one, two, three = (1 - part) ** 2, 2 * part * (1 - part), part**2
    x = one * way.x1 + two * way.turn_x + three * way.x2
    return x, one * way.y1 + two * way.turn_y + three * way.y2


def _border(board: Board, x: float, y: float, to_x: float, to_y: float) -> tuple[float, float]:
    # Where the way from the middle of a box to another point leaves the box.
    half_x, half_y = board.box_width / 2 + 2, _BOX / 2 + 2
    reach = max(abs(to_x - x) / half_x, abs(to_y - y) / half_y, 1e-9)
    return x + (to_x - x) / reach, y + (to_y - y) / reach
