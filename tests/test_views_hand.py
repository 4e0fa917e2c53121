"""Be the network: the frames that acts make, the choices beside them, and the branches of those who go back."""

from __future__ import annotations

import random
import re

import pytest

from gryadka import lab
from gryadka.protocol.acceptor import Prepare, Promise, Reply, State
from gryadka.simulation.manual import ManualCluster
from gryadka.views.cluster import ClusterView
from gryadka.views.frames import Choice, Frame
from gryadka.views.hand import HandView
from tests.test_views_cluster import keyed, last, texts


def view(*acts: str) -> HandView:
    return HandView(ManualCluster(acts=acts))


def acts(frame: Frame) -> list[str]:
    return [choice.act for choice in frame.choices]


def on(frame: Frame, thing: str) -> list[Choice]:
    return [choice for choice in frame.choices if choice.on == thing]


def deliver(*numbers: int) -> list[str]:
    return [f"deliver {number}" for number in numbers]


def test_each_act_is_a_frame() -> None:
    run = view("append P1", "deliver 1")
    assert [run[number].announced for number in range(len(run))] == [
        "Nothing has happened yet. Let a proposer begin a change.",
        "Proposer 1 begins change 1. Proposer 1 asks A, B and C to promise 1:1.",
        "A promises 1:1, and tells that it has accepted nothing.",
    ]


def test_exactly_what_is_possible_is_offered() -> None:
    chance, run = random.Random(3), view()
    for at in range(80):
        possible = run.cluster.possible()
        assert sorted(acts(run[at])) == sorted(possible)
        run.act(chance.choice(possible), at)


def test_each_message_in_the_picture_offers_what_becomes_of_that_message() -> None:
    chance, run = random.Random(4), view()
    for at in range(60):
        for key, group in keyed(run[at]).items():
            if key.startswith("packet") and on(run[at], key):
                [shown, *_] = texts(group)
                thing = on(run[at], key)[0].thing
                assert thing.split(": ", 1)[1].startswith(shown.split(" ", 1)[1].split(": ")[-1].rstrip("…"))
                assert [choice.label for choice in on(run[at], key)] == ["Deliver", "Lose", "Duplicate"]
        run.act(chance.choice(run.cluster.possible()), at)
    assert len(run) == 61


def test_the_messages_of_the_picture_are_those_of_the_cluster() -> None:
    chance, run = random.Random(5), view()
    for at in range(100):
        assert len([packet for packet in run._scene.packets if not packet.lost]) == len(run.cluster.waiting)
        run.act(chance.choice(run.cluster.possible()), at)


def test_a_refusal_says_why() -> None:
    run = view("append P1", "append P2", "deliver 4", "deliver 1")
    assert last(run).announced == "A says no to prepare 1:1: it has promised 1:2, and 1:1 is not higher."  # type: ignore[arg-type]


def test_why_a_proposer_takes_a_value_is_told_and_stands_in_its_box() -> None:
    run = view("append P1", *deliver(1, 2, 4, 5, 6, 7))  # A and B have accepted a1
    run.act("append P2", len(run) - 1)
    asks = re.compile(r'"a1;b1;".* next: by the rule it goes on from "a1;" at 1:1, the highest that A and B told of\.$')
    for _ in range(30):
        if asks.search(last(run).announced):
            break
        run.act(acts(last(run))[0], len(run) - 1)
    assert asks.search(last(run).announced)
    assert texts(keyed(last(run))["node proposer-2"])[1:3] == [
        'asks to accept "a1;b1;" at 3:2',
        'from "a1;" at 1:1, highest of A, B',
    ]


def test_why_a_proposer_need_not_prepare_is_told() -> None:
    run = view("append P1", *deliver(1, 2, 4, 5, 6, 7, 9, 10))
    run.act("append P1", len(run) - 1)
    assert last(run).announced.endswith("this ballot was promised with its last accept, so it need not prepare.")


def test_an_acceptor_that_stands_still_is_given_nothing_until_it_goes_on() -> None:
    run = view("append P1", "pause A")
    assert last(run).announced == "A stands still."
    assert on(last(run), "packet 1") == []  # a click on it would do the next best thing, and lose it
    assert {"lose 1", "duplicate 1", "resume A", "deliver 2"} <= set(acts(last(run)))
    assert not {"deliver 1", "pause A", "crash A"} & set(acts(last(run)))
    assert "A (stands still)" in texts(keyed(last(run))["node A"])
    run.act("resume A", 2)
    assert last(run).announced == "A goes on."
    run.act("deliver 1", 3)
    assert last(run).announced == "A promises 1:1, and tells that it has accepted nothing."


def test_a_proposer_that_crashed_is_followed_by_a_new_one_in_its_place() -> None:
    run = view("cut P1 C", "append P1", "deliver 1", "crash P1")
    where = keyed(last(run))["node proposer-1"].get("transform")
    assert texts(keyed(last(run))["node proposer-1"])[0] == "proposer 1: gone"
    assert "restart P1" in acts(last(run)) and "append P1" not in acts(last(run))
    run.act("restart P1", 4)
    assert last(run).announced == (
        "Proposer 3 is back, in place of proposer-1. "
        "The way from proposer 3 to C is cut. The way from C to proposer 3 is cut."
    )
    assert keyed(last(run))["node proposer-3"].get("transform") == where
    assert "node proposer-1" not in keyed(last(run))
    assert len([key for key in keyed(last(run)) if key.startswith("cut")]) == 2
    run.act("heal P1 C", 5)
    assert not [key for key in keyed(last(run)) if key.startswith("cut")]
    assert run.act("append P1", 6) == (7, 7)
    assert "Proposer 3 asks A, B and C to promise 1:3" in last(run).announced


def test_going_back_and_doing_something_else_begins_a_branch_and_keeps_the_other() -> None:
    run = view("append P1", "deliver 1", "deliver 2")
    assert run.act("lose 1", 1) == (2, 2)
    assert run.cluster.acts == ["append P1", "lose 1"]
    assert [len(run), run.branches] == [3, [["append P1", "deliver 1", "deliver 2"]]]
    assert "branch 1" in acts(run[2])
    assert run.act("branch 1", 2) == (2, 3)
    assert run.cluster.acts == ["append P1", "deliver 1", "deliver 2"]
    assert run.branches == [["append P1", "lose 1"]]


def test_doing_the_same_again_begins_no_branch() -> None:
    run = view("append P1", "deliver 1", "deliver 2")
    assert run.act("deliver 1", 1) == (2, 2)
    assert (run.branches, len(run)) == ([], 4)


@pytest.mark.parametrize("act", ["deliver 7", "branch 1", "branch x", "nonsense", ""])
@pytest.mark.parametrize("at", [1, 2])
def test_what_cannot_be_done_changes_nothing(act: str, at: int) -> None:
    run = view("append P1", "deliver 1")
    with pytest.raises(ValueError, match=r"\w"):
        run.act(act, at)
    assert (run.cluster.acts, run.branches, len(run)) == (["append P1", "deliver 1"], [], 3)


def test_the_verdict_stands_below_and_is_told_when_a_change_ends() -> None:
    hand = ManualCluster(acts=["append P1"])
    while hand.waiting:
        hand.do(f"deliver {hand.waiting[0].number}")
    for name in "ABC":
        hand.do(f"crash {name}")
        hand.do(f"forget {name}")
    hand.do("append P2")
    while hand.waiting:
        hand.do(f"deliver {hand.waiting[0].number}")
    run = HandView(hand)
    told = [run[number].announced for number in range(len(run))]
    assert [line for line in told if "So far: linearizable" in line]
    assert [line for line in told if "Not linearizable" in line]
    assert "Not linearizable" in last(run).words  # type: ignore[arg-type]


def test_what_was_clicked_is_an_ordinary_trace() -> None:
    player = lab.cluster("append P1", "deliver 1", "deliver 2", "deliver 4")
    run = ClusterView(player.trace)
    assert run[len(run) - 1].announced == "Proposer 1 hears from A: promise (none)."
    again = lab.cluster(link=player.trace.link())
    assert again.acts == player.acts
    assert again.trace == player.trace
    assert player.at == 4


def test_the_error_of_a_rule_is_told() -> None:
    def broken(state: State, message: Prepare) -> tuple[State, Reply]:
        return state, Promise(state.accepted, state.values)  # type: ignore[attr-defined]

    player = lab.cluster("append P1", "deliver 1", prepare=broken)
    assert "AttributeError" in player.view[2].announced
    player.do("append P2")
    assert len(player.view) == 4


# -- without the picture ---------------------------------------------------------------------------------

LESSON_02 = ["append P1", "append P2", "deliver 1", "deliver 4", "deliver 2", "deliver 5", "deliver 7", "deliver 9"]


def test_what_a_rule_prints_is_told_for_after_a_click_nobody_would_see_it(capsys: pytest.CaptureFixture[str]) -> None:
    def prepare(state: State, message: Prepare) -> tuple[State, Reply]:
        print("asked for", message.ballot)
        print("had", state.promised)
        return state._replace(promised=message.ballot), Promise(state.accepted, state.value)

    run = HandView(ManualCluster(acts=[], prepare=prepare))
    run.act("append P1", 0)
    assert "prints" not in run[1].words
    run.act("deliver 1", 1)
    assert run[2].announced.startswith("Your rule prints: asked for 1:1 / had 0:0. A promises 1:1")
    assert capsys.readouterr().out == ""


def test_each_thing_in_the_picture_answers_to_keys_of_its_own() -> None:
    for acts_ in ([], ["append P1"], ["crash A", "pause B", "crash P1"]):
        frame = view(*acts_)[len(acts_)]
        for thing in {choice.on for choice in frame.choices if choice.on}:
            keys = [choice.key for choice in on(frame, thing)[1:]]  # a click, or enter, does the first
            assert all(keys) and len(set(keys)) == len(keys), (thing, keys)
            assert not set(keys) & set("dw?+-")  # those of the player


def test_the_story_of_a_promise_can_be_followed_by_ear() -> None:
    run = view(*LESSON_02, "deliver 11", "deliver 12")
    assert [run[number].announced for number in range(1, len(run))] == [
        "Proposer 1 begins change 1. Proposer 1 asks A, B and C to promise 1:1.",
        "Proposer 2 begins change 1. Proposer 2 asks A, B and C to promise 1:2.",
        "A promises 1:1, and tells that it has accepted nothing.",
        "A promises 1:2, and tells that it has accepted nothing.",
        "B promises 1:1, and tells that it has accepted nothing.",
        "B promises 1:2, and tells that it has accepted nothing.",
        "Proposer 1 hears from A: promise (none).",
        "Proposer 1 hears from B: promise (none); that makes a quorum: A and B. "
        'Proposer 1 asks A, B and C to accept "a1;" at 1:1, and to promise 2:1 next: '
        "by the rule it begins with nothing, for A and B had accepted nothing.",
        "A says no to accept 1:1: it has promised 1:2, and 1:1 is lower.",
        "B says no to accept 1:1: it has promised 1:2, and 1:1 is lower.",
    ]


PROMISES = re.compile(r"\b([A-C]) promises (\S+), and tells")
ACCEPTS = re.compile(r"\b([A-C]) accepts (\S+) at (\d+:\d+)(?:, and promises (\d+:\d+) next)?")
FORGETS = re.compile(r"\b([A-C]) is back, without what it had stored")


@pytest.mark.parametrize("seed", range(5))
def test_the_announcements_alone_tell_what_every_acceptor_remembers(seed: int) -> None:
    chance, run = random.Random(seed), view()
    heard = {name: ["nothing", "nothing", "none"] for name in "ABC"}
    for at in range(120):
        run.act(chance.choice(run.cluster.possible()), at)
        told = run[at + 1].announced
        for name, ballot in PROMISES.findall(told):
            heard[name][0] = ballot
        for name, value, ballot, promise in ACCEPTS.findall(told):
            heard[name] = [promise or ballot, ballot, value]
        for name in FORGETS.findall(told):
            heard[name] = ["nothing", "nothing", "none"]
        for name, (promised, accepted, value) in heard.items():
            shown = texts(keyed(run[at + 1])[f"node {name}"])[1:4]
            assert shown == [f"promised {promised}", f"accepted {accepted}", shown[2]]
            assert f"value {value}".startswith(shown[2].rstrip("…"))
