"""Shows something to whoever is there: HTML or a widget in a notebook, plain text everywhere else."""

from __future__ import annotations

from collections.abc import Mapping

from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display


def show(text: str, html: str) -> None:
    """Show `html` where it can be drawn, and `text`, which has to say the same, where it cannot."""
    show_bundle({"text/plain": text, "text/html": html})


def show_bundle(forms: Mapping[str, object]) -> None:
    """Show the best of these forms of one thing, by MIME type; "text/plain" has to be among them."""
    if InteractiveShell.initialized():
        display(dict(forms), raw=True)  # type: ignore[no-untyped-call]
    else:
        print(forms["text/plain"])
