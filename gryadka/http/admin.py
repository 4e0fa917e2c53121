"""What a service's operator asks of it: on a port of its own, on loopback unless told otherwise, with a token.

| request | answer |
|---|---|
| `GET /proposer` | the proposer's id, its acceptors and quorums, how many requests are under way |

Each request carries `Authorization: Bearer` and the token. Routes that operate the cluster belong in `ROUTES`.
"""

from __future__ import annotations

import secrets
from typing import Any, Self

from tornado.web import Application

from gryadka.errors import ConfigurationError
from gryadka.http.failures import BadRequest
from gryadka.http.listening import Handler, Listening, NothingHandler
from gryadka.http.service import Service
from gryadka.protocol.configuration import Quorum

SHORTEST_TOKEN = 16


class Admin:
    """The operator's side of a service. Raises `ConfigurationError` for a token that could be guessed."""

    def __init__(self, service: Service, token: str, *, host: str = "127.0.0.1", port: int = 0) -> None:
        if len(token) < SHORTEST_TOKEN or not token.isascii():
            raise ConfigurationError(f"an administrator's token has at least {SHORTEST_TOKEN} ASCII characters")
        self.service = service
        self.token = token
        self.url = ""
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
            await self._listening.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


class AdminHandler(Handler):
    """A handler that answers only to those who know the token."""

    def initialize(self, admin: Admin) -> None:
        self.admin = admin

    def prepare(self) -> None:
        """Refuse whoever does not know the token."""
        kind, _, given = self.request.headers.get("Authorization", "").partition(" ")
        known = secrets.compare_digest(given.strip().encode(), self.admin.token.encode())
        if kind.lower() != "bearer" or not known:
            raise BadRequest("send the administrator's token: Authorization: Bearer TOKEN", 401, "unauthorized")


class ProposerHandler(AdminHandler):
    """Who the proposer is."""

    async def get(self) -> None:
        service = self.admin.service
        proposer = service.store.proposer
        configuration = proposer.configuration
        quorums = {"prepare": _told(configuration.prepare), "accept": _told(configuration.accept)}
        state = {"under_way": service.under_way, "stopping": service.stopping}
        await self.tell({"id": proposer.id, "acceptors": list(proposer.acceptors), "quorums": quorums, **state})

    head = get


def _told(quorum: Quorum) -> dict[str, Any]:
    return {"members": list(quorum.members), "size": quorum.size}


ROUTES: dict[str, type[AdminHandler]] = {"/proposer": ProposerHandler}
