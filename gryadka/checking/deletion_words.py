"""A run of the models of deletion, told step by step in words.

What may live here: telling. Nothing is decided, nothing is searched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from gryadka.checking.deletion import Acceptor, Deletion, Label, World
from gryadka.checking.explore import Step, Violation
from gryadka.checking.numbered import Numbers
from gryadka.protocol import value
from gryadka.protocol.acceptor import ZERO, Accept, Accepted, Ballot, Prepare, Promise, State
from gryadka.trace import Event

NAMES = "ABCDEFGHIJ"
KEY = "register"


def tell(model: Deletion, trace: Sequence[Step[Numbers, Label]]) -> list[str]:
    """Tell each step of a run that `explore` found in this model, in one sentence each."""
    return [
        _sentence(model, after.label, before.state, after.state) for before, after in pairwise(trace) if after.label
    ]


def why(model: Deletion, violation: Violation[Numbers, Label]) -> str:
    """Say in a sentence what went wrong."""
    if not violation.trace:
        return f"whatever happens, it is never so that {violation.name}"
    return model.why(violation.name, violation.trace[-1].state)


def events(model: Deletion, trace: Sequence[Step[Numbers, Label]]) -> list[Event]:
    """Return a run as the events that a recorder would have written; of other models, what concerns the register.

    An acceptor without a record is shown as one that has promised its floor, which is how it answers.
    """
    found: list[Event] = []
    for number, (before, after) in enumerate(pairwise(trace), start=1):
        word, ballot, place = after.label or ("", 0, 0)
        if word not in ("promises", "accepts", "forgets"):
            continue
        was, now = _acceptor(model, before.state, place), _acceptor(model, after.state, place)
        name, world = NAMES[place], model.worlds[after.state[0]]
        if word == "forgets":
            note = f"forgets the record; its floor is {now.floor or 'nothing'}"
            found.append(Event("state", number, name, key=KEY, state=State(_ballot(now.floor)), note=note))
            continue
        message: Prepare | Accept = Prepare(_ballot(ballot))
        reply: Promise | Accepted = Promise(_ballot(was.accepted), _text(model, world, was.accepted))
        if request := world.accepts[ballot - 1] if word == "accepts" else None:
            stored = _text(model, world, ballot) or ""
            message, reply = Accept(_ballot(ballot), stored, _ballot(request.promise)), Accepted()
        state = State(_ballot(now.promised), _ballot(now.accepted), _text(model, world, now.accepted))
        proposer = f"proposer-{ballot}"
        found.append(Event("sent", number, proposer, peer=name, key=KEY, message=message))
        found.append(Event("state", number, name, peer=proposer, key=KEY, message=message, reply=reply, state=state))
    return found


def _ballot(number: int) -> Ballot:
    return Ballot(number, number) if number > 0 else ZERO


def _text(model: Deletion, world: World, accepted: int) -> str | None:
    held = list(model.value(world, accepted)) or None
    return value.pack(value.encode(held), {}, _ballot(accepted)) if accepted > 0 else None


def _sentence(model: Deletion, label: Label, before: Numbers, after: Numbers) -> str:
    word, ballot, place = label
    was, now = model.worlds[before[0]], model.worlds[after[0]]
    name, acceptor = NAMES[place], _acceptor(model, after, place)
    sentences = {
        "promises": lambda: (
            f"{name} promises ballot {ballot} ({_wish(model, ballot)}), and reports {_held(model, was, before, place)}"
        ),
        "accepts": lambda: f"{name} accepts ballot {ballot}: {_stored(model, now, ballot)}",
        "forgets": lambda: f"{name} forgets the record; its floor is {acceptor.floor or 'nothing'}",
        "raises its floor": lambda: f"{name} raises its floor to {ballot} for another register",
        "tells the reader": lambda: f"{name} tells reader {ballot + 1} {_held(model, was, before, place)}",
        "notes the plan": lambda: f"{name} notes the plan, and tells its floor, {acceptor.floor}",
        "is started": lambda: f"{name} is started, with the floor {acceptor.floor}",
        "refuses the old epoch": lambda: f"{name} refuses the old epoch from now on",
        "gets the copy": lambda: f"{name} gets the copy: {_held(model, now, after, place)}",
        "hears that the plan is over": lambda: f"{name} hears that the plan is over",
        "visits": lambda: f"the collector of ballot {ballot} visits proposer {place + 1}, whose age rises",
        "is told the ages": lambda: f"{name} is told the proposers' new ages",
        "joins": lambda: f"proposer {place + 1} joins",
    }
    return sentences[word]() + "".join(_news(model, was, now))


def _news(model: Deletion, was: World, now: World) -> Iterable[str]:
    for number in range(1, len(model.ballots) + 10):
        if now.acknowledged & ~was.acknowledged & 1 << number:
            shown = next(
                (one.shown for one in model.operations(now) if one.number == model.again.get(number, number)), ()
            )
            who = (
                f"ballot {number} is acknowledged"
                if number in model.ballots
                else f"reader {number - len(model.ballots)} answers"
            )
            yield f" -- {who}; it was shown {_list(shown or ())}"
        if now.forgets & ~was.forgets & 1 << number:
            yield f" -- the collector lets all forget what they accepted at ballot {number}"


def _acceptor(model: Deletion, state: Numbers, place: int) -> Acceptor:
    return model.acceptors[state[1 + place]] if place < len(state) - 1 else Acceptor()


def _wish(model: Deletion, ballot: int) -> str:
    change = model.again.get(ballot, ballot)
    return f"a {model.scope.kinds[change - 1]}" + (f", that of ballot {change} again" if change != ballot else "")


def _held(model: Deletion, world: World, state: Numbers, place: int) -> str:
    accepted = max(_acceptor(model, state, place).accepted, 0)
    return f"ballot {accepted}, {_list(model.value(world, accepted))}" if accepted else "nothing at all"


def _stored(model: Deletion, world: World, ballot: int) -> str:
    request = world.accepts[ballot - 1]
    assert request, "it was accepted"
    promise = f", and promises {request.promise}" if request.promise > ballot else ""
    return _list(request.value) + promise


def _list(numbers: Sequence[int]) -> str:
    return str(list(numbers)) if numbers else "no value"
