"""The commands `gryadka serve` and `gryadka kv get`, `put`, `cas`, `del`.

What may live here: options, printing, exit codes. `gryadka.cli` adds them to its own.

Exit codes of `kv`: 0 done, 1 what is stored does not allow it (no such record, another ETag), 2 the command
cannot be carried out as it was given, 3 the outcome is unknown, 4 certainly not applied: try again.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gryadka.errors import ConfigurationError, NotApplied, OutcomeUnknown
from gryadka.options import AsJson, Cluster, Timeout, grouped

if TYPE_CHECKING:  # Tornado is loaded when it is needed: other commands start sooner
    from gryadka.http import Service
    from gryadka.http.admin import Admin
    from gryadka.http.changes import Changes
    from gryadka.http.records import Answer, Condition
    from gryadka.http.store import KeyValue

Server = Annotated[str | None, typer.Option(help="The URL of a service, instead of the acceptors'.")]
Key = Annotated[str, typer.Argument(help="Any text.")]
NewValue = Annotated[str, typer.Argument(metavar="VALUE", help="JSON, or - to read it from standard input.")]
IsText = Annotated[bool, typer.Option("--text", help="VALUE is text as it stands, not JSON.")]


@dataclass(frozen=True)
class Where:
    """Where the records are, and how to tell of them."""

    server: Server = None
    timeout_s: Timeout = 5.0
    as_json: AsJson = False


kv = typer.Typer(
    no_args_is_help=True,
    help="Read and change records, through a service or straight on the acceptors.\n\n"
    "Exit code: 0 done, 1 no such record or another ETag, 2 the command is wrong, 3 the outcome is unknown, "
    "4 not applied: try again.",
)


def add_to(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.command()(grouped(serve))
    app.add_typer(kv, name="kv")


# -- serve -------------------------------------------------------------------------------------------------


def serve(
    cluster: Cluster,
    host: Annotated[str, typer.Option(help="Where to listen. The store asks nobody who they are.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Which port; 0 takes a free one.")] = 8080,
    timeout_s: Timeout = 5.0,
    grace_s: Annotated[
        float, typer.Option("--grace", min=0, max=600, help="When stopped, let requests finish for so many seconds.")
    ] = 10.0,
    changes: Annotated[
        str | None,
        typer.Option(metavar="MODULE:NAME", help="A table of changes of your own, beside the standard ones."),
    ] = None,
    admin_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Also listen for the operator; the token is in GRYADKA_ADMIN_TOKEN."),
    ] = None,
    admin_host: Annotated[str, typer.Option(help="Where to listen for the operator.")] = "127.0.0.1",
    as_json: AsJson = False,
) -> None:
    """Serve the key-value store over HTTP: one proposer, until Ctrl-C or SIGTERM.

    Prints the URL that it listens at, once it does. Any number of services may serve the same acceptors.
    """
    from gryadka.http import STANDARD, Service, Store
    from gryadka.proposer import Proposer

    proposer = Proposer.from_urls(cluster.named, namespace=cluster.namespace, timeout_s=timeout_s)
    table = {**STANDARD, **(_loaded(changes) if changes else {})}
    service = Service(Store(proposer, table), host=host, port=port, grace_s=grace_s)
    admin = None if admin_port is None else _operators(service, admin_host, admin_port)
    asyncio.run(_serve(service, admin, as_json))


def _operators(service: Service, host: str, port: int) -> Admin:
    from gryadka.http.admin import Admin

    token = os.environ.get("GRYADKA_ADMIN_TOKEN")
    if not token:
        raise ConfigurationError("--admin-port needs a token: put a long random one into GRYADKA_ADMIN_TOKEN")
    return Admin(service, token, host=host, port=port)


async def _serve(service: Service, admin: Admin | None, as_json: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with service, admin or nullcontext():
        # Acceptors are told by their names, which hold no password.
        names = list(service.store.proposer.acceptors)
        if as_json:
            typer.echo(json.dumps({"url": service.url, "admin": admin and admin.url, "acceptors": names}))
        else:
            typer.echo(service.url)
            typer.echo(f"before the acceptors {', '.join(names)}; Ctrl-C stops it", err=True)
            if admin:
                typer.echo(f"for the operator: {admin.url}", err=True)
        await stop.wait()


def _loaded(place: str) -> Changes:
    module, _, name = place.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        table = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"--changes {place}: {error}; it should look like my_changes:CHANGES") from None
    finally:
        sys.path.pop(0)
    if not isinstance(table, dict) or not all(isinstance(key, str) and callable(table[key]) for key in table):
        raise ConfigurationError(f"--changes {place}: a table maps names to functions")
    return table


# -- kv ----------------------------------------------------------------------------------------------------

_TO_REPEAT = """\
It may still come. So repeat it on the condition that it has not: `gryadka kv get --json` shows the ETag for
`gryadka kv cas`, or for `gryadka kv del --etag`. Where there is no record, the ETag is `absent`."""

# A value may begin with a minus: what is no option is an argument.
VALUES = {"ignore_unknown_options": True}


@kv.command()
@grouped
def get(key: Key, where: Where, cluster: Cluster) -> None:
    """Print a record's value as JSON; with --json also its ETag."""

    async def work(store: KeyValue) -> dict[str, Any]:
        from gryadka.http.failures import NotFound

        record = await store.get(key)
        if not record.exists:
            raise NotFound(f"there is no record under {key!r}")
        return {"key": key, "value": record.value, "etag": _bare(record.etag)}

    told = _run(work, where, cluster)
    typer.echo(json.dumps(told if where.as_json else told["value"], ensure_ascii=False))


@kv.command(context_settings=VALUES)
@grouped
def put(key: Key, value: NewValue, where: Where, cluster: Cluster, text: IsText = False) -> None:
    """Store a value, whatever is there now. Prints the new ETag."""
    new = _value(value, text)
    _write(lambda store: store.put(key, new), key, where, cluster)


@kv.command(context_settings=VALUES)
@grouped
def cas(
    key: Key,
    etag: Annotated[str, typer.Argument(help="The ETag of the record to replace, or `absent`.")],
    value: NewValue,
    where: Where,
    cluster: Cluster,
    text: IsText = False,
) -> None:
    """Compare and set: store a value if the record's ETag is still ETAG. Prints the new one.

    Exit code 1 if the record is another one by now; it is printed to standard error.
    """
    new, condition = _value(value, text), _condition(etag)
    _write(lambda store: store.put(key, new, condition=condition), key, where, cluster)


@kv.command("del")
@grouped
def delete(
    key: Key,
    where: Where,
    cluster: Cluster,
    etag: Annotated[str | None, typer.Option(help="Only if this is still the record's ETag.")] = None,
) -> None:
    """Delete a record. Exit code 1 if there is none."""
    condition = _condition(etag) if etag else None

    def work(store: KeyValue) -> Awaitable[Answer]:
        return store.delete(key, condition=condition) if condition else store.delete(key)

    _write(work, key, where, cluster)


def _write(work: Callable[[KeyValue], Awaitable[Answer]], key: str, where: Where, cluster: Cluster) -> None:
    async def told(store: KeyValue) -> dict[str, Any]:
        answer = await work(store)
        return {"key": key, "etag": _bare(answer.etag)}

    result = _run(told, where, cluster)
    if where.as_json or result["etag"]:
        typer.echo(json.dumps(result, ensure_ascii=False) if where.as_json else result["etag"])


def _run(work: Callable[[KeyValue], Awaitable[dict[str, Any]]], where: Where, cluster: Cluster) -> dict[str, Any]:
    # Carries `work` out on a store, and ends the command if the store says no.
    from gryadka.http.client import RemoteStore
    from gryadka.http.failures import Refused, told
    from gryadka.http.store import Store
    from gryadka.proposer import Proposer

    async def run() -> dict[str, Any]:
        store: KeyValue
        if where.server:
            store = RemoteStore(where.server, timeout_s=where.timeout_s)
        else:
            options: dict[str, Any] = {"namespace": cluster.namespace, "timeout_s": where.timeout_s}
            store = Store(Proposer.from_urls(cluster.named, **options))
        try:
            return await work(store)
        finally:
            await store.close()

    try:
        return asyncio.run(run())
    except (Refused, NotApplied, OutcomeUnknown) as error:
        body = told(error).body | (_current(error) if isinstance(error, Refused) else {})
        if where.as_json:
            typer.echo(json.dumps(body, ensure_ascii=False))
        else:
            typer.echo(f"gryadka: {error}", err=True)
            if isinstance(error, OutcomeUnknown):
                typer.echo(_TO_REPEAT, err=True)
            if body.get("current"):
                typer.echo(json.dumps(body["current"], ensure_ascii=False), err=True)
        raise typer.Exit(1 if isinstance(error, Refused) else 4 if isinstance(error, NotApplied) else 3) from None


def _current(error: Any) -> dict[str, Any]:
    from gryadka.http.failures import PreconditionFailed
    from gryadka.http.records import from_stored

    if not isinstance(error, PreconditionFailed):
        return {}
    record = from_stored(error.value)
    return {"current": {"value": record.value, "etag": _bare(record.etag)} if record.exists else None}


def _value(text: str, is_text: bool) -> Any:
    from gryadka.http.reading import read_json

    if text == "-":
        given = sys.stdin.buffer.read()
        return given.decode() if is_text else read_json(given)
    return text if is_text else read_json(text.encode())


def _condition(etag: str) -> Condition:
    from gryadka.http.records import Condition

    if etag == "absent":
        return Condition(none_match=("*",))
    bare = etag.strip('"')
    return Condition(match=(f'"{bare}"',))


def _bare(etag: str | None) -> str | None:
    # Without its quotes, which a shell would eat.
    return etag and etag.strip('"')
