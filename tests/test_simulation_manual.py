"""A cluster by hand: what can be done to it, what follows, and that all of it can be done again."""

from __future__ import annotations

import random

import pytest

from gryadka.checking.history import Outcome
from gryadka.checking.linearizability import Ok, Violation
from gryadka.errors import ConfigurationError
from gryadka.protocol.acceptor import Accept, Accepted, Conflict, Prepare, Promise, Reply, State
from gryadka.simulation.link import rebuild
from gryadka.simulation.manual import ManualCluster, Setting, from_link
from gryadka.trace import Trace, fold


@pytest.fixture
def hand() -> ManualCluster:
    return ManualCluster()


def deliver_all(hand: ManualCluster, most: int = 100) -> None:
    for _ in range(most):
        if not hand.waiting:
            return
        hand.do(f"deliver {hand.waiting[0].number}")
    raise AssertionError("it never ends")


def outcomes(hand: ManualCluster) -> list[str | None]:
    return [event.note for event in hand.events if event.kind == "change-ended"]


def test_nothing_moves_by_itself(hand: ManualCluster) -> None:
    hand.do("append P1")
    assert [(waiting.acceptor, type(waiting.message), waiting.back) for waiting in hand.waiting] == [
        ("A", Prepare, False),
        ("B", Prepare, False),
        ("C", Prepare, False),
    ]
    assert not [event for event in hand.events if event.kind == "state"]


def test_a_change_takes_two_answers_to_each_of_two_questions(hand: ManualCluster) -> None:
    for act in ["append P1", "deliver 1", "deliver 2", "deliver 4", "deliver 5"]:
        hand.do(act)
    assert [type(waiting.message) for waiting in hand.waiting] == [Prepare, Accept, Accept, Accept]
    for act in ["deliver 6", "deliver 7", "deliver 9", "deliver 10"]:
        assert outcomes(hand) == []
        hand.do(act)
    assert outcomes(hand) == ["applied"]
    assert hand.history[0].result == "a1;"
    assert isinstance(hand.verdict, Ok)


def test_messages_may_overtake_each_other_and_both_changes_are_there_in_the_end(hand: ManualCluster) -> None:
    for act in ["append P1", "append P2", "deliver 4", "deliver 5", "deliver 1", "deliver 2"]:
        hand.do(act)
    assert [event.reply for event in hand.events if isinstance(event.reply, Conflict)]
    deliver_all(hand)
    assert outcomes(hand) == ["applied", "applied"]
    assert sorted(str(hand.history[-1].result).split(";")) == ["", "a1", "b1"] or len(hand.history) == 2
    assert isinstance(hand.verdict, Ok)


def test_what_is_lost_is_gone_and_time_ends_the_waiting(hand: ManualCluster) -> None:
    hand.do("append P1")
    for number in (1, 2, 3):
        hand.do(f"lose {number}")
    assert hand.waiting == []
    hand.do("wait")
    assert sorted(event.kind for event in hand.events[-6:]) == ["failed"] * 3 + ["sent"] * 3  # it asks anew
    for _ in range(5):
        hand.do("wait")
    assert outcomes(hand) == ["NotApplied"]


def test_an_answer_that_comes_too_late_is_not_kept(hand: ManualCluster) -> None:
    for act in ["append P1", "deliver 1", "wait"]:
        hand.do(act)
    late = next(waiting for waiting in hand.waiting if waiting.back)
    hand.do(f"deliver {late.number}")
    assert (hand.events[-1].kind, hand.events[-1].note) == ("dropped", "nobody waits for it any more")


def test_a_duplicate_is_answered_as_well(hand: ManualCluster) -> None:
    for act in ["append P1", "duplicate 1", "deliver 1", "deliver 4"]:
        hand.do(act)
    replies = [event.reply for event in hand.events if event.kind == "state"]
    assert [type(reply) for reply in replies] == [Promise, Conflict]


def test_an_acceptor_that_is_down_hears_nothing_and_one_that_forgot_has_nothing(hand: ManualCluster) -> None:
    for act in ["append P1", "deliver 2", "crash A", "deliver 1", "restart A", "crash B", "forget B"]:
        hand.do(act)
    dropped = [event.note for event in hand.events if event.kind == "dropped"]
    assert dropped == ["nobody is there"]
    assert hand._network.acceptors["B"].states == {}
    assert "crash A" in hand.possible()
    assert "restart A" not in hand.possible()


def test_what_a_dead_proposer_sent_still_arrives_and_its_change_stays_unknown(hand: ManualCluster) -> None:
    for act in ["append P1", "deliver 1", "deliver 2", "deliver 4", "deliver 5", "crash P1"]:
        hand.do(act)
    assert [type(waiting.message) for waiting in hand.waiting] == [Prepare, Accept, Accept, Accept]
    hand.do("restart P1")
    deliver_all(hand)
    assert [event.kind for event in hand.events].count("change-ended") == 0  # the dead tell nothing
    assert [operation.outcome for operation in hand.history] == [Outcome.UNKNOWN]
    hand.do("read P1")
    deliver_all(hand)
    assert hand.history[1].result == "a1;"  # and yet it was chosen
    assert isinstance(hand.verdict, Ok)


def test_a_new_proposer_has_a_new_id_and_the_old_ways(hand: ManualCluster) -> None:
    hand.do("append P1")
    deliver_all(hand)
    for act in ["crash P1", "restart P1", "crash P1", "restart P1", "append P1"]:
        hand.do(act)
    ballots = [waiting.message.ballot for waiting in hand.waiting]
    assert {ballot.proposer for ballot in ballots} == {4}  # 2 has the other place, 3 came and went
    assert (hand.node("P1"), hand.node("P2")) == ("proposer-4", "proposer-2")
    deliver_all(hand)
    assert outcomes(hand) == ["applied", "applied"]


def test_an_acceptor_that_stands_still_takes_nothing_and_answers_nothing(hand: ManualCluster) -> None:
    for act in ["append P1", "deliver 1", "pause A", "pause B"]:
        hand.do(act)
    assert [act for act in hand.possible() if act.startswith("deliver")] == ["deliver 3", "deliver 4"]
    with pytest.raises(ValueError, match="cannot be done now"):
        hand.do("deliver 2")
    hand.do("resume B")
    hand.do("deliver 2")
    assert [event.node for event in hand.events if event.kind == "state"] == ["A", "B"]


def test_amnesia_loses_an_acknowledged_change_and_the_verdict_says_so(hand: ManualCluster) -> None:
    hand.do("append P1")
    deliver_all(hand)
    assert outcomes(hand) == ["applied"]
    for name in "ABC":
        hand.do(f"crash {name}")
        hand.do(f"forget {name}")
    hand.do("append P2")
    deliver_all(hand)
    assert isinstance(hand.verdict, Violation)


def test_nothing_leaves_on_a_way_that_is_cut_until_it_heals(hand: ManualCluster) -> None:
    hand.do("cut P1 A")
    hand.do("append P1")
    assert [waiting.acceptor for waiting in hand.waiting] == ["B", "C"]
    assert "heal P1 A" in hand.possible()
    hand.do("heal P1 A")
    assert [event.kind for event in hand.events[-2:]] == ["healed", "healed"]


@pytest.mark.parametrize(
    "act", ["", "deliver 1", "deliver x", "crash D", "restart A", "append P3", "heal P1 A", "__init__"]
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(hand: ManualCluster, act: str) -> None:
    with pytest.raises(ValueError, match="cannot be done now"):
        hand.do(act)
    assert (hand.acts, hand.events) == ([], [])


def wild(seed: int, length: int = 60) -> ManualCluster:
    chance, hand = random.Random(seed), ManualCluster()
    for _ in range(length):
        hand.do(chance.choice(hand.possible()))
    return hand


@pytest.mark.parametrize("seed", range(5))
def test_the_same_acts_give_the_same_events_and_a_link_holds_them(seed: int) -> None:
    hand = wild(seed)
    again = from_link(hand.link())
    assert (again.events, again.history, again.ends) == (hand.events, hand.history, hand.ends)
    assert rebuild(hand.trace.link()) == Trace(hand.events)


def test_going_back_does_the_first_acts_again() -> None:
    hand = wild(7)
    earlier = hand.back_to(20)
    assert earlier.acts == hand.acts[:20]
    assert earlier.events == hand.events[: hand.ends[19]]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_done_without_amnesia_the_history_stays_linearizable(seed: int) -> None:
    chance, hand = random.Random(seed), ManualCluster()
    for _ in range(150):
        hand.do(chance.choice([act for act in hand.possible() if not act.startswith("forget")]))
    assert isinstance(hand.verdict, Ok)


def test_your_own_rule_takes_part() -> None:
    def gullible(state: State, message: Accept) -> tuple[State, Reply]:
        return State(message.promise, message.ballot, message.value), Accepted()

    hand = ManualCluster(accept=gullible)
    for act in ["append P1", "deliver 1", "deliver 2", "deliver 4", "deliver 5", "append P2"]:
        hand.do(act)
    deliver_all(hand)
    assert not [
        event for event in hand.events if isinstance(event.message, Accept) and isinstance(event.reply, Conflict)
    ]


@pytest.mark.parametrize("setting", [(0, 3, "append"), (2, 0, "append"), (2, 8, "append"), (2, 3, "log")])
def test_a_cluster_that_cannot_be_is_refused(setting: tuple[int, int, str]) -> None:
    with pytest.raises(ConfigurationError):
        Setting(*setting)


@pytest.mark.parametrize(
    "told",
    [
        "",
        "gryadka-cluster:",
        "gryadka-cluster:" + fold("[1]"),
        "gryadka-cluster:" + fold('[2,3,"append",7]'),
        "gryadka-cluster:" + fold('[2,3,"append","deliver 9"]'),
        "gryadka-cluster:" + fold('[20,3,"append"]'),
    ],
)
def test_a_link_to_anything_else_is_refused(told: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        from_link(told)
