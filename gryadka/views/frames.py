"""A view is a sequence of frames: pictures of one thing at one moment after the other, each with its words.

What may live here: that one small type, and how a sequence of frames travels to a browser. What is drawn is up
to each view; how frames are shown, to `player`.

Frames of one view differ in little from one to the next. So a view draws one shape a line, in lines that do not
change while the shape stays as it is, and `pack` sends every different line only once:

    >>> packed = pack([Frame("<svg>\\n<a/>\\n</svg>", "one"), Frame("<svg>\\n<a/>\\n<b/>\\n</svg>", "two")])
    >>> packed["lines"]
    ['<svg>', '<a/>', '</svg>', 'one', '<b/>', 'two']
    >>> packed["frames"]
    [[[0, 1, 2], [3], []], [[0, 1, 4, 2], [5], []]]
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Protocol, TypedDict


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that can be done at a frame: `act` is what Python is told.

    `thing` names what it is done to, `label` what is done. Choices stand in a list, by `section` and thing. `on` is
    the `data-key` of the thing in the picture: a click on it does its first choice. `key` does this one while the
    thing has the focus, and at any time if no other choice has the same key.
    """

    act: str
    section: str
    thing: str
    label: str
    on: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture, its words, and what can be chosen there.

    `svg` is a whole `<svg>` element with `<title>` and `<desc>`, one shape a line; see `gryadka.views.svg.drawn`.
    A shape that moves, or that can be clicked, is a `<g>` with a `data-key` that no other shape of the frame has:
    the player keeps it through the frames, and moves it. `words` say all that the picture shows, made from the
    same state. Their first line tells what has just happened; that line alone is announced to screen readers, and
    whoever hears only those lines has to be able to follow.
    """

    svg: str
    words: str
    choices: tuple[Choice, ...] = ()

    @property
    def announced(self) -> str:
        """The first line of the words: what has just happened."""
        return self.words.partition("\n")[0]


class View(Protocol):
    """What the player can show: a title, and frames. A list of frames with a title is enough (`Frames`).

    A view may grow at its end while it is shown. Frames that exist never change.
    """

    @property
    def title(self) -> str:
        """A few words that name what is shown."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Frame: ...


class Frames(list[Frame]):
    """Frames that are already there, with a title: the simplest view."""

    def __init__(self, title: str, frames: Iterable[Frame] = ()) -> None:
        super().__init__(frames)
        self.title = title

    def __getitem__(self, number: int, /) -> Frame:  # type: ignore[override]  # slices are not needed
        return super().__getitem__(number)


class Packed(TypedDict):
    """Frames as JSON: every different line once. A frame is the numbers of the lines of its picture, of its words,
    and of its choices (each is a line of JSON)."""

    lines: list[str]
    frames: list[list[list[int]]]


class Packer:
    """Packs frames bit by bit: what was sent once is not sent again."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def add(self, frames: Iterable[Frame]) -> Packed:
        """Return these frames, and only those lines that no frame had before."""
        new: list[str] = []

        def numbered(lines: Iterable[str]) -> list[int]:
            numbers = []
            for line in lines:
                if line not in self._numbers:
                    self._numbers[line] = len(self._numbers)
                    new.append(line)
                numbers.append(self._numbers[line])
            return numbers

        packed = []
        for frame in frames:
            choices = (json.dumps(asdict(choice)) for choice in frame.choices)
            packed.append([numbered(frame.svg.split("\n")), numbered(frame.words.split("\n")), numbered(choices)])
        return Packed(lines=new, frames=packed)


def pack(frames: Iterable[Frame]) -> Packed:
    """Return the frames in a form that takes little room."""
    return Packer().add(frames)
