"""What every HTTP service of Gryadka shares: how it listens, and how its handlers answer and refuse in JSON."""

from __future__ import annotations

import json
import logging
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body

from gryadka.errors import ConfigurationError, GryadkaError
from gryadka.http.failures import ChangeFailed, PreconditionFailed, Refused, told
from gryadka.http.records import from_stored

BODY_TIMEOUT_S = 30.0
IDLE_TIMEOUT_S = 75.0

log = logging.getLogger(__name__)


class Listening:
    """An application that answers at `url`. Port 0 takes a free one.

    Raises `ConfigurationError` if the port is taken, or the host is not this computer's.
    """

    def __init__(self, application: Application, host: str, port: int) -> None:
        try:
            sockets = bind_sockets(port, host)
        except (OSError, OverflowError) as error:
            raise ConfigurationError(f"cannot listen at {host or '*'}:{port}: {error}; choose another port") from None
        bracketed = f"[{host}]" if ":" in host else host or "127.0.0.1"
        self.url = f"http://{bracketed}:{sockets[0].getsockname()[1]}"
        # The limit on bodies is the handlers' own: theirs is smaller, and answers 413.
        self._server = HTTPServer(
            application, body_timeout=BODY_TIMEOUT_S, idle_connection_timeout=IDLE_TIMEOUT_S, max_body_size=2**62
        )
        self._server.add_sockets(sockets)

    def stop(self) -> None:
        """Take no more connections."""
        self._server.stop()

    async def close(self) -> None:
        """End the connections that there are."""
        await self._server.close_all_connections()


@stream_request_body
class Handler(RequestHandler):
    """What all handlers share: JSON, and errors as JSON.

    Bodies are streamed, so that one that nobody wants is never kept. `check` is called when the headers are there.
    Who is refused by then has perhaps more to send, which nobody will read: the connection ends, and is said to.
    """

    unread = True

    def check(self) -> None:
        """Refuse what can be refused by its headers."""

    def prepare(self) -> None:
        self.check()
        self.unread = False

    def data_received(self, chunk: bytes) -> None:
        """Drop it: only a record has a body."""

    def set_default_headers(self) -> None:
        self.set_header("Server", "gryadka")
        self.set_header("Content-Type", "application/json")
        self.set_header("X-Content-Type-Options", "nosniff")
        # A cache on the way may keep an answer, but has to ask before it gives it: an old value is a wrong one.
        self.set_header("Cache-Control", "no-cache")

    def compute_etag(self) -> None:
        """Return none: only records have ETags."""

    def tell(self, value: Any, status: int = 200) -> Any:
        """Send JSON; the returned future is done when it has left."""
        self.set_status(status)
        return self.finish(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")

    def write_error(self, status_code: int, **parts: Any) -> None:
        """Send an error as JSON; see `failures.told`."""
        error = parts.get("exc_info", (None, None, None))[1]
        status, body, headers = told(error, status_code)
        for name, text in headers.items():
            self.set_header(name, text)
        if self.unread:
            self.set_header("Connection", "close")
        if isinstance(error, Refused):
            body |= self._current(error)
        if status == 405:
            self.set_header("Allow", ", ".join(self.allowed))
        self.tell(body, status)

    def _current(self, error: Refused) -> dict[str, Any]:
        # What the client needs to decide anew: a refusal is as good as a read.
        if not isinstance(error, PreconditionFailed):
            return {}
        record = from_stored(error.value)
        if record.etag:
            self.set_header("ETag", record.etag)
        return {"current": {"value": record.value, "etag": record.etag} if record.exists else None}

    def log_exception(self, kind: Any, value: Any, traceback: Any) -> None:
        """Log what nobody foresaw, and nothing else: an outcome is no fault of the service."""
        if isinstance(value, ChangeFailed):
            log.error("%s", value, exc_info=value.__cause__)
        elif not isinstance(value, GryadkaError | HTTPError | StreamClosedError):
            log.error("%s failed", self.request.method, exc_info=value)

    allowed: tuple[str, ...] = ("GET", "HEAD")


class NothingHandler(Handler):
    """For a path that there is not."""

    def check(self) -> None:
        raise HTTPError(404)
