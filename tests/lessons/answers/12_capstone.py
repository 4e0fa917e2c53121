"""Answers to lesson 12: see tests/lessons/runner.py for the form of this file."""

ACQUIRE = """
import secrets

from gryadka.http.failures import PreconditionFailed


async def acquire(store, name, me, now_s):
    record = await insist(lambda: store.get(name))
    lock = record.value or FREE
    if lock["owner"] and lock["until"] > now_s:
        return None
    mine = {"owner": me, "token": lock["token"] + 1, "until": now_s + LEASE_S}
    once = secrets.token_hex(8)
    try:
        await insist(lambda: store.put(name, mine, condition=unchanged(record), once=once))
    except PreconditionFailed:
        return None
    return mine["token"]
"""
RELEASE = """
async def release(store, name, token):
    record = await insist(lambda: store.get(name))
    if record.value["token"] == token:
        free = {"owner": None, "token": token, "until": 0}
        try:
            await insist(lambda: store.put(name, free, condition=unchanged(record)))
        except PreconditionFailed:
            pass
"""


def acquire(*changes: tuple[str, str]) -> str:
    return _changed(ACQUIRE, changes)


def release(*changes: tuple[str, str]) -> str:
    return _changed(RELEASE, changes)


def _changed(source: str, changes: tuple[tuple[str, str], ...]) -> str:
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return source


RIGHT = {"build-acquire": ACQUIRE, "build-release": RELEASE}

PUT_ONCE = "await insist(lambda: store.put(name, mine, condition=unchanged(record), once=once))"

WRONG = {
    "build-acquire": {
        "asks for no condition": (
            acquire(("condition=unchanged(record), ", "")),
            "was given twice: to ",
        ),
        "takes the lock from whoever has it": (
            acquire(('lock["owner"] and lock["until"] > now_s', "False")),
            "Bob was given the lock while Ann still had it",
        ),
        "never takes it from a dead owner": (
            acquire((' and lock["until"] > now_s', "")),
            "Bob's lease was over, and yet Ann was told None",
        ),
        "compares the time the wrong way round": (
            acquire(('lock["until"] > now_s', 'lock["until"] < now_s')),
            "Bob was given the lock while Ann still had it",
        ),
        "lends it for half the time": (
            acquire(("now_s + LEASE_S", "now_s + LEASE_S / 2")),
            "Bob was given the lock while Ann still had it",
        ),
        "gives everybody token 1": (
            acquire(('lock["token"] + 1', "1")),
            "token 1 was given twice: to Ann, and to Bob",
        ),
        "takes the time for a token": (
            acquire(('lock["token"] + 1', "int(now_s)")),
            "was given twice: to Ann, and to Bob",
        ),
        "has no Idempotency-Key": (
            acquire((", once=once", "")),
            "acquire told Ann None, and yet the record says that Ann has the lock",
        ),
        "uses the same key for every request": (
            acquire(("secrets.token_hex(8)", "me")),
            "KeyReused",
        ),
        "uses a key that no header can hold": (
            acquire(("secrets.token_hex(8)", 'f"{me} asks"')),
            "an Idempotency-Key is made of 1 to 255 printable ASCII characters",
        ),
        "uses a new key for each repetition": (
            acquire(("once=once", "once=secrets.token_hex(8)")),
            "acquire told Ann None, and yet the record says that Ann has the lock",
        ),
        "does not insist": (
            acquire((PUT_ONCE, PUT_ONCE.replace("insist(lambda: ", "")[:-1])),
            "acquire gave up: it let OutcomeUnknown out",
        ),
        "takes unknown for no": (
            acquire(
                (PUT_ONCE, PUT_ONCE.replace("insist(lambda: ", "")[:-1]),
                (
                    "except PreconditionFailed",
                    "except (PreconditionFailed, gryadka.OutcomeUnknown, gryadka.NotApplied)",
                ),
            ),
            "acquire told Ann None, and yet the record says that Ann has the lock",
        ),
        "takes unknown for yes": (
            acquire(
                (PUT_ONCE, PUT_ONCE.replace("insist(lambda: ", "")[:-1]),
                (
                    "    return mine",
                    "    except (gryadka.OutcomeUnknown, gryadka.NotApplied):\n        pass\n    return mine",
                ),
            ),
            "acquire gave Ann token",
        ),
        "takes a refusal for yes": (
            acquire(("        return None\n    return mine", "        pass\n    return mine")),
            "was given twice: to ",
        ),
        "reads and writes in two steps by increment": (
            acquire(
                (
                    f"        {PUT_ONCE}",
                    '        answer = await insist(lambda: store.change(name + "-token", "increment", {}, once=once))\n'
                    '        mine["token"] = answer.result\n'
                    "        await insist(lambda: store.put(name, mine))",
                ),
            ),
            "acquire gave Ann token",
        ),
        "forgets that there may be no record yet": (
            acquire((" or FREE", "")),
            "TypeError: 'NoneType' object is not subscriptable",
        ),
        "looks at a clock of its own": (
            "import time\n" + acquire(("now_s + LEASE_S", "time.time() + LEASE_S")),
            "Bob's lease was over, and yet Ann was told None",
        ),
        "stores something else": (
            acquire(
                ("record.value or FREE", 'FREE | {"token": record.value or 0}'),
                ('{"owner": me, "token": lock["token"] + 1, "until": now_s + LEASE_S}', 'lock["token"] + 1'),
                ('mine["token"]', "mine"),
            ),
            "the record has to hold owner, token and until, as the lesson says; it is 1",
        ),
        "returns yes in place of a token": (
            acquire(('return mine["token"]', "return True")),
            "acquire has to return a whole number or None; it returned True",
        ),
        "is no async function": (
            "def acquire(store, name, me, now_s):\n    pass",
            "acquire has to be a function that begins with `async def`",
        ),
        "forgets the time": (
            "async def acquire(store, name, me):\n    pass",
            "acquire has to take 4 arguments",
        ),
    },
    "build-release": {
        "deletes the record": (
            "async def release(store, name, token):\n    await insist(lambda: store.delete(name))",
            "token 1 was given twice: to Ann, and to Bob",
        ),
        "does nothing": (
            "async def release(store, name, token):\n    pass",
            "Ann had released the lock, and yet Bob was told None",
        ),
        "frees it without a look": (
            'async def release(store, name, token):\n    free = {"owner": None, "token": token, "until": 0}\n'
            "    await insist(lambda: store.put(name, free))",
            "was given twice",
        ),
        "looks, but asks for no condition": (
            release((", condition=unchanged(record)", "")),
            "Ann's release freed the lock that Bob has had since token 2",
        ),
        "does not compare tokens": (
            release(('if record.value["token"] == token', "if True")),
            "was given twice: to ",
        ),
        "sets the token back": (
            release(('"token": token, ', '"token": 0, ')),
            "token 1 was given twice: to Ann, and to Bob",
        ),
        "lets the refusal out": (
            release(("except PreconditionFailed", "except ZeroDivisionError")),
            "PreconditionFailed",
        ),
        "does not insist": (
            release(
                (
                    "insist(lambda: store.put(name, free, condition=unchanged(record)))",
                    "store.put(name, free, condition=unchanged(record))",
                )
            ),
            "release gave up: it let OutcomeUnknown out",
        ),
        "is unfinished": (
            "async def release(store, name, token):\n    raise NotImplementedError",
            "release is still unfinished",
        ),
    },
}
