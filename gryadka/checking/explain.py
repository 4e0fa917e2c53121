"""A run of the model, told step by step: in words, as what the right rules would have said, and as events.

What may live here: telling. Nothing is decided, nothing is searched. The events are those of
`gryadka.trace`, so whatever plays a recorded run plays a counterexample too; `at_s` counts the steps.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from string import ascii_uppercase
from typing import Any

from gryadka.checking.answers import sound_answers
from gryadka.checking.explore import Step, Violation
from gryadka.checking.model import NO_WAY_BACK, Caspaxos, Label
from gryadka.checking.numbered import Numbers
from gryadka.checking.rules import Broken, Ending, Memory, Outcome, Rules
from gryadka.checking.steps import Answer, Move, Slot, Steps
from gryadka.protocol.acceptor import ZERO, Accept, Accepted, Conflict, Message, Prepare, Promise, Reply, State
from gryadka.trace import Event, Kind

KEY = "register"

# What an ended change's event says: the words that `Proposer` uses.
NOTES: dict[Ending, str] = {
    "applied": "applied",
    "refused": "ChangeRejected",
    "unknown": "OutcomeUnknown",
    "not applied": "NotApplied",
}


@dataclass(frozen=True)
class Told:
    """One step: `words` say what happened; `should` says what the right rules say, "" if they allow it."""

    words: str
    should: str
    events: tuple[Event, ...]


def explain(model: Caspaxos, trace: Sequence[Step[Numbers, Label]]) -> list[Told]:
    """Tell each step of a run that `explore` found in this model."""
    right = Steps(Rules(model.scope))
    told = []
    for number, (before, step) in enumerate(pairwise(trace), start=1):
        if step.label is None:
            raise ValueError("only the first step of a trace is without a label")
        who, act = step.label
        teller = _AcceptorsStep if isinstance(act, Answer) else _ProposersStep
        told.append(teller(model, right, float(number), who, before.state, step.state).tell(act))
    return told


def events(model: Caspaxos, trace: Sequence[Step[Numbers, Label]]) -> list[Event]:
    """Return a run as the events that a recorder would have written."""
    return [event for step in explain(model, trace) for event in step.events]


def why(model: Caspaxos, violation: Violation[Numbers, Label]) -> str:
    """Say in a sentence what is wrong at the end of the run."""
    if violation.kind == "never reached":
        return "whatever happens, it never does"
    label = violation.trace[-1].label
    if violation.name == NO_WAY_BACK and label and isinstance(label[1], Answer):
        before, after = label[1].before.promised, label[1].after.promised
        return f"acceptor {ascii_uppercase[label[0]]} had promised {before}, and its promise is now {after}"
    return model.why(violation.name, violation.trace[-1].state)


class _Teller:
    """What both kinds of step need."""

    def __init__(self, model: Caspaxos, right: Steps, at_s: float, who: int, before: Numbers, after: Numbers) -> None:
        self.model, self.right, self.at_s, self.who = model, right, at_s, who
        self.before, self.after = before, after
        self.names = ascii_uppercase[: model.scope.acceptors]

    def event(self, kind: Kind, node: str, **parts: Any) -> Event:
        return Event(kind, self.at_s, node, key=KEY, **parts)


class _AcceptorsStep(_Teller):
    def tell(self, act: Answer | Move) -> Told:
        assert isinstance(act, Answer)
        name, message = self.names[self.who], act.message
        if act.reply is None:
            failed = self.event("failed", _proposer(message), peer=name, message=message, note=act.broken)
            return Told(f"{name} is asked to {asked(message)}: {act.broken}", "", (failed,))
        words = f"{name} {said(message, act.reply)}"
        found = [self.event("state", name, message=message, reply=act.reply, state=act.after)]
        if act.crashed:
            words += f"; it crashes, and comes back with {held(act.after)}"
            note = f"it has {held(act.after)}"
            found += [self.event("crashed", name, note="after it answered"), self.event("restarted", name, note=note)]
        sound = sound_answers(act.before, message)
        after, reply = sound[0]
        if act.after != after and not act.crashed:
            words += f"; it then has {held(act.after)}"
        should = ""
        if act.reply not in [answer for _, answer in sound]:
            should = f"{name} {said(message, reply)}"
        elif (act.after, act.reply) not in sound:
            should = f"{name} then has {held(after)}"
        return Told(words, should, tuple(found))


class _ProposersStep(_Teller):
    def tell(self, act: Answer | Move) -> Told:
        assert isinstance(act, Move)
        node = f"proposer-{self.who + 1}"
        if act.broken:
            return Told(f"proposer {self.who + 1}: {act.broken}", "", (self.event("failed", node, note=act.broken),))
        me, after = (self.model.world(state).memories[self.who] for state in (self.before, self.after))
        began = not me.waiting and (after.waiting or act.outcome is not None)
        changes = self.model.steps.changes[self.who]
        change = changes[len(after.outcomes) - (act.outcome is not None)] if after.waiting or act.outcome else None
        number = change.number if change else None
        found = [self.event("change-begun", node, change=number)] if began else []
        for place, reply in zip(act.heard, act.replies, strict=True):
            found.append(self.event("delivered", node, peer=self.names[place], message=act.asked, reply=reply))
        if act.message:
            found += [self.event("sent", node, peer=name, message=act.message) for name in self.names]
        if act.outcome:
            found.append(self.event("change-ended", node, change=number, note=NOTES[act.outcome.ending]))
        parts = [f"begins change {number} ({change.wish})"] if began and change else []
        words = f"proposer {self.who + 1} " + ", then ".join(parts + self._words(act, me, after))
        if act.outcome:
            words += f": change {number} {_ended(act.outcome)}"
        return Told(words, self._should(act, me, after), tuple(found))

    def _words(self, act: Move, me: Memory, after: Memory) -> list[str]:
        heard = listed([self.names[place] for place in act.heard])
        if act.kind == "leave":
            return ["is told that its caller leaves"]
        if act.kind == "count up":
            return [f"hears a refusal of {heard}, and sets its counter to {after.counter}"]
        parts = []
        if act.heard and act.kind != "propose at once":
            parts.append(f"hears {'refusals of ' if act.kind == 'prepare' else ''}{heard}")
        if act.kind == "prepare" and me.asked and me.waiting:
            parts.append(f"gives up {me.asked.ballot}")
        if act.kind == "propose at once":
            parts.append("needs no prepare")
        if act.kind == "cannot tell":
            parts.append("cannot tell whether its change is in the value")
        return parts + ([f"asks all to {asked(act.message)}"] if act.message else [])

    def _should(self, act: Move, me: Memory, after: Memory) -> str:
        cells = self.model.cells(self.before)
        slots = [
            self.right.slot(cell, self.who, me) if self.model.scope.conflicts else Slot(cell.answers[self.who])
            for cell in cells
        ]
        shown = (outcome.history for each in self.model.world(self.before).memories for outcome in each.outcomes)
        try:
            moves = self.right.moves(self.who, me, max(shown, key=len, default=()), slots)
        except Broken:  # an acceptor's fault, which was told before
            return ""
        if after in moves:
            return ""
        instead = next((move for move in moves.values() if (move.kind, move.heard) == (act.kind, act.heard)), None)
        if instead and instead.message:
            return f"proposer {self.who + 1} asks all to {asked(instead.message)}"
        return f"proposer {self.who + 1} does nothing of the kind"


def asked(message: Message) -> str:
    """Say what a message asks for."""
    if isinstance(message, Prepare):
        return f"promise {message.ballot}"
    next_ballot = f", and to promise {message.promise}" if message.promise != message.ballot else ""
    return f"accept {_value(message.value)} at {message.ballot}{next_ballot}"


def said(message: Message, reply: Reply) -> str:
    """Say what an acceptor does that answers `message` by `reply`."""
    if isinstance(reply, Conflict):
        return f"refuses {message.ballot}, because it has promised {reply.promised}"
    if isinstance(message, Accept) and isinstance(reply, Accepted):
        return asked(message).replace("accept", "accepts", 1).replace("and to promise", "and promises")
    assert isinstance(reply, Promise)
    told = f"{_value(reply.value)} at {reply.accepted}" if reply.accepted != ZERO or reply.value else "nothing"
    return f"promises {message.ballot}, and tells that it has accepted {told}"


def held(state: State) -> str:
    """Say what a state holds."""
    accepted = f"accepted {_value(state.value)} at {state.accepted}" if state.value else "accepted nothing"
    return f"promised {state.promised if state.promised > ZERO else 'nothing'} and {accepted}"


def _value(stored: str | None) -> str:
    try:
        value = json.loads(stored)["value"] if stored else None
        return "[]" if value is None else json.dumps(value)
    except (ValueError, TypeError, KeyError):
        return repr(stored)


def _ended(outcome: Outcome) -> str:
    if outcome.ending in ("unknown", "not applied"):
        return f"is reported as {outcome.ending}"
    return f"is {outcome.ending}, and its caller is shown {list(outcome.history)}"


def listed(names: Sequence[str]) -> str:
    """Return "A, B and C"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _proposer(message: Message) -> str:
    return f"proposer-{message.ballot.proposer}"
