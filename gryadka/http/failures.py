"""Everything that the store can say no with, and how each is told over HTTP.

What may live here: the errors, their statuses, and the one function that turns an error into a response.

Every response that is an error is JSON with `error` (a word for programs), `message` (a sentence that says what
to do next) and `outcome`: "not applied" or "unknown". Nothing in between exists.
"""

from __future__ import annotations

from http.client import responses
from typing import Any, ClassVar, NamedTuple

from gryadka.errors import ChangeRejected, ConfigurationError, NotApplied, OutcomeUnknown

RETRY_AFTER_S = 1

TO_REPEAT = "repeat it with the same Idempotency-Key, or with If-Match and the ETag that a GET shows"

# Tornado's own refusals -> what to do about them.
TO_DO = {
    403: "a web page from elsewhere may not write here: send the request from a program",
    404: "there is nothing at this path: records are under /kv/ and a key",
    405: "this method is not for this path: see the header Allow for those that are",
}


class Refused(ChangeRejected):
    """What is stored does not allow the request. Certainly not applied; `value` is what is stored."""

    status: ClassVar[int]
    word: ClassVar[str]


class PreconditionFailed(Refused):
    """The record is another one than `If-Match` or `If-None-Match` asked for."""

    status, word = 412, "precondition-failed"


class NotFound(Refused):
    """There is no record under this key."""

    status, word = 404, "not-found"


class DoesNotFit(Refused):
    """A named change refuses the value or its arguments. Raise it in a change of your own."""

    status, word = 409, "does-not-fit"


class NotARecord(Refused):
    """The register holds something that this store did not write."""

    status, word = 409, "not-a-record"


class KeyReused(Refused):
    """The `Idempotency-Key` was used before, for another request."""

    status, word = 422, "idempotency-key-reused"


class TooLarge(Refused):
    """The value would be larger than a record may be."""

    status, word = 413, "too-large"


class ChangeFailed(Refused):
    """A named change raised an error that it should not: a fault of whoever wrote it."""

    status, word = 500, "change-failed"


class BadRequest(ConfigurationError):
    """The request cannot be understood. Nothing was sent to the acceptors."""

    def __init__(self, message: str, status: int = 400, word: str = "bad-request") -> None:
        super().__init__(message)
        self.status = status
        self.word = word


REFUSALS: dict[str, type[Refused]] = {
    kind.word: kind
    for kind in (PreconditionFailed, NotFound, DoesNotFit, NotARecord, KeyReused, TooLarge, ChangeFailed)
}
"""The refusals by their words, so that a client can raise what a service told it."""


class Told(NamedTuple):
    """An error as a response: status, JSON, headers."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


def told(error: BaseException | None, status: int = 500) -> Told:
    """Return the response for an error; `status` is that of errors that are not Gryadka's."""
    match error:
        case Refused() | BadRequest():
            return _told(error.status, error.word, str(error))
        case NotApplied() | ConfigurationError():
            return _told(503, "not-applied", str(error), retry=True)
        case OutcomeUnknown():
            return _told(504, "outcome-unknown", f"{error}; {TO_REPEAT}", outcome="unknown")
    if status < 500:
        word = responses.get(status, "bad request").lower().replace(" ", "-")
        return _told(status, word, TO_DO.get(status, "the request cannot be understood; see RFC 9110"))
    message = f"the service failed; see its log; {TO_REPEAT}"
    return _told(status, "internal-error", message, outcome="unknown")


def _told(status: int, word: str, message: str, *, outcome: str = "not applied", retry: bool = False) -> Told:
    headers = {"Retry-After": str(RETRY_AFTER_S)} if retry else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Told(status, {"error": word, "message": message, "outcome": outcome}, headers)
