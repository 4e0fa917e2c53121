"""A run, written down: the one event type that drivers emit and every view and check can read.

Proposers and acceptors take an `observe` callback and hand it an `Event` for each thing that happens;
without a callback nothing is built. Events are immutable, and a list of them is a file of JSON lines:

    {"schema": 1}
    {"kind": "sent", "at_s": 0.01, "node": "proposer-7", "peer": "A", "key": "greeting", "message": {...}}

| kind | node | peer | what else it carries |
|---|---|---|---|
| change-begun, change-ended | proposer | | `change` (its number), `note` (how it ended) |
| sent | proposer | acceptor | `message` |
| delivered | proposer | acceptor | `message` that was answered, `reply` |
| failed | proposer | acceptor | `message`, `note`: why there is no answer |
| state | acceptor | | `message`, `reply`, `state` after it |
| dropped, duplicated, crashed, restarted, paused, resumed, partitioned, healed | | | `note` |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, Literal, get_args

from gryadka.errors import AcceptorError
from gryadka.protocol.acceptor import (
    Accept,
    Accepted,
    Ballot,
    Conflict,
    Message,
    Prepare,
    Promise,
    Reply,
    State,
)

SCHEMA = 1

Kind = Literal[
    "change-begun",
    "change-ended",
    "sent",
    "delivered",
    "failed",
    "state",
    "dropped",
    "duplicated",
    "crashed",
    "restarted",
    "paused",
    "resumed",
    "partitioned",
    "healed",
]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, `at_s` seconds after the clock's start, at `node`. See the module's table."""

    kind: Kind
    at_s: float
    node: str
    _: KW_ONLY
    peer: str | None = None
    key: str | None = None
    message: Message | None = None
    reply: Reply | None = None
    state: State | None = None
    change: int | None = None
    note: str | None = None

    def to_json(self) -> str:
        """Return the event as one line of JSON. Fields that hold nothing are left out."""
        present = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps({name: _plain(part) for name, part in present.items() if part is not None})

    @classmethod
    def from_json(cls, line: str) -> Event:
        """Read one line back. Raises `ValueError` for anything that `to_json` does not write."""
        try:
            event = cls(**{name: _rebuilt(part) for name, part in json.loads(line).items()})
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not a trace event: {error}") from error
        if event.kind not in get_args(Kind):
            raise ValueError(f"not a trace event: unknown kind {event.kind!r}")
        return event


Observe = Callable[[Event], None]
"""What proposers and acceptors call with each event. It must be quick, and must not raise."""

_TYPES: dict[str, Any] = {kind.__name__: kind for kind in (Prepare, Accept, Promise, Accepted, Conflict, State)}


def answered(reply: Reply | Exception) -> dict[str, Any]:
    """Return the parts of an event that say how a message was answered."""
    if isinstance(reply, Exception):
        return {"kind": "failed", "note": str(reply)}
    return {"kind": "delivered", "reply": reply}


def state_after(message: Message, reply: Reply | AcceptorError) -> State | None:
    """Return the state that an acceptor has once it says yes; None if it said no, or nothing."""
    if isinstance(message, Prepare) and isinstance(reply, Promise):
        return State(message.ballot, reply.accepted, reply.value)
    if isinstance(message, Accept) and isinstance(reply, Accepted):
        return State(message.promise, message.ballot, message.value)
    return None


def _plain(part: Any) -> Any:
    # A NamedTuple becomes {"type": its name, field: value...}; a ballot becomes [counter, proposer].
    if type(part).__name__ in _TYPES:
        return {"type": type(part).__name__, **part._asdict()}
    return part


def _rebuilt(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    kind = _TYPES[part["type"]]
    given = {name: Ballot(*value) if isinstance(value, list) else value for name, value in part.items()}
    del given["type"]
    return kind(**given)


def dump(events: Iterable[Event]) -> Iterator[str]:
    """Return the lines of a trace file: the schema's version, then one line an event."""
    yield json.dumps({"schema": SCHEMA})
    for event in events:
        yield event.to_json()


def load(lines: Iterable[str]) -> list[Event]:
    """Read a trace file's lines. Raises `ValueError` for another schema or a broken line, with its number."""
    events: list[Event] = []
    for number, line in enumerate(lines, start=1):
        try:
            if number == 1:
                if json.loads(line) != {"schema": SCHEMA}:
                    raise ValueError(f"the first line has to be {json.dumps({'schema': SCHEMA})}")
            elif line.strip():
                events.append(Event.from_json(line))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    return events
