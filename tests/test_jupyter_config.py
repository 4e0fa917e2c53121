"""The settings that `make lab` gives to the Jupyter server."""

from __future__ import annotations

import base64
import re
import runpy
from pathlib import Path

import pytest
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook, new_output
from traitlets.config import Config, PyFileConfigLoader

from gryadka import lab

CONFIG = Path("jupyter_config/jupyter_server_config.py")


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
    for _ in range(2):  # a server may read its settings twice
        runpy.run_path(str(CONFIG), {"load_subconfig": lambda name: None})
    socket = Socket()
    await KernelWebsocketHandler.open(socket, "a-kernel")  # type: ignore[arg-type]
    assert socket.calls == [("nodelay", True), "a-kernel"]


def test_an_exported_notebook_shows_the_picture_and_no_empty_box() -> None:
    """As the server sees it, and with that as nbconvert does: one file loads the other."""
    settings = PyFileConfigLoader(CONFIG.name, str(CONFIG.parent)).load_config()
    forms, _ = lab.cluster("append P1")._repr_mimebundle_()
    notebook = new_notebook(cells=[new_code_cell("view", outputs=[new_output("display_data", forms)])])
    # The notebook remembers its widgets, as JupyterLab saves it.
    model = {"model_name": "AnyModel", "model_module": "anywidget", "model_module_version": "*", "state": {}}
    view = forms["application/vnd.jupyter.widget-view+json"]["model_id"]
    states = {"version_major": 2, "version_minor": 0, "state": {view: model}}
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": states}
    for known, seen in ((settings, True), (Config(), False)):  # without the settings there is nothing to be seen
        page, _ = HTMLExporter(config=known).from_notebook_node(notebook)
        pictures = re.findall('<img [^>]*src="data:image/svg\\+xml;base64,([^"]+)"', page)
        assert ["asks to promise 1:1" in base64.b64decode(picture).decode() for picture in pictures] == [True] * seen
