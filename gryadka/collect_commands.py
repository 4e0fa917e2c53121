"""The command `gryadka collect`: deleted records are forgotten for good.

What may live here: options, printing, the question. `gryadka.cli` adds it to its own.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any

import typer

from gryadka.operations.commands import connections_of, progress_bar
from gryadka.operations.deletion import collect as collected
from gryadka.options import AsJson, Cluster, Timeout, Yes, grouped

Keys = Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help="Only the records of these keys.")]
Http = Annotated[
    bool,
    typer.Option(
        "--http",
        help="Also forget what the HTTP store keeps of a deleted record for requests that come again with their "
        "Idempotency-Key. A repeat that is still under way then counts as a new request.",
    ),
]


@dataclass(frozen=True)
class How:
    """How records are forgotten."""

    http: Http = False
    timeout_s: Timeout = 10.0
    yes: Yes = False
    as_json: AsJson = False


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(grouped(collect))


def collect(cluster: Cluster, how: How, keys: Keys = None) -> None:
    """Forget deleted records for good, so that they take no room on the acceptors any more.

    All members have to answer. Services and other proposers go on working. One that knew a forgotten record may be
    told once, when it writes that key anew, that the outcome is unknown. Lost with a record is all that it remembered:
    a version or a fencing token begins again, so never delete a record that gives out tokens.

    It may be ended with Ctrl-C at any time, and begun again. Exit code: 0 if no deleted record is left, 1 if one is.
    """
    connections = connections_of(cluster.named)
    if not how.yes:
        what = (
            f"deleted records among these {len(keys)} keys" if keys else f"all deleted records of {cluster.namespace}"
        )
        kept = ", and what is kept for requests that come again" if how.http else ""
        typer.confirm(f"Forget {what}{kept}, for good?", abort=True, err=True)
    options: dict[str, Any] = {"namespace": cluster.namespace, "timeout_s": how.timeout_s}
    if how.http:
        from gryadka.http.records import is_deleted  # Tornado is loaded when it is needed

        options["tombstone"] = is_deleted
    try:
        with progress_bar() as progress:
            work = collected(connections, keys or None, progress=partial(progress, "collect"), **options)
            report = asyncio.run(work)
    except KeyboardInterrupt:
        typer.echo("gryadka: ended too early; no value is lost, and the command begins again", err=True)
        raise typer.Exit(130) from None
    if how.as_json:
        typer.echo(json.dumps(asdict(report)))
    else:
        typer.echo(f"{report.collected} records forgotten; {report.in_use} are in use, {len(report.left)} are left")
        for key, why in sorted(report.left.items()):
            typer.echo(f"left: {key!r}: {why}")
    raise typer.Exit(bool(report.left))
