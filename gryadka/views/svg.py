"""Pictures as SVG with a text alternative, and the few shapes that they are drawn from.

A `Picture` takes the colour of the text around it, so it can be read on light and on dark pages. Shapes
and words carry the meaning: a solid line is a yes, a dashed one a no or an answer, a cross is something
that did not happen.

`drawn` makes the picture of a frame (see `gryadka.views.frames`). Its colours are JupyterLab's, light or dark,
where it stands in a page of JupyterLab; anywhere else it is ink on white paper. Colour only supports a meaning
that a shape or a word has already; the few there are can be told apart by colour-blind people (after Okabe and
Ito, "Color universal design", 2008). A shape takes one by its `look`:

| look | meaning |
|---|---|
| yes | a yes: a thick solid line |
| no | a no: a thick dashed line |
| now | what this frame is about: a thick solid line, around a shape |
| quiet | what is there, and matters little at this moment |
| paper | filled with the colour of the page, to lie upon other shapes |
| over | words that lie upon lines: with a rim in the colour of the page |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from math import hypot
from typing import Literal

WIDTH = 680
"""All pictures are this wide, in pixels, where there is room; otherwise they shrink."""

Look = Literal["", "yes", "no", "now", "quiet", "paper", "over"]

DARK = "--gryadka-yes: #56b4e9; --gryadka-no: #f0975a; --gryadka-now: #3fc79b"
"""The same three colours for dark pages."""

STYLE = (
    ".gryadka { color: #1b1f24; color: var(--jp-content-font-color1, #1b1f24); "
    "background: #ffffff; background: var(--jp-layout-color0, #ffffff); "
    "--gryadka-yes: #0072b2; --gryadka-no: #d55e00; --gryadka-now: #007a59 } "
    f"[data-jp-theme-light='false'] .gryadka {{ {DARK} }} "
    ".gryadka .yes { stroke: #0072b2; stroke: var(--gryadka-yes); stroke-width: 3 } "
    ".gryadka .no { stroke: #d55e00; stroke: var(--gryadka-no); stroke-width: 3; stroke-dasharray: 6 4 } "
    ".gryadka .now { stroke: #007a59; stroke: var(--gryadka-now); stroke-width: 3 } "
    ".gryadka .quiet { opacity: 0.6 } "
    ".gryadka .paper, .gryadka rect.now { fill: #ffffff; fill: var(--jp-layout-color0, #ffffff) } "
    ".gryadka .over { paint-order: stroke; stroke-width: 4; stroke: #ffffff; stroke: var(--jp-layout-color0, #ffffff) }"
)
"""What the looks look like. It stands in every picture; each of its rules holds inside `.gryadka` only."""

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


def drawn(title: str, text: str, shapes: Iterable[str], height: float, *, width: float = WIDTH) -> str:
    """Return the picture of a frame: a whole `<svg>`, a shape a line. `text` says all that it shows."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="gryadka" role="img" viewBox="0 0 {width:g} {height:g}" '
        f'width="100%" style="{_FONT}" fill="none" stroke="currentColor" stroke-width="1.3">',
        f"<style>{STYLE}</style>",
        f"<title>{words(title)}</title>",
        f"<desc>\n{words(text)}\n</desc>",  # its lines are then the same as those of the frame's words
    ]
    return "\n".join([*lines, *shapes, "</svg>"])


def group(key: str, x: float, y: float, shapes: Iterable[str], *, attributes: Mapping[str, str] | None = None) -> str:
    """Draw shapes as one, with (x, y) for their origin: something that the player knows by its `key`, and moves.

    `attributes` are added to the group, for example {"data-act": "crash A"}.
    """
    more = "".join(f' {name}="{words(value)}"' for name, value in (attributes or {}).items())
    return f'<g data-key="{words(key)}" transform="translate({x:g} {y:g})"{more}>{"".join(shapes)}</g>'


def words(text: str) -> str:
    """Return `text` as it may stand in SVG."""
    return escape(_NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def shortened(text: str, length: int) -> str:
    """Return at most `length` characters of `text`, the last one being '…' if something was left out."""
    return text if len(text) <= length else text[: length - 1] + "…"


def label(
    x: float,
    y: float,
    text: str,
    *,
    anchor: Literal["start", "middle", "end"] = "start",
    bold: bool = False,
    look: Look = "",
) -> str:
    """Draw one line of text on the base line `y`."""
    style = f'text-anchor="{anchor}" fill="currentColor" stroke="none"' + (' font-weight="bold"' if bold else "")
    return f'<text x="{x:g}" y="{y:g}" {style}{_class(look)}>{words(text)}</text>'


def box(x: float, y: float, width: float, height: float, *, dashed: bool = False, look: Look = "") -> str:
    """Draw a box with round corners."""
    place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
    return f'<rect {place} rx="8"{_dashes(dashed)}{_class(look)}/>'


def line(x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False, look: Look = "") -> str:
    """Draw a straight line."""
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"{_dashes(dashed)}{_class(look)}/>'


def arrow(x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False, look: Look = "") -> str:
    """Draw a line with a head at its second end."""
    length = hypot(x2 - x1, y2 - y1)
    along, across = (x2 - x1) / length, (y2 - y1) / length
    back_x, back_y = x2 - 9 * along, y2 - 9 * across
    points = [(x2, y2), (back_x - 4 * across, back_y + 4 * along), (back_x + 4 * across, back_y - 4 * along)]
    head = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    shaft = line(x1, y1, x2, y2, dashed=dashed, look=look)
    return shaft + f'<polygon points="{head}" fill="currentColor" stroke="none"/>'


def cross(x: float, y: float, half_width: float, half_height: float) -> str:
    """Draw a cross around a point."""
    left, right, top, bottom = x - half_width, x + half_width, y - half_height, y + half_height
    return line(left, top, right, bottom) + line(left, bottom, right, top)


def _class(look: Look) -> str:
    return f' class="{look}"' if look else ""


def _dashes(dashed: bool) -> str:
    return ' stroke-dasharray="5 4"' if dashed else ""
