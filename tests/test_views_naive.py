"""A schedule by hand: its frames, what can be chosen, and going back."""

from __future__ import annotations

import pytest

from gryadka.checking.naive import Naive, NotPossible, Step, search
from gryadka.course import schedules
from gryadka.views.naive import Hand, HandView, Run

LOSING = """Ann asks A, Ann asks B, Bob asks B, Bob asks C,
Ann stores A, Ann stores B, Bob stores B, Bob stores C""".replace("\n", " ").split(", ")


def played(*acts: str) -> HandView:
    view = HandView(Naive())
    for act in acts:
        view.act(act, len(view) - 1)
    return view


def test_nothing_has_happened_at_first_and_six_questions_may_arrive() -> None:
    view = played()
    assert len(view) == 1
    assert view[0].announced == "Nothing has happened yet."
    assert [choice.act for choice in view[0].choices] == [
        f"{who} asks {where}" for who in ("Ann", "Bob") for where in "ABC"
    ]


def test_what_can_be_chosen_is_what_can_happen() -> None:
    view = played("Ann asks A", "Ann asks B")
    acts = {choice.act for choice in view[2].choices}
    assert {"Ann stores A", "Ann stores C", "Bob asks A"} <= acts
    assert not {"Ann asks C", "Bob stores A"} & acts
    with pytest.raises(NotPossible, match="Bob has only 0 of 2 answers"):
        view.act("Bob stores A", 2)
    assert len(view) == 3, "and nothing has changed"


def test_each_step_is_told_in_the_first_line_and_the_loss_as_well() -> None:
    view = played(*LOSING)
    assert view[2].announced == "Ann asks B: hears nothing, sends 1: milk."
    assert view[7].announced == "Bob stores B: stored."
    assert view[8].announced == (
        "Bob stores C: is told: bread. Lost: Ann was told [milk], and Bob [bread]: neither list goes on from the other."
    )
    assert "Lost: Ann was told" in view[8].svg
    assert view[8].svg.count("<rect") == 8


def test_shapes_stay_the_same_from_frame_to_frame() -> None:
    view = played(*LOSING[:5])
    for number in range(5):
        missing = set(view[number].svg.splitlines()) - set(view[number + 1].svg.splitlines())
        assert all("<title>" in line or line == view[number].announced for line in missing)


def test_who_goes_back_and_does_something_else_goes_on_from_there() -> None:
    view = played(*LOSING[:6])
    before = [view[number] for number in range(3)]
    assert view.act("Ann stores A", 2) == (3, 3)
    assert len(view) == 4
    assert [view[number] for number in range(3)] == before
    for act, at in [("Ann asks C", 9), ("Ann asks C", -1), ("nonsense", 0), ("Ann asks X", 0), ("Eve asks A", 0)]:
        with pytest.raises((ValueError, NotPossible)):
            view.act(act, at)


def test_the_player_gives_the_schedule_as_a_learner_would_write_it() -> None:
    hand = schedules.by_hand()
    hand.do(*LOSING)
    assert hand.schedule.splitlines() == LOSING
    assert schedules.judge(hand.schedule).holds
    assert hand.at == len(LOSING)
    hand._hear(hand, {"act": "Cleo asks A", "at": 0, "id": 1}, [])  # told to the browser, not raised
    assert hand.schedule.splitlines() == LOSING
    hand._hear(hand, {"act": "Bob asks A", "at": 0, "id": 2}, [])
    assert hand.schedule == "Bob asks A"
    assert "Bob asks A: hears nothing." in hand._repr_mimebundle_()[0]["text/plain"]


def test_a_found_schedule_can_be_played_and_left() -> None:
    shortest = search().steps
    hand = Hand(Naive(), shortest)
    assert hand.schedule.splitlines() == list(map(str, shortest))


def test_a_run_stops_at_what_cannot_happen() -> None:
    run = Run(Naive(), [Step("Ann", "asks", "A"), Step("Ann", "stores", "A"), Step("Bob", "asks", "A")])
    assert len(run.rows) == len(run.steps) == 1 and len(run.states) == 2
    assert "cannot store yet" in run.stop
    assert run.ending == "nothing is lost: Ann is not done and Bob is not done"
