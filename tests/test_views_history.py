"""Histories as bars: what overlaps overlaps, points lie inside their bars, and the failing part is marked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gryadka import lab
from gryadka.checking.history import UNTOLD, History, Operation, Outcome, Refusal
from gryadka.checking.linearizability import MODELS, check
from gryadka.checking.verdicts import Ok, Unknown, Violation
from gryadka.simulation.run import simulate
from gryadka.views import history
from gryadka.views.svg import WIDTH, Picture

SVG = "{http://www.w3.org/2000/svg}"
REGISTER = MODELS["cas-register"]


def operation(
    process: int | str, f: str, begins: float, ends: float | None, *args: int, result: object = UNTOLD, key: str = ""
) -> Operation:
    outcome = Outcome.UNKNOWN if ends is None else Outcome.OK
    return Operation(
        process=process, f=f, args=args, key=key, outcome=outcome, result=result, invoked_s=begins, completed_s=ends
    )


FAILED = Operation(process=3, f="write", args=(7,), outcome=Outcome.FAILED, invoked_s=6.5, completed_s=8)
GOOD = [
    operation(1, "write", 0, 2, 1),
    operation(2, "write", 1, 4, 2),
    operation(3, "read", 3, 5, result=1),
    operation(1, "read", 5, 7, result=2),
    operation(2, "cas", 6, 8, 1, 3, result=Refusal(2)),
    operation(3, "write", 6, None, 9),
    FAILED,
    operation(1, "read", 9, 10, result=9),
]
STALE = [operation(1, "write", 0, 1, 5), operation(2, "write", 0, 3, 8), operation(1, "read", 4, 5, result=4)]


@dataclass
class Bar:
    left: float
    right: float
    top: float
    closed: bool
    dashed: bool
    thick: bool
    point: float | None
    number: str | None
    crossed: bool
    texts: list[str]


def bars(picture: Picture) -> dict[str, Bar]:
    """The bars by what is said of them, up to the first comma that follows the call."""
    found = {}
    for group in ElementTree.fromstring(picture.svg).findall(f"{SVG}g"):
        title, outline = group.find(f"{SVG}title"), group.find(f"{SVG}path")
        assert title is not None and outline is not None
        corners = re.fullmatch(r"M([\d.]+) ([\d.]+)H([\d.]+)v20H([\d.]+)(z?)", outline.attrib["d"])
        assert corners and corners[1] == corners[4]
        circle, texts = group.find(f"{SVG}circle"), [text.text or "" for text in group.iter(f"{SVG}text")]
        found[str(title.text)] = Bar(
            left=float(corners[3]),
            right=float(corners[1]),
            top=float(corners[2]),
            closed=corners[5] == "z",
            dashed="stroke-dasharray" in outline.attrib,
            thick=float(outline.attrib["stroke-width"]) > 3,
            point=None if circle is None else float(circle.attrib["cx"]),
            number=None if circle is None else texts[-1],
            crossed=group.find(f"{SVG}g") is not None,
            texts=texts,
        )
    return found


def notes(picture: Picture) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(picture.svg).findall(f"{SVG}text")]


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Operations of a few clients, each of which does one thing after the other, or never hears of one again."""
    found = []
    for process in range(draw(st.integers(1, 4))):
        now = 0
        for _ in range(draw(st.integers(0, 5))):
            begins = now + draw(st.integers(1, 4))
            now = begins + draw(st.integers(0, 6))
            f, open_end = draw(st.sampled_from(["read", "write"])), draw(st.booleans())
            if f == "write":
                found.append(operation(process, f, begins, None if open_end else now, draw(st.integers(0, 2))))
            else:
                result = draw(st.sampled_from([None, 0, 1, 2]))
                found.append(operation(process, f, begins, now, result=result))
            now += 1
    return found


@given(histories())
def test_one_bar_lies_before_another_exactly_if_it_ended_before_that_began(operations: list[Operation]) -> None:
    drawn = list(bars(history.draw(operations)).values())
    operations = sorted(operations, key=lambda one: one.invoked_s)
    assert len(drawn) == len(operations)
    for one, its_bar in zip(operations, drawn, strict=True):
        assert its_bar.left < its_bar.right
        assert its_bar.closed == (one.completed_s is not None)
        for other, other_bar in zip(operations, drawn, strict=True):
            before = one.completed_s is not None and one.completed_s < other.invoked_s
            assert (its_bar.right < other_bar.left) == before
            if its_bar is not other_bar and its_bar.top == other_bar.top:
                assert its_bar.right < other_bar.left or other_bar.right < its_bar.left, "they overlap in their lane"


@given(histories())
def test_points_lie_inside_their_bars_and_follow_the_order_to_the_right(operations: list[Operation]) -> None:
    verdict = check(operations, MODELS["register"])
    picture = history.draw(operations, verdict)
    drawn = bars(picture)
    if isinstance(verdict, Ok):
        points = {int(bar.number): bar.point for bar in drawn.values() if bar.number and bar.point is not None}
        assert sorted(points) == list(range(1, len(verdict.linearization) + 1))
        assert [points[number] for number in sorted(points)] == sorted(points.values())
        assert all(bar.left < bar.point < bar.right for bar in drawn.values() if bar.point is not None)
        assert not any(bar.thick or bar.crossed for bar in drawn.values())
    else:
        assert isinstance(verdict, Violation)
        assert sum(bar.thick for bar in drawn.values()) == len(verdict.operations)
        assert sum(bar.crossed for bar in drawn.values()) == verdict.reason.count("fits nowhere")
        assert all(bar.thick for bar in drawn.values() if bar.crossed)
        assert not any(bar.point for bar in drawn.values())


@given(histories())
def test_nothing_is_cut_off(operations: list[Operation]) -> None:
    picture = history.draw(operations, check(operations, MODELS["register"]))
    for text in ElementTree.fromstring(picture.svg).iter(f"{SVG}text"):
        x, width = float(text.attrib["x"]), 7 * len(text.text or "")
        left = {"start": x, "middle": x - width / 2, "end": x - width}[text.attrib["text-anchor"]]
        assert left >= -2 and left + width <= WIDTH + 2, text.text
        assert 10 <= float(text.attrib["y"]) <= picture.height - 3, text.text


def test_the_words_say_what_the_picture_shows() -> None:
    picture = history.draw(GOOD, check(GOOD, REGISTER))
    assert picture.text.splitlines() == [
        "Linearizable: the numbers are an order that explains every answer.",
        "client 1: write(1), from 0 s to 2 s, takes effect as number 1",
        "client 2: write(2), from 1 s to 4 s, takes effect as number 3",
        "client 3: read() = 1, from 3 s to 5 s, takes effect as number 2",
        "client 1: read() = 2, from 5 s to 7 s, takes effect as number 4",
        "client 2: cas(1, 3) refused, saw 2, from 6 s to 8 s, takes effect as number 5",
        "client 3: write(9) (unknown), from 6 s on, with no end, takes effect as number 6",
        "client 3: write(7) (failed), from 6.5 s to 8 s",
        "client 1: read() = 9, from 9 s to 10 s, takes effect as number 7",
    ]
    assert list(bars(picture)) == picture.text.splitlines()[1:]


def test_an_unknown_outcome_is_open_to_the_right_and_a_failed_one_dashed_and_both_are_told() -> None:
    picture = history.draw(GOOD, check(GOOD, REGISTER))
    drawn = bars(picture)
    (unknown,) = (bar for bar in drawn.values() if not bar.closed)
    assert unknown.right >= WIDTH - 3 and "unknown" in unknown.texts
    (failed,) = (bar for bar in drawn.values() if bar.dashed)
    assert failed.point is None and failed.closed
    assert failed.top != unknown.top, "it needs a lane of its own"
    assert "Open to the right: nobody knows whether it took effect, or will." in notes(picture)
    assert "Dashed: it certainly took no effect." in notes(picture)
    assert not [note for note in notes(history.draw(STALE)) if note.startswith(("Open", "Dashed", "Thick"))]


def test_the_failing_part_of_a_violation_is_thick_and_what_fits_nowhere_is_crossed_out() -> None:
    verdict = check(STALE, REGISTER)
    assert isinstance(verdict, Violation) and len(verdict.operations) == 1
    picture = history.draw(STALE, verdict)
    assert [(bar.thick, bar.crossed) for bar in bars(picture).values()] == [(False,) * 2, (False,) * 2, (True,) * 2]
    assert picture.text.splitlines()[0] == (
        "Not linearizable: (client 1: read() = 4) fits nowhere. No other operation can have left a value that it fits."
    )
    assert picture.text.splitlines()[-1] == "client 1: read() = 4, from 4 s to 5 s, fits nowhere"
    assert "Thick: these operations fit into no order, whatever the others did." in notes(picture)
    assert " ".join(notes(picture)).count("fits nowhere") == 1


def test_the_operations_of_a_failing_part_are_named_in_full_below_bars_that_are_too_narrow_for_it() -> None:
    """Under "two operations were both told that they made version 1" stood two bars named "cas(…"."""
    result = simulate("loss-quorum-of-1", 3)
    told = notes(history.draw(result.history, result.verdict))
    place = told.index("Not linearizable: two operations were both told that they made version 1.")
    assert told[place + 1 : place + 3] == [
        'client 1: cas(0, 1) = {"ver":1,"val":1}',
        'client 2: cas(0, 41) = {"ver":1,"val":41}',
    ]


def test_where_there_is_no_room_the_value_stands_and_the_name_goes() -> None:
    """Above short bars stood "read() …" and "write(1…": just what one judges by was cut off."""
    writes = [operation(1, "write", n, n + 0.4, n) for n in range(10)]
    reads = [operation(1, "read", n + 0.5, n + 0.9, result=n) for n in range(10)]
    picture = history.draw([*writes, *reads])
    shown = re.findall("<text [^>]*>(.*?)</text>", picture.drawing)
    assert [text for text in shown if text[-1:].isdigit()][1:5] == ["0", "= 0", "1", "= 1"]
    assert not [text for text in shown if "…" in text]
    assert "Where a name has no room: “= 1” is an answer, “1” alone what was handed over." in notes(picture)
    assert "client 1: write(5), from 5 s to 5.4 s" in picture.text.splitlines()
    assert not [text for text in notes(history.draw(STALE)) if "no room" in text]


def test_where_a_call_has_no_room_beside_its_register_it_stands_alone() -> None:
    """Of a history of several registers one read their names, eighteen times over, and none of the calls."""
    long = [operation(0, "write", n, n + 0.5, n, key="a-register-with-a-name") for n in range(8)]
    shown = re.findall(
        "<text [^>]*>(.*?)</text>", history.draw([*long, operation(1, "write", 0, 9, 1, key="b")]).drawing
    )
    assert [f"write({n})" for n in range(8)] == [text for text in shown if text.startswith("write(")]
    assert "b: write(1)" in shown


def test_a_line_leads_through_the_points_in_their_order() -> None:
    verdict = check(GOOD, REGISTER)
    line = ElementTree.fromstring(lab.history(GOOD, verdict).svg).find(f"{SVG}polyline")
    assert line is not None
    drawn = {bar.number: bar for bar in bars(history.draw(GOOD, verdict)).values()}
    spots = [f"{drawn[str(number)].point},{drawn[str(number)].top + 10:.1f}" for number in range(1, 8)]
    assert line.attrib["points"].split() == spots


def test_only_the_register_that_failed_is_drawn_and_named() -> None:
    operations = [*STALE, operation(5, "write", 0, 9, 1, key="other")]
    verdict = check(operations, REGISTER)
    assert len(bars(history.draw(operations, verdict))) == 3
    everything = history.draw(operations)
    assert len(bars(everything)) == 4
    assert "client 5: other: write(1), from 0 s to 9 s" in everything.text
    one = history.draw([operations[-1]])
    assert one.title == "What the clients saw of 'other'"
    assert bars(one).keys() == {"client 5: write(1), from 0 s to 9 s"}


def test_of_a_long_history_the_failing_part_is_drawn_and_the_rest_is_counted() -> None:
    long = [operation(n % 3, "write", n, n + 0.5, n) for n in range(500)]
    stale = [*long[:300], operation(7, "read", 300.6, 300.7, result=17), *long[301:]]
    verdict = check(stale, REGISTER)
    assert isinstance(verdict, Violation)
    picture = history.draw(stale, verdict, most=12)
    assert len(bars(picture)) == 12
    assert sum(bar.thick for bar in bars(picture).values()) == len(verdict.operations)
    assert picture.text.splitlines()[1] == "12 of 500 operations are drawn."
    assert "12 of 500 operations are drawn." in notes(picture)
    plain = history.draw(long, check(long, REGISTER), most=12)
    assert [bar.number for bar in bars(plain).values()] == [str(number) for number in range(1, 13)]
    part = history.draw(History(long)[100:105], check(long, REGISTER))
    assert [bar.number for bar in bars(part).values()] == [str(number) for number in range(101, 106)]


@pytest.mark.parametrize("clients", [1, 2, 5])
def test_no_more_are_drawn_than_there_is_room_for(clients: int) -> None:
    long = [operation(n % clients, "write", n, n + 0.7 * clients, n) for n in range(60)]
    picture = history.draw(long, check(long, REGISTER))
    drawn = list(bars(picture).values())
    assert 12 < len(drawn) < 30
    assert min(bar.right - bar.left for bar in drawn) >= 19
    assert f"{len(drawn)} of 60 operations are drawn." in picture.text


def test_no_verdict_and_an_undecided_one() -> None:
    assert not any(bar.point or bar.thick for bar in bars(history.draw(GOOD)).values())
    picture = history.draw(GOOD, Unknown("the budget was spent"))
    assert picture.text.splitlines()[0] == "Undecided: the budget was spent"
    assert "Undecided: the budget was spent" in notes(picture)
    assert history.draw([]).text == "No operations."


def test_a_frame_shows_the_same() -> None:
    verdict = check(STALE, REGISTER)
    frame, picture = history.frame(STALE, verdict, title="Stale"), history.draw(STALE, verdict, title="Stale")
    assert frame.words == picture.text
    assert frame.announced.startswith("Not linearizable")
    root = ElementTree.fromstring(frame.svg)
    assert root.findtext(f"{SVG}title") == picture.title == "Stale"
    assert picture.drawing in frame.svg


def test_strange_names_and_values_are_text() -> None:
    nasty = '<&">\x00\x1b ]]>é✓' + 40 * "x"
    strange = [Operation(process=nasty, f="write", args=([nasty],), key=nasty, invoked_s=0, completed_s=None)]
    picture = history.draw([*strange, operation("b", "read", 1, 2, key=nasty, result={"a": [nasty]})])
    assert len(bars(picture)) == 2


@pytest.mark.slow
def test_it_comes_out_the_same_whatever_the_order_of_sets() -> None:
    program = (
        "from tests.test_views_history import *\n"
        "print(history.draw(GOOD, check(GOOD, REGISTER)).svg, history.draw(STALE, check(STALE, REGISTER), most=1).svg)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "12"
    }
    assert len(found) == 1 and b"Linearizable" in found.pop()
