"""Notebooks as they are committed: no outputs, the kernel named, no saved widget state.

    python tools/notebooks.py check [FILE...]    say what is wrong, and exit with 1 if anything is
    python tools/notebooks.py clean [FILE...]    mend what can be mended

Without files: every notebook of the course. Clean notebooks give readable diffs, and a notebook that
names no kernel opens with a dialog that waits for a click.
"""

import json
import sys
import uuid
from pathlib import Path
from typing import Any

import nbformat

FOLDERS = ("notebooks", "solutions", "exercises")
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
MAX_LESSON_LINES = 14
"""Longest code cell in notebooks/, in lines: a learner is to read all of it."""


def course_notebooks(root: Path) -> list[Path]:
    """All notebooks of the course, in a fixed order."""
    found = (path for folder in FOLDERS for path in (root / folder).rglob("*.ipynb"))
    return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)


def problems(notebook: dict[str, Any], *, max_lines: int | None = None) -> list[str]:
    """What keeps `notebook`, the parsed JSON of a file, from being clean; one sentence each."""
    metadata = notebook["metadata"]
    found = []
    if metadata.get("kernelspec", {}).get("name") != KERNEL["name"]:
        found.append(f"The kernelspec is not named {KERNEL['name']}.")
    if "widgets" in metadata:
        found.append("Widget state is saved in the metadata.")
    for number, cell in enumerate(notebook["cells"], start=1):
        found += [f"Cell {number} {problem}." for problem in _cell_problems(cell, max_lines)]
    ids = [cell["id"] for cell in notebook["cells"] if "id" in cell]
    if len(set(ids)) < len(ids):
        found.append("Two cells have the same id.")
    return found


def _cell_problems(cell: dict[str, Any], max_lines: int | None) -> list[str]:
    found = []
    if "id" not in cell:
        found.append("has no id")
    if cell.get("outputs"):
        found.append("has outputs")
    if cell.get("execution_count") is not None:
        found.append("has an execution count")
    lines = len("".join(cell["source"]).splitlines())
    if cell["cell_type"] == "code" and max_lines is not None and lines > max_lines:
        found.append(f"has {lines} lines of code, more than {max_lines}")
    return found


def clean(path: Path) -> None:
    """Take outputs, counts and widget state out of a file; give it the kernel and cell ids it lacks."""
    notebook = nbformat.from_dict(json.loads(path.read_text(encoding="utf-8")))
    notebook.nbformat_minor = max(notebook.nbformat_minor, 5)  # the first with cell ids
    notebook.metadata.kernelspec = KERNEL
    notebook.metadata.pop("widgets", None)
    ids: set[str] = set()
    for cell in notebook.cells:
        if cell.get("id") in ids | {None}:
            cell.id = uuid.uuid4().hex[:8]
        ids.add(cell.id)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.metadata.pop("execution", None)
    nbformat.write(notebook, path)


def check(path: Path) -> list[str]:
    """The problems of the notebook at `path`; code cells in notebooks/ must be short as well."""
    max_lines = MAX_LESSON_LINES if path.resolve().parent.name == "notebooks" else None
    return problems(json.loads(path.read_text(encoding="utf-8")), max_lines=max_lines)


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in ("check", "clean"):
        print(__doc__, file=sys.stderr)
        return 2
    paths = [Path(name) for name in arguments[1:]] or course_notebooks(Path())
    if arguments[0] == "clean":
        for path in paths:
            clean(path)
    found = [f"{path}: {problem}" for path in paths for problem in check(path)]
    print(*found, sep="\n", end="\n" if found else "")
    if found:
        print("`make notebooks` mends all of this but long cells.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
