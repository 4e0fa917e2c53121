"""How large is the core? Lines of code, counted the same way every time.

What may live here: the count, and which files make up the core. No printing.

A line of code is a physical line that holds code. Blank lines, comments and docstrings (any statement that
is nothing but a string) hold none. In Lua, a comment is a line that starts with `--`.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterable
from importlib.resources import files
from typing import NamedTuple

LIMIT = 500

CORE = ("protocol/*.py", "proposer.py", "acceptors/redis.py", "acceptors/*.lua")
"""What a learner reads in one evening, and what the limit holds for."""

BESIDE = (
    "acceptors/__init__.py",
    "acceptors/advice.py",
    "acceptors/identity.py",
    "acceptors/observed.py",
    "acceptors/roster.py",
    "acceptors/wire.py",
    "errors.py",
    "reads.py",
    "trace.py",
)
"""What the core imports of this package, and what that imports in turn: shown for honesty, not counted."""

_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


class Count(NamedTuple):
    """Lines of code per file, named as in the project's folder."""

    core: dict[str, int]
    beside: dict[str, int]

    @property
    def total(self) -> int:
        """Lines of code of the core."""
        return sum(self.core.values())


def count() -> Count:
    """Count the installed package's core, and the files beside it."""
    return Count(_counted(CORE), _counted(BESIDE))


def lines_of_code(name: str, source: str) -> int:
    """Return the number of lines of code in `source`, which is Python or Lua as the file's `name` says.

    Raises `tokenize.TokenError` or `SyntaxError` for Python that cannot be read.
    """
    return _lua(source) if name.endswith(".lua") else _python(source)


def _counted(patterns: Iterable[str]) -> dict[str, int]:
    counts = {}
    for pattern in patterns:
        folder, _, wanted = pattern.rpartition("/")
        place = files("gryadka").joinpath(folder) if folder else files("gryadka")
        for entry in sorted(place.iterdir(), key=lambda entry: entry.name):
            if entry.name == wanted or (wanted.startswith("*") and entry.name.endswith(wanted[1:])):
                name = "/".join(part for part in ("gryadka", folder, entry.name) if part)
                counts[name] = lines_of_code(name, entry.read_text(encoding="utf-8"))
    return counts


def _python(source: str) -> int:
    lines: set[int] = set()
    statement: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NEWLINE:  # the end of a statement, on however many lines it stands
            if any(part.type != tokenize.STRING for part in statement):
                for part in statement:
                    lines.update(range(part.start[0], part.end[0] + 1))
            statement = []
        elif token.type not in _LAYOUT:
            statement.append(token)
    return len(lines)


def _lua(source: str) -> int:
    stripped = (line.strip() for line in source.splitlines())
    return sum(bool(line) and not line.startswith("--") for line in stripped)
