"""The notebooks are clean, and the check of that sees each kind of dirt."""

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import notebooks

ROOT = Path(__file__).parents[1]


def clean_notebook() -> NotebookNode:
    cells = [new_markdown_cell("# Title"), new_code_cell("x = 1\nx")]
    return new_notebook(cells=cells, metadata={"kernelspec": dict(notebooks.KERNEL)})


def add_output(notebook: NotebookNode) -> None:
    notebook.cells[1].outputs = [new_output("stream", text="1")]


def add_count(notebook: NotebookNode) -> None:
    notebook.cells[1].execution_count = 3


def remove_kernel(notebook: NotebookNode) -> None:
    del notebook.metadata["kernelspec"]


def name_another_kernel(notebook: NotebookNode) -> None:
    notebook.metadata.kernelspec.name = "my-env"


def save_widgets(notebook: NotebookNode) -> None:
    notebook.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": {}}}


def remove_id(notebook: NotebookNode) -> None:
    del notebook.cells[0]["id"]


def repeat_id(notebook: NotebookNode) -> None:
    notebook.cells[1].id = notebook.cells[0].id


def make_long(notebook: NotebookNode) -> None:
    notebook.cells[1].source = "\n".join(f"x{n} = {n}" for n in range(15))


MENDED = {
    add_output: ["Cell 2 has outputs."],
    add_count: ["Cell 2 has an execution count."],
    remove_kernel: ["The kernelspec is not named python3."],
    name_another_kernel: ["The kernelspec is not named python3."],
    save_widgets: ["Widget state is saved in the metadata."],
    remove_id: ["Cell 1 has no id."],
    repeat_id: ["Two cells have the same id."],
}
LEFT_TO_THE_AUTHOR = {make_long: ["Cell 2 has 15 lines of code, more than 14."]}
DIRT = (MENDED | LEFT_TO_THE_AUTHOR).items()


def write(folder: Path, notebook: NotebookNode) -> Path:
    # Not by nbformat, which would refuse or mend some of the dirt.
    path = folder / "notebooks" / "lesson.ipynb"
    path.parent.mkdir()
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def test_every_notebook_of_the_course_is_clean() -> None:
    paths = notebooks.course_notebooks(ROOT)
    assert any(path.parent.name == "notebooks" for path in paths)
    assert {str(path.relative_to(ROOT)): notebooks.check(path) for path in paths} == {
        str(path.relative_to(ROOT)): [] for path in paths
    }


def test_checkpoints_are_not_notebooks_of_the_course(tmp_path: Path) -> None:
    for name in ("b.ipynb", "a.ipynb", ".ipynb_checkpoints/a-checkpoint.ipynb"):
        (tmp_path / "notebooks" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "notebooks" / name).touch()
    assert [path.name for path in notebooks.course_notebooks(tmp_path)] == ["a.ipynb", "b.ipynb"]


def test_a_clean_notebook_has_no_problems(tmp_path: Path) -> None:
    assert notebooks.check(write(tmp_path, clean_notebook())) == []


@pytest.mark.parametrize(("soil", "found"), DIRT, ids=lambda value: getattr(value, "__name__", ""))
def test_the_check_finds(tmp_path: Path, soil: Callable[[NotebookNode], None], found: list[str]) -> None:
    notebook = clean_notebook()
    soil(notebook)
    assert notebooks.check(write(tmp_path, notebook)) == found


@pytest.mark.parametrize("soil", MENDED, ids=lambda soil: soil.__name__)
def test_clean_mends(tmp_path: Path, soil: Callable[[NotebookNode], None]) -> None:
    notebook = clean_notebook()
    soil(notebook)
    path = write(tmp_path, notebook)
    notebooks.clean(path)
    assert notebooks.check(path) == []
    assert [cell.source for cell in nbformat.read(path, as_version=4).cells] == ["# Title", "x = 1\nx"]


def test_cleaning_a_clean_file_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write(tmp_path, clean_notebook())
    notebooks.clean(path)
    once = path.read_bytes()
    notebooks.clean(path)
    assert path.read_bytes() == once


def test_only_lessons_have_a_limit_of_lines(tmp_path: Path) -> None:
    notebook = clean_notebook()
    make_long(notebook)
    path = write(tmp_path, notebook)
    assert notebooks.check(path)
    assert notebooks.check(path.rename(tmp_path / "solution.ipynb")) == []


def test_the_command_goes_red_and_then_mends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = clean_notebook()
    add_output(notebook)
    write(tmp_path, notebook)
    monkeypatch.chdir(tmp_path)
    assert notebooks.main(["check"]) == 1
    assert "lesson.ipynb: Cell 2 has outputs." in capsys.readouterr().out
    assert notebooks.main(["clean"]) == 0
    assert notebooks.main(["check"]) == 0
    assert capsys.readouterr().out == ""
    assert notebooks.main(["polish"]) == 2
