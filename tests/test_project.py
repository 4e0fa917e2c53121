"""The project's own files agree with each other, and its commands do what the README says."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BADGE = re.compile(r"mybinder\.org/v2/gh/([^/\s]+/[^/\s]+)/")


def tracked_files() -> Iterator[Path]:
    """The project's files as git knows them: tracked, or new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return (path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {canonicalize_name((pin := Requirement(line)).name): pin for line in lines if line}


def needed(root: str, extras: set[str]) -> set[str]:
    """Names of all installed distributions that `root[extras]` needs on this machine, in turn."""
    found: dict[str, set[str]] = {}
    waiting = [(root, extras)]
    while waiting:
        name, extras = waiting.pop()
        if extras | {""} <= found.get(name, set()):
            continue
        found.setdefault(name, set()).update(extras | {""})
        for line in metadata.requires(name) or []:
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in found[name]):
                waiting.append((canonicalize_name(requirement.name), requirement.extras))
    return set(found) - {root}


def test_everything_that_the_project_needs_is_pinned_and_installed_at_its_pin() -> None:
    names = needed("gryadka", set(PYPROJECT["project"]["optional-dependencies"]))
    assert {"redis", "pytest", "nbgrader", "tornado"} <= names  # tornado because JupyterLab needs it
    pinned = pins()
    assert names <= set(pinned)
    for name in names:
        assert str(pinned[name].specifier) == f"=={metadata.version(name)}", f"run `make constraints`: {name}"


def test_each_pin_is_one_exact_version_that_pyproject_allows() -> None:
    assert all(str(pin.specifier).startswith("==") for pin in pins().values())
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    wanted = [Requirement(line) for lines in (PYPROJECT["project"]["dependencies"], *extras) for line in lines]
    for requirement in wanted:
        if requirement.name != "gryadka":
            version = str(pins()[canonicalize_name(requirement.name)].specifier).removeprefix("==")
            assert requirement.specifier.contains(version), f"run `make constraints`: {requirement}"


@pytest.mark.parametrize(
    "name",
    ["pyproject.toml", "constraints.txt", "environment.yml", "Makefile", ".ci/run", "tools/venv.sh"],
)
def test_no_file_that_installs_names_an_address(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"://|index-url|find-links|trusted-host|\s-i\s", text)


def test_the_conda_environment_leaves_the_python_packages_to_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["channels"] == ["conda-forge"]
    *conda, pip = environment["dependencies"]
    assert {re.split(r"[=<>]", name)[0] for name in conda} == {"python", "redis-server", "pip"}
    assert pip == {"pip": ["-c constraints.txt", "-e ."]}
    (python,) = (name for name in conda if name.startswith("python"))
    version = re.fullmatch(r"python=(3\.\d+)", python)  # the form that Binder reads
    assert version is not None
    assert PYPROJECT["project"]["requires-python"] == ">=3.11"
    assert tuple(map(int, version[1].split("."))) >= (3, 11)


@pytest.mark.parametrize("status", [0, 3])
def test_ci_runs_make_test_and_hands_on_its_result(tmp_path: Path, status: int) -> None:
    log = tmp_path / "log"
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\necho "$PWD|$CI|$1" >"{log}"\nexit {status}\n', encoding="utf-8")
    make.chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", ROOT / ".ci" / "run"], cwd=tmp_path, env=env)
    assert done.returncode == status
    assert log.read_text(encoding="utf-8").strip() == f"{ROOT}|true|test"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_help_is_what_make_does_first_and_lists_the_commands() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    commands = {line.split()[1] for line in listed.splitlines() if line.startswith("make ")}
    assert {"lab", "test", "quick", "help", "notebooks", "exercises", "bench", "constraints"} <= commands


def test_readme_has_the_two_commands_and_one_binder_badge() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^make lab\b", readme, re.MULTILINE)
    assert re.search(r"^make test\b", readme, re.MULTILINE)
    (repository,) = set(BADGE.findall(readme))
    places = [
        path.relative_to(ROOT).as_posix()
        for path in tracked_files()
        for _ in range(path.read_bytes().count(repository.encode()))
    ]
    assert places == ["README.md"], "a fork must have to change its owner/name in one place only"


@pytest.mark.slow
def test_the_wheel_holds_the_lua_scripts_and_the_types(tmp_path: Path) -> None:
    # setuptools leaves a build folder in the tree that it builds, so it gets a copy.
    for path in tracked_files():
        name = path.relative_to(ROOT)
        target = tmp_path / "project" / name
        if name.parts[0] in ("gryadka", "jupyter_config", "pyproject.toml", "setup.py", "README.md", "LICENSE"):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", tmp_path, tmp_path / "project"], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = {path.relative_to(ROOT).as_posix() for path in tracked_files()}
    sources = {name for name in tracked if name.startswith("gryadka/")}
    settings = {name.rpartition("/etc/jupyter/")[2] for name in names if ".data/data/" in name}
    assert settings == {name.partition("/")[2] for name in tracked if name.startswith("jupyter_config/")}
    assert {name for name in names if not re.match(r"[^/]+\.(dist-info|data)/", name)} == sources
    assert "gryadka/py.typed" in sources
    assert any(name.endswith(".lua") for name in sources)
