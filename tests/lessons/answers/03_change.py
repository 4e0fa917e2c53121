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
            "[1] was acknowledged before change 2 began, and its caller was shown [2]",
        ),
        "takes the last": (
            choose("    return promises[-1]"),
            "By the rules: proposer 2 asks all to accept [1, 2] at 1:2",
        ),
        "takes the first that has a value": (
            choose("    return next((each for each in promises if each.value), promises[0])"),
            "callers were shown [1] and [2], and neither begins the other",
        ),
        "takes the most frequent": (
            choose("    return max(promises, key=lambda each: (each.value is not None, promises.count(each), each))"),
            "proposer 3 hears A, B and C, then asks all to accept",
        ),
        "takes the highest value": (
            choose("    return max(promises, key=lambda each: each.value or '')"),
            "callers were shown [1] and [2], and neither begins the other",
        ),
        "looks at the counter alone": (
            choose("    return max(promises, key=lambda each: each.accepted.counter)"),
            "callers were shown [1] and [2], and neither begins the other",
        ),
        "looks at the proposer first": (
            choose("    return max(promises, key=lambda each: (each.accepted.proposer, each.accepted.counter))"),
            "callers were shown [1] and [2], and neither begins the other",
        ),
        "returns the value": (
            choose("    return max(promises, key=lambda each: each.accepted).value"),
            "which is none of the promises it was given: Promise(",
        ),
        "starts from nothing": (
            choose("    return Promise(ZERO, None)"),
            "which is none of the promises it was given: Promise(",
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
