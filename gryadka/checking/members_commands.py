"""The command `gryadka explore-members`.

What may live here: options, printing, exit codes; these are those of `gryadka explore`.
"""

from __future__ import annotations

import json
import signal
import time
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from gryadka.checking.commands import EXIT_CODES, Limits
from gryadka.checking.explore import BudgetSpent, Verdict, Violation, explore, progress_bar
from gryadka.checking.members import Members
from gryadka.checking.members_state import Label
from gryadka.checking.members_words import tell, why
from gryadka.checking.members_zoo import MUTANTS, SOUND_VARIANTS
from gryadka.checking.numbered import Numbers
from gryadka.errors import ConfigurationError
from gryadka.options import AsJson, grouped


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(grouped(explore_members))


def explore_members(
    goals: Annotated[
        list[str] | None, typer.Argument(help="The members at first, and what they become: ABC ABCD. A letter is one.")
    ] = None,
    ballots: Annotated[int, typer.Option(min=1, max=9, help="How many rounds there may be, of everybody.")] = 2,
    cache: Annotated[bool, typer.Option("--cache", help="Accepts carry the next promise.")] = False,
    rescan: Annotated[bool, typer.Option("--rescan", help="Rescan all records where a copy would do.")] = False,
    mutant: Annotated[str | None, typer.Option(help="Explore this animal of the zoo, in its own plan.")] = None,
    harm: Annotated[bool, typer.Option("--harm", help="Look only for what a client can see.")] = False,
    *,
    limits: Limits,
    as_json: AsJson = False,
) -> None:
    """Visit every state that a change of members can reach, whoever writes meanwhile and whatever the network does.

    Exit code: 0 if no state is at fault, 1 if one is, 3 if the budget was spent before all were visited.
    """
    if bool(goals) == bool(mutant):
        raise ConfigurationError("name the members, as in `gryadka explore-members ABC ABCD`, or a mutant")
    plan = " ".join(goals or [])
    model = _animal(mutant) if mutant else Members(plan, ballots, cached_rounds=cache, copy=not rescan)
    begun = time.perf_counter()
    with nullcontext() if as_json else progress_bar(disable=None) as progress:
        verdict = explore(model.model(only_clients=harm), budget=limits.budget, progress=progress)
    seconds = time.perf_counter() - begun
    if as_json:
        typer.echo(json.dumps({**_told(model, verdict), "seconds": round(seconds, 3)}))
    else:
        _print(model, verdict, seconds)
    interrupted = isinstance(verdict, BudgetSpent) and verdict.reason == "interrupted"
    raise typer.Exit(128 + signal.SIGINT if interrupted else EXIT_CODES[verdict.word])


def _animal(name: str) -> Members:
    found = [animal for animal in [*MUTANTS, *SOUND_VARIANTS] if animal.name == name]
    if not found:
        raise ConfigurationError(f"there is no change of members called {name!r}; `gryadka mutants` lists them")
    return found[0].model()


def _print(model: Members, verdict: Verdict[Numbers, Label], seconds: float) -> None:
    for step in model.steps.plan:
        typer.echo(f"plan: {step}")
    typer.echo(f"{verdict} in {seconds:.1f} s")
    if isinstance(verdict, Violation):
        for number, told in enumerate(tell(model, verdict.trace), start=1):
            typer.echo(f"{number:4}  {told.words}")
            if told.should:
                typer.secho(f"      by the rules: {told.should}", fg="yellow")
        typer.secho(f"So {why(model, verdict)}.", fg="red")


def _told(model: Members, verdict: Verdict[Numbers, Label]) -> dict[str, Any]:
    told: dict[str, Any] = {"verdict": verdict.word, "generated": verdict.generated}
    told |= {"distinct": verdict.distinct, "depth": verdict.depth, "plan": list(map(str, model.steps.plan))}
    if isinstance(verdict, BudgetSpent):
        told["reason"] = verdict.reason
    if isinstance(verdict, Violation):
        told |= {"property": verdict.name, "kind": verdict.kind, "why": why(model, verdict)}
        told["steps"] = [step._asdict() for step in tell(model, verdict.trace)]
    return told
