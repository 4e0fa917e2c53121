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
            "acceptor A had promised 2:1, and its promise is now 1:1 (promises never go back)",
        ),
        "looks at the counter alone": (
            RIGHT["build-prepare"].replace("message.ballot <= state.promised", "message.ballot[0] < state.promised[0]"),
            "acceptor A had promised 1:2, and its promise is now 1:1 (promises never go back)",
        ),
        "says yes and stores nothing": (
            RIGHT["build-prepare"].replace("state._replace(promised=message.ballot)", "state"),
            "it then has promised nothing and accepted nothing. By the rules: A then has promised 1:1",
        ),
        "never says yes": (
            prepare("    return state, Conflict(state.promised)"),
            "no change can ever be acknowledged, whatever happens: an acceptor that has promised nothing",
        ),
        "tells of the promise": (
            RIGHT["build-prepare"].replace("Promise(state.accepted", "Promise(state.promised"),
            "it has accepted [] at 1:1. By the rules: B promises 1:2, and tells that it has accepted nothing",
        ),
        "tells nothing": (
            RIGHT["build-prepare"].replace("Promise(state.accepted, state.value)", "Promise(ZERO, None)"),
            "it has accepted nothing. By the rules: A promises 1:2, and tells that it has accepted [1] at 1:1",
        ),
        "wipes the value": (
            RIGHT["build-prepare"].replace("state._replace(promised=message.ballot)", "State(message.ballot)"),
            "it then has promised 1:2 and accepted nothing. By the rules: A then has promised 1:2 and acc",
        ),
        "promises before it decides": (
            prepare("    state = state._replace(promised=message.ballot)")
            + REFUSE_LOWER_AND_EQUAL
            + "    return state, Promise(state.accepted, state.value)",
            "A refuses 1:1, because it has promised 1:1; it then has promised 1:1 and accepted nothing. By the rules",
        ),
        "returns the reply alone": (
            RIGHT["build-prepare"].replace("state._replace(promised=message.ballot), ", ""),
            "it has to return two things, the state and the reply",
        ),
        "returns them the other way round": (
            prepare("    return Promise(state.accepted, state.value), state._replace(promised=message.ballot)"),
            "where the State belongs (first the state, then the reply)",
        ),
        "returns nothing": (
            prepare("    state.promised"),
            "prepare returned None; it has to return two things, the state and the reply",
        ),
        "changes the state in place": (
            prepare("    state.promised = message.ballot\n    return state, Promise(state.accepted, state.value)"),
            "nothing that it is given can be changed, so make a new one, as state._replace(promised=...) does",
        ),
    },
    "build-accept": {
        "accepts everything": (
            accept("    return State(message.promise, accepted=message.ballot, value=message.value), Accepted()"),
            "By the rules: A refuses 1:1, because it has promised 2:1",
        ),
        "refuses an equal ballot": (
            RIGHT["build-accept"].replace("<", "<="),
            "an acceptor that has promised 1:1 and accepted nothing, and is asked to accept [2] at 1:1, refuses 1:1",
        ),
        "accepts only what it has promised": (
            RIGHT["build-accept"].replace("<", "!="),
            "nothing is ever lost, but an acceptor that has promised nothing and accepted nothing",
        ),
        "says yes and stores nothing": (
            accept(REFUSE_LOWER + "    return state, Accepted()"),
            "[1] was acknowledged before change 2 began, and its caller was shown [2]",
        ),
        "stores the value at the promise": (
            RIGHT["build-accept"].replace("accepted=message.ballot", "accepted=message.promise"),
            "[1, 2] was acknowledged before change 3 began, and its caller was shown [1, 3]",
        ),
        "ignores the next promise": (
            RIGHT["build-accept"].replace("State(message.promise", "State(message.ballot"),
            "it then has promised 1:1 and accepted [1] at 1:1. By the rules: A then has promised 2:1",
        ),
        "keeps its old promise": (
            RIGHT["build-accept"].replace("State(message.promise", "State(state.promised"),
            "callers were shown [1] and [2], and neither begins the other",
        ),
        "names the wrong ballot": (
            RIGHT["build-accept"].replace("Conflict(state.promised)", "Conflict(message.ballot)"),
            "By the rules: it refuses 1:1, because it has promised 1:2",
        ),
    },
}
