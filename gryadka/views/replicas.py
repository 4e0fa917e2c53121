"""A short run of a few replicas, step by step: time goes down, each replica has a column.

What may live here: that drawing. What happens in the run, and how it is said, comes in as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gryadka.views.svg import WIDTH, Picture, box, label, line, shortened

_CHARACTER = 6.8
_ROW = 30
_TOP = 34
_NAMES = 120  # how wide the steps' column is
_REMARKS = 250  # and that of the remarks


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
    pitch = (WIDTH - _NAMES - _REMARKS) / len(replicas)
    columns = {name: _NAMES + pitch * number for number, name in enumerate(replicas)}
    bottom = _TOP + _ROW * len(rows)
    shapes = [label(left + pitch / 2, 16, name, anchor="middle", bold=True) for name, left in columns.items()]
    shapes += [line(left + pitch / 2, 22, left + pitch / 2, _TOP - 4) for left in columns.values()]
    for number, row in enumerate(rows):
        middle = _TOP + _ROW * number + _ROW / 2 + 4
        shapes.append(label(4, middle, shortened(f"{number + 1}. {row.step}", int(_NAMES / _CHARACTER))))
        for name, copy in zip(replicas, row.holds, strict=True):
            left, touched = columns[name], name == row.touches
            if touched:
                shapes.append(box(left + 3, middle - 17, pitch - 6, _ROW - 4, dashed=not row.changes))
            fitted = shortened(copy, int((pitch - 6) / _CHARACTER))
            shapes.append(label(left + pitch / 2, middle, fitted, anchor="middle", bold=touched and row.changes))
        shapes.append(label(WIDTH - _REMARKS + 8, middle, shortened(row.remark, int((_REMARKS - 8) / _CHARACTER))))
    lines = [row.in_words(number, replicas) for number, row in enumerate(rows, start=1)]
    if note:
        shapes.append(label(4, bottom + 18, shortened(note, int(WIDTH / _CHARACTER)), bold=True))
        lines.append(note)
        bottom += 24
    return Picture(title, "\n".join(lines), "\n".join(shapes), bottom + 4)
