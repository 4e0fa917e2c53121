"""The recorder writes down what clients saw; files of histories, ours and Jepsen's, are read as they are meant."""

from __future__ import annotations

import asyncio
import doctest
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gryadka.checking import history as histories
from gryadka.checking.edn import jepsen_edn, jepsen_log, read_edn, read_history
from gryadka.checking.history import UNTOLD, History, Operation, Outcome, Recorder, Refusal, dump, load
from gryadka.errors import ChangeRejected, ConfigurationError, NotApplied, OutcomeUnknown


def ticking() -> Callable[[], float]:
    """Return a clock that shows 0, 1, 2, ..."""
    ticks: Iterator[int] = iter(range(1000))
    return lambda: float(next(ticks))


def test_the_example_at_the_top_is_true() -> None:
    result = doctest.testmod(histories)
    assert result.failed == 0 and result.attempted > 0


# --- the recorder


async def value(result: Any) -> Any:
    await asyncio.sleep(0)
    return result


async def failing(error: BaseException) -> None:
    raise error


async def test_a_change_is_written_down_with_its_times_and_result() -> None:
    recorder = Recorder(ticking())
    change = recorder.record(value({"n": 1}), process="c1", f="write", args=({"n": 1},), key="x")
    assert await change == {"n": 1}
    assert list(recorder.history()) == [
        Operation(
            process="c1",
            f="write",
            args=({"n": 1},),
            key="x",
            outcome=Outcome.OK,
            result={"n": 1},
            invoked_s=0.0,
            completed_s=1.0,
        )
    ]


@pytest.mark.parametrize(
    ("error", "outcome", "result"),
    [
        (ChangeRejected("no", 7), Outcome.OK, Refusal(7)),
        (NotApplied(), Outcome.FAILED, UNTOLD),
        (OutcomeUnknown(), Outcome.UNKNOWN, UNTOLD),
        (asyncio.CancelledError(), Outcome.UNKNOWN, UNTOLD),
        (ConfigurationError(), Outcome.UNKNOWN, UNTOLD),
        (ZeroDivisionError(), Outcome.UNKNOWN, UNTOLD),
        (KeyboardInterrupt(), Outcome.UNKNOWN, UNTOLD),
    ],
)
async def test_an_error_is_raised_on_and_decides_the_outcome(
    error: BaseException, outcome: Outcome, result: object
) -> None:
    recorder = Recorder(ticking())
    with pytest.raises(type(error)), recorder.operation(process=1, f="write", args=(1,)):
        raise error
    [operation] = recorder.history()
    assert (operation.outcome, operation.result) == (outcome, result)
    assert operation.completed_s == (None if outcome is Outcome.UNKNOWN else 1.0)


async def test_an_awaited_error_decides_the_outcome_too() -> None:
    recorder = Recorder(ticking())
    with pytest.raises(NotApplied):
        await recorder.record(failing(NotApplied()), process=1, f="write", args=(1,))
    assert [operation.outcome for operation in recorder.history()] == [Outcome.FAILED]


async def test_a_cancelled_client_leaves_an_open_operation() -> None:
    recorder = Recorder(ticking())
    task = asyncio.create_task(recorder.record(asyncio.sleep(60), process=1, f="read"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(one.outcome, one.completed_s) for one in recorder.history()] == [(Outcome.UNKNOWN, None)]


def test_an_operation_under_way_is_open_until_it_ends() -> None:
    recorder = Recorder(ticking())
    begun = recorder.begin(process=1, f="read")
    assert recorder.history()[0].outcome is Outcome.UNKNOWN
    begun.ok(3)
    assert recorder.history()[0].result == 3
    with pytest.raises(RuntimeError, match="ended already"):
        begun.failed()


def test_what_is_written_down_does_not_change_with_the_clients_objects() -> None:
    recorder, stored = Recorder(ticking()), {"items": [1]}
    begun = recorder.begin(process=1, f="write", args=(stored,))
    begun.ok(stored)
    stored["items"].append(2)
    [operation] = recorder.history()
    assert operation.args == ({"items": [1]},) and operation.result == {"items": [1]}


def test_events_keep_their_order_while_virtual_time_stands_still() -> None:
    recorder = Recorder(lambda: 5.0)
    for _ in range(3):
        recorder.begin(process=1, f="write", args=(1,)).ok()
    first, second, third = recorder.history()
    assert first.invoked_s == 5.0
    assert first.invoked_s < first.completed_s < second.invoked_s < second.completed_s < third.invoked_s  # type: ignore[operator]
    assert third.completed_s == pytest.approx(5.0)


@pytest.mark.parametrize("bad", [{1, 2}, float("nan"), {1: 2}, "\ud800"])
def test_what_json_cannot_hold_is_refused(bad: object) -> None:
    recorder = Recorder(ticking())
    with pytest.raises((TypeError, ValueError)):
        recorder.begin(process=1, f="write", args=(bad,))
    with pytest.raises((TypeError, ValueError)):
        recorder.begin(process=1, f="read").ok(bad)


@pytest.mark.parametrize(
    "fields",
    [
        {"outcome": Outcome.OK},
        {"outcome": Outcome.UNKNOWN, "completed_s": 2.0},
        {"outcome": Outcome.OK, "completed_s": 0.5},
        {"outcome": Outcome.OK, "completed_s": float("inf")},
        {"outcome": Outcome.FAILED, "completed_s": 2.0, "result": 1},
    ],
)
def test_an_operation_that_contradicts_itself_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Operation(process=1, f="read", invoked_s=1.0, **fields)


def test_operations_are_told_in_words() -> None:
    recorder = Recorder(ticking())
    recorder.begin(process=1, f="cas", args=(0, "a")).ok(Refusal({"v": None}))
    recorder.begin(process=2, f="write", args=(True,)).failed()
    assert [str(operation) for operation in recorder.history()] == [
        'process 1: cas(0, "a") refused, saw {"v":null}',
        "process 2: write(true) (failed)",
    ]


def test_a_history_is_in_order_and_knows_its_keys() -> None:
    later = Operation(process=1, f="read", key="a", invoked_s=2.0)
    sooner = Operation(process=2, f="read", key="b", invoked_s=1.0)
    history = History([later, sooner])
    assert list(history) == [sooner, later] == list(history[0:2])
    assert history.by_key() == {"b": [sooner], "a": [later]}
    assert history == History([sooner, later]) != [sooner, later]


# --- JSON lines

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("añ☃"),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text("kv"), parts, max_size=3),
    max_leaves=5,
)


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    outcome = draw(st.sampled_from(Outcome))
    begins, lasts = draw(st.floats(0, 1e6)), draw(st.floats(0, 1e3))
    result = draw(st.just(UNTOLD) | VALUES | st.builds(Refusal) | VALUES.map(Refusal))
    return Operation(
        process=draw(st.integers() | st.text("cp")),
        f=draw(st.sampled_from(["read", "write"])),
        args=tuple(draw(st.lists(VALUES, max_size=2))),
        key=draw(st.text("xy")),
        outcome=outcome,
        result=result if outcome is Outcome.OK else UNTOLD,
        invoked_s=begins,
        completed_s=None if outcome is Outcome.UNKNOWN else begins + lasts,
    )


@given(st.lists(operations(), max_size=5))
def test_a_history_comes_back_from_its_file_as_it_was(written: list[Operation]) -> None:
    history = History(written)
    back = load(list(dump(history)))
    assert back == history
    assert [repr(operation) for operation in back] == [repr(operation) for operation in history]  # 1 is not True


def test_the_form_on_disk_is_the_one_that_is_documented() -> None:
    operation = Operation(
        process=1, key="x", f="cas", args=(0, 1), outcome=Outcome.OK, result=1, invoked_s=0.5, completed_s=0.75
    )
    first, second = dump([operation])
    assert json.loads(first) == {"history": 1}
    documented = "".join(
        part.strip() for part in str(histories.__doc__).split("\n    {")[1].split("\n\n")[0].splitlines()
    )
    assert json.loads(second) == json.loads("{" + documented)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense", "not JSON, from column 1 on"),
        ('{"process": 1, "f": "wri', "not JSON, from column [0-9]+ on; was it cut off"),
        (f'{{"process": 1, "f": "read", "outcome": "unknown", "invoked_s": {10**400}}}', "times are finite numbers"),
        ("[1]", "an operation has the fields"),
        ('{"process": 1, "f": "read", "outcome": "ok"}', "an operation has the fields"),
        ('{"process": 1, "f": "read", "outcome": "ok", "invoked_s": 1, "colour": 1}', "an operation has the fields"),
        ('{"process": true, "f": "read", "outcome": "unknown", "invoked_s": 1}', "process cannot be true"),
        ('{"process": 1, "f": "read", "outcome": "fine", "invoked_s": 1}', "'fine' is not a valid Outcome"),
        ('{"process": 1, "f": "read", "outcome": "ok", "invoked_s": 1}', "an operation has an end"),
        ('{"process": 1, "f": "read", "outcome": "unknown", "invoked_s": NaN}', "not JSON compliant"),
        ('{"process": 1, "f": "write", "args": ["\\ud800"], "outcome": "unknown", "invoked_s": 1}', "surrogates"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_broken_line_is_named_with_its_number(line: str, words: str) -> None:
    with pytest.raises(ValueError, match="^line 3: .*" + words):
        load(['{"history": 1}', "", line])


def test_another_version_of_the_form_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1: the first line has to be"):
        load(['{"history": 2}'])


# --- EDN


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("nil true false", [None, True, False]),
        ("1 -2 +3 4N 1.5 -2e3 7M", [1, -2, 3, 4, 1.5, -2000.0, 7.0]),
        (r'"a\n\"\\\u00e9" \a \newline', ['a\n"\\é', "a", "\n"]),
        (":read :jepsen/op sym", ["read", "jepsen/op", "sym"]),
        ("[1 (2 3) #{4}] , {:a 1, :b [2]}", [[1, [2, 3], [4]], {"a": 1, "b": [2]}]),
        ("{[0 1] 2}", [{(0, 1): 2}]),
        ("{{:a [1 {2 [3]}]} 4}", [{("a", (1, (2, (3,)))): 4}]),
        ("[##Inf ##-Inf] 5", [[math.inf, -math.inf], 5]),
        ('#jepsen.history.Op{:index 0} #inst "2024"', [{"index": 0}, "2024"]),
        ("1 ; not 2\n 3 #_4 [#_ [5] 6]", [1, 3, [6]]),
        ("", []),
    ],
)
def test_edn_is_read_as_plain_data(text: str, data: list[Any]) -> None:
    assert list(read_edn(text)) == data


@pytest.mark.parametrize("text", ["[1", "]", "[1}", "{:a}", '"a', r'"\q"', "#tag", "#_"])
def test_what_is_not_edn_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        list(read_edn(text))


# --- Jepsen

LOG = """\
INFO  jepsen.core - nodes up
INFO  jepsen.util - 0\t:invoke\t:write\t3
INFO  jepsen.util - 1\t:invoke\t:cas\t[3 4]
INFO  jepsen.util - :nemesis\t:info\t:start\tnil
INFO  jepsen.util - 0\t:ok\t:write\t3
INFO  jepsen.util - 2\t:invoke\t:read\tnil
INFO  jepsen.util - 1\t:fail\t:cas\t[3 4]
INFO  jepsen.util - 2\t:ok\t:read\t3
INFO  jepsen.util - 0\t:invoke\t:write\t5
INFO  jepsen.util - 2\t:invoke\t:read\tnil
INFO  jepsen.util - 0\t:info\t:write\t:timed-out
INFO  jepsen.util - 2\t:fail\t:read\t:timed-out
INFO  jepsen.util - 3\t:invoke\t:read\tnil
"""

EDN = """\
{:process 0, :type :invoke, :f :write, :value 3, :time 1000000000}
{:process 1, :type :invoke, :f :cas, :value [3 4], :time 1500000000}
{:process :nemesis, :type :info, :f :start, :value nil, :time 1600000000}
{:process 0, :type :ok, :f :write, :value 3, :time 2000000000}
{:process 2, :type :invoke, :f :read, :value nil, :time 2000000000}
{:process 1, :type :fail, :f :cas, :value [3 4], :time 2000000000}
{:process 2, :type :ok, :f :read, :value 3, :time 3000000000}
{:process 0, :type :invoke, :f :write, :value 5, :time 4000000000}
{:process 2, :type :invoke, :f :read, :value nil, :time 4100000000}
{:process 0, :type :info, :f :write, :value 5, :time 4200000000, :error :timed-out}
{:process 2, :type :fail, :f :read, :value nil, :time 4300000000, :error :timed-out}
{:process 3, :type :invoke, :f :read, :value nil, :time 4400000000}
"""

TOLD = [
    "process 0: write(3)",
    "process 1: cas(3, 4) (failed)",
    "process 2: read() = 3",
    "process 0: write(5) (unknown)",
    "process 2: read() (failed)",
    "process 3: read() (unknown)",
]


def test_a_value_cut_off_in_jepsens_log_is_named_with_its_line() -> None:
    with pytest.raises(ValueError, match=r"^line 3: '\[3' is not EDN"):
        jepsen_log([*LOG.splitlines()[:2], "INFO  jepsen.util - 1\t:invoke\t:cas\t[3"])


def test_jepsens_log_is_read() -> None:
    history = jepsen_log(LOG.splitlines())
    assert [str(operation) for operation in history] == TOLD
    assert history[0].completed_s is not None and history[0].completed_s < history[2].invoked_s


@pytest.mark.parametrize("text", [EDN, f"[{EDN}]", EDN.replace("{:process", "#jepsen.history.Op{:process")])
def test_jepsens_edn_is_read(text: str) -> None:
    history = jepsen_edn(text)
    assert [str(operation) for operation in history] == TOLD
    assert [operation.invoked_s for operation in history] == pytest.approx([1.0, 1.5, 2.0, 4.0, 4.1, 4.4])
    write, _, read, *_ = history
    assert write.completed_s is not None and write.completed_s < read.invoked_s, "the order of events is the truth"


def test_a_fail_can_be_read_as_a_refusal() -> None:
    assert jepsen_log(LOG.splitlines(), refused=frozenset({"cas"}))[1].result == Refusal(UNTOLD)
    assert jepsen_edn(EDN, refused=frozenset({"cas"}))[1].result == Refusal(UNTOLD)


def test_keys_come_from_key_or_from_the_value() -> None:
    text = '{:process 1, :type :invoke, :f :append, :key "k", :value "a"} {:process 1, :type :ok, :f :append, :key "k"}'
    [operation] = jepsen_edn(text)
    assert (operation.key, operation.args) == ("k", ("a",))
    [operation] = jepsen_edn("{:process 1 :type :invoke :f :cas :value [7 [0 1]]}", keyed=True)
    assert (operation.key, operation.args) == ("7", (0, 1))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{:type :invoke, :f :read}", "event 1 has no 'process'"),
        ("{:process 1, :type :ok, :f :read, :value 1}", "event 1: process 1 answers what it never asked"),
        ("{:process 1, :type :invoke, :f :read} {:process 1, :type :invoke, :f :read}", "event 2: .* asks again"),
        ("{:process 1, :type :invoke, :f :read} {:process 1, :type :maybe, :f :read}", "event 2: unknown type 'maybe'"),
        (
            "{:process 1, :type :invoke, :f :read, :time :late}",
            "event 1: a time is a number of nanoseconds, not 'late'",
        ),
        ("{:process 1, :type :invoke, :f :read, :time nil}", "event 1: a time is a number of nanoseconds, not None"),
        (f"{{:process 1, :type :invoke, :f :read, :time {10**400}}}", "event 1: a time is a number of nanoseconds"),
        ("{:process 1, :type :invoke, :f :write, :value ##NaN}", "event 1: .* not JSON"),
        (f"{EDN}{{:process 0, :type :ok", "line 13: { is never closed"),
        ("42", "a Jepsen event is a map, not 42"),
        ("[" * 100_000, "too deeply"),
    ],
)
def test_what_is_no_jepsen_history_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        jepsen_edn(text)


def test_a_key_is_asked_for_only_where_there_is_one() -> None:
    with pytest.raises(ValueError, match="should be \\[key value\\]"):
        jepsen_edn("{:process 1, :type :invoke, :f :read, :value nil}", keyed=True)


def test_a_file_tells_which_kind_it_is(tmp_path: Path) -> None:
    path = tmp_path / "history"
    for text in (LOG, EDN, f"\n ;; a run\n[{EDN}]"):
        path.write_text(text, encoding="utf-8")
        assert [str(operation) for operation in read_history(path)] == TOLD
    path.write_text("\n".join(dump(jepsen_edn(EDN))), encoding="utf-8")
    assert read_history(path) == jepsen_edn(EDN)
    path.write_text("\n".join(dump(jepsen_edn(EDN))), encoding="utf-8-sig")
    assert read_history(path) == jepsen_edn(EDN), "what an editor puts before the first line does not matter"


@pytest.mark.parametrize("text", ["", "hello\nworld", '{"history": 2}', '{"schema": 1}'])
def test_a_file_of_no_kind_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError):
        read_history(path)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError):
        read_history(path)
