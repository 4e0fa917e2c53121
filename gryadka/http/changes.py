"""The changes that a client may ask for by name, and how to add more.

What may live here: pure functions from a value to the next one, and the lookup of their names. A server never
runs code that came over the network: over HTTP a change is a name from such a table, and JSON arguments.

To add one, write a function, and give the service a table with it:

    def double(value):
        return Changed(2 * value, result=2 * value)

    Store(proposer, changes=STANDARD | {"double": double})

A change gets the record's value (None if there is no record) and its arguments by name. It returns the next
value, and a result for the client; keep results small, since a record keeps those of its latest requests. It
has to be pure, as it may run more than once. It raises `DoesNotFit` for a value or an argument that it cannot
work with; its message is what the client reads.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gryadka.http.failures import BadRequest, DoesNotFit
from gryadka.protocol.value import Value


class Changed(NamedTuple):
    """What a named change returns: the record's next value, and what to tell the client."""

    value: Value
    result: Value = None


Named = Callable[..., Changed]
Changes = Mapping[str, Named]


def increment(value: Value, by: Value = 1) -> Changed:
    """Add `by` to a number, 0 if there is none. The result is the sum."""
    number = 0 if value is None else value
    if not _is_number(number) or not _is_number(by):
        raise DoesNotFit("increment adds a number to a number: look at the value and at the argument 'by'")
    return Changed(number + by, result=number + by)


def append(value: Value, item: Value) -> Changed:
    """Put `item` at the end of a list, empty if there is none. The result is the list's new length."""
    items = [*_list(value, "append"), item]
    return Changed(items, result=len(items))


def take(value: Value) -> Changed:
    """Take the first item off a list. The result is that item; a list with none does not fit."""
    items = _list(value, "take")
    if not items:
        raise DoesNotFit("the list is empty: append to it first")
    return Changed(items[1:], result=items[0])


def merge(value: Value, patch: Value) -> Changed:
    """Change some members of an object, by a JSON merge patch (RFC 7396): null removes a member."""
    return Changed(_merged(value, patch))


STANDARD: Changes = {"increment": increment, "append": append, "take": take, "merge": merge}


def find(changes: Changes, name: str, arguments: Mapping[str, Any]) -> Callable[[Value], Changed]:
    """Return the change called `name` with its arguments filled in.

    Raises `BadRequest` if there is no such change, or it does not take these arguments.
    """
    if name not in changes:
        raise BadRequest(f"there is no change called {name!r}; there are: {', '.join(sorted(changes))}")
    change = changes[name]
    try:
        inspect.signature(change).bind(None, **arguments)
    except TypeError as error:
        raise BadRequest(f"the change {name!r} does not take these arguments: {error}") from None
    return lambda value: change(value, **arguments)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)  # True is 1 in Python, not in JSON


def _list(value: Value, name: str) -> list[Value]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise DoesNotFit(f"{name} needs a list: look at the value")
    return value


def _merged(value: Value, patch: Value) -> Value:
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for name, part in patch.items():
        if part is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), part)
    return merged
