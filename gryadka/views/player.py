"""The player: shows any view, frame by frame, in a notebook, and saves it as a page that needs no Jupyter.

    player = Player(view)
    player                      # as a cell's last value: plays, steps and scrubs in the browser
    player.save("run.html")     # one file, with everything in it

What may live here: the Python half of the player (`player.js` and `widget.js` are the browser's). The frames are
Python's; the browser gets all that exist when it opens the view, and then only what is new; if it missed something,
all. So frames that exist play without the kernel, a page that was reloaded gets everything again, and a view that is
shown twice shows the same twice. When Python is restarted, or ends, the view says so by itself.

Where no widget can be shown, the last frame stands still as SVG, and the plain text tells every step.

Threads. JupyterLab may hand a click over on a thread of its own. A handler here does nothing but post to the main
event loop, where everything else happens too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from gryadka.views.frames import Frame, Packed, Packer, View, pack
from gryadka.views.svg import DARK

Act = Callable[[str, int], tuple[int, int] | None]
"""Does what was chosen: the choice's `act`, and the number of the frame that it was chosen at. If the view has
changed since, it returns the first frame that is new and the frame to look at. What it raises is shown."""

SPEEDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""What a player's speed may be, in frames a second: as in `player.js`."""

_MODULE = Path(__file__).with_name("player.js")
_WIDGET = Path(__file__).with_name("widget.js")
_STYLE = Path(__file__).with_name("player.css")

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --jp-content-font-color1: #1b1f24; --jp-layout-color0: #ffffff }}
@media (prefers-color-scheme: dark) {{ :root {{ --jp-content-font-color1: #e6e6e6; --jp-layout-color0: #16181c }}
  :root .gryadka {{ {dark} }} }}
body {{ margin: 1em auto; max-width: 1000px; padding: 0 8px; font-family: system-ui, sans-serif;
  color: var(--jp-content-font-color1); background: var(--jp-layout-color0) }}
{style}
</style>
</head>
<body>
<h1>{title}</h1>
<div id="player">{still}</div>
<script type="application/json" id="frames">{packed}</script>
<script type="module">
{module}
const packed = JSON.parse(document.getElementById("frames").textContent);
mount(document.getElementById("player"), {{ packed, title: document.title, at: {at} }}).root.focus();
</script>
</body>
</html>
"""


def frames_of(view: View, start: int = 0) -> Iterator[Frame]:
    """Yield the frames that a view has now, from number `start`."""
    return (view[number] for number in range(start, len(view)))


def _all_frames(_: object, player: Player) -> Packed:
    # Called whenever a browser asks for the whole state: it gets what there is at that moment.
    return player.all_frames()


class Player(anywidget.AnyWidget):
    """Shows `view`, beginning at the frame `at`. Read only: `view`, and `at`, where the browser stands.

    `speed` is in frames a second, one of `SPEEDS`; the learner may change it. With `demo` it begins large and without
    controls. `act` is told what was chosen in the picture; without it the view only plays.
    """

    _esm = "\n".join(path.read_text(encoding="utf-8") for path in (_MODULE, _WIDGET))
    _css = _STYLE
    packed = traitlets.Any().tag(sync=True, to_json=_all_frames)
    title = traitlets.Unicode().tag(sync=True)
    at = traitlets.Int().tag(sync=True)
    demo = traitlets.Bool().tag(sync=True)
    speed = traitlets.Float().tag(sync=True)

    def __init__(
        self, view: View, *, at: int = 0, speed: float = 2, demo: bool = False, act: Act | None = None
    ) -> None:
        self.view = view
        self._act = act
        self._packer = Packer()
        self._sent: Packed = {"lines": [], "frames": []}
        self._shown = 0
        self._telling = False
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:  # no notebook: a test, or a script that only saves a page
            self._loop = None
        self._take_in(0)
        super().__init__(title=view.title, at=at, speed=speed, demo=demo)
        self.on_msg(self._hear)

    def all_frames(self) -> Packed:
        """Return all frames that the player has shown so far."""
        return {"lines": list(self._sent["lines"]), "frames": list(self._sent["frames"])}

    def update(self, start: int | None = None, *, at: int | None = None) -> None:
        """Show what is new in the view: frames from `start` on, by default those that were not there before.

        Every place that shows this player goes to frame `at`, by default to the last one.
        """
        place = len(self.view) - 1 if at is None else at
        self._publish(self._shown if start is None else start, place)

    def save(self, path: str | Path) -> None:
        """Write one page that plays in any browser, without Jupyter and without a network. Raises `OSError`."""
        frames = (replace(frame, choices=()) for frame in frames_of(self.view))  # nobody is there to carry them out
        packed = json.dumps(pack(frames), separators=(",", ":")).replace("<", "\\u003c")
        still = self.view[len(self.view) - 1].svg if len(self.view) else ""
        module = _MODULE.read_text(encoding="utf-8").replace("</script", "<\\/script")
        style = _STYLE.read_text(encoding="utf-8")
        parts = {"title": escape(self.title), "still": still, "packed": packed, "module": module, "style": style}
        page = _PAGE.format(**parts, at=self.at, dark=DARK)
        Path(path).write_text(page, encoding="utf-8")

    def in_words(self) -> str:
        """Tell the whole view in words: what each frame announces, and then all that the last one shows."""
        steps = [f"{number:4}. {frame.announced}" for number, frame in enumerate(frames_of(self.view))]
        last = self.view[len(self.view) - 1].words.split("\n")[1:] if len(self.view) else []
        return "\n".join([self.title, *steps, *(["In the end:"] if last else []), *(f"      {line}" for line in last)])

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[Any, Any], dict[Any, Any]]:
        forms, metadata = super()._repr_mimebundle_() or ({}, {})
        if len(self.view):
            forms["image/svg+xml"] = self.view[len(self.view) - 1].svg
        return {**forms, "text/plain": self.in_words()}, metadata

    # -- new frames, and choices -------------------------------------------------------------------------

    def _take_in(self, start: int) -> Packed:
        new = self._packer.add(frames_of(self.view, start))
        self._sent["lines"] += new["lines"]
        self._sent["frames"][start:] = new["frames"]
        self._shown = len(self.view)
        return new

    def _publish(self, start: int, at: int, **more: Any) -> None:
        first = len(self._sent["lines"])
        self.send({**self._take_in(start), "first": first, "from": start, "at": at, **more})
        self._telling = True
        self.at = at
        self._telling = False

    def notify_change(self, change: Any) -> None:
        """Tell browsers of a trait that has changed, but not of a place of which they have been told."""
        # Sent once more, and later, it would take back whatever key was pressed meanwhile.
        if self._telling and change["name"] == "at":
            traitlets.HasTraits.notify_change(self, change)
        else:
            super().notify_change(change)

    def _hear(self, _: object, content: dict[str, Any], buffers: object) -> None:
        if self._loop is None or self._loop.is_closed():
            self._do(content)
        else:
            self._loop.call_soon_threadsafe(self._do, content)

    def _do(self, content: dict[str, Any]) -> None:
        # What comes from a browser is not to be trusted to have the right form.
        if content.get("all") is True:  # it has missed something
            self.send_state("packed")
            return
        act, at, number = content.get("act"), content.get("at"), content.get("id")
        if self._act is None or not isinstance(act, str) or not isinstance(at, int) or not isinstance(number, int):
            return
        try:
            new = self._act(act, at)
        except Exception as error:  # nobody would see it in a notebook
            self.send({"done": number, "trouble": f"{type(error).__name__}: {error}"})
            return
        if new is None:
            self.send({"done": number})
        else:
            self._publish(*new, done=number)
