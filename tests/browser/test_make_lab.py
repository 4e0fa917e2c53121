"""`make lab` on a fresh copy of the project, from nothing to lesson 00 in a browser, and out again."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import psutil
import pytest
from playwright.async_api import BrowserContext

from tests.browser.jupyter import (
    ROOT,
    Lab,
    kill_left_over,
    left_over,
    own_folders,
    start_server,
    wait_for_server,
)

LAB_FLAGS = "LAB_FLAGS=--no-browser --LabApp.expose_app_in_browser=True"
NOT_THE_PROJECT = shutil.ignore_patterns(".*_cache", ".git", ".venv", "__pycache__", "*.egg-info", "test-artifacts")
FRESH_INSTALL_S = 600
pytestmark = [pytest.mark.slow, pytest.mark.timeout(FRESH_INSTALL_S + 300)]


def kernel_of_another_project(folder: Path) -> None:
    """Put a kernel called python3 where Jupyter looks for the user's kernels. It does not start."""
    path = folder / "kernels" / "python3" / "kernel.json"
    path.parent.mkdir(parents=True)
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "Mine", "language": "python"}
    path.write_text(json.dumps(spec), encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh copy of the project, with nothing installed yet."""
    project = tmp_path_factory.mktemp("fresh") / "a folder with blanks"
    shutil.copytree(ROOT, project, ignore=NOT_THE_PROJECT)
    return project


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """For `make lab`, with kernels called python3 around that are not the project's."""
    environment = own_folders(tmp_path) | {"JUPYTER_PATH": str(tmp_path / "path")}
    kernel_of_another_project(Path(environment["JUPYTER_DATA_DIR"]))
    kernel_of_another_project(Path(environment["JUPYTER_PATH"]))
    yield environment
    kill_left_over(environment)


async def run_first_lesson(browser: BrowserContext, server: dict[str, Any], project: Path) -> None:
    """Run lesson 00 on `server`; its kernel, which must be the project's, stays."""
    assert server["root_dir"] == str(project)
    with urllib.request.urlopen(f"{server['url']}?token={server['token']}") as start_page:
        assert urllib.parse.urlparse(start_page.url).path == "/lab/tree/notebooks/00_welcome.ipynb"
    opened = await Lab(browser, server["url"], server["token"]).open_and_run("notebooks/00_welcome.ipynb")
    assert opened.console_errors == []
    settings = await opened.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.content.notebookConfig.windowingMode"
    )
    assert settings == "none"  # from jupyter_config/: widgets that were off screen take clicks
    kernels = [child.cmdline()[0] for child in psutil.Process(server["pid"]).children()]
    assert kernels == [str(project / ".venv" / "bin" / "python")]
    await opened.page.close()


async def test_from_nothing_to_a_lesson_and_out(
    browser: BrowserContext, project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    make = start_server(["make", "-C", str(project), "lab", LAB_FLAGS], environment, tmp_path / "log")
    server = wait_for_server(environment, lambda: make.poll() is None, timeout_s=FRESH_INSTALL_S)
    await run_first_lesson(browser, server, project)
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert "gryadka.jupyter | extension was successfully loaded" in log
    os.killpg(make.pid, signal.SIGINT)
    make.wait(timeout=60)
    assert left_over(environment) == []


async def test_one_ctrl_c_in_a_terminal_ends_it_all(
    browser: BrowserContext, project: Path, environment: dict[str, str]
) -> None:
    subprocess.run(["make", "-C", project, "venv"], check=True)
    terminal = pexpect.spawn("make", ["-C", str(project), "lab", LAB_FLAGS], env=os.environ | environment)

    def drain() -> bool:
        # What is not read blocks the server in the end.
        return bool(terminal.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=0) == 1)

    server = wait_for_server(environment, drain, timeout_s=60)
    assert b"Installing" not in terminal.before  # the second time is quick
    until_end = asyncio.create_task(terminal.expect(pexpect.EOF, timeout=None, async_=True))
    await run_first_lesson(browser, server, project)
    terminal.sendintr()
    await asyncio.wait_for(until_end, timeout=60)
    assert left_over(environment) == []
    terminal.close()


def test_a_process_that_stays_is_seen_even_if_its_parent_has_gone(tmp_path: Path) -> None:
    environment = own_folders(tmp_path)
    subprocess.run(["sh", "-c", "sleep 1000 &"], env=os.environ | environment, check=True)
    (left,) = left_over(environment, patience_s=0)
    assert "sleep 1000" in left
    assert left_over(own_folders(tmp_path), patience_s=0) == []
    kill_left_over(environment)
    assert left_over(environment) == []
