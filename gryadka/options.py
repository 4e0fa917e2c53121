"""Options that several commands share, each said once.

What may live here: options, and the decorator that lets a command take a group of them as one argument:

    @app.command()
    @grouped
    def show(cluster: Cluster, as_json: AsJson = False) -> None:
        connections = Connections(cluster.named)

The command line gets `--acceptor` and `--namespace`, as if they were arguments of `show` itself.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from gryadka.errors import ConfigurationError

Urls = Annotated[
    list[str] | None,
    typer.Option(
        "--acceptor",
        envvar="GRYADKA_URLS",
        metavar="URL",
        help="One acceptor; name them all. What stands on a command line can be seen by other users of this "
        "computer; GRYADKA_URLS, separated by spaces, cannot.",
    ),
]
Namespace = Annotated[str, typer.Option(help="What the names of the acceptors' keys begin with.")]
Timeout = Annotated[
    float, typer.Option("--timeout", min=0.001, max=600, help="How many seconds a change or a read may take.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True)
class Cluster:
    """Which cluster a command works with."""

    urls: Urls = None
    namespace: Namespace = "gryadka"

    @property
    def named(self) -> list[str]:
        """The acceptors' URLs. Raises `ConfigurationError` if there is none."""
        if not self.urls:
            raise ConfigurationError("name the acceptors: --acceptor URL for each, or all of them in GRYADKA_URLS")
        return self.urls


def writable(path: Path | None) -> Path | None:
    """Callback of an option that names what is written in the end: it is better to hear at once that it cannot be.

    Raises `ConfigurationError`.
    """
    if path and (path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK)):
        raise ConfigurationError(f"{path} cannot be written: name a file, in a directory that is there")
    return path


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose arguments that are dataclasses are replaced by the fields of those."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in groups:
            parameters += _fields(groups[name])
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def run(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        command(**given)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _fields(kind: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(kind)
    ]
