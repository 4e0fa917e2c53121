"""The space-time diagram: which arrow goes from where to where, what stands beside it, and how rounds are shown."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from gryadka import lab
from gryadka.protocol.acceptor import Accept, Accepted, Ballot, Conflict, State
from gryadka.simulation.run import simulate
from gryadka.trace import Event, Trace
from gryadka.views.spacetime import SpaceTime
from tests.test_views_cluster import ACCEPT, BEGUN, HELLO, NONE, ONE, P1, PREPARE, PROMISED, TWO, delivered, sent, state

SVG = "{http://www.w3.org/2000/svg}"
ENDED = Event("change-ended", 0.5, P1, key="k", change=1, note="applied")
AFTER = State(ONE, ONE, HELLO)
WHOLE = [
    BEGUN,
    *sent(PREPARE),
    state("A", PREPARE, NONE, PROMISED),
    state("B", PREPARE, NONE, PROMISED),
    delivered("A", PREPARE, NONE),
    delivered("B", PREPARE, NONE),
    *sent(ACCEPT),
    state("A", ACCEPT, Accepted(), AFTER),
    state("C", ACCEPT, Accepted(), AFTER),
    delivered("A", ACCEPT, Accepted()),
    delivered("C", ACCEPT, Accepted()),
    ENDED,
]


class Diagram:
    """The last frame, taken apart: nodes by the place of their lines, arrows by the nodes at their ends."""

    def __init__(self, *events: Event) -> None:
        self.view = SpaceTime(Trace(events))
        self.svg = ElementTree.fromstring(self.view[len(self.view) - 1].svg)
        self.texts = [(text.text or "", float(text.get("y", 0)), float(text.get("x", 0))) for text in self.all("text")]
        self.columns = {x: name for name, y, x in self.texts if y == 18}

    def all(self, tag: str) -> list[ElementTree.Element]:
        return list(self.svg.iter(SVG + tag))

    def lines(self, *, dashed: bool) -> list[tuple[str, str]]:
        """Lines that end at nodes, other than the nodes' own, as (from, to)."""
        found = []
        for line in self.all("line"):
            ends = [self.columns.get(float(line.get(name, 0))) for name in ("x1", "x2")]
            if None not in ends and ends[0] != ends[1] and (line.get("stroke-dasharray") is not None) == dashed:
                found.append((str(ends[0]), str(ends[1])))
        return found

    def said(self) -> list[str]:
        return [text for text, y, _ in self.texts if y > 18]


def test_every_message_that_arrived_is_an_arrow_between_two_lines() -> None:
    diagram = Diagram(*WHOLE)
    assert sorted(diagram.columns.values()) == ["A", "B", "C", "proposer 1"]
    assert diagram.lines(dashed=False) == [
        ("proposer 1", "A"),
        ("proposer 1", "B"),
        ("proposer 1", "A"),
        ("proposer 1", "C"),
    ]
    assert diagram.lines(dashed=True) == [
        ("A", "proposer 1"),
        ("B", "proposer 1"),
        ("A", "proposer 1"),
        ("C", "proposer 1"),
    ]


@pytest.mark.slow
def test_no_arrow_goes_upwards() -> None:
    for scenario in ("reorder-2-2-1", "duplicates", "restarts"):
        view = SpaceTime(Trace(simulate(scenario, seed=4).events), most=120)
        svg = ElementTree.fromstring(view[len(view) - 1].svg)
        lines = [line for line in svg if line.tag == f"{SVG}line"]
        ends = [[float(line.get(name, 0)) for name in ("x1", "y1", "x2", "y2")] for line in lines]
        ways = [(y1, y2) for x1, y1, x2, y2 in ends if abs(x1 - x2) > 20]  # the short ones are crosses
        assert len(ways) > 50
        assert all(y1 <= y2 for y1, y2 in ways)


def test_rounds_quorums_and_the_outcome_are_named() -> None:
    said = Diagram(*WHOLE).said()
    assert [text for text in said if text.startswith(("quorum", "ends", "prepare", "accept "))] == [
        "prepare 1:1",
        "quorum A, B",
        'accept 1:1 "hello"',
        "quorum A, C",
        "ends: applied",
    ]


def test_a_quorum_of_long_names_is_counted_where_its_names_do_not_fit() -> None:
    names = {letter: f"127.0.0.1:4700{number}" for number, letter in enumerate("ABC")}
    run = [
        replace(event, node=names.get(event.node, event.node), peer=names.get(event.peer or "", event.peer))
        for event in WHOLE
    ]
    said = Diagram(*run).said()
    assert [text for text in said if text.startswith("quorum")] == ["quorum: 2 of 3"] * 2  # not "quorum 127.0.0.1:4…"


def test_a_round_is_a_bar_from_its_question_to_its_quorum() -> None:
    diagram = Diagram(*WHOLE)
    bars = [(float(bar.get("y", 0)), float(bar.get("height", 0))) for bar in diagram.all("rect")]
    rows = {text: y + 3 for text, y, _ in diagram.texts}
    assert [top for top, _ in bars] == [rows["prepare 1:1"], rows['accept 1:1 "hello"']]
    assert [top + height for top, height in bars] == [rows["quorum A, B"], rows["quorum A, C"]]
    full = [line for line in diagram.all("line") if line.get("class") == "yes"]
    assert len(full) == 1  # the round that asks to accept


def test_a_round_over_real_servers_is_one_bar_with_one_name() -> None:
    """Lesson 00 showed "prepare" three times below each other."""
    names = {name: f"127.0.0.1:4615{number}" for number, name in enumerate("ABC")}
    real = [
        replace(one, at_s=0.001 * number, node=names.get(one.node, one.node), peer=names.get(one.peer or "", one.peer))
        for number, one in enumerate(WHOLE)
    ]
    said = Diagram(*real).said()
    assert [said.count(text) for text in ("prepare 1:1", "quorum: 2 of 3", "quorum A, B")] == [1, 2, 0]
    assert Diagram(*WHOLE).said().count("quorum A, B") == 1


def test_the_end_of_one_change_does_not_end_the_next_ones_round() -> None:
    following = [Event("sent", 0.4, P1, peer="A", key="k", message=Accept(Ballot(2, 1), HELLO, Ballot(3, 1)))]
    diagram = Diagram(*WHOLE[:-1], *following, ENDED, delivered("B", PREPARE, NONE))
    bar = diagram.all("rect")[-1]
    (now,) = (group for group in diagram.all("g") if group.get("data-key") == "now")
    assert now.get("transform") == f"translate(0 {float(bar.get('y', 0)) + float(bar.get('height', 0)):g})"


def test_a_refusal_says_what_was_promised() -> None:
    assert "conflict 2:2" in Diagram(*sent(PREPARE, "A"), state("A", PREPARE, Conflict(TWO), State(TWO))).said()


def test_a_message_that_is_lost_ends_in_a_cross_before_it_arrives() -> None:
    lost = Event("dropped", 0.0, P1, peer="B", key="k", message=PREPARE, note="lost")
    diagram = Diagram(BEGUN, *sent(PREPARE, "B"), lost, ENDED)
    assert diagram.lines(dashed=False) == []
    assert len([line for line in diagram.all("line") if line.get("class") is None]) == 3  # the way, and the cross


def test_an_answer_without_a_word_from_the_server_is_drawn_there_and_back() -> None:
    diagram = Diagram(BEGUN, *sent(PREPARE, "A"), delivered("A", PREPARE, Conflict(TWO)))
    assert diagram.lines(dashed=False) == [("proposer 1", "A")]
    assert diagram.lines(dashed=True) == [("A", "proposer 1")]


def test_a_copy_of_an_answer_is_heard_once() -> None:
    twice = Event("duplicated", 0.0, P1, peer="A", key="k", message=PREPARE, note="arrives 2 times")
    answers = [state("A", PREPARE, NONE, PROMISED), state("A", PREPARE, NONE, PROMISED)]
    diagram = Diagram(BEGUN, *sent(PREPARE, "A"), twice, *answers, delivered("A", PREPARE, NONE))
    assert diagram.lines(dashed=True) == [("A", "proposer 1")]


def test_a_long_run_is_cut_and_says_so() -> None:
    view = SpaceTime(Trace(simulate("loss-1-1-1", seed=3).events), most=40)
    assert view.title.endswith(": the first 40 of 555 events")
    assert len(view) < 41


def test_the_words_tell_every_step_of_the_run() -> None:
    view = SpaceTime(Trace(WHOLE))
    words = view[len(view) - 1].words.split("\n")
    assert len(words) == len(view) - 1 == 12
    assert words[0] == "0.5 s: Change 1 of proposer 1 ends: applied."
    assert words[1] == "0 s: Proposer 1 begins change 1."


def test_a_lab_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    player = lab.spacetime(WHOLE)
    assert player is not None
    assert player.at == len(player.view) - 1
    assert lab.spacetime([]) is None
    assert "no run to draw" in capsys.readouterr().out


def test_time_counts_from_the_first_event_though_a_real_clock_began_long_before() -> None:
    events = [Event("change-begun", 26735.5, "proposer-1", key="k", change=1)]
    events.append(Event("change-ended", 26735.75, "proposer-1", key="k", change=1, note="applied"))
    words = SpaceTime(Trace(events))[2].words
    assert words.startswith("0.25 s: Change 1 of proposer 1 ends")
