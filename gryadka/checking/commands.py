"""The commands `gryadka explore` and `gryadka mutants`.

What may live here: options, printing, exit codes. `gryadka.cli` adds both to its own.

Exit codes: 0 all is as it should be, 1 a fault was found, 3 the budget was spent first, 130 ended by Ctrl-C.
"""

from __future__ import annotations

import json
import signal
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from tqdm.auto import tqdm

from gryadka.checking import deletion_zoo, members_zoo
from gryadka.checking import explore as explorer
from gryadka.checking.explain import events, explain, why
from gryadka.checking.explore import Budget, BudgetSpent, Verdict, Violation, progress_bar
from gryadka.checking.model import Caspaxos, Label
from gryadka.checking.mutants import MUTANTS, SOUND_VARIANTS
from gryadka.checking.numbered import Numbers
from gryadka.checking.rules import Scope, Wish
from gryadka.checking.zoo import Animal, Mutant, Result
from gryadka.errors import ConfigurationError
from gryadka.options import AsJson, grouped, writable
from gryadka.trace import dump

OTHERS: list[Animal[Any]] = [
    *(*members_zoo.MUTANTS, *members_zoo.SOUND_VARIANTS),
    *(*deletion_zoo.MUTANTS, *deletion_zoo.SOUND_VARIANTS),
]
"""Animals of models other than the one of `gryadka explore`."""


@dataclass(frozen=True)
class Limits:
    """When a search gives up."""

    max_states: Annotated[int, typer.Option(min=1, help="Give up after so many states.")] = 5_000_000
    max_seconds: Annotated[float | None, typer.Option(min=0, help="Give up after so many seconds.")] = None
    max_memory_mb: Annotated[
        float | None, typer.Option("--max-memory", min=1, help="Give up when this process holds so many MiB.")
    ] = None

    @property
    def budget(self) -> Budget:
        """The same as the explorer takes it."""
        return Budget(self.max_states, self.max_seconds, self.max_memory_mb)


EXIT_CODES = {"exhausted": 0, "violation": 1, "unknown": 3}


def add_to(app: typer.Typer) -> None:
    """Add both commands to an application."""
    app.command()(grouped(explore))
    app.command()(mutants)


# -- explore -----------------------------------------------------------------------------------------------


def explore(
    acceptors: Annotated[int, typer.Option(min=1, max=26, help="How many acceptors.")] = 3,
    proposers: Annotated[int, typer.Option(min=1, max=26, help="How many proposers.")] = 2,
    ballots: Annotated[int, typer.Option(min=1, help="How many ballots each proposer has.")] = 2,
    changes: Annotated[int, typer.Option(min=1, max=9, help="How many changes each proposer makes, in turn.")] = 1,
    prepare_quorum: Annotated[int | None, typer.Option(help="How many have to promise; else a majority.")] = None,
    accept_quorum: Annotated[int | None, typer.Option(help="How many have to accept; else a majority.")] = None,
    cache: Annotated[bool, typer.Option("--cache", help="Accepts carry the next promise.")] = False,
    deadlines: Annotated[bool, typer.Option("--deadlines", help="Callers may leave.")] = False,
    mutant: Annotated[str | None, typer.Option(help="Explore this animal of the zoo, in its own scope.")] = None,
    harm: Annotated[bool, typer.Option("--harm", help="Look only for what a client can see.")] = False,
    *,
    limits: Limits,
    save: Annotated[
        Path | None, typer.Option(callback=writable, help="Write the run that shows a fault to this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Visit every state that a few acceptors and proposers can reach, whatever the network does.

    Exit code: 0 if no state is at fault, 1 if one is, 3 if the budget was spent before all were visited.
    """
    append: Wish = "append"
    scope = Scope(acceptors, proposers, ballots, (append,) * changes, cache, deadlines)
    scope = replace(scope, prepare_quorum=prepare_quorum, accept_quorum=accept_quorum)
    model = _animal(mutant).model() if mutant else Caspaxos(scope)
    begun = time.perf_counter()
    with nullcontext() if as_json else progress_bar(disable=None) as progress:
        verdict = explorer.explore(model.model(only_clients=harm), budget=limits.budget, progress=progress)
    seconds = time.perf_counter() - begun
    _print_verdict(model, verdict, seconds, as_json)
    if save and isinstance(verdict, Violation):
        save.write_text("".join(f"{line}\n" for line in dump(events(model, verdict.trace))), encoding="utf-8")
    interrupted = isinstance(verdict, BudgetSpent) and verdict.reason == "interrupted"
    raise typer.Exit(128 + signal.SIGINT if interrupted else EXIT_CODES[verdict.word])


def _print_verdict(model: Caspaxos, verdict: Verdict[Numbers, Label], seconds: float, as_json: bool) -> None:
    if as_json:
        told = {**_told(model, verdict), "seconds": round(seconds, 3), "scope": asdict(model.scope)}
        typer.echo(json.dumps(told))
        return
    typer.echo(f"{verdict} in {seconds:.1f} s")
    if isinstance(verdict, Violation):
        _print_run(model, verdict)


def _animal(name: str) -> Mutant:
    found = [animal for animal in [*MUTANTS, *SOUND_VARIANTS] if animal.name == name]
    if not found:
        raise ConfigurationError(f"there is no mutant called {name!r}; `gryadka mutants` lists them")
    return found[0]


def _told(model: Caspaxos, verdict: Verdict[Numbers, Label]) -> dict[str, Any]:
    told: dict[str, Any] = {"verdict": verdict.word, "generated": verdict.generated}
    told |= {"distinct": verdict.distinct, "depth": verdict.depth}
    if isinstance(verdict, BudgetSpent):
        told["reason"] = verdict.reason
    if isinstance(verdict, Violation):
        told |= {"property": verdict.name, "kind": verdict.kind, "why": why(model, verdict)}
        told["steps"] = [{"words": step.words, "should": step.should} for step in explain(model, verdict.trace)]
        told["events"] = [json.loads(event.to_json()) for event in events(model, verdict.trace)]
    return told


def _print_run(model: Caspaxos, violation: Violation[Numbers, Label]) -> None:
    for number, step in enumerate(explain(model, violation.trace), start=1):
        typer.echo(f"{number:4}  {step.words}")
        if step.should:
            typer.secho(f"      by the rules: {step.should}", fg="yellow")
    typer.secho(f"So {why(model, violation)}.", fg="red")


# -- mutants -----------------------------------------------------------------------------------------------


def mutants(
    only: Annotated[str, typer.Option(help="Only those whose name contains this.")] = "",
    as_json: AsJson = False,
) -> None:
    """Put every animal of the zoo to the test: wrong protocols have to be caught, sound ones must not be.

    It takes a minute or two.

    `gryadka explore --mutant NAME`, or `gryadka explore-members --mutant NAME`, shows the run that catches one.

    Exit code: 0 if all ended as they should, 1 if not.
    """
    everybody: list[Animal[Any]] = [*MUTANTS, *SOUND_VARIANTS, *OTHERS]
    animals = [animal for animal in sorted(everybody, key=lambda each: not each.caught_by) if only in animal.name]
    if not animals:
        raise ConfigurationError(f"there is no mutant whose name contains {only!r}")
    results: list[Result[Any]] = []
    interrupted = False
    for animal in tqdm(animals, desc="zoo", unit="", leave=False, disable=as_json or None):
        result = animal.run()
        interrupted = isinstance(result.verdict, BudgetSpent) and result.verdict.reason == "interrupted"
        if interrupted:
            break
        results.append(result)
    if as_json:
        typer.echo(json.dumps({"mutants": [_row(result) for result in results]}))
    else:
        _print_table(results)
    if interrupted:
        typer.echo(f"interrupted: {len(animals) - len(results)} of {len(animals)} were not tried", err=True)
        raise typer.Exit(128 + signal.SIGINT)
    raise typer.Exit(0 if all(result.as_it_should_be for result in results) else 1)


def _row(result: Result[Any]) -> dict[str, Any]:
    animal, verdict = result.mutant, result.verdict
    return {
        "name": animal.name,
        "wrong": animal.wrong,
        "sound": not animal.caught_by,
        "verdict": verdict.word,
        "caught_by": result.caught_by or None,
        "steps": result.steps,
        "distinct": verdict.distinct,
        "seconds": round(result.seconds, 3),
        "as_it_should_be": result.as_it_should_be,
    }


def _print_table(results: list[Result[Any]]) -> None:
    table = Table("", "name", "caught by", "steps", "states", "seconds")
    for column in table.columns[3:]:
        column.justify = "right"
    was_sound = False
    for result in results:
        if not result.mutant.caught_by and not was_sound:
            table.add_section()
            was_sound = True
        ended = result.caught_by or ("nothing: sound" if result.verdict.word == "exhausted" else "unknown")
        steps = "no run" if result.caught_by and result.steps is None else str(result.steps or "")
        mark = "✓" if result.as_it_should_be else "✗"
        table.add_row(mark, result.mutant.name, ended, steps, f"{result.verdict.distinct:,}", f"{result.seconds:.2f}")
    Console().print(table)
    wrong = [result for result in results if result.mutant.caught_by]
    sound = [result for result in results if not result.mutant.caught_by]
    caught, passed = (sum(result.as_it_should_be for result in some) for some in (wrong, sound))
    seconds = sum(result.seconds for result in results)
    typer.echo(
        f"{caught} of {len(wrong)} wrong ones caught, {passed} of {len(sound)} sound ones passed, {seconds:.1f} s"
    )
