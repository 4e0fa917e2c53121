"""Answers to lesson 06: see tests/lessons/runner.py for the form of this file."""


def linearizable(body: str) -> str:
    return f"def linearizable(operations, value=None):\n{body}"


CORRECT = linearizable(
    """    if all(op.ends == inf for op in operations):
        return True
    first_end = min(op.ends for op in operations)
    for op in operations:
        if op.begins <= first_end and fits(op, value):
            rest = [other for other in operations if other is not op]
            if linearizable(rest, leaves(op, value)):
                return True
    return False
"""
)

RIGHT = {"build-linearizable": CORRECT}

STALE = "Bob reads None fits nowhere. In each order of these 2 operations (none before one that had ended when"

WRONG = {
    "build-linearizable": {
        "forgets real time": (CORRECT.replace("op.begins <= first_end and ", ""), STALE),
        "asks whether somebody wrote it": (
            linearizable(
                """    written = [None] + [op.value for op in operations if op.does == "writes"]
    return all(op.value in written for op in operations)
"""
            ),
            STALE,
        ),
        "goes by the beginnings": (
            linearizable(
                """    for op in sorted(operations, key=lambda op: op.begins):
        if not fits(op, value):
            return False
        value = leaves(op, value)
    return True
"""
            ),
            "there is an order: Bob reads None, Ann writes 1",
        ),
        "goes by the ends": (
            linearizable(
                """    for op in sorted(operations, key=lambda op: op.ends):
        if not fits(op, value):
            return False
        value = leaves(op, value)
    return True
"""
            ),
            "yours says no to this history, but there is an order",
        ),
        "gives up after the first try": (
            CORRECT.replace(
                "            if linearizable(rest, leaves(op, value)):\n                return True\n",
                "            return linearizable(rest, leaves(op, value))\n",
            ),
            "there is an order: Bob reads None, Ann writes 1",
        ),
        "keeps the old value": (
            CORRECT.replace("leaves(op, value)", "value"),
            "there is an order: Ann writes 1, Bob reads 1",
        ),
        "starts from nothing each time": (
            CORRECT.replace("(rest, leaves(op, value))", "(rest)"),
            "there is an order: Ann writes 1, Bob reads 1",
        ),
        "leaves unknown outcomes out": (
            CORRECT.replace("def ", "def search_", 1).replace("if linearizable(", "if search_linearizable(")
            + "\n\ndef linearizable(operations, value=None):\n"
            + "    return search_linearizable([op for op in operations if op.ends < inf], value)\n",
            "there is an order: Bob writes 1, Ann reads 1",
        ),
        "takes only the one that began first": (
            CORRECT.replace("first_end = min(op.ends", "first_end = min(op.begins"),
            "there is an order: Bob reads None, Ann writes 1",
        ),
        "takes them out of the list itself": (
            CORRECT.replace(
                "            rest = [other for other in operations if other is not op]\n",
                "            operations.remove(op)\n            rest = operations\n",
            ),
            "it changed the list that it was given",
        ),
        "does not look at what was read": (
            CORRECT.replace(" and fits(op, value)", ""),
            "Ann reads 1 fits nowhere. No other operation can have left a value that it fits",
        ),
        "says nothing when there is no order": (
            CORRECT.replace("    return False\n", ""),
            "it has to return True or False, not None",
        ),
        "never ends": (
            CORRECT.replace("other is not op", "True"),
            "RecursionError",
        ),
        "has no case for the end": (
            CORRECT.replace("    if all(op.ends == inf for op in operations):\n        return True\n", ""),
            "ValueError: min()",
        ),
    },
}
