"""The commands `gryadka acceptors`, who is a member and who is to be one, and `gryadka rescan`.

What may live here: options, printing, questions. `gryadka.cli` adds them to its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any

import typer
from tqdm import tqdm

from gryadka.acceptors.identity import Connections
from gryadka.acceptors.wire import Wire
from gryadka.errors import ConfigurationError
from gryadka.operations.membership import Progress, Report, Standing, change_members, standing
from gryadka.operations.plan import members
from gryadka.operations.records import floor_of, registers
from gryadka.operations.rescan import rescan as again
from gryadka.options import AsJson, Cluster, Namespace, Timeout, Yes, grouped
from gryadka.protocol.acceptor import ZERO

Name = Annotated[
    str, typer.Argument(help="An acceptor's name, host and port, as `acceptors ls` prints it; or its URL.")
]
NewUrl = Annotated[
    str, typer.Argument(metavar="URL", help="A running, empty server, such as `gryadka up --empty` starts.")
]
OneUrl = Annotated[str, typer.Argument(metavar="URL", help="The server to look into, member or not.")]
OldUrl = Annotated[str, typer.Argument(metavar="URL", help="The server to empty; it is no member any more.")]
Instead = Annotated[bool, typer.Option(help="Give up another change that is under way, and do this one in its place.")]
Rescan = Annotated[bool, typer.Option(help="Choose old records again, in place of copying them to a newcomer.")]


@dataclass(frozen=True)
class How:
    """How a change of members is carried out."""

    rescan: Rescan = False
    instead: Instead = False
    yes: Yes = False
    as_json: AsJson = False


UNNAMED = "somewhere"
"""What a member is called that is at none of the URLs, and whose address nobody knows."""

acceptors = typer.Typer(no_args_is_help=True, help="See and change which servers are the members of the cluster.")


def add_to(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.add_typer(acceptors, name="acceptors")
    app.command()(grouped(rescan))


@acceptors.command("ls")
@grouped
def show(cluster: Cluster, as_json: AsJson = False) -> None:
    """Show who is a member, and whether a change of members is under way."""
    connections = connections_of(cluster.named)
    found = asyncio.run(standing(connections, namespace=cluster.namespace))
    if others := set(found.roster.addresses.values()) - set(connections):  # members that nobody named
        more = {address: connections[address] for address in others}
        found = asyncio.run(standing(connections | more, namespace=cluster.namespace))
    rows = _rows(found, list(connections))
    if as_json:
        underway = found.underway and {"done": found.underway.done, "steps": _steps(found)}
        typer.echo(json.dumps({"epoch": found.roster.epoch, "acceptors": rows, "underway": underway}))
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        why = f": {row['why']}" if row["why"] else ""
        typer.echo(f"{row['name']:{width}}  {row['identity'] or '':16}  {row['state']}{why}")
    typer.echo(f"epoch {found.roster.epoch}")
    for number, step in enumerate(_steps(found), start=1):
        assert found.underway
        typer.echo(f"{'done ' if number <= found.underway.done else 'to do'}  {step}")


def _rows(found: Standing, named: Sequence[str]) -> list[dict[str, Any]]:
    members, addresses = found.roster.members, found.roster.addresses
    rows: list[tuple[str, str | None, str]] = [
        (name, identity, "member" if identity in members else "no member")
        for name, identity in found.identities.items()
    ]
    rest = [name for name in named if name not in found.identities and name not in addresses.values()]
    silent, lost = [name for name in rest if name in found.silent], sorted(members - set(found.identities.values()))
    for identity in lost:
        name = addresses.get(identity, UNNAMED)
        if identity not in addresses and len(lost) == len(silent) == 1:  # it can be nobody else
            name = silent[0]
            rest.remove(name)
        unnamed = "" if name in named or name == UNNAMED else "; its URL is not named"
        rows.append((name, identity, f"member, no answer{unnamed}"))
    rows += [(name, None, "no answer" if name in silent else "no member, empty") for name in rest]
    whys = {name: why.removeprefix(f"{name}: ") for name, why in found.silent.items()}
    keys = "name", "identity", "state", "why"
    return [dict(zip(keys, (*row, whys.get(row[0], "")), strict=True)) for row in rows]


def _steps(found: Standing) -> list[str]:
    return [found.underway.in_words(step) for step in found.underway.plan.steps] if found.underway else []


@acceptors.command()
@grouped
def add(url: NewUrl, cluster: Cluster, how: How) -> None:
    """Make a running, empty server a member."""
    newcomer = _name(url)
    _change(lambda now, _: [*now, newcomer], cluster, how, url)


@acceptors.command()
@grouped
def remove(name: Name, cluster: Cluster, how: How) -> None:
    """Take a member out. It may be down, and may be switched off afterwards."""
    _change(lambda now, gone: _without(now, name, gone), cluster, how)


@acceptors.command()
@grouped
def replace(name: Name, url: NewUrl, cluster: Cluster, how: How) -> None:
    """Put a running, empty server in the place of a member, which may be down."""
    newcomer = _name(url)
    _change(lambda now, gone: [*_without(now, name, gone), newcomer], cluster, how, url)


def _without(now: Sequence[str], name: str, gone: Sequence[str]) -> list[str]:
    name = _name(name) if "://" in name else name
    if name not in now and name not in gone:
        raise ConfigurationError(f"{name} is no member; the members are {', '.join(now)}")
    return [other for other in now if other != name]


def _change(wish: Callable[[list[str], list[str]], list[str]], cluster: Cluster, how: How, *urls: str) -> None:
    # `wish` gets the names of the members, and of those that left in the change under way: it may be asked for again.
    connections = connections_of(list(dict.fromkeys([*cluster.named, *urls])))
    found = asyncio.run(standing(connections, namespace=cluster.namespace))
    now = sorted(_members(found, [_name(url) for url in urls]))
    if unnamed := now.count(UNNAMED):
        raise ConfigurationError(f"{unnamed} of the {len(now)} members cannot be reached by any URL; name all of them")
    gone = [found.underway.addresses[one] for one in members(found.underway.plan.begin)] if found.underway else []
    names = list(dict.fromkeys(wish(now, gone)))
    if set(names) == set(now) and not found.plans:
        typer.echo("nothing to do: these are the members already", err=True)
    elif not how.yes:
        typer.echo(f"members now:   {', '.join(now)}\nmembers then:  {', '.join(names)}", err=True)
        typer.confirm("Change the members?", abort=True, err=True)
    try:
        with progress_bar() as progress:
            options: dict[str, Any] = {"copy": not how.rescan, "instead": how.instead, "progress": progress}
            report: Report = asyncio.run(change_members(connections, names, namespace=cluster.namespace, **options))
    except KeyboardInterrupt:
        typer.echo(
            "gryadka: ended too early; the cluster serves on, and the same command goes on where this one stopped "
            "(`acceptors ls` says where; with --instead another change takes its place)",
            err=True,
        )
        raise typer.Exit(130) from None
    if how.as_json:
        told = {"members": names, "epoch": report.epoch, "steps": list(report.steps), "moved": list(report.moved)}
        typer.echo(json.dumps(told))
    else:
        typer.echo("\n".join([*report.steps, f"epoch {report.epoch}: {', '.join(names)}"]))


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Give what shows on the terminal how far a step has come."""
    with tqdm(unit=" records", leave=False, disable=None) as bar:

        def progress(words: str, done: int, whole: int) -> None:
            bar.set_description(words[:60])
            bar.total, bar.n = whole or None, done
            bar.refresh()

        yield progress


def rescan(cluster: Cluster, timeout_s: Timeout = 10.0, as_json: AsJson = False) -> None:
    """Choose every record again, so that every member that answers has it.

    No value changes. It may be ended with Ctrl-C at any time, and begun again.
    """
    work = partial(again, connections_of(cluster.named), namespace=cluster.namespace, timeout_s=timeout_s)
    try:
        with progress_bar() as progress:
            done = asyncio.run(work(progress=partial(progress, "rescan")))
    except KeyboardInterrupt:
        typer.echo("gryadka: ended too early; each value is as it was, and the command begins again", err=True)
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(asdict(done)))
    else:
        typer.echo(f"{done.records} records chosen again in epoch {done.epoch}; {done.moved} were sent to and fro")


def _members(found: Standing, newcomers: Sequence[str]) -> list[str]:
    # A member that is down tells nobody who it is: it is one of the servers that were named and said nothing.
    known = {identity: name for name, identity in found.identities.items()}
    names = [known.get(member) or found.roster.addresses.get(member, "") for member in sorted(found.roster.members)]
    silent = [name for name in found.unknown(newcomers) if name not in names]
    return [name or (silent.pop(0) if silent else UNNAMED) for name in names]


@acceptors.command()
def dump(url: OneUrl, namespace: Namespace = "gryadka", as_json: AsJson = False) -> None:
    """Print what one acceptor remembers, a JSON object a line: key, promised, accepted, value.

    If it has forgotten records, its floor comes first: it promises no ballot below that for a key that is not there.
    With --json all of it is one object.
    """

    async def lines() -> None:
        floor = await floor_of(*_one(url), namespace)
        if floor != ZERO and not as_json:
            typer.echo(json.dumps({"floor": str(floor)}))
        records = []
        async for key, state in registers(*_one(url), namespace):
            ballots = {"promised": str(state.promised), "accepted": str(state.accepted)}
            record = {"key": key, **ballots, "value": state.value}
            if as_json:
                records.append(record)
            else:
                typer.echo(json.dumps(record, ensure_ascii=False))
        if as_json:
            told = {"acceptor": _name(url), "floor": str(floor), "records": records}
            typer.echo(json.dumps(told, ensure_ascii=False))

    asyncio.run(lines())


@acceptors.command()
@grouped
def wipe(url: OldUrl, cluster: Cluster, yes: Yes = False, as_json: AsJson = False) -> None:
    """Remove all that a server holds of a cluster that it is no member of any more, so that it can be added anew."""
    name, namespace = _name(url), cluster.namespace
    _check_no_member(name, url, cluster)
    if not yes:
        typer.confirm(f"Remove all that {name} holds of {namespace}?", abort=True, err=True)
    removed = asyncio.run(_wiped(*_one(url), namespace))
    typer.echo(json.dumps({"acceptor": name, "removed": removed}) if as_json else f"{removed} keys removed from {name}")


def _check_no_member(name: str, url: str, cluster: Cluster) -> None:
    try:
        found = asyncio.run(standing(Connections([url]), namespace=cluster.namespace))
    except ConfigurationError:  # it knows of no cluster, or does not answer; that raises once more
        asyncio.run(floor_of(*_one(url), cluster.namespace))
        return
    others = asyncio.run(standing(connections_of(cluster.urls), namespace=cluster.namespace)) if cluster.urls else found
    latest = max(found.roster, others.roster, key=lambda roster: roster.epoch)
    identity = found.identities.get(name)
    if identity in latest.members:
        raise ConfigurationError(f"{name} is a member: its promises must not be forgotten; remove it first")
    if identity in found.roster.members and not found.roster.members & latest.members:
        raise ConfigurationError(
            f"{name} is a member of another cluster than the one that was named; name that one, "
            "or empty the server by its own means"
        )


async def _wiped(name: str, connect: Any, namespace: str) -> int:
    wire, removed, own_key = await Wire.over(name, connect(), 5.0), 0, f"{namespace}:acceptor"
    try:
        cursor = b"0"
        while True:
            cursor, keys = await wire.call("SCAN", cursor, "MATCH", f"{namespace}:*", "COUNT", 1000)
            # Its own hash, with identity and floor, goes last: one that is half wiped must not pass for a new one.
            if keys := [key for key in keys if key != own_key.encode()]:
                removed += await wire.call("DEL", *keys)
            if cursor == b"0":
                return removed + int(await wire.call("DEL", own_key))
    finally:
        await wire.close()


def connections_of(urls: Sequence[str]) -> Connections:
    """Return what connects to these URLs, for work that may take its time. Raises `ConfigurationError`."""
    return Connections(urls, 5.0)


def _one(url: str) -> tuple[str, Any]:
    ((name, connect),) = Connections([url], 5.0).items()
    return name, connect


def _name(url: str) -> str:
    return _one(url)[0]
