"""Reads in one round trip, without a write, as a model for `explore`.

What may live here: readers beside the model of `deletion`, and when one may answer.

A reader asks every acceptor what it has accepted; the answers come at different times. It may answer at once

- if a prepare quorum has answered, and an accept quorum reports the highest ballot among all answers: that value is
  chosen, and nothing newer was when the reader began;
- if a prepare quorum reports nothing at all: nothing is chosen, or it was deleted and collected.

Somebody who reports nothing may have forgotten a tombstone that is newer than what the others report. So it tells what
it has promised, which is its floor then, and that must not be higher. (With majorities it would do no harm: there any
two accept quorums meet.)

Else it falls back to a change that changes nothing, and is no reader any more. Both quorums are needed: one shows
that there is nothing newer, the other that what is shown cannot be lost again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gryadka.checking.deletion import Acceptor, Deletion, Label, Rules, Scope, World
from gryadka.checking.numbered import Numbers
from gryadka.checking.one_order import Operation, Value

SILENT = (-1, -1)

Told = tuple[int, int]
"""What an acceptor tells a reader: the ballot that it has accepted, and, if that is 0, the one that it has promised."""


@dataclass(frozen=True)
class ReadsScope(Scope):
    """`readers` of them read, whenever they like."""

    readers: int = 2


class Reading(NamedTuple):
    """One reader: what had ended when it began (None: it has not), and what it was shown (None: nothing yet)."""

    begun: int | None = None
    shown: Value | None = None


class ReadsRules(Rules):
    """When a reader may answer."""

    def answer(self, told: Sequence[Told]) -> int | None:
        """Return the ballot whose value to show (0: nothing), or None to go on waiting, with so much told so far."""
        ballots = [accepted for accepted, _ in told]
        highest = max(ballots)
        if len(told) < self.scope.prepare_quorum or (highest and self.may_be_hidden(highest, told)):
            return None
        return highest if highest == 0 or ballots.count(highest) >= self.scope.accept_quorum else None

    def may_be_hidden(self, highest: int, told: Sequence[Told]) -> bool:
        """Say whether somebody may have forgotten what was newer than the `highest` ballot."""
        return any(promised > highest for _, promised in told)


class QuorumReads(Deletion):
    """The model. Beside the world: the readers. Beside an acceptor: what it told each of them, or `SILENT`."""

    scope: ReadsScope
    rules: ReadsRules

    def __init__(self, scope: ReadsScope, rules: ReadsRules | None = None) -> None:
        super().__init__(scope, rules or ReadsRules(scope))
        world = self.worlds[self.initial[0]]._replace(beside=(Reading(),) * scope.readers)
        self.initial = (self.worlds.number(world), *self.initial[1:])

    def fresh(self) -> list[Acceptor]:
        """Return the acceptors as they are at first."""
        return [acceptor._replace(beside=(SILENT,) * self.scope.readers) for acceptor in super().fresh()]

    def successors(self, state: Numbers) -> Iterator[tuple[Label, Numbers]]:
        """The steps of the register, and those of its readers."""
        yield from super().successors(state)
        number, cells = state[0], state[1:]
        for reader, reading in enumerate(self.worlds[number].beside):
            if reading.shown is None and (reader == 0 or self.worlds[number].beside[reader - 1].begun is not None):
                for place, cell in enumerate(cells):
                    if cells.index(cell) == place and self.acceptors[cell].beside[reader] == SILENT:
                        yield ("tells the reader", reader, place), self._read(state, reader, place)

    def _read(self, state: Numbers, reader: int, place: int) -> Numbers:
        world, cells = self.worlds[state[0]], list(state[1:])
        acceptor = self.acceptors[cells[place]]
        reading: Reading = world.beside[reader]
        promised = self.rules.promised(acceptor) if acceptor.accepted <= 0 else 0
        cells[place] = self._telling(acceptor, reader, (max(acceptor.accepted, 0), promised))
        told = [self.acceptors[cell].beside[reader] for cell in cells]
        begun = world.acknowledged if reading.begun is None else reading.begun
        answer = self.rules.answer([one for one in told if one != SILENT])
        reading = Reading(begun, None if answer is None else self.value(world, answer))
        ended = world.acknowledged
        if answer is not None:
            ended |= 1 << len(self.ballots) + 1 + reader
            cells = [self._telling(self.acceptors[cell], reader, (0, 0)) for cell in cells]
        beside = (*world.beside[:reader], reading, *world.beside[reader + 1 :])
        return self._settle(self.worlds.number(world._replace(beside=beside, acknowledged=ended)), cells)

    def _telling(self, acceptor: Acceptor, reader: int, told: Told) -> int:
        beside = (*acceptor.beside[:reader], told, *acceptor.beside[reader + 1 :])
        return self.acceptors.number(acceptor._replace(beside=beside))

    def operations(self, world: World) -> list[Operation]:
        """Return what clients know, readers included; these are numbered on from the ballots."""
        found = super().operations(world)
        for number, reading in enumerate(world.beside, start=len(self.ballots) + 1):
            if reading.shown is not None:
                found.append(Operation(number, "read", reading.shown, self.ended(reading.begun)))
        return found
