"""The abstract CASPaxos model: TLC's counts, its properties, and what happens when a rule is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gryadka.checking import synod
from gryadka.checking.explore import Exhausted, Model, Property, Violation, explore
from gryadka.checking.synod import Acceptor, Report, Synod, remember


@pytest.mark.parametrize(
    ("ballots", "symmetric", "generated", "distinct", "depth"),
    [
        (2, False, 16_042, 3_362, 18),
        (2, True, 3_710, 746, 18),
        pytest.param(3, False, 741_042, 143_602, 26, marks=pytest.mark.slow),
        (3, True, 139_060, 26_342, 26),
    ],
)
def test_three_acceptors_as_tlc_counts_them(
    ballots: int, symmetric: bool, generated: int, distinct: int, depth: int
) -> None:
    model = Synod(3, ballots).model(symmetric=symmetric)
    assert explore(model) == Exhausted(generated, distinct, depth)


def test_values_that_remember_their_history_exhaust_without_a_fault() -> None:
    assert explore(Synod(3, 2, change=remember).model()) == Exhausted(16_714, 3_554, 18)
    assert isinstance(explore(Synod(3, 3, change=remember).model(symmetric=True)), Exhausted)


def test_five_acceptors_exhaust_without_a_fault() -> None:
    # Levels: the start, 3 prepares, and for ballots 1 and 2 one accept request and 5 promises and 5 votes.
    verdict = explore(Synod(5, 2, change=remember).model(symmetric=True))
    assert isinstance(verdict, Exhausted)
    assert verdict.depth == 1 + 3 + 2 * (1 + 5 + 5)


def test_symmetry_changes_no_verdict() -> None:
    for quorum_size in (1, 2, 3):
        model = Synod(change=remember, quorum_size=quorum_size)
        plain, reduced = explore(model.model()), explore(model.model(symmetric=True))
        assert type(plain) is type(reduced)
        if isinstance(plain, Violation) and isinstance(reduced, Violation):
            assert (plain.name, len(plain.trace)) == (reduced.name, len(reduced.trace))


def labels(verdict: object) -> list[Any]:
    assert isinstance(verdict, Violation)
    return [step.label for step in verdict.trace[1:]]


def test_a_quorum_of_one_loses_what_was_chosen() -> None:
    verdict = explore(Synod(change=remember, quorum_size=1).model())
    assert isinstance(verdict, Violation)
    assert verdict.name == "later proposals build on what is chosen"
    steps = labels(verdict)
    # By hand: ballot 1 takes prepare, promise, accept, vote; ballot 2 takes prepare, promise, accept.
    assert len(steps) == 7
    assert {"accept 1: 0 becomes 1", "accept 2: 0 becomes 2"} < set(steps)


def test_two_values_hide_at_ballot_2_what_remembering_shows() -> None:
    assert isinstance(explore(Synod(quorum_size=1, ballots=2).model()), Exhausted)
    verdict = explore(Synod(quorum_size=1, ballots=3).model())
    assert isinstance(verdict, Violation)
    assert "accept 3: 0 becomes 1" in labels(verdict)


def test_taking_the_lowest_value_loses_what_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    def lowest(reports: Sequence[Report], quorum_size: int) -> list[int]:
        return [min(reports)[1]] if len(reports) >= quorum_size else []

    monkeypatch.setattr(synod, "values_to_change", lowest)
    verdict = explore(Synod(change=remember).model())
    assert isinstance(verdict, Violation)
    assert verdict.name == "later proposals build on what is chosen"
    # By hand: ballot 1 takes 1 + 2 + 1 + 2 steps, ballot 2 takes 1 + 2 + 1.
    assert len(labels(verdict)) == 10


def test_a_ballot_used_twice_carries_two_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synod, "may_propose", lambda ballot, requests: True)
    verdict = explore(Synod(change=remember).model())
    assert isinstance(verdict, Violation)
    assert verdict.name == "at most one value per ballot"
    # By hand: ballot 1 reaches one acceptor (1 + 2 + 1 + 1), ballot 2 hears from all three (1 + 3) and is
    # proposed once with that acceptor's report and once without (2).
    assert len(labels(verdict)) == 11


def test_an_accept_that_ignores_the_promise_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(acceptor: Acceptor, ballot: int, value: int) -> Acceptor:
        return acceptor._replace(promised=ballot, accepted=ballot, value=value)

    monkeypatch.setattr(synod, "on_accept", careless)
    verdict = explore(Synod(change=remember).model())
    assert isinstance(verdict, Violation)
    assert (verdict.name, verdict.kind) == ("promises never go back", "action")
    # By hand: prepare, two promises, accept; prepare 2, one promise; the late accept of ballot 1.
    assert len(labels(verdict)) == 7


def test_an_older_accept_that_replaces_a_newer_one_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The promise stays where it is; what was accepted falls from ballot 2 to ballot 1."""

    def backwards(acceptor: Acceptor, ballot: int, value: int) -> Acceptor:
        return acceptor._replace(promised=max(ballot, acceptor.promised), accepted=ballot, value=value)

    monkeypatch.setattr(synod, "on_accept", backwards)
    broken = Synod(change=remember)
    rules = broken.model().action_properties
    verdict = explore(Model([broken.initial], broken.successors, action_properties=rules))
    # By hand: each ballot takes prepare, two promises and accept; then one acceptor takes 2, then 1.
    assert len(labels(verdict)) == 10
    assert [label.split()[2:] for label in labels(verdict)[-2:]] == [
        ["accepts", "2", "at", "2"],
        ["accepts", "1", "at", "1"],
    ]


def test_an_accept_below_the_promise_loses_what_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The promise is kept in memory but not heeded: only the chain of changes can tell."""

    def heedless(acceptor: Acceptor, ballot: int, value: int) -> Acceptor:
        votes = tuple(vote or b == ballot for b, vote in enumerate(acceptor.votes))
        if ballot < acceptor.accepted:
            return acceptor._replace(votes=votes)
        promised = max(ballot, acceptor.promised)
        return acceptor._replace(promised=promised, accepted=ballot, value=value, votes=votes)

    monkeypatch.setattr(synod, "on_accept", heedless)
    verdict = explore(Synod(change=remember).model())
    assert isinstance(verdict, Violation)
    assert verdict.name == "later proposals build on what is chosen"


@pytest.mark.parametrize("rule", ["on_prepare", "on_accept"])
def test_acceptors_that_never_answer_fail(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    silent: Callable[..., None] = lambda *message: None  # noqa: E731
    monkeypatch.setattr(synod, rule, silent)
    verdict = explore(Synod().model())
    assert isinstance(verdict, Violation)
    assert (verdict.name, verdict.kind) == ("a change is chosen", "never reached")


def test_the_tempting_property_is_false() -> None:
    """A value that one acceptor took is picked up by the next ballot, and that one is chosen."""
    model = Synod(change=remember)
    tempting = Property("each chosen value builds on the last", model.each_builds_on_the_last)
    verdict = explore(Model([model.initial], model.successors, [tempting]))
    assert isinstance(verdict, Violation)
    # By hand: ballot 1 takes 1 + 2 + 1 + 1 steps, ballot 2 takes 1 + 2 + 1 + 2.
    assert len(labels(verdict)) == 11
    assert model.chosen(verdict.trace[-1].state) == (0, 2)
    assert sorted(acceptor.value for acceptor in model.acceptors(verdict.trace[-1].state)) == [0, 12, 12]
