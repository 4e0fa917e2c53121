"""A short run of a few replicas, step by step: time goes down, each replica has a column.

What may live here: that drawing. What happens in the run, and how it is said, comes in as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gryadka.views.frames import Choice, Frame
from gryadka.views.svg import WIDTH, Picture, box, drawn, label, line, shortened

_CHARACTER = 6.4
_ROW = 30
_TOP = 34
_NAMES = 109  # how wide the steps' column is
_REMARKS = 241  # and that of the remarks
_NOTE = 28  # how high the line below the steps is
_ROOM = 8  # for so many steps a frame has room from the start


class Row(NamedTuple):
    """One step: what it is called, which replica it touches, what each holds after it, and what came of it.

    `changes` says whether the replica took something; otherwise it was only asked, or refused.
    """

    step: str
    touches: str
    changes: bool
    holds: tuple[str, ...]
    remark: str

    def in_words(self, number: int, replicas: Sequence[str]) -> str:
        """Return the row as a line of text."""
        held = "; ".join(f"{name} holds {copy}" for name, copy in zip(replicas, self.holds, strict=True))
        return f"{number}. {self.step}: {self.remark} ({held})"


def draw(rows: Sequence[Row], replicas: Sequence[str], title: str, note: str = "") -> Picture:
    """Draw a run. A solid box is a replica that stores, a dashed one is only asked, or stores nothing."""
    lines = [row.in_words(number, replicas) for number, row in enumerate(rows, start=1)]
    height = _TOP + _ROW * len(rows) + (_NOTE if note else 4)
    shapes = _shapes(rows, replicas, note, height - _NOTE)
    return Picture(title, "\n".join([*lines, *([note] if note else [])]), "\n".join(shapes), height)


def frame(
    rows: Sequence[Row], replicas: Sequence[str], title: str, told: str, note: str, choices: Sequence[Choice]
) -> Frame:
    """Draw a run as a frame with choices, with some room left for the steps to come. `told` is its first line."""
    lines = [told, *(row.in_words(number, replicas) for number, row in enumerate(rows, start=1))]
    bottom = _TOP + _ROW * max(len(rows), _ROOM)
    words = "\n".join(lines)
    return Frame(drawn(title, words, _shapes(rows, replicas, note, bottom), bottom + _NOTE), words, tuple(choices))


def _shapes(rows: Sequence[Row], replicas: Sequence[str], note: str, bottom: float) -> list[str]:
    # A shape a line; what stays from one frame to the next stays the same to the letter.
    pitch = (WIDTH - _NAMES - _REMARKS) / len(replicas)
    columns = {name: _NAMES + pitch * number for number, name in enumerate(replicas)}
    shapes = [label(left + pitch / 2, 16, name, anchor="middle", bold=True) for name, left in columns.items()]
    shapes += [line(left + pitch / 2, 22, left + pitch / 2, _TOP - 4) for left in columns.values()]
    for number, row in enumerate(rows):
        middle = _TOP + _ROW * number + _ROW / 2 + 4
        shapes.append(label(4, middle, shortened(f"{number + 1}. {row.step}", int((_NAMES + 8) / _CHARACTER))))
        for name, copy in zip(replicas, row.holds, strict=True):
            left, touched = columns[name], name == row.touches
            if touched:
                shapes.append(box(left + 3, middle - 17, pitch - 6, _ROW - 4, dashed=not row.changes))
            fitted = shortened(copy, int((pitch - 6) / _CHARACTER))
            shapes.append(label(left + pitch / 2, middle, fitted, anchor="middle"))
        shapes.append(label(WIDTH - _REMARKS + 8, middle, shortened(row.remark, int((_REMARKS - 8) / _CHARACTER))))
    if note:
        shapes.append(label(4, bottom + 18, shortened(note, int(WIDTH / _CHARACTER)), bold=True))
    return shapes
