"""Answers to lesson 05: see tests/lessons/runner.py for the form of this file."""


def deposit(body: str, before: str = "") -> str:
    return f"{before}async def deposit(proposer, key, amount, token):\n{body}"


IDEMPOTENT = """
    def pay_in(box):
        box = box or {"balance": 0, "tokens": []}
        if token in box["tokens"]:
            return box
        return {"balance": box["balance"] + amount, "tokens": [*box["tokens"], token]}
"""
PLAIN = """
    def pay_in(box):
        box = box or {"balance": 0}
        return {"balance": box["balance"] + amount}
"""
REPEAT = """
    while True:
        try:
            await proposer.change(key, pay_in)
            return
        except (gryadka.NotApplied, gryadka.OutcomeUnknown):
            pass
"""

RIGHT = {"build-deposit": deposit(IDEMPOTENT + REPEAT)}

WRONG = {
    "build-deposit": {
        "pays in once and hopes": (
            deposit(PLAIN + "\n    await proposer.change(key, pay_in)\n"),
            "the deposit of 1 gave up: it let OutcomeUnknown out",
        ),
        "repeats blindly": (
            deposit(PLAIN + REPEAT),
            "the deposit of 1 is in the box 2 times: the balance is 2, and should be 1",
        ),
        "repeats only what was not applied": (
            deposit(PLAIN + REPEAT.replace("(gryadka.NotApplied, gryadka.OutcomeUnknown)", "gryadka.NotApplied")),
            "the deposit of 1 gave up: it let OutcomeUnknown out",
        ),
        "takes unknown for done": (
            deposit(
                PLAIN
                + REPEAT.replace("(gryadka.NotApplied, gryadka.OutcomeUnknown)", "gryadka.NotApplied")
                + "        except gryadka.OutcomeUnknown:\n            return\n"
            ),
            "the deposit of 1 was lost: nothing is in the box",
        ),
        "takes every error for done": (
            deposit(PLAIN + REPEAT.replace("pass", "return")),
            "the deposit of 1 was lost: nothing is in the box",
        ),
        "tries three times": (
            deposit(IDEMPOTENT + REPEAT.replace("while True", "for _ in range(3)")),
            "the deposit of 1 was lost: nothing is in the box",
        ),
        "uses a new token each time": (
            deposit(
                IDEMPOTENT + REPEAT.replace("        try:", "        token = secrets.token_hex(8)\n        try:"),
                before="import secrets\n\n\n",
            ),
            "the deposit of 1 is in the box 2 times: the balance is 2, and should be 1",
        ),
        "remembers one token only": (
            deposit(
                """
    def pay_in(box):
        box = box or {"balance": 0, "last": None}
        if box["last"] == token:
            return box
        return {"balance": box["balance"] + amount, "last": token}
"""
                + REPEAT
            ),
            "is in the box 2 times",
        ),
        "goes by the balance": (
            deposit(
                PLAIN
                + """
    before = None
    while True:
        try:
            now = (await proposer.change(key, lambda box: box) or {"balance": 0})["balance"]
            before = now if before is None else before
            if now >= before + amount:
                return
            await proposer.change(key, pay_in)
            return
        except (gryadka.NotApplied, gryadka.OutcomeUnknown):
            pass
"""
            ),
            "was lost: the balance is",
        ),
        "stores the token in a change of its own": (
            deposit(
                """
    def pay_in(box):
        box = box or {"balance": 0, "tokens": []}
        return box | {"balance": box["balance"] + amount}

    while True:
        try:
            box = await proposer.change(key, lambda box: box)
            if box and token in box["tokens"]:
                return
            await proposer.change(key, pay_in)
            await proposer.change(key, lambda box: box | {"tokens": [*box["tokens"], token]})
            return
        except (gryadka.NotApplied, gryadka.OutcomeUnknown):
            pass
"""
            ),
            "the deposit of 1 is in the box 2 times: the balance is 2, and should be 1",
        ),
        "keeps a list in the process, not in the box": (
            deposit(
                """
    def pay_in(box):
        box = box or {"balance": 0}
        if token in DONE:
            return box
        DONE.append(token)
        return {"balance": box["balance"] + amount}
"""
                + REPEAT,
                before="DONE = []\n\n\n",
            ),
            "the deposit of 1 was lost",
        ),
        "waits for ever": (
            deposit("    import asyncio\n\n    while True:\n        await asyncio.sleep(1)\n"),
            "the deposit of 1 was still trying, 60 s after all had healed",
        ),
        "forgets the empty box": (
            deposit(IDEMPOTENT.replace('        box = box or {"balance": 0, "tokens": []}\n', "") + REPEAT),
            "TypeError: 'NoneType' object is not subscriptable",
        ),
        "is no async function": (
            "def deposit(proposer, key, amount, token):\n    pass",
            "deposit has to be a function that begins with `async def`",
        ),
    },
}
