"""A change of members as a plan: which configurations follow each other, and what is done between them.

What may live here: pure data and its checks. Whoever applies a plan lives in `membership`.

While proposers are being told of a new configuration, some still work with the one before. So (CASPaxos,
section 2.3, and PROTOCOL, section 3) a plan has to keep two rules:

a. *Neighbours meet.* Every prepare quorum of one meets every accept quorum of the other.
b. *The past is seen.* A record that nobody has changed for long was accepted under an earlier configuration.
   Every prepare quorum in use meets the accept quorums of all configurations since the last rescan.

A **rescan** chooses every record again, under the configuration in force: the past is then that one alone.
A **copy** brings every record that a quorum holds to the newcomers: whoever meets a newcomer sees the past.

Old proposers count as well: one with a high ballot may still be at work on servers that were left behind, and nothing
may be chosen below it. Majorities keep that with the two rules, since whoever meets what was accepted then meets what
was promised, too; and a copy takes the promises along (see `records`).

    plan = make_plan(Configuration.majority("ABC"), "ABCDE")
    for step in plan.steps:
        print(step)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from gryadka.errors import ConfigurationError, QuorumsMiss
from gryadka.protocol.configuration import Configuration, Quorum


@dataclass(frozen=True)
class Start:
    """Give an acceptor, which is empty, an identity of this cluster."""

    name: str

    def __str__(self) -> str:
        return f"start {self.name}"


@dataclass(frozen=True)
class Adopt:
    """Put a configuration into force, and the one before it out of force."""

    configuration: Configuration

    def __str__(self) -> str:
        parts = self.configuration.prepare, self.configuration.accept
        prepare, accept = (f"any {part.size} of {', '.join(sorted(part.members))}" for part in parts)
        return f"adopt {prepare}" if prepare == accept else f"adopt prepare: {prepare}; accept: {accept}"


@dataclass(frozen=True)
class Rescan:
    """Choose every record again, under the configuration in force."""

    def __str__(self) -> str:
        return "rescan every record"


@dataclass(frozen=True)
class Copy:
    """Bring every record to the newcomers, as a quorum of the others shows it, and what they have promised."""

    to: tuple[str, ...]

    def __str__(self) -> str:
        return f"copy every record to {', '.join(self.to)}"


@dataclass(frozen=True)
class Stop:
    """Let go of an acceptor that is no member any more."""

    name: str

    def __str__(self) -> str:
        return f"stop {self.name}"


Step = Start | Adopt | Rescan | Copy | Stop


@dataclass(frozen=True)
class Past:
    """Records may have been accepted last by any such quorum, and were then `copied` to all of these."""

    accept: Quorum
    copied: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Plan:
    """From the configuration in force, `begin`, step by step to another one.

    `past` tells where records may have been accepted last when the plan begins. Raises `ConfigurationError`
    if a step would break one of the rules, with two quorums that would miss each other.
    """

    begin: Configuration
    steps: tuple[Step, ...]
    past: tuple[Past, ...] = ()

    def __post_init__(self) -> None:
        for _ in self.walk():
            pass

    @property
    def end(self) -> Configuration:
        """The configuration that is in force when all is done."""
        return [self.begin, *(step.configuration for step in self.steps if isinstance(step, Adopt))][-1]

    def walk(self) -> Iterator[tuple[Step, Configuration, tuple[Past, ...]]]:
        """Yield each step, with the configuration in force and the past once it is done."""
        current, past = self.begin, self.past or (Past(self.begin.accept),)
        started = members(self.begin)
        for number, step in enumerate(self.steps, start=1):
            try:
                if isinstance(step, Start):
                    started |= {step.name}
                elif isinstance(step, Adopt):
                    _check_adoption(current, step.configuration, past, started)
                    current = step.configuration
                    past = (*past, Past(current.accept))
                elif isinstance(step, Rescan):
                    past = (Past(current.accept),)
                elif isinstance(step, Copy):
                    past = _copied(past, current, step.to)
                elif step.name in members(current):
                    raise ConfigurationError(f"{step.name} is still a member")
            except ConfigurationError as error:
                error.args = (f"step {number}, {step}: {error}",)
                raise
            yield step, current, past


def members(configuration: Configuration) -> frozenset[str]:
    """Return the names of all acceptors that take part."""
    return frozenset(configuration.prepare.members + configuration.accept.members)


def make_plan(begin: Configuration, names: Iterable[str], past: Sequence[Past] = (), *, copy: bool = True) -> Plan:
    """Return a plan from `begin` to majorities of the acceptors with these `names`.

    Members come and go one at a time, and one comes before another goes: majorities of sets that differ in one
    member always meet, which is rule (a). Where rule (b) asks for it, records are copied to the newcomer if
    there is one, else, or with `copy=False`, all are rescanned.

    Raises `ConfigurationError` if no acceptor is named, or one twice, or no such plan keeps the rules.
    """
    goal = Configuration.majority(names)
    plan = Plan(begin, (), tuple(past))
    present = list(begin.accept.members)
    come = [name for name in goal.accept.members if name not in present]
    go = [name for name in present if name not in goal.accept.members]
    while come or go:
        if come and (len(come) >= len(go) or len(present) <= len(goal.accept.members)):
            present = [*present, come.pop(0)]
        else:
            present = [name for name in present if name != go[0]]
            go.pop(0)
        plan = _extended(plan, Configuration.majority(present), copy)
    return plan


def _extended(plan: Plan, following: Configuration, copy: bool) -> Plan:
    newcomers = tuple(sorted(members(following) - members(plan.end)))
    before = [*plan.steps, *(Start(name) for name in newcomers)]
    after: list[Step] = [Adopt(following), *(Stop(name) for name in sorted(members(plan.end) - members(following)))]
    repairs: list[list[Step]] = [[], [Copy(newcomers)] if copy and newcomers else [Rescan()]]
    for repair in repairs:
        try:
            return replace(plan, steps=(*before, *repair, *after))
        except ConfigurationError as error:
            problem = error
    raise problem


def _check_adoption(
    current: Configuration, following: Configuration, past: Sequence[Past], started: Collection[str]
) -> None:
    for name in sorted(members(following) - set(started)):
        raise ConfigurationError(f"{name} was not started")
    for one, other in ((following, current), (current, following)):
        neighbours = "some proposers still work with the members before, and "
        _meet(one.prepare, Past(other.accept), neighbours, "neither would see what the other chooses")
    for earlier in past:
        old = "a record may still be where an earlier quorum accepted it, and "
        _meet(following.prepare, earlier, old, "rescan before this step, or copy the records to a newcomer")


def _meet(prepare: Quorum, past: Past, context: str, advice: str) -> None:
    # Whoever prepares on one of those that got a copy has seen the record.
    others = tuple(name for name in prepare.members if name not in past.copied)
    if len(others) >= prepare.size:
        try:
            Configuration(Quorum(others, prepare.size), past.accept)
        except QuorumsMiss as error:
            raise QuorumsMiss(error.prepare, error.accept, context, advice) from None


def _copied(past: Sequence[Past], current: Configuration, to: Iterable[str]) -> tuple[Past, ...]:
    # What is accepted from now on, under the configuration in force, is not in the copy.
    return (*(replace(part, copied=part.copied | set(to)) for part in past), Past(current.accept))
