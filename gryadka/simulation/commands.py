"""The commands `gryadka simulate` and `gryadka replay`.

What may live here: options, printing, exit codes. `gryadka.cli` adds both to its own.

Exit codes are those of `gryadka.cli`: 0 all is as it should be, 1 it is not, 2 the command cannot be carried
out, 3 a run's history could not be judged.
"""

from __future__ import annotations

import runpy
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gryadka.errors import ConfigurationError
from gryadka.options import writable

if TYPE_CHECKING:
    from gryadka.simulation.campaign import Tally
    from gryadka.simulation.run import Result, RuleOptions

# Each command imports the simulator only when it runs: the other commands start sooner without it.


def add_to(app: typer.Typer) -> None:
    """Add both commands to an application."""
    app.command()(simulate)
    app.command()(replay)


Mine = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        help="A Python file of yours, such as my_work.py, which is run: its prepare, accept, choose and proposer take "
        "the place of Gryadka's.",
    ),
]


def _rules(path: Path | None) -> RuleOptions:
    # What there is of one's own in that file.
    from gryadka.simulation.run import Rules

    if not path:
        return {}
    try:
        found = runpy.run_path(str(path))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except Exception as error:
        raise ConfigurationError(f"{path} cannot be run: {type(error).__name__}: {error}") from None
    own = {name: found[name] for name in vars(Rules()) if callable(found.get(name))}
    if not own:
        raise ConfigurationError(f"{path} defines none of {', '.join(vars(Rules()))}")
    return own  # type: ignore[return-value]  # the names are those of its fields


@contextmanager
def _blaming(path: Path | None) -> Iterator[None]:
    # What rules of one's own raise is told with their line, and without ours.
    try:
        yield
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        if not lines:
            raise
        raise ConfigurationError(f"{path}, line {lines[-1]}: {type(error).__name__}: {error}") from None


def _print_names(wanted: bool) -> None:
    from gryadka.simulation.scenarios import SCENARIOS

    if wanted:
        for scenario in SCENARIOS.values():
            typer.echo(scenario.name + (" (must fail)" if scenario.must_fail else ""))
        raise typer.Exit


def simulate(
    scenario: Annotated[str, typer.Argument(help="A name that --list prints, or `all`.")],
    seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, one run each.")] = 1,
    jobs: Annotated[int, typer.Option(min=-1, help="How many processes; -1, as 0, for one a core.")] = 1,
    save: Annotated[
        Path | None,
        typer.Option(callback=writable, help="Save a run: the first violation, shortened, or the first."),
    ] = None,
    rules: Mine = None,
    names: Annotated[
        bool, typer.Option("--list", callback=_print_names, is_eager=True, help="Print the scenarios' names, and end.")
    ] = False,
) -> None:
    """Run real proposers over a simulated network that misbehaves, and judge what their clients saw.

    The same scenario and seed give the same run, to the last byte.

    Exit code: 0 if every sound scenario got changes done and showed no violation, and every must-fail one
    showed one; 1 if not; 3 if all that is wrong is a history that could not be judged.
    """
    from tqdm import tqdm

    from gryadka.simulation.campaign import campaign
    from gryadka.simulation.scenarios import SCENARIOS

    chosen = list(SCENARIOS) if scenario == "all" else [scenario]
    heard: dict[str, Tally] = {}
    own = _rules(rules)
    with _blaming(rules), tqdm(total=len(chosen) * seeds, unit="run", disable=None, leave=False) as bar:

        def progress(tally: Tally) -> None:
            heard[tally.scenario.name] = tally
            bar.set_description(tally.scenario.name, refresh=False)
            bar.update()

        try:
            tallies = campaign(chosen, range(seed, seed + seeds), jobs=jobs or -1, progress=progress, **own)
        except KeyboardInterrupt:
            bar.close()
            for tally in heard.values():
                typer.echo(tally.so_far if tally.runs < seeds else str(tally))
            raise
    for tally in tallies:
        typer.echo(str(tally))
    if save:
        _save(save, tallies, seed, own)
    bad = [tally for tally in tallies if not tally.as_it_should]
    if bad:
        undecided = all(tally.undecided and not (tally.violations or tally.idle) for tally in bad)
        raise typer.Exit(3 if undecided else 1)


def _save(path: Path, tallies: list[Tally], seed: int, rules: RuleOptions) -> None:
    from gryadka.simulation import record
    from gryadka.simulation.run import simulate as run_once

    # A violation where there must be none comes before one that has to be.
    found = sorted((tally for tally in tallies if tally.violations), key=lambda tally: tally.scenario.must_fail)
    if found:
        result = _shortened(run_once(found[0].scenario, found[0].violations[0], **rules), rules)
    else:
        result = run_once(tallies[0].scenario, seed, **rules)
    try:
        record.save(path, record.Recording.of(result))
    except OSError as error:
        raise ConfigurationError(f"the run could not be saved: {error}") from None
    typer.echo(f"{path}: {result.scenario.name}, seed {result.seed}, {len(result.events):,} events. {result.verdict}")


def _shortened(result: Result, rules: RuleOptions) -> Result:
    from tqdm import tqdm

    from gryadka.simulation.shrink import MAX_RUNS, shrink

    with tqdm(desc="making it short", total=MAX_RUNS, unit="run", disable=None, leave=False) as bar:

        def progress(runs: int, steps: int) -> None:
            bar.update(runs - bar.n)
            bar.set_postfix(steps=steps, refresh=False)

        return shrink(result, progress=progress, **rules)


def replay(
    file: Annotated[Path, typer.Argument(help="A file that `gryadka simulate --save` wrote.")], rules: Mine = None
) -> None:
    """Run a saved run again, with everything decided as it was then, and say whether it went the same way.

    Exit code: 0 if every event is the same, 1 if not. The verdict is printed, and does not change that.
    """
    from gryadka.simulation import record

    try:
        recording = record.read(file)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{file}: {error}") from None
    own = _rules(rules)
    if missing := [name for name in recording.replaced if name not in own]:
        said = f"note: this run had its own {', '.join(missing)}; here Gryadka's takes part"
        typer.echo(f"{said}, unless --rules names a file", err=True)
    with _blaming(rules):
        again = record.replay(recording, **own)
    where = "the same" if again.same else f"different, from line {again.first_difference} of the trace on"
    typer.echo(f"{where}: {recording.scenario.name}, seed {recording.seed}, {len(again.result.events):,} events")
    typer.echo(str(again.result.verdict))
    raise typer.Exit(0 if again.same else 1)
