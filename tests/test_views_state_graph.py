"""The state graph: found by running the rules; each acceptor stands where it says; nothing that is there moves."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gryadka import lab
from gryadka.protocol.acceptor import (
    ZERO,
    Accept,
    Accepted,
    Ballot,
    Conflict,
    Message,
    Prepare,
    Promise,
    Reply,
    State,
    accept,
    prepare,
)
from gryadka.trace import FORGOTTEN, Event
from gryadka.views import state_graph, walk
from gryadka.views.frames import Frame
from gryadka.views.player import frames_of
from gryadka.views.state_graph import Board, draw, frames
from gryadka.views.svg import WIDTH
from gryadka.views.walk import Place, Walk, reachable, right

SVG = "{http://www.w3.org/2000/svg}"
ONE, TWO, THREE = Ballot(1, 7), Ballot(2, 8), Ballot(3, 7)


def run(*asked: tuple[str, Message]) -> list[Event]:
    """What right acceptors tell when they are asked these things."""
    states: dict[str, State] = {}
    events = []
    for number, (name, message) in enumerate(asked):
        before = states.get(name, State())
        after, reply = prepare(before, message) if isinstance(message, Prepare) else accept(before, message)
        states[name] = after
        events.append(
            Event("state", number, name, peer="proposer-1", key="k", message=message, reply=reply, state=after)
        )
    return events


def groups(frame: Frame) -> dict[str, ElementTree.Element]:
    found = {}
    for group in ElementTree.fromstring(frame.svg).iter(f"{SVG}g"):
        key = group.attrib["data-key"]
        assert key not in found
        found[key] = group
    return found


def where(group: ElementTree.Element) -> tuple[float, float]:
    x, y = group.attrib["transform"].removeprefix("translate(").removesuffix(")").split()
    return float(x), float(y)


def stands_in(frame: Frame) -> dict[str, str]:
    """Which state's box each acceptor's circle lies in."""
    found = groups(frame)
    boxes = {key: where(group) for key, group in found.items() if key.startswith("state")}
    stands = {}
    for key, group in found.items():
        if key.startswith("acceptor "):
            x, y = where(group)
            (place,) = (box for box, (mx, my) in boxes.items() if abs(mx - x) < 40 and abs(my - y) < 24)
            stands[key.removeprefix("acceptor ")] = place.removeprefix("state ")
    return stands


def looks(frame: Frame) -> dict[str, str]:
    """Each arrow of the picture: from where, to where, and what it looks like."""
    return {
        key.removeprefix("move "): path.attrib["class"]
        for key, group in groups(frame).items()
        if (path := group.find(f"{SVG}path")) is not None
    }


def texts(frame: Frame) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(frame.svg).iter(f"{SVG}text")]


# -- the graph ---------------------------------------------------------------------------------------------


def test_the_modules_example() -> None:
    assert doctest.testmod(walk).failed == 0


@pytest.mark.parametrize("ballots", range(6))
def test_a_right_acceptor_reaches_every_state_that_keeps_accepted_below_promised_and_no_other(ballots: int) -> None:
    assert set(reachable(ballots)) == {
        Place(promised, accepted) for promised in range(ballots + 1) for accepted in range(promised + 1)
    }


def test_every_edge_is_what_the_rules_answer_and_goes_forward() -> None:
    graph = reachable(3, 2)
    for before, after, message in graph.edges(data="message"):
        assert (after.promised, after.accepted) > (before.promised, before.accepted) or after[:2] == before[:2]
        assert after.promised == message.ballot.counter
    assert graph.number_of_edges() > len(graph)


def test_the_rules_that_are_given_are_run() -> None:
    def forgetful(state: State, message: Prepare) -> tuple[State, Reply]:
        return State(message.ballot), Promise(state.accepted, state.value)

    graph = reachable(2, prepare=forgetful)
    assert graph.has_edge(Place(2, 2), Place(1, 0)) and not right(2).has_edge(Place(2, 2), Place(1, 0))

    def endless(state: State, message: Prepare) -> tuple[State, Reply]:
        return State(Ballot(state.promised.counter + 1, 0)), Promise(state.accepted, state.value)

    with pytest.raises(ValueError, match="more than 10000 states"):
        reachable(1, prepare=endless)


# -- frames of a run ---------------------------------------------------------------------------------------

RUN = run(
    ("A", Prepare(ONE)),
    ("B", Prepare(ONE)),
    ("A", Accept(ONE, '"x"', ONE)),
    ("C", Prepare(TWO)),
    ("A", Prepare(TWO)),
    ("B", Accept(ONE, '"x"', ONE)),
    ("C", Accept(ONE, '"x"', ONE)),
    ("C", Accept(TWO, '"x"', TWO)),
)


def test_each_acceptor_stands_where_it_is_and_the_announcements_tell_the_run() -> None:
    view = frames(RUN)
    assert [frame.announced for frame in view] == [
        "Nothing has happened yet.",
        "A promises 1:7.",
        "B promises 1:7.",
        'A accepts "x" at 1:7.',
        "C promises 2:8.",
        "A promises 2:8.",
        'B accepts "x" at 1:7.',
        'C refuses to accept "x" at 1:7: it has promised 2:8, and 1:7 is lower.',
        'C accepts "x" at 2:8.',
    ]
    assert view.title == "The acceptors' states of k"
    assert stands_in(view[0]) == {"A": "0-0-0", "B": "0-0-0", "C": "0-0-0"}
    assert stands_in(view[4]) == {"A": "1-1-0", "B": "1-0-0", "C": "2-0-0"}
    assert stands_in(view[7]) == {"A": "2-1-0", "B": "1-1-0", "C": "2-0-0"}
    assert stands_in(view[8]) == {"A": "2-1-0", "B": "1-1-0", "C": "2-2-0"}


def test_the_words_say_where_each_stands_and_how_it_came_there() -> None:
    lines = frames(RUN)[-1].words.splitlines()
    assert lines[1:5] == [
        'A: promised 2:8, accepted 1:7, value "x"',
        'B: promised 1:7, accepted 1:7, value "x"',
        'C: promised 2:8, accepted 2:8, value "x"',
        "With these ballots an acceptor can reach 6 states. So far 6 of them were reached.",
    ]
    assert 'C went by accept 2:8 from promised 2:8, accepted nothing to promised 2:8, accepted 2:8 ("x")' in lines
    description = ElementTree.fromstring(frames(RUN)[-1].svg).findtext(f"{SVG}desc")
    assert (description or "").strip() == "\n".join(lines)


def test_moves_that_were_made_are_thick_and_those_that_could_be_are_thin() -> None:
    view = frames(RUN)
    assert looks(view[0]) == {}
    assert looks(view[1])["0-0-0 1-0-0"] == "yes"
    assert looks(view[1])["1-0-0 1-1-0"] == "quiet"
    made = [move for move, look in looks(view[8]).items() if look == "yes"]
    assert set(made) == {"0-0-0 1-0-0", "1-0-0 1-1-0", "0-0-0 2-0-0", "1-1-0 2-1-0", "2-0-0 2-2-0"}
    assert set(looks(view[8]).values()) == {"yes", "quiet"}
    assert {"prepare 1:7", "accept 2:8", "prepare 2:8"} <= set(texts(view[8]))


def test_the_graph_grows_with_the_ballots_and_nothing_that_is_there_moves() -> None:
    view = frames(RUN)
    seen: dict[str, tuple[float, float]] = {}
    sizes = []
    for frame in view:
        boxes = {key: where(group) for key, group in groups(frame).items() if key.startswith("state")}
        assert boxes == boxes | seen
        seen = boxes
        sizes.append(len(boxes))
    assert sizes == [1, 3, 3, 3, 6, 6, 6, 6, 6]


def test_ballots_are_ranked_in_their_order_even_if_they_come_in_another() -> None:
    trio = Walk(["A"])
    for event in run(("A", Prepare(THREE)), ("A", Accept(ONE, '"x"', ONE))):
        trio.add(event)
    assert trio.ballots == [ONE, THREE]
    assert trio.place(State(THREE, ONE, '"x"')) == Place(2, 1)
    assert trio.rank(ZERO) == trio.rank(TWO) == 0


def test_a_board_that_is_full_lets_the_lowest_ballot_go_and_says_so() -> None:
    events = run(*[("A", Prepare(Ballot(n, 7))) for n in range(1, 10)])
    last = Walk(["A", "B"], most=4)
    for event in events:
        last.add(event)
    assert last.ballots == [Ballot(n, 7) for n in range(6, 10)]
    frame = draw(last)
    assert stands_in(frame) == {"A": "4-0-0", "B": "0-0-0"}
    assert "Only the 4 highest ballots are drawn, in their order." in frame.words
    assert "older" in texts(frame) and "nothing" not in texts(frame)
    assert [move for move, look in looks(frame).items() if look == "yes"] == [
        "1-0-0 2-0-0",
        "2-0-0 3-0-0",
        "3-0-0 4-0-0",
    ]


def test_states_that_the_rules_cannot_reach_and_moves_that_they_forbid_are_marked() -> None:
    events = run(("A", Prepare(TWO)))
    lapse = State(ONE, ZERO, None)
    bad = Accept(THREE, '"x"', THREE)
    beyond = State(TWO, THREE, '"x"')
    events += [
        Event("state", 1, "A", key="k", message=Prepare(ONE), reply=Promise(ZERO, None), state=lapse),
        Event("state", 2, "A", key="k", message=bad, reply=Accepted(), state=beyond),
    ]
    frame = frames(events)[-1]
    assert looks(frame)["2-0-0 1-0-0"] == "no" and looks(frame)["1-0-0 2-3-0"] == "no"
    box = groups(frame)["state 2-3-0"].find(f"{SVG}rect")
    assert box is not None and "stroke-dasharray" in box.attrib
    assert {'! "x"', "wrong"} <= set(texts(frame))
    assert 'Wrong: the rules never lead to "promised 2:8, accepted 3:7 ("x")".' in frame.words
    assert frame.words.count("which the rules forbid") == 2
    assert frame.announced == 'A accepts "x" at 3:7, against the rules.'
    assert "Dashed, with !: the rules forbid it." in texts(frame)
    assert "wrong" not in texts(frames(RUN)[-1]) and "forbid" not in frames(RUN)[-1].words


def test_two_values_at_one_ballot_stand_apart() -> None:
    events = run(("A", Accept(ONE, '"x"', ONE)), ("B", Accept(ONE, '"y"', ONE)))
    frame = frames(events)[-1]
    assert stands_in(frame) == {"A": "1-1-0", "B": "1-1-1"}
    assert {'"x"', '"y"'} <= set(texts(frame))


def test_an_acceptor_that_is_down_is_crossed_out_and_one_that_forgot_is_back_at_the_beginning() -> None:
    events = [*RUN, Event("crashed", 9, "A"), Event("restarted", 10, "A", note=FORGOTTEN)]
    view = frames(events)
    assert [len(list(groups(view[n])["acceptor A"].iter(f"{SVG}line"))) for n in (-3, -2, -1)] == [0, 2, 0]
    assert view[-2].announced == "A crashes."
    assert 'A: promised 2:8, accepted 1:7, value "x", down' in view[-2].words
    assert stands_in(view[-1])["A"] == "0-0-0"


def test_other_registers_and_other_events_are_passed_over() -> None:
    other = [Event("state", 0, "A", key="other", message=Prepare(TWO), state=State(TWO))]
    assert len(frames([*other, *RUN, Event("sent", 0, "proposer-1", peer="A", key="k", message=Prepare(ONE))])) == 9
    assert len(frames([*other, *RUN], key="other")) == 2


def test_states_that_real_servers_tell_late_are_passed_over() -> None:
    late = Walk(["A"], forward=True)
    first, second = run(("A", Prepare(ONE)), ("A", Prepare(TWO)))
    assert late.add(second) and not late.add(first)
    assert late.states["A"].promised == TWO
    assert not any(step.wrong for step in late.steps)
    watched = [replace(event, reply=None) for event in (second, first, run(("A", Accept(THREE, '"x"', THREE)))[0])]
    view = frames(watched)
    assert [frame.announced for frame in list(view)[1:]] == ["A promises 2:8.", 'A accepts "x" at 3:7.']
    assert "no" not in looks(view[-1]).values()


def test_a_refusal_that_the_rules_would_not_give_is_said_to_be_one() -> None:
    odd = Event("state", 0, "A", key="k", message=Prepare(TWO), reply=Conflict(ONE), state=State())
    assert frames([odd])[-1].announced == "A refuses to promise 2:8: against the rules."


# -- what the rules allow ----------------------------------------------------------------------------------


def test_each_ballot_of_the_rules_has_a_value_of_its_own() -> None:
    told = state_graph.rules(2).words
    assert 'accepted 1:1 ("v1")' in told and 'accepted 2:2 ("v2")' in told  # with one name, accept 2:2 changed nothing
    assert '1:1 ("v2")' not in told and '2:2 ("v1")' not in told


def test_the_rules_of_a_learner_are_drawn_against_the_right_ones() -> None:
    fine = state_graph.rules(2)
    assert fine.announced == "With 2 ballots an acceptor can be in 6 states."
    assert set(looks(fine).values()) == {"quiet"} and len(looks(fine)) == right(2).number_of_edges() == 11
    assert "accept 2:2 leads from promised nothing, accepted nothing to promised 2:2, accepted 2:2" in fine.words

    def lazy(state: State, message: Accept) -> tuple[State, Reply]:
        return state, Conflict(state.promised)

    def eager(state: State, message: Accept) -> tuple[State, Reply]:
        return State(state.promised, message.ballot, message.value), Accepted()

    missed = state_graph.rules(2, accept=lazy)
    assert missed.words.count("Missed: the rules also lead to") == texts(missed).count("missed") == 3
    wrong = state_graph.rules(2, accept=eager)
    assert wrong.words.count("Wrong: the rules never lead to") == texts(wrong).count("wrong") == 3
    assert "no" in looks(wrong).values() and "which the rules forbid" in wrong.words


def test_a_lesson_shows_it_in_one_line() -> None:
    assert [frame.words for frame in frames_of(lab.state_graph(RUN).view)] == [frame.words for frame in frames(RUN)]
    (alone,) = frames_of(lab.state_graph(accept=lambda state, message: (state, Conflict(state.promised))).view)
    assert alone.words.count("Missed:") == 3


# -- layout ------------------------------------------------------------------------------------------------


@given(st.integers(1, 8), st.integers(1, 3))
def test_no_two_places_overlap_and_all_are_on_the_board(columns: int, values: int) -> None:
    board = Board(columns, values)
    places = [Place(p, a, v) for p in range(columns + 1) for a in range(columns + 1) for v in range(values if a else 1)]
    for place in places:
        x, y = board.at(place)
        assert x - board.box_width / 2 > 100 and x + board.box_width / 2 <= WIDTH
        assert y - 23 > 66 and y + 23 <= board.bottom
    for (x1, y1), (x2, y2) in combinations(map(board.at, places), 2):
        assert abs(x1 - x2) >= board.box_width + 8 or abs(y1 - y2) >= 46 + 8


BALLOTS = st.builds(Ballot, st.integers(1, 9), st.integers(1, 3))
MESSAGES = st.one_of(
    st.builds(Prepare, BALLOTS),
    st.builds(lambda ballot, more: Accept(ballot, '"x"', max(ballot, more)), BALLOTS, BALLOTS),
)


@given(st.lists(st.tuples(st.sampled_from("ABCDE"), MESSAGES), max_size=20))
def test_whatever_happens_every_acceptor_stands_in_its_own_state_and_nothing_is_cut_off(
    asked: list[tuple[str, Message]],
) -> None:
    events = run(*asked)
    view = frames(events, most=4)
    for frame in (view[0], view[-1]):
        following = Walk(sorted({name for name, _ in asked}), "k", most=4)
        for event in events if frame is view[-1] else []:
            following.add(event)
        expected = {name: "-".join(map(str, following.place(state))) for name, state in following.states.items()}
        assert stands_in(frame) == expected
        assert "wrong" not in texts(frame)
        height = float(ElementTree.fromstring(frame.svg).attrib["viewBox"].split()[-1])
        for key, group in groups(frame).items():
            x, y = where(group)
            assert 0 <= x <= WIDTH and 0 <= y <= height - 10, key


def test_long_names_get_a_letter_and_a_line_that_tells_it() -> None:
    name = "127.0.0.1:40001"
    frame = frames(run((name, Prepare(ONE)), ("B", Prepare(ONE))))[-1]
    assert f"A is {name}: promised 1:7, accepted nothing, value none" in frame.words
    assert {"A", "B"} <= set(texts(frame))


@pytest.mark.slow
def test_frames_come_out_the_same_whatever_the_order_of_sets() -> None:
    program = "from tests.test_views_state_graph import *\nprint([frame.svg for frame in frames(RUN)])"
    found = {
        subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "12"
    }
    assert len(found) == 1 and b"promised" in found.pop()


def test_names_of_arrows_do_not_cover_each_other() -> None:
    frame = state_graph.rules()
    names = [
        text for text in ElementTree.fromstring(frame.svg).findall(f"{SVG}text") if "paint-order" in str(text.attrib)
    ]
    assert len(names) == 11
    shares = {"start": 0.0, "middle": 0.5, "end": 1.0}
    spans = []
    for text in names:
        width = 6.2 * len(text.text or "")
        left = float(text.attrib["x"]) - shares[text.attrib["text-anchor"]] * width
        spans.append((left, left + width, float(text.attrib["y"])))
    for one, other in combinations(spans, 2):
        assert one[1] <= other[0] or other[1] <= one[0] or abs(one[2] - other[2]) >= 12


@pytest.mark.parametrize("ballots", [1, 2])
def test_names_of_arrows_do_not_lie_upon_states(ballots: int) -> None:
    """In the picture of lesson 02 a name cut into the corner of a box, and another into its side."""
    frame = state_graph.rules(ballots)
    root = ElementTree.fromstring(frame.svg)
    places = {key: where(group) for key, group in groups(frame).items() if key.startswith("state ")}
    half = Board(ballots).box_width / 2
    for text in root.iter(f"{SVG}text"):
        if "paint-order" in text.attrib.get("style", ""):
            width, x, y = 6.2 * len(text.text or ""), float(text.attrib["x"]), float(text.attrib["y"]) - 4
            left = x - {"start": 0.0, "middle": 0.5, "end": 1.0}[text.attrib["text-anchor"]] * width
            for key, (middle, height) in places.items():
                beside = left > middle + half or left + width < middle - half
                assert beside or abs(y - height) >= 23 - 1, (text.text, key)
