"""What a lesson goes on with while the learner's own is unfinished, where the course needs no such thing itself."""

from __future__ import annotations

from gryadka.errors import ChangeRejected
from gryadka.proposer import Change
from gryadka.protocol.value import Value


def compare_and_set(expected: Value, new: Value) -> Change:
    """Return a change function that replaces `expected` by `new`, and raises `ChangeRejected` for any other value."""

    def change(value: Value) -> Value:
        if value != expected:
            raise ChangeRejected(f"{expected!r} was expected")
        return new

    return change
