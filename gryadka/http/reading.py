"""What a request says: its key, its conditions, its JSON. Pure functions from text to what it means.

Nothing is guessed. A condition that cannot be read is refused rather than left out: without it the request
would overwrite what its client has not seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote_to_bytes

from gryadka.http.failures import BadRequest, TooLarge
from gryadka.http.records import Condition
from gryadka.protocol.value import Value, encode

MAX_KEY_BYTES = 1024
MAX_BODY_BYTES = 1024 * 1024
MAX_DEPTH = 100
"""How many lists and objects may stand inside each other."""

_ETAG = re.compile(r'[ \t]*((?:W/)?"[^"\x00-\x20\x7f]*"|)[ \t]*(?:,|$)')  # or nothing between two commas


class Asked(NamedTuple):
    """A change that was asked for by name."""

    change: str
    arguments: dict[str, Any]


def read_key(path: str, prefix: str = "/kv/") -> str:
    """Return the key in a request's path, which Tornado gives as Latin-1. Raises `BadRequest`."""
    try:
        key = unquote_to_bytes(path.removeprefix(prefix).encode("latin-1")).decode()
    except UnicodeError:
        raise BadRequest("the key is not UTF-8: percent-encode its bytes in UTF-8") from None
    check_key(key)
    return key


def check_key(key: str) -> None:
    """Raise `BadRequest` for a key that is empty, too long, or not to be had in UTF-8."""
    try:
        size = len(key.encode())
    except UnicodeError:
        raise BadRequest("a key is any text that UTF-8 can hold; this one is not") from None
    if not size:
        raise BadRequest("the key is empty: ask for /kv/ and a key")
    if size > MAX_KEY_BYTES:
        raise BadRequest(f"the key has {size} bytes; {MAX_KEY_BYTES} are allowed", 414, "key-too-long")


def read_condition(if_match: str | None, if_none_match: str | None) -> Condition:
    """Return what both headers ask for. Raises `BadRequest` for one that cannot be read."""
    # A weak ETag never matches in If-Match; in If-None-Match it matches as its strong one (RFC 9110, 13.1).
    weak = [etag.removeprefix("W/") for etag in _etags("If-None-Match", if_none_match)]
    return Condition(tuple(_etags("If-Match", if_match)), tuple(weak))


def _etags(name: str, header: str | None) -> list[str]:
    if header is None or header.strip(" \t") == "*":
        return [] if header is None else ["*"]
    etags: list[str] = []
    at = 0
    while found := at < len(header) and _ETAG.match(header, at):
        if found[1]:
            etags.append(found[1])
        at = found.end()
    if at < len(header) or not etags:
        raise BadRequest(f'{name} cannot be read: it is * or ETags in their quotes, as in {name}: "3-9f86d081"')
    return etags


def read_once(header: str | None) -> str | None:
    """Return the Idempotency-Key. Raises `BadRequest` for one that is empty, too long or not printable."""
    if header is not None and not re.fullmatch(r"[\x21-\x7e]{1,255}", header):
        raise BadRequest("an Idempotency-Key is made of 1 to 255 printable ASCII characters: a random UUID will do")
    return header


def read_json(body: bytes) -> Value:
    """Return the value in a body. Raises `BadRequest` for what is not JSON, `TooLarge` for too much of it."""
    try:
        value = json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON in UTF-8 ({_short(error)}); text needs its quotes") from None
    try:
        check_value(value)
    except ValueError as error:
        raise BadRequest(f"the body cannot be stored: {error}") from None
    return value


def check_value(value: Value) -> None:
    """Raise `TooLarge` for a value that is too large to be stored, `ValueError` for one that is not JSON."""
    if _deeper_than(MAX_DEPTH, value):
        raise ValueError(f"more than {MAX_DEPTH} lists and objects stand inside each other")
    try:
        size = len(encode(value).encode())
    except (TypeError, ValueError) as error:  # an infinity, half of a surrogate pair, a number of 4,301 digits
        raise ValueError(f"it is not JSON ({_short(error)})") from None
    if size > MAX_BODY_BYTES:
        raise TooLarge(f"the value has {size} bytes of JSON; {MAX_BODY_BYTES} are allowed")


def read_asked(body: bytes) -> Asked:
    """Return the change that a POST asks for. Raises `BadRequest`."""
    asked = read_json(body)
    if (
        not isinstance(asked, dict)
        or not {"change"} <= asked.keys() <= {"change", "arguments"}
        or not isinstance(asked["change"], str)
        or not isinstance(asked.get("arguments", {}), dict)
    ):
        raise BadRequest('a change is asked for as {"change": "increment", "arguments": {"by": 2}}')
    return Asked(asked["change"], asked.get("arguments", {}))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _short(error: Exception) -> str:
    # Errors of UTF-8 and JSON may repeat what they were given.
    return error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__


def _deeper_than(limit: int, value: Value) -> bool:
    # Level by level, without recursion, whose own limit depends on who calls.
    level = _inside([value])
    for _ in range(limit):
        level = _inside(part for outer in level for part in (outer.values() if isinstance(outer, dict) else outer))
    return bool(level)


def _inside(values: Iterable[Value]) -> list[Any]:
    return [value for value in values if isinstance(value, dict | list | tuple)]
