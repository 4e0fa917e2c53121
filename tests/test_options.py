"""Groups of options: a command takes them as one argument, the command line as many."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from gryadka.errors import ConfigurationError
from gryadka.options import AsJson, Cluster, grouped


@dataclass(frozen=True)
class Needed:
    """A group with an option that has to be given."""

    size: Annotated[int, typer.Option()]
    as_json: AsJson = False


def test_a_command_gets_its_groups_and_its_own_arguments() -> None:
    app, got = typer.Typer(), []

    @app.command()
    @grouped
    def work(name: str, needed: Needed, cluster: Cluster, loud: bool = False) -> None:
        """Does the work."""
        got.append((name, needed, cluster, loud))

    run = CliRunner().invoke
    words = ["A", "--size", "3", "--json", "--acceptor", "x", "--acceptor", "y", "--namespace", "n"]
    assert run(app, words, env={"GRYADKA_URLS": None}).exit_code == 0
    assert run(app, ["B", "--size", "1"], env={"GRYADKA_URLS": "u v"}).exit_code == 0
    assert got == [
        ("A", Needed(3, True), Cluster(["x", "y"], "n"), False),
        ("B", Needed(1), Cluster(["u", "v"]), False),
    ]
    assert run(app, ["A"]).exit_code == 2  # --size is missing
    assert "Does the work." in run(app, ["--help"]).output


def test_the_signature_is_that_of_the_command_line() -> None:
    def work(cluster: Cluster, *, count: int) -> None: ...

    parameters: Any = inspect.signature(grouped(work)).parameters
    assert list(parameters) == ["urls", "namespace", "count"]
    assert parameters["namespace"].default == "gryadka" and parameters["count"].annotation is int


def test_a_cluster_that_nobody_named_says_how_to_name_it() -> None:
    with pytest.raises(ConfigurationError, match="GRYADKA_URLS"):
        _ = Cluster().named
    assert Cluster(["a"]).named == ["a"]
