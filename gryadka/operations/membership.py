"""Members change while the cluster serves: a coordinator applies a plan, step by step.

What may live here: talking to servers about who is a member. What a plan may be is decided in `plan`.

    report = await change_members(cluster.connects, [*cluster.names, newcomer])

Beside its identity each acceptor keeps the configuration in force, its epoch, and the plan under way with what is
done of it. So whoever asks a few of them knows how far it came, whatever is in force:

- *One plan at a time.* A plan counts once a prepare quorum and an accept quorum in force have taken it: any two
  such sets meet, and an acceptor takes no second plan, nor one made in an earlier epoch than its own.
  Who made a plan that cannot be claimed withdraws it, save where another coordinator goes on with it.
- *A configuration is out of force* once those that refuse its epoch meet every prepare quorum and every accept
  quorum of it. Only then do newcomers hear of the next one, and only then does the next step begin.
- *Every step may be repeated.* A coordinator that was killed is simply called again, and goes on.
- *A plan is given up* only by all who may have taken it. The plan in its place ends in a later epoch: so a
  coordinator that still works at the old one, wherever it is, is refused from then on.
- *Who has the plan forgets no record.* A newcomer begins with the highest floor among those that have it (see
  `deletion`), since it takes the place of acceptors that have forgotten.

Source: CASPaxos, section 2.3; PROTOCOL, sections 3 and 4.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from gryadka.acceptors.identity import Connect
from gryadka.acceptors.redis import to_ballot
from gryadka.acceptors.roster import Roster
from gryadka.acceptors.wire import Wire
from gryadka.errors import AcceptorError, ConfigurationError
from gryadka.operations.plan import Adopt, Copy, Past, Plan, Rescan, Start, make_plan, members
from gryadka.operations.records import Records
from gryadka.operations.scripts import script
from gryadka.operations.underway import Underway
from gryadka.protocol.acceptor import ZERO, Ballot
from gryadka.protocol.configuration import Configuration

PAUSE_S = 0.1

_CLAIM, _ADOPT, _FINISH, _WITHDRAW = map(script, ("claim", "adopt", "finish", "withdraw"))


@dataclass(frozen=True)
class Report:
    """What a change of members did: its steps in words, the epoch that is in force after it, and how many
    records each rescan or copy moved (a record that one acceptor sent or was sent counts as one)."""

    steps: tuple[str, ...]
    epoch: int
    moved: tuple[int, ...]


@dataclass(frozen=True)
class Standing:
    """What the servers say: who has which identity, the latest configuration, and what plans are under way: at
    most one, unless somebody is just giving up one for another."""

    identities: Mapping[str, str]  # name -> identity
    roster: Roster
    plans: tuple[Underway, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)  # name -> why it gave no answer
    empty: tuple[str, ...] = ()  # those that answered, and have no identity

    def unknown(self, newcomers: Collection[str] = ()) -> list[str]:
        """Return the servers of which one may be a member that nobody can identify: those that gave no answer, and
        then those that are empty, which may have lost what they stored, and are not just about to come."""
        return [*self.silent, *(name for name in self.empty if name not in newcomers)]

    @property
    def underway(self) -> Underway | None:
        """The plan under way that came furthest."""
        return max(self.plans, key=lambda plan: plan.done) if self.plans else None


Progress = Callable[[str, int, int], None]
"""Told of a step in words, and how many of how many records it has dealt with."""


async def change_members(
    connects: Mapping[str, Connect],
    names: Iterable[str],
    *,
    namespace: str = "gryadka",
    copy: bool = True,
    instead: bool = False,
    timeout_s: float = 60.0,
    progress: Progress | None = None,
    make: Callable[..., Plan] = make_plan,
) -> Report:
    """Make the acceptors with these `names` the members, majorities of them the quorums, and say what was done.

    `connects` maps the name of each present member, and of each newcomer, to a function that connects to it. With
    `instead`, a plan that is under way is given up for this one, wherever it stands. A step waits `timeout_s`
    seconds for the servers that it needs, at most. `make` makes the plan, called as `make_plan` is, with identities.

    Raises:
        ConfigurationError: it cannot be done like this; nothing was begun, or the plan under way stands.
        AcceptorError: a server that is needed did not answer. Call this again: it goes on where it stopped.
    """
    coordinator = _Coordinator(connects, namespace, timeout_s, progress, make)
    standing = await coordinator.ask_all()
    if later := [plan.epoch for plan in standing.plans if plan.epoch > standing.roster.epoch]:
        raise AcceptorError(
            "the cluster",
            f"has members that were told more: those that answer know of epoch {standing.roster.epoch} only, while "
            f"epoch {max(later)} is in force; name all members, and start the others",
        )
    if (old := standing.underway) and (instead or old.ends == standing.roster.epoch):
        # Perhaps only a few acceptors took the latest configuration: that step is ended first.
        await coordinator.run(old, until_epoch=standing.roster.epoch if old.ends > standing.roster.epoch else inf)
        standing = await coordinator.ask_all()
    underway = coordinator.planned(standing, list(names), copy, instead)
    await coordinator.claim(underway, standing)
    return await coordinator.run(underway)


async def standing(connects: Mapping[str, Connect], *, namespace: str = "gryadka") -> Standing:
    """Return what the servers say of their cluster. Raises `ConfigurationError` if none of them knows of one."""
    return await _Coordinator(connects, namespace, 1.0, None).ask_all()


@dataclass
class _Coordinator:
    connects: Mapping[str, Connect]
    namespace: str
    timeout_s: float
    progress: Progress | None
    make: Callable[..., Plan] = make_plan
    moved: list[int] = field(default_factory=list)
    floor: Ballot = ZERO  # the highest of those that have the plan
    made: str = ""  # the number of the plan that it made itself
    overtaken: str = ""  # the numbers of plans that can no longer be carried out: they stand in nobody's way

    # -- what is -------------------------------------------------------------------------------------------

    async def ask_all(self) -> Standing:
        """Return what the servers that answer say."""
        fields = "identity", "members", "configuration", "plan"
        own_key = f"{self.namespace}:acceptor"
        said = await asyncio.gather(
            *(self._talk(name, "HMGET", own_key, *fields) for name in self.connects), return_exceptions=True
        )
        answers = {name: answer for name, answer in zip(self.connects, said, strict=True) if isinstance(answer, list)}
        rosters = {
            name: Roster.from_json(configuration) if configuration else Roster.first(json.loads(listed))
            for name, (_, listed, configuration, _) in answers.items()
            if configuration or listed
        }
        if not rosters:
            faults = "; ".join(str(fault) for fault in said if isinstance(fault, Exception))
            raise ConfigurationError(f"none of these servers knows its cluster; start it with a first change. {faults}")
        roster = max(rosters.values(), key=lambda roster: roster.epoch)
        for name, other in rosters.items():
            if not other.members & roster.members:
                raise ConfigurationError(
                    f"{name} belongs to another cluster, or left this one long ago; leave it out, or take an empty "
                    "server (`gryadka up --empty`)"
                )
        # What a newcomer keeps of a plan that was given up counts for nothing.
        present = [(identity.decode(), plan) for identity, _, _, plan in answers.values() if identity]
        plans = [Underway.from_json(plan) for identity, plan in present if plan and identity in roster.members]
        self.overtaken = " ".join(plan.number for plan in plans if plan.is_overtaken_by(roster))
        plans = [plan.arrived(roster.epoch) for plan in plans if not plan.is_overtaken_by(roster)]
        open_plans = {plan.number: plan for plan in sorted(plans, key=lambda plan: plan.done)}
        return Standing(
            {name: identity.decode() for name, (identity, *_) in answers.items() if identity},
            roster,
            tuple(open_plans.values()),
            {name: str(fault) for name, fault in zip(self.connects, said, strict=True) if name not in answers},
            tuple(name for name, (identity, *_) in answers.items() if not identity),
        )

    def planned(self, standing: Standing, names: Sequence[str], copy: bool, instead: bool) -> Underway:
        """Return the plan under way if it leads to these members, else a new one."""
        reachable = {*self.connects, *standing.roster.addresses.values()}
        if unknown := [name for name in names if name not in reachable]:
            raise ConfigurationError(f"there is no connection to {', '.join(unknown)}")
        old = standing.underway
        goal = {old.addresses[member] for member in members(old.plan.end)} if old else set()
        numbers = " ".join(plan.number for plan in standing.plans)
        addresses = {identity: name for plan in standing.plans for identity, name in plan.addresses.items()}
        emptied = _emptied(standing, old) if old else ""
        if old and goal == set(names) and not (emptied and instead):
            if emptied:
                raise ConfigurationError(
                    f"{emptied} was emptied after the change under way had started it: begin that change anew "
                    "(instead=True, or --instead)"
                )
            return replace(old, replaces=numbers, addresses=addresses | dict(old.addresses)) if old.replaces else old
        if old and not instead:
            raise ConfigurationError(
                f"another change of members is under way, to {', '.join(sorted(goal))}: "
                "let it end by asking for the same, or put this one in its place (instead=True, or --instead)"
            )
        roster = standing.roster
        identity_of = {name: identity for identity, name in self._named(standing, names).items()}
        for name in names:
            known = standing.identities.get(name)
            if known and name not in identity_of and not (old and known in old.addresses):
                raise ConfigurationError(f"{name} belongs to a cluster already; empty it first, then add it")
            if name not in identity_of and name in standing.silent:  # or it would be a plan that nobody can carry out
                raise ConfigurationError(f"a newcomer has to run before anything is begun: {standing.silent[name]}")
            identity_of.setdefault(name, known or secrets.token_hex(8))
        past = tuple(Past(quorum, copied) for quorum, copied in roster.past)
        plan = self.make(roster.configuration, [identity_of[name] for name in names], past, copy=copy)
        if numbers and not any(isinstance(step, Adopt) for step in plan.steps):
            # Or else the plan that is given up would still fit the epoch in force.
            plan = replace(plan, steps=(*plan.steps, Adopt(plan.end)))
        addresses |= {identity: name for name, identity in identity_of.items()}
        self.made = secrets.token_hex(8)
        return Underway(self.made, plan, addresses, roster.epoch, replaces=numbers)

    def _named(self, standing: Standing, names: Sequence[str]) -> dict[str, str]:
        # Which member is called what? One that is down tells nobody; the configuration may know its address.
        roster = standing.roster
        named = {identity: name for name, identity in standing.identities.items() if identity in roster.members}
        for identity in sorted(roster.members - set(named)):
            if identity in roster.addresses:
                named[identity] = roster.addresses[identity]
        lost = sorted(roster.members - set(named))
        silent = [name for name in standing.unknown(names) if name not in named.values()]
        if len(lost) > 1 or (lost and not silent):
            raise ConfigurationError(
                f"{len(lost)} of {len(roster.members)} members cannot be told apart: name all of them, "
                "and see that all but one of them run"
            )
        return named | dict(zip(lost, silent, strict=False))

    # -- one plan at a time --------------------------------------------------------------------------------

    async def claim(self, underway: Underway, standing: Standing) -> None:
        """Have this plan taken by a prepare and an accept quorum in force. Raises `ConfigurationError`."""
        configuration = standing.roster.configuration
        if underway.replaces:
            await self._give_up(underway, standing)
        taken = await self._note(members(configuration), underway, standing.roster.epoch)
        ours = {member for member, number in taken.items() if number == underway.number}
        # Fewer, that merely meet every quorum, would not do: of four members {A, B} and {C, D} would take two plans.
        # And who did not note it may yet forget a tombstone whose older value was copied to a newcomer; so there
        # has to be an accept quorum that keeps it, which whoever prepares meets.
        if configuration.prepare.met_by(ours) and configuration.accept.met_by(ours):
            return
        # Who goes on with another's plan, or has had one given up for this, is not the only one who counts on it.
        if underway.number == self.made and not underway.replaces:
            await self._tell(members(configuration), _WITHDRAW, underway)
        if len(ours) < len(taken):
            raise ConfigurationError("another change of members was begun at the same time; look, and try again")
        raise AcceptorError("the cluster", "has too few members that answer for a change of members; start the others")

    async def _give_up(self, underway: Underway, standing: Standing) -> None:
        # Whoever still had another plan could put another configuration into force at the same epoch.
        concern = set(standing.roster.members).union(*(members(plan.plan.begin) for plan in standing.plans))
        for plan in standing.plans:
            # A newcomer that does not answer may keep the plan: it hears of no configuration before members do.
            concern |= {one for one, name in plan.addresses.items() if standing.identities.get(name) == one}
        # Nobody is asked unless all are there: or some would have the one plan, some the other, and neither could end.
        self._check_all(concern, standing.identities.values(), underway)
        taken = await self._note(concern, underway, standing.roster.epoch)
        # A newcomer may keep one that nobody else has any more: it was started late.
        numbers = {plan.number for plan in standing.plans}
        stray = {one for one in set(taken) - standing.roster.members if taken[one] not in numbers}
        if any(number != underway.number for one, number in taken.items() if one not in stray):
            raise ConfigurationError("the other change of members went on meanwhile; look, and try again")
        self._check_all(concern, taken, underway)

    def _check_all(self, concern: Collection[str], answered: Collection[str], underway: Underway) -> None:
        if missing := set(concern) - set(answered):
            names = ", ".join(sorted(underway.addresses[identity] for identity in missing))
            problem = "has to give up the plan that is under way, and does not answer; start it, or let that plan end"
            raise AcceptorError(names, f"{problem} by asking for the same once more")

    async def _note(self, identities: Iterable[str], underway: Underway, epoch: int) -> dict[str, str]:
        # Returns which plan each acceptor keeps that answers.
        by = "maker" if underway.number == self.made else "another"
        words = underway.to_json(), str(underway.ends), f"{underway.replaces} {self.overtaken}", str(epoch), by
        taken = await self._tell(identities, _CLAIM, underway, *words)
        self.floor = max(self.floor, *(to_ballot(floor) for _, floor in taken.values()), ZERO)
        return {identity: number.decode() for identity, (number, _) in taken.items()}

    async def _tell(self, identities: Iterable[str], script: str, underway: Underway, *words: str) -> dict[str, Any]:
        # Runs a script on each of these acceptors; returns identity -> reply of those that answer.
        identities = sorted(identities)

        async def tell(identity: str) -> Any:
            name, own_key = underway.addresses[identity], f"{self.namespace}:acceptor"
            return await self._talk(name, "EVAL", script, "1", own_key, identity, underway.number, *words)

        replies = await asyncio.gather(*map(tell, identities), return_exceptions=True)
        return {
            identity: reply
            for identity, reply in zip(identities, replies, strict=True)
            if not isinstance(reply, BaseException)
        }

    async def _talk(self, name: str, *command: str) -> Any:
        wire = await Wire.over(name, self.connects[name](), 1.0)
        try:
            return await wire.call(*command)
        finally:
            await wire.close()

    # -- step by step --------------------------------------------------------------------------------------

    async def run(self, underway: Underway, until_epoch: float = inf) -> Report:
        """Take the steps that are not done yet, as far as they lead into that epoch."""
        current, epoch = underway.plan.begin, underway.epoch
        past = underway.plan.past or (Past(current.accept),)
        for number, (step, following, after) in enumerate(underway.plan.walk(), start=1):
            if epoch == until_epoch:
                return Report((), epoch, ())
            epoch += isinstance(step, Adopt)
            if number > underway.done:
                words = underway.in_words(step)
                if self.progress:
                    self.progress(words, 0, 0)
                if isinstance(step, Start):
                    await self._start(step, underway, current, epoch)
                elif isinstance(step, Adopt):
                    await self._adopt(current, underway, underway.roster(epoch, following, after))
                elif isinstance(step, Rescan | Copy):
                    await self._bring(step, words, underway, current, epoch, past)
                underway = replace(underway, done=number)  # not before it is
                await self._note(members(following), underway, epoch)
            current, past = following, after
        await self._tell(underway.addresses, _FINISH, underway, str(underway.ends))
        return Report(tuple(map(underway.in_words, underway.plan.steps)), epoch, tuple(self.moved))

    async def _start(self, step: Start, underway: Underway, current: Configuration, epoch: int) -> None:
        name, own_key = underway.addresses[step.name], f"{self.namespace}:acceptor"
        listed = json.dumps(sorted(members(current)))
        plan = underway.number, underway.to_json(), str(underway.ends)
        words = step.name, *plan, listed, str(self.floor), underway.replaces
        found = await self._talk(name, "EVAL", script("start"), "1", own_key, *words)
        if found.decode() != step.name:
            raise ConfigurationError(f"{name} belongs to a cluster already; empty it first")

    async def _adopt(self, before: Configuration, underway: Underway, roster: Roster) -> None:
        both, following = members(before) | roster.members, roster.configuration
        words = underway.to_json(), str(roster.epoch), json.dumps(sorted(roster.members)), roster.to_json()
        deadline_s = asyncio.get_running_loop().time() + self.timeout_s
        while True:
            # Whoever did not hear of the plan then hears now. And unless there is a quorum of the following members,
            # nobody takes the present ones out of force.
            answer, taken = set(await self._note(both, underway, roster.epoch - 1)), set[str]()
            if following.prepare.met_by(answer) and following.accept.met_by(answer):
                taken |= set(await self._tell(members(before), _ADOPT, underway, *words))
            if _meets_all(before, taken):
                # A newcomer that was told sooner could hand on a configuration that members gave up meanwhile.
                taken |= set(await self._tell(roster.members - members(before), _ADOPT, underway, *words))
                if following.prepare.met_by(taken) and following.accept.met_by(taken):
                    return
            if asyncio.get_running_loop().time() > deadline_s:
                silent = both - answer
                names = ", ".join(sorted(underway.addresses[member] for member in silent or both - taken))
                advice = "start it" if silent else "another change may have gone on meanwhile: look"
                raise AcceptorError(names, f"did not take the new configuration; {advice}, and call this again")
            await asyncio.sleep(PAUSE_S)

    async def _bring(
        self,
        step: Rescan | Copy,
        words: str,
        underway: Underway,
        current: Configuration,
        epoch: int,
        past: Sequence[Past],
    ) -> None:
        def told(done: int, whole: int) -> None:
            if self.progress:
                self.progress(words, done, whole)

        places = {identity: (name, self.connects[name]) for identity, name in underway.addresses.items()}
        records = Records(places, current, epoch, self.namespace, self.timeout_s, told)
        if isinstance(step, Copy):
            self.moved.append(await records.copy(step.to, past))
        else:
            self.moved.append(await records.rescan(past))


def _meets_all(configuration: Configuration, names: set[str]) -> bool:
    return configuration.prepare.lost_without(names) and configuration.accept.lost_without(names)


def _emptied(standing: Standing, old: Underway) -> str:
    # A newcomer that has lost what it was started with. The plan may end without it, but with a dead member in its
    # place. It has to, if a member does not answer: all of them have to give a plan up for another.
    if standing.roster.members - set(standing.identities.values()):
        return ""
    started = [old.addresses[step.name] for step in old.plan.steps[: old.done] if isinstance(step, Start)]
    return ", ".join(name for name in started if name in standing.empty)
