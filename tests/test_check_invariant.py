"""An invariant has to hold in every state of the right protocol, and to fail for wrong ones."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from gryadka.course import invariants
from gryadka.course.checks import LearnersChecks
from gryadka.course.invariants import Seen


def majorities_know(seen: Seen) -> bool:
    for shown in seen.acknowledged:
        for majority in seen.majorities:
            if max(majority, key=lambda each: each.accepted).value[: len(shown)] != shown:
                return False
    return True


def one_chain(seen: Seen) -> bool:
    shown = sorted(seen.acknowledged, key=len)
    return all(longer[: len(shorter)] == shorter for shorter, longer in pairwise(shown))


def kept(seen: Seen) -> bool:
    return all(each.accepted <= each.promised for each in seen.acceptors)


def proposed(seen: Seen) -> bool:
    return all((each.accepted, each.value) in seen.proposals for each in seen.acceptors if each.value)


@pytest.mark.slow
@pytest.mark.parametrize("invariant", [majorities_know, one_chain])
def test_an_invariant_that_kills_the_given_mutants_passes(invariant: Any) -> None:
    found = invariants.examine(invariant)
    assert found.covered.startswith("true in every one of 15,214 states of the right protocol; false for ignores its")


@pytest.mark.slow
def test_what_an_invariant_is_given_is_what_happened() -> None:
    assert invariants.examine(proposed, ["reports the promised ballot", "keeps the old ballot"]).why.startswith(
        "the invariant is too weak: it is true in all"
    )
    assert invariants.examine(proposed, ["keeps the old ballot"]).holds
    assert invariants.examine(kept, ["drops its promise when it accepts"]).holds


@pytest.mark.slow
@pytest.mark.parametrize(
    ("invariant", "why", "last"),
    [
        (lambda seen: True, "the invariant is too weak: it is true in all", "and its caller is shown [2]"),
        (kept, "of the protocol that ignores its promise, too. Accepts a ballot below", "is shown [2]"),
        (lambda seen: not seen.acknowledged, "too strong", "; acknowledged: [1]"),
        (lambda seen: len(seen.proposals) < 2, "too strong", "there it is false: A: promised"),
        (lambda seen: len(seen.prepares) < 1, "too strong", "there it is false: A: promised 0:0"),
    ],
)
def test_an_invariant_that_is_too_weak_or_too_strong_is_told_with_a_run(invariant: Any, why: str, last: str) -> None:
    checks = LearnersChecks()
    checks.invariant(invariant)
    assert why in checks.finding.why and last in checks.finding.steps[-1] and checks.finding.events


def test_broken_predicates_get_a_sentence() -> None:
    lottery = random.Random(3)
    for invariant, why in [
        (None, "the invariant is None; it has to be a function"),
        (lambda seen: None, "has to return True or False; it returned None"),
        (lambda seen: seen.nothing, "AttributeError: 'Seen' object has no attribute 'nothing'"),
        (lambda seen: lottery.random() < 0.5, "was asked the same twice, and said"),
        (lambda seen: seen.acceptors[0].promised >= seen.acceptors[1].promised, "once acceptors change places"),
        (lambda seen: seen.acceptors[2 + len(seen.proposals)].promised is not None, "IndexError"),
        (unfinished_invariant, "unfinished_invariant is still unfinished"),
    ]:
        assert why in invariants.examine(invariant).why  # type: ignore[arg-type]


def test_an_invariant_that_changes_its_mind_is_told() -> None:
    calls = []

    def late(seen: Seen) -> bool:
        calls.append(seen)
        return len(calls) != 5

    assert "the invariant was asked the same twice, and said True and then False" in invariants.examine(late).why


def unfinished_invariant(seen: Seen) -> bool:
    raise NotImplementedError("your turn")


def test_an_invariant_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(seen: Seen) -> bool:
        while seen.proposals:
            pass
        return True

    monkeypatch.setattr(invariants, "CALL_LIMIT_S", 0.1)
    assert "it has not returned after 0.1 s" in invariants.examine(slow).why
