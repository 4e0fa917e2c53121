"""Makes exercises/, which learners get, from solutions/, which is the only source.

    python -m gryadka.course.exercises            make exercises/ anew (over what a learner wrote there)
    python -m gryadka.course.exercises --check    say whether exercises/ is what solutions/ gives

Only that may live here. The work itself is nbgrader's: it takes out what stands between BEGIN SOLUTION and
END SOLUTION, and the held-back checks between BEGIN HIDDEN TESTS and END HIDDEN TESTS, and locks the cells
that hold checks. It works in a temporary course folder and without its database, so it leaves nothing else
behind, and because the cells' ids are fixed, the same solutions give the same bytes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SETTINGS = "nbgrader_config.py"
NOT_OURS = (".ipynb_checkpoints", "__pycache__")

Files = dict[str, bytes]
"""Each file's path below exercises/, e.g. "ps1_acceptor/ps1_acceptor.ipynb", and what is in it."""


def make(root: Path) -> Files:
    """Return the exercises that `root`/solutions gives. Nothing in `root` is touched.

    Raises `NbGraderException` if nbgrader cannot make one of them; its log says why.
    """
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config.loader import PyFileConfigLoader

    solutions = root / "solutions"
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder).resolve()  # nbgrader matches paths as text
        shutil.copytree(solutions, course / "solutions", ignore=shutil.ignore_patterns(*NOT_OURS))
        config = PyFileConfigLoader(SETTINGS, path=str(solutions)).load_config()
        config.CourseDirectory.root = str(course)
        config.GenerateAssignment.no_database = True
        config.SaveCells.enabled = False  # it would write the database all the same
        for assignment in _folders(course / "solutions"):
            config.CourseDirectory.assignment_id = assignment
            GenerateAssignment(coursedir=CourseDirectory(config=config), config=config).start()
        return _files(course / "exercises")


def drift(made: Files, present: Files) -> list[str]:
    """Say of each file in which exercises/ differs from what solutions/ gives, how; in order of their paths."""
    sentences = []
    for name in sorted(made.keys() | present.keys()):
        if name not in present:
            sentences.append(f"exercises/{name} is missing: run `make exercises`")
        elif name not in made:
            sentences.append(f"exercises/{name} comes from no solution: delete it")
        elif made[name] != present[name]:
            sentences.append(f"exercises/{name} is not what solutions/ gives: run `make exercises`")
    return sentences


def main(arguments: Sequence[str] | None = None, root: Path | None = None) -> int:
    """Run the command in `root`, by default the working folder. Returns 0, or 1 if something has drifted."""
    parser = argparse.ArgumentParser(prog="python -m gryadka.course.exercises", description="Make exercises/.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if exercises/ has drifted")
    check = parser.parse_args(arguments).check
    root = root or Path()
    if not (root / "solutions" / SETTINGS).exists():
        parser.error(f"there is no solutions/{SETTINGS} here: run this in the project's folder")
    made = make(root)
    if not check:
        for name, content in made.items():
            path = root / "exercises" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    sentences = drift(made, _files(root / "exercises"))
    print(*sentences, sep="\n", end="\n" if sentences else "")
    return 1 if sentences else 0


def _folders(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir() if path.is_dir())


def _files(folder: Path) -> Files:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not set(NOT_OURS) & set(path.parts)
    }


if __name__ == "__main__":
    sys.exit(main())
