"""Frames: what a view is made of, and how it travels."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from gryadka.views.frames import Choice, Frame, Frames, Packed, Packer, View, pack
from gryadka.views.svg import box, drawn, group, label

texts = st.text(alphabet="ab\n<", max_size=12)
choices = st.lists(st.builds(Choice, texts, texts, texts, texts, texts, texts), max_size=2).map(tuple)
frames = st.lists(st.builds(Frame, texts, texts, choices), max_size=8)


def unpacked(packed: Packed) -> list[Frame]:
    lines = packed["lines"]
    found = []
    for svg, words, choices in ([[lines[number] for number in part] for part in parts] for parts in packed["frames"]):
        found.append(Frame("\n".join(svg), "\n".join(words), tuple(Choice(**json.loads(line)) for line in choices)))
    return found


@given(frames)
def test_packed_frames_are_the_same_again(several: list[Frame]) -> None:
    packed = pack(several)
    assert unpacked(packed) == several
    assert len(set(packed["lines"])) == len(packed["lines"])


@given(frames, frames)
def test_frames_that_come_later_need_only_the_lines_that_are_new(first: list[Frame], later: list[Frame]) -> None:
    packer = Packer()
    before, after = packer.add(first), packer.add(later)
    assert unpacked(Packed(lines=before["lines"] + after["lines"], frames=after["frames"])) == later
    assert not set(before["lines"]) & set(after["lines"])


def test_only_the_first_line_of_the_words_is_announced() -> None:
    assert Frame("<svg/>", "A promises 1:1\nA: promised 1:1").announced == "A promises 1:1"


def test_frames_with_a_title_are_a_view() -> None:
    view: View = Frames("Two moments", [Frame("<svg/>", "one"), Frame("<svg/>", "two")])
    assert (view.title, len(view), view[1].words) == ("Two moments", 2, "two")


def test_a_drawn_frame_has_a_title_a_description_and_named_groups() -> None:
    moving = group(
        "packet <1>", 10, 20, [box(0, 0, 5, 5, look="yes"), label(0, 0, "a & b")], attributes={"data-act": '"'}
    )
    svg = ElementTree.fromstring(drawn("A & B", "Nothing <yet>\x00", [moving], 40))
    texts = {child.tag.rpartition("}")[2]: child.text for child in svg}
    assert texts["title"] == "A & B"
    assert texts["desc"] == "\nNothing <yet>\N{REPLACEMENT CHARACTER}\n"
    [found] = [child for child in svg if child.get("data-key")]
    assert (found.get("data-key"), found.get("data-act"), found.get("transform")) == (
        "packet <1>",
        '"',
        "translate(10 20)",
    )
    assert found[0].get("class") == "yes"
