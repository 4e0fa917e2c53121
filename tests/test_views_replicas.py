"""The picture of a run of replicas: the shapes, the words, and any text that may come in."""

from __future__ import annotations

from xml.etree import ElementTree

from gryadka.views import replicas
from gryadka.views.replicas import Row

NASTY = '<&">\x00\x1b\ud800 ]]>é✓' + 40 * "x"
ROWS = [
    Row("Ann asks A", "A", False, ("0", "0"), "hears 0"),
    Row("Ann stores B", "B", True, ("0", "1: milk"), "stored"),
]


def test_it_says_all_that_it_shows() -> None:
    picture = replicas.draw(ROWS, "AB", "A run", "Nothing is lost.")
    assert picture.text == (
        "1. Ann asks A: hears 0 (A holds 0; B holds 0)\n"
        "2. Ann stores B: stored (A holds 0; B holds 1: milk)\n"
        "Nothing is lost."
    )
    for part in ["1. Ann asks A", "2. Ann stores B", "1: milk", "stored", "Nothing is lost."]:
        assert f">{part}<" in picture.drawing


def test_a_server_that_stores_is_solid_and_one_that_is_asked_is_dashed() -> None:
    first, second = (replicas.draw([row], "AB", "A run").drawing for row in ROWS)
    assert first.count("<rect") == second.count("<rect") == 1
    assert "stroke-dasharray" in first
    assert "stroke-dasharray" not in second


def test_it_is_xml_whatever_comes_in() -> None:
    rows = [Row(NASTY, NASTY, True, (NASTY, NASTY), NASTY)]
    for picture in (replicas.draw(rows, [NASTY, "B"], NASTY, NASTY), replicas.draw([], "ABC", "none")):
        root = ElementTree.fromstring(picture.svg)
        assert root.find("{http://www.w3.org/2000/svg}title") is not None
