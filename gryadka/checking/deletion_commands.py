"""The command `gryadka explore-deletion`.

What may live here: options, printing, exit codes; these are those of `gryadka explore`.
"""

from __future__ import annotations

import json
import signal
import time
from contextlib import nullcontext
from dataclasses import asdict
from typing import Annotated, Any

import typer

from gryadka.checking.commands import EXIT_CODES, Limits
from gryadka.checking.deletion import Deletion, Label, Scope
from gryadka.checking.deletion_words import tell, why
from gryadka.checking.deletion_zoo import MUTANTS, SOUND_VARIANTS, model_of
from gryadka.checking.explore import BudgetSpent, Verdict, Violation, explore, progress_bar
from gryadka.checking.numbered import Numbers
from gryadka.checking.one_order import Kind
from gryadka.errors import ConfigurationError
from gryadka.options import AsJson, grouped

KINDS: tuple[Kind, ...] = ("write", "delete", "read")


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(grouped(explore_deletion))


def explore_deletion(
    changes: Annotated[
        list[str] | None, typer.Argument(help="What is done at ballots 1, 2, 3...: write, delete or read.")
    ] = None,
    acceptors: Annotated[int, typer.Option(min=1, max=10, help="How many acceptors.")] = 3,
    prepare_quorum: Annotated[int | None, typer.Option(help="How many have to promise; else a majority.")] = None,
    accept_quorum: Annotated[int | None, typer.Option(help="How many have to accept; else a majority.")] = None,
    cache: Annotated[bool, typer.Option("--cache", help="Accepts carry the next promise.")] = False,
    mutant: Annotated[str | None, typer.Option(help="Explore this animal of the zoo, in its own scope.")] = None,
    *,
    limits: Limits,
    as_json: AsJson = False,
) -> None:
    """Visit every state of a register that is written, deleted, read and collected, whatever the network does.

    Exit code: 0 if no state is at fault, 1 if one is, 3 if the budget was spent before all were visited.
    """
    if bool(changes) == bool(mutant):
        raise ConfigurationError("name the changes, as in `gryadka explore-deletion write delete read`, or a mutant")
    kinds = tuple(kind for change in changes or [] for kind in KINDS if change == kind)
    if len(kinds) != len(changes or []):
        raise ConfigurationError("a change is one of write, delete and read")
    majority = acceptors // 2 + 1
    scope = Scope(kinds, acceptors, prepare_quorum or majority, accept_quorum or majority, cache)
    model = _animal(mutant) if mutant else model_of(scope)
    begun = time.perf_counter()
    with nullcontext() if as_json else progress_bar(disable=None) as progress:
        verdict = explore(model.model(), budget=limits.budget, progress=progress)
    _print(model, verdict, time.perf_counter() - begun, as_json)
    interrupted = isinstance(verdict, BudgetSpent) and verdict.reason == "interrupted"
    raise typer.Exit(128 + signal.SIGINT if interrupted else EXIT_CODES[verdict.word])


def _animal(name: str) -> Deletion:
    found = [animal for animal in [*MUTANTS, *SOUND_VARIANTS] if animal.name == name]
    if not found:
        raise ConfigurationError(f"there is no collector or reader called {name!r}; `gryadka mutants` lists them")
    return found[0].model()


def _print(model: Deletion, verdict: Verdict[Numbers, Label], seconds: float, as_json: bool) -> None:
    if as_json:
        told: dict[str, Any] = {"verdict": verdict.word, "generated": verdict.generated}
        told |= {"distinct": verdict.distinct, "depth": verdict.depth, "seconds": round(seconds, 3)}
        if isinstance(verdict, BudgetSpent):
            told["reason"] = verdict.reason
        if isinstance(verdict, Violation):
            told |= {"property": verdict.name, "kind": verdict.kind, "why": why(model, verdict)}
            told["steps"] = tell(model, verdict.trace)
        typer.echo(json.dumps(told | {"scope": asdict(model.scope)}))
        return
    typer.echo(f"{verdict} in {seconds:.1f} s")
    if isinstance(verdict, Violation):
        for number, words in enumerate(tell(model, verdict.trace), start=1):
            typer.echo(f"{number:4}  {words}")
        typer.secho(f"So {why(model, verdict)}.", fg="red")
