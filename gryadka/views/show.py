"""Shows something to whoever is there: HTML in a notebook, plain text everywhere else."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display


def show(text: str, html: str) -> None:
    """Show `html` where it can be drawn, and `text`, which has to say the same, where it cannot."""
    if InteractiveShell.initialized():
        display({"text/plain": text, "text/html": html}, raw=True)
    else:
        print(text)
