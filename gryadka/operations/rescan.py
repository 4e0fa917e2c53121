"""Every record chosen again by the members of now, whenever an operator wants it.

What may live here: the rescan by itself. The one that is a step of a plan is in `membership`.

A record that nobody changes stays where it was accepted last, on a quorum at best: who was down then does not
have it, and who is switched off next may take one of its copies along. After a rescan, every member that answers
has every record. The identity change leaves each value as it is, so it may be stopped at any time, and repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gryadka.acceptors.identity import Connect
from gryadka.errors import ConfigurationError
from gryadka.operations.membership import Standing, standing
from gryadka.operations.plan import Past
from gryadka.operations.records import Records, Told


@dataclass(frozen=True)
class Rescanned:
    """How many `records` were chosen again, in which `epoch`, and how many were `moved` for it: a record that one
    acceptor sent or was sent counts as one."""

    records: int
    moved: int
    epoch: int


async def rescan(
    connects: Mapping[str, Connect],
    *,
    namespace: str = "gryadka",
    timeout_s: float = 10.0,
    progress: Told = lambda done, whole: None,
) -> Rescanned:
    """Choose every record again. `connects` maps the name of each member to a function that connects to it.

    A record may take `timeout_s` seconds. `progress` is told how many of how many are done.

    Raises:
        ConfigurationError: it cannot be done like this; nothing was begun.
        AcceptorError: too few members answer to list all records.
        NotApplied, OutcomeUnknown: a record could not be chosen in time, or the members changed meanwhile. What
            is stored is as it was. Call this again.
    """
    found = await standing(connects, namespace=namespace)
    roster, records = found.roster, 0

    def told(done: int, whole: int) -> None:
        nonlocal records
        records = done
        progress(done, whole)

    places = {identity: (name, connects[name]) for identity, name in named(found, connects).items()}
    work = Records(places, roster.configuration, roster.epoch, namespace, timeout_s, told)
    past = [Past(*part) for part in roster.past] or [Past(roster.configuration.accept)]
    moved = await work.rescan(past)
    return Rescanned(records, moved, roster.epoch)


def named(found: Standing, connects: Mapping[str, Connect]) -> dict[str, str]:
    """Return what each member is called, by identity. Raises `ConfigurationError` if too few were named."""
    # One that is down tells nobody who it is. Which of the silent ones it is does not matter: each call carries
    # the identity that is meant, and another acceptor refuses it.
    named = {identity: name for name, identity in found.identities.items() if identity in found.roster.members}
    lost = sorted(found.roster.members - set(named))
    named |= {identity: found.roster.addresses[identity] for identity in lost if identity in found.roster.addresses}
    lost = [identity for identity in lost if identity not in named]
    silent = [name for name in found.unknown() if name not in named.values()]
    if len(silent) < len(lost):
        raise ConfigurationError(f"there are {len(found.roster.members)} members; name all of them")
    return named | dict(zip(lost, silent, strict=False))
