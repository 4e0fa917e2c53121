"""Runs a learner's `accept`, written in Lua, on a server, beside the pure function that it has to equal.

print(await examine(cluster, text))
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from itertools import count

from gryadka.acceptors import Acceptor, state_of
from gryadka.acceptors.redis import RedisAcceptor, script
from gryadka.acceptors.servers import LocalCluster
from gryadka.acceptors.wire import Wire
from gryadka.checking.explain import listed
from gryadka.course.checking import Unfinished
from gryadka.course.finding import Finding
from gryadka.errors import AcceptorError, ConfigurationError
from gryadka.protocol.acceptor import MAX_COUNTER, ZERO, Accept, Ballot, Prepare, Reply, State, accept
from gryadka.trace import Event

Case = tuple[State, Accept]
End = tuple[State, Reply]

# Chosen so that an order of texts differs from the order of numbers: "10:1" < "9:2", "2:10" < "2:9".
_BALLOTS = [ZERO, Ballot(2, 9), Ballot(2, 10), Ballot(9, 2), Ballot(10, 1), Ballot(MAX_COUNTER, 1)]

ANSWERS = 'each way through it has to end with `return {"accepted"}` or `return {"conflict", state.promised}`'

HOW = ("lower", "equal", "higher")
STOP_S = 15.0  # a busy server listens to SCRIPT KILL after five seconds

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


async def examine(cluster: LocalCluster, lua: str) -> Finding:
    """Compare the learner's `accept` with the pure function, on all cases, on the first server of `cluster`.

    A script without end is stopped, on a server that is a process of its own; inside this process, with fakeredis,
    nothing can stop it.
    """
    if not isinstance(lua, str):
        return Finding(f"the script is {lua!r}; it has to be a text")
    if not lua.strip():
        return Finding("the script is empty; it has to define `local function accept(...)`")
    counts = []
    for how in HOW:
        cases = accept_cases(how)
        try:
            ends = await run_accept(cluster, lua, cases)
        except Unfinished as error:
            return Finding(f"{error} is still unfinished")
        except (AssertionError, AcceptorError) as error:
            return Finding(str(error))
        for case, end in zip(cases, ends, strict=True):
            if end != accept(*case):
                return Finding(explain(case, end), events=_events(cluster.names[0], case, end))
        counts.append(f"{len(cases)} of {how}")
    return Finding(covered=f"all cases, {listed(counts)} ballots, on {cluster.description}")


def _events(name: str, case: Case, end: End) -> tuple[Event, ...]:
    (before, message), (after, reply) = case, end
    return (
        Event("state", 0.0, name, key="register", state=before),
        Event("state", 1.0, name, key="register", message=message, reply=reply, state=after),
    )


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
        assert await asyncio.gather(*(state_of(ours, key) for key in keys)) == [state for state, _ in cases]
        try:
            answers = await theirs.send([(key, message) for key, (_, message) in zip(keys, cases, strict=True)])
        except AcceptorError as error:
            if "in time" in error.reason:
                stopped = await _stop_script(cluster, ours)
                raise AssertionError(f"the script does not end: a loop without end? {stopped}") from error
            await _tidy_up(ours, error.reason)
            raise AssertionError(
                f"the server could not run the script: {_in_their_lines(error.reason, lua)}"
            ) from error
        except (AttributeError, IndexError, TypeError, ValueError) as error:  # an answer that cannot even be read
            raise AssertionError(f"the script answered with something else: {ANSWERS}") from error
        replies = [_checked(answer, lua, case) for answer, case in zip(answers, cases, strict=True)]
        states = await asyncio.gather(*(state_of(ours, key) for key in keys))
    finally:
        await ours.close()
        await theirs.close()
    return list(zip(states, replies, strict=True))


async def _tidy_up(acceptor: Acceptor, reason: str) -> None:
    # fakeredis refuses whatever follows a script that has set a global variable, the mended script included.
    assert isinstance(acceptor, RedisAcceptor)
    if names := re.search(r"set global variables: ([\w, ]+)", reason):
        wire = await Wire.over(acceptor.name, acceptor.connect(), acceptor.timeout_s)
        try:
            await wire.call("EVAL", "".join(f"{name} = nil " for name in re.findall(r"\w+", names[1])), 0)
        finally:
            await wire.close()


def _in_their_lines(reason: str, lua: str) -> str:
    # A server counts the lines of the whole script, in which the learner's part comes after others.
    before = script(accept="\0").partition("\0")[0].count("\n")

    def line(found: re.Match[str]) -> str:
        number = int(found[1]) - before
        return f"line {number}" if 0 < number <= lua.count("\n") + 1 else found[0]

    said = re.sub(r"(?:@?user_script|\[string [^]]*\]):(\d+)", line, reason)
    if missing := re.search(r"global (?:variable )?'(\w+)'", said):
        return f"{said}; nothing is called {missing[1]}" + (
            ": write `local function accept(...)`" * (missing[1] == "accept")
        )
    if "global" in said or "readonly table" in said:
        return f"{said}; whatever a script defines has to be local, as in `local function accept(...)`"
    return said


async def _stop_script(cluster: LocalCluster, acceptor: Acceptor) -> str:
    # A script that has not written yet can be stopped; one that has, only together with its server.
    assert isinstance(acceptor, RedisAcceptor)
    wire = await Wire.over(acceptor.name, acceptor.connect(), STOP_S)
    try:
        await wire.call("SCRIPT", "KILL")
    except AcceptorError:
        try:
            await cluster.kill(0)
            await cluster.restart(0)
        except ConfigurationError:
            return "The server still runs it, and has to be restarted by hand."
        return "It had written already, so its server was killed, and started again."
    finally:
        await wire.close()
    return "It was stopped."


def _leading_to(state: State) -> Prepare | Accept:
    # The one message after which a fresh register is in this state. At ZERO it is refused, as it should be.
    if state.value is None:
        return Prepare(state.promised)
    return Accept(state.accepted, state.value, state.promised)


def _checked(answer: Reply | AcceptorError, lua: str, case: Case) -> Reply:
    if isinstance(answer, AcceptorError):
        if "your turn" in answer.reason:
            raise Unfinished("accept")
        if word := re.fullmatch(r"failed \((\w*)\)", answer.reason):  # no error has so little to say
            said = "nothing" if word[1] == "nil" else f'{{"{word[1]}"}}'
            raise AssertionError(f"{_told(case)}the script answered with {said}: {ANSWERS}")
        raise AssertionError(f"the script ended in an error: {_in_their_lines(answer.reason, lua)}")
    return answer


def explain(case: Case, end: End) -> str:
    """Say in a sentence how `end` differs from what the pure function does."""
    (state, message), (after, reply) = case, end
    expected_state, expected_reply = accept(state, message)
    told = _told(case)
    if reply != expected_reply:
        return f"{told}yours answers {reply!r}, the rule says {expected_reply!r}"
    return (
        f"{told}the answer is right, but yours stores {_in_words(after)}; the rule stores {_in_words(expected_state)}"
    )


def _told(case: Case) -> str:
    state, message = case
    return f"promised {state.promised}, then an accept at {message.ballot} that promises {message.promise}: "


def _in_words(state: State) -> str:
    return f"promised {state.promised}, accepted {state.accepted}, value {state.value or 'none'}"
