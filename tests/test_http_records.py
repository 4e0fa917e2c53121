"""What the HTTP store keeps in a register, and how requests change it: without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gryadka.http import reading
from gryadka.http.changes import STANDARD, Changed, find
from gryadka.http.failures import (
    REFUSALS,
    BadRequest,
    DoesNotFit,
    KeyReused,
    NotARecord,
    NotFound,
    PreconditionFailed,
    Refused,
    TooLarge,
)
from gryadka.http.records import (
    ANSWERS,
    ANSWERS_BYTES,
    Condition,
    Record,
    Request,
    Write,
    answer,
    apply,
    deleted,
    from_stored,
    to_stored,
    written,
)


def put(value: Any, result: Any = None, incarnation: str = "a") -> Write:
    return lambda record: written(record, value, result, incarnation)


def once(key: str, fingerprint: str = "f") -> Request:
    return Request("a", once=key, fingerprint=fingerprint)


ONCE = Request("a")


# -- versions, incarnations, deletion --------------------------------------------------------------------


def test_each_change_adds_one_to_the_version_and_keeps_the_incarnation() -> None:
    stored = apply(None, ONCE, put("milk"))
    assert stored == {"store": 1, "value": "milk", "version": 1, "incarnation": "a"}
    assert from_stored(apply(stored, ONCE, put("bread", incarnation="b"))).etag == '"2-a"'


def test_a_record_made_again_never_has_an_old_etag() -> None:
    first = apply(None, ONCE, put("milk"))
    gone = apply(first, ONCE, deleted)
    assert gone is None  # as in all of Gryadka, so it can be collected
    again = apply(gone, ONCE, put("milk", incarnation="b"))
    assert (from_stored(first).etag, from_stored(again).etag) == ('"1-a"', '"1-b"')
    with pytest.raises(PreconditionFailed):
        apply(again, Request("c", Condition(match=('"1-a"',))), put("bread"))


def test_nothing_cannot_be_deleted() -> None:
    with pytest.raises(NotFound):
        apply(None, ONCE, deleted)


def test_null_is_a_value() -> None:
    stored = apply(None, ONCE, put(None))
    assert from_stored(stored).exists and stored is not None


@pytest.mark.parametrize("stored", ["hello", 0, [], {}, {"value": 1}, {"ver": 1, "val": 2}, {"store": 2, "value": 1}])
def test_what_something_else_wrote_is_never_taken_for_a_record(stored: Any) -> None:
    with pytest.raises(NotARecord):
        apply(stored, ONCE, put("milk"))


@given(
    st.builds(
        Record,
        value=st.none() | st.text() | st.lists(st.integers()),
        version=st.integers(1),
        incarnation=st.text(),
        result=st.none() | st.integers(),
        answers=st.dictionaries(st.text(), st.tuples(st.text(), st.none() | st.text(), st.none() | st.integers())),
    )
)
def test_a_record_is_read_back_as_it_was_stored(record: Record) -> None:
    assert from_stored(json.loads(json.dumps(to_stored(record)))) == record


# -- conditions ------------------------------------------------------------------------------------------

HERE = to_stored(Record("milk", 3, "a"))


@pytest.mark.parametrize(
    ("stored", "match", "none_match", "holds"),
    [
        (HERE, (), (), True),
        (HERE, ('"3-a"',), (), True),
        (HERE, ('"9-z"', '"3-a"'), (), True),
        (HERE, ('"2-a"',), (), False),
        (HERE, ('W/"3-a"',), (), False),  # a weak one is never strong enough
        (HERE, ("*",), (), True),
        (HERE, (), ("*",), False),
        (HERE, (), ('"3-a"',), False),
        (HERE, (), ('"2-a"',), True),
        (HERE, ("*",), ("*",), False),
        (None, ("*",), (), False),
        (None, ('"3-a"',), (), False),
        (None, (), ("*",), True),
        (None, (), ('"3-a"',), True),
        ({"store": 1, "answers": {"k": ["f", None, None]}}, ("*",), (), False),
        ({"store": 1, "answers": {"k": ["f", None, None]}}, (), ("*",), True),
    ],
)
def test_conditions(stored: Any, match: tuple[str, ...], none_match: tuple[str, ...], holds: bool) -> None:
    request = Request("b", Condition(match, none_match))
    if holds:
        assert from_stored(apply(stored, request, put("bread"))).value == "bread"
    else:
        with pytest.raises(PreconditionFailed):
            apply(stored, request, put("bread"))


@pytest.mark.parametrize(
    ("header", "etags"),
    [
        (None, ()),
        ("*", ("*",)),
        (' "1-a"', ('"1-a"',)),
        ('"1-a", W/"2-b","3,c"', ('"1-a"', 'W/"2-b"', '"3,c"')),
        ('""', ('""',)),
        (' , "1-a",\t,,"2-b", ', ('"1-a"', '"2-b"')),  # RFC 9110, 5.6.1: elements may be empty
    ],
)
def test_etags_are_read(header: str | None, etags: tuple[str, ...]) -> None:
    assert reading.read_condition(header, None).match == etags


def test_a_weak_etag_is_enough_for_if_none_match() -> None:
    assert reading.read_condition(None, 'W/"1-a"').none_match == ('"1-a"',)


@pytest.mark.parametrize(
    "header", ["", ",", " , ,", "1-a", '"1-a', '1-a"', '"1-a" "2-b"', '*, "1-a"', '"1-a" x', "w/", '"a\x00"']
)
def test_a_condition_that_cannot_be_read_is_never_left_out(header: str) -> None:
    for headers in ((header, None), (None, header)):
        with pytest.raises(BadRequest, match="cannot be read"):
            reading.read_condition(*headers)


# -- answers that are kept -------------------------------------------------------------------------------


def test_a_request_that_comes_again_gets_the_first_answer_and_changes_nothing() -> None:
    stored = apply(None, once("k"), put(1, result="first"))
    first = answer(stored, "k")
    later = apply(stored, ONCE, put(2, result="second"))
    assert apply(later, once("k"), put(3)) == later
    assert answer(later, "k") == first and (first.etag, first.result) == ('"1-a"', "first")


def test_an_answer_outlives_the_record_so_a_late_repeat_does_not_bring_it_back() -> None:
    stored = apply(apply(None, once("k"), put(1, result=1)), ONCE, deleted)
    assert not from_stored(stored).exists
    assert apply(stored, once("k"), put(1)) == stored and answer(stored, "k").result == 1
    again = apply(stored, Request("b"), put(5, incarnation="b"))
    assert from_stored(again).etag == '"1-b"' and answer(again, "k").etag == '"1-a"'


def test_a_key_of_another_request_is_refused() -> None:
    stored = apply(None, once("k"), put(1))
    with pytest.raises(KeyReused):
        apply(stored, once("k", fingerprint="g"), put(2))


def test_a_refusal_leaves_no_answer() -> None:
    with pytest.raises(NotFound):
        apply(None, once("k"), deleted)
    stored = apply(None, ONCE, put(1))
    assert apply(stored, once("k"), deleted) == {"store": 1, "answers": {"k": ("f", None, None)}}


def test_answers_are_bounded_in_number_and_the_latest_are_kept() -> None:
    stored = None
    for number in range(ANSWERS + 50):
        stored = apply(stored, once(str(number)), put(number))
    assert list(from_stored(stored).answers) == [str(number) for number in range(50, ANSWERS + 50)]


def test_the_answers_that_are_kept_fit_and_one_more_would_not() -> None:
    stored = None
    for number in range(200):
        stored = apply(stored, once(f"key {number}"), put(0, result="т" * (number % 7 * 100)))
    kept = stored["answers"]
    assert len(json.dumps(kept, ensure_ascii=False).encode()) <= ANSWERS_BYTES
    first = 200 - len(kept)
    assert list(kept) == [f"key {number}" for number in range(first, 200)] and first > 0
    more = {f"key {first - 1}": ("f", f'"{first}-a"', "т" * ((first - 1) % 7 * 100)), **kept}
    assert len(json.dumps(more, ensure_ascii=False).encode()) > ANSWERS_BYTES


def test_answers_are_bounded_in_size_but_for_the_latest_one() -> None:
    stored = None
    for number in range(5):
        stored = apply(stored, once(str(number)), put(0, result="x" * (ANSWERS_BYTES // 3)))
    assert list(from_stored(stored).answers) == ["3", "4"]
    stored = apply(stored, once("large"), put(0, result="x" * ANSWERS_BYTES))
    assert list(from_stored(stored).answers) == ["large"]
    assert answer(stored, "large").result == "x" * ANSWERS_BYTES


# -- changes by name -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "arguments", "after", "result"),
    [
        ("increment", None, {}, 1, 1),
        ("increment", 2, {"by": -0.5}, 1.5, 1.5),
        ("append", None, {"item": None}, [None], 1),
        ("append", [1], {"item": [2]}, [1, [2]], 2),
        ("take", [1, 2], {}, [2], 1),
        ("merge", None, {"patch": {"a": {"b": 1, "c": None}}}, {"a": {"b": 1}}, None),
        (
            "merge",
            {"a": 1, "b": {"c": 2, "d": 3}},
            {"patch": {"a": None, "b": {"c": 4}}},
            {"b": {"c": 4, "d": 3}},
            None,
        ),
        ("merge", {"a": 1}, {"patch": [1]}, [1], None),
    ],
)
def test_the_standard_changes(name: str, value: Any, arguments: dict[str, Any], after: Any, result: Any) -> None:
    assert find(STANDARD, name, arguments)(value) == Changed(after, result)


@pytest.mark.parametrize(
    ("name", "value", "arguments"),
    [
        ("increment", "1", {}),
        ("increment", True, {}),
        ("increment", 1, {"by": True}),
        ("increment", 1, {"by": None}),
        ("append", {}, {"item": 1}),
        ("take", None, {}),
        ("take", "text", {}),
    ],
)
def test_a_value_that_does_not_fit_is_refused(name: str, value: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(DoesNotFit):
        find(STANDARD, name, arguments)(value)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("nonsense", {}), ("__class__", {}), ("append", {}), ("increment", {"value": 1}), ("increment", {"more": 1})],
)
def test_an_unknown_change_or_other_arguments_are_refused_before_anything_is_sent(
    name: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(BadRequest):
        find(STANDARD, name, arguments)


# -- what a request says ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/kv/a", "a"),
        ("/kv/a/b", "a/b"),
        ("/kv/a%2Fb%00%20+", "a/b\x00 +"),
        ("/kv/%D1%82", "т"),
        ("/kv/\xd1\x82", "т"),  # sent as bytes, which Tornado reads as Latin-1
        ("/kv/%25zz%zz", "%zz%zz"),
        ("/kv//kv/a", "/kv/a"),
        ("/kv/" + "k" * 1024, "k" * 1024),
    ],
)
def test_keys_are_read(path: str, key: str) -> None:
    assert reading.read_key(path) == key


@pytest.mark.parametrize(
    ("path", "status"), [("/kv/", 400), ("/kv/%FF", 400), ("/kv/%ED%A0%80", 400), ("/kv/" + "k" * 1025, 414)]
)
def test_a_key_that_cannot_be_is_refused(path: str, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        reading.read_key(path)
    assert caught.value.status == status


NESTED = "[" * reading.MAX_DEPTH + "]" * reading.MAX_DEPTH


@pytest.mark.parametrize("body", ["null", '"\u2028"', "1e300", "9" * 4300, NESTED, " [1] "])
def test_json_is_read(body: str) -> None:
    assert reading.read_json(body.encode()) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"{",
        b"NaN",
        b"-Infinity",
        b"1e999",
        b'"\\ud800"',
        b'{"\\ud800": 1}',
        b"\xff",
        b"\xef\xbb\xbf1",
        '"x"'.encode("utf-16"),
        b"9" * 4301,
        f"[{NESTED}]".encode(),
        b"[" * 500_000,
        b"{'a': 1}",
    ],
    ids=lambda body: f"{body[:20]!r} of {len(body)}",
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        reading.read_json(body)


def test_a_value_that_grows_when_it_is_stored_is_refused() -> None:
    with pytest.raises(TooLarge):
        reading.read_json(b"[" + b",".join([b"1e15"] * 150_000) + b"]")


@pytest.mark.parametrize(
    "body",
    ["1", "{}", '{"change": 1}', '{"change": "a", "arguments": []}', '{"change": "a", "more": 1}', '["change"]'],
)
def test_a_change_that_is_not_asked_for_as_it_should_be(body: str) -> None:
    with pytest.raises(BadRequest, match="asked for as"):
        reading.read_asked(body.encode())


@pytest.mark.parametrize("once_key", ["", " ", "a b", "\x00", "é", "k" * 256])
def test_an_idempotency_key_that_cannot_be(once_key: str) -> None:
    with pytest.raises(BadRequest):
        reading.read_once(once_key)


def test_every_refusal_has_a_word_of_its_own() -> None:
    assert set(REFUSALS.values()) == set(Refused.__subclasses__())
    assert all(kind.word == word for word, kind in REFUSALS.items())
