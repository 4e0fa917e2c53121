"""The pictures: what they show, that a text says the same, and that they can be read anywhere."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gryadka.protocol.acceptor import (
    TRANSITIONS,
    ZERO,
    Accept,
    Accepted,
    Ballot,
    Conflict,
    Prepare,
    Promise,
    Reply,
    State,
)
from gryadka.protocol.value import pack
from gryadka.trace import Event
from gryadka.views import readme, static
from gryadka.views.svg import WIDTH, Picture

SVG = "{http://www.w3.org/2000/svg}"
STORED = pack('"hello"', {}, Ballot(3, 17))
UP = State(Ballot(4, 17), Ballot(3, 17), STORED)
NASTY = '<&">\x00\x1b\ud800 ]]>é✓' + 40 * "x"
TRIO = {"A": UP, "B": None, "C": State()}

PREPARE, ACCEPT = Prepare(Ballot(1, 7)), Accept(Ballot(1, 7), '"v"', Ballot(2, 7))
RUN = [
    Event("change-begun", 0, "proposer-7", change=1),
    Event("sent", 0, "proposer-7", peer="A", message=PREPARE),
    Event("sent", 0, "proposer-7", peer="B", message=PREPARE),
    Event("sent", 0, "proposer-7", peer="C", message=PREPARE),
    Event("failed", 0, "proposer-7", peer="B", message=PREPARE, note="down"),
    Event("state", 0, "A", message=PREPARE, state=State(Ballot(1, 7))),
    Event("delivered", 0, "proposer-7", peer="A", message=PREPARE, reply=Promise(ZERO, None)),
    Event("delivered", 0, "proposer-7", peer="C", message=PREPARE, reply=Conflict(Ballot(9, 9))),
    Event("sent", 0, "proposer-7", peer="A", message=ACCEPT),
    Event("delivered", 0, "proposer-7", peer="A", message=ACCEPT, reply=Accepted()),
    Event("change-ended", 0, "proposer-7", change=1, note="OutcomeUnknown"),
]

PICTURES = {
    "acceptors": lambda: static.acceptors(TRIO),
    "one acceptor": lambda: static.acceptors({"A": UP}),
    "seven acceptors": lambda: static.acceptors(dict.fromkeys("ABCDEFG", UP)),
    "no acceptors": lambda: static.acceptors({}),
    "nasty acceptors": lambda: static.acceptors({NASTY: State(UP.promised, UP.accepted, NASTY), "B": None}),
    "long names": lambda: static.acceptors({f"127.0.0.1:4000{n}/12": UP for n in range(4)}),
    "huge ballots": lambda: static.acceptors({"A": State(Ballot(2**53 - 1, 2**53 - 1), ZERO, None)}),
    "transitions": static.transitions,
    "rounds": lambda: static.rounds(RUN),
    "no rounds": lambda: static.rounds([]),
    "readme": readme.picture,
}


def tree(picture: Picture) -> ElementTree.Element:
    return ElementTree.fromstring(picture.svg)


def texts(picture: Picture) -> list[str]:
    return [element.text or "" for element in tree(picture).iter(f"{SVG}text")]


def count(picture: Picture, tag: str, *, dashed: bool | None = None) -> int:
    found = list(tree(picture).iter(SVG + tag))
    return sum(dashed is None or ("stroke-dasharray" in element.attrib) == dashed for element in found)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_has_a_title_a_description_and_a_text_that_says_the_same(name: str) -> None:
    picture = PICTURES[name]()
    forms = picture._repr_mimebundle_()
    assert forms["text/plain"] == f"{picture.title}\n{picture.text}"
    for form in ("image/svg+xml", "text/html"):
        root = ElementTree.fromstring(forms[form])
        assert root.attrib["role"] == "img"
        title, description, *_ = root
        assert (title.tag, title.text) == (f"{SVG}title", picture.title)
        assert description.tag == f"{SVG}desc"
        assert len(description.text or "") == len(picture.text)


@pytest.mark.parametrize("name", PICTURES)
def test_it_fits_700_pixels_and_nothing_is_cut_off(name: str) -> None:
    picture = PICTURES[name]()
    root = tree(picture)
    assert WIDTH <= 700
    assert root.attrib["viewBox"] == f"0 0 {WIDTH} {picture.height}"
    for element in root.iter(f"{SVG}text"):
        x, y, width = float(element.attrib["x"]), float(element.attrib["y"]), 7.2 * len(element.text or "")
        left = {"start": x, "middle": x - width / 2, "end": x - width}[element.attrib["text-anchor"]]
        assert left >= 0 and left + width <= WIDTH, element.text
        assert 10 <= y <= picture.height - 3, element.text
    for element in root.iter():
        for key in ("x1", "x2"):
            assert 0 <= float(element.get(key, 0)) <= WIDTH
        for key in ("y1", "y2"):
            assert 0 <= float(element.get(key, 0)) <= picture.height


@pytest.mark.parametrize("name", PICTURES)
def test_it_has_the_colour_of_the_page_and_a_file_has_its_own_paper(name: str) -> None:
    forms = PICTURES[name]()._repr_mimebundle_()
    inline, file = forms["text/html"], forms["image/svg+xml"]
    assert "background: none; color: inherit" in inline
    assert not re.search("#[0-9a-f]{3}|rgb", inline)
    assert set(re.findall('(?:fill|stroke)="(.*?)"', inline)) <= {"currentColor", "none"}
    assert "background: #ffffff; color: #1b1f24" in file


def test_acceptors_show_what_each_remembers() -> None:
    picture = static.acceptors(TRIO)
    assert texts(picture)[:4] == ["A", "promised 4:17", "accepted 3:17", 'value "hello"']
    assert texts(picture)[-4:] == ["C", "promised nothing", "accepted nothing", "value none"]
    assert picture.text.splitlines() == [
        'A: promised 4:17, accepted 3:17, value "hello"',
        "B: down",
        "C: promised nothing, accepted nothing, value none",
    ]


def test_an_acceptor_that_is_down_is_crossed_out_and_says_so() -> None:
    up, down = static.acceptors({"A": UP}), static.acceptors({"A": None})
    assert (count(up, "line"), count(up, "rect", dashed=True)) == (0, 0)
    assert (count(down, "line"), count(down, "rect", dashed=True)) == (2, 1)
    assert texts(down) == ["A", "down"]


def test_the_last_digits_of_a_long_proposer_id_are_shown() -> None:
    picture = static.acceptors({"A": State(Ballot(12, 9876543210), ZERO, "learner's text")})
    assert texts(picture) == ["A", "promised 12:…210", "accepted nothing", "value learner's text"]


def test_transitions_show_each_entry_of_the_table() -> None:
    picture = static.transitions()
    assert count(picture, "rect") == len(TRANSITIONS) == len(picture.text.splitlines())
    assert count(picture, "rect", dashed=True) == sum(reply is Conflict for reply in TRANSITIONS.values())
    for (kind, case), reply in TRANSITIONS.items():
        (line,) = (line for line in picture.text.splitlines() if line.startswith(f"{kind}, its ballot {case}"))
        assert reply.__name__ in line


def test_transitions_say_all_that_an_accept_stores() -> None:
    assert {"stores ballot, value and", "its promise"} <= set(texts(static.transitions()))


@pytest.mark.parametrize("key", TRANSITIONS)
def test_another_table_gives_another_picture(monkeypatch: pytest.MonkeyPatch, key: tuple[str, str]) -> None:
    before = static.transitions()
    other: type[Reply] = Promise if TRANSITIONS[key] is Conflict else Conflict
    monkeypatch.setitem(TRANSITIONS, key, other)
    after = static.transitions()
    assert after.text != before.text
    assert abs(count(after, "rect", dashed=True) - count(before, "rect", dashed=True)) == 1


def test_rounds_draw_an_arrow_for_each_message_and_each_answer() -> None:
    picture = static.rounds(RUN)
    assert count(picture, "polygon") == 4 + 3
    lifelines, crosses, sent, answers = 4, 2, 4, 3
    assert count(picture, "line") == lifelines + crosses + sent + answers
    assert count(picture, "line", dashed=True) == answers + 1  # the line of B, which never answered
    assert picture.text.splitlines() == [
        "proposer 7: the change begins",
        "proposer 7 to A: prepare 1:7",
        "proposer 7 to B: prepare 1:7 (no answer)",
        "proposer 7 to C: prepare 1:7",
        "A answers proposer 7: promise (none)",
        "C answers proposer 7: conflict 9:9",
        'proposer 7 to A: accept 1:7 "v"',
        "A answers proposer 7: accepted",
        "proposer 7: the change ends: OutcomeUnknown",
        "In the end A: promised 1:7, accepted nothing, value none",
        "In the end B: no answer",
        "In the end C: nothing heard yet",
    ]


def test_time_goes_down_and_an_arrow_ends_where_its_message_went() -> None:
    root = tree(static.rounds(RUN))
    headings = [element for element in root.iter(f"{SVG}text") if element.get("font-weight") == "bold"]
    column = {element.text: element.attrib["x"] for element in headings}
    sloping = [line for line in root.iter(f"{SVG}line") if line.get("x1") != line.get("x2")]
    first, second, *_ = sloping
    assert (first.get("x1"), first.get("x2")) == (column["proposer 7"], column["A"])
    assert float(first.attrib["y1"]) < float(first.attrib["y2"])
    assert float(first.attrib["y1"]) < float(second.attrib["y1"])


def test_two_proposers_have_a_line_each() -> None:
    rival = Prepare(Ballot(2, 8))
    events = [*RUN, Event("sent", 1, "proposer-123456", peer="A", message=rival)]
    assert "proposer …456 to A: prepare 2:8" in static.rounds(events).text
    assert {"proposer 7", "proposer …456", "A", "B", "C"} <= set(texts(static.rounds(events)))


def test_the_picture_in_the_readme_is_up_to_date_and_comes_out_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = Path("notebooks/pictures/round.svg").read_bytes()
    monkeypatch.chdir(tmp_path)
    readme.main([])
    assert (tmp_path / readme.FILE).read_bytes() == committed, "run `python -m gryadka.views.readme`"
    readme.main(["other.svg"])
    assert Path("other.svg").read_bytes() == committed


def test_the_picture_in_the_readme_tells_the_story() -> None:
    text = readme.picture().text
    assert text.count("(no answer)") == 2 and "the change ends: applied" in text
    assert "In the end C: no answer" in text
    assert text.count('value "hello"') == 2
