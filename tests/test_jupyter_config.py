"""The settings that come with the package: whatever starts a Jupyter server from its environment has them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import nbformat
import pytest
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler
from nbformat.v4 import new_code_cell, new_notebook, new_output

from gryadka import jupyter, lab
from tests.browser.jupyter import running_server

CONFIG = Path(__file__).parents[1] / "jupyter_config"


class Socket:
    """What `open` needs of a websocket; it takes notes."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def set_nodelay(self, on: bool) -> None:
        self.calls.append(("nodelay", on))


async def test_a_kernels_websocket_sends_small_messages_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def opened(socket: Socket, kernel_id: str) -> None:
        socket.calls.append(kernel_id)

    monkeypatch.setattr(KernelWebsocketHandler, "open", opened)
    for _ in range(2):  # a process may hold more than one server
        jupyter.send_at_once()
    socket = Socket()
    await KernelWebsocketHandler.open(socket, "a-kernel")  # type: ignore[arg-type]
    assert socket.calls == [("nodelay", True), "a-kernel"]


def exported(path: Path, *options: str) -> list[str]:
    """The pictures in a page that nbconvert made on the command line, with these environment variables."""
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--output", "page", *options, str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return pictures((path.parent / "page.html").read_text(encoding="utf-8"))


def pictures(page: str) -> list[str]:
    # Those that stand in the page: a screen reader finds nothing in an <img>, and is told that nobody described it.
    assert "No description has been provided" not in page
    return re.findall(
        '<svg [^>]*role="img".*?</svg>', re.sub("<script.*?</script>", "", page, flags=re.DOTALL), re.DOTALL
    )


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A notebook with a view in it that remembers its widgets, as JupyterLab saves it."""
    forms, _ = lab.cluster("append P1")._repr_mimebundle_()
    made = new_notebook(cells=[new_code_cell("view", outputs=[new_output("display_data", forms)])])
    model = {"model_name": "AnyModel", "model_module": "anywidget", "model_module_version": "*", "state": {}}
    view = forms["application/vnd.jupyter.widget-view+json"]["model_id"]
    states = {"version_major": 2, "version_minor": 0, "state": {view: model}}
    made.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": states}
    nbformat.write(made, tmp_path / "saved.ipynb")
    return tmp_path / "saved.ipynb"


@pytest.mark.slow
def test_an_exported_notebook_shows_the_picture_and_no_empty_box(
    notebook: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Nothing but what this environment holds: no settings of the user's own.
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "none"))
    (picture,) = exported(notebook)
    assert "<title>A cluster whose network is you: after 1 acts</title>" in picture
    assert "proposer 1: change 1; asks to promise 1:1" in picture[picture.index("<desc>") : picture.index("</desc>")]
    assert exported(notebook, "--NbConvertBase.display_data_priority=text/plain") == []


def test_a_picture_that_has_a_form_in_html_keeps_it_and_other_peoples_pictures_stay_as_they_are() -> None:
    own = {jupyter.SVG: '<svg role="img"><title>t</title><desc>d</desc></svg>'}
    forms = [own, own | {jupyter.HTML: "its own"}, {jupyter.SVG: "<svg/>"}]
    cell = new_code_cell("views", outputs=[new_output("display_data", dict(form)) for form in forms])
    jupyter.PicturesInside().preprocess_cell(cell, {}, 0)
    told = [own[jupyter.SVG], "its own", None]
    assert [output.data.get(jupyter.HTML) for output in cell.outputs] == told
    assert [jupyter.SVG in output.data for output in cell.outputs] == [False, False, True]


@pytest.mark.slow
def test_a_plain_server_of_this_environment_loads_the_extension_and_exports_the_picture(
    notebook: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "none"))
    with running_server(tmp_path, notebook.parent) as server:
        address = f"{server['url']}nbconvert/html/{notebook.name}?token={server['token']}"
        with urllib.request.urlopen(address, timeout=60) as answer:
            shown = pictures(answer.read().decode())
        with urllib.request.urlopen(f"{server['url']}lab/api/settings?token={server['token']}", timeout=60) as answer:
            schemas = {entry["id"]: entry["schema"] for entry in json.load(answer)["settings"]}
    assert ["asks to promise 1:1" in picture for picture in shown] == [True]
    assert re.search(r"gryadka\.jupyter \| extension was successfully loaded", (tmp_path / "log").read_text())
    assert schemas["@jupyterlab/notebook-extension:tracker"]["properties"]["windowingMode"]["default"] == "none"


def test_what_is_installed_is_what_the_project_holds() -> None:
    """A view that behaves otherwise here than elsewhere: then run `make dev`, or reinstall the package."""
    for path in sorted(path for path in CONFIG.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        installed = Path(sys.prefix) / "etc" / "jupyter" / path.relative_to(CONFIG)
        assert installed.read_text() == path.read_text(), f"reinstall the package: {installed}"
