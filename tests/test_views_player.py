"""The player's Python half: what travels to a browser, what stands where there is none, and who is told of a click."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from gryadka import lab
from gryadka.course.finding import Finding
from gryadka.protocol.acceptor import Ballot, Prepare
from gryadka.simulation import record
from gryadka.simulation.run import simulate
from gryadka.trace import Event, Trace
from gryadka.views import frames, player
from gryadka.views.frames import Frame, Frames, Packed
from gryadka.views.player import Player
from gryadka.views.svg import drawn, label


def frame(text: str) -> Frame:
    return Frame(drawn(text, text, [label(0, 0, text)], 20), f"{text}\nand more of {text}")


def a_view(*names: str) -> Frames:
    return Frames("A <view>", map(frame, names))


def unpacked(packed: Packed) -> list[str]:
    return [packed["lines"][words[0]] for _, words, _ in packed["frames"]]


class Sent(list[dict[str, Any]]):
    """What a player sends to its browsers, one after the other."""

    def __init__(self, of: Player, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        monkeypatch.setattr(of, "send", lambda content: self.append(content))


def test_a_browser_that_opens_the_view_gets_every_frame() -> None:
    shown = Player(a_view("one", "two"))
    assert unpacked(shown.get_state("packed")["packed"]) == ["one", "two"]


def test_new_frames_are_sent_alone_and_a_browser_that_comes_later_gets_all(monkeypatch: pytest.MonkeyPatch) -> None:
    view = a_view("one", "two")
    shown = Player(view)
    sent = Sent(shown, monkeypatch)
    view.append(frame("three"))
    shown.update()
    assert len(sent[0]["frames"]) == 1
    assert "three" in sent[0]["lines"]
    assert "one" not in sent[0]["lines"]
    assert "</svg>" not in sent[0]["lines"]
    assert (sent[0]["from"], sent[0]["at"]) == (2, 2)
    assert unpacked(shown.get_state("packed")["packed"]) == ["one", "two", "three"]


def test_the_place_of_a_new_frame_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    view, states = a_view("one"), list[str]()
    shown = Player(view)
    sent = Sent(shown, monkeypatch)
    monkeypatch.setattr(shown, "send_state", lambda key: states.append(key))
    view.append(frame("two"))
    shown.update()
    assert (shown.at, sent[0]["at"], states) == (1, 1, [])
    shown.at = 0  # from Python's side a learner may go anywhere
    assert states == ["at"]


def test_frames_can_be_replaced_from_a_place_on(monkeypatch: pytest.MonkeyPatch) -> None:
    view = a_view("one", "two", "three")
    shown = Player(view)
    sent = Sent(shown, monkeypatch)
    view[1:] = [frame("other")]
    shown.update(1)
    assert (sent[0]["from"], sent[0]["at"]) == (1, 1)
    assert unpacked(shown.get_state("packed")["packed"]) == ["one", "other"]


def test_where_there_is_no_widget_the_last_frame_stands_still_and_the_text_tells_every_step() -> None:
    shown = Player(a_view("one", "two"))
    forms, _ = shown._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in forms
    svg = ElementTree.fromstring(forms["image/svg+xml"])
    assert [child.text for child in svg if child.tag.endswith("title")] == ["two"]
    assert forms["text/plain"].split("\n") == [
        "A <view>",
        "   0. one",
        "   1. two",
        "In the end:",
        "      and more of two",
    ]


def test_a_view_without_frames_is_no_error() -> None:
    shown = Player(a_view())
    forms, _ = shown._repr_mimebundle_()
    assert "image/svg+xml" not in forms
    assert forms["text/plain"] == "A <view>"


def test_a_saved_page_offers_nothing_that_only_python_could_do(tmp_path: Path) -> None:
    lab.cluster("append P1").save(tmp_path / "run.html")
    assert "deliver 1" not in (tmp_path / "run.html").read_text(encoding="utf-8")


def test_a_saved_page_holds_everything_and_ends_no_script_early(tmp_path: Path) -> None:
    Player(a_view("one", "</script><script>alert(1)</script>")).save(tmp_path / "run.html")
    page = (tmp_path / "run.html").read_text(encoding="utf-8")
    assert page.count("</script>") == 2
    assert "<title>A &lt;view&gt;</title>" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert player._MODULE.read_text(encoding="utf-8") in page


def test_a_browser_that_has_missed_something_gets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, states = Player(a_view("one")), list[str]()
    monkeypatch.setattr(shown, "send_state", states.append)
    shown._hear(None, {"all": True}, [])
    assert states == ["packed"]


# -- clicks ----------------------------------------------------------------------------------------------


async def test_a_click_is_handled_by_the_main_loop_even_if_it_comes_on_another_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handled: list[tuple[str, int, str]] = []
    view = a_view("one")

    def act(what: str, at: int) -> tuple[int, int]:
        handled.append((what, at, threading.current_thread().name))
        view.append(frame("two"))
        return 1, 1

    shown = Player(view, act=act)
    sent = Sent(shown, monkeypatch)
    other = threading.Thread(target=shown._hear, args=(None, {"act": "do it", "at": 0, "id": 7}, []))
    other.start()
    other.join()
    assert handled == []
    await asyncio.sleep(0)
    assert handled == [("do it", 0, threading.main_thread().name)]
    assert [(message["done"], message["from"], message["at"]) for message in sent] == [(7, 1, 1)]


def test_what_a_click_raises_is_shown_in_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    def act(what: str, at: int) -> None:
        raise ValueError("there is no such message")

    shown = Player(a_view("one"), act=act)
    sent = Sent(shown, monkeypatch)
    shown._hear(None, {"act": "do it", "at": 0, "id": 7}, [])
    assert sent == [{"done": 7, "trouble": "ValueError: there is no such message"}]


@pytest.mark.parametrize("content", [{}, {"act": 3, "at": 0, "id": 1}, {"act": "x", "at": "0", "id": 1}, {"act": "x"}])
def test_a_message_of_another_form_is_ignored(content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    handled: list[str] = []
    shown = Player(a_view("one"), act=lambda what, at: handled.append(what))
    sent = Sent(shown, monkeypatch)
    shown._hear(None, content, [])
    assert handled == sent == []


# -- lab.play --------------------------------------------------------------------------------------------


def test_a_run_of_the_simulator_a_link_and_a_trace_play_the_same() -> None:
    result = simulate("loss-1-1-1", seed=3)
    players = [lab.play(result), lab.play("gryadka-run:loss-1-1-1:3"), lab.play(Trace(result.events))]
    told = [shown.in_words() for shown in players if shown]
    assert len(told) == 3
    assert len(set(told)) == 1


def test_a_file_plays_whether_it_is_a_trace_or_a_recorded_simulation(tmp_path: Path) -> None:
    result = simulate("loss-1-1-1", seed=3)
    Trace(result.events).save(tmp_path / "trace.jsonl")
    record.save(tmp_path / "run.jsonl", record.Recording.of(result))
    (tmp_path / "other").write_text("hello\n")
    assert lab.trace_of(tmp_path / "trace.jsonl") == lab.trace_of(tmp_path / "run.jsonl") == Trace(result.events)
    with pytest.raises(ValueError, match="line 1"):
        lab.play(tmp_path / "other")


def test_a_finding_plays_with_its_own_sentences() -> None:
    event = Event("sent", 1.0, "proposer-1", peer="A", key="k", message=Prepare(Ballot(1, 1)))
    shown = lab.play(Finding(why="no", steps=("proposer 1 does wrong",), events=(event,)))
    assert shown
    assert (shown.title, shown.view[1].announced) == ("no", "Proposer 1 does wrong")


def test_where_nothing_happened_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.play(Finding(covered="everything")) is None
    assert "no run to play" in capsys.readouterr().out


def test_the_examples_of_the_frames_module() -> None:
    import doctest

    tried = doctest.testmod(frames)
    assert tried.attempted
    assert not tried.failed
