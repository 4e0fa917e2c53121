"""A plan under way, as the acceptors keep it: readable whatever configuration is in force."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from gryadka.acceptors.roster import Roster
from gryadka.operations.plan import Adopt, Copy, Past, Plan, Rescan, Start, Step, Stop, members
from gryadka.protocol.configuration import Configuration, Quorum


@dataclass(frozen=True)
class Underway:
    """A plan that names acceptors by identity, and how many of its steps are `done`.

    `number` tells it from other plans, `addresses` maps identities to names, and `epoch` is that of its
    beginning. It `replaces` the plans of these numbers, if any.
    """

    number: str
    plan: Plan
    addresses: Mapping[str, str]
    epoch: int
    done: int = 0
    replaces: str = ""

    @property
    def ends(self) -> int:
        """The epoch in which it ends."""
        return self.epoch + sum(isinstance(step, Adopt) for step in self.plan.steps)

    def arrived(self, epoch: int) -> Self:
        """Return it with all steps done that came before this epoch, which an acceptor knows of: who missed some of
        the plan remembers less of it than was done. In its last epoch, nobody keeps it but who missed that one: so
        the configuration is yet to be told."""
        adoptions = [number for number, step in enumerate(self.plan.steps) if isinstance(step, Adopt)]
        before = adoptions[epoch - self.epoch - 1] if self.epoch < epoch <= self.ends else 0
        return replace(self, done=before if epoch == self.ends else max(self.done, before))

    def roster(self, epoch: int, configuration: Configuration, past: Sequence[Past]) -> Roster:
        """Return what acceptors are told when this configuration is put into force."""
        addresses = {member: self.addresses[member] for member in sorted(members(configuration))}
        return Roster(epoch, configuration, addresses, tuple((part.accept, part.copied) for part in past))

    def is_overtaken_by(self, roster: Roster) -> bool:
        """Say whether it is over, once this is in force: its last epoch has passed, or is another's. Who took it late,
        or missed how it ended, keeps it though."""
        epoch = self.epoch
        for step, configuration, past in self.plan.walk():
            epoch += isinstance(step, Adopt)
            if isinstance(step, Adopt) and epoch == roster.epoch:
                return self.roster(epoch, configuration, past) != roster
        return self.ends < roster.epoch

    def in_words(self, step: Step) -> str:
        """Say what a step does, with names in place of identities."""
        words = str(step)
        for identity, name in self.addresses.items():
            words = words.replace(identity, name)
        return words

    def to_json(self) -> str:
        """Return all of it as a line of JSON."""
        return json.dumps(
            {
                "number": self.number,
                "begin": _plain(self.plan.begin),
                "steps": [_plain_step(step) for step in self.plan.steps],
                "past": [[*_listed(part.accept), sorted(part.copied)] for part in self.plan.past],
                "addresses": dict(self.addresses),
                "epoch": self.epoch,
                "done": self.done,
                "replaces": self.replaces,
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read it back. Raises `ValueError` for anything that `to_json` does not write."""
        try:
            parts: dict[str, Any] = json.loads(text)
            steps = tuple(map(_step, parts["steps"]))
            past = tuple(Past(Quorum(tuple(names), size), frozenset(copied)) for names, size, copied in parts["past"])
            plan = Plan(_configuration(parts["begin"]), steps, past)
            rest = (parts[name] for name in ("addresses", "epoch", "done", "replaces"))
            return cls(parts["number"], plan, *rest)
        except (AttributeError, KeyError, TypeError, IndexError) as error:
            raise ValueError(f"not a plan: {error}") from error


def _listed(quorum: Quorum) -> list[Any]:
    return [list(quorum.members), quorum.size]


def _plain(configuration: Configuration) -> list[Any]:
    return [_listed(configuration.prepare), _listed(configuration.accept)]


def _configuration(parts: list[Any]) -> Configuration:
    prepare, accept = (Quorum(tuple(names), size) for names, size in parts)
    return Configuration(prepare, accept)


def _plain_step(step: Step) -> list[Any]:
    kind = type(step).__name__.lower()
    if isinstance(step, Start | Stop):
        return [kind, step.name]
    if isinstance(step, Adopt):
        return [kind, _plain(step.configuration)]
    return [kind, list(step.to)] if isinstance(step, Copy) else [kind]


def _step(parts: list[Any]) -> Step:
    match parts:
        case ["start", name]:
            return Start(name)
        case ["stop", name]:
            return Stop(name)
        case ["adopt", configuration]:
            return Adopt(_configuration(configuration))
        case ["copy", names]:
            return Copy(tuple(names))
        case ["rescan"]:
            return Rescan()
    raise ValueError(f"not a step: {parts!r}")
