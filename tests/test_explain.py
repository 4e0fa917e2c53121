"""A run of the model, told in words and as events; and the two commands."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gryadka.checking import commands, deletion_commands, members_commands
from gryadka.checking.explain import events, explain, why
from gryadka.checking.explore import Step, Violation, explore
from gryadka.checking.model import (
    NO_WAY_BACK,
    NOT_LOST,
    ONE_CHAIN,
    SOMETHING,
    Caspaxos,
    Label,
    Numbers,
)
from gryadka.checking.mutants import MUTANTS
from gryadka.checking.rules import Scope
from gryadka.errors import ConfigurationError
from gryadka.protocol.acceptor import (
    Accept,
    Prepare,
    State,
)
from gryadka.trace import Event, dump, load

pytestmark = pytest.mark.slow


def mutant(name: str) -> Caspaxos:
    return next(mutant for mutant in MUTANTS if mutant.name == name).model()


def found(model: Caspaxos, *, only_clients: bool = False) -> Violation[Numbers, Label]:
    verdict = explore(model.model(only_clients=only_clients))
    assert isinstance(verdict, Violation)
    return verdict


# -- runs, told ------------------------------------------------------------------------------------------


def test_a_counterexample_is_a_file_of_events_that_holds_together() -> None:
    """Nothing is answered before it was sent, nothing heard before it was answered, and states follow."""
    model = mutant("takes the first value")
    trace = found(model).trace
    told = events(model, trace)
    assert load(dump(told)) == told
    sent: set[Any] = set()
    said: set[Any] = set()
    states = dict.fromkeys("ABC", State())
    for event in told:
        if event.kind == "sent":
            sent.add((event.peer, event.message))
        elif event.kind == "state":
            assert (event.node, event.message) in sent
            assert isinstance(event.message, Prepare | Accept)
            ask = model.steps.rules.prepare if isinstance(event.message, Prepare) else model.steps.rules.accept
            assert ask(states[event.node], event.message) == (event.state, event.reply)  # type: ignore[arg-type]
            states[event.node] = event.state or State()
            said.add((event.node, event.message, event.reply))
        elif event.kind == "delivered":
            assert (event.peer, event.message, event.reply) in said
    assert list(states.values()) == [cell.state for cell in model.cells(trace[-1].state)]
    assert [event.note for event in told if event.kind == "change-ended"] == ["applied", "applied"]
    assert {event.kind for event in told} == {"change-begun", "sent", "state", "delivered", "change-ended"}


def test_steps_are_told_in_words_with_what_the_rules_say() -> None:
    model = mutant("takes the first value")
    violation = found(model)
    steps = explain(model, violation.trace)
    assert steps[0].words == "proposer 1 begins change 1 (append), then asks all to promise 1:1"
    assert steps[1].words == "A promises 1:1, and tells that it has accepted nothing"
    (wrong,) = [step for step in steps if step.should]
    assert wrong.words == "proposer 2 hears A and C, then asks all to accept [2] at 1:2"
    assert wrong.should == "proposer 2 asks all to accept [1, 2] at 1:2"
    assert steps[-1].words == "proposer 2 hears A and B: change 2 is applied, and its caller is shown [2]"
    assert why(model, violation) == "[1] was acknowledged before change 2 began, and its caller was shown [2]"


def test_a_promise_that_goes_back_is_told() -> None:
    model = mutant("forgets its promise")
    violation = found(model)
    assert violation.name == NO_WAY_BACK
    assert why(model, violation) == "acceptor A had promised 1:1, and its promise is now 0:0"


def test_the_harm_that_a_broken_promise_does_to_clients() -> None:
    model = mutant("forgets its promise")
    assert found(model, only_clients=True).name in (NOT_LOST, ONE_CHAIN)


def test_only_runs_of_the_model_can_be_told() -> None:
    model = Caspaxos(Scope())
    with pytest.raises(ValueError, match="without a label"):
        explain(model, [Step(None, model.initial), Step(None, model.initial)])


# -- the command -----------------------------------------------------------------------------------------

app = typer.Typer()
for module in (commands, members_commands, deletion_commands):
    module.add_to(app)


def run(*arguments: str) -> tuple[int, str]:
    ended = CliRunner().invoke(app, arguments, catch_exceptions=False, standalone_mode=True)
    return ended.exit_code, ended.stdout


def test_explore_says_what_it_covered() -> None:
    code, told = run("explore", "--acceptors", "3", "--proposers", "2", "--ballots", "2")
    assert code == 0
    assert told.startswith("exhausted (63,451 states generated, 15,214 distinct, depth 26) in ")


def test_explore_shows_the_run_to_a_fault_and_saves_it(tmp_path: Any) -> None:
    file = tmp_path / "run.jsonl"
    code, told = run("explore", "--accept-quorum", "1", "--save", str(file))
    assert code == 1
    assert "'an acknowledged change is never lost' fails after 12 steps" in told
    assert "  12  proposer 2 hears A: change 2 is applied, and its caller is shown [2]" in told
    recorded = load(file.read_text().splitlines())
    assert [event.kind for event in recorded[:2]] == ["change-begun", "sent"] and recorded[-1].kind == "change-ended"


def test_explore_in_json() -> None:
    code, told = run("explore", "--mutant", "forgets its promise", "--json")
    whole = json.loads(told)
    assert code == 1
    assert (whole["verdict"], whole["property"], len(whole["steps"])) == ("violation", NO_WAY_BACK, 3)
    assert [Event.from_json(json.dumps(event)).kind for event in whole["events"]][:1] == ["change-begun"]
    code, told = run("explore", "--ballots", "1", "--json")
    whole = json.loads(told)
    assert (code, whole["verdict"], whole["distinct"], whole["scope"]["ballots"]) == (0, "exhausted", 287, 1)


def test_explore_in_the_options_that_widen_it() -> None:
    assert json.loads(run("explore", "--json", "--ballots", "1", "--deadlines")[1])["distinct"] > 287
    assert json.loads(run("explore", "--json", "--changes", "2")[1])["distinct"] == 29_451
    code, told = run("explore", "--json", "--mutant", "compares counters only", "--harm")
    assert (code, json.loads(told)["property"]) == (1, ONE_CHAIN)


LIMITS = [("--max-states", "1000", "states"), ("--max-seconds", "0", "seconds"), ("--max-memory", "1", "memory")]
SEARCHES = [
    ("explore",),
    ("explore-members", "ABC", "ABCD", "--ballots", "3"),
    ("explore-deletion", "write", "delete", "read"),
]


@pytest.mark.parametrize(("limit", "most", "reason"), LIMITS)
@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search[0])
def test_a_search_gives_up_and_says_so(search: tuple[str, ...], limit: str, most: str, reason: str) -> None:
    code, told = run(*search, limit, most, "--json")
    assert (code, json.loads(told)["verdict"], json.loads(told)["reason"]) == (3, "unknown", reason)


def test_explore_says_when_nothing_can_be_acknowledged() -> None:
    code, told = run("explore", "--mutant", "refuses everything")
    assert code == 1 and SOMETHING in told and told.rstrip().endswith("So whatever happens, it never does.")


def test_explore_knows_its_mutants_by_name() -> None:
    with pytest.raises(ConfigurationError, match="no mutant called 'nobody'"):
        run("explore", "--mutant", "nobody")
