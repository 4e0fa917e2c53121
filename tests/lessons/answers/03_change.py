"""Answers to lesson 03: see tests/lessons/runner.py for the form of this file."""


def choose(body: str) -> str:
    return f"def choose(promises):\n{body}"


def compare_and_set(body: str) -> str:
    return f"def compare_and_set(expected, new):\n{body}\n    return change"


RIGHT = {
    "build-choose": choose("    return max(promises, key=lambda promise: promise.accepted)"),
    "build-compare-and-set": compare_and_set(
        """
    def change(value):
        if value != expected:
            raise gryadka.ChangeRejected(f"{expected} was expected, not {value}")
        return new
"""
    ),
}

WRONG = {
    "build-choose": {
        "takes the first": (
            choose("    return promises[0]"),
            "told of None at 0:0, plum at 1:1, yours took None",
        ),
        "takes the last": (
            choose("    return promises[-1]"),
            "told of plum at 1:1, None at 0:0, yours took None",
        ),
        "takes the first that has a value": (
            choose("    return next((each for each in promises if each.value), promises[0])"),
            "told of plum at 1:1, apple at 1:2, yours took plum",
        ),
        "takes the most frequent": (
            choose("    return max(promises, key=lambda each: (each.value is not None, promises.count(each), each))"),
            "told of plum at 1:1, plum at 1:1, apple at 1:2, yours took plum",
        ),
        "takes the highest value": (
            choose("    return max(promises, key=lambda each: each.value or '')"),
            "told of plum at 1:1, apple at 1:2, yours took plum",
        ),
        "looks at the counter alone": (
            choose("    return max(promises, key=lambda each: each.accepted.counter)"),
            "told of plum at 1:1, apple at 1:2, yours took plum",
        ),
        "looks at the proposer first": (
            choose("    return max(promises, key=lambda each: (each.accepted.proposer, each.accepted.counter))"),
            "told of apple at 1:2, quince at 2:1, yours took apple",
        ),
        "returns the value": (
            choose("    return max(promises, key=lambda each: each.accepted).value"),
            "told of None at 0:0, None at 0:0, yours returned None, which is none of them",
        ),
        "starts from nothing": (
            choose("    return Promise(ZERO, None)"),
            "a, b and c were written, each on top of what was there; with your choose it is 'c'",
        ),
    },
    "build-compare-and-set": {
        "keeps the old value": (
            compare_and_set("    def change(value):\n        return new if value == expected else value\n"),
            "compare_and_set(None, 'green') met 0 and gave 0, not 'a refusal'",
        ),
        "returns None": (
            compare_and_set("    def change(value):\n        return new if value == expected else None\n"),
            "compare_and_set(None, 'green') met 0 and gave None, not 'a refusal'",
        ),
        "returns what it expected": (
            RIGHT["build-compare-and-set"].replace("return new", "return expected"),
            "the first one should have set it to red",
        ),
        "never looks": (
            compare_and_set("    def change(value):\n        return new\n"),
            "the second one was not refused: it got 'green'",
        ),
        "compares by is": (
            RIGHT["build-compare-and-set"].replace("!=", "is not"),
            "compare_and_set(['red'], 'green') met ['red'] and gave 'a refusal', not 'green'",
        ),
        "treats 0 as nothing": (
            RIGHT["build-compare-and-set"].replace("value != expected", "(value or None) != expected"),
            "compare_and_set(None, 'green') met 0 and gave 'green', not 'a refusal'",
        ),
        "refuses by another error": (
            RIGHT["build-compare-and-set"].replace("gryadka.ChangeRejected", "ValueError"),
            "in change, line 5",
        ),
        "works once": (
            compare_and_set(
                """
    used = []

    def change(value):
        if value != expected or used:
            raise gryadka.ChangeRejected
        used.append(True)
        return new
"""
            ),
            "it met None, None, red, None, and gave ['green', 'a refusal', 'a refusal', 'a refusal']",
        ),
        "does not return the function": (
            "def compare_and_set(expected, new):\n    def change(value):\n        return new\n",
            "TypeError: 'NoneType' object is not callable",
        ),
    },
}
