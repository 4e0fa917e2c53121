"""A trace in words, one short line for each thing that matters, and what the right rules would have said.

What may live here: telling what was recorded, by whomever. Runs of the model are told by `checking.explain`, which
knows more about them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from gryadka.checking.answers import sound_answers
from gryadka.checking.explain import Told, asked, held, listed, said
from gryadka.course.checking import BY_THE_RULES
from gryadka.protocol.acceptor import State
from gryadka.trace import Event

IN_WORDS = {
    "crashed": "crashes",
    "restarted": "comes back",
    "paused": "stands still",
    "resumed": "goes on",
    "partitioned": "is cut off from",
    "healed": "is reached again by",
}


def told(step: Told) -> str:
    """Return a step of the model in one line."""
    return with_rule(step.words, step.should)


def with_rule(words: str, should: str) -> str:
    """Return a line that sets what happened beside what should have happened, if that is something else."""
    return words + BY_THE_RULES + should if should else words


def tell(events: Iterable[Event]) -> Iterator[str]:
    """Tell a recorded run. What a proposer hears is left out: what it does next shows it."""
    events = list(events)
    several = len({event.key for event in events if event.key}) > 1
    states: dict[tuple[str, str | None], State] = {}
    for _, group in groupby(events, key=lambda each: (each.kind, each.node, each.key, each.message, each.at_s)):
        same = list(group)
        of = f"{same[0].key}: " if several and same[0].key else ""
        event, peers = same[0], listed([each.peer or "" for each in same])
        if event.kind == "change-begun":
            yield f"{event.node} begins change {event.change} of {event.key}"
        elif event.kind == "change-ended":
            yield f"{event.node}'s change {event.change}: {event.note}"
        elif event.kind == "sent" and event.message:
            yield f"{of}{event.node} asks {peers} to {asked(event.message)}"
        elif event.kind == "state":
            yield of + _acceptor(event, states)
        elif event.kind in ("dropped", "duplicated", "failed") and event.message:
            yield f"{of}{event.node}'s message to {peers}, {asked(event.message)}: {event.note}"
        elif event.kind in IN_WORDS:
            note = f" {event.note}" if event.note else ""
            yield f"{event.node} {IN_WORDS[event.kind]} {peers}".rstrip() + note


def _acceptor(event: Event, states: dict[tuple[str, str | None], State]) -> str:
    before = states.get((event.node, event.key), State())
    if not event.message or event.reply is None or event.state is None:
        return f"{event.node} changes"
    states[event.node, event.key] = event.state
    words, sound = f"{event.node} {said(event.message, event.reply)}", sound_answers(before, event.message)
    if event.reply not in [reply for _, reply in sound]:
        return with_rule(words, f"{event.node} {said(event.message, sound[0][1])}")
    if (event.state, event.reply) not in sound:
        return with_rule(f"{words}; it then has {held(event.state)}", f"{event.node} then has {held(sound[0][0])}")
    return words
