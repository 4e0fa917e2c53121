"""Histories: who asked for what, when, and what came back.

What may live here: the operations of clients, a recorder for them, and their form on disk. No opinion on
whether a history is right (that is `linearizability`), no protocol, no network.

The theory in a few lines (Herlihy and Wing, "Linearizability: a correctness condition for concurrent
objects", 1990). A client sees an operation as an interval: from the moment it asked to the moment it knew.
The operation took effect at one instant inside that interval. Three things can be known at its end:

| outcome | what it means | the interval |
|---|---|---|
| ok | it took effect, and gave this result | ends when the result came |
| failed | it certainly took no effect, and never will | ends when that was known |
| unknown | it may have taken effect, may do so later, or never will | never ends |

A refused change (a compare-and-set that found another value) is *ok*: it saw the register, as a read does.
Its result is a `Refusal`.

    >>> recorder = Recorder(clock=iter([0.0, 1.0, 2.0]).__next__)
    >>> with recorder.operation(process=1, f="write", args=(7,)) as writing:
    ...     writing.ok()
    >>> reading = recorder.begin(process=2, f="read")      # never answered
    >>> [operation.outcome.value for operation in recorder.history()]
    ['ok', 'unknown']
    >>> print(recorder.history()[0])
    process 1: write(7)

On disk a history is JSON lines: `{"history": 1}` (the version of this form), then one operation a line:

    {"process": 1, "key": "x", "f": "cas", "args": [0, 1], "outcome": "ok", "result": 1,
     "invoked_s": 0.5, "completed_s": 0.75}

`result` is left out when nothing is known of it, `completed_s` when the outcome is unknown; a refusal has
`"refused": true`, and in `result` the value that it saw. Lines may stand in any order.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeVar, overload

from gryadka.errors import ChangeRejected, NotApplied
from gryadka.protocol.value import Value, decode, encode

VERSION = 1

T = TypeVar("T")


class Outcome(Enum):
    """What is known of an operation at its end. See the module's table."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Untold(Enum):
    """The one value of this type says: a result exists, perhaps, but nobody told us. (`None` is a value.)"""

    UNTOLD = "untold"

    def __repr__(self) -> str:
        return "UNTOLD"


UNTOLD = Untold.UNTOLD


@dataclass(frozen=True, slots=True)
class Refusal:
    """The result of a change that was refused; `value` is what it saw, or `UNTOLD`."""

    value: Value | Untold = UNTOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of one client.

    `f` names the function and `args` are its arguments, for example `"cas"` and `(0, 1)`. `result` is a JSON
    value, a `Refusal`, or `UNTOLD`. Times are seconds of one clock that never goes back; `completed_s` is
    None exactly when the outcome is unknown. Values inside `args` and `result` are not to be changed.
    Raises `ValueError` when the times and the outcome do not fit together.
    """

    process: int | str
    f: str
    args: tuple[Value, ...] = ()
    key: str = ""
    outcome: Outcome = Outcome.UNKNOWN
    result: Value | Refusal | Untold = UNTOLD
    invoked_s: float
    completed_s: float | None = None

    def __post_init__(self) -> None:
        if not all(abs(at_s) <= sys.float_info.max for at_s in (self.invoked_s, self.completed_s or 0.0)):
            raise ValueError("times are finite numbers of seconds")
        if (self.completed_s is None) != (self.outcome is Outcome.UNKNOWN):
            raise ValueError("an operation has an end exactly when its outcome is known")
        if self.completed_s is not None and self.completed_s < self.invoked_s:
            raise ValueError(f"it ends at {self.completed_s}, before it begins at {self.invoked_s}")
        if self.outcome is not Outcome.OK and self.result is not UNTOLD:
            raise ValueError("only an operation that is ok has a result")

    def __str__(self) -> str:
        call = f"process {self.process}: {self.f}({', '.join(map(encode, self.args))})"
        if self.outcome is not Outcome.OK:
            return f"{call} ({self.outcome.value})"
        if isinstance(self.result, Refusal):
            seen = self.result.value
            return f"{call} refused" + ("" if seen is UNTOLD else f", saw {encode(seen)}")
        return call if self.result is UNTOLD else f"{call} = {encode(self.result)}"

    def to_json(self) -> str:
        """Return the operation as one line of JSON, in the form that the module describes."""
        told: dict[str, Any] = {
            "process": self.process,
            "key": self.key,
            "f": self.f,
            "args": list(self.args),
            "outcome": self.outcome.value,
        }
        result = self.result
        if isinstance(result, Refusal):
            told["refused"] = True
            result = result.value
        if result is not UNTOLD:
            told["result"] = result
        told["invoked_s"] = self.invoked_s
        if self.completed_s is not None:
            told["completed_s"] = self.completed_s
        return encode(told)

    @classmethod
    def from_json(cls, line: str) -> Operation:
        """Read one line back. Raises `ValueError` for anything that `to_json` does not write."""
        told = json.loads(line)
        encode(told)  # Python reads NaN and lone surrogates, which are not JSON
        if not isinstance(told, dict) or not _FIELDS.keys() >= told.keys() >= _NEEDED:
            raise ValueError(f"an operation has the fields {', '.join(_FIELDS)} (some may be left out)")
        for name, kinds in _FIELDS.items():
            if kinds and name in told and type(told[name]) not in kinds:
                raise ValueError(f"{name} cannot be {encode(told[name])}")
        refused = told.pop("refused", False)
        told["args"] = tuple(told.get("args", ()))
        told["outcome"] = Outcome(told["outcome"])
        if refused:
            told["result"] = Refusal(told.get("result", UNTOLD))
        return cls(**told)


_FIELDS: dict[str, tuple[type, ...]] = {
    "process": (int, str),
    "key": (str,),
    "f": (str,),
    "args": (list,),
    "outcome": (str,),
    "refused": (bool,),
    "result": (),  # any JSON value
    "invoked_s": (int, float),
    "completed_s": (int, float),
}
_NEEDED = {"process", "f", "outcome", "invoked_s"}


class History(Sequence[Operation]):
    """Operations in the order in which they were begun. Immutable."""

    def __init__(self, operations: Iterable[Operation] = ()) -> None:
        self._operations = tuple(sorted(operations, key=lambda operation: operation.invoked_s))

    @overload
    def __getitem__(self, index: int) -> Operation: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Operation, ...]: ...
    def __getitem__(self, index: int | slice) -> Operation | tuple[Operation, ...]:
        return self._operations[index]

    def __len__(self) -> int:
        return len(self._operations)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self._operations == other._operations

    __hash__ = None  # type: ignore[assignment]  # values may be lists

    def __repr__(self) -> str:
        return f"History({list(self._operations)!r})"

    def by_key(self) -> dict[str, list[Operation]]:
        """Return the operations of each key, keys in the order in which they were first touched."""
        keys: dict[str, list[Operation]] = {}
        for operation in self._operations:
            keys.setdefault(operation.key, []).append(operation)
        return keys


def dump(history: Iterable[Operation]) -> Iterator[str]:
    """Return the lines of a history file: the version of the form, then one line an operation."""
    yield json.dumps({"history": VERSION})
    for operation in history:
        yield operation.to_json()


def load(lines: Iterable[str]) -> History:
    """Read a history file's lines. Raises `ValueError` for another form or a broken line, with its number."""
    operations: list[Operation] = []
    for number, line in enumerate(lines, start=1):
        try:
            if number == 1:
                if json.loads(line) != {"history": VERSION}:
                    raise ValueError(f"the first line has to be {json.dumps({'history': VERSION})}")
            elif line.strip():
                operations.append(Operation.from_json(line))
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number}: not JSON, from column {error.colno} on; was it cut off?") from error
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {number}: {error}") from error
    return History(operations)


class Begun:
    """An operation under way. Exactly one of `ok`, `failed` and `unknown` ends it; without one it is unknown."""

    def __init__(self, clock: Callable[[], float], operation: Operation) -> None:
        self._clock = clock
        self.operation = operation
        self.ended = False

    def ok(self, result: Value | Refusal | Untold = UNTOLD) -> None:
        """It took effect, or was refused, with this result. Raises `TypeError` if it cannot be JSON."""
        self._end(Outcome.OK, _copied(result), self._clock())

    def failed(self) -> None:
        """It certainly took no effect and never will."""
        self._end(Outcome.FAILED, UNTOLD, self._clock())

    def unknown(self) -> None:
        """Nothing is known of it, so it stays open to the end of the history."""
        self._end(Outcome.UNKNOWN, UNTOLD, None)

    def _end(self, outcome: Outcome, result: Value | Refusal | Untold, completed_s: float | None) -> None:
        if self.ended:
            raise RuntimeError(f"this operation has ended already: {self.operation}")
        self.operation = replace(self.operation, outcome=outcome, result=result, completed_s=completed_s)
        self.ended = True


class Recorder:
    """Writes down the operations of any number of clients that share one thread.

    `clock` gives seconds and never goes back: `time.monotonic`, or a simulator's virtual clock. The recorder
    sees one event after another, and keeps what it saw: when the clock stands still between two events, the
    later one is moved on by the smallest step that a float has. So a client's operations stay in their order
    even when virtual time does not pass between them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_s = -math.inf
        self._begun: list[Begun] = []

    def begin(self, *, process: int | str, f: str, args: Sequence[Value] = (), key: str = "") -> Begun:
        """Write down that an operation begins now. Raises `TypeError` or `ValueError` if `args` is not JSON."""
        operation = Operation(process=process, f=f, args=tuple(_copied(args)), key=key, invoked_s=self._now_s())
        begun = Begun(self._now_s, operation)
        self._begun.append(begun)
        return begun

    @contextmanager
    def operation(self, *, process: int | str, f: str, args: Sequence[Value] = (), key: str = "") -> Iterator[Begun]:
        """Write down what the `with` block does. The block calls `.ok(result)`; an error ends it otherwise.

        `ChangeRejected` is ok with a `Refusal`, `NotApplied` is failed. Any other error, cancellation and
        `OutcomeUnknown` included, is unknown: that is always safe to say. Errors are raised on.
        """
        begun = self.begin(process=process, f=f, args=args, key=key)
        try:
            yield begun
        except ChangeRejected as refusal:
            begun.ok(Refusal(refusal.value))
            raise
        except NotApplied:
            begun.failed()
            raise

    async def record(
        self, change: Awaitable[T], *, process: int | str, f: str, args: Sequence[Value] = (), key: str = ""
    ) -> T:
        """Await `change`, write it down with its result, and return that. Raises what `change` raises.

        value = await recorder.record(proposer.change("x", add_one), process=1, f="add", args=(1,), key="x")
        """
        with self.operation(process=process, f=f, args=args, key=key) as begun:
            result = await change
            begun.ok(result)
        return result

    def history(self) -> History:
        """Return what was written down so far; operations still under way are unknown."""
        return History(begun.operation for begun in self._begun)

    def _now_s(self) -> float:
        self._last_s = max(self._clock(), math.nextafter(self._last_s, math.inf))
        return self._last_s


def _copied(value: Any) -> Any:
    # A client may go on changing the lists and dicts that it passed or got.
    if value is UNTOLD:
        return UNTOLD
    if isinstance(value, Refusal):
        return Refusal(_copied(value.value))
    return decode(encode(value))
