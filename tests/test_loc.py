"""The count of code lines, and the core's limit."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gryadka
from gryadka.loc import LIMIT, count, lines_of_code

PYTHON = '''\
"""A docstring

over three lines."""

import os  # 1


class Box:  # 2
    """Its docstring."""

    size = 1  # 3
    """What is said of a field is no code either."""

    def open(self) -> str:  # 4
        # a comment of its own
        text = """a value,

not a docstring"""  # 5, 6, 7: all that it stands on
        return (  # 8
            text
            + os.sep  # 9, 10
        )  # 11


class Short: "on the line of its class"  # 12
'''

LUA = """\
-- a comment
local one = 1 -- 1

  -- an indented one
if one then
  return "-- 3"
end
"""


def test_code_is_counted_as_by_hand() -> None:
    assert lines_of_code("sample.py", PYTHON) == 12
    assert lines_of_code("sample.lua", LUA) == 4
    assert lines_of_code("empty.py", "") == lines_of_code("empty.lua", "") == 0
    assert lines_of_code("no_newline.py", "x = 1") == 1


STATEMENTS = ["x = 1", "def f(): pass", "if True:\n    y = (1,\n    2)", '"""a docstring"""\nz = 3']
FILLERS = ["", "# comment", '"""said aside"""', "   ", '\n"""\nmore\n"""\n']


@given(st.lists(st.tuples(st.sampled_from(STATEMENTS), st.lists(st.sampled_from(FILLERS)))))
def test_what_is_no_code_never_counts(parts: list[tuple[str, list[str]]]) -> None:
    bare = "\n".join(statement for statement, _ in parts)
    padded = "\n".join("\n".join([statement, *fillers]) for statement, fillers in parts)
    assert lines_of_code("x.py", bare) == lines_of_code("x.py", padded)


def test_the_core_fits_in_its_limit() -> None:
    counted = count()
    assert 0 < counted.total <= LIMIT == 500
    assert counted.total == sum(counted.core.values())


def test_every_file_of_the_core_is_counted() -> None:
    package = Path(gryadka.__file__).parent
    core = [*package.glob("protocol/*.py"), *package.glob("acceptors/*.lua")]
    core += [package / "proposer.py", package / "acceptors" / "redis.py"]
    assert set(count().core) == {path.relative_to(package.parent).as_posix() for path in core}
    assert len(core) >= 10


@pytest.mark.parametrize("name", [name for name in (*count().core, *count().beside) if name.endswith(".py")])
def test_nothing_of_the_core_hides_in_a_file_that_is_not_shown(name: str) -> None:
    """What a file shown imports of this package is shown as well, in the core or beside it."""
    shown = {*count().core, *count().beside}
    path = Path(gryadka.__file__).parents[1] / name
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gryadka"):
            module = (node.module or "").replace(".", "/")
            assert {f"{module}.py", f"{module}/__init__.py"} & shown, f"{name} imports {node.module}"
