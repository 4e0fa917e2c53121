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
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from tornado.web import Application

from gryadka.errors import NotApplied
from gryadka.http import reading
from gryadka.http.failures import BadRequest, NotFound, PreconditionFailed, TooLarge
from gryadka.http.health import Health
from gryadka.http.listening import Handler, Listening, NothingHandler
from gryadka.http.metrics import Metrics
from gryadka.http.records import Answer, Condition, Record, to_stored
from gryadka.http.store import Store

GRACE_S = 10.0


class Service:
    """One proposer as an HTTP service. It owns its store, and closes it in the end.

    `url` says where it listens; host "" is everywhere, port 0 a free one. For `grace_s` seconds `stop` lets
    requests that are under way finish.
    """

    def __init__(self, store: Store, *, host: str = "127.0.0.1", port: int = 0, grace_s: float = GRACE_S) -> None:
        self.store = store
        self.metrics = Metrics()
        self.health = Health(store.proposer)
        self.stopping = False
        self.url = ""
        self._place = host, port
        self._grace_s = grace_s
        self._at_work = 0
        self._listening: Listening | None = None

    async def start(self) -> Self:
        """Listen; `url` says where. Raises `ConfigurationError` if it cannot."""
        self._listening = Listening(self._application(), *self._place)
        self.url = self._listening.url
        return self

    async def stop(self) -> None:
        """Take no more requests, let those under way finish, and close everything."""
        self.stopping = True
        if self._listening:
            self._listening.stop()
        await self._idle(self._grace_s)
        await self.store.close()  # what is still under way is told so: not applied, or unknown
        await self._idle(1.0)
        await self.health.close()
        if self._listening:
            await self._listening.close()

    async def _idle(self, timeout_s: float) -> None:
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        while self._at_work and asyncio.get_running_loop().time() < deadline_s:
            await asyncio.sleep(0.01)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def under_way(self) -> int:
        """How many requests are being served."""
        return self._at_work

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


class ServiceHandler(Handler):
    """A handler that knows its service."""

    def initialize(self, service: Service) -> None:
        self.service = service


class KeyHandler(ServiceHandler):
    """One key's record. A body that is too large is refused before it is read."""

    allowed = ("GET", "HEAD", "PUT", "POST", "DELETE")

    def check(self) -> None:
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
            self.unread = True
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
        faults = await self.service.health.faults()
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
        text = self.service.metrics.text(await self.service.health.faults())
        self.set_header("Content-Type", self.service.metrics.content_type)
        await self.finish(text)
