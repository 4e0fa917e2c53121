"""The assignments: exercises/ is what solutions/ gives, solutions pass, and empty or wrong answers do not."""

import csv
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

from gryadka.course import examine, exercises
from gryadka.course.finding import Finding
from tests.exercises.ps1_acceptor import Wrong

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.parent.name for path in (ROOT / "solutions").glob("*/*.ipynb"))
YOUR_TURN = "your turn: write this, and take this line out"
UNANSWERED = f"NotImplementedError: {YOUR_TURN}"
ANSWERS = {name: importlib.import_module(f"tests.exercises.{name}") for name in NAMES}
WRONG: dict[str, dict[str, list[Wrong]]] = {name: module.WRONG for name, module in ANSWERS.items()}
FINDINGS: dict[Any, Finding] = {}
WRONG_ANSWERS = [
    pytest.param(name, item, wrong, id=f"{name}-{item}-{number}")
    for name, items in WRONG.items()
    for item, wrongs in items.items()
    for number, wrong in enumerate(wrongs)
]


def read(kind: str, name: str) -> NotebookNode:
    return nbformat.read(ROOT / kind / name / f"{name}.ipynb", as_version=4)


def settings(cell: NotebookNode) -> Any:
    return cell.metadata.get("nbgrader", {"grade": False, "solution": False})


def graded(notebook: NotebookNode) -> list[str]:
    return [cell.id for cell in notebook.cells if settings(cell)["grade"]]


def answered(notebook: NotebookNode, answers: dict[str, str]) -> NotebookNode:
    """Put each source in `answers` in place of the solution cell of that id."""
    solutions = {cell.id: cell for cell in notebook.cells if settings(cell)["solution"]}
    for name, source in answers.items():
        solutions[name].source = source
    return notebook


def run(notebook: NotebookNode) -> dict[str, str]:
    """Run all code cells as nbgrader does, going on after errors. Returns each failed cell's last line."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    failures = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            try:
                exec(compile(cell.source, cell.id, "exec"), namespace)
            except Exception as error:
                failures[cell.id] = f"{type(error).__name__}: {error}"
    return failures


@pytest.fixture(autouse=True)
def examined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answer stands in many runs: it takes seconds to explore, so it is explored once."""
    explored = examine.acceptor

    def remembered(prepare: Any, accept: Any) -> Finding:
        code = prepare.__code__, accept.__code__
        if code not in FINDINGS:
            FINDINGS[code] = explored(prepare, accept)
        return FINDINGS[code]

    monkeypatch.setattr(examine, "acceptor", remembered)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of solutions/ and exercises/ to break."""
    for kind in ("solutions", "exercises"):
        shutil.copytree(ROOT / kind, tmp_path / kind, ignore=shutil.ignore_patterns(*exercises.NOT_OURS))
    return tmp_path


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# -- made from solutions/ ------------------------------------------------------------------------------


@pytest.mark.slow
def test_exercises_are_what_solutions_give(capsys: pytest.CaptureFixture[str]) -> None:
    assert NAMES
    assert exercises.main(["--check"], ROOT) == 0, capsys.readouterr().out


@pytest.mark.slow
def test_one_changed_byte_is_seen_and_mended(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(copy)
    path = copy / "exercises" / "ps1_acceptor" / "ps1_acceptor.ipynb"
    sound = path.read_bytes()
    path.write_bytes(sound.replace(b"Lose a change", b"Lose a chance", 1))
    assert exercises.main(["--check"], copy) == 1
    sentence = "exercises/ps1_acceptor/ps1_acceptor.ipynb is not what solutions/ gives: run `make exercises`\n"
    assert capsys.readouterr().out == sentence
    assert exercises.main([], copy) == 0
    assert path.read_bytes() == sound
    assert files(copy) == before, "no gradebook, no log"


def test_a_changed_solution_is_seen(copy: Path) -> None:
    path = copy / "solutions" / "ps1_acceptor" / "ps1_acceptor.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("about an hour", "two hours"), encoding="utf-8")
    assert exercises.main(["--check"], copy) == 1


def test_drift_names_each_file_and_what_to_do() -> None:
    made = {"same": b"1", "changed": b"1", "missing": b"1"}
    present = {"same": b"1", "changed": b"2", "left over": b"1"}
    assert exercises.drift(made, present) == [
        "exercises/changed is not what solutions/ gives: run `make exercises`",
        "exercises/left over comes from no solution: delete it",
        "exercises/missing is missing: run `make exercises`",
    ]


def test_a_folder_without_solutions_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        exercises.main(["--check"], tmp_path)
    assert "run this in the project's folder" in capsys.readouterr().err


# -- right, empty and wrong answers --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_solution_passes_its_own_checks(name: str) -> None:
    solution = read("solutions", name)
    assert len(graded(solution)) >= 4
    assert run(solution) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_answers_that_are_as_sound_pass_too(name: str) -> None:
    assert ANSWERS[name].SOUND
    assert run(answered(read("solutions", name), ANSWERS[name].SOUND)) == {}


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_exercise_passes_no_graded_item(name: str) -> None:
    exercise = read("exercises", name)
    assert run(exercise) == dict.fromkeys(graded(exercise), UNANSWERED)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_exercise_passes_no_graded_item_with_the_held_back_checks(name: str) -> None:
    exercise = read("exercises", name)
    empty = {cell.id: cell.source for cell in exercise.cells if settings(cell)["solution"]}
    assert run(answered(read("solutions", name), empty)) == dict.fromkeys(graded(exercise), UNANSWERED)


@pytest.mark.parametrize("name", NAMES)
def test_every_graded_item_has_a_wrong_answer_to_reject(name: str) -> None:
    assert list(WRONG[name]) == graded(read("solutions", name))
    assert all(WRONG[name].values())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "item", "wrong"), WRONG_ANSWERS)
def test_a_wrong_answer_is_rejected_with_a_sentence(name: str, item: str, wrong: Wrong) -> None:
    failures = run(answered(read("solutions", name), {wrong.cell: wrong.source}))
    assert failures.get(item, "nothing was rejected").startswith("AssertionError: ")
    assert wrong.sentence in failures[item]
    others = {failed for failed in failures if not failed.startswith(wrong.cell)}
    assert not others, "a fault in one part costs points in that part only"
    if item.endswith("-held-back"):
        assert item.replace("-held-back", "-public") not in failures


# -- what a learner gets -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_an_exercise_lacks_exactly_the_answers_and_the_held_back_checks(name: str) -> None:
    answer = re.compile(r"( *)### BEGIN SOLUTION\n.*### END SOLUTION", re.DOTALL)
    held_back = re.compile(r"\n### BEGIN HIDDEN TESTS\n.*?### END HIDDEN TESTS", re.DOTALL)
    solution, exercise = read("solutions", name).cells, read("exercises", name).cells
    assert [cell.id for cell in exercise] == [cell.id for cell in solution]
    for ours, theirs in zip(solution, exercise, strict=True):
        emptied = answer.sub(rf'\1raise NotImplementedError("{YOUR_TURN}")', held_back.sub("", ours.source))
        assert theirs.source == emptied
        assert not re.search("(BEGIN|END) (SOLUTION|HIDDEN TESTS)", theirs.source)
        assert settings(ours)["solution"] == (answer.search(ours.source) is not None)


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_fixed_and_points_add_up(name: str) -> None:
    cells = read("solutions", name).cells
    assert all(settings(cell).get("grade_id", cell.id) == cell.id for cell in cells)
    points = 0
    for cell in cells:
        if settings(cell)["grade"]:
            said = re.match(r"# (?:Public|Held-back) checks? \((?:of )?(\d+) points?\)", cell.source)
            assert said is not None, f"{cell.id}: say which kind of check it is, and its points"
            assert int(said[1]) == settings(cell)["points"]
            points += settings(cell)["points"]
    assert f"**Points:** {points}." in cells[0].source
    guide = (ROOT / "solutions" / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{name}` \|.*\| {points} \| {len(WRONG[name])} \|$", guide, re.MULTILINE)


# -- through nbgrader ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_nbgrader_grades_a_class(tmp_path: Path) -> None:
    # As solutions/README.md says: a course folder with a copy of solutions/ and of the settings.
    shutil.copytree(ROOT / "solutions", tmp_path / "solutions")
    shutil.copy(ROOT / "solutions" / exercises.SETTINGS, tmp_path)
    faults = {
        "accept": WRONG["ps1_acceptor"]["accept-held-back"][0].source,  # costs 2 points
        "catch-1": "def catch_1():\n    while True:\n        pass",  # costs 2 points
    }
    handed_in = {
        "right": read("solutions", "ps1_acceptor"),
        "empty": read("exercises", "ps1_acceptor"),
        "wrong": answered(read("solutions", "ps1_acceptor"), faults),
    }
    for student, notebook in handed_in.items():
        folder = tmp_path / "submitted" / student / "ps1_acceptor"
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / "ps1_acceptor.ipynb")

    def nbgrader(*arguments: str) -> None:
        # It starts `alembic` by that name.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        command = [sys.executable, "-m", "nbgrader", *arguments]
        subprocess.run(command, cwd=tmp_path, env=os.environ | {"PATH": path}, check=True)

    nbgrader("generate_assignment", "ps1_acceptor")
    made = tmp_path / "exercises" / "ps1_acceptor" / "ps1_acceptor.ipynb"
    assert made.read_bytes() == (ROOT / "exercises" / "ps1_acceptor" / "ps1_acceptor.ipynb").read_bytes()
    nbgrader("autograde", "ps1_acceptor", "--Execute.timeout=30")
    nbgrader("export")
    with (tmp_path / "grades.csv").open(encoding="utf-8") as table:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(table)}
    assert scores == {"right": 18, "empty": 0, "wrong": 14}
