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
| state | acceptor | | `message`, `reply`, `state` after it; or, if no message changed it, `note` and `state` |
| dropped, duplicated, crashed, restarted, paused, resumed, partitioned, healed | | | `note` |

A `Trace` holds such events, saves and loads them, and gives a link: one line of text that stands for the run. Where
somebody has told the run in sentences, they stand in the first line: {"schema": 1, "captions": ["A promises 1:7"]}.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, overload

from gryadka.errors import AcceptorError
from gryadka.protocol.acceptor import (
    Accept,
    Accepted,
    Ballot,
    Conflict,
    Message,
    Prepare,
    Promise,
    Read,
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
    message: Message | Read | None = None
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


FORGOTTEN = "without what it had stored"
"""The note of a restart after which nothing is left of what the acceptor had promised and accepted."""

Observe = Callable[[Event], None]
"""What proposers and acceptors call with each event. It must be quick, and must not raise."""

_TYPES: dict[str, Any] = {kind.__name__: kind for kind in (Prepare, Accept, Read, Promise, Accepted, Conflict, State)}


def answered(reply: Reply | BaseException) -> dict[str, Any]:
    """Return the parts of an event that say how a message was answered."""
    if isinstance(reply, BaseException):
        return {"kind": "failed", "note": str(reply)}
    return {"kind": "delivered", "reply": reply}


def state_after(message: Message | Read, reply: Reply | AcceptorError) -> State | None:
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
    """Return the lines of a trace file: the schema's version, with captions if there are any, then a line an event."""
    captions = events.captions if isinstance(events, Trace) else ()
    yield json.dumps({"schema": SCHEMA} | ({"captions": captions} if captions else {}))
    for event in events:
        yield event.to_json()


def load(lines: Iterable[str]) -> list[Event]:
    """Read a trace file's lines. Raises `ValueError` for another schema or a broken line, with its number."""
    return list(_told(lines))


def _told(lines: Iterable[str]) -> Trace:
    events: list[Event] = []
    captions: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            if number == 1:
                captions = _captions(json.loads(line))
            elif line.strip():
                events.append(Event.from_json(line))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    return Trace(events, captions=captions)


def _captions(head: Any) -> list[str]:
    captions: Any = head.pop("captions", []) if isinstance(head, dict) else None
    told = isinstance(captions, list) and all(isinstance(caption, str) for caption in captions)
    if head != {"schema": SCHEMA} or not told:
        raise ValueError(f"the first line has to be {json.dumps({'schema': SCHEMA})}, and may hold captions")
    return list(captions)


# -- whole runs ------------------------------------------------------------------------------------------

LINK = "gryadka-events:"
"""How a link begins that holds the events themselves."""

MAX_LINK = 20_000_000
"""How many characters a link may unfold to: whoever sent it may mean harm."""


class Trace(Sequence[Event]):
    """The events of one run, in order. Immutable; a slice of it is a trace, too.

    `source` is a shorter text from which the run can be made again, if there is one: `gryadka.simulation.link`
    makes it. `captions` say what happened, step by step, if somebody has told it: a step is all the events
    that share their `at_s`.
    """

    def __init__(self, events: Iterable[Event] = (), *, source: str = "", captions: Iterable[str] = ()) -> None:
        self._events = tuple(events)
        self.source = source
        self.captions = tuple(captions)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Trace: ...
    def __getitem__(self, index: int | slice) -> Event | Trace:
        return Trace(self._events[index]) if isinstance(index, slice) else self._events[index]

    def __len__(self) -> int:
        return len(self._events)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trace) and self._events == other._events

    def __hash__(self) -> int:
        return hash(self._events)

    def __repr__(self) -> str:
        return f"<a trace of {len(self)} events>"

    def save(self, path: str | Path) -> None:
        """Write a trace file. Raises `OSError`."""
        Path(path).write_text("\n".join([*dump(self), ""]), encoding="utf-8")

    @staticmethod
    def load(path: str | Path) -> Trace:
        """Read a trace file. Raises `OSError`, and `ValueError` for anything that `save` does not write."""
        return _told(Path(path).read_text(encoding="utf-8").splitlines())

    def link(self) -> str:
        """Return one line of text, without spaces, from which `gryadka.simulation.link.rebuild` makes this run again.

        It is short if the run came from a scenario and a seed. Otherwise the events themselves are in it.
        """
        return self.source or LINK + fold("\n".join(dump(self)))

    @staticmethod
    def from_link(link: str) -> Trace:
        """Return the events that a link of the longer kind holds. Raises `ValueError` for any other text."""
        if not link.startswith(LINK):
            raise ValueError(f"a link with events in it begins with {LINK}")
        return _told(unfold(link.removeprefix(LINK)).splitlines())


def fold(text: str) -> str:
    """Return `text` in fewer characters, all of which may stand in a web address."""
    return base64.urlsafe_b64encode(zlib.compress(text.encode(), level=9)).decode().rstrip("=")


def unfold(folded: str) -> str:
    """Return the text that was folded. Raises `ValueError` for anything that `fold` does not return."""
    try:
        opened = zlib.decompressobj()
        text = opened.decompress(base64.urlsafe_b64decode(folded + "=" * (-len(folded) % 4)), MAX_LINK)
    except zlib.error as error:
        raise ValueError(f"the link is damaged: {error}") from None
    if not opened.eof:
        raise ValueError("the link is cut short, or holds far too much")
    return text.decode()
