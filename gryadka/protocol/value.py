"""Values are JSON: readable in `redis-cli`, the same in every language, and never code.

Absence has one meaning: a register that was never written and one that holds `None` read alike.
"""

from __future__ import annotations

import json
from typing import Any

Value = Any
"""None, bool, int, float, text, a list of values, or a dict from text to values."""


def encode(value: Value) -> str:
    """Return the JSON text of `value`. Raises `TypeError`, `ValueError` or `RecursionError` for what JSON
    cannot hold: NaN and infinities, keys that are not text, lone surrogates, loops, other objects."""
    _check_keys(value)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text.encode()
    return text


def decode(text: str | None) -> Value:
    """Return a fresh copy of the value; None for a register that holds nothing."""
    return None if text is None else json.loads(text)


def _check_keys(value: Value) -> None:
    # json.dumps would turn the key 1 into "1" without a word.
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("the keys of a JSON object are text")
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            _check_keys(part)
