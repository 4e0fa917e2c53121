"""The HTTP service around a store: from a request to a call of the store, and from its outcome to a response.

    async with Service(Store(proposer), port=8080) as service:
        print(service.url)

| request | answer |
|---|---|
| `GET /kv/{key}` | the value as JSON, its version in `ETag`; 404 |
| `PUT /kv/{key}` | stores the JSON in the body; 201 for a new record, else 200 |
| `DELETE /kv/{key}` | 204; 404 if there is none |
| `POST /kv/{key}` | `{"change": "increment", "arguments": {"by": 2}}`: a change by its name; its result |
| `GET /healthz`, `GET /metrics` | whether quorums answer (200 or 503); figures for Prometheus |

`If-Match` and `If-None-Match` go with each of the four (412, with the current value), `Idempotency-Key` with
each that writes. Refusals are in `failures`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body

from gryadka.errors import GryadkaError, NotApplied
from gryadka.http import reading
from gryadka.http.failures import BadRequest, ChangeFailed, NotFound, PreconditionFailed, Refused, TooLarge, told
from gryadka.http.metrics import Metrics
from gryadka.http.records import Answer, Condition, Record, from_stored, to_stored
from gryadka.http.store import Store

BODY_TIMEOUT_S = 30.0
IDLE_TIMEOUT_S = 75.0
GRACE_S = 10.0
HEALTH_TIMEOUT_S = 1.0

log = logging.getLogger(__name__)


class Service:
    """One proposer as an HTTP service. It owns its store, and closes it in the end.

    `port` 0 takes a free one. `grace_s`: for so many seconds `stop` lets requests that are under way finish.
    """

    def __init__(self, store: Store, *, host: str = "127.0.0.1", port: int = 0, grace_s: float = GRACE_S) -> None:
        self.store = store
        self.metrics = Metrics()
        self.stopping = False
        self._host, self._port, self._grace_s = host, port, grace_s
        self._at_work = 0
        self._server: HTTPServer | None = None

    @property
    def url(self) -> str:
        """Where it listens, as in http://127.0.0.1:8080. With host "" it listens everywhere."""
        host = f"[{self._host}]" if ":" in self._host else self._host or "127.0.0.1"
        return f"http://{host}:{self._port}"

    async def start(self) -> Self:
        """Listen. Raises `OSError` if the port is taken or the host is not this computer's."""
        sockets = bind_sockets(self._port, self._host)
        self._port = sockets[0].getsockname()[1]
        self._server = HTTPServer(
            self._application(),
            body_timeout=BODY_TIMEOUT_S,
            idle_connection_timeout=IDLE_TIMEOUT_S,
            max_body_size=2**62,  # ours is smaller, and answers 413
        )
        self._server.add_sockets(sockets)
        return self

    async def stop(self) -> None:
        """Take no more requests, let those under way finish, and close everything."""
        self.stopping = True
        if self._server:
            self._server.stop()
        deadline_s = asyncio.get_running_loop().time() + self._grace_s
        while self._at_work and asyncio.get_running_loop().time() < deadline_s:
            await asyncio.sleep(0.01)
        await self.store.close()  # what is still under way is told so: not applied, or unknown
        await asyncio.sleep(0)
        if self._server:
            await self._server.close_all_connections()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Around what `stop` has to wait for. Raises `NotApplied` once the service is stopping."""
        if self.stopping:
            raise NotApplied("not applied: this service is stopping; ask another one")
        self._at_work += 1
        try:
            with self.metrics.under_way.track_inprogress():
                yield
        finally:
            self._at_work -= 1

    async def faults(self) -> dict[str, str | None]:
        """Return each acceptor's fault, None if it answers."""

        async def fault(name: str) -> str | None:
            try:
                async with asyncio.timeout(HEALTH_TIMEOUT_S):
                    await self.store.proposer.acceptors[name].read("")
            except TimeoutError:
                return "did not answer in time"
            except GryadkaError as error:
                return str(error)
            return None

        names = list(self.store.proposer.acceptors)
        return dict(zip(names, await asyncio.gather(*map(fault, names)), strict=True))

    def _application(self) -> Application:
        routes: list[Any] = [
            (r"/kv/.*", KeyHandler, {"service": self}),
            (r"/healthz", HealthHandler, {"service": self}),
            (r"/metrics", MetricsHandler, {"service": self}),
        ]
        return Application(
            routes,
            default_handler_class=NothingHandler,
            cross_origin_protection=True,  # a web page of somebody else's must not write through a browser
            log_function=lambda handler: self.metrics.answered(
                handler.request.method or "", handler.get_status(), handler.request.request_time()
            ),
        )


class Handler(RequestHandler):
    """What all handlers share: JSON, and errors as JSON."""

    def set_default_headers(self) -> None:
        self.set_header("Server", "gryadka")
        self.set_header("Content-Type", "application/json")

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


class ServiceHandler(Handler):
    """A handler that knows its service."""

    def initialize(self, service: Service) -> None:
        self.service = service


class NothingHandler(Handler):
    """For a path that there is not."""

    def prepare(self) -> None:
        raise HTTPError(404)


@stream_request_body
class KeyHandler(ServiceHandler):
    """One key's record. The body is streamed, so that one that is too large is refused before it is read."""

    allowed = ("GET", "HEAD", "PUT", "POST", "DELETE")

    def prepare(self) -> None:
        """Refuse what can be refused by its headers."""
        self._body = bytearray()
        declared = self.request.headers.get("Content-Length", "")
        if declared.isascii() and declared.isdigit():
            self._check_size(len(declared) > 18 or int(declared) > reading.MAX_BODY_BYTES)
        if self.request.headers.get("Content-Encoding", "identity") != "identity":
            raise BadRequest("send the body as it is: no Content-Encoding is read", 415, "unsupported-encoding")
        if self.request.query:
            raise BadRequest("there are no query parameters; a ? in a key has to be sent as %3F")
        self.key = reading.read_key(self.request.path)
        header = self.request.headers.get
        self.condition = reading.read_condition(header("If-Match"), header("If-None-Match"))
        self.once = reading.read_once(header("Idempotency-Key"))

    def data_received(self, chunk: bytes) -> None:
        """Collect the body."""
        self._body += chunk
        try:
            self._check_size(len(self._body) > reading.MAX_BODY_BYTES)
        except TooLarge as error:  # the response ends the connection, and so the body
            self._body.clear()
            self.send_error(exc_info=(type(error), error, None))

    def _check_size(self, too_large: bool) -> None:
        if too_large:
            raise TooLarge(f"a body may have {reading.MAX_BODY_BYTES} bytes: keep large things elsewhere")

    async def get(self) -> None:
        with self.service.at_work():
            record = await self.service.store.get(self.key)
            if not record.exists and not self.condition.match:
                raise NotFound("there is no record under this key; PUT makes one")
            self._check_match(record)
            self.set_header("ETag", record.etag or "")
            if self.condition.none_match and {"*", record.etag} & {*self.condition.none_match}:
                self.set_status(304)
                await self.finish()
            else:
                await self.tell(record.value)

    head = get

    def _check_match(self, record: Record) -> None:
        try:
            Condition(match=self.condition.match).check(record)
        except PreconditionFailed as error:
            error.value = to_stored(record)
            raise

    async def put(self) -> None:
        value = reading.read_json(bytes(self._body))
        with self.service.at_work():
            answer = await self.service.store.put(self.key, value, condition=self.condition, once=self.once)
            await self._written(answer, {}, 201 if answer.created else 200)

    async def delete(self) -> None:
        with self.service.at_work():
            await self.service.store.delete(self.key, condition=self.condition, once=self.once)
            self.clear_header("Content-Type")
            self.set_status(204)
            await self.finish()

    async def post(self) -> None:
        asked = reading.read_asked(bytes(self._body))
        with self.service.at_work():
            answer = await self.service.store.change(
                self.key, asked.change, asked.arguments, condition=self.condition, once=self.once
            )
            await self._written(answer, {"result": answer.result}, 200)

    async def _written(self, answer: Answer, told: dict[str, Any], status: int) -> None:
        if answer.etag:
            self.set_header("ETag", answer.etag)
        await self.tell({**told, "etag": answer.etag}, status)


class HealthHandler(ServiceHandler):
    """Whether this service can serve: it is not stopping, and quorums answer."""

    async def get(self) -> None:
        faults = await self.service.faults()
        answering = [name for name, fault in faults.items() if fault is None]
        configuration = self.service.store.proposer.configuration
        quorums = configuration.prepare.met_by(answering) and configuration.accept.met_by(answering)
        word = "stopping" if self.service.stopping else "ok" if quorums else "no quorum"
        acceptors = {name: fault or "ok" for name, fault in faults.items()}
        await self.tell({"status": word, "acceptors": acceptors}, 200 if word == "ok" else 503)

    head = get


class MetricsHandler(ServiceHandler):
    """Figures for Prometheus."""

    async def get(self) -> None:
        text = self.service.metrics.text(await self.service.faults())
        self.set_header("Content-Type", self.service.metrics.content_type)
        await self.finish(text)
