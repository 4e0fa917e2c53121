"""A JupyterLab server with folders of its own, and notebooks run in a real browser in front of it.

The tests use `Lab.open_and_run`: it opens a notebook as a learner does, runs all cells by JupyterLab's own
command, and fails at the first error. What it returns holds the page, to look at and to click on, the
cells with their outputs, and what the browser's console complained of.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from playwright.async_api import BrowserContext, Page

ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "test-artifacts"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MARK = "GRYADKA_TEST_MARK"

IS_IDLE = """path => {
    const shown = window.jupyterapp?.shell.currentWidget;
    return shown?.context?.path === path && shown.context.isReady
        && shown.sessionContext?.session?.kernel?.status === 'idle';
}"""
RUN_ALL = "() => window.jupyterapp.commands.execute('notebook:run-all-cells')"
RUN_CELL = """async (number) => {
    window.jupyterapp.shell.currentWidget.content.activeCellIndex = number;
    await window.jupyterapp.commands.execute("notebook:run-cell");
}"""
CELLS = "() => window.jupyterapp.shell.currentWidget.context.model.toJSON().cells"
SHUT_DOWN = "() => window.jupyterapp.shell.currentWidget?.sessionContext?.shutdown()"


class CellFailed(AssertionError):
    """A cell of a notebook ended in an error, or did not run. The message is what the learner sees."""


@dataclass
class OpenNotebook:
    """A notebook that has run: its page, its cells as nbformat has them, and console errors."""

    page: Page
    console_errors: list[str] = field(default_factory=list)
    cells: list[dict[str, Any]] = field(default_factory=list)

    def outputs(self) -> list[dict[str, Any]]:
        return [output for cell in self.cells for output in cell.get("outputs", [])]


class Lab:
    """A browser in front of a Jupyter server at `url`."""

    def __init__(self, browser: BrowserContext, url: str, token: str) -> None:
        self.browser = browser
        self.url = url
        self.token = token
        self._opened: list[OpenNotebook] = []

    async def open_and_run(self, path: str, *, timeout_s: float = 120) -> OpenNotebook:
        """Open the notebook at `path` below the server's root and run all of its cells.

        Raises `CellFailed` at the first error output, `TimeoutError` when it does not come to an end.
        """
        notebook = OpenNotebook(await self.browser.new_page())
        self._opened.append(notebook)
        page, errors = notebook.page, notebook.console_errors
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        # A workspace of its own, so that no page restores what another one has open.
        await page.goto(f"{self.url}lab/workspaces/{uuid.uuid4().hex}/tree/{path}?token={self.token}")
        async with asyncio.timeout(timeout_s):
            try:
                await page.wait_for_function(IS_IDLE, arg=path, timeout=timeout_s * 1000)
                await page.evaluate(RUN_ALL)
                await page.wait_for_function(IS_IDLE, arg=path, timeout=timeout_s * 1000)
            finally:
                await self._screenshot(page, path)
        notebook.cells = await page.evaluate(CELLS)
        _check(path, notebook.cells)
        return notebook

    async def close(self) -> None:
        """Close every page that was opened, and end its kernel."""
        for notebook in self._opened:
            await notebook.page.evaluate(SHUT_DOWN)
            await notebook.page.close()
        self._opened.clear()

    async def _screenshot(self, page: Page, path: str) -> None:
        ARTIFACTS.mkdir(exist_ok=True)
        await page.screenshot(path=ARTIFACTS / f"{path.replace('/', '-')}.png")


def _check(path: str, cells: list[dict[str, Any]]) -> None:
    for number, cell in enumerate(cells, start=1):
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                raise CellFailed(f"{path}, cell {number}: {output['ename']}: {output['evalue']}")
    for number, cell in enumerate(cells, start=1):
        if cell["cell_type"] == "code" and "".join(cell["source"]).strip() and not cell["execution_count"]:
            raise CellFailed(f"{path}, cell {number} did not run")


def own_folders(folder: Path) -> dict[str, str]:
    """Environment variables that keep a Jupyter server away from the user's settings and from others.

    Every process that is started with them, however far down, can be found by `left_over`.
    """
    names = ("CONFIG", "DATA", "RUNTIME")
    variables = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in names}
    return variables | {"IPYTHONDIR": str(folder / "ipython"), MARK: uuid.uuid4().hex}


def wait_for_server(environment: dict[str, str], is_alive: Callable[[], bool], *, timeout_s: float) -> dict[str, Any]:
    """What a server that was started with `environment` says of itself, once it answers: url, token, pid.

    Raises `AssertionError` if it ends first, `TimeoutError` if it does not answer.
    """
    runtime = Path(environment["JUPYTER_RUNTIME_DIR"])
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        for path in runtime.glob("jpserver-*.json"):
            try:
                server: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                with urllib.request.urlopen(f"{server['url']}api?token={server['token']}", timeout=5):
                    return server
            except (ValueError, urllib.error.URLError):
                pass  # half-written, or not listening yet
        if not is_alive():
            raise AssertionError("the server ended before it answered")
        time.sleep(0.1)
    raise TimeoutError(f"no server after {timeout_s} s")


def left_over(environment: dict[str, str], *, patience_s: float = 20) -> list[str]:
    """Command lines of the processes that were started with `environment` and do not go away."""
    end = time.monotonic() + patience_s
    while (left := _marked(environment)) and time.monotonic() < end:
        time.sleep(0.1)
    return [command for _, command in left]


def kill_left_over(environment: dict[str, str]) -> None:
    """End what is left after a failure."""
    for process, _ in _marked(environment):
        with contextlib.suppress(psutil.Error):
            process.kill()


def _marked(environment: dict[str, str]) -> list[tuple[psutil.Process, str]]:
    # By an environment variable, since a process whose parent has died is no descendant of ours any more.
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # ended meanwhile, or another user's
            mine = process.environ().get(MARK) == environment[MARK]
            if mine and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process, " ".join(process.cmdline())))
    return found


def start_server(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start `command` in a process group of its own, with its output in `log`."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | environment,
            start_new_session=True,
        )


@contextlib.contextmanager
def running_server(folder: Path, root: Path, *options: str) -> Iterator[dict[str, Any]]:
    """A JupyterLab in front of the notebooks in `root`, with its own files in `folder`. It leaves nothing behind."""
    environment = own_folders(folder)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    options = (f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True", *options)
    process = start_server([*command, *options], environment, folder / "log")
    try:
        yield wait_for_server(environment, lambda: process.poll() is None, timeout_s=60)
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert left_over(environment) == []
