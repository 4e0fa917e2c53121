"""Answers to lesson 10: see tests/lessons/runner.py for the form of this file."""


def guards(collect: str, left: str) -> str:
    return f"def may_collect(states, tombstone):\n{collect}\n\n\ndef forget(state, tombstone, floor):\n{left}\n"


COLLECT = """
    for state in states:
        if state is None or state.accepted != tombstone or state.value is not None:
            return False
    return True
"""
FORGET = """
    if state.accepted != tombstone:
        return state, floor
    return None, max(floor, state.promised)
"""

RIGHT = {"build-guards": guards(COLLECT, FORGET)}

LOST = "(an acknowledged change is never lost)"
UNDONE = "(a deleted value never comes back)"

WRONG = {
    "build-guards": {
        "is content with a majority": (
            guards(
                "    have = [s for s in states if s and s.accepted == tombstone and s.value is None]\n"
                "    return 2 * len(have) > len(states)",
                FORGET,
            ),
            f"change 2 (a delete) had deleted change 1, and then change 3 (a read) was shown [1] {UNDONE}",
        ),
        "leaves out whoever does not answer": (
            guards(
                "    known = [state for state in states if state]\n"
                "    return all(state.accepted == tombstone and state.value is None for state in known)",
                FORGET,
            ),
            f"change 2 (a delete) had deleted change 1, and then change 3 (a read) was shown [1] {UNDONE}",
        ),
        "does not look at the value": (
            guards("    return all(s is not None and s.accepted == tombstone for s in states)", FORGET),
            f"change 1 was acknowledged, and then change 3 (a read) was shown [] {LOST}",
        ),
        "does not look at the ballot": (
            guards("    return all(s is not None and s.value is None for s in states)", FORGET),
            f"change 2 (a delete) had deleted change 1, and then change 3 (a read) was shown [1] {UNDONE}",
        ),
        "never collects": (
            guards("    return False", FORGET),
            "a deleted record is never forgotten everywhere, whatever happens",
        ),
        "says neither yes nor no": (
            guards("    pass", FORGET),
            "may_collect returned None; it has to be True or False",
        ),
        "forgets in any case": (
            guards(COLLECT, "    return None, max(floor, state.promised)"),
            f"change 2 was acknowledged, and then change 3 (a read) was shown [] {LOST}",
        ),
        "forgets any tombstone": (
            guards(COLLECT, FORGET.replace("state.accepted != tombstone", "state.value is not None")),
            f"change 3 (a delete) had deleted change 2, and then change 4 (a read) was shown [2] {UNDONE}",
        ),
        "leaves the floor where it was": (
            guards(COLLECT, FORGET.replace("max(floor, state.promised)", "floor")),
            f"change 1 was acknowledged, and then change 3 (a read) was shown [] {LOST}",
        ),
        "raises the floor to the tombstone only": (
            guards(COLLECT, FORGET.replace("state.promised)", "tombstone)")),
            "no order explains that change 1 (a read) was shown [] and that change 2 (a write) was shown [2]",
        ),
        "lets the floor come down": (
            guards(COLLECT, FORGET.replace("max(floor, state.promised)", "state.promised")),
            "forget lowered the floor from 5:1 to 3:1: it stands for all other registers, too",
        ),
        "never forgets": (
            guards(COLLECT, "    return state, floor"),
            "a deleted record is never forgotten everywhere, whatever happens",
        ),
        "keeps an empty record": (
            guards(COLLECT, FORGET.replace("None, max", "state._replace(accepted=floor), max")),
            "a record is kept as it is, or forgotten: None",
        ),
        "keeps a changed record": (
            guards(COLLECT, FORGET.replace("None, max", "state._replace(promised=floor), max")),
            "a record is kept as it is, or forgotten: None",
        ),
        "returns the record alone": (
            guards(COLLECT, "    return None"),
            "forget returned None; it has to return two things: the state or None, and the floor",
        ),
        "writes one of them": (guards(COLLECT, "    raise NotImplementedError"), "forget is still unfinished"),
    }
}
