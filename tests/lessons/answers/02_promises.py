"""Answers to lesson 02: see tests/lessons/runner.py for the form of this file."""


def prepare(body: str) -> str:
    return f"def prepare(state, message):\n{body}"


def accept(body: str) -> str:
    return f"def accept(state, message):\n{body}"


REFUSE_LOWER = """
    if message.ballot < state.promised:
        return state, Conflict(state.promised)
"""
REFUSE_LOWER_AND_EQUAL = REFUSE_LOWER.replace("<", "<=")

RIGHT = {
    "build-prepare": prepare(
        REFUSE_LOWER_AND_EQUAL
        + "    return state._replace(promised=message.ballot), Promise(state.accepted, state.value)"
    ),
    "build-accept": accept(
        REFUSE_LOWER + "    return State(message.promise, accepted=message.ballot, value=message.value), Accepted()"
    ),
}

ALSO_RIGHT = {"build-prepare": RIGHT["build-prepare"].replace("<=", "<")}
"""The other sound answer to an equal ballot."""

WRONG = {
    "build-prepare": {
        "promises everything": (
            prepare("    return state._replace(promised=message.ballot), Promise(state.accepted, state.value)"),
            "promised 1:2, asked for 1:1: yours broke the promise",
        ),
        "looks at the counter alone": (
            RIGHT["build-prepare"].replace("message.ballot <= state.promised", "message.ballot[0] < state.promised[0]"),
            "promised 1:2, asked for 1:1: yours broke the promise",
        ),
        "says yes and stores nothing": (
            RIGHT["build-prepare"].replace("state._replace(promised=message.ballot)", "state"),
            "promised 0:0, asked for 1:1: yours said yes and forgot it",
        ),
        "never says yes": (
            prepare("    return state, Conflict(state.promised)"),
            "promised 0:0, asked for 1:1: yours answered Conflict(",
        ),
        "tells of the promise": (
            RIGHT["build-prepare"].replace("Promise(state.accepted", "Promise(state.promised"),
            "promised 1:1, asked for 1:2: yours told of None at 1:1, not of None at 0:0",
        ),
        "tells nothing": (
            RIGHT["build-prepare"].replace("Promise(state.accepted, state.value)", "Promise(ZERO, None)"),
            "promised 1:1, asked for 1:2: yours told of None at 0:0, not of tea at 1:1",
        ),
        "wipes the value": (
            RIGHT["build-prepare"].replace("state._replace(promised=message.ballot)", "State(message.ballot)"),
            "promised 1:1, asked for 1:2: yours changed what was accepted",
        ),
        "promises before it decides": (
            prepare("    state = state._replace(promised=message.ballot)")
            + REFUSE_LOWER_AND_EQUAL
            + "    return state, Promise(state.accepted, state.value)",
            "prepare said no, and yet changed State(",
        ),
        "returns the reply alone": (
            RIGHT["build-prepare"].replace("state._replace(promised=message.ballot), ", ""),
            "prepare has to return two things, not Promise(",
        ),
        "returns them the other way round": (
            prepare("    return Promise(state.accepted, state.value), state._replace(promised=message.ballot)"),
            "the first thing to return is a State, not Promise(",
        ),
        "returns nothing": (
            prepare("    state.promised"),
            "prepare has to return two things, not None",
        ),
        "changes the state in place": (
            prepare("    state.promised = message.ballot\n    return state, Promise(state.accepted, state.value)"),
            "in prepare, line 2, `state.promised = message.ballot`: AttributeError: ",
        ),
    },
    "build-accept": {
        "accepts everything": (
            accept("    return State(message.promise, accepted=message.ballot, value=message.value), Accepted()"),
            "promised 1:2, asked for 1:1: yours broke the promise",
        ),
        "refuses an equal ballot": (
            RIGHT["build-accept"].replace("<", "<="),
            "promised 1:1, asked for 1:1: yours answered Conflict(",
        ),
        "accepts only what it has promised": (
            RIGHT["build-accept"].replace("<", "!="),
            "promised 0:0, asked for 1:1: yours answered Conflict(",
        ),
        "says yes and stores nothing": (
            accept(REFUSE_LOWER + "    return state, Accepted()"),
            "promised 0:0, asked for 1:1: yours stored None at 0:0",
        ),
        "stores the value at the promise": (
            RIGHT["build-accept"].replace("accepted=message.ballot", "accepted=message.promise"),
            "promised 0:0, asked for 1:1: yours stored coffee at 9:9",
        ),
        "ignores the next promise": (
            RIGHT["build-accept"].replace("State(message.promise", "State(message.ballot"),
            "promised 0:0, asked for 1:1, to promise 2:1: yours promises 1:1",
        ),
        "keeps its old promise": (
            RIGHT["build-accept"].replace("State(message.promise", "State(state.promised"),
            "promised 0:0, asked for 1:1, to promise 1:1: yours promises 0:0",
        ),
        "names the wrong ballot": (
            RIGHT["build-accept"].replace("Conflict(state.promised)", "Conflict(message.ballot)"),
            "a no names the promised 1:2, not 1:1",
        ),
    },
}
