"""Is a history linearizable? A verdict, with the evidence for it.

What may live here: the ways into the check, for a history and for a file. The parts stand beside it: `sequential`
(the models), `search` (the search for an order), `smallest` (the smallest failing part), `versions` (the short cut
for versioned registers) and `verdicts`.

The theory in a few lines. A history is *linearizable* when each operation can be given one instant between
its beginning and its end so that, taken in the order of these instants, every result is what a register with
a single client would have answered (Herlihy and Wing, "Linearizability", 1990). A history is linearizable
exactly when each key's part is (ibid., theorem 1), so keys are judged one by one.

    >>> write = Operation(process=1, f="write", args=(1,), outcome=Outcome.OK, invoked_s=0, completed_s=1)
    >>> read = Operation(process=2, f="read", result=0, outcome=Outcome.OK, invoked_s=2, completed_s=3)
    >>> print(check([write, read], MODELS["register"]))
    violation: key '': (process 2: read() = 0) fits nowhere. No other operation can have left a value that it fits.
      2 s to 3 s: process 2: read() = 0
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from pathlib import Path

from gryadka.checking.edn import read_history
from gryadka.checking.history import UNTOLD, Operation, Outcome
from gryadka.checking.search import Item, Purse, Search, Spent, as_item
from gryadka.checking.sequential import ILLEGAL, MODELS, NEVER_WRITTEN, Model
from gryadka.checking.smallest import Shrinker
from gryadka.checking.verdicts import DEFAULT_BUDGET, Budget, Ok, Unknown, Verdict, Violation
from gryadka.checking.versions import Clash, by_version, shown

__all__ = [
    "DEFAULT_BUDGET",
    "ILLEGAL",
    "MODELS",
    "NEVER_WRITTEN",
    "Budget",
    "Model",
    "Ok",
    "Unknown",
    "Verdict",
    "Violation",
    "check",
    "check_history_file",
    "check_versioned",
]


def check(
    history: Iterable[Operation], model: Model, budget: Budget = DEFAULT_BUDGET, *, smallest: bool = True
) -> Verdict:
    """Return whether `history` is linearizable with respect to `model`, stopping at the first bad key.

    All keys get a few steps, then those without an answer get more, so that one hard key does not hide a
    plain fault in another. With `smallest=False` a violation names all operations up to the fault.
    Raises `ValueError` for an operation that the model does not have.
    """
    purse, steps = Purse(budget), 1000
    waiting: dict[str, list[Item]] = {}
    for operation in history:
        if operation.outcome is not Outcome.FAILED:
            waiting.setdefault(operation.key, []).append(as_item(operation, model))
    orders: list[list[Operation]] = []
    while waiting:
        for key, items in list(waiting.items()):
            try:
                order = Search(items, model, [model.initial]).run(purse, steps)
            except Spent:
                continue
            if order is None:
                return _violation(key, items, model, purse, smallest)
            orders.append(order)
            del waiting[key]
        if waiting and purse.is_empty():
            return Unknown(
                f"the budget was spent with {len(waiting)} of the keys undecided, {min(waiting)!r} one of them"
            )
        steps *= 8
    return _ok(orders)


def check_versioned(history: Iterable[Operation], budget: Budget = DEFAULT_BUDGET) -> Verdict:
    """Judge a history of versioned registers by the order that the versions tell (see `versions`).

    Only a key with an answer that does not tell its version is left to `check`, within `budget`. Raises
    `ValueError` for an operation that the model does not have.
    """
    model = MODELS["versioned-register"]
    keys: dict[str, list[Operation]] = {}
    for operation in history:
        as_item(operation, model)  # to raise
        if operation.outcome is not Outcome.FAILED:
            keys.setdefault(operation.key, []).append(operation)
    orders, untold = [], []
    for key, operations in keys.items():
        if any(operation.outcome is Outcome.OK and shown(operation) is UNTOLD for operation in operations):
            untold += operations
            continue
        try:
            orders.append(by_version(operations))
        except Clash as clash:
            return Violation(key, clash.operations, f"key {key!r}: {clash}")
    rest = check(untold, model, budget)
    return _ok([*orders, rest.linearization]) if isinstance(rest, Ok) else rest


def check_history_file(
    path: str | Path, model: str | Model, budget: Budget = DEFAULT_BUDGET, *, keyed: bool = False
) -> Verdict:
    """Judge the history in a file: our JSON lines, or Jepsen's EDN (`keyed`: see `jepsen_edn`) or log.

    `model` is a `Model` or the name of one in `MODELS`. Raises `ValueError` for another name, a file that is
    no history, or an operation that the model does not have; `OSError` if the file cannot be read.
    """
    if isinstance(model, str):
        if model not in MODELS:
            raise ValueError(f"there is no model {model!r}; there are {', '.join(MODELS)}")
        model = MODELS[model]
    history = read_history(path, keyed=keyed)
    if model is MODELS["versioned-register"]:
        return check_versioned(history, budget)
    return check(history, model, budget)


def _ok(orders: Iterable[Sequence[Operation]]) -> Ok:
    # An operation can take effect as soon as it has begun and those before it have taken effect.
    points: list[tuple[float, Operation]] = []
    for order in orders:
        now_s = -inf
        for operation in order:
            now_s = max(now_s, operation.invoked_s)
            points.append((now_s, operation))
    points.sort(key=lambda point: point[0])
    return Ok(tuple(operation for _, operation in points), tuple(at_s for at_s, _ in points))


def _violation(key: str, items: list[Item], model: Model, purse: Purse, smallest: bool) -> Violation:
    if not smallest:
        return Violation(key, tuple(item.operation for item in items), f"key {key!r}: no order explains it.", False)
    shrinker = Shrinker(items, model, purse.until)
    shrinker.shrink()
    kept = sorted(shrinker.kept, key=lambda item: item.begins)
    return Violation(key, tuple(i.operation for i in kept), f"key {key!r}: {shrinker.reason()}", shrinker.sure)
