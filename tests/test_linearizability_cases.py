"""Small histories: each convention has its counterexample, and each rule of the search one that it might lose."""

from __future__ import annotations

import pytest

from gryadka.checking.history import Operation, Refusal
from gryadka.checking.linearizability import (
    Model,
    Ok,
    Violation,
    check_versioned,
)
from tests.oracle import (
    CAS,
    COUNTER,
    KEY_VALUE,
    REGISTER,
    VERSIONED,
    assert_fails,
    assert_holds,
    did,
    failed,
    oracle,
    versioned,
)

# --- the rules that keep the search small lose no answer: histories that a hastier rule would judge wrongly

RULES: dict[str, tuple[Model, list[Operation]]] = {
    "1: a write of the value that is there already is no read": (
        KEY_VALUE,
        [
            did("append", "a", at=(3, 7), is_="aa"),
            did("append", "a", at=(4, 4), is_="a"),
            did("put", "a", at=(6, 7)),
            did("get", at=(8, 10), is_="a"),
        ],
    ),
    "2: a read has noticed, so what comes after it need not": (
        REGISTER,
        [
            did("write", 3, at=(1, None)),
            did("read", at=(6, 8), is_=3),
            did("write", 1, at=(7, 12)),
            did("read", at=(10, 12), is_=1),
        ],
    ),
    "3: the second of two alike is taken after the first": (
        COUNTER,
        [
            did("add", 2, at=(1, None)),
            did("read", at=(3, 5), is_=2),
            did("add", 2, at=(5, 9), is_=6),
            did("add", 2, at=(6, None)),
        ],
    ),
    "4: having used up other operations is not having used up more": (
        KEY_VALUE,
        [
            did("append", "a", at=(0, None)),
            did("put", "a", at=(2, None)),
            did("append", "b", at=(11, 15), is_="aab"),
        ],
    ),
    "4: having used up more is worse, not better": (
        KEY_VALUE,
        [
            did("put", "a", at=(0, 1)),
            did("append", "b", at=(3, 4), is_="ab"),
            did("put", "a", at=(4, 4)),
            did("append", "b", at=(6, 9), is_="ab"),
            did("put", "a", at=(9, None)),
            did("get", at=(10, 11), is_="a"),
        ],
    ),
    "5: a value may be left when it can be brought back": (
        CAS,
        [
            did("write", 2, at=(2, 5)),
            did("cas", 2, 1, at=(3, 6)),
            did("cas", 1, 2, at=(5, 8)),
            did("cas", 2, 0, at=(11, 13)),
        ],
    ),
    "5: what was put back can bring a value again": (
        CAS,
        [
            did("write", 0, at=(3, 9)),
            did("write", 2, at=(8, 9)),
            did("cas", 2, 0, at=(10, 10)),
            did("read", at=(11, 15), is_=0),
        ],
    ),
    "5: an unknown operation may wait for the value of another": (
        CAS,
        [did("write", 1, at=(1, None)), did("read", at=(8, 10), is_=0), did("cas", 1, 0, at=(8, None))],
    ),
    "5: a refusal that tells nothing may wait for any value": (
        CAS,
        [
            did("write", 1, at=(0, 1)),
            did("write", 2, at=(0, None)),
            did("cas", 1, 3, at=(2, 3), is_=Refusal()),
            did("write", 4, at=(4, 5)),
        ],
    ),
    "6: a value that somebody waits for is not overwritten": (
        CAS,
        [did("write", 3, at=(7, 10)), did("cas", 3, 3, at=(9, 12)), did("write", 1, at=(11, 15))],
    ),
    "6: a value that somebody waits for is not written too soon": (
        REGISTER,
        [did("read", at=(8, 12), is_=1), did("write", 1, at=(9, 11)), did("write", 0, at=(11, 15))],
    ),
    "6: an unknown operation may wait for a value as well": (
        CAS,
        [
            did("write", 1, at=(0, 9)),
            did("write", 2, at=(0, 9)),
            did("cas", 1, 5, at=(0, None)),
            did("cas", 5, 6, at=(0, 9)),
            did("read", at=(0, 9), is_=6),
        ],
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_no_rule_loses_an_answer(rule: str) -> None:
    model, operations = RULES[rule]
    assert oracle(operations, model.name)
    for some in (operations, operations[::-1]):
        assert_holds(some, model)


# --- conventions, each with the history that would be judged wrongly without it

CONVENTIONS: dict[str, tuple[Model, list[Operation], list[Operation]]] = {
    "an operation that ended is seen by all that begin later": (
        REGISTER,
        [did("write", 1, at=(0, 1)), did("write", 2, at=(2, 3)), did("read", at=(4, 5), is_=2)],
        [did("write", 1, at=(0, 1)), did("write", 2, at=(2, 3)), did("read", at=(4, 5), is_=1)],
    ),
    "operations that overlap may take effect in any order": (
        REGISTER,
        [
            did("write", 1, at=(0, 3)),
            did("read", at=(1, 2), is_=None),
            did("write", 2, at=(0, 3)),
            did("read", at=(4, 5), is_=1),
        ],
        [did("write", 1, at=(0, 3)), did("read", at=(4, 5), is_=None), did("write", 2, at=(0, 3))],
    ),
    "equal times overlap": (
        REGISTER,
        [did("write", 1, at=(0, 1)), did("read", at=(1, 2), is_=None)],
        [did("write", 1, at=(0, 1)), did("read", at=(1.001, 2), is_=None)],
    ),
    "a value that was seen is not unseen": (
        REGISTER,
        [did("write", 1, at=(0, 9)), did("read", at=(1, 2), is_=None), did("read", at=(3, 4), is_=1)],
        [did("write", 1, at=(0, 9)), did("read", at=(1, 2), is_=1), did("read", at=(3, 4), is_=None)],
    ),
    "an unknown operation may take effect at any later time": (
        REGISTER,
        [
            did("write", 1, at=(0, None)),
            did("write", 2, at=(1, 2)),
            did("read", at=(3, 4), is_=2),
            did("read", at=(5, 6), is_=1),
        ],
        [
            did("write", 1, at=(0, 1)),
            did("write", 2, at=(2, 3)),
            did("read", at=(4, 5), is_=2),
            did("read", at=(6, 7), is_=1),
        ],
    ),
    "an unknown operation may never take effect": (
        COUNTER,
        [did("add", 1, at=(0, None)), did("read", at=(1, 2), is_=0)],
        [did("add", 1, at=(0, 1)), did("read", at=(2, 3), is_=0)],
    ),
    "an unknown operation takes effect once at most": (
        REGISTER,
        [did("write", 1, at=(0, None)), did("write", 2, at=(1, 2)), did("read", at=(3, 4), is_=1)],
        [
            did("write", 1, at=(0, None)),
            did("read", at=(1, 2), is_=1),
            did("write", 2, at=(3, 4)),
            did("read", at=(5, 6), is_=1),
        ],
    ),
    "an unknown operation does not take effect before it began": (
        REGISTER,
        [did("read", at=(0, 2), is_=1), did("write", 1, at=(2, None))],
        [did("read", at=(0, 2), is_=1), did("write", 1, at=(3, None))],
    ),
    "an unknown read says nothing": (
        REGISTER,
        [did("write", 1, at=(0, 1)), did("read", at=(2, None)), did("read", at=(3, 4), is_=1)],
        [did("write", 1, at=(0, 1)), did("read", at=(2, 3), is_=2), did("read", at=(3, 4), is_=1)],
    ),
    "an unknown cas may have been refused": (
        CAS,
        [did("write", 1, at=(0, 1)), did("cas", 5, 6, at=(2, None)), did("read", at=(3, 4), is_=1)],
        [did("write", 1, at=(0, 1)), did("cas", 5, 6, at=(2, None)), did("read", at=(3, 4), is_=6)],
    ),
    "a failed operation never takes effect": (
        REGISTER,
        [failed("write", 1, at=(0, 1)), did("read", at=(2, 3), is_=None)],
        [failed("write", 1, at=(0, 1)), did("read", at=(2, 3), is_=1)],
    ),
    "a refusal is as good as a read": (
        CAS,
        [did("write", 1, at=(0, 1)), did("cas", 5, 6, at=(2, 3), is_=Refusal(1))],
        [did("write", 1, at=(0, 1)), did("cas", 5, 6, at=(2, 3), is_=Refusal(None))],
    ),
    "a refusal needs a reason": (
        CAS,
        [did("write", 1, at=(0, 1)), did("cas", 0, 6, at=(2, 3), is_=Refusal())],
        [did("write", 1, at=(0, 1)), did("cas", 1, 6, at=(2, 3), is_=Refusal())],
    ),
    "a cas that was made found its value": (
        CAS,
        [did("cas", None, 1, at=(0, 1)), did("cas", 1, 2, at=(0, 1))],
        [did("cas", None, 1, at=(0, 1)), did("cas", None, 2, at=(0, 1))],
    ),
    "writes that nobody reads still come in order": (
        CAS,
        [did("write", 1, at=(0, 3)), did("write", 2, at=(0, 3)), did("cas", 1, 3, at=(4, 5))],
        [did("write", 1, at=(0, 1)), did("write", 2, at=(2, 3)), did("cas", 1, 3, at=(4, 5))],
    ),
    "true is not 1": (
        REGISTER,
        [did("write", [True], at=(0, 1)), did("read", at=(2, 3), is_=[True])],
        [did("write", True, at=(0, 1)), did("read", at=(2, 3), is_=1)],
    ),
    "objects are equal whatever the order of their names": (
        REGISTER,
        [did("write", {"a": 1, "b": 2}, at=(0, 1)), did("read", at=(2, 3), is_={"b": 2, "a": 1})],
        [did("write", {"a": 1, "b": 2}, at=(0, 1)), did("read", at=(2, 3), is_={"b": 1, "a": 2})],
    ),
    "what was never written reads as null": (
        KEY_VALUE,
        [did("get", at=(0, 1), is_=None), did("append", "a", at=(2, 3)), did("get", at=(4, 5), is_="a")],
        [did("append", "a", at=(2, 3)), did("get", at=(4, 5), is_=None)],
    ),
    "an add that was told its total had that total": (
        COUNTER,
        [did("add", 1, at=(0, 3), is_=3), did("add", 2, at=(0, 3), is_=2), did("read", at=(4, 5), is_=3)],
        [did("add", 1, at=(0, 3), is_=1), did("add", 1, at=(0, 3), is_=1)],
    ),
    "keys are apart from one another": (
        REGISTER,
        [did("write", 1, at=(0, 1), key="a"), did("read", at=(2, 3), is_=None, key="b")],
        [did("write", 1, at=(0, 1), key="a"), did("read", at=(2, 3), is_=None, key="a")],
    ),
    "versions go up by one": (
        VERSIONED,
        [did("write", 7, at=(0, 1), is_=versioned(1, 7)), did("cas", 1, 8, at=(2, 3), is_=versioned(2, 8))],
        [did("write", 7, at=(0, 1), is_=versioned(1, 7)), did("cas", 1, 8, at=(2, 3), is_=versioned(3, 8))],
    ),
    "version 0 is read in two ways": (
        VERSIONED,
        [did("read", at=(0, 1), is_=None), did("read", at=(0, 1), is_=versioned(0, None)), did("cas", 0, 1, at=(2, 3))],
        [did("read", at=(0, 1), is_=versioned(0, 0))],
    ),
}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_convention(convention: str) -> None:
    model, good, bad = CONVENTIONS[convention]
    assert_holds(good, model)
    assert_fails(bad, model)
    assert oracle(bad, model.name) is False or convention == "true is not 1"
    if model is VERSIONED:
        assert isinstance(check_versioned(good), Ok)
        assert isinstance(check_versioned(bad), Violation)
