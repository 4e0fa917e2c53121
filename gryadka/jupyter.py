"""What the course adds to a Jupyter server: quick answers to clicks, and exports with pictures in them.

What may live here: an extension of the server. The files in `jupyter_config` switch it on; they are installed with
the package, so whatever starts JupyterLab from the same environment has it: `make lab`, conda, or Binder.

A click in a live view is answered by several small messages. By default the operating system holds a small message
back until the one before it was acknowledged, and the browser's side is in no hurry to acknowledge (Nagle's
algorithm meets delayed acknowledgements; RFC 896 and RFC 1122, 4.2.3.2). Here small messages leave at once. Measured
with 60 clicks in Chromium, on two cores with other work on them: 27 ms from click to picture at the median, and 63 ms
without this. `pytest tests/browser/test_speed.py -k clicks` measures both, and writes test-artifacts/speed.json.

An exported page cannot run a widget that lives in JupyterLab. So the picture that each view carries goes before it.
In a web page it stands in the page itself: nbconvert would make an `<img>` of it, and a screen reader is told nothing
of what is inside an `<img>`.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from jupyter_server.serverapp import ServerApp
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from traitlets.config import Config

PICTURES_FIRST = [
    "image/svg+xml",
    "text/html",
    "text/markdown",
    "text/latex",
    "image/png",
    "image/jpeg",
    "application/vnd.jupyter.widget-view+json",
    "application/javascript",
    "text/plain",
]
"""Which form of an output an export shows, if there are several: nbconvert's own order, but the widget late."""

SVG, HTML = "image/svg+xml", "text/html"


class PicturesInside(Preprocessor):
    """Puts pictures that describe themselves into an exported web page, so that their descriptions are read aloud."""

    def preprocess_cell(self, cell: NotebookNode, resources: Any, _index: int) -> tuple[NotebookNode, Any]:
        """Turn each such picture in the cell's outputs into HTML, unless the output has a form in HTML already."""
        for output in cell.get("outputs", []):
            forms = output.get("data", {})
            picture = forms.get(SVG, "")
            if 'role="img"' in picture and "<desc>" in picture:
                forms.setdefault(HTML, picture)
                del forms[SVG]
        return cell, resources


def set_exports(config: Config) -> None:
    """Have nbconvert show a view's picture: in the page itself in a web page, as a file of its own elsewhere."""
    config.NbConvertBase.display_data_priority = PICTURES_FIRST
    config.HTMLExporter.preprocessors.append(PicturesInside)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "gryadka.jupyter"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    send_at_once()
    set_exports(server.config)


def send_at_once() -> None:
    """Let small messages to and from kernels leave at once, in every connection that is opened from now on."""
    opened = KernelWebsocketHandler.open
    if hasattr(opened, "__wrapped__"):  # it was done before
        return

    @wraps(opened)
    async def open_without_delay(self: KernelWebsocketHandler, *args: Any, **kwargs: Any) -> None:
        self.set_nodelay(True)
        await opened(self, *args, **kwargs)  # type: ignore[no-untyped-call]

    KernelWebsocketHandler.open = open_without_delay  # type: ignore[method-assign]
