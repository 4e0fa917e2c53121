"""What an acceptor may answer: where more than one answer is sound, all of them.

What may live here: that list. The explorer holds it to be sound, in tests.
"""

from __future__ import annotations

from gryadka.protocol.acceptor import (
    Accept,
    Accepted,
    Conflict,
    Message,
    Prepare,
    Promise,
    Reply,
    State,
    accept,
    prepare,
)


def sound_answers(state: State, message: Message) -> list[tuple[State, Reply]]:
    """Return the sound answers to `message`, Gryadka's own first.

    A ballot that was promised may be promised again, to the same round. An accept that comes for the second time may
    be accepted, even by an acceptor that has gone on, and it may be refused: it changes nothing either way (Lamport,
    "Paxos Made Simple", 2001, section 2.2).
    """
    if isinstance(message, Prepare):
        answers = [prepare(state, message)]
        if message.ballot == state.promised:
            answers.append((state, Promise(state.accepted, state.value)))
        return answers
    answers = [accept(state, message)]
    again: list[tuple[State, Reply]] = [(state, Accepted()), (state, Conflict(state.promised))]
    if is_duplicate(state, message):
        answers += [answer for answer in again if answer not in answers]
    return answers


def is_duplicate(state: State, message: Accept) -> bool:
    """Say whether this accept was accepted already, with all that it carries."""
    return message.ballot == state.accepted and message.value == state.value and message.promise <= state.promised
