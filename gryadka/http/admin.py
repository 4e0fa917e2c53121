"""What a service's operator asks of it: on a port of its own, on loopback unless told otherwise, with a token.

| request | answer |
|---|---|
| `GET /proposer` | its id, the acceptors, quorums and epoch that it works with, what it has under way |
| `GET /configuration` | which acceptors answer, what they say is in force, and the plan that is under way |
| `POST /configuration` | the same, after the proposer has looked for itself and works with what is in force |
| `POST /rescan` | chooses every record again. Twice a second a line of JSON says how far it is, the last line \
what was done. It ends when the connection does |
| `DELETE /rescan` | ends it |
| `GET /cache`, `DELETE /cache` | for how many keys a change can skip a round trip; forgets them |

Each request carries `Authorization: Bearer` and the token, and no body. Refusals are in `failures`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import asdict
from typing import Any, Self

from tornado.web import Application

from gryadka.errors import ConfigurationError, GryadkaError, NotApplied
from gryadka.http import inside
from gryadka.http.failures import BadRequest, NotFound, told
from gryadka.http.listening import Handler, Listening, NothingHandler
from gryadka.http.service import Service
from gryadka.operations.membership import Standing, standing
from gryadka.operations.rescan import Rescanned, rescan
from gryadka.proposer import Proposer
from gryadka.protocol.configuration import Configuration, Quorum

SHORTEST_TOKEN = 16
TELL_EVERY_S = 0.5


class Admin:
    """The operator's side of a service. Raises `ConfigurationError` for a token that could be guessed."""

    def __init__(self, service: Service, token: str, *, host: str = "127.0.0.1", port: int = 0) -> None:
        if len(token) < SHORTEST_TOKEN or not token.isascii():
            raise ConfigurationError(f"an administrator's token has at least {SHORTEST_TOKEN} ASCII characters")
        self.service = service
        self.proposer = service.store.proposer
        self.token = token
        self.url = ""
        self.work: asyncio.Task[Rescanned] | None = None
        self._place = host, port
        self._listening: Listening | None = None

    async def start(self) -> Self:
        """Listen; `url` says where. Raises `ConfigurationError` if it cannot."""
        routes: list[Any] = [(path, handler, {"admin": self}) for path, handler in ROUTES.items()]
        application = Application(
            routes,
            default_handler_class=NothingHandler,
            cross_origin_protection=True,
            log_function=lambda handler: None,
        )
        self._listening = Listening(application, *self._place)
        self.url = self._listening.url
        return self

    async def stop(self) -> None:
        """Close everything but the service."""
        if self._listening:
            self._listening.stop()
        await self.end_rescan()
        if self._listening:
            await self._listening.close()

    @property
    def rescanning(self) -> dict[str, int] | None:
        """How far the rescan that is under way has come: `done` records `of` so many."""
        return self._progress if self.work and not self.work.done() else None

    def begin_rescan(self) -> asyncio.Task[Rescanned]:
        """Begin to choose every record again. Raises `BadRequest` if that is under way."""
        if self.rescanning:
            raise BadRequest("a rescan is under way: wait for its end, or DELETE it", 409, "under-way")
        self._progressed(0, 0)
        options: dict[str, Any] = {"namespace": inside.namespace(self.proposer), "progress": self._progressed}
        self.work = asyncio.create_task(rescan(inside.connects(self.proposer), **options))
        return self.work

    async def end_rescan(self) -> None:
        """End the rescan that is under way, if there is one."""
        if self.work:
            self.work.cancel()
            await asyncio.wait({self.work})

    def _progressed(self, done: int, whole: int) -> None:
        self._progress = {"done": done, "of": whole}

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


class AdminHandler(Handler):
    """A handler that answers only to those who know the token. A body is refused unread."""

    def initialize(self, admin: Admin) -> None:
        self.admin = admin

    def check(self) -> None:
        """Refuse whoever does not know the token."""
        kind, _, given = self.request.headers.get("Authorization", "").partition(" ")
        known = secrets.compare_digest(given.strip().encode(), self.admin.token.encode())
        if kind.lower() != "bearer" or not known:
            raise BadRequest("send the administrator's token: Authorization: Bearer TOKEN", 401, "unauthorized")
        if self.request.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.request.headers:
            raise BadRequest("send no body: there is nothing to say in one", 413, "too-large")


class ProposerHandler(AdminHandler):
    """Who the proposer is. Nobody else is asked."""

    async def get(self) -> None:
        service, proposer = self.admin.service, self.admin.proposer
        work = {"under_way": service.under_way, "stopping": service.stopping, "rescan": self.admin.rescanning}
        place = {"url": service.url, "acceptors": list(proposer.acceptors), "epoch": inside.epoch(proposer)}
        quorums = _quorums(proposer.configuration)
        cached = inside.cached(proposer)
        await self.tell({"id": proposer.id, **place, "quorums": quorums, "cached": cached, **work})

    head = get


class ConfigurationHandler(AdminHandler):
    """What the proposer works with, beside what the acceptors say."""

    allowed = ("GET", "HEAD", "POST")

    async def get(self) -> None:
        proposer = self.admin.proposer
        works_with = _works_with(proposer)
        faults = await self.admin.service.health.faults()
        if works_with["epoch"] is None:  # it had reached nobody before
            works_with = _works_with(proposer)
        try:
            said = _said(await standing(inside.connects(proposer), namespace=inside.namespace(proposer)))
        except ConfigurationError as error:
            said = {"in_force": None, "plan": None, "fault": str(error)}
        acceptors = {name: fault or "ok" for name, fault in faults.items()}
        await self.tell({**works_with, "acceptors": acceptors, **said})

    head = get

    async def post(self) -> None:
        await inside.look(self.admin.proposer)
        await self.get()


class RescanHandler(AdminHandler):
    """Every record chosen again, beside the service's own work: both take turns on one event loop."""

    allowed = ("POST", "DELETE")
    work: asyncio.Task[Rescanned] | None = None

    async def post(self) -> None:
        work = self.work = self.admin.begin_rescan()
        told_some = False
        while not (await asyncio.wait({work}, timeout=TELL_EVERY_S))[0]:
            await self._line(self.admin.rescanning)
            told_some = True
        try:
            if work.cancelled():
                raise NotApplied("ended too early; each value is as it was, and POST begins again")
            await self._line(asdict(work.result()))
        except GryadkaError as error:
            if not told_some:  # then the status can still say it
                raise
            await self._line(told(error).body)

    async def delete(self) -> None:
        if not self.admin.rescanning:
            raise NotFound("no rescan is under way")
        await self.admin.end_rescan()
        self.clear_header("Content-Type")
        self.set_status(204)

    def on_connection_close(self) -> None:
        """End what nobody waits for any more."""
        if self.work:
            self.work.cancel()

    async def _line(self, told: Any) -> None:
        self.set_header("Content-Type", "application/x-ndjson")
        self.write(json.dumps(told) + "\n")
        await self.flush()


class CacheHandler(AdminHandler):
    """The promises that the proposer keeps, so that a change needs one round trip."""

    allowed = ("GET", "HEAD", "DELETE")

    async def get(self) -> None:
        await self.tell({"cached": inside.cached(self.admin.proposer)})

    head = get

    async def delete(self) -> None:
        await self.tell({"dropped": inside.drop_cache(self.admin.proposer)})


def _works_with(proposer: Proposer) -> dict[str, Any]:
    return {"epoch": inside.epoch(proposer), "quorums": _quorums(proposer.configuration)}


def _said(found: Standing) -> dict[str, Any]:
    name_of = {**found.roster.addresses, **{identity: name for name, identity in found.identities.items()}}
    members = sorted(name_of.get(identity, "somewhere") for identity in found.roster.members)
    plan = found.underway
    steps = plan and {"done": plan.done, "steps": [plan.in_words(step) for step in plan.plan.steps]}
    return {"in_force": {"epoch": found.roster.epoch, "members": members}, "plan": steps}


def _quorums(configuration: Configuration) -> dict[str, Any]:
    return {"prepare": _told(configuration.prepare), "accept": _told(configuration.accept)}


def _told(quorum: Quorum) -> dict[str, Any]:
    return {"members": list(quorum.members), "size": quorum.size}


ROUTES: dict[str, type[AdminHandler]] = {
    "/proposer": ProposerHandler,
    "/configuration": ConfigurationHandler,
    "/rescan": RescanHandler,
    "/cache": CacheHandler,
}
