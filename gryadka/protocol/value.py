"""Values are JSON: readable in `redis-cli`, the same in every language, and never code.

Absence has one meaning: a register that was never written and one that holds `None` read alike.

*Extension* to the paper: with each value its *lineage* is stored. It maps each proposer that the value
descends from to the counter of that proposer's latest ballot in the line, so that a proposer whose accept
got no clear answer can tell whether the present value descends from it:

    {"value": "hello", "lineage": {"17": 4, "23": 6}}

A lineage may begin with "0": once a register was forgotten (gryadka/operations/deletion.py), a new value of it
cannot name what it replaced, only a ballot that all of that was below.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gryadka.protocol.acceptor import Ballot

LINEAGE = 16
"""How many proposers a lineage names: those with the highest ballots."""

_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

Value = Any
"""None, bool, int, float, text, a list of values, or a dict from text to values."""


def encode(value: Value) -> str:
    """Return the JSON text of `value`. Raises `TypeError`, `ValueError` or `RecursionError` for what JSON
    cannot hold: NaN and infinities, keys that are not text, lone surrogates, loops, other objects."""
    _check_keys(value)
    text: str = _JSON.encode(value)
    text.encode()
    return text


def decode(text: str) -> Value:
    """Return a fresh copy of the value."""
    return json.loads(text)


def pack(text: str, lineage: Mapping[str, int], ballot: Ballot) -> str:
    """Return what an accept at `ballot` stores: a value's JSON text, and its lineage with that ballot added."""
    latest = dict(sorted({**lineage, str(ballot.proposer): ballot.counter}.items(), key=lambda kv: kv[1])[-LINEAGE:])
    return f'{{"value":{text},"lineage":{json.dumps(latest)}}}'


def unpack(stored: str | None) -> tuple[str, dict[str, int]]:
    """Return the value's JSON text and lineage; "null" and none for a register that holds nothing.

    Raises one of `errors.UNREADABLE` for what `pack` did not write.
    """
    # Taken apart as `pack` put it together: to parse a large value in order to write it again is slow.
    text, _, lineage = (stored or '{"value":null,"lineage":{}}').rpartition(',"lineage":')
    return text[len('{"value":') :], {proposer: int(counter) for proposer, counter in json.loads(lineage[:-1]).items()}


def reaches_below(lineage: Mapping[str, int], ballot: Ballot) -> bool:
    """Say whether every ancestor above `ballot` is sure to be covered: none was left out, or only older ones."""
    return ("0" not in lineage and len(lineage) < LINEAGE) or min(lineage.values()) < ballot.counter


def _check_keys(value: Value) -> None:
    # json.dumps would turn the key 1 into "1" without a word.
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("the keys of a JSON object are text")
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            _check_keys(part)
