"""The short cut for versioned registers: what the versions tell, and what they contradict."""

from __future__ import annotations

import pytest

from gryadka.checking.history import Operation, Refusal
from gryadka.checking.linearizability import (
    Ok,
    Violation,
    check_versioned,
)
from tests.oracle import (
    VERSIONED,
    assert_explains,
    did,
    oracle,
    versioned,
)


@pytest.mark.parametrize(
    ("operations", "words", "shown"),
    [
        (
            [did("write", 1, at=(0, 1), is_=versioned(1, 1)), did("write", 2, at=(0, 1), is_=versioned(1, 2))],
            "two operations were both told that they made version 1",
            2,
        ),
        ([did("cas", 4, 1, at=(0, 1), is_=versioned(1, 1))], "a cas from version 4 made version 1", 1),
        ([did("write", 1, at=(0, 1), is_=versioned(1, 2))], "version 1 does not hold what its maker wrote", 1),
        ([did("cas", 0, 1, at=(0, 1), is_=Refusal(None))], "a cas from version 0 was refused at version 0", 1),
        ([did("write", 1, at=(0, 1), is_=versioned(0, 1))], "nobody writes a version below 1", 1),
        (
            [did("write", 1, at=(0, 1), is_=versioned(1, 1)), did("read", at=(0, 1), is_=versioned(1, 2))],
            "version 1 was seen with two different values",
            2,
        ),
        (
            [
                did("write", 1, at=(0, 1), is_=versioned(1, 1)),
                did("read", at=(2, 3), is_=versioned(1, 1)),
                did("read", at=(4, 5), is_=None),
            ],
            "after one had seen or made version 1, another began that had version 0",
            2,
        ),
        ([did("read", at=(0, 1), is_=versioned(2, 1))], "nothing that began in time can have made version 1", 1),
        (
            [did("write", 1, at=(4, None)), did("cas", 1, 5, at=(2, 3), is_=versioned(2, 5))],
            "nothing that began in time can have made version 1",
            1,
        ),
        (
            [did("cas", 0, 1, at=(4, None)), did("cas", 1, 5, at=(2, 3), is_=versioned(2, 5))],
            "nothing that began in time can have made version 1",
            1,
        ),
        (
            [did("write", 1, at=(5, None)), did("read", at=(0, 1), is_=versioned(1, 1))],
            "nothing that began in time can have made version 1",
            1,
        ),
        (
            [did("write", 9, at=(0, None)), did("read", at=(0, 1), is_=versioned(1, 1))],
            "nothing that began in time can have made version 1",
            1,
        ),
    ],
)
def test_a_version_that_cannot_be_is_named(operations: list[Operation], words: str, shown: int) -> None:
    verdict = check_versioned(operations)
    assert isinstance(verdict, Violation)
    assert words in verdict.reason and len(verdict.operations) == shown
    assert not oracle(verdict.operations, "versioned-register")


FILLED: dict[str, list[Operation]] = {
    "a write whose value was seen leaves the earlier ones to those who need them sooner": [
        did("write", 1, at=(0, None)),
        did("write", 1, at=(4, None)),
        did("cas", 1, 5, at=(2, 3), is_=versioned(2, 5)),
        did("read", at=(6, 7), is_=versioned(3, 1)),
    ],
    "a version is due when a later one is seen": [
        did("write", 1, at=(0, None)),
        did("write", 1, at=(4, None)),
        did("write", 2, at=(0, None)),
        did("read", at=(1, 9), is_=versioned(1, 1)),
        did("read", at=(2, 3), is_=versioned(2, 2)),
    ],
    "a cas goes where nothing else can": [
        did("write", 6, at=(0, None)),
        did("cas", 1, 6, at=(0, None)),
        did("read", at=(8, 9), is_=versioned(2, 6)),
    ],
    "what has effect without being seen is found a place": [
        did("cas", 0, 3, at=(0, None)),
        did("write", 4, at=(1, None)),
        did("cas", 2, 5, at=(2, 9), is_=versioned(3, 5)),
    ],
}


@pytest.mark.parametrize("case", FILLED)
def test_versions_that_nobody_is_known_to_have_made_are_accounted_for(case: str) -> None:
    verdict = check_versioned(FILLED[case])
    assert isinstance(verdict, Ok), verdict
    assert_explains(verdict, FILLED[case], VERSIONED)


def test_an_answer_that_does_not_tell_its_version_is_left_to_the_search() -> None:
    untold = [did("write", 5, at=(0, 1)), did("read", at=(2, 3), is_=versioned(1, 5))]
    assert isinstance(check_versioned(untold), Ok)
    assert isinstance(check_versioned([*untold, did("read", at=(4, 5), is_=None)]), Violation)


def test_what_is_no_versioned_value_is_refused() -> None:
    with pytest.raises(ValueError, match="a versioned value is"):
        check_versioned([did("read", at=(0, 1), is_=5)])
