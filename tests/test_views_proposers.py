"""The proposers' view: what is counted from events is what real proposers did."""

from __future__ import annotations

import asyncio
import random
from xml.etree import ElementTree

import pytest

from gryadka import lab
from gryadka.acceptors.memory import MemoryAcceptor, memory_acceptors
from gryadka.errors import ChangeRejected
from gryadka.proposer import Proposer
from gryadka.protocol.acceptor import Accept, Accepted, Ballot, Conflict, Prepare
from gryadka.protocol.configuration import Configuration
from gryadka.trace import Event
from gryadka.views.frames import Frame
from gryadka.views.proposers import MOST, Hands, draw, frames

SVG = "{http://www.w3.org/2000/svg}"


class Group:
    """A proposer or two on three acceptors in memory, and all that they tell."""

    def __init__(self, *ids: int) -> None:
        self.configuration: Configuration
        self.acceptors: dict[str, MemoryAcceptor]
        self.configuration, self.acceptors = memory_acceptors(3)
        self.events: list[Event] = []
        self.proposers = [
            Proposer(self.configuration, self.acceptors, id=id, rng=random.Random(id), observe=self.events.append)
            for id in ids
        ]

    @property
    def hands(self) -> Hands:
        hands = Hands()
        for event in self.events:
            hands.add(event)
        return hands


def texts(frame: Frame) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(frame.svg).iter(f"{SVG}text")]


def squares(frame: Frame) -> int:
    return sum("fill-opacity" in element.attrib for element in ElementTree.fromstring(frame.svg).iter(f"{SVG}rect"))


async def test_the_first_change_takes_two_round_trips_and_the_cache_saves_one_after_that() -> None:
    group = Group(7)
    for number in range(4):
        await group.proposers[0].change("k", lambda value, n=number: n)
    hand = group.hands.hands["proposer-7"]
    assert (hand.prepares, hand.accepts, hand.saved) == (1, 4, 3)
    assert hand.cache == {"k": Ballot(5, 7)} and hand.counter == 5
    assert hand.outcomes == {"applied": 4} and hand.waiting == 0
    (line,) = draw(group.hands).words.splitlines()[1:]
    assert line == (
        "proposer 7: queue: empty; counter: 5; cache: promised 5:7 for k; round trips: 5 (1.25 a change): "
        "1 prepare, 4 accept, 3 saved; changes ended: 4 applied"
    )


async def test_changes_that_wait_are_counted_and_share_a_round() -> None:
    group = Group(7)
    changes = [asyncio.ensure_future(group.proposers[0].change("k", lambda value: (value or 0) + 1)) for _ in range(20)]
    await asyncio.sleep(0)
    frame = draw(group.hands)
    assert group.hands.hands["proposer-7"].waiting == 20
    assert "queue: 20 waiting" in frame.words and squares(frame) == 16 and "and 4 more" in texts(frame)
    await asyncio.gather(*changes)
    hand = group.hands.hands["proposer-7"]
    assert hand.waiting == 0 and hand.outcomes["applied"] == 20 and hand.round_trips <= 4
    assert squares(draw(group.hands)) == 0


async def test_a_rival_empties_the_cache_and_refusals_are_counted() -> None:
    group = Group(7, 8)
    first, second = group.proposers
    await first.change("k", lambda value: 1)
    await second.change("k", lambda value: 2)
    await first.change("k", lambda value: 3)
    hands = group.hands.hands
    assert hands["proposer-7"].conflicts >= 2 and hands["proposer-8"].saved == 0
    assert hands["proposer-7"].counter > hands["proposer-8"].counter
    assert "messages refused: " in draw(group.hands).words
    announced = [frame.announced for frame in frames(group.events)]
    assert announced[0] == "Nothing has happened yet."
    assert "Proposer 7 sends prepare 1:7." in announced
    assert "Proposer 7 holds the promise of 2:7 for its next round." in announced
    assert "Proposer 7 sends accept 2:7, and needed no prepare." in announced
    assert any(line.startswith("Proposer 7 is refused by A, which has promised") for line in announced)


async def test_a_refusal_names_a_long_ballot_by_its_last_digits() -> None:
    group = Group(6_504_161_723_124_193, 8)
    first, second = group.proposers
    await first.change("k", lambda value: 1)
    await second.change("k", lambda value: 2)
    announced = [frame.announced for frame in frames(group.events)]
    assert "Proposer 8 is refused by A, which has promised 2:…193." in announced


async def test_how_changes_ended_and_what_was_not_answered() -> None:
    group = Group(7)

    def refuse(value: object) -> object:
        raise ChangeRejected("no")

    with pytest.raises(ChangeRejected):
        await group.proposers[0].change("k", refuse)
    group.acceptors["C"].up = False
    await group.proposers[0].change("k", lambda value: 1)
    await asyncio.sleep(0)
    words = draw(group.hands).words
    assert "changes ended: 1 refused, 1 applied" in words and "messages not answered: 1" in words


def test_a_lesson_shows_it_in_one_line() -> None:
    events = [Event("change-begun", 0, "proposer-7", change=1)]
    shown = lab.proposers(events)
    assert (
        shown.view[len(shown.view) - 1].announced == "Proposer 7 is asked for a change; 1 of its changes are under way."
    )


def test_a_promise_of_too_few_is_no_cache_and_a_prepare_gives_it_up() -> None:
    accept = Accept(Ballot(1, 7), '"x"', Ballot(2, 7))
    asked = [Event("sent", 0, "proposer-7", peer=name, key="k", message=accept) for name in "ABC"]
    heard = [Event("delivered", 1, "proposer-7", peer=name, key="k", message=accept, reply=Accepted()) for name in "AB"]
    hands = Hands()
    for event in [*asked, heard[0], heard[0]]:
        hands.add(event)
    assert hands.hands["proposer-7"].cache == {}
    hands.add(heard[1])
    assert hands.hands["proposer-7"].cache == {"k": Ballot(2, 7)}
    hands.add(Event("sent", 2, "proposer-7", peer="A", key="k", message=Prepare(Ballot(4, 7))))
    assert hands.hands["proposer-7"].cache == {}
    assert hands.hands["proposer-7"].saved == 0


def test_a_proposer_that_is_down_is_dashed_and_says_so() -> None:
    view = frames([Event("crashed", 0, "proposer-1"), Event("restarted", 1, "proposer-1")])
    dashed = [
        sum("stroke-dasharray" in box.attrib for box in ElementTree.fromstring(f.svg).iter(f"{SVG}rect")) for f in view
    ]
    assert dashed == [0, 1, 0]
    assert view[1].announced == "Proposer 1 crashes." and view[1].words.endswith("; down")


def test_of_many_proposers_some_are_drawn_and_all_are_told() -> None:
    prepare = Prepare(Ballot(3, 1))
    events = [
        Event("delivered", 0, f"proposer-{n}", peer="A", message=prepare, reply=Conflict(Ballot(9, 9)))
        for n in range(1, 12)
    ]
    frame = frames(events)[-1]
    assert f"{MOST} of 11 proposers are drawn." in texts(frame)
    assert sum(line.startswith("proposer ") for line in frame.words.splitlines()) == 11
    height = float(ElementTree.fromstring(frame.svg).attrib["viewBox"].split()[-1])
    assert all(float(text.attrib["y"]) < height for text in ElementTree.fromstring(frame.svg).iter(f"{SVG}text"))
