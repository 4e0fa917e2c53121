"""The house: each floor knows only those below it, and the protocol knows no input or output."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

FLOORS = {
    1: ["protocol", "trace", "errors"],
    2: ["acceptors", "proposer"],
    3: ["checking", "operations", "options", "registers"],
    4: ["simulation", "http"],
    5: ["views", "chaos"],
    6: ["course", "lab", "cli", "doctor", "facts", "kv_commands", "loc", "proposer_commands", "collect_commands"],
}
FLOOR = {name: floor for floor, names in FLOORS.items() for name in names}
FORBIDDEN = {"asyncio", "redis", "time", "random", "os", "socket", "threading", "datetime", "secrets"}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


MODULES = sorted(path for path in Path("gryadka").rglob("*.py") if path.parts[1].removesuffix(".py") in FLOOR)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_each_floor_knows_only_the_floors_below_it(path: Path) -> None:
    mine = FLOOR[path.parts[1].removesuffix(".py")]
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "gryadka" and parts[1] in FLOOR:
            assert FLOOR[parts[1]] <= mine, f"{path} imports {name}, from a higher floor"


def test_the_ground_floor_imports_nothing_that_waits_or_chooses() -> None:
    for path in [*Path("gryadka/protocol").glob("*.py"), Path("gryadka/trace.py"), Path("gryadka/errors.py")]:
        assert not {name.split(".")[0] for name in imports(path)} & FORBIDDEN, path


def test_nor_does_anything_that_the_protocol_imports() -> None:
    """In a process of its own, with the forbidden modules made unimportable."""
    program = """
import sys, types
gryadka = types.ModuleType("gryadka"); gryadka.__path__ = ["gryadka"]; sys.modules["gryadka"] = gryadka
before = set(sys.modules)
import gryadka.protocol.round, gryadka.protocol.value
new = {name.split(".")[0] for name in set(sys.modules) - before}
assert not new & {"asyncio", "redis", "random"}, new
"""
    subprocess.run([sys.executable, "-S", "-c", program], check=True)
