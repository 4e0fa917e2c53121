"""Runs lessons in a kernel, as a learner would, with answers put into their build cells.

For each lesson with something to build there is a file answers/<lesson>.py. It holds two names:

    RIGHT = {"build-accept": "source of the whole cell"}
    WRONG = {"build-accept": {"what is wrong with it": ("source of the whole cell", "what the check has to say")}}

A cell to build is one that says "your turn". A cell that checks has an id that begins with "check-".
"""

from __future__ import annotations

import os
import re
import runpy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.lessons.told import TOLD

ROOT = Path(__file__).parents[2]
LESSONS = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
SERVERS = ("real", "fakeredis")
CELL_TIMEOUT_S = 60

Wrong = Mapping[str, Mapping[str, tuple[str, str]]]


def answers(lesson: str) -> tuple[dict[str, str], Wrong]:
    """The right and the wrong answers to a lesson; both empty if it has none."""
    path = Path(__file__).parent / "answers" / f"{lesson}.py"
    if not path.exists():
        return {}, {}
    found = runpy.run_path(str(path))
    return found["RIGHT"], found["WRONG"]


def code_cells(lesson: str) -> list[NotebookNode]:
    """A fresh copy of the lesson's code cells."""
    return [cell for cell in nbformat.read(LESSONS[lesson], as_version=4).cells if cell.cell_type == "code"]


class Session:
    """A lesson's code cells in a running kernel, by id."""

    def __init__(self, lesson: str, client: NotebookClient) -> None:
        self.cells = {cell.id: cell for cell in code_cells(lesson)}
        self._told = TOLD.get(lesson, {})
        self._client = client

    def run(self, name: str, source: str | None = None) -> list[NotebookNode]:
        """Run a cell, or another `source` in its place; return its outputs. An error output fails the test, and so
        does one that shows something else than the lesson's text tells."""
        cell = self.cells[name].copy() | {"source": source or self.cells[name].source}
        self._client.nb.cells = [nbformat.from_dict(cell)]
        (done,) = self._client.nb.cells
        self._client.execute_cell(done, 0)
        for output in done.outputs:
            assert output.output_type != "error", f"{name}: {output.ename}: {output.evalue}"
            complains = output.output_type == "stream" and output.name == "stderr"
            assert not complains, f"{name} complains: {output.text}"
        outputs: list[NotebookNode] = done.outputs
        # What one cell prints may arrive in several parts, cut anywhere.
        said = "".join(text_of(output) + "\n" * (output.output_type != "stream") for output in outputs)
        assert source or re.search(self._told.get(name, ""), said), f"{name}: the text tells of something else: {said}"
        return outputs

    def run_all(self, sources: Mapping[str, str] | None = None, *, but: str | None = None) -> list[NotebookNode]:
        """Run every cell in order, some with other sources, and one perhaps not at all."""
        sources = sources or {}
        return [output for name in self.cells if name != but for output in self.run(name, sources.get(name))]

    def try_answers(self, sources: Mapping[str, str]) -> list[str]:
        """Run the build cells with these sources, then the checks; return what the checks say."""
        for name, source in sources.items():
            self.run(name, source)
        return verdicts([output for name in self.cells if name.startswith("check-") for output in self.run(name)])


@contextmanager
def session(lesson: str, folder: Path, server: str) -> Iterator[Session]:
    """A kernel in `folder`, whose servers are real ones or fakeredis."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRYADKA_")}
    environment |= {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / ".ipython")}
    if server == "fakeredis":
        environment["GRYADKA_SERVER"] = "fakeredis"
    client = NotebookClient(
        nbformat.v4.new_notebook(),
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    with client.setup_kernel(env=environment):
        yield Session(lesson, client)


def text_of(output: NotebookNode) -> str:
    """What an output says in plain text."""
    if output.output_type == "stream":
        return str(output.text)
    data: dict[str, Any] = output.data
    return str(data.get("text/plain", ""))


def verdicts(outputs: list[NotebookNode]) -> list[str]:
    """What the checks among these outputs say."""
    return [text for output in outputs if (text := text_of(output)).startswith(("✓", "✗"))]
