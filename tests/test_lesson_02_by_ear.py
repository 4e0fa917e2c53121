"""The text alone, without any picture, is enough to follow lesson 02: all that it announces, from end to end."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from gryadka import lab
from gryadka.protocol import acceptor
from gryadka.simulation.manual import ManualCluster
from tests.lessons.lesson_02_by_ear import BEGINS, GOES_ON, MAP, PLAYED, REFUSED, WRONG
from tests.lessons.runner import answers, code_cells, session, text_of

LESSON = "02_promises"


def source(cell: str) -> str:
    (found,) = (known.source for known in code_cells(LESSON) if known.id == cell)
    return str(found)


def test_the_cluster_of_the_lesson_tells_the_whole_story() -> None:
    assert source("see-cluster") == 'lab.cluster("append P1", "append P2")'
    hand = lab.cluster("append P1", "append P2")
    for act, _ in REFUSED:
        hand.do(act)
    for _ in GOES_ON:
        hand.do(hand.possible[0])
    told = [hand.view[number].announced for number in range(len(hand.view))]
    assert told == [*BEGINS, *(line for _, line in REFUSED), *GOES_ON]
    assert not [act for act in hand.possible if act.startswith("deliver")]


HEARD = re.compile(
    r"(?P<who>[A-C]) (?:"
    r"promises (?P<promise>\S+), and tells that it has accepted .*"
    r"|accepts (?P<value>\S+) at (?P<accept>\S+), and promises (?P<next>\S+) next.*"
    r"|says no to (?P<kind>prepare|accept) (?P<refused>\S+): it has promised (?P<promised>\S+), and .*)"
)


def test_whoever_hears_it_knows_at_the_end_what_each_acceptor_remembers_and_why_it_refused() -> None:
    known = {name: {"promised": "nothing", "accepted": "nothing", "value": "none"} for name in "ABC"}
    refusals = 0
    for line in [line for _, line in REFUSED] + GOES_ON:
        if not (heard := HEARD.match(line)):
            continue
        mine, said = known[heard["who"]], heard.groupdict()
        if said["promised"]:
            assert said["promised"].rstrip(",") == mine["promised"], "it says no for the promise that one has heard of"
            refusals += 1
        elif said["promise"]:
            mine["promised"] = said["promise"]
        else:
            mine.update(promised=said["next"].rstrip(";."), accepted=said["accept"].rstrip(","), value=said["value"])
    hand = ManualCluster(acts=["append P1", "append P2", *(act for act, _ in REFUSED)])
    for _ in GOES_ON:
        hand.do(hand.possible()[0])
    for name, mine in known.items():
        state = hand._network.acceptors[name].states["register"]
        assert (mine["promised"], mine["accepted"]) == (str(state.promised), str(state.accepted))
        assert mine["value"] == '"b1;a1;"'
    assert refusals == 4


@pytest.mark.slow
def test_every_other_view_of_the_lesson_says_in_words_what_it_shows(tmp_path: Path) -> None:
    """With a wrong `prepare`: what the cells print, which is all that whoever hears them gets."""
    right, wrong = answers(LESSON)
    with session(LESSON, tmp_path, "fakeredis") as kernel:
        told = {}
        for name in list(kernel.cells)[: list(kernel.cells).index("check-play") + 1]:
            own = {"build-prepare": wrong["build-prepare"][WRONG][0], "build-accept": right["build-accept"]}.get(name)
            told[name] = "\n".join(map(words, kernel.run(name, own)))
    steps = [line.strip() for line in told["check-play"].splitlines()]
    assert [step.partition(". ")[2] for step in steps if re.match(r"\d+\. ", step)] == PLAYED
    assert MAP in told["build-graph"]
    assert "B: promised 2:2, accepted nothing, value none" in told["see-two-rounds"]
    assert "B: promised 2:2, accepted 2:2, value coffee" in told["see-accident"]
    for case in acceptor.TRANSITIONS:
        assert re.search(rf"{case[0]}, its ballot {case[1]} (than|to) promised: (yes|no)", told["build-table"]), case


def words(output: nbformat.NotebookNode) -> str:
    return text_of(output) if output.output_type == "stream" else str(output.data["text/plain"])
