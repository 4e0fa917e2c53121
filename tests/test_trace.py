"""Events, and their form as lines of JSON."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gryadka.acceptors import state_of
from gryadka.acceptors.servers import LocalCluster
from gryadka.protocol.acceptor import Accept, Accepted, Ballot, Conflict, Prepare, Promise, State
from gryadka.trace import LINK, Event, Kind, Trace, dump, fold, load

ballots = st.builds(Ballot, st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1))
texts = st.text(max_size=5)
values = st.one_of(st.none(), texts)
messages = st.one_of(st.builds(Prepare, ballots), st.builds(Accept, ballots, texts, ballots))
replies = st.one_of(st.builds(Promise, ballots, values), st.builds(Accepted), st.builds(Conflict, ballots))
events = st.builds(
    Event,
    st.sampled_from(get_args(Kind)),
    st.floats(0, 1e6),
    texts,
    peer=values,
    key=values,
    message=st.none() | messages,
    reply=st.none() | replies,
    state=st.none() | st.builds(State, ballots, ballots, values),
    change=st.none() | st.integers(0, 9),
    note=values,
)


@given(st.lists(events))
def test_a_trace_survives_being_written_and_read(trace: list[Event]) -> None:
    lines = list(dump(trace))
    assert all("\n" not in line for line in lines)
    again = load(lines)
    assert again == trace
    for before, after in zip(trace, again, strict=True):
        for part in ("message", "reply", "state"):
            assert type(getattr(before, part)) is type(getattr(after, part))


def test_the_form_of_a_line_is_stable() -> None:
    event = Event("sent", 0.5, "proposer-7", peer="A", key="k", message=Accept(Ballot(1, 7), "1", Ballot(2, 7)))
    assert list(dump([event])) == [
        '{"schema": 1}',
        '{"kind": "sent", "at_s": 0.5, "node": "proposer-7", "peer": "A", "key": "k", '
        '"message": {"type": "Accept", "ballot": [1, 7], "value": "1", "promise": [2, 7]}}',
    ]


def test_an_event_cannot_be_changed() -> None:
    event = Event("sent", 0.5, "proposer-7")
    with pytest.raises(FrozenInstanceError):
        event.at_s = 1.0  # type: ignore[misc]


GOOD = {"kind": "sent", "at_s": 0.0, "node": "p"}


@pytest.mark.parametrize(
    "bad",
    [
        "not json",
        "[]",
        "5",
        json.dumps({"kind": "sent"}),
        json.dumps(GOOD | {"kind": "invented"}),
        json.dumps(GOOD | {"colour": "red"}),
        json.dumps(GOOD | {"message": {"type": "Nothing"}}),
        json.dumps(GOOD | {"message": {"ballot": [1, 2]}}),
        json.dumps(GOOD | {"message": {"type": "Prepare", "ballot": [1]}}),
    ],
)
def test_a_broken_line_is_named_by_its_number(bad: str) -> None:
    with pytest.raises(ValueError, match="line 3"):
        load(['{"schema": 1}', json.dumps(GOOD), bad])


def test_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1"):
        load(['{"schema": 2}'])


async def test_proposers_and_acceptors_tell_an_observer_what_happens(cluster: LocalCluster) -> None:
    seen: list[Event] = []
    proposer = cluster.proposer(observe=seen.append)
    await proposer.change("k", lambda value: "hello")
    kinds: Counter[str] = Counter()
    async with asyncio.timeout(5):
        while kinds["state"] < 6:  # a change ends with a majority; the third acceptor may answer a little later
            await asyncio.sleep(0.01)
            kinds = Counter(event.kind for event in seen)
    assert kinds["change-begun"] == kinds["change-ended"] == 1
    assert kinds["sent"] == kinds["state"] == 6
    last = {event.node: event.state for event in seen if event.kind == "state"}
    for name, acceptor in cluster.acceptors().items():
        assert last[name] == await state_of(acceptor, "k")
    await proposer.close()


# -- whole runs ------------------------------------------------------------------------------------------

RUN = Trace(
    [
        Event("sent", 0.0, "proposer-7", peer="A", message=Prepare(Ballot(1, 7))),
        Event("state", 0.1, "A", message=Prepare(Ballot(1, 7)), state=State(Ballot(1, 7))),
    ]
)


def test_a_trace_is_saved_and_loaded(tmp_path: Path) -> None:
    RUN.save(tmp_path / "run.jsonl")
    assert Trace.load(tmp_path / "run.jsonl") == RUN


def test_what_was_told_of_a_run_goes_with_its_file_and_its_link(tmp_path: Path) -> None:
    """An explorer's run that was handed on had lost the sentence that says what its acceptor did wrong."""
    told = Trace(RUN, captions=["proposer 7 asks A", "A promises 1:7. By the rules: it refuses"])
    told.save(tmp_path / "run.jsonl")
    for again in (Trace.load(tmp_path / "run.jsonl"), Trace.from_link(told.link())):
        assert (again, again.captions) == (told, told.captions)
    assert load((tmp_path / "run.jsonl").read_text().splitlines()) == list(RUN)


@pytest.mark.parametrize("captions", ["one", [1], {"a": "b"}])
def test_captions_that_are_no_sentences_are_refused(captions: object) -> None:
    with pytest.raises(ValueError, match=r"line 1: the first line has to be \{\"schema\": 1\}, and may hold captions"):
        load([json.dumps({"schema": 1, "captions": captions})])


def test_a_slice_of_a_trace_is_a_trace_and_has_its_own_link() -> None:
    part = Trace(RUN, source="somewhere")[1:]
    assert isinstance(part, Trace)
    assert list(part) == [RUN[1]]
    assert Trace.from_link(part.link()) == part


@given(st.lists(events))
def test_a_link_holds_the_whole_run_on_one_line(several: list[Event]) -> None:
    link = Trace(several).link()
    assert link.isprintable()
    assert " " not in link
    assert Trace.from_link(link) == Trace(several)


def test_a_link_is_the_source_where_there_is_one() -> None:
    assert Trace(RUN, source="gryadka-run:loss-1-1-1:7").link() == "gryadka-run:loss-1-1-1:7"


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_link_that_was_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match=r"link|Incorrect padding|base64"):
        Trace.from_link(RUN.link()[:-cut])


@pytest.mark.parametrize("link", ["", "https://somewhere", LINK, LINK + "AAAA", LINK + "é", LINK + fold("not a trace")])
def test_any_other_text_is_refused(link: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Trace.from_link(link)


def test_a_link_that_unfolds_to_far_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gryadka.trace.MAX_LINK", 10)
    with pytest.raises(ValueError, match="far too much"):
        Trace.from_link(RUN.link())
