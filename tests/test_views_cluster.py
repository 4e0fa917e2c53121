"""A run as frames: who is where, what is on its way, what is said of it. The structure is compared, not bytes."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from gryadka.checking.explain import explain
from gryadka.checking.explore import Violation
from gryadka.checking.learner import explore_functions
from gryadka.protocol.acceptor import Accept, Accepted, Ballot, Conflict, Prepare, Promise, Read, Reply, State
from gryadka.protocol.value import pack
from gryadka.simulation.run import simulate
from gryadka.trace import FORGOTTEN, Event, Trace
from gryadka.views.cluster import ClusterView, main_key, steps_of
from gryadka.views.frames import Frame

ONE, TWO = Ballot(1, 1), Ballot(2, 2)
HELLO = pack('"hello"', {}, ONE)
PREPARE, HIGHER = Prepare(ONE), Prepare(TWO)
ACCEPT = Accept(ONE, HELLO, Ballot(2, 1))
NONE = Promise(Ballot(0, 0), None)
P1, P2 = "proposer-1", "proposer-2"


def sent(message: Prepare | Accept, *peers: str, node: str = P1) -> list[Event]:
    return [Event("sent", 0.0, node, peer=peer, key="k", message=message) for peer in peers or "ABC"]


def state(name: str, message: Prepare | Accept, reply: Reply, after: State, peer: str = P1) -> Event:
    return Event("state", 0.0, name, peer=peer, key="k", message=message, reply=reply, state=after)


def delivered(name: str, message: Prepare | Accept, reply: Reply, node: str = P1) -> Event:
    return Event("delivered", 0.0, node, peer=name, key="k", message=message, reply=reply)


BEGUN = Event("change-begun", 0.0, P1, key="k", change=1)
PROMISED = State(ONE)


def view(*events: Event | list[Event]) -> ClusterView:
    flat = [event for part in events for event in (part if isinstance(part, list) else [part])]
    return ClusterView(Trace(flat))


def keyed(frame: Frame) -> dict[str, ElementTree.Element]:
    """The frame's groups by key; each key is there once."""
    svg = ElementTree.fromstring(frame.svg)
    found = [group for group in svg.iter() if group.get("data-key")]
    groups = {group.get("data-key", ""): group for group in found}
    assert len(groups) == len(found)
    return groups


def texts(group: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in group.iter() if text.tag.endswith("text")]


def last(run: ClusterView) -> Frame:
    return run[len(run) - 1]


def messages(frame: Frame) -> list[list[str]]:
    return [texts(group) for key, group in keyed(frame).items() if key.startswith("packet")]


def test_every_acceptor_shows_what_it_has_promised_accepted_and_stored() -> None:
    run = view(sent(ACCEPT), state("A", ACCEPT, Accepted(), State(Ballot(2, 1), ONE, HELLO)))
    groups = keyed(last(run))
    assert texts(groups["node A"]) == ["A", "promised 2:1", "accepted 1:1", 'value "hello"']
    assert texts(groups["node B"]) == ["B", "promised nothing", "accepted nothing", "value none"]


def test_asking_all_acceptors_is_one_step_and_each_message_is_on_its_way() -> None:
    run = view(BEGUN, sent(PREPARE))
    assert [run[number].announced for number in range(len(run))] == [
        "Nothing has happened yet.",
        "Proposer 1 begins change 1.",
        "Proposer 1 asks A, B and C to promise 1:1.",
    ]
    assert messages(run[1]) == []
    assert messages(run[2]) == [["▼ prepare 1:1"]] * 3


def test_asking_all_acceptors_is_one_step_of_real_servers_too_though_the_clock_goes_on_between() -> None:
    """Lesson 00 showed three rounds where there was one, for each question had a time of its own."""
    timed = [replace(event, at_s=0.001 * number) for number, event in enumerate([BEGUN, *sent(PREPARE)])]
    view = ClusterView(Trace(timed))
    assert len(view) == 3
    assert view[2].announced == "Proposer 1 asks A, B and C to promise 1:1."
    again = [replace(event, at_s=event.at_s + 1) for event in timed[1:]]
    assert [len(step) for step in steps_of([*timed, *again])] == [1, 3, 3]


def test_a_message_keeps_its_name_on_the_way_back_and_is_gone_when_it_was_heard() -> None:
    run = view(BEGUN, sent(PREPARE), state("B", PREPARE, NONE, PROMISED), delivered("B", PREPARE, NONE))
    going, coming, heard = keyed(run[2]), keyed(run[3]), keyed(run[4])
    assert texts(going["packet 2"]) == ["▼ prepare 1:1"]
    assert texts(coming["packet 2"]) == ["▲ B: promise (none)"]
    assert "packet 2" not in heard
    assert going["packet 2"].get("transform") != coming["packet 2"].get("transform")
    assert "packet 1" in heard


def test_nothing_but_messages_moves() -> None:
    run = ClusterView(Trace(simulate("loss-1-1-1", seed=3).events[:200]))
    places: dict[str, set[str | None]] = {}
    for number in range(len(run)):
        for key, group in keyed(run[number]).items():
            if key.startswith("node"):
                places.setdefault(key, set()).add(group.get("transform"))
    assert set(places) == {"node A", "node B", "node C", "node proposer-1"}
    assert all(len(different) == 1 for different in places.values())


def test_an_acceptor_that_says_no_says_why_at_its_place() -> None:
    run = view(sent(PREPARE, "A"), state("A", PREPARE, Conflict(TWO), State(TWO)))
    said = " ".join(texts(keyed(last(run))["node A"])[4:])
    assert said == "says no to prepare 1:1: it has promised 2:2, and 1:1 is not higher"
    assert last(run).announced == f"A {said}."


@pytest.mark.parametrize(
    ("message", "promised", "why"),
    [
        (PREPARE, ONE, "it has promised 1:1 already, and promises a ballot only once"),
        (ACCEPT, TWO, "it has promised 2:2, and 1:1 is lower"),
    ],
)
def test_each_no_has_its_reason(message: Prepare | Accept, promised: Ballot, why: str) -> None:
    run = view(sent(message, "A"), state("A", message, Conflict(promised), State(promised)))
    assert why in last(run).announced


def test_a_yes_takes_the_no_away() -> None:
    run = view(
        sent(PREPARE, "A"),
        state("A", PREPARE, Conflict(TWO), State(TWO)),
        sent(HIGHER, "A", node=P2),
        state("A", HIGHER, NONE, State(TWO), peer=P2),
    )
    assert len(texts(keyed(last(run))["node A"])) == 4


def test_a_message_whose_words_do_not_fit_is_named_without_its_promise() -> None:
    long = Accept(ONE, pack('"a1;b1;"', {}, ONE), Ballot(2, 1))
    frame = view(BEGUN, sent(long))[2]
    assert texts(keyed(frame)["packet 1"]) == ['▼ accept 1:1 "a1;b1;"']  # and not "…, promis…"
    assert 'accept 1:1 "a1;b1;", promise 2:1' in frame.words


def test_a_quorum_is_drawn_as_it_forms() -> None:
    answers = [
        delivered("A", PREPARE, NONE),
        delivered("B", PREPARE, Conflict(TWO)),
        delivered("C", PREPARE, NONE),
    ]
    run = view(BEGUN, sent(PREPARE), *answers)
    links = [[key for key in keyed(run[number]) if key.split()[0] in ("yes", "no")] for number in (2, 3, 4, 5)]
    assert links[0] == []
    assert links[1] == ["yes proposer-1 A"]
    assert links[2] == ["yes proposer-1 A", "no proposer-1 B"]
    assert set(links[3]) == {"yes proposer-1 A", "no proposer-1 B", "yes proposer-1 C"}
    assert run[5].announced.endswith("that makes a quorum: A and C.")
    assert [line.get("class") for line in keyed(run[4])["no proposer-1 B"]] == ["no"]


def test_it_is_said_when_a_value_is_chosen() -> None:
    after = State(Ballot(2, 1), ONE, HELLO)
    run = view(BEGUN, sent(ACCEPT), state("A", ACCEPT, Accepted(), after), state("C", ACCEPT, Accepted(), after))
    assert "chosen" not in run[3].announced
    assert run[4].announced.endswith('a quorum has accepted it (A and C), so "hello" is chosen.')
    assert 'chosen last: "hello", at 1:1' in run[4].words.split("\n")


def test_a_message_that_is_lost_is_crossed_out_and_then_gone() -> None:
    lost = Event("dropped", 0.0, P1, peer="B", key="k", message=PREPARE, note="lost")
    run = view(BEGUN, sent(PREPARE), lost, state("A", PREPARE, NONE, PROMISED))
    crossed = keyed(run[3])["packet 2"]
    assert len([part for part in crossed if part.tag.endswith("line")]) == 2
    assert run[3].announced == "Prepare 1:1 to B is lost."
    assert "packet 2" not in keyed(run[4])


def test_an_answer_that_is_lost_is_the_acceptors() -> None:
    lost = Event("dropped", 0.0, "A", peer=P1, key="k", message=PREPARE, reply=Accepted(), note="the way is cut")
    run = view(BEGUN, sent(PREPARE), state("A", PREPARE, Accepted(), PROMISED), lost)
    assert last(run).announced == "The answer of A to proposer 1 is lost: the way is cut."
    assert len(messages(last(run))) == 3


def test_a_message_that_is_duplicated_is_there_twice() -> None:
    twice = Event("duplicated", 0.0, P1, peer="A", key="k", message=PREPARE, note="arrives 2 times")
    run = view(BEGUN, sent(PREPARE, "A"), twice)
    assert messages(last(run)) == [["▼ prepare 1:1"]] * 2


def test_messages_for_which_there_is_no_room_are_counted_and_told() -> None:
    asked = [event for counter in range(1, 10) for event in sent(Prepare(Ballot(counter, 1)), "A")]
    answered = [state("A", Prepare(Ballot(counter, 1)), NONE, PROMISED) for counter in range(1, 10)]
    run = view(BEGUN, *asked, *answered)
    full = run[10]
    assert len(messages(full)) == 6
    assert "and 3 more" in texts(ElementTree.fromstring(full.svg))
    assert len([line for line in full.words.split("\n") if line.startswith("on its way")]) == 9


def test_an_acceptor_that_is_down_is_crossed_out_and_one_that_forgot_has_nothing() -> None:
    run = view(
        sent(PREPARE, "A"),
        state("A", PREPARE, NONE, PROMISED),
        Event("crashed", 0.0, "A"),
        Event("restarted", 0.0, "A", note=FORGOTTEN),
    )
    assert "A (down)" in texts(keyed(run[3])["node A"])
    assert "A: is down; stored: promised 1:1, accepted nothing, value none" in run[3].words.split("\n")
    assert texts(keyed(run[4])["node A"]) == ["A", "promised nothing", "accepted nothing", "value none"]


def test_a_way_that_is_cut_is_shown_until_it_heals() -> None:
    run = view(
        sent(PREPARE, "A"),
        Event("partitioned", 0.0, P1, peer="A"),
        Event("healed", 0.0, P1, peer="A"),
    )
    assert "cut proposer-1 A" in keyed(run[2])
    assert run[2].announced == "The way from proposer 1 to A is cut."
    assert "cut proposer-1 A" not in keyed(run[3])


def test_a_message_of_which_the_run_never_speaks_again_goes_with_its_round() -> None:
    failed = Event("failed", 0.0, P1, peer="C", key="k", message=PREPARE, note="C: did not answer")
    run = view(BEGUN, sent(PREPARE), state("A", PREPARE, NONE, PROMISED), failed, delivered("A", PREPARE, NONE))
    assert len(messages(run[3])) == 3
    assert run[4].announced == "Proposer 1 gets no answer from C to prepare 1:1: did not answer."
    assert len(messages(run[4])) == 2
    ended = view(BEGUN, sent(PREPARE), Event("change-ended", 0.0, P1, key="k", change=1, note="NotApplied"))
    assert messages(last(ended)) == []


def test_the_words_name_every_message_that_the_picture_shows() -> None:
    run = ClusterView(Trace(simulate("loss-2-2-2", seed=5).events))
    for number in range(0, len(run), 7):
        frame = run[number]
        told = [line for line in frame.words.split("\n") if line.startswith(("on its way", "lost from"))]
        assert len(told) >= len(messages(frame))
    assert any(messages(run[number]) for number in range(0, len(run), 7))


def test_only_one_register_is_followed() -> None:
    trace = Trace(simulate("loss-2-2-2", seed=5).events)
    keys = {event.key for event in trace if event.key}
    assert len(keys) == 2
    assert main_key(trace) in keys
    for key in keys:
        assert {event.key for step in ClusterView(trace, key=key).steps for event in step} <= {key, None}


def test_a_trace_without_a_single_event_is_one_frame() -> None:
    run = view()
    assert [run[0].announced, len(run)] == ["Nothing has happened yet.", 1]


def test_the_same_run_gives_the_same_frames() -> None:
    first, again = (ClusterView(Trace(simulate("restarts", seed=2).events[:300])) for _ in range(2))
    assert [first[n] for n in range(len(first))] == [again[n] for n in range(len(again))]


def test_a_counterexample_is_told_in_its_own_words() -> None:
    def gullible(state: State, message: Prepare) -> tuple[State, Reply]:
        return state._replace(promised=message.ballot), Promise(state.accepted, state.value)

    explored = explore_functions(prepare=gullible)[-1]
    assert isinstance(explored.verdict, Violation)
    told = explain(explored.model, explored.verdict.trace)
    captions = [step.words + (f" (right: {step.should})" if step.should else "") for step in told]
    run = ClusterView(Trace((event for step in told for event in step.events), captions=captions))
    assert len(run) == len(told) + 1
    said = [run[number].announced for number in range(1, len(run))]
    assert [line.lower() for line in said] == [line.lower() for line in captions]
    assert texts(keyed(last(run))["node A"])[1] == "promised 1:1"


def test_a_read_is_told_and_moves_nothing() -> None:
    asked = [Event("sent", 0.1, P1, peer=name, key="k", message=Read()) for name in "ABC"]
    held = State(Ballot(2, 1), Ballot(1, 1), pack("7", {}, Ballot(1, 1)))
    heard = Event("delivered", 0.2, P1, peer="A", key="k", message=Read(), reply=held)
    run = view(asked, heard)
    frames = [run[number] for number in range(len(run))]
    assert "asks A, B and C what they hold" in frames[1].words
    assert "hears from A: promised 2:1, accepted 1:1, value 7" in frames[2].words
    assert not any(messages(frame) for frame in frames)
