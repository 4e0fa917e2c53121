"""The steps of a change of members: what an acceptor may do next, and how far the coordinator has come.

What may live here: the steps, on the records of `members_state`, and the rules that they ask. Numbers and the search
know nothing of it (`members`). A wrong rule overrides a method of `Rules` (`members_zoo`).

- **No network.** What was sent stays sent, and an acceptor may answer it at any time, or never. So sending need not
  be a step of its own: a message is there once somebody could have sent it. That is loss, delay and duplication.
- **No proposers.** Who acts for a ballot is left open. It may be a proposer that works with any configuration that
  an acceptor ever told anybody of: one that was paused, or that nobody knows, asks on in an old one.
- **A coordinator** takes the plan's steps in order, and tells, reads and copies one acceptor after the other. It
  goes on as soon as it may; if nobody answers it, that is a coordinator that was killed there.
- **A reader**, if there is one, asks without writing (gryadka/reads.py), in any configuration that is still served.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations

from gryadka.checking.members_state import (
    Acceptor,
    History,
    Label,
    Reading,
    Report,
    Round,
    Seen,
    View,
    World,
    longest,
    with_round,
)
from gryadka.checking.numbered import put
from gryadka.operations.plan import Adopt, Copy, Rescan, Start, Step, members
from gryadka.protocol.configuration import Configuration, Quorum


class Rules:
    """What is decided while members change, as it should be. A wrong one overrides a method."""

    def refuses(self, own: int, epoch: int) -> bool:
        """Say whether an acceptor, its own epoch being `own`, refuses a message of this epoch."""
        return own > epoch

    def refuses_reader(self, own: int, epoch: int) -> bool:
        """Say whether an acceptor, its own epoch being `own`, refuses to show what it holds to a reader of this one."""
        return self.refuses(own, epoch)

    def sends_in(self, round: Round, latest: int) -> Sequence[int]:
        """Say in which epochs a round's accept may be sent; `latest` is the last that anybody was told of."""
        return (round.epoch,)

    def is_adopted(self, before: Configuration, following: Configuration, told: Collection[str]) -> bool:
        """Say whether a configuration is in force, and the one before out of force, once these have adopted it."""
        left = before.prepare.lost_without(told) and before.accept.lost_without(told)
        return left and following.prepare.met_by(told) and following.accept.met_by(told)

    def brings(self, step: Rescan | Copy) -> bool:
        """Say whether the coordinator takes this step, which brings records along."""
        return True

    def sources(self, current: Configuration) -> Quorum:
        """Say from which quorum a copy is read."""
        return current.prepare

    def is_chosen(self, read: Sequence[Seen]) -> bool:
        """Say whether what a quorum of sources has shown may be copied.

        What only some have accepted is not: on the newcomer it would look like one more vote.
        """
        return len({one.held for one in read}) == 1

    def promise(self, read: Sequence[Seen]) -> int:
        """Return what a newcomer is to promise, that gets a copy of what these have shown: the highest promise.

        An old proposer may be at work with it, on acceptors that are left behind.
        """
        return max(one.promised for one in read)

    def shows(self, configuration: Configuration, told: Sequence[Report]) -> bool:
        """Say whether a reader may answer, once members of the prepare quorum have shown this."""
        agree = sum(one == max(told) for one in told)
        return len(told) >= configuration.prepare.size and (
            not max(told).accepted or agree >= configuration.accept.size
        )

    def epoch_after(self, own: int, epoch: int) -> int:
        """Return an acceptor's epoch once it has said yes to a message of this epoch.

        Who served a later configuration serves no earlier one any more, though no coordinator told it.
        """
        return max(own, epoch)

    def may_be_read(self, own: int, epoch: int) -> bool:
        """Say whether the coordinator reads from an acceptor whose epoch is `own`, its own being `epoch`.

        A read is no promise. One that has not adopted the epoch yet may still accept what is older.
        """
        return own >= epoch

    def may_forget(self) -> bool:
        """Say whether an acceptor may lose all that it knows and yet answer under its old identity."""
        return False


class Steps:
    """What may happen while these steps of a plan are taken, under these rules."""

    def __init__(
        self,
        begin: Configuration,
        steps: Sequence[Step],
        ballots: int,
        rules: Rules,
        *,
        cached_rounds: bool = False,
        reader: bool = False,
    ) -> None:
        self.plan = tuple(steps)
        self.rules = rules
        self.reader = reader
        self.ballots = range(1, ballots + 1)
        self.cached_rounds = cached_rounds
        self.configurations = [begin, *(step.configuration for step in self.plan if isinstance(step, Adopt))]
        names = dict.fromkeys(name for one in self.configurations for name in sorted(members(one)))
        self.names = tuple(sorted(names, key=lambda name: (self.role(name), name)))
        self.fresh = Acceptor(0, Report(0, ()), 0, (None,) * (ballots + 1), (False,) * (ballots + 1))
        self.members = [frozenset(map(self.names.index, members(one))) for one in self.configurations]
        self.prepare = [tuple(map(self.names.index, one.prepare.members)) for one in self.configurations]
        self.accept = [tuple(map(self.names.index, one.accept.members)) for one in self.configurations]

    def role(self, name: str) -> tuple[bool, ...]:
        """Return where a name stands in the plan; acceptors with the same role are interchangeable."""
        quorums = [quorum for one in self.configurations for quorum in (one.prepare, one.accept)]
        named = [step == Start(name) or (isinstance(step, Copy) and name in step.to) for step in self.plan]
        return (*(name not in quorum.members for quorum in quorums), *named)

    # -- acceptors --

    def own(self, world: World, place: int, cell: Acceptor, latest: int) -> Iterator[tuple[Label, Acceptor, World]]:
        """What the acceptor at `place` may do by itself; `latest` is the last epoch that any acceptor knows."""
        if not self._started(world, place):
            return
        for epoch in range(cell.epoch + 1, self.epoch(world, asked=True) + 1):
            if place in self.members[epoch] | self.members[epoch - 1]:
                yield Label("adopts", place, epoch=epoch), cell._replace(epoch=epoch), world
        for ballot in self.ballots:
            yield from self._promise(world, place, cell, ballot, latest)
            if world.rounds[ballot].sent_in is not None and (voted := self.vote(world, place, cell, ballot)):
                yield Label("accepts", place, ballot), voted, world
        if world.done < len(self.plan):
            yield from self._read(world, place, cell)
        yield from self._take_copy(world, place, cell)
        if self.reader and cell.shown is None:
            yield from self._show(world, place, cell, latest)
        if self.rules.may_forget() and cell.promised:
            yield Label("forgets", place), cell._replace(promised=0, held=Report(0, ())), world

    def _promise(
        self, world: World, place: int, cell: Acceptor, ballot: int, latest: int
    ) -> Iterator[tuple[Label, Acceptor, World]]:
        round = world.rounds[ballot]
        if ballot <= cell.promised or round.kind == "cached" or round.sent_in is not None:
            return
        begun: list[Round] = [round]
        if round.kind is None:
            begun = [Round("change", epoch) for epoch in range(latest + 1)]
            if isinstance(self.present(world), Rescan) or world.differ:
                begun.append(Round("identity", self.epoch(world)))
        for each in begun:
            if place in self.prepare[each.epoch] and not self.rules.refuses(cell.epoch, each.epoch):
                epoch, promises = self.rules.epoch_after(cell.epoch, each.epoch), put(cell.promises, ballot, cell.held)
                after = cell._replace(promised=ballot, promises=promises, epoch=epoch)
                yield Label("promises", place, ballot, each.epoch), after, with_round(world, ballot, each)

    def vote(self, world: World, place: int, cell: Acceptor, ballot: int) -> Acceptor | None:
        """Return the acceptor once it accepted what was sent at this ballot; None if it refuses, or did so."""
        round = world.rounds[ballot]
        if round.sent_in is None or place not in self.accept[round.sent_in] or not self._started(world, place):
            return None
        if ballot < cell.promised or cell.held.accepted == ballot or self.rules.refuses(cell.epoch, round.sent_in):
            return None
        held, promises = Report(ballot, round.value), cell.promises
        if round.promise > ballot and world.rounds[round.promise].sent_in is None:
            promises = put(promises, round.promise, held)
        votes = put(cell.votes, ballot, not round.acknowledged)
        epoch = self.rules.epoch_after(cell.epoch, round.sent_in)
        return Acceptor(round.promise, held, epoch, promises, votes, cell.read, cell.shown)

    # -- proposers --

    def proposals(
        self, world: World, ballot: int, promises: Sequence[Report | None], latest: int
    ) -> Iterator[tuple[Label, World]]:
        """What whoever acts for `ballot` may send, having heard some of these promises, one a place."""
        round = world.rounds[ballot]
        if round.kind is None or round.sent_in is not None:
            return
        size = self.configurations[round.epoch].prepare.size
        granted = [place for place in self.prepare[round.epoch] if promises[place] is not None]
        values: dict[History, tuple[int, ...]] = {}
        for heard in combinations(granted, size):
            value = max(report for place in heard if (report := promises[place]) is not None).value
            values.setdefault(value if round.kind == "identity" else (*value, ballot), heard)
        for value, heard in values.items():
            for epoch in self.rules.sends_in(round, latest):
                sent = round._replace(sent_in=epoch, value=value, promise=ballot)
                label = Label("accepts", -1, ballot, epoch, heard)
                yield label, with_round(world, ballot, sent)
                for later in self._unused(world, ballot):
                    carrying = with_round(world, ballot, sent._replace(promise=later))
                    yield label, with_round(carrying, later, Round("cached", epoch))

    def _unused(self, world: World, ballot: int) -> list[int]:
        if not self.cached_rounds or world.rounds[ballot].kind == "identity":
            return []
        return [later for later in self.ballots if later > ballot and world.rounds[later].kind is None]

    # -- the coordinator --

    def present(self, world: World) -> Step | None:
        """Return the step that the coordinator takes now; None once the plan is carried out."""
        return self.plan[world.done] if world.done < len(self.plan) else None

    def epoch(self, world: World, *, asked: bool = False) -> int:
        """Return the epoch in force, as far as the coordinator knows; if `asked`, that which it asks for."""
        return sum(isinstance(step, Adopt) for step in self.plan[: world.done + asked])

    def _started(self, world: World, place: int) -> bool:
        name = self.names[place]
        return place in self.members[0] or Start(name) in self.plan[: world.done]

    def _read(self, world: World, place: int, cell: Acceptor) -> Iterator[tuple[Label, Acceptor, World]]:
        # For a copy, what an acceptor holds; for a rescan, that it has never heard of the register.
        step, epoch = self.present(world), self.epoch(world)
        asked = isinstance(step, Copy) or (isinstance(step, Rescan) and not cell.promised)
        readable = place in self.prepare[epoch] and self.rules.may_be_read(cell.epoch, epoch)
        if asked and readable and cell.read != (seen := Seen(cell.promised, cell.held)):
            yield Label("is read", place), cell._replace(read=seen), world

    def _take_copy(self, world: World, place: int, cell: Acceptor) -> Iterator[tuple[Label, Acceptor, World]]:
        for number, step in enumerate(self.plan[: world.done + 1]):
            if isinstance(step, Copy) and self.names[place] in step.to:
                for epoch, copy in world.copies:
                    after = _with_copy(cell, copy)
                    copied = tuple(sorted({*world.copied, place})) if number == world.done else world.copied
                    news = after != cell or copied != world.copied
                    if after and news and not self.rules.refuses(cell.epoch, epoch):
                        yield Label("takes a copy", place, copy.held.accepted), after, world._replace(copied=copied)

    def _show(self, world: World, place: int, cell: Acceptor, latest: int) -> Iterator[tuple[Label, Acceptor, World]]:
        begun = [world.reading] if world.reading else [Reading(epoch, longest(world)) for epoch in range(latest + 1)]
        for reading in begun:
            epoch = reading.epoch
            if (
                reading.value is None
                and place in self.prepare[epoch]
                and not self.rules.refuses_reader(cell.epoch, epoch)
            ):
                after = cell._replace(shown=cell.held, epoch=self.rules.epoch_after(cell.epoch, epoch))
                yield Label("shows", place, epoch=epoch), after, world._replace(reading=reading)

    def answered(self, world: World, shown: Sequence[Report | None]) -> World:
        """Return the world once its reader has an answer, if these acceptors, by place, have shown enough."""
        if not (reading := world.reading) or reading.value is not None:
            return world
        told = [report for place in self.prepare[reading.epoch] if (report := shown[place]) is not None]
        if not told or not self.rules.shows(self.configurations[reading.epoch], told):
            return world
        return world._replace(reading=reading._replace(value=max(told).value))

    def copying(self, world: World, cells: Sequence[View]) -> World:
        """Return the world with the copies that the coordinator may send, having read what it has."""
        step, epoch = self.present(world), self.epoch(world)
        if not isinstance(step, Copy) or not self.rules.brings(step):
            return world
        sources = self.rules.sources(self.configurations[epoch])
        known = [read for name in sources.members if (read := cells[self.names.index(name)].read)]
        quorums = [*combinations(known, sources.size)]
        agreed = [quorum for quorum in quorums if self.rules.is_chosen(quorum)]
        sent = {(epoch, Seen(self.rules.promise(one), max(seen.held for seen in one))) for one in agreed}
        copies = {*world.copies, *(one for one in sent if one[1].promised)}
        differ = world.differ or len(agreed) < len(quorums) or len(copies) > 1
        return world._replace(copies=tuple(sorted(copies)), differ=differ)

    def is_done(self, world: World, cells: Sequence[View]) -> bool:
        """Say whether the coordinator may go on to the next step."""
        step, epoch = self.present(world), self.epoch(world)
        if isinstance(step, Adopt):
            told = {name for name, cell in zip(self.names, cells, strict=True) if cell.epoch > epoch}
            return self.rules.is_adopted(self.configurations[epoch], step.configuration, told)
        if isinstance(step, Rescan | Copy) and self.rules.brings(step):
            nothing = {
                name
                for name, cell in zip(self.names, cells, strict=True)
                if cell.read and not self.rules.promise([cell.read])
            }
            if isinstance(step, Copy):
                everywhere = all(self.names.index(name) in world.copied for name in step.to)
                unheard = self.rules.sources(self.configurations[epoch]).met_by(nothing)
                return everywhere or unheard or self._is_rescanned(world, epoch)
            return self._is_rescanned(world, epoch) or self._lists_nothing(world, epoch, nothing)
        return step is not None

    def _is_rescanned(self, world: World, epoch: int) -> bool:
        mine = [round for round in world.rounds if round.kind == "identity" and round.epoch == epoch]
        return any(round.acknowledged for round in mine)

    def _lists_nothing(self, world: World, epoch: int, nothing: Collection[str]) -> bool:
        # The keys are those of acceptors that meet every accept quorum since the last rescan.
        begins = max((n for n, step in enumerate(self.plan[: world.done]) if isinstance(step, Rescan)), default=0)
        adopted = sum(isinstance(step, Adopt) for step in self.plan[:begins])
        past = self.configurations[adopted : epoch + 1]
        met = all(configuration.accept.lost_without(nothing) for configuration in past)
        return met and self.configurations[epoch].prepare.met_by(nothing)


def _with_copy(cell: Acceptor, copy: Seen) -> Acceptor | None:
    # The acceptor once it knows all of it; None if it refuses, having promised more.
    if cell.held.accepted >= copy.held.accepted:
        return cell._replace(promised=max(cell.promised, copy.promised))
    return cell._replace(promised=copy.promised, held=copy.held) if copy.held.accepted >= cell.promised else None
