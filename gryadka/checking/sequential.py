"""What a register that has a single client does: the models that a history is held against.

What may live here: models, and values in the form in which they see them. No search, no history as a whole.

The theory in a few lines. A history of many clients is right if it can be explained by a register that does one
operation after another. How such a register behaves is its *sequential specification* (Herlihy and Wing, 1990).
Here it is one pure function: from a value, and an operation with its result, to the next value, or to `ILLEGAL`.

    >>> step = MODELS["counter"].step
    >>> step(5, "add", (2,), 7)
    7
    >>> step(5, "add", (2,), 8)
    <Illegal.ILLEGAL: 'illegal'>
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from gryadka.checking.history import UNTOLD, Refusal
from gryadka.protocol.value import Value


class Illegal(Enum):
    """The one value of this type is what a model answers when an operation cannot come next."""

    ILLEGAL = "illegal"


ILLEGAL = Illegal.ILLEGAL

Step: TypeAlias = Callable[[Any, str, tuple[Any, ...], Any], Any]
Links: TypeAlias = Callable[[str, tuple[Any, ...], Any], tuple[Any, Any]]


@dataclass(frozen=True)
class Model:
    """What a register that has a single client does.

    `step(value, f, args, result)` is pure and gives the value after the operation, or `ILLEGAL` if the result
    cannot be. The result may be `UNTOLD` or a `Refusal`; a refusal leaves the value alone. `arity` lists the
    functions with their numbers of arguments; `reads` are those that never change the value. Lists, objects,
    true and false reach `step` as `Json`, because values have to be hashable.

    `links(f, args, result)`, for a register that only stores what it is given and compares for equality,
    tells the one value that the operation fits and the one that it leaves; `UNTOLD` stands for any value.
    """

    name: str
    initial: Hashable
    step: Step
    arity: Mapping[str, int]
    reads: frozenset[str] = frozenset({"read"})
    links: Links | None = None


class Json(NamedTuple):
    """A value by its JSON text: hashable, and true is not 1, as it would be in Python."""

    text: str


def freeze(value: Any) -> Any:
    """Return `value` as models see it."""
    if isinstance(value, Refusal):
        return Refusal(freeze(value.value))
    if value is None or value is UNTOLD or type(value) in (int, float, str):
        return value
    return Json(json.dumps(value, sort_keys=True))


def thaw(value: Any) -> Any:
    """Undo `freeze`."""
    return json.loads(value.text) if isinstance(value, Json) else value


def _saw(value: Any, result: Any, empty: Any = None) -> Any:
    # `value` if `result` says so, else ILLEGAL; None may also be told for a register that is `empty`.
    seen = result.value if isinstance(result, Refusal) else result
    return value if seen is UNTOLD or seen == value or (seen is None and value == empty) else ILLEGAL


def _register(value: Any, f: str, args: tuple[Any, ...], result: Any) -> Any:
    refused = isinstance(result, Refusal)
    if f == "cas" and (value == args[0]) is refused:
        return ILLEGAL
    return _saw(value, result) if refused or f == "read" else args[-1]


def _register_links(f: str, args: tuple[Any, ...], result: Any) -> tuple[Any, Any]:
    if isinstance(result, Refusal):
        return result.value, UNTOLD
    if f == "read":
        return result, UNTOLD
    return (args[0] if f == "cas" else UNTOLD), args[-1]


def _counter(value: Any, f: str, args: tuple[Any, ...], result: Any) -> Any:
    if f == "read" or isinstance(result, Refusal):
        return _saw(value, result, 0)
    return _saw(value + args[0], result)


def _key_value(value: Any, f: str, args: tuple[Any, ...], result: Any) -> Any:
    if f == "get" or isinstance(result, Refusal):
        return _saw(value, result, "")
    if f == "put":
        return args[0]
    return _saw(value + args[0], result) if isinstance(value, str) else ILLEGAL


NEVER_WRITTEN: Mapping[str, Value] = {"ver": 0, "val": None}
"""What a versioned register holds at first; null says the same."""


def _versioned(value: Any, f: str, args: tuple[Any, ...], result: Any) -> Any:
    version = thaw(value)["ver"]
    refused = isinstance(result, Refusal)
    if f == "cas" and (version == args[0]) is refused:
        return ILLEGAL
    if refused or f == "read":
        return _saw(value, result, freeze(NEVER_WRITTEN))
    return _saw(freeze({"ver": version + 1, "val": thaw(args[-1])}), result)


MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        Model("register", None, _register, {"read": 0, "write": 1}, links=_register_links),
        Model("cas-register", None, _register, {"read": 0, "write": 1, "cas": 2}, links=_register_links),
        Model("counter", 0, _counter, {"read": 0, "add": 1}),
        Model("key-value", "", _key_value, {"get": 0, "put": 1, "append": 1}, frozenset({"get"})),
        Model("versioned-register", freeze(NEVER_WRITTEN), _versioned, {"read": 0, "write": 1, "cas": 2}),
    )
}
"""By name. What was never written reads as null, or as 0 (counter), "" (key-value), `NEVER_WRITTEN` (versioned).

`cas(expected, new)` on a cas-register compares values. A versioned register holds `{"ver": n, "val": x}`,
with one version more for each write; its `cas(ver, val)` compares versions. `add`, `append`, and the changes
of a versioned register give the new value, if they tell one; what `write`, `put` and `cas` of the other
models tell is not looked at.
"""
