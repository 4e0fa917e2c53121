"""A run of the model of a change of members, told step by step in words.

What may live here: telling. Nothing is decided, nothing is searched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

from gryadka.checking.explore import Step, Violation
from gryadka.checking.members import FRESH, ONE_CHAIN, Members
from gryadka.checking.members_state import History, Label, Report, longest
from gryadka.checking.members_steps import Rules
from gryadka.checking.numbered import Numbers
from gryadka.operations.plan import Adopt, Copy, Rescan
from gryadka.operations.plan import Step as PlanStep
from gryadka.protocol import value
from gryadka.protocol.acceptor import ZERO, Accept, Accepted, Ballot, Prepare, Promise, State
from gryadka.trace import Event

KEY = "register"


class Told(NamedTuple):
    """One step: `words` say what happened; `should` says what the right rules say, "" if they allow it."""

    words: str
    should: str


def tell(model: Members, trace: Sequence[Step[Numbers, Label]]) -> list[Told]:
    """Tell each step of a run that `explore` found in this model."""
    told = []
    for before, after in pairwise(trace):
        assert after.label, "only the first step of a trace is without a label"
        teller = _Teller(model, after.label, before.state, after.state)
        told.append(Told(teller.words(), teller.should()))
    return told


def why(model: Members, violation: Violation[Numbers, Label]) -> str:
    """Say in a sentence what went wrong."""
    if not violation.trace:
        return f"whatever happens, it is never so that {violation.name}"
    state = violation.trace[-1].state
    known = model.world(state).known
    if violation.name == ONE_CHAIN:
        for one, other in combinations(known, 2):
            if other[: len(one)] != one:
                return (
                    f"{_list(one)} and {_list(other)} were acknowledged, and the second does not go on from the first"
                )
    reading = model.world(state).reading
    if violation.name == FRESH and reading and reading.value is not None:
        return (
            f"{_list(reading.begun)} was acknowledged before the reader began, and it is shown {_list(reading.value)}"
        )
    missed = model.missed(state)
    assert missed, "the property fails in the last state of its trace"
    told = _list(longest(model.world(state)))
    names = _names(model, missed[1])
    return f"{told} was acknowledged, but whoever asks {names}, a quorum in epoch {missed[0]}, goes on without it"


def events(model: Members, trace: Sequence[Step[Numbers, Label]]) -> list[Event]:
    """Return a run as the events that a recorder would have written; what the coordinator does leaves none."""
    found: list[Event] = []
    for number, (before, after) in enumerate(pairwise(trace), start=1):
        label = after.label
        if label is None or label.act not in ("promises", "accepts"):
            continue
        name, ballot, round = (
            model.steps.names[label.place],
            _ballot(label.ballot),
            model.world(after.state).rounds[label.ballot],
        )
        was, now = (model.acceptors(state)[label.place] for state in (before.state, after.state))
        message: Prepare | Accept = Prepare(ballot)
        reply: Promise | Accepted = Promise(_ballot(was.held.accepted), _stored(was.held))
        if label.act == "accepts":
            stored = _stored(Report(label.ballot, round.value)) or ""
            message, reply = Accept(ballot, stored, _ballot(round.promise)), Accepted()
        state = State(_ballot(now.promised), _ballot(now.held.accepted), _stored(now.held))
        proposer = f"proposer-{label.ballot}"
        found.append(Event("sent", number, proposer, peer=name, key=KEY, message=message))
        found.append(Event("state", number, name, peer=proposer, key=KEY, message=message, reply=reply, state=state))
    return found


def _ballot(number: int) -> Ballot:
    return Ballot(number, number) if number else ZERO


def _stored(report: Report) -> str | None:
    return value.pack(value.encode(list(report.value)), {}, _ballot(report.accepted)) if report.accepted else None


class _Teller:
    def __init__(self, model: Members, label: Label, before: Numbers, after: Numbers) -> None:
        self.model, self.label = model, label
        self.world, self.then = model.world(before), model.world(after)
        self.cell, self.cells = model.acceptors(before)[label.place], model.acceptors(after)
        self.name = model.steps.names[label.place]

    def words(self) -> str:
        label, round = self.label, self.then.rounds[self.label.ballot]
        match label.act:
            case "adopts":
                configuration = _short(Adopt(self.model.steps.configurations[label.epoch])).removeprefix("adopt ")
                words = f"{self.name} adopts epoch {label.epoch}: a quorum is {configuration}"
            case "promises":
                asks = "the coordinator" if round.kind == "identity" else f"a proposer in epoch {label.epoch}"
                begins = "" if self.world.rounds[label.ballot].kind else " first"
                words = f"{self.name} is asked{begins} at ballot {label.ballot} by {asks}, and promises"
            case "accepts":
                words = f"{self._proposal()}{self.name} accepts {_list(round.value)} at ballot {label.ballot}"
                if round.acknowledged and not self.world.rounds[label.ballot].acknowledged:
                    words += f"; with that, {_list(round.value)} is acknowledged"
            case "is read":
                words = f"the coordinator reads {self.name}, and finds {_report(self.cell.held)}"
                if self.cell.promised > self.cell.held.accepted:
                    words += f", with ballot {self.cell.promised} promised"
            case "takes a copy":
                after = self.cells[label.place]
                words = f"{self.name} takes a copy from the coordinator, {_report(after.held)}"
                if after.promised > after.held.accepted:
                    words += f", and promises ballot {after.promised}"
            case "shows":
                words = f"{self.name} shows {_report(self.cell.held)} to a reader in epoch {label.epoch}"
                if self.then.reading and self.then.reading.value is not None:
                    words += f"; with that, {_list(self.then.reading.value)} is read"
            case "forgets":
                words = f"{self.name} is replaced by an empty server, which answers in its name"
        return f"{words}.{self._progress()}"

    def should(self) -> str:
        right, label = Rules(), self.label
        round = self.then.rounds[label.ballot]
        if label.act == "forgets":
            return "a server that lost its data is a new acceptor, and joins as one"
        if label.act == "accepts" and label.heard and label.epoch not in right.sends_in(round, label.epoch):
            return f"a round that began in epoch {round.epoch} ends with it"
        epoch = (round.sent_in or 0) if label.act == "accepts" else label.epoch
        if label.act in ("promises", "accepts", "shows") and right.refuses(self.cell.epoch, epoch):
            return f"{self.name} works in epoch {self.cell.epoch}, and refuses whoever works in epoch {epoch}"
        now = self.model.steps.epoch(self.world)
        if label.act == "is read" and not right.may_be_read(self.cell.epoch, now):
            return f"{self.name} is not read before it has adopted epoch {now}"
        if label.act in ("promises", "accepts", "shows") and self.cells[label.place].epoch < epoch:
            return f"{self.name} notes epoch {epoch}, and serves no earlier one any more"
        return ""

    def _proposal(self) -> str:
        round = self.then.rounds[self.label.ballot]
        if not self.label.heard:
            return ""
        whose = {"cached": "The cached round", "identity": "The coordinator"}.get(round.kind or "", "The proposer")
        heard = _names(self.model, self.label.heard)
        carried = f", with the promise of ballot {round.promise}" if round.promise > self.label.ballot else ""
        counts = f"has the promises of {heard}, and sends {_list(round.value)} in epoch {self.label.epoch}{carried}"
        return f"{whose} of ballot {self.label.ballot} {counts}; "

    def _progress(self) -> str:
        if self.then.done == self.world.done:
            return ""
        following = self.model.steps.present(self.then)
        passed = [self._ended(step) for step in self.model.steps.plan[self.world.done + 1 : self.then.done]]
        between = f" ({'; '.join(passed)})" if passed else ""
        goal = f"now it is to {_short(following)}" if following else "its plan is carried out"
        return f" The coordinator goes on{between}: {goal}."

    def _ended(self, step: PlanStep) -> str:
        left_out = isinstance(step, Rescan | Copy) and not self.model.rules.brings(step)
        return f"{_short(step)}: {'left out' if left_out else 'done'}"


def _short(step: PlanStep) -> str:
    # Prepare and accept quorums are alike, unless somebody chose them with care.
    return re.sub(r"prepare: (.*); accept: \1$", r"\1", str(step))


def _names(model: Members, places: Iterable[int]) -> str:
    *rest, last = [model.steps.names[place] for place in places]
    return f"{', '.join(rest)} and {last}" if rest else last


def _list(history: History) -> str:
    return str(list(history))


def _report(report: Report) -> str:
    return f"{_list(report.value)} of ballot {report.accepted}" if report.accepted else "nothing"
