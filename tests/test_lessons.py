"""Every lesson: its form; and that it runs as it stands, with right answers, and with wrong ones."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from gryadka.acceptors.servers import FAKE, find_server
from tests.lessons.runner import LESSONS, SERVERS, Session, answers, code_cells, session, text_of, verdicts
from tests.lessons.told import TOLD

HEADINGS = ["Your prediction", "See it", "Build it", "Check it", "Real", "Recap", "Start again"]
MINUTES = re.compile(r"\*\(\d+ minutes?\)\*")
EACH = pytest.mark.parametrize("lesson", LESSONS)
PLACES = [(lesson, server) for lesson in LESSONS for server in SERVERS]


def cells(lesson: str) -> list[nbformat.NotebookNode]:
    found: list[nbformat.NotebookNode] = nbformat.read(LESSONS[lesson], as_version=4).cells
    return found


def to_build(lesson: str) -> dict[str, str]:
    return {cell.id: cell.source for cell in code_cells(lesson) if "your turn" in cell.source}


# -- form ----------------------------------------------------------------------------------------------


def test_the_first_lessons_are_there() -> None:
    names = "00_welcome 01_why_agreement_is_hard 02_promises 03_change 04_redis_acceptors 05_failures 06_did_it_work"
    names += " 09_membership"
    names += " 10_forgetting"
    names += " 12_capstone"
    assert set(names.split()) <= set(LESSONS)


@EACH
def test_a_lesson_has_the_skeleton_that_all_lessons_have(lesson: str) -> None:
    texts = [cell.source for cell in cells(lesson) if cell.cell_type == "markdown"]
    assert re.match(rf"# {lesson[:2]}  \S.*\?\n\n\*\(\d+ minutes\)\*", texts[0]), "number, question, minutes"
    headings = re.findall(r"^## (.*)$", "\n".join(texts), re.M)
    places = [next((n for n, text in enumerate(headings) if re.match(rf"{name}\b", text)), -1) for name in HEADINGS]
    assert -1 not in places and places == sorted(places), headings
    assert [text for text in headings if not MINUTES.search(text)] == []


@EACH
def test_the_minutes_of_the_sections_make_up_those_of_the_lesson(lesson: str) -> None:
    whole, *parts = (
        int(number) for cell in cells(lesson) for number in re.findall(r"\*\((\d+) minutes?\)\*", cell.source)
    )
    assert 10 <= whole <= 45
    assert 0.7 * whole <= sum(parts) <= 1.3 * whole


@EACH
def test_a_prediction_comes_first_and_then_something_happens(lesson: str) -> None:
    first, second, *_, last = (cell.id for cell in code_cells(lesson))
    assert first.startswith("predict-") and second.startswith("see-") and last == "start-again"
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", cell.id) for cell in cells(lesson)), "ids that can be read"


@EACH
def test_there_is_no_wall_of_text(lesson: str) -> None:
    words = 0  # since the last cell that does something; hints are folded away
    for cell in cells(lesson):
        shown = re.sub("<details>.*?</details>", "", cell.source, flags=re.S)
        words = 0 if cell.cell_type == "code" else words + len(shown.split())
        assert words <= 300, cell.id


@EACH
def test_hints_follow_each_build_cell_and_no_answer_stands_in_the_notebook(lesson: str) -> None:
    right, _ = answers(lesson)
    following = {before.id: after.source for before, after in pairwise(cells(lesson))}
    for name in to_build(lesson):
        assert following[name].count("<details><summary>Hint") >= 2, f"hints one by one after {name}"
    everything = " ".join("\n".join(cell.source for cell in cells(lesson)).split())
    for name, source in right.items():
        longest = max((" ".join(line.split()) for line in source.splitlines()), key=len)
        assert longest not in everything, f"the answer to {name} is given away: {longest}"


@EACH
def test_each_build_cell_has_a_right_answer_and_a_wrong_one(lesson: str) -> None:
    right, wrong = answers(lesson)
    assert set(to_build(lesson)) == set(right) == {name for name, some in wrong.items() if some}


def test_what_is_told_is_told_of_cells_that_there_are() -> None:
    assert {lesson: set(told) - {cell.id for cell in code_cells(lesson)} for lesson, told in TOLD.items()} == {
        lesson: set() for lesson in TOLD
    }


@EACH
def test_links_lead_somewhere(lesson: str) -> None:
    for cell in cells(lesson):
        for link in re.findall(r"\]\(([^)#:]+)\)", cell.source) if cell.cell_type == "markdown" else []:
            assert (LESSONS[lesson].parent / link).exists(), f"{cell.id}: {link}"


# -- runs ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_there_is_a_real_server_for_the_lessons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRYADKA_SERVER", raising=False)
    assert find_server() != FAKE


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, ids="-".join)
def test_a_lesson_runs_untouched_and_once_more_after_its_last_cell(place: tuple[str, str], tmp_path: Path) -> None:
    lesson, server = place
    with session(lesson, tmp_path, server) as kernel:
        for _ in range(2):
            outputs = kernel.run_all()
            said = "\n".join(map(text_of, outputs))
            assert ("fakeredis inside this process" in said) == (server == "fakeredis")
            assert verdicts(outputs)
            for verdict in verdicts(outputs):
                assert verdict.startswith("✗ not yet: " if to_build(lesson) else "✓ "), verdict
            for output in outputs:
                _has_a_text_alternative(output)
            assert any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in outputs)
    assert set(os.listdir(tmp_path)) <= {".ipython"}, "an untouched lesson leaves nothing behind"


def _has_a_text_alternative(output: nbformat.NotebookNode) -> None:
    if output.output_type == "stream":
        return
    forms = set(output.data)
    assert "text/plain" in forms
    if forms & {"text/html", "image/svg+xml", "image/png", "application/vnd.jupyter.widget-view+json"}:
        text = output.data["text/plain"]
        assert len(text) > 10 and not re.match(r"<.*>$|\w+\(", text), f"a text alternative, not {text!r}"
    if "<svg" in output.data.get("text/html", ""):
        assert "image/svg+xml" in forms
        assert 'role="img"' in output.data["text/html"] and "<title>" in output.data["text/html"]


@pytest.fixture(scope="module")
def answered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Session]]:
    """A lesson that has run with right answers, up to its last cell, and waits for more."""
    lesson, server = request.param
    folder = tmp_path_factory.mktemp(lesson)
    with session(lesson, folder, server) as kernel:
        outputs = kernel.run_all(answers(lesson)[0], but="start-again")
        assert verdicts(outputs)
        assert [verdict for verdict in verdicts(outputs) if not verdict.startswith("✓ ")] == []
        said = "\n".join(map(text_of, outputs))
        if answers(lesson)[0]:
            assert "Kept in my_work.py" in said and "Not kept" not in said
            assert "Using the course's" not in said
        yield lesson, kernel
        kernel.run("start-again")


@pytest.mark.slow
@pytest.mark.parametrize("answered", PLACES, indirect=True, ids="-".join)
def test_right_answers_pass_and_pass_again(answered: tuple[str, Session]) -> None:
    lesson, kernel = answered
    for verdict in kernel.try_answers(answers(lesson)[0]):
        assert verdict.startswith("✓ "), verdict


@pytest.mark.slow
@pytest.mark.parametrize("answered", PLACES, indirect=True, ids="-".join)
def test_each_wrong_answer_is_refused_with_its_sentence(answered: tuple[str, Session]) -> None:
    lesson, kernel = answered
    right, wrong = answers(lesson)
    unexpected = {}
    for cell, name in ((cell, name) for cell, some in wrong.items() for name in some):
        source, sentence = wrong[cell][name]
        said = kernel.try_answers(right | {cell: source})
        if not any(verdict.startswith("✗ not yet: ") and sentence in verdict for verdict in said):
            unexpected[name] = said
    assert unexpected == {}
