"""What a register holds for the HTTP store, and how a request changes it. Pure: no input, no output, no chance.

    {"store": 1, "value": ["milk"], "version": 3, "incarnation": "9f86d081884c7d65", "answers": {...}}

*Version and incarnation.* Each change of a record adds one to its version. A record that is created, for the
first time or after a deletion, gets a new random incarnation. The ETag is both, `"3-9f86d081884c7d65"`: so an
ETag of a deleted record never matches the one that took its key, although versions begin again from 1. Chance
comes from outside, with the request: a change function may run more than once, and has to do the same again.

*Answers.* A request with an `Idempotency-Key` leaves its answer in the record, in the same change that it
makes. So the answer is there exactly if the effect is, on whichever acceptors and through whichever proposer
the request comes again. The bound: a record keeps its last `ANSWERS` answers, in at most `ANSWERS_BYTES` bytes
of JSON (the latest one always). They are paid for at each change of the record, which is written as a whole.
A request that comes again after that many others on the same key is a new request; a client whose repeats may
come so late has to use `If-Match` instead. A refusal leaves nothing behind, and is judged anew.

*Deletion* is written by `to_stored` and read by `from_stored`, and nowhere else. A deleted record is None, as
in all of Gryadka; while it still has answers to keep, it is an object without a version. So a late repeat of a
request does not bring a deleted record back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from gryadka.http.failures import KeyReused, NotARecord, NotFound, PreconditionFailed
from gryadka.protocol.value import Value

FORM = 1
ANSWERS = 256
ANSWERS_BYTES = 32_768


@dataclass(frozen=True)
class Answer:
    """What a request that was applied is told: the record's new ETag (None: it is deleted), and a result."""

    etag: str | None
    result: Value = None

    @property
    def created(self) -> bool:
        """Whether the request made the record."""
        return self.etag is not None and self.etag.startswith('"1-')


@dataclass(frozen=True)
class Record:
    """A record as it is stored. Version 0 says that there is none, or none any more.

    `result` is that of the latest change. `answers` maps an Idempotency-Key to the fingerprint of its request
    and the parts of its answer.
    """

    value: Value = None
    version: int = 0
    incarnation: str = ""
    result: Value = None
    answers: Mapping[str, tuple[str, str | None, Value]] = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        """Whether there is a value, which may be null."""
        return self.version > 0

    @property
    def etag(self) -> str | None:
        """The ETag in its quotes; None if there is no record."""
        return f'"{self.version}-{self.incarnation}"' if self.exists else None


def from_stored(stored: Value) -> Record:
    """Return the record in a register. Raises `NotARecord` for anything that `to_stored` did not write."""
    if stored is None:
        return Record()
    if not isinstance(stored, dict) or stored.get("store") != FORM:
        raise NotARecord(
            "this register was not written by the HTTP store: use another key, or give the store a namespace of its own"
        )
    fields = {name: part for name, part in stored.items() if name not in ("store", "answers")}
    return Record(**fields, answers={key: tuple(kept) for key, kept in stored.get("answers", {}).items()})


def is_deleted(stored: Value) -> bool:
    """Say whether a register holds a deleted record, and not something that the store did not write."""
    try:
        return not from_stored(stored).exists
    except NotARecord:
        return False


def to_stored(record: Record) -> Value:
    """Return what a register holds for this record: None if it is deleted and has no answers to keep."""
    answers = {"answers": record.answers} if record.answers else {}
    if not record.exists:
        return {"store": FORM, **answers} if answers else None
    result = {"result": record.result} if record.result is not None else {}
    parts = {"value": record.value, "version": record.version, "incarnation": record.incarnation}
    return {"store": FORM, **parts, **result, **answers}


@dataclass(frozen=True)
class Condition:
    """`If-Match` and `If-None-Match`: ETags in their quotes, or "*" for any. Empty: not asked for."""

    match: tuple[str, ...] = ()
    none_match: tuple[str, ...] = ()

    def check(self, record: Record) -> None:
        """Raise `PreconditionFailed` unless the record is as it has to be (RFC 9110, section 13.2.2)."""
        if self.match and not _among(record, self.match):
            raise PreconditionFailed(f"{_is(record)}, not as If-Match asks: look at it, then decide anew")
        if self.none_match and _among(record, self.none_match):
            raise PreconditionFailed(f"{_is(record)}, which If-None-Match excludes: look at it, then decide anew")


def _among(record: Record, etags: tuple[str, ...]) -> bool:
    return record.exists and ("*" in etags or record.etag in etags)


def _is(record: Record) -> str:
    return f"the record's ETag is {record.etag}" if record.exists else "there is no record"


@dataclass(frozen=True)
class Request:
    """What stands beside the change itself. `incarnation` is random, for a record that this request makes;
    `once` is the Idempotency-Key, and `fingerprint` tells this request from others with the same key."""

    incarnation: str
    condition: Condition = Condition()
    once: str | None = None
    fingerprint: str = ""


Write = Callable[[Record], Record]


def written(record: Record, value: Value, result: Value, incarnation: str) -> Record:
    """Return the record with its next value."""
    kept = record.incarnation or incarnation
    return replace(record, value=value, version=record.version + 1, incarnation=kept, result=result)


def deleted(record: Record) -> Record:
    """Return what is left of a record. Raises `NotFound` if there is none."""
    if not record.exists:
        raise NotFound("there is no record under this key: nothing to delete")
    return Record(answers=record.answers)


def apply(stored: Value, request: Request, write: Write) -> Value:
    """Return what the register holds once `request` is carried out: `write`, if its condition holds.

    A request that was answered before changes nothing. Raises `Refused`, or whatever `write` raises.
    """
    record = from_stored(stored)
    if request.once is not None and (kept := record.answers.get(request.once)):
        if kept[0] != request.fingerprint:
            raise KeyReused("this Idempotency-Key belongs to another request: use a new one for each request")
        return stored
    request.condition.check(record)
    after = write(record)
    if request.once is not None:
        answers = {**after.answers, request.once: (request.fingerprint, after.etag, after.result)}
        after = replace(after, result=None, answers=_bounded(answers))
    return to_stored(after)


def answer(stored: Value, once: str | None) -> Answer:
    """Return what a request is told when it left this in the register."""
    record = from_stored(stored)
    if once is not None:
        _, etag, result = record.answers[once]
        return Answer(etag, result)
    return Answer(record.etag, record.result)


def _bounded(answers: dict[str, tuple[str, str | None, Value]]) -> dict[str, tuple[str, str | None, Value]]:
    # The latest answers that fit; JSON objects keep their order.
    kept = dict(list(answers.items())[-ANSWERS:])
    size = _size(kept)
    for key in list(kept)[:-1]:
        if size <= ANSWERS_BYTES:
            break
        size -= _size({key: kept.pop(key)})
    return kept


def _size(answers: Mapping[str, object]) -> int:
    return len(json.dumps(answers, ensure_ascii=False).encode())
