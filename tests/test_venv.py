"""tools/venv.sh, on machines made up of a PATH with a few programs on it and a fake Python."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "venv.sh"
LISTS = ("pyproject.toml", "constraints.txt", "jupyter_config/settings.d/some.json")
TOOLS = ("basename", "cat", "cksum", "cp", "dirname", "mkdir", "rm", "sh")

FAKE_PYTHON = """#!/bin/sh
echo "$(basename "$0") $*" >>"$LOG"
case "$*" in
    -V) echo "Python {version}" ;;
    *version_info*) {version_check} ;;
    *ensurepip*) {venv_check} ;;
    "-m venv"*) rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
    *"pip install"*) {pip} ;;
esac
"""


class Project:
    """A folder with the files that the script reads, and the machine that it runs on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "my project"
        self.bin = folder / "bin"
        self.log_file = folder / "log"
        (self.folder / "tools").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(SCRIPT, self.folder / "tools")
        for name in LISTS:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(name, encoding="utf-8")
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name) or name)

    def python(self, name: str = "python3", **checks: str) -> None:
        """Put a fake Python on the PATH."""
        good = {"version": "3.12.0", "version_check": "exit 0", "venv_check": "exit 0", "pip": "exit 0"}
        path = self.bin / name
        text = FAKE_PYTHON
        for check, result in (good | checks).items():
            text = text.replace("{" + check + "}", result)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": str(self.bin), "LOG": str(self.log_file)} | variables
        command = ["sh", self.folder / "tools" / "venv.sh", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=env, cwd="/")

    def installs(self) -> list[str]:
        """What was installed since the last call."""
        lines = self.log_file.read_text(encoding="utf-8").splitlines()
        self.log_file.write_text("", encoding="utf-8")
        return [line.rpartition(" ")[2] for line in lines if "pip install" in line]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_second_run_installs_nothing(project: Project) -> None:
    project.python()
    assert project.run().returncode == 0
    assert "--constraint constraints.txt" in project.log_file.read_text(encoding="utf-8")
    assert project.installs() == ["."]
    assert project.run().stdout == ""
    assert project.installs() == []


def test_what_the_tests_need_comes_on_top_and_holds_for_learners_too(project: Project) -> None:
    project.python()
    project.run()
    project.run("dev")
    project.run("dev")
    assert project.installs() == [".", ".[dev]"]
    (project.folder / "constraints.txt").write_text("newer", encoding="utf-8")
    project.run("dev")
    project.run()
    assert project.installs() == [".[dev]"]


@pytest.mark.parametrize("name", LISTS)
def test_a_change_of_the_lists_installs_again(project: Project, name: str) -> None:
    project.python()
    project.run()
    (project.folder / name).write_text("changed", encoding="utf-8")
    project.run()
    assert project.installs() == [".", "."]


def test_a_failed_installation_is_not_taken_for_done(project: Project) -> None:
    project.python(pip="exit 1")
    assert project.run().returncode != 0
    assert project.run().returncode != 0
    assert project.installs() == [".", "."]


def test_no_python(project: Project) -> None:
    done = project.run()
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "sudo apt install python3" in done.stderr
    assert not (project.folder / ".venv").exists()


def test_only_an_old_python(project: Project) -> None:
    project.python(version_check="exit 1")
    done = project.run()
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr


def test_a_newer_python_beside_an_old_one_is_taken(project: Project) -> None:
    project.python(version_check="exit 1")
    project.python("python3.12")
    assert project.run().returncode == 0
    assert "python3.12 -m venv --clear .venv" in project.log_file.read_text(encoding="utf-8")


def test_the_user_can_name_a_python(project: Project) -> None:
    project.python()
    project.python("my python")
    assert project.run(PYTHON=str(project.bin / "my python")).returncode == 0
    assert "my python -m venv" in project.log_file.read_text(encoding="utf-8")


def test_a_python_without_the_venv_module(project: Project) -> None:
    project.python(venv_check="exit 1")
    done = project.run()
    assert done.returncode != 0
    assert "sudo apt install python3-venv" in done.stderr
    assert not (project.folder / ".venv").exists()


def test_a_venv_whose_python_has_gone_is_made_again(project: Project) -> None:
    project.python()
    project.run()
    (project.folder / ".venv" / "bin" / "python").unlink()
    assert project.run().returncode == 0
    assert project.installs() == [".", "."]
    assert (project.folder / ".venv" / "bin" / "python").exists()


def test_a_venv_that_was_moved_is_made_again(project: Project) -> None:
    project.python()
    project.run()
    project.log_file.write_text("", encoding="utf-8")
    project.folder = project.folder.rename(project.folder.with_name("moved"))
    assert project.run().returncode == 0
    assert "-m venv --clear .venv" in project.log_file.read_text(encoding="utf-8")


def test_a_venv_that_the_user_made_is_kept(project: Project) -> None:
    project.python()
    project.run()
    (project.folder / ".venv" / "made-in").unlink()
    project.log_file.write_text("", encoding="utf-8")
    assert project.run().returncode == 0
    assert "-m venv" not in project.log_file.read_text(encoding="utf-8")
