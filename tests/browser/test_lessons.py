"""Every lesson, opened and run in a browser; and proof that a failure would be seen."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.browser.jupyter import ROOT, CellFailed, Lab
from tools.notebooks import KERNEL

LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def write_notebook(root: Path, name: str, *cells: str) -> str:
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata={"kernelspec": KERNEL})
    nbformat.write(notebook, root / name)
    return name


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
async def test_a_lesson_runs_from_start_to_end(lab: Lab, lesson: Path) -> None:
    opened = await lab.open_and_run(f"notebooks/{lesson.name}")
    assert opened.console_errors == []


async def test_outputs_arrive(lab: Lab, server_root: Path) -> None:
    path = write_notebook(server_root, "sum.ipynb", "x = 20 + 1", "2 * x", "")
    opened = await lab.open_and_run(path)
    assert [output["data"]["text/plain"] for output in opened.outputs()] == ["42"]
    assert opened.console_errors == []
    assert await opened.page.get_by_text("42", exact=True).is_visible()


async def test_an_error_in_a_cell_is_seen_with_its_text(lab: Lab, server_root: Path) -> None:
    path = write_notebook(server_root, "error.ipynb", "x = 0", "1 / x", "x = 1")
    with pytest.raises(CellFailed, match=r"error.ipynb, cell 2: ZeroDivisionError: division by zero"):
        await lab.open_and_run(path)


async def test_a_cell_that_did_not_run_is_seen(lab: Lab, server_root: Path) -> None:
    # Shutting the kernel down from inside leaves no error output behind.
    path = write_notebook(server_root, "exit.ipynb", "import os; os._exit(0)", "x = 1")
    with pytest.raises(CellFailed, match="did not run"):
        await lab.open_and_run(path)


async def test_a_notebook_that_never_ends_is_given_up(lab: Lab, server_root: Path) -> None:
    path = write_notebook(server_root, "sleep.ipynb", "import time; time.sleep(300)")
    with pytest.raises(TimeoutError):
        await lab.open_and_run(path, timeout_s=10)


async def test_complaints_in_the_console_are_collected(lab: Lab, server_root: Path) -> None:
    script = "from IPython.display import Javascript; Javascript('console.error(\"a bad view\")')"
    opened = await lab.open_and_run(write_notebook(server_root, "console.ipynb", script))
    assert opened.console_errors == ["a bad view"]
