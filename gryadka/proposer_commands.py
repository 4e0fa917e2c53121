"""The command `gryadka proposers ls`: which services there are, and what each works with.

What may live here: options, printing, exit codes. `gryadka.cli` adds it to its own.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Annotated, Any

import typer

from gryadka.errors import ConfigurationError
from gryadka.options import AsJson, Timeout

AdminUrls = Annotated[
    list[str] | None,
    typer.Option(
        "--admin",
        envvar="GRYADKA_ADMIN_URLS",
        metavar="URL",
        help="Where a service listens for its operator (see `serve --admin-port`); name them all. Their token is in "
        "GRYADKA_ADMIN_TOKEN.",
    ),
]
Look = Annotated[bool, typer.Option("--look", help="Have each find out first which configuration is in force.")]

proposers = typer.Typer(no_args_is_help=True, help="See the proposers that serve over HTTP.")


def add_to(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.add_typer(proposers, name="proposers")


@proposers.command("ls")
def show(urls: AdminUrls = None, look: Look = False, timeout_s: Timeout = 5.0, as_json: AsJson = False) -> None:
    """Show each proposer: who it is, which configuration it works with, and what it has under way.

    Exit code: 0 if all of them answer, 1 if one does not.
    """
    from gryadka.http.operator import ask_all

    if not urls:
        raise ConfigurationError("name the services: --admin URL for each, or all of them in GRYADKA_ADMIN_URLS")
    token = os.environ.get("GRYADKA_ADMIN_TOKEN", "")
    rows = asyncio.run(ask_all(urls, token, look=look, timeout_s=timeout_s))
    if as_json:
        typer.echo(json.dumps({"proposers": rows}))
    else:
        width = max(len(row["admin"]) for row in rows)
        for row in rows:
            typer.echo(f"{row['admin']:{width}}  {_in_words(row)}")
    raise typer.Exit(any("error" in row for row in rows))


def _in_words(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"no answer: {row['error']}"
    sizes = {kind: quorum["size"] for kind, quorum in row["quorums"].items()}
    words = [
        f"proposer {row['id']}",
        "no epoch yet" if row["epoch"] is None else f"epoch {row['epoch']}",
        f"prepare {sizes['prepare']} and accept {sizes['accept']} of {', '.join(sorted(row['acceptors']))}",
        f"{row['under_way']} under way",
    ]
    if row["in_force"] and row["epoch"] is not None and row["in_force"]["epoch"] > row["epoch"]:
        words.append(f"behind: epoch {row['in_force']['epoch']} is in force")
    if plan := row["plan"]:
        words.append(f"members change: {plan['done']} of {len(plan['steps'])} steps done")
    if rescan := row["rescan"]:
        words.append(f"rescan: {rescan['done']} of {rescan['of']} records")
    if row["stopping"]:
        words.append("stopping")
    return "; ".join(words)
