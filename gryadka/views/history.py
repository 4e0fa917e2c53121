"""A history as bars: who asked for what, when it can have taken effect, and where no order fits.

What may live here: the drawing of a history and of a verdict on it. Nothing is judged here.

The theory in a few lines. An operation is an interval, from its call to its answer. A history is linearizable
when each operation can be given one point inside its interval so that, in the order of these points, every
answer is right (Herlihy and Wing, "Linearizability", 1990). Only the order of beginnings and ends matters for
that, so only their order is drawn: time runs to the right, and lengths say nothing.

| what is drawn | what it means |
|---|---|
| a closed bar | its outcome is known |
| a bar open to the right | its outcome is unknown: it may take effect at any later time, or never |
| a dashed bar | it failed: it certainly had no effect |
| a circled number | where it may have taken effect, in this order |
| a thick bar | it is part of what fits into no order |
| a cross | the operation that fits nowhere |
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from textwrap import wrap

from gryadka.checking.history import UNTOLD, Operation, Outcome, Refusal
from gryadka.checking.verdicts import Ok, Unknown, Verdict, Violation
from gryadka.protocol.value import encode
from gryadka.views.frames import Frame
from gryadka.views.svg import WIDTH, Picture, cross, drawn, label, shortened, words

_CHARACTER = 7.4
_LANE = 46
_BAR = 20
_TOP = 34
_NOTE = 18
_MOST_TOLD = 6  # so many operations of a failing part are named below the bars

# How much room the picture gives, before it is stretched to its width.
_STEP, _TURN, _POINT = 6.0, 34.0, 22.0
_DENSEST = 0.8  # it may be squeezed so much, for most calls to be readable


def draw(history: Iterable[Operation], verdict: Verdict | None = None, *, title: str = "", most: int = 30) -> Picture:
    """Draw a history, a row for each client; with a verdict on it, also what the verdict says, and where.

    No more than `most` operations are drawn, fewer if there is no room, and the picture says so: those around the
    failing part, all of which is drawn, or else the first ones. To see others, hand over a part:
    `draw(history[100:140], verdict)`.
    """
    everything = sorted(history, key=lambda operation: operation.invoked_s)
    if isinstance(verdict, Violation):
        everything = [operation for operation in everything if operation.key == verdict.key]
    chart = _Chart(everything, _around(everything, verdict, most), verdict)
    while chart.crowded and most > 1:
        most -= 1
        chart = _Chart(everything, _around(everything, verdict, most), verdict)
    return chart.picture(title)


def frame(history: Iterable[Operation], verdict: Verdict | None = None, *, title: str = "", most: int = 30) -> Frame:
    """Return what `draw` draws as a frame, for the player."""
    picture = draw(history, verdict, title=title, most=most)
    shapes = picture.drawing.split("\n")
    return Frame(drawn(picture.title, picture.text, shapes, picture.height), picture.text)


def _around(operations: list[Operation], verdict: Verdict | None, most: int) -> list[Operation]:
    if len(operations) <= most or not isinstance(verdict, Violation):
        return operations[:most]
    failing = set(map(_identity, verdict.operations))
    begin = min(operation.invoked_s for operation in verdict.operations)
    # Whoever began last before the fault is most likely to be of interest.
    rest = [operation for operation in operations if _identity(operation) not in failing]
    rest.sort(key=lambda operation: (operation.invoked_s < begin, abs(operation.invoked_s - begin)))
    chosen = failing | set(map(_identity, rest[: max(0, most - len(failing))]))
    return [operation for operation in operations if _identity(operation) in chosen]


_Turn = tuple[int, list[tuple[float, int, int]]]
"""0 for beginnings or 1 for ends, and each one's time, the same number, and the operation's place."""

_Identity = tuple[str, str, str, float]


def _identity(operation: Operation) -> _Identity:
    # Operations are not hashable: what they carry may be a list. A client begins one thing at a time.
    return str(operation.process), operation.key, operation.f, operation.invoked_s


class _Chart:
    # Finds each operation's place: a lane, and where its bar begins and ends.

    def __init__(self, everything: list[Operation], operations: list[Operation], verdict: Verdict | None) -> None:
        self.all, self.operations, self.verdict = everything, operations, verdict
        self.numbers: dict[_Identity, int] = {}
        self.failing: set[_Identity] = set()
        self.nowhere: _Identity | None = None
        if isinstance(verdict, Ok):
            self.numbers = {_identity(one): number for number, one in enumerate(verdict.linearization, start=1)}
        elif isinstance(verdict, Violation):
            self.failing = set(map(_identity, verdict.operations))
            named = [one for one in verdict.operations if f"({one}) fits nowhere" in verdict.reason]
            self.nowhere = _identity(named[-1]) if named else None
        self.keys = len({operation.key for operation in operations})
        self.lanes, self.rows = self._find_lanes()
        self.margin = 18 + _CHARACTER * max([6, *(min(16, len(name)) for name in self.rows)])
        self.begins: list[float] = []
        self.ends: list[float] = []
        self.points: list[float | None] = []
        self._find_columns()

    def _find_lanes(self) -> tuple[list[int], dict[str, list[int]]]:
        # A row for each client; more than one lane in it only if its operations overlap, as open ones do.
        lanes = [0] * len(self.operations)
        rows: dict[str, list[int]] = {}
        clients = dict.fromkeys(_client(operation.process) for operation in self.operations)
        first = 0
        for client in clients:
            free_s: list[float | None] = []  # when each lane is free again; None for never
            for place, operation in enumerate(self.operations):
                if _client(operation.process) != client:
                    continue
                fits = (lane for lane, at_s in enumerate(free_s) if at_s is not None and at_s <= operation.invoked_s)
                lane = next(fits, len(free_s))
                free_s[lane : lane + 1] = [operation.completed_s]
                lanes[place] = first + lane
            rows[client] = list(range(first, first + len(free_s)))
            first += len(free_s)
        return lanes, rows

    def _find_columns(self) -> None:
        # Beginnings and ends take turns. All points of a turn's beginnings lie before its first end, since
        # every operation that has a point there is still under way.
        times = [(operation.invoked_s, 0, place) for place, operation in enumerate(self.operations)]
        for place, operation in enumerate(self.operations):
            if operation.completed_s is not None:
                times.append((operation.completed_s, 1, place))
        turns = [(is_end, list(entries)) for is_end, entries in groupby(sorted(times), key=lambda entry: entry[1])]
        columns: tuple[dict[int, float], dict[int, float], dict[int, float]] = ({}, {}, {})
        x = _STEP
        for (is_end, entries), points in zip(turns, self._points_by_turn(turns), strict=True):
            for _, _, place in entries:
                columns[is_end][place] = x
                x += _STEP
            if not is_end:
                room = max(_TURN, _POINT * len(points))
                columns[2].update((place, x + room * (n + 0.5) / len(points)) for n, place in enumerate(points))
                x += room
        scale = (WIDTH - self.margin - 10) / x
        self.crowded = scale < _DENSEST and len(self.operations) > max(1, len(self.failing))
        begins, ends, spots = ({place: self.margin + scale * x for place, x in each.items()} for each in columns)
        everywhere = range(len(self.operations))
        self.begins = [begins[place] for place in everywhere]
        self.ends = [ends.get(place, WIDTH - 2.0) for place in everywhere]
        self.points = [spots.get(place) for place in everywhere]

    def _points_by_turn(self, turns: list[_Turn]) -> list[list[int]]:
        # Whose points lie in each turn, in the order of the points.
        found: list[list[int]] = [[] for _ in turns]
        if isinstance(self.verdict, Ok):
            places = {_identity(operation): place for place, operation in enumerate(self.operations)}
            begins = [(entries[0][0], number) for number, (is_end, entries) in enumerate(turns) if not is_end]
            for operation, point_s in zip(self.verdict.linearization, self.verdict.points_s, strict=True):
                if (place := places.get(_identity(operation))) is not None:
                    found[max(number for at_s, number in begins if at_s <= point_s)].append(place)
        return found

    # -- drawing -------------------------------------------------------------------------------------------

    def picture(self, title: str) -> Picture:
        shapes = [
            label(6, 18, "client", bold=True),
            label(self.margin, 18, "time runs to the right; only the order counts, not the lengths"),
        ]
        for client, lanes in self.rows.items():
            top = _TOP + _LANE * lanes[0]
            shapes.append(_rule(top))
            shapes.append(label(6, top + 34, shortened(client, 16), bold=True))
        shapes += self._thread()
        shapes += map(self._bar, range(len(self.operations)))
        y = float(_TOP + _LANE * sum(map(len, self.rows.values())))
        shapes.append(_rule(y))
        for text, bold in self._notes():
            y += _NOTE
            shapes.append(label(6, y + 4, text, bold=bold))
        said = [*self._verdict_in_words(), *self._left_out(), *map(self._in_words, range(len(self.operations)))]
        return Picture(title or self._title(), "\n".join(said) or "No operations.", "\n".join(shapes), round(y) + 16)

    def _title(self) -> str:
        key = self.operations[0].key if self.keys == 1 else ""
        return "What the clients saw" + (f" of {key!r}" if key else "")

    def _thread(self) -> list[str]:
        # Through the points in their order: what one client alone, doing all of it, would have done.
        spots = [
            (self.numbers[_identity(self.operations[place])], point, self._bar_top(place) + _BAR / 2)
            for place, point in enumerate(self.points)
            if point is not None
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for _, x, y in sorted(spots))
        return [f'<polyline points="{path}" stroke-dasharray="2 3" opacity="0.6"/>'] if len(spots) > 1 else []

    def _bar_top(self, place: int) -> float:
        return _TOP + _LANE * self.lanes[place] + 20

    def _bar(self, place: int) -> str:
        operation, top = self.operations[place], self._bar_top(place)
        left, right = self.begins[place], self.ends[place]
        failing = _identity(operation) in self.failing
        shapes = [f"<title>{words(self._in_words(place))}</title>", _outline(operation, left, right, top, failing)]
        if operation.outcome is Outcome.UNKNOWN and right - left > 60:
            shapes.append(label(right - 6, top + 15, "unknown", anchor="end"))
        if name := self._name(place):
            shapes.append(label(left, top - 5, name, bold=failing))
        if _identity(operation) == self.nowhere:
            sign = cross((left + right) / 2, top + _BAR / 2, min(12, (right - left) / 2), _BAR / 2 + 2)
            shapes.append(f'<g stroke-width="2.5">{sign}</g>')
        if (point := self.points[place]) is not None:
            middle = top + _BAR / 2
            shapes.append(f'<circle cx="{point:.1f}" cy="{middle:g}" r="9.5" stroke-width="2"/>')
            number = self.numbers[_identity(operation)]
            shapes.append(label(round(point, 1), middle + 4, str(number), anchor="middle", bold=True))
        return f"<g>{''.join(shapes)}</g>"

    def _name(self, place: int) -> str:
        # As much as there is room for; the words tell the rest. A history is judged by its values, so they go last.
        operation, wide = self.operations[place], _identity(self.operations[place]) in self.failing
        room = int((self._room_ends(place) - self.begins[place]) / (_CHARACTER * (1.1 if wide else 1)))  # bold is wider
        names = self._call(operation), _bare(operation), _value(operation)
        return next((name for name in names if len(name) <= room), shortened(names[-1], room) if room >= 4 else "")

    def _value_alone(self, place: int) -> bool:
        return self._name(place) not in ("", self._call(self.operations[place]), _bare(self.operations[place]))

    def _room_ends(self, place: int) -> float:
        # The call stands above its bar, and may run on to where the next one in its lane begins.
        lane = self.lanes[place]
        later = [self.begins[other] for other in range(len(self.lanes)) if self.lanes[other] == lane]
        return min([begin for begin in later if begin > self.begins[place]], default=float(WIDTH)) - 10

    # -- words ---------------------------------------------------------------------------------------------

    def _call(self, operation: Operation) -> str:
        call = _bare(operation)
        return f"{operation.key}: {call}" if self.keys > 1 else call

    def _in_words(self, place: int) -> str:
        operation = self.operations[place]
        end = "on, with no end" if operation.completed_s is None else f"to {operation.completed_s:.6g} s"
        said = f"{_client(operation.process)}: {self._call(operation)}, from {operation.invoked_s:.6g} s {end}"
        if (number := self.numbers.get(_identity(operation))) is not None:
            said += f", takes effect as number {number}"
        if _identity(operation) == self.nowhere:
            return said + ", fits nowhere"
        return said + (", part of what fits into no order" if _identity(operation) in self.failing else "")

    def _verdict_in_words(self) -> list[str]:
        if isinstance(self.verdict, Ok):
            return ["Linearizable: the numbers are an order that explains every answer."]
        if isinstance(self.verdict, Violation):
            reason = self.verdict.reason.removeprefix(f"key {self.verdict.key!r}: ")
            for process in {operation.process: None for operation in self.verdict.operations}:
                reason = reason.replace(f"(process {process}: ", f"({_client(process)}: ")
            return [f"Not linearizable: {reason}"]
        return [f"Undecided: {self.verdict.reason}"] if isinstance(self.verdict, Unknown) else []

    def _left_out(self) -> list[str]:
        count = len(self.all) - len(self.operations)
        return [f"{len(self.operations)} of {len(self.all)} operations are drawn."] if count else []

    def _notes(self) -> list[tuple[str, bool]]:
        # Below the bars: the verdict, and what those shapes mean that occur.
        fitted = int((WIDTH - 12) / _CHARACTER)
        notes = [(text, True) for said in self._verdict_in_words() for text in wrap(said, int(fitted * 0.93))[:6]]
        part = [one for one in self.operations if _identity(one) in self.failing and _identity(one) != self.nowhere]
        notes += [(f"{_client(one.process)}: {_bare(one)}", False) for one in part[:_MOST_TOLD]]
        if len(part) > _MOST_TOLD:
            notes.append((f"and {len(part) - _MOST_TOLD} more", False))
        notes = [(shortened(text, fitted), bold) for text, bold in notes]
        everywhere = range(len(self.operations))
        outcomes = {operation.outcome for operation in self.operations}
        legend = {
            "Thick: these operations fit into no order, whatever the others did.": bool(self.failing),
            "Open to the right: nobody knows whether it took effect, or will.": Outcome.UNKNOWN in outcomes,
            "Dashed: it certainly took no effect.": Outcome.FAILED in outcomes,
            "Where a name has no room: “= 1” is an answer, “1” alone what was handed over.": any(
                map(self._value_alone, everywhere)
            ),
        }
        return notes + [(text, False) for text in self._left_out() + [text for text, so in legend.items() if so]]


def _bare(operation: Operation) -> str:
    return str(operation).removeprefix(f"process {operation.process}: ")


def _value(operation: Operation) -> str:
    # What tells it from others of its kind: the answer if there is one, or else what was handed over.
    if isinstance(operation.result, Refusal):
        return "refused"
    if operation.result is not UNTOLD:
        return f"= {encode(operation.result)}"
    return ", ".join(map(encode, operation.args)) or operation.f


def _client(process: int | str) -> str:
    return f"client {process}" if isinstance(process, int) else process


def _outline(operation: Operation, left: float, right: float, top: float, failing: bool) -> str:
    path = f"M{right:.1f} {top:g}H{left:.1f}v{_BAR}H{right:.1f}" + ("" if operation.completed_s is None else "z")
    dashes = ' stroke-dasharray="5 4"' if operation.outcome is Outcome.FAILED else ""
    width, shade = (3.5, 0.18) if failing else (1.3, 0.06)
    return f'<path d="{path}" stroke-width="{width}" fill="currentColor" fill-opacity="{shade}"{dashes}/>'


def _rule(y: float) -> str:
    return f'<line x1="0" y1="{y:g}" x2="{WIDTH}" y2="{y:g}" opacity="0.3"/>'
