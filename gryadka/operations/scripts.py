"""The Lua scripts of operations, each a file beside this one. A server runs a script alone, so it is one step."""

from __future__ import annotations

from importlib.resources import files


def script(name: str) -> str:
    """Return a script that may compare ballots, raise the acceptor's floor, and ask what it was told."""
    parts = ("gryadka.acceptors", "ballot"), (__package__, "floor"), (__package__, name)
    return "\n".join(files(package).joinpath(f"{part}.lua").read_text() for package, part in parts)
