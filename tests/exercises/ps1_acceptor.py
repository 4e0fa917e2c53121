"""Answers to problem set 1 that differ from the solution.

WRONG: for each graded item, plausible answers that it has to reject, and in which words. SOUND: answers that are
as good as the solution, so that all items have to accept them.
"""

from typing import NamedTuple


class Wrong(NamedTuple):
    """`source` in place of the cell `cell`, and a part of the sentence that the learner then sees."""

    cell: str
    source: str
    sentence: str


ALWAYS_YES = """
def prepare(state, message):
    return state._replace(promised=message.ballot), Promise(state.accepted, state.value)
"""

FORGETS_THE_PROMISE = """
def prepare(state, message):
    if message.ballot <= state.promised:
        return state, Conflict(state.promised)
    return state, Promise(state.accepted, state.value)
"""

RETURNS_THE_REPLY_ALONE = """
def prepare(state, message):
    if message.ballot <= state.promised:
        return Conflict(state.promised)
    return Promise(state.accepted, state.value)
"""

RETURNS_A_BALLOT = """
def prepare(state, message):
    return state._replace(promised=message.ballot), message.ballot
"""

NEVER_PROMISES = """
def prepare(state, message):
    return state, Conflict(state.promised)
"""

PROMISES_BEFORE_IT_DECIDES = """
def prepare(state, message):
    before, state = state.promised, state._replace(promised=message.ballot)
    if message.ballot <= before:
        return state, Conflict(before)
    return state, Promise(state.accepted, state.value)
"""

STORES_ONLY_ITS_FIRST_PROMISE = """
def prepare(state, message):
    if message.ballot <= state.promised:
        return state, Conflict(state.promised)
    if state.promised == ZERO:
        state = state._replace(promised=message.ballot)
    return state, Promise(state.accepted, state.value)
"""

STARTS_AFRESH_AT_AN_EQUAL_BALLOT = """
def prepare(state, message):
    if message.ballot == state.promised:
        return State(message.ballot), Conflict(message.ballot)
    if message.ballot < state.promised:
        return state, Conflict(state.promised)
    return state._replace(promised=message.ballot), Promise(state.accepted, state.value)
"""

NAMES_WHAT_IT_ACCEPTED_AT_AN_EQUAL_BALLOT = """
def prepare(state, message):
    if message.ballot == state.promised:
        return state, Conflict(state.accepted)
    if message.ballot < state.promised:
        return state, Conflict(state.promised)
    return state._replace(promised=message.ballot), Promise(state.accepted, state.value)
"""

PREPARE_COMPARES_COUNTERS = """
def prepare(state, message):
    if message.ballot.counter < state.promised.counter:
        return state, Conflict(state.promised)
    return state._replace(promised=message.ballot), Promise(state.accepted, state.value)
"""

TELLS_OF_NOTHING = """
def prepare(state, message):
    if message.ballot <= state.promised:
        return state, Conflict(state.promised)
    return state._replace(promised=message.ballot), Promise(ZERO, None)
"""

TELLS_THE_PROMISED_BALLOT = """
def prepare(state, message):
    if message.ballot <= state.promised:
        return state, Conflict(state.promised)
    return state._replace(promised=message.ballot), Promise(state.promised, state.value)
"""

WIPES_THE_VALUE = """
def prepare(state, message):
    if message.ballot <= state.promised:
        return state, Conflict(state.promised)
    return State(promised=message.ballot), Promise(state.accepted, state.value)
"""

REFUSES_AN_EQUAL_ACCEPT = """
def accept(state, message):
    if message.ballot <= state.promised:
        return state, Conflict(state.promised)
    return State(message.promise, message.ballot, message.value), Accepted()
"""

ACCEPTS_EVERYTHING = """
def accept(state, message):
    return State(message.promise, message.ballot, message.value), Accepted()
"""

ACCEPTS_WITHOUT_STORING = """
def accept(state, message):
    if message.ballot < state.promised:
        return state, Conflict(state.promised)
    return state._replace(promised=message.promise), Accepted()
"""

STORES_BEFORE_IT_DECIDES = """
def accept(state, message):
    before, state = state.promised, State(message.promise, message.ballot, message.value)
    return (state, Conflict(before)) if message.ballot < before else (state, Accepted())
"""

PROMISES_ALTHOUGH_IT_REFUSES = """
def accept(state, message):
    if message.ballot < state.promised:
        return state._replace(promised=max(state.promised, message.promise)), Conflict(state.promised)
    return State(message.promise, message.ballot, message.value), Accepted()
"""

STORES_THE_VALUE_AT_THE_PROMISE = """
def accept(state, message):
    if message.ballot < state.promised:
        return state, Conflict(state.promised)
    return State(message.promise, message.promise, message.value), Accepted()
"""

IGNORES_THE_NEXT_PROMISE = """
def accept(state, message):
    if message.ballot < state.promised:
        return state, Conflict(state.promised)
    return State(message.ballot, message.ballot, message.value), Accepted()
"""

KEEPS_THE_OLD_PROMISE = """
def accept(state, message):
    if message.ballot < state.promised:
        return state, Conflict(state.promised)
    return State(state.promised, message.ballot, message.value), Accepted()
"""

WANTS_ITS_OWN_PREPARE = """
def accept(state, message):
    if message.ballot != state.promised:
        return state, Conflict(state.promised)
    return State(message.promise, message.ballot, message.value), Accepted()
"""

ACCEPT_COMPARES_COUNTERS = """
def accept(state, message):
    if message.ballot.counter < state.promised.counter:
        return state, Conflict(state.promised)
    return State(message.promise, message.ballot, message.value), Accepted()
"""

NO_RESTART = """
def lose_a_change():
    return [
        ("A", Prepare(first)), ("B", Prepare(first)),
        ("A", Accept(first, "tea", first)), ("B", Accept(first, "tea", first)),
        ("B", Prepare(second)), ("C", Prepare(second)),
        ("B", Accept(second, "coffee", second)), ("C", Accept(second, "coffee", second)),
    ]
"""

THE_LATE_ACCEPT_IS_REFUSED = """
def lose_a_change():
    return [
        ("A", Prepare(first)), ("B", Prepare(first)),
        ("B", "restart"),
        ("B", Prepare(second)), ("C", Prepare(second)),
        ("B", Accept(second, "coffee", second)), ("C", Accept(second, "coffee", second)),
        ("A", Accept(first, "tea", first)), ("B", Accept(first, "tea", first)),
    ]
"""

ONE_PROMISE = """
def lose_a_change():
    return [
        ("A", Prepare(first)), ("A", Accept(first, "tea", first)), ("B", Accept(first, "tea", first)),
        ("C", Prepare(second)), ("C", Accept(second, "coffee", second)), ("B", Accept(second, "coffee", second)),
    ]
"""

SAME_DRINK = """
def lose_a_change():
    return [
        ("A", Prepare(first)), ("B", Prepare(first)),
        ("A", Accept(first, "tea", first)), ("B", Accept(first, "tea", first)),
        ("B", "restart"),
        ("B", Prepare(second)), ("C", Prepare(second)),
        ("B", Accept(second, "tea", second)), ("C", Accept(second, "tea", second)),
    ]
"""

TWO_VALUES_AT_ONE_BALLOT = """
def lose_a_change():
    return [
        ("A", Prepare(first)), ("B", Prepare(first)),
        ("A", Accept(first, "tea", first)), ("B", Accept(first, "milk", first)),
    ]
"""

A_FOURTH_ACCEPTOR = """
def lose_a_change():
    return [("A", Prepare(first)), ("B", Prepare(first)), ("C", Prepare(second)), ("D", Prepare(second))]
"""

RESTARTS_EVERYBODY = """
def lose_a_change():
    return [
        ("A", Prepare(first)), ("B", Prepare(first)),
        ("A", Accept(first, "tea", first)), ("B", Accept(first, "tea", first)),
        ("A", "restart"), ("B", "restart"),
        ("A", Prepare(second)), ("B", Prepare(second)),
        ("A", Accept(second, "coffee", second)), ("B", Accept(second, "coffee", second)),
    ]
"""


def function(name: str, result: str) -> str:
    return f"def {name}():\n    return {result}\n"


COUNTERS_DIFFER = '[Prepare(Ballot(2, 1)), Accept(Ballot(1, 1), "tea", Ballot(1, 1))]'
PREPARED_FIRST = '[Prepare(Ballot(2, 1)), Accept(Ballot(1, 2), "tea", Ballot(1, 2))]'
LONG_1 = '[Prepare(Ballot(1, 1)), Prepare(Ballot(1, 2)), Accept(Ballot(1, 1), "tea", Ballot(1, 1))]'
LONG_2 = "[Prepare(Ballot(1, 1)), Accept(Ballot(2, 1), 'tea', Ballot(2, 1)), Prepare(Ballot(1, 2))]"

PROMISES_AN_EQUAL_BALLOT_AGAIN = """
def prepare(state, message):
    if message.ballot < state.promised:
        return state, Conflict(state.promised)
    return state._replace(promised=message.ballot), Promise(state.accepted, state.value)
"""

SECOND_PREPARES_AT_ONCE = """
def lose_a_change():
    return [
        ("C", Prepare(first)), ("A", Prepare(first)), ("B", Prepare(second)),
        ("A", Accept(first, "milk", first)), ("C", Accept(first, "milk", first)),
        ("A", "restart"), ("A", Prepare(second)),
        ("A", Accept(second, "juice", second)), ("B", Accept(second, "juice", second)),
    ]
"""

SOUND: dict[str, str] = {
    "prepare": PROMISES_AN_EQUAL_BALLOT_AGAIN,
    "catch-1": function("catch_1", "[Prepare(Ballot(3, 5)), Prepare(Ballot(3, 4))]"),
    "catch-2": function("catch_2", "[Accept(Ballot(1, 9), 'a', Ballot(1, 9)), Prepare(Ballot(1, 8))]"),
    "lose-a-change": SECOND_PREPARES_AT_ONCE,
}

WRONG: dict[str, list[Wrong]] = {
    "prepare-public": [
        Wrong("prepare", FORGETS_THE_PROMISE, "Your acceptor said yes to 1:1, and did not store the promise."),
        Wrong("prepare", ALWAYS_YES, "2:2 is lower than 3:1: refuse it, and name 3:1. Yours said Promise("),
        Wrong("prepare", RETURNS_THE_REPLY_ALONE, "prepare has to return two things, a State and a reply. It returned"),
        Wrong("prepare", RETURNS_A_BALLOT, "Ballot(counter=1, proposer=1) is not a reply."),
        Wrong("prepare", NEVER_PROMISES, "so it promises 1:1. Yours said Conflict("),
        Wrong("prepare", PROMISES_BEFORE_IT_DECIDES, "A refused prepare changes nothing. Yours changed the state."),
    ],
    "prepare-held-back": [
        Wrong("prepare", STORES_ONLY_ITS_FIRST_PROMISE, "callers were shown [1] and [2], and neither begins"),
        Wrong("prepare", STARTS_AFRESH_AT_AN_EQUAL_BALLOT, "[1] was acknowledged before change 2 began, and"),
        Wrong("prepare", NAMES_WHAT_IT_ACCEPTED_AT_AN_EQUAL_BALLOT, "nothing is ever lost, but an acceptor that has"),
        Wrong("prepare", PREPARE_COMPARES_COUNTERS, "A had promised 1:2, and its promise is now 1:1"),
        Wrong("prepare", TELLS_OF_NOTHING, "[1] was acknowledged before change 2 began, and its caller was shown [2]"),
        Wrong("prepare", TELLS_THE_PROMISED_BALLOT, "[1] was acknowledged before change 2 began, and its"),
        Wrong("prepare", WIPES_THE_VALUE, "[1] was acknowledged before change 2 began, and its caller was shown [2]"),
    ],
    "accept-public": [
        Wrong("accept", REFUSES_AN_EQUAL_ACCEPT, "2:1 was promised, so its accept gets a yes. Yours said Conflict("),
        Wrong("accept", ACCEPTS_EVERYTHING, "1:2 is lower than 2:1: refuse it, and name 2:1. Yours said Accepted()."),
        Wrong("accept", ACCEPTS_WITHOUT_STORING, "It said yes, and did not store value and ballot."),
        Wrong("accept", STORES_BEFORE_IT_DECIDES, "A refused accept changes nothing. Yours changed the state."),
    ],
    "accept-held-back": [
        Wrong("accept", PROMISES_ALTHOUGH_IT_REFUSES, "By the rules: it has promised 1:2 and accepted nothing"),
        Wrong("accept", STORES_THE_VALUE_AT_THE_PROMISE, "began, and its caller was shown [1, 3]"),
        Wrong("accept", IGNORES_THE_NEXT_PROMISE, "callers were shown [1, 2] and [1, 3]"),
        Wrong("accept", KEEPS_THE_OLD_PROMISE, "callers were shown [1] and [2], and neither begins"),
        Wrong("accept", WANTS_ITS_OWN_PREPARE, "By the rules: it accepts [2] at 1:1"),
        Wrong("accept", ACCEPT_COMPARES_COUNTERS, "A had promised 1:2, and its promise is now 1:1"),
    ],
    "reasons-check": [
        Wrong("reasons", function("reasons", '{1: "f", 2: "d"}'), "Answer all five questions: {1: ..., 2: ..."),
        Wrong("reasons", function("reasons", "dict.fromkeys(range(1, 6), 'h')"), "one of the letters a to g."),
        Wrong(
            "reasons",
            function("reasons", '{1: "f", 2: "c", 3: "e", 4: "a", 5: "d"}'),
            "Question 2: c is not the reason. Compare the state before the second accept with the state after it.",
        ),
    ],
    "catch-1-check": [
        Wrong("catch-1", function("catch_1", COUNTERS_DIFFER), "The first acceptor keeps its word here. When does it"),
        Wrong("catch-1", function("catch_1", LONG_1), "That is 3 messages. Two are enough."),
        Wrong("catch-1", function("catch_1", "Prepare(Ballot(1, 2))"), "Return a list of two messages, each a Prepare"),
    ],
    "catch-2-check": [
        Wrong("catch-2", function("catch_2", PREPARED_FIRST), "The second acceptor keeps its word here. What does it"),
        Wrong("catch-2", function("catch_2", LONG_2), "That is 3 messages. Two are enough."),
        Wrong("catch-2", function("catch_2", "[Ballot(2, 1), Ballot(1, 2)]"), "Return a list of two messages, each a Pre"),
    ],
    "lose-a-change-check": [
        Wrong("lose-a-change", NO_RESTART, "Round 2:2 was told of 'tea': its value is made from that"),
        Wrong("lose-a-change", THE_LATE_ACCEPT_IS_REFUSED, "1:1 was accepted by 1 of the 2 acceptors that it needs."),
        Wrong("lose-a-change", ONE_PROMISE, "The accept of 1:1 was sent with 1 of 2 promises."),
        Wrong("lose-a-change", SAME_DRINK, "Both rounds chose the same value. Nobody can tell that one was lost."),
        Wrong("lose-a-change", TWO_VALUES_AT_ONE_BALLOT, "All accepts of 1:1 have to carry the same value."),
        Wrong("lose-a-change", A_FOURTH_ACCEPTOR, "There is no acceptor 'D', only A, B and C."),
        Wrong("lose-a-change", RESTARTS_EVERYBODY, "That is 2 restarts. One is enough."),
        Wrong("lose-a-change", function("lose_a_change", "Prepare(first)"), "A run is a list of steps. This one is Pre"),
        Wrong("lose-a-change", function("lose_a_change", "[Prepare(first)]"), "A step is a pair: a name, and a Prepare,"),
        Wrong("lose-a-change", function("lose_a_change", "[('A', first)]"), "A step is a pair: a name, and a Prepare, an"),
        Wrong("lose-a-change", function("lose_a_change", "[('A', 'restart', 1)]"), "A step is a pair: a name, and a Prep"),
    ],
}  # fmt: skip
