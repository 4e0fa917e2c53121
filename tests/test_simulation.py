"""Runs of the simulator: repeatable to the byte, right about sound protocols, and not fooled by wrong ones."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import pytest

from gryadka.checking.history import Outcome
from gryadka.checking.linearizability import Ok
from gryadka.errors import ConfigurationError, NotApplied, OutcomeUnknown
from gryadka.proposer import Proposer, _apply
from gryadka.protocol.acceptor import (
    Accept,
    Accepted,
    Ballot,
    Conflict,
    Prepare,
    Promise,
    Reply,
    State,
    accept,
    prepare,
)
from gryadka.protocol.configuration import Configuration
from gryadka.protocol.round import Round
from gryadka.protocol.value import pack, unpack
from gryadka.simulation import plan
from gryadka.simulation.campaign import campaign
from gryadka.simulation.loop import SimulationError
from gryadka.simulation.network import Link, Network
from gryadka.simulation.plan import Choices, Fault, Step
from gryadka.simulation.run import Result, simulate
from gryadka.simulation.scenarios import CLASSIC, SCENARIOS, Collecting, Scenario, Storm

SOUND = [scenario for scenario in SCENARIOS.values() if not scenario.must_fail]
MUST_FAIL = [scenario for scenario in SCENARIOS.values() if scenario.must_fail]
RESTARTS = replace(SCENARIOS["restarts"], steps=8)
QUIET = Scenario("quiet", "nothing goes wrong", clients=1, proposers=1, keys=1)


# -- the same seed, the same run -------------------------------------------------------------------------

DIGESTS = {
    "loss-1-1-1": "12a5b982141ef373",
    "loss-2-2-2": "832308c63afa8ddb",
    "loss-6-2-2": "6182c5a18f9b1e4d",
    "loss-quorum-of-1": "1439f762ff51b998",
    "reorder-1-1-1": "1ea10451ec8deabd",
    "reorder-1-2-2": "c8d7fb56a1326813",
    "reorder-2-1-2": "b9adb92a9ea93c6d",
    "reorder-2-2-1": "8cd6bc13c9187407",
    "partition-1-1-1": "576b95d352097269",
    "partition-2-2-2": "51346f20d8764c16",
    "duplicates": "432d2ddbb68af68f",
    "one-way": "a9cbab39f6e9d39e",
    "duel": "c16e8d086cee2119",
    "restarts": "909ba2384328b37d",
    "skewed-clocks": "83be1f5b7fbc524a",
    "slow-acceptor": "33be5abedfcb6810",
    "amnesia": "c0e1f5746fc4b64a",
    "members-3-to-4": "882792204a92803c",
    "members-in-flux": "44f2ffa60b351ebf",
    "members-without-rescan": "8c3169552629cf91",
    "deletion-2-2-2": "b0e3a73d8c72d828",
    "deletion-4-3-2": "17c62501a2e77f32",
    "deletion-in-flux": "d9fdb737f4694170",
    "deletion-without-floor": "2322b630d0d57378",
    "deletion-on-a-majority": "2320002fabbdeaa9",
}
"""Of seed 1 with 8 steps a client: the first 16 digits."""

PRINT_DIGESTS = """
import json
from dataclasses import replace
from gryadka.simulation.run import simulate
from gryadka.simulation.scenarios import SCENARIOS
short = [replace(scenario, steps=8) for scenario in SCENARIOS.values()]
print(json.dumps({scenario.name: simulate(scenario, 1).digest[:16] for scenario in short}))
"""


@pytest.mark.parametrize("hash_seed", ["0", "random"])
def test_a_seed_gives_the_recorded_trace_byte_for_byte_in_every_process(hash_seed: str) -> None:
    """Traces change when the protocol's code does; then look whether they should have, and record them anew."""
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run([sys.executable, "-c", PRINT_DIGESTS], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == DIGESTS


def test_two_runs_in_one_process_are_the_same_and_two_seeds_are_not() -> None:
    one, two, other = (simulate(RESTARTS, seed) for seed in (5, 5, 6))
    assert one.events == two.events and one.history == two.history and one.choices == two.choices
    assert one.digest == two.digest != other.digest


def test_a_run_without_a_trace_has_the_same_history() -> None:
    loud, silent = simulate(RESTARTS, 5), simulate(RESTARTS, 5, record=False)
    assert (silent.history, silent.virtual_s) == (loud.history, loud.virtual_s)
    assert silent.events == () and silent.choices.fates == {}


async def test_a_run_inside_a_notebooks_loop_is_the_same() -> None:
    inside = simulate(RESTARTS, 3)
    outside = await asyncio.to_thread(simulate, RESTARTS, 3)
    assert inside.digest == outside.digest


def test_what_was_decided_decides_again() -> None:
    first = simulate(RESTARTS, 2)
    again = simulate(RESTARTS, 2, choices=first.choices)
    assert again.digest == first.digest and again.choices == first.choices


def test_streams_of_chance_do_not_share_their_numbers() -> None:
    assert plan.stream(1, "network").random() == plan.stream(1, "network").random()
    assert len({plan.stream(seed, name).random() for seed in range(9) for name in ("network", "clients")}) == 18


# -- what scenarios are ----------------------------------------------------------------------------------


def test_the_ten_of_the_javascript_gryadka_are_there() -> None:
    sizes = [(s.clients, s.proposers, s.keys) for s in CLASSIC]
    assert sizes == [
        *[(1, 1, 1), (2, 2, 2), (6, 2, 2), (2, 2, 1)],  # loss, the last one with an accept quorum of 1
        *[(1, 1, 1), (1, 2, 2), (2, 1, 2), (2, 2, 1)],  # reordering
        *[(1, 1, 1), (2, 2, 2)],  # partitions that heal
    ]
    assert [scenario.accept_quorum for scenario in CLASSIC if scenario.must_fail] == [1]


def test_an_unknown_scenario_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match="no scenario 'los'; there are loss-1-1-1, "):
        simulate("los")


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_scenario_makes_its_faults_happen(scenario: Scenario) -> None:
    """In some seeds each: a scenario whose faults never come about would pass for nothing."""
    runs = [simulate(replace(scenario, steps=10), seed) for seed in range(3)]
    kinds = {event.kind for run in runs for event in run.events}
    weather = scenario.weather
    wanted = {"dropped"} if weather.loss else set()
    wanted |= {"duplicated"} if weather.duplicate else set()
    for storm in scenario.storms:
        wanted |= {
            "crash": {"crashed", "restarted", "dropped"},
            "amnesia": {"crashed", "restarted", "dropped"},
            "pause": {"paused", "resumed"},
            "partition": {"partitioned", "healed", "dropped"},
            "one-way": {"partitioned", "healed", "dropped"},
            "restart-proposer": {"crashed", "restarted"},
        }[storm.kind]
    assert wanted <= kinds
    assert all(run.counts["acknowledged"] for run in runs)
    assert sum(scenario.clients * 10 + scenario.keys for _ in runs) == sum(len(run.history) for run in runs)
    if scenario.storms or weather.loss:
        assert {"failed"} <= kinds
    models = {model for run in runs for model in run.choices.models.values()}
    assert models == {"text"} if scenario.collect else len(models) == 3
    if not scenario.in_flux:  # there, collectors seldom find the members at rest
        assert bool(scenario.collect) == any(
            (event.note or "").startswith("forgotten") for run in runs for event in run.events
        )


@pytest.mark.parametrize("scenario", SOUND, ids=lambda scenario: scenario.name)
def test_a_sound_scenario_shows_no_violation(scenario: Scenario) -> None:
    for seed in range(2):
        result = simulate(replace(scenario, steps=15), seed, record=False)
        assert isinstance(result.verdict, Ok), f"seed {seed}: {result.verdict}"
        assert not result.idle


@pytest.mark.parametrize("scenario", MUST_FAIL, ids=lambda scenario: scenario.name)
def test_a_must_fail_scenario_is_found_out(scenario: Scenario) -> None:
    scenario = replace(scenario, steps=20)
    violated = (seed for seed in range(30) if simulate(scenario, seed, record=False).violated)
    assert len(list(islice(violated, 2))) == 2


@pytest.mark.parametrize("scenario", MUST_FAIL, ids=lambda scenario: scenario.name)
def test_its_twin_without_the_fault_is_sound(scenario: Scenario) -> None:
    storms = tuple(replace(storm, kind="crash") for storm in scenario.storms)
    collect: Collecting = "by the rules" if scenario.collect else ""
    twin = replace(scenario, accept_quorum=0, skip_rescan=False, storms=storms, steps=20, collect=collect)
    assert not any(simulate(twin, seed, record=False).violated for seed in range(6))


def test_unknown_outcomes_and_failures_come_about() -> None:
    history = simulate("duplicates", 1, record=False).history
    assert {operation.outcome for operation in history} == set(Outcome)


@pytest.mark.slow
def test_a_thousand_seeds_over_all_scenarios() -> None:
    """No violation in the sound ones, and one in every must-fail one."""
    seeds = 1000 // len(SCENARIOS) + 1
    scenarios = [replace(scenario, steps=25) for scenario in SCENARIOS.values()]
    for tally in campaign(scenarios, range(seeds), jobs=2):
        assert tally.as_it_should, str(tally)


# -- clocks and restarts ---------------------------------------------------------------------------------

NOBODY = Choices(
    {"counter-1": "counter"},
    (Step(1, "P1", "counter-1", "add", (1,), 0.5),),
    (Fault("partition", 0.1, 60.0, ("P1>A", "P1>B", "P1>C")),),
)
"""One change that reaches nobody."""


@pytest.mark.parametrize(("rate", "timeout_s"), [(1.0, 0.15), (4.0, 0.0375), (0.25, 0.6)])
def test_a_fast_clock_gives_up_early_and_a_slow_one_late(rate: float, timeout_s: float) -> None:
    result = simulate(replace(QUIET, rates=(rate,)), choices=NOBODY)
    assert result.counts["failed"] == 1 and result.virtual_s == 0.5 + timeout_s


def test_a_proposer_that_dies_leaves_unknown_outcomes_and_its_heir_has_a_fresh_id() -> None:
    death = Fault("restart-proposer", 0.0008, 0.0, ("P1",))  # its first prepare has arrived
    steps = [Step(1, "P1", "counter-1", "add", (1,), 0.0)] * 2
    result = simulate(QUIET, choices=Choices({"counter-1": "counter"}, tuple(steps), (death,)))
    assert [operation.outcome.value for operation in result.history] == ["unknown", "ok"]
    told = [(event.kind, event.node) for event in result.events if event.kind in ("crashed", "restarted")]
    assert told == [("crashed", "proposer-1"), ("restarted", "proposer-2")]
    assert {event.message.ballot.proposer for event in result.events if event.message} == {1, 2}


def test_a_caller_that_leaves_while_its_round_prepares_is_not_applied() -> None:
    """Its deadline passes between the prepare and the promises: it is told "not applied", and so it has to be."""
    steps = (
        Step(1, "P1", "counter-1", "add", (1,), 0.0),
        Step(1, "P1", "counter-1", "read", (), 0.1),
    )
    slow = {f"P1>{name} 1": (0.025,) for name in "ABC"}  # the promises come after 25.5 ms
    result = simulate(replace(QUIET, timeout_s=0.02), choices=Choices({"counter-1": "counter"}, steps, (), slow))
    assert [operation.outcome.value for operation in result.history] == ["failed", "ok"]
    assert isinstance(result.verdict, Ok) and results_of(result)[1] == 0


# -- wrong protocols -------------------------------------------------------------------------------------


def caught(scenario: str, **rules: Any) -> bool:
    return any(simulate(scenario, seed, record=False, **rules).violated for seed in range(10))


def promises_nothing(state: State, message: Prepare) -> tuple[State, Reply]:
    return state, prepare(state, message)[1]


def accepts_everything(state: State, message: Accept) -> tuple[State, Reply]:
    return State(message.promise, message.ballot, message.value), Accepted()


def forgets_the_next_promise(state: State, message: Accept) -> tuple[State, Reply]:
    after, reply = accept(state, message)
    return after._replace(promised=max(state.promised, message.ballot)), reply


def hides_what_it_accepted(state: State, message: Prepare) -> tuple[State, Reply]:
    after, reply = prepare(state, message)
    return after, reply if isinstance(reply, Conflict) else Promise(State().accepted, None)


WRONG_ACCEPTORS: list[dict[str, Callable[..., Any]]] = [
    {"prepare": promises_nothing},
    {"prepare": hides_what_it_accepted},
    {"accept": accepts_everything},
    {"accept": forgets_the_next_promise},
]


@pytest.mark.parametrize("rule", WRONG_ACCEPTORS, ids=lambda rule: next(iter(rule.values())).__name__)
def test_a_wrong_acceptor_is_caught(rule: dict[str, Any]) -> None:
    assert caught("partition-2-2-2", **rule)


def test_a_proposer_that_takes_the_first_value_it_hears_of_is_caught() -> None:
    def first(promises: Iterable[Promise]) -> Promise:
        return next(iter(promises))

    assert caught("loss-2-2-2", choose=first)


class RetriesBlindly(Proposer):
    """Pitfall 2: applies the change again, whatever became of accepts that it has sent."""

    def _proposal(self, round: Any, sent: Any, group: Any) -> Any:
        text, lineage = unpack(round.current().value)
        text, outcomes = _apply(text, group)
        return pack(text, lineage, round.ballot), outcomes


class SaysNotApplied(Proposer):
    """Takes an unknown outcome for "not applied"."""

    async def change(self, key: str, f: Any, **options: Any) -> Any:
        try:
            return await super().change(key, f, **options)
        except OutcomeUnknown as error:
            raise NotApplied(str(error)) from error


def shares_its_id(*parts: Any, id: int, **options: Any) -> Proposer:
    """Pitfalls 1 and 8: every other proposer has the same id."""
    return Proposer(*parts, id=1 + id % 2, **options)


@pytest.mark.parametrize(
    ("proposer", "scenario"),
    [(RetriesBlindly, "loss-2-2-2"), (SaysNotApplied, "duplicates"), (shares_its_id, "restarts")],
)
def test_a_wrong_proposer_is_caught(proposer: Callable[..., Proposer], scenario: str) -> None:
    assert caught(scenario, proposer=proposer)


def test_a_protocol_that_does_nothing_is_idle() -> None:
    def refuses(state: State, message: Prepare) -> tuple[State, Reply]:
        return state, Conflict(message.ballot)

    result = simulate(replace(QUIET, steps=3), prepare=refuses)
    assert isinstance(result.verdict, Ok) and result.idle


def test_a_rule_of_ones_own_takes_part_and_is_told() -> None:
    heard = []

    def choosing(promises: Iterable[Promise]) -> Promise:
        heard.append("choose")
        return max(promises, key=lambda promise: promise.accepted)

    def preparing(state: State, message: Prepare) -> tuple[State, Reply]:
        heard.append("prepare")
        return prepare(state, message)

    own = simulate("loss-2-2-2", 1, choose=choosing, prepare=preparing)
    assert {"choose", "prepare"} == set(heard) and own.replaced == ("prepare", "choose")
    heard.clear()
    assert simulate("loss-2-2-2", 1).digest == own.digest and not heard


def test_a_choose_of_ones_own_is_for_that_run_alone() -> None:
    seen = []

    def first(promises: Sequence[Promise]) -> Promise:
        elsewhere = Round(Configuration.majority("AB"), Ballot(3, 1))
        elsewhere.granted = {"A": Promise(Ballot(1, 1), "old"), "B": Promise(Ballot(2, 1), "new")}
        seen.append(elsewhere.current().value)
        return promises[0]

    simulate("loss-1-1-1", 1, choose=first)
    assert set(seen) == {"new"}


def test_a_choose_that_picks_what_is_no_promise_is_raised_from() -> None:
    def picks_a_value(promises: Sequence[Promise]) -> Any:
        return promises[0].value

    with pytest.raises(AttributeError, match="value"):
        simulate("loss-1-1-1", 1, choose=picks_a_value)


@pytest.mark.parametrize("rule", ["prepare", "accept", "choose"])
def test_a_rule_that_raises_is_raised_from(rule: str) -> None:
    def broken(*_: Any) -> Any:
        raise LookupError("mine")

    rules: Any = {rule: broken}
    with pytest.raises(LookupError, match="mine"):
        simulate("loss-1-1-1", 1, **rules)
    assert isinstance(simulate("loss-1-1-1", 1).verdict, Ok)


def test_a_proposer_that_never_pauses_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gryadka.simulation.run.MAX_STEPS", 20_000)

    def refuses(state: State, message: Prepare) -> tuple[State, Reply]:
        return state, Conflict(message.ballot)

    hurried = replace(QUIET, pause_s=(0.0, 0.0), timeout_s=10_000.0)
    with pytest.raises(SimulationError, match="has not ended"):
        simulate(hurried, prepare=refuses)


def test_storms_come_in_order_and_do_not_overlap_at_one_place() -> None:
    storms = (Storm("crash", (0.0, 0.1), (0.0, 0.1)), Storm("pause", (0.0, 0.1), (0.0, 0.1)))
    faults = plan.draw_faults(replace(QUIET, storms=storms), 1)
    some = [next(faults) for _ in range(200)]
    assert [fault.at_s for fault in some] == sorted(fault.at_s for fault in some)
    for kind in ("crash", "pause"):
        alike = [fault for fault in some if fault.kind == kind]
        assert len(alike) > 50
        assert all(a.at_s + a.for_s <= b.at_s for a, b in pairwise(alike))


def results_of(result: Result) -> list[Any]:
    return [operation.result for operation in result.history]


def test_nothing_goes_wrong_where_nothing_can() -> None:
    steps = [Step(1, "P1", "append-1", "append", (f"{n};",), 0.0) for n in (1, 2)]
    steps += [Step(1, "P1", "append-1", "read", (), 0.0)]
    result = simulate(QUIET, choices=Choices({"append-1": "append"}, tuple(steps)))
    assert results_of(result) == ["1;", "1;2;", "1;2;"]
    assert result.virtual_s == 0.004  # four round trips of 1 ms: prepare and accept, then one for each change


@pytest.mark.slow
def test_without_the_refusal_of_older_epochs_members_in_flux_lose_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who works with an old configuration misses what the new one chose: the refusal is what prevents it."""

    def deaf(network: Network, packet: Any) -> None:
        network.in_force.clear()
        arrive(network, packet)

    arrive = Network._arrive
    monkeypatch.setattr(Network, "_arrive", deaf)
    assert any(simulate("members-in-flux", seed, record=False).violated for seed in range(60))


def test_members_change_many_times_in_flux(monkeypatch: pytest.MonkeyPatch) -> None:
    latest: list[int] = []
    adopt = Link.adopt

    async def counted(link: Link, epoch: int, configuration: Configuration) -> None:
        latest.append(epoch)
        await adopt(link, epoch, configuration)

    monkeypatch.setattr(Link, "adopt", counted)
    result = simulate("members-in-flux", 1)
    assert not result.violated and result.counts["acknowledged"] > 20 and max(latest) > 5
