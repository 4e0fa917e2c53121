"""Runs a learner's `accept`, written in Lua, on a server, beside the pure function that it has to equal.

cases = accept_cases("lower")
for case, end in zip(cases, await run_accept(cluster, text, cases)):
    assert end == accept(*case), explain(case, end)
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count

from gryadka.acceptors.redis import script
from gryadka.acceptors.servers import LocalCluster
from gryadka.course.checking import Unfinished
from gryadka.errors import AcceptorError
from gryadka.protocol.acceptor import MAX_COUNTER, ZERO, Accept, Ballot, Prepare, Reply, State, accept

Case = tuple[State, Accept]
End = tuple[State, Reply]

# Chosen so that an order of texts differs from the order of numbers: "10:1" < "9:2", "2:10" < "2:9".
_BALLOTS = [ZERO, Ballot(2, 9), Ballot(2, 10), Ballot(9, 2), Ballot(10, 1), Ballot(MAX_COUNTER, 1)]

_runs = count()


def accept_cases(how: str) -> list[Case]:
    """Return all combinations of a state and an accept whose ballot is `how` ("lower", "equal" or "higher")
    compared with the promised one, made of a few telling ballots."""
    cases = []
    for promised in _BALLOTS:
        for accepted in (ballot for ballot in _BALLOTS if ballot <= promised):
            state = State(promised, accepted, None if accepted == ZERO else '"old"')
            for ballot in _BALLOTS[1:]:
                compared = "lower" if ballot < promised else "higher" if ballot > promised else "equal"
                if compared == how:
                    cases += [(state, Accept(ballot, '"new"', promise)) for promise in sorted({ballot, _BALLOTS[-1]})]
    return cases


async def run_accept(cluster: LocalCluster, lua: str, cases: Sequence[Case]) -> list[End]:
    """Return how each case ends, state and reply, on the first server of `cluster`, with `lua` as its accept.

    Raises `Unfinished` while the script still calls error("your turn"), and `AssertionError`, with what the
    server says, if it fails in another way.
    """
    name, run = cluster.names[0], next(_runs)
    keys = [f"check-{run}-{number}" for number in range(len(cases))]
    ours, theirs = cluster.acceptors()[name], cluster.acceptors(lua=script(accept=lua))[name]
    try:
        await ours.send([(key, _leading_to(state)) for key, (state, _) in zip(keys, cases, strict=True)])
        assert await asyncio.gather(*map(ours.read, keys)) == [state for state, _ in cases]
        try:
            answers = await theirs.send([(key, message) for key, (_, message) in zip(keys, cases, strict=True)])
        except AcceptorError as error:
            raise AssertionError(f"the server could not run the script: {error.reason}") from error
        replies = [_checked(answer) for answer in answers]
        states = await asyncio.gather(*map(ours.read, keys))
    finally:
        await ours.close()
        await theirs.close()
    return list(zip(states, replies, strict=True))


def _leading_to(state: State) -> Prepare | Accept:
    # The one message after which a fresh register is in this state. At ZERO it is refused, as it should be.
    if state.value is None:
        return Prepare(state.promised)
    return Accept(state.accepted, state.value, state.promised)


def _checked(answer: Reply | AcceptorError) -> Reply:
    if isinstance(answer, AcceptorError):
        if "your turn" in answer.reason:
            raise Unfinished("accept")
        raise AssertionError(f"the script ended in an error: {answer.reason}")
    return answer


def explain(case: Case, end: End) -> str:
    """Say in a sentence how `end` differs from what the pure function does."""
    (state, message), (after, reply) = case, end
    expected_state, expected_reply = accept(state, message)
    told = f"promised {state.promised}, then an accept at {message.ballot} that promises {message.promise}: "
    if reply != expected_reply:
        return f"{told}yours answers {reply!r}, the rule says {expected_reply!r}"
    return (
        f"{told}the answer is right, but yours stores {_in_words(after)}; the rule stores {_in_words(expected_state)}"
    )


def _in_words(state: State) -> str:
    return f"promised {state.promised}, accepted {state.accepted}, value {state.value or 'none'}"
