"""Pictures as SVG with a text alternative, and the few shapes that they are drawn from.

A `Picture` takes the colour of the text around it, so it can be read on light and on dark pages. Shapes
and words carry the meaning: a solid line is a yes, a dashed one a no or an answer, a cross is something
that did not happen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from math import hypot
from typing import Literal

WIDTH = 680
"""All pictures are this wide, in pixels, where there is room; otherwise they shrink."""

_PAPER = "background: #ffffff; color: #1b1f24"
_FONT = "font-family: system-ui, sans-serif; font-size: 13px"
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Picture:
    """A drawing of `height` pixels, with a `title` and a `text` that says all that it shows."""

    title: str
    text: str
    drawing: str
    height: int

    @property
    def svg(self) -> str:
        """The picture as a file of its own, on white paper."""
        return self._svg(_PAPER) + "\n"

    def _svg(self, style: str) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {self.height}" width="100%" '
            f'style="{style}; {_FONT}; max-width: {WIDTH}px" fill="none" stroke="currentColor" stroke-width="1.3">\n'
            f"<title>{words(self.title)}</title>\n<desc>{words(self.text)}</desc>\n{self.drawing}\n</svg>"
        )

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        # As HTML it inherits the page's colour, and a screen reader finds its title and description.
        inline = self._svg("background: none; color: inherit")
        return {"text/plain": f"{self.title}\n{self.text}", "text/html": inline, "image/svg+xml": self.svg}


def words(text: str) -> str:
    """Return `text` as it may stand in SVG."""
    return escape(_NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def shortened(text: str, length: int) -> str:
    """Return at most `length` characters of `text`, the last one being '…' if something was left out."""
    return text if len(text) <= length else text[: length - 1] + "…"


def label(
    x: float, y: float, text: str, *, anchor: Literal["start", "middle", "end"] = "start", bold: bool = False
) -> str:
    """Draw one line of text on the base line `y`."""
    style = f'text-anchor="{anchor}" fill="currentColor" stroke="none"' + (' font-weight="bold"' if bold else "")
    return f'<text x="{x:g}" y="{y:g}" {style}>{words(text)}</text>'


def box(x: float, y: float, width: float, height: float, *, dashed: bool = False) -> str:
    """Draw a box with round corners."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8"{_dashes(dashed)}/>'


def line(x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False) -> str:
    """Draw a straight line."""
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"{_dashes(dashed)}/>'


def arrow(x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False) -> str:
    """Draw a line with a head at its second end."""
    length = hypot(x2 - x1, y2 - y1)
    along, across = (x2 - x1) / length, (y2 - y1) / length
    back_x, back_y = x2 - 9 * along, y2 - 9 * across
    points = [(x2, y2), (back_x - 4 * across, back_y + 4 * along), (back_x + 4 * across, back_y - 4 * along)]
    head = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return line(x1, y1, x2, y2, dashed=dashed) + f'<polygon points="{head}" fill="currentColor" stroke="none"/>'


def cross(x: float, y: float, half_width: float, half_height: float) -> str:
    """Draw a cross around a point."""
    left, right, top, bottom = x - half_width, x + half_width, y - half_height, y + half_height
    return line(left, top, right, bottom) + line(left, bottom, right, top)


def _dashes(dashed: bool) -> str:
    return ' stroke-dasharray="5 4"' if dashed else ""
