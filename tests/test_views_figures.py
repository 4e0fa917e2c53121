"""Measured figures: they show the numbers that they are given, in a form that needs no colour and no style sheet."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gryadka.checking.history import Operation, Outcome
from gryadka.views import figures
from gryadka.views.svg import WIDTH, Picture

SVG = "{http://www.w3.org/2000/svg}"
SERIES = {"one": [n / 1000 for n in range(1, 101)], "two": [n / 500 for n in range(1, 101)]}
ROWS = [
    {"workload": "16 clients, 1 key", "system": "gryadka", "changes_per_second": 15000.4},
    {"workload": "16 clients, 1 key", "system": "raw", "changes_per_second": 45000},
    {"workload": "1 client, 1 key", "system": "gryadka", "changes_per_second": 900},
]
STATES = [{"model": "grid", "distinct": 216000}, {"scope": "3 acceptors", "distinct": 1234}]


def answered(*times_s: float, unknown: float | None = None) -> list[Operation]:
    found = [
        Operation(process=1, f="add", args=(1,), outcome=Outcome.OK, invoked_s=at_s - 0.01, completed_s=at_s)
        for at_s in times_s
    ]
    if unknown is not None:
        found.append(Operation(process=2, f="add", args=(1,), invoked_s=unknown))
    return found


OUTAGE = answered(*(10.01 + n / 10 for n in range(10)), *(13.01 + n / 10 for n in range(5)), unknown=11.2)

FIGURES: dict[str, Callable[[], Picture]] = {
    "latencies": lambda: figures.latencies(SERIES),
    "one latency": lambda: figures.latencies({"x": [0.001]}),
    "throughput": lambda: figures.throughput(ROWS),
    "state counts": lambda: figures.state_counts(STATES),
    "availability": lambda: figures.availability(OUTAGE, marks={11.0: "A & B are killed", 12.9: "<back>"}),
    "no operations": lambda: figures.availability([]),
    "no rows": lambda: figures.throughput([]),
}


def texts(picture: Picture) -> list[str]:
    return ["".join(element.itertext()).strip() for element in ElementTree.fromstring(picture.svg).iter(f"{SVG}text")]


def styles(picture: Picture) -> str:
    return " ".join(element.get("style", "") for element in ElementTree.fromstring(picture.svg).iter())


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_stand_in_any_page(name: str) -> None:
    picture = FIGURES[name]()
    for form in picture.svg, str(picture._repr_mimebundle_()["text/html"]):
        root = ElementTree.fromstring(form)
        assert root.attrib["viewBox"] == f"0 0 {WIDTH} {picture.height}" and picture.height > 40
        assert root.findtext(f"{SVG}desc") == picture.text != ""
        # A style sheet would hold for the whole page, and a name that another picture has too be taken for the other's.
        assert not list(root.iter(f"{SVG}style")) and "metadata" not in form
        names = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
        assert len(names) == len(set(names))
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', form)) == set(names)
    assert "currentColor" in styles(picture) and figures._INK not in picture.svg
    assert len(picture.drawing) < 150_000


def test_it_comes_out_the_same_again() -> None:
    assert FIGURES["throughput"]().svg == FIGURES["throughput"]().svg != FIGURES["state counts"]().svg


def test_latencies_are_told_by_the_share_of_changes_within() -> None:
    assert figures.latencies(SERIES).text.splitlines() == [
        "one: 100 changes, 50 % within 50 ms, 95 % within 95 ms, 99 % within 99 ms, the longest 100 ms",
        "two: 100 changes, 50 % within 100 ms, 95 % within 190 ms, 99 % within 198 ms, the longest 200 ms",
    ]


@pytest.mark.parametrize(("longest_s", "marked"), [(0.005, {"1", "2", "5"}), (30, {"1", "10", "100", "1000", "10000"})])
def test_times_can_be_read_off_the_axis_however_far_they_spread(longest_s: float, marked: set[str]) -> None:
    """Four milliseconds on a scale of powers of ten had one mark."""
    shown = texts(figures.latencies({"one": [0.001, 0.002, longest_s]}))
    assert marked <= set(shown)
    assert len([text for text in shown if re.fullmatch(r"[\d.]+", text)]) < 10


def test_each_series_has_a_line_of_its_own_and_the_legend_names_it() -> None:
    picture = figures.latencies(dict.fromkeys(("a", "b", "c", "d"), SERIES["one"]))
    assert {"a", "b", "c", "d"} <= set(texts(picture))
    assert len(set(re.findall("stroke-dasharray: ([^;]+)", styles(picture)))) >= 3
    assert set(re.findall("#[0-9a-f]{6}", picture.drawing)) == set(figures.COLOURS) - {figures._INK}


def test_each_of_the_benchmarks_five_systems_has_a_look_of_its_own() -> None:
    systems = ("gryadka", "traced", "plain", "plain, in turn", "raw", "another")
    rows = [{"workload": "64 on 1 key", "system": name, "changes_per_second": 1000} for name in systems]
    for looks in (figures.DASHES, figures.MARKERS, figures.HATCHES):  # without colours
        assert len(set(looks)) >= len(systems)
    picture = figures.throughput(rows)
    fills = set(re.findall(r"fill: (url\([^)]+\)|#0072b2)", styles(picture)))
    assert len(fills) == len(systems)
    curves = figures.latencies(dict.fromkeys(systems, SERIES["one"]))
    assert len(set(re.findall("stroke-dasharray: ([^;]+)", styles(curves)))) == len(systems) - 1


@given(st.lists(st.floats(0.0001, 10), min_size=1), st.sampled_from(figures.PERCENTILES))
def test_a_percentile_is_not_exceeded_by_so_many(values: list[float], percent: int) -> None:
    bound = figures.percentile(sorted(values), percent)
    within = sum(value <= bound for value in values) / len(values)
    below = sum(value < bound for value in values) / len(values)
    assert bound in values and within >= percent / 100 > below


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no percentile of nothing"):
        figures.latencies({"none": []})


def bars(picture: Picture) -> list[float]:
    """How long the bars are: closed boxes inside the axes."""
    found = []
    for path in ElementTree.fromstring(picture.svg).iter(f"{SVG}path"):
        corners = re.findall(r"[\d.]+", path.get("d", ""))
        if "clip-path" in path.attrib and path.get("d", "").strip().endswith("z") and len(corners) == 8:
            found.append(float(corners[2]) - float(corners[0]))
    return found


def test_two_settings_of_the_servers_are_told_apart() -> None:
    """The second setting's bars would have taken the place of the first one's."""
    rows = [row | {"fsync": fsync} for fsync in ("no", "always") for row in ROWS[:1]]
    assert figures.throughput(rows).text.splitlines() == [
        "16 clients, 1 key, fsync no, gryadka: 15,000",
        "16 clients, 1 key, fsync always, gryadka: 15,000",
    ]
    assert figures.throughput(rows[:1]).text == "16 clients, 1 key, gryadka: 15,000"


def test_bars_are_as_long_as_the_speeds_and_say_them() -> None:
    picture = figures.throughput(ROWS)
    assert picture.text.splitlines() == [
        "16 clients, 1 key, gryadka: 15,000",
        "16 clients, 1 key, raw: 45,000",
        "1 client, 1 key, gryadka: 900",
    ]
    assert {"15,000", "45,000", "900", "gryadka", "raw", "16 clients, 1 key", "changes a second"} <= set(texts(picture))
    one, raw, alone = bars(picture)
    assert raw / one == pytest.approx(3, rel=0.01) and one / alone == pytest.approx(16.67, rel=0.02)


def test_states_are_counted_on_a_scale_of_powers() -> None:
    picture = figures.state_counts(STATES)
    assert picture.text.splitlines() == ["grid: 216,000", "3 acceptors: 1,234"]
    assert {"grid", "3 acceptors", "216,000", "1,234"} <= set(texts(picture))
    few, many = sorted(bars(picture))
    assert 1 < many / few < 3


def test_an_outage_is_hatched_and_told_and_so_is_what_caused_it() -> None:
    picture = FIGURES["availability"]()
    lines = picture.text.splitlines()
    assert lines[:4] == [
        "15 operations were answered in 3.41 s, 1 failed or are unknown.",
        "At 1 s: A & B are killed.",
        "At 2.9 s: <back>.",
        "No answer from 0.91 s to 3.01 s.",
    ]
    assert "From 0.5 s to 1 s: 5 answers." in lines and "From 1.5 s to 2 s: 0 answers." in lines
    assert {"A & B are killed", "<back>", "seconds; hatched: no answer; x: failed or unknown"} <= set(texts(picture))
    assert "pattern" in picture.drawing
    calm = figures.availability(answered(*(n / 10 for n in range(1, 20))))
    assert "pattern" not in calm.drawing and "seconds" in texts(calm) and "No answer" not in calm.text


def test_no_bar_stands_under_the_hatching() -> None:
    """A bar's time went on into the outage, so that "no answer" lay over bars."""
    drawing = FIGURES["availability"]().drawing
    (hatched,) = re.findall(r'd="M ([\d.]+) [^"]*"[^>]*style="fill: url', drawing)
    bar = re.search(r'd="([^"]*)"[^>]*style="fill: #0072b2', drawing)
    assert bar
    points = [tuple(map(float, point)) for point in re.findall(r"[ML] ([\d.]+) ([\d.]+)", bar[1])]
    height = {x: min(y for at, y in points if at == x) for x, _ in points}
    ground = max(height.values())
    assert max(x for x, y in points if y < ground and x <= 400) == pytest.approx(float(hatched))


def test_before_the_first_answer_nothing_counts_as_a_gap_unless_something_failed() -> None:
    """Lesson 09 said "the longest gap 83 ms" beside a picture with "No answer from 0 s to 0.247 s"."""
    slow = [
        Operation(process=1, f="add", args=(1,), invoked_s=0.0, completed_s=0.9, outcome=Outcome.OK),
        *answered(1.2),
    ]
    assert "No answer" not in figures.availability(slow).text
    refused = Operation(process=2, f="add", args=(1,), invoked_s=0.1, completed_s=0.2, outcome=Outcome.FAILED)
    assert "No answer from 0.1 s to 0.9 s." in figures.availability([*slow, refused]).text
    assert "No answer from 0 s to 1 s." in figures.availability(answered(unknown=1.0) + answered(unknown=2.0)).text
