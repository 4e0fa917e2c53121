"""What an acceptor may answer: where more than one answer is sound, all of them.

What may live here: that list. The explorer holds it to be sound, in tests.
"""

from __future__ import annotations

from gryadka.protocol.acceptor import Accepted, Conflict, Message, Prepare, Promise, Reply, State, accept, prepare


def sound_answers(state: State, message: Message) -> list[tuple[State, Reply]]:
    """Return the sound answers to `message`, Gryadka's own first.

    A ballot that was promised may be promised again, to the same round; and an acceptor that has gone on may say
    once more that it accepted what it did accept (Lamport, "Paxos Made Simple", 2001, section 2.2).
    """
    if isinstance(message, Prepare):
        answers = [prepare(state, message)]
        if message.ballot == state.promised:
            answers.append((state, Promise(state.accepted, state.value)))
        return answers
    answers = [accept(state, message)]
    again = message.ballot == state.accepted and message.value == state.value
    if isinstance(answers[0][1], Conflict) and again:
        answers.append((state, Accepted()))
    return answers
