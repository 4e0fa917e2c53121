"""Is a history linearizable? A verdict, with the evidence for it.

What may live here: sequential models of registers, the search, and the short cut for versioned registers.
No protocol, no network, no chance; the wall clock only for a budget.

The theory in a few lines. A history is *linearizable* when each operation can be given one instant between
its beginning and its end so that, taken in the order of these instants, every result is what a register with
a single client would have answered (Herlihy and Wing, "Linearizability", 1990). A history is linearizable
exactly when each key's part is (ibid., theorem 1), so keys are judged one by one.

    >>> write = Operation(process=1, f="write", args=(1,), outcome=Outcome.OK, invoked_s=0, completed_s=1)
    >>> read = Operation(process=2, f="read", result=0, outcome=Outcome.OK, invoked_s=2, completed_s=3)
    >>> print(check([write, read], MODELS["register"]))
    violation: key '': (process 2: read() = 0) fits nowhere. No other operation can have left a value that it fits.
      2 s to 3 s: process 2: read() = 0

The search is Wing and Gong's ("Testing and verifying concurrent objects", 1993) as improved by Lowe
("Testing for linearizability", 2017). All beginnings and ends stand in one list, in order of time. An
operation may come next if it begins before the first *end* in the list. Take it, lift its two entries out,
and go on; at a dead end put them back and try the next one. A *configuration* (which operations were taken,
and the value that the register then holds) is entered once. Six rules more; none of them loses an answer:

1. A read or a refusal that fits is taken at once: it changes nothing, so later it could only be in the way.
2. An operation of unknown outcome is optional and has no end. It is taken only if the next one notices, that
   is, if the next one would otherwise not fit or would leave another value.
3. Of optional operations that ask for the same, the one that began first is taken first.
4. A configuration is not entered if an equal one was that had used up fewer of the optional operations.
5. A value that somebody still has to see is not left when nothing can bring it back, and an optional
   operation is not taken when nobody waits for its value (only for models that tell: see `Model.links`).
6. When nobody waits for the value that the register holds, writes whose value nobody waits for are taken at
   once (the same models).
"""

from __future__ import annotations

import json
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from gryadka.checking.edn import read_history
from gryadka.checking.history import UNTOLD, Operation, Outcome, Refusal
from gryadka.protocol.value import Value, encode

# --- Models: what a register that has a single client does ---------------------------------------------


class Illegal(Enum):
    """The one value of this type is what a model answers when an operation cannot come next."""

    ILLEGAL = "illegal"


ILLEGAL = Illegal.ILLEGAL

Step: TypeAlias = Callable[[Any, str, tuple[Any, ...], Any], Any]
Links: TypeAlias = Callable[[str, tuple[Any, ...], Any], tuple[Any, Any]]


@dataclass(frozen=True)
class Model:
    """What a register that has a single client does.

    `step(value, f, args, result)` is pure and gives the value after the operation, or `ILLEGAL` if the result
    cannot be. The result may be `UNTOLD` or a `Refusal`; a refusal leaves the value alone. `arity` lists the
    functions with their numbers of arguments; `reads` are those that never change the value. Lists, objects,
    true and false reach `step` as `Json`, because values have to be hashable.

    `links(f, args, result)`, for a register that only stores what it is given and compares for equality,
    tells the one value that the operation fits and the one that it leaves; `UNTOLD` stands for any value.
    """

    name: str
    initial: Hashable
    step: Step
    arity: Mapping[str, int]
    reads: frozenset[str] = frozenset({"read"})
    links: Links | None = None


class Json(NamedTuple):
    """A value by its JSON text: hashable, and true is not 1, as it would be in Python."""

    text: str


def freeze(value: Any) -> Any:
    """Return `value` as models see it."""
    if isinstance(value, Refusal):
        return Refusal(freeze(value.value))
    if value is None or value is UNTOLD or type(value) in (int, float, str):
        return value
    return Json(json.dumps(value, sort_keys=True))


def thaw(value: Any) -> Any:
    """Undo `freeze`."""
    return json.loads(value.text) if isinstance(value, Json) else value


def _saw(value: Any, result: Any, empty: Any = None) -> Any:
    # `value` if `result` says so, else ILLEGAL; None may also be told for a register that is `empty`.
    seen = result.value if isinstance(result, Refusal) else result
    return value if seen is UNTOLD or seen == value or (seen is None and value == empty) else ILLEGAL


def _register(value: Any, f: str, args: tuple[Any, ...], result: Any) -> Any:
    refused = isinstance(result, Refusal)
    if f == "cas" and (value == args[0]) is refused:
        return ILLEGAL
    return _saw(value, result) if refused or f == "read" else args[-1]


def _register_links(f: str, args: tuple[Any, ...], result: Any) -> tuple[Any, Any]:
    if isinstance(result, Refusal):
        return result.value, UNTOLD
    if f == "read":
        return result, UNTOLD
    return (args[0] if f == "cas" else UNTOLD), args[-1]


def _counter(value: Any, f: str, args: tuple[Any, ...], result: Any) -> Any:
    if f == "read" or isinstance(result, Refusal):
        return _saw(value, result, 0)
    return _saw(value + args[0], result)


def _key_value(value: Any, f: str, args: tuple[Any, ...], result: Any) -> Any:
    if f == "get" or isinstance(result, Refusal):
        return _saw(value, result, "")
    if f == "put":
        return args[0]
    return _saw(value + args[0], result) if isinstance(value, str) else ILLEGAL


NEVER_WRITTEN: Mapping[str, Value] = {"ver": 0, "val": None}
"""What a versioned register holds at first; null says the same."""


def _versioned(value: Any, f: str, args: tuple[Any, ...], result: Any) -> Any:
    version = thaw(value)["ver"]
    refused = isinstance(result, Refusal)
    if f == "cas" and (version == args[0]) is refused:
        return ILLEGAL
    if refused or f == "read":
        return _saw(value, result, freeze(NEVER_WRITTEN))
    return _saw(freeze({"ver": version + 1, "val": thaw(args[-1])}), result)


MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        Model("register", None, _register, {"read": 0, "write": 1}, links=_register_links),
        Model("cas-register", None, _register, {"read": 0, "write": 1, "cas": 2}, links=_register_links),
        Model("counter", 0, _counter, {"read": 0, "add": 1}),
        Model("key-value", "", _key_value, {"get": 0, "put": 1, "append": 1}, frozenset({"get"})),
        Model("versioned-register", freeze(NEVER_WRITTEN), _versioned, {"read": 0, "write": 1, "cas": 2}),
    )
}
"""By name. What was never written reads as null, or as 0 (counter), "" (key-value), `NEVER_WRITTEN` (versioned).

`cas(expected, new)` on a cas-register compares values. A versioned register holds `{"ver": n, "val": x}`,
with one version more for each write; its `cas(ver, val)` compares versions. `add`, `append`, and the changes
of a versioned register give the new value, if they tell one; what `write`, `put` and `cas` of the other
models tell is not looked at.
"""

# --- Verdicts -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Budget:
    """When to give up; `None` means no limit. A step is one move of the search, or one turning back.

    `max_steps` also bounds memory: a step keeps at most one configuration, some hundred bytes.
    """

    max_steps: int | None = 1_000_000
    max_seconds: float | None = None


DEFAULT_BUDGET = Budget()


@dataclass(frozen=True)
class Ok:
    """Linearizable. `linearization` is an order that explains every result, over all keys; operations that
    failed, and unknown ones that are not needed, are not in it. Each may have taken effect at the time of
    the same place in `points_s`."""

    linearization: tuple[Operation, ...]
    points_s: tuple[float, ...]

    def __str__(self) -> str:
        return f"ok: linearizable, {len(self.linearization)} operations"


@dataclass(frozen=True)
class Violation:
    """Not linearizable. `operations`, all on `key`, fit into no order, and nothing that the others did can help;
    `reason` says it in a sentence. `smallest` is True when it is sure that none of them can be spared."""

    key: str
    operations: tuple[Operation, ...]
    reason: str
    smallest: bool = True

    def __str__(self) -> str:
        return "\n  ".join([f"violation: {self.reason}", *map(_timed, self.operations)])


@dataclass(frozen=True)
class Unknown:
    """The budget was spent before there was an answer. It is not an ok."""

    reason: str

    def __str__(self) -> str:
        return f"unknown: {self.reason}"


Verdict: TypeAlias = Ok | Violation | Unknown


def _timed(operation: Operation) -> str:
    end = "open" if operation.completed_s is None else f"{operation.completed_s:.6g} s"
    return f"{operation.invoked_s:.6g} s to {end}: {operation}"


# --- The search -----------------------------------------------------------------------------------------


class Item(NamedTuple):
    """An operation as the search sees it: `call` is f, args and result, ready for `Model.step`."""

    operation: Operation
    call: tuple[str, tuple[Any, ...], Any]
    begins: float
    ends: float
    optional: bool
    pure: bool  # it can never change the value
    fits: Any  # from Model.links
    leaves: Any


def as_item(operation: Operation, model: Model) -> Item:
    """Return the operation ready for a search. Raises `ValueError` if the model does not have it."""
    f, args, result = operation.f, operation.args, operation.result
    if model.arity.get(f) != len(args):
        known = ", ".join(f"{name} with {count}" for name, count in model.arity.items())
        raise ValueError(f"({operation}): the functions of {model.name} and their arguments are {known}")
    call = (f, tuple(map(freeze, args)), freeze(result))
    try:
        model.step(model.initial, *call)
    except TypeError as error:
        raise ValueError(f"({operation}): {model.name} cannot do that: {error}") from error
    pure = f in model.reads or isinstance(result, Refusal)
    fits, leaves = model.links(*call) if model.links else (UNTOLD, UNTOLD)
    ends = inf if operation.completed_s is None else operation.completed_s
    return Item(operation, call, operation.invoked_s, ends, ends == inf, pure, fits, leaves)


class Spent(Exception):
    """The steps or seconds that were granted to a search are used up."""


class Purse:
    """What is left of a budget, shared by the searches of one check."""

    def __init__(self, budget: Budget) -> None:
        self.steps = inf if budget.max_steps is None else budget.max_steps
        self.until = inf if budget.max_seconds is None else time.monotonic() + budget.max_seconds

    def is_empty(self) -> bool:
        """Return whether nothing is left."""
        return self.steps <= 0 or time.monotonic() > self.until


@dataclass(slots=True)
class Frame:
    """One configuration on the path of the search."""

    value: Any
    before: Any  # the value before, if an optional operation led here and nothing has noticed yet
    done: int  # which operations were taken, as bits: those that have to be
    used: int  # and the optional ones
    taken: list[int]  # what was taken to come here, in order; k is must[k], and ~k is may[k]
    moves: list[tuple[int, Any]] = field(default_factory=list)  # still to be tried, the best one last
    first_end: float = inf
    tried_optional: bool = False


class Search:
    """One key's search. Entries are numbers: k is the beginning of must[k], n + k its end, 2n the list's head.

    `values` are those that the register may hold at first. Rules 5 and 6 look ahead to all operations, so only
    without them (`look_ahead`) do `stuck` and `stuck_values` tell which operation could not be taken in time,
    and which values it met instead.
    """

    def __init__(self, items: Iterable[Item], model: Model, values: Iterable[Any], *, look_ahead: bool = True) -> None:
        items = sorted(items, key=lambda item: item.begins)
        self.step, self.values = model.step, values
        self.look_ahead = look_ahead and model.links is not None
        self.must = [item for item in items if not item.optional]
        self.may = [item for item in items if item.optional and not item.pure]
        self.may_begin = [item.begins for item in self.may]
        self.n = len(self.must)
        self.next, self.previous = self._linked()
        self.twin = [0] * len(self.may)  # the bit of the like operation before it (rule 3)
        latest: dict[Any, int] = {}
        for k, item in enumerate(self.may):
            self.twin[k] = latest.get(item.call, 0)
            latest[item.call] = 1 << k
        # Rules 5 and 6: how many of those not yet taken have to see a value, and how many could bring it.
        self.seers = Counter(item.fits for item in self.must)
        self.makers = Counter(item.leaves for item in [*self.must, *self.may] if not item.pure)
        self.wanted = {item.fits for item in self.may} - {UNTOLD}
        self.all_wanted = any(item.pure and item.fits is UNTOLD for item in self.must)
        self.entered: dict[tuple[int, int, Any], tuple[int, ...]] = {}
        self.stuck: Item | None = None
        self.stuck_values: dict[Any, None] = {}

    def _linked(self) -> tuple[list[int], list[int]]:
        # A beginning comes before an end of the same time: such operations overlap.
        times = [(item.begins, 0, k) for k, item in enumerate(self.must)]
        times += [(item.ends, self.n, k) for k, item in enumerate(self.must)]
        ring = [2 * self.n, *(shift + k for _, shift, k in sorted(times))]
        following, previous = ring[:], ring[:]
        for here, there in zip(ring, ring[1:] + ring[:1], strict=True):
            following[here], previous[there] = there, here
        return following, previous

    def run(self, purse: Purse, steps: float) -> list[Operation] | None:
        """Return an order, or None if there is none. Raises `Spent` after so many steps."""
        granted = self.steps = min(steps, purse.steps)
        try:
            for value in self.values:
                path = self._path(value, purse)
                if path:
                    return [self._item(k).operation for frame in path for k in frame.taken]
            return None
        finally:
            purse.steps -= granted - self.steps

    def _path(self, value: Any, purse: Purse) -> list[Frame]:
        path = [self._frame(value, ILLEGAL, 0, 0, [])]
        while path and self.next[2 * self.n] != 2 * self.n:
            if self.steps <= 0 or (not self.steps % 64 and time.monotonic() > purse.until):
                raise Spent
            self.steps -= 1
            frame = path[-1]
            if not frame.moves and not frame.tried_optional:
                self._find_optional(frame)
            if not frame.moves:
                self._put_back(path.pop().taken)
                continue
            following = self._take(frame, *frame.moves.pop())
            if following is not None:
                path.append(following)
        return path

    def _item(self, k: int) -> Item:
        return self.must[k] if k >= 0 else self.may[~k]

    def _lift(self, k: int) -> None:
        if k >= 0:
            for entry in (k, self.n + k):
                self.next[self.previous[entry]] = self.next[entry]
                self.previous[self.next[entry]] = self.previous[entry]
        self._count(k, -1)

    def _put_back(self, taken: list[int]) -> None:
        for k in reversed(taken):
            if k >= 0:
                for entry in (self.n + k, k):
                    self.next[self.previous[entry]] = entry
                    self.previous[self.next[entry]] = entry
            self._count(k, 1)

    def _count(self, k: int, by: int) -> None:
        item = self._item(k)
        if k >= 0:
            self.seers[item.fits] += by
        if not item.pure:
            self.makers[item.leaves] += by

    def _take(self, frame: Frame, k: int, value: Any) -> Frame | None:
        self._lift(k)
        done, used, before = frame.done, frame.used, ILLEGAL
        if k >= 0:
            done |= 1 << k
        else:
            used |= 1 << ~k
            before = frame.value
        # Whatever begins before the first entry of the list is done: a short window of `done` says it all.
        first = self.next[2 * self.n]
        configuration = (first, done >> first, value)
        known = self.entered.get(configuration, ())
        lost = self.look_ahead and value != frame.value and self.seers[frame.value] and not self.makers[frame.value]
        if lost or any(fewer & used == fewer for fewer in known):  # rules 5 and 4
            self._put_back([k])
            return None
        self.entered[configuration] = (*known, used)
        return self._frame(value, before, done, used, [k])

    def _frame(self, value: Any, before: Any, done: int, used: int, taken: list[int]) -> Frame:
        frame = Frame(value, before, done, used, taken)
        self._look(frame)
        while self._take_idle(frame):
            self._look(frame)
        if frame.before is not ILLEGAL:  # rule 2
            frame.moves = [m for m in frame.moves if self.step(frame.before, *self.must[m[0]].call) != m[1]]
        frame.moves.sort(key=lambda move: self.must[move[0]].ends, reverse=True)
        return frame

    def _look(self, frame: Frame) -> None:
        # Take what is free (rule 1), and find what may come next: whatever begins before the first end.
        frame.moves = []
        entry = self.next[2 * self.n]
        while entry < self.n:
            at, item = entry, self.must[entry]
            after = self.step(frame.value, *item.call)
            if after is not ILLEGAL and item.pure:
                at = self.previous[entry]
                self._take_free(frame, entry)
            elif after is not ILLEGAL:
                frame.moves.append((entry, after))
            entry = self.next[at]
        frame.first_end = inf
        if entry != 2 * self.n:
            frame.first_end = self.must[entry - self.n].ends
            self._note_stuck(self.must[entry - self.n], frame.value)

    def _take_idle(self, frame: Frame) -> bool:
        if not self.look_ahead or self._awaited(frame.value):  # rule 6
            return False
        idle = [k for k, after in frame.moves if not self._awaited(after)]
        for k in idle:
            self._take_free(frame, k)
            frame.value = self.must[k].leaves
        return bool(idle)

    def _take_free(self, frame: Frame, k: int) -> None:
        self._lift(k)
        frame.taken.append(k)
        frame.done |= 1 << k
        frame.before = ILLEGAL

    def _awaited(self, value: Any) -> bool:
        return self.all_wanted or value in self.wanted or self.seers[value] > 0

    def _find_optional(self, frame: Frame) -> None:
        frame.tried_optional = True
        for k in range(bisect_right(self.may_begin, frame.first_end)):
            call, leaves = self.may[k].call, self.may[k].leaves
            if frame.used >> k & 1 or self.twin[k] & ~frame.used:  # rule 3
                continue
            if self.look_ahead and not self._awaited(leaves):
                continue
            after = self.step(frame.value, *call)
            if after is ILLEGAL or after == frame.value:
                continue
            if frame.before is ILLEGAL or self.step(frame.before, *call) != after:  # rule 2
                frame.moves.append((~k, after))
        frame.moves.reverse()

    def _note_stuck(self, item: Item, value: Any) -> None:
        if self.stuck is None or item.ends > self.stuck.ends:
            self.stuck, self.stuck_values = item, {}
        if item.ends == self.stuck.ends:
            self.stuck_values[value] = None


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


# --- The smallest failing part --------------------------------------------------------------------------

STEPS_TO_SHRINK = 500_000
STEPS_PER_TRIAL = 50_000


class Shrinker:
    """Finds few operations that are a violation whatever the others did.

    An operation that is left out may take effect at any time or never; or it took effect before those that
    are kept, which then may find any value. All that can only make more orders possible, so what is still a
    violation then is one in truth. The operation that cannot be taken in time stays the same throughout, so
    that the sentence about it is as true of the few as of the many.
    """

    def __init__(self, items: list[Item], model: Model, until: float) -> None:
        self.model, self.sure = model, True
        self.purse = Purse(Budget(STEPS_TO_SHRINK))
        self.purse.until = until
        self.values: list[Any] = [model.initial]
        self.spared: list[Item] = []
        ends = sorted(item.ends for item in items if not item.optional)
        first = bisect_left(
            ends,
            True,
            hi=len(ends) - 1,
            key=lambda end: bool(self._searched(_cut(items, end), self.values, look_ahead=True)),
        )
        self.end = ends[first]
        self.kept = _cut(items, self.end)
        self.held = self._all_values()

    def _all_values(self) -> list[Any]:
        # Every value that the register can have held; none if that cannot be told.
        if self.model.links is None:
            search = self._searched(self.kept, self.values, look_ahead=False)
            return list(dict.fromkeys([*self.values, *(value for _, _, value in search.entered)])) if search else []
        return list(dict.fromkeys([*self.values, *(item.leaves for item in self.kept if not item.pure)]))

    def shrink(self) -> None:
        """Forget the beginning, then spare what can be spared, large parts first, until nothing can."""
        self._forget_beginning()
        before = inf
        while len(self.kept) < before:
            before = len(self.kept)
            self._spare()

    def reason(self) -> str:
        """Return the sentence about the operation that fits nowhere."""
        count, search = len(self.kept), self._searched(self.kept, self.values, look_ahead=False)
        if search is None or search.stuck is None:
            return f"No order of these {count} operations explains every result."
        nowhere = f"({search.stuck.operation}) fits nowhere."
        if count == 1:
            return f"{nowhere} No other operation can have left a value that it fits."
        met = [encode(thaw(value)) for value in search.stuck_values]
        if len(met) > 3:
            met[3:] = [f"one of {len(met) - 3} other values"]
        return f"{nowhere} In each order of these {count} that keeps to real time, it meets {' or '.join(met)}."

    def _searched(self, items: list[Item], values: list[Any], *, look_ahead: bool) -> Search | None:
        # A search that found no order, or None.
        search = Search(items, self.model, values, look_ahead=look_ahead)
        try:
            return search if search.run(self.purse, STEPS_PER_TRIAL) is None else None
        except Spent:
            self.sure = False
            return None

    def _fail(self, kept: list[Item], spared: list[Item], values: list[Any]) -> bool:
        alone = self._searched(kept, values, look_ahead=False)
        if alone is None or alone.stuck is None or alone.stuck.ends != self.end:
            return False
        return not spared or self._searched(kept + spared, values, look_ahead=True) is not None

    def _forget_beginning(self) -> None:
        begins = sorted((item.begins for item in self.kept if not item.optional), reverse=True)
        size = 1
        while self.held and size <= len(begins):
            start = begins[size - 1]
            kept = [item for item in self.kept if item.begins >= start]
            spared = [_spared(item) for item in self.kept if item.begins < start <= item.ends]
            values = self._values_before(kept + spared)
            if self._fail(kept, spared, values):
                self.kept, self.spared, self.values = kept, spared, values
                return
            size += 1 + size // 4

    def _values_before(self, items: list[Item]) -> list[Any]:
        # Of all values, so many that `items` cannot tell the difference.
        if self.model.links is None:
            return self.held
        told = {value for item in items for value in (item.fits, *item.call[1])}
        return [value for value in self.held if value in told] + [v for v in self.held if v not in told][:1]

    def _spare(self) -> None:
        size = len(self.kept)
        while size > 1:
            size = (size + 1) // 2
            start = 0
            while start < len(self.kept):
                rest = self.kept[:start] + self.kept[start + size :]
                spared = self.spared + [_spared(item) for item in self.kept[start : start + size]]
                if self._fail(rest, spared, self.values):
                    self.kept, self.spared = rest, spared
                else:
                    start += size


def _spared(item: Item) -> Item:
    return item._replace(begins=-inf, ends=inf, optional=True)


def _cut(items: list[Item], end: float) -> list[Item]:
    # The history as it was at that time: what ends later is still open.
    begun = [item for item in items if item.begins <= end]
    return [item if item.ends <= end else item._replace(ends=inf, optional=True) for item in begun]


# --- The short cut for versioned registers --------------------------------------------------------------


class Clash(Exception):
    """A violation that the versions show: the reason in a sentence, and the operations that contradict."""

    def __init__(self, reason: str, *operations: Operation) -> None:
        super().__init__(reason)
        self.operations = operations


def check_versioned(history: Iterable[Operation], budget: Budget = DEFAULT_BUDGET) -> Verdict:
    """Judge a history of versioned registers, in time that grows as sorting does.

    The versions tell the order, so there is nothing to search: put the operations in the order of the
    versions that they made or saw, fill the gaps with operations of unknown outcome, and see whether the
    order keeps to real time. Only a key with an answer that does not tell its version is left to `check`,
    within `budget`. Raises `ValueError` for an operation that the model does not have.
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


def shown(operation: Operation) -> Any:
    """Return the versioned value that the operation saw or made, or `UNTOLD`."""
    seen = operation.result.value if isinstance(operation.result, Refusal) else operation.result
    return NEVER_WRITTEN if seen is None else seen


def _version(operation: Operation) -> int:
    seen = shown(operation)
    if not isinstance(seen, dict) or seen.keys() != {"ver", "val"} or type(seen["ver"]) is not int:
        raise ValueError(f'({operation}): a versioned value is {{"ver": a whole number, "val": any value}}, or null')
    version: int = seen["ver"]
    return version


def _makes(operation: Operation) -> bool:
    return operation.f != "read" and not isinstance(operation.result, Refusal)


def by_version(operations: list[Operation]) -> list[Operation]:
    """Return the operations of one key in an order that explains them all. Raises `Clash` if there is none."""
    told = [(_version(operation), operation) for operation in operations if operation.outcome is Outcome.OK]
    spare = [operation for operation in operations if operation.outcome is Outcome.UNKNOWN and _makes(operation)]
    told.sort(key=_rank)
    values: dict[int, Any] = {}
    made: dict[int, Operation] = {}
    for version, operation in told:
        _check_alone(version, operation, made.get(version))
        if _makes(operation):
            made[version] = operation
        value = freeze(shown(operation))
        if values.setdefault(version, value) != value:
            others = [other for v, other in told if v == version and freeze(shown(other)) != value]
            raise Clash(f"version {version} was seen with two different values.", others[0], operation)
    told += _fill(told, made, values, spare)
    told.sort(key=_rank)
    latest = told[0] if told else None
    for version, operation in told:
        assert latest is not None
        if operation.completed_s is not None and operation.completed_s < latest[1].invoked_s:
            reason = f"after one had seen or made version {version}, another began that had version {latest[0]}."
            raise Clash(reason, operation, latest[1])
        latest = max(latest, (version, operation), key=lambda one: one[1].invoked_s)
    return [operation for _, operation in told]


def _rank(told: tuple[int, Operation]) -> tuple[int, bool, float]:
    version, operation = told
    return version, not _makes(operation), operation.invoked_s


def _check_alone(version: int, operation: Operation, maker: Operation | None) -> None:
    if version < 0 or (version == 0 and (_makes(operation) or shown(operation) != NEVER_WRITTEN)):
        raise Clash("nobody writes a version below 1.", operation)
    if not _makes(operation):
        if operation.f == "cas" and operation.args[0] == version:
            raise Clash(f"a cas from version {version} was refused at version {version}.", operation)
    elif maker is not None:
        raise Clash(f"two operations made version {version}.", maker, operation)
    elif operation.f == "cas" and operation.args[0] != version - 1:
        raise Clash(f"a cas from version {operation.args[0]} made version {version}.", operation)
    elif freeze(shown(operation)["val"]) != freeze(operation.args[-1]):
        raise Clash(f"version {version} does not hold what its maker wrote.", operation)


def _fill(
    told: list[tuple[int, Operation]], made: Mapping[int, Operation], values: Mapping[int, Any], spare: list[Operation]
) -> list[tuple[int, Operation]]:
    """Give each version that nobody is known to have made to an operation of unknown outcome.

    It has to begin before the first end of what saw or made that version or a later one. Earlier versions
    are due earlier, so what is in time for one is in time for all later ones. Hence it is safe to serve first
    the operations with the fewest uses: a cas fits one version, a write only versions with its value.
    """
    versions = [version for version, _ in told]
    due = list(told)  # due[i] has the first end among told[i:]
    for i in range(len(due) - 2, -1, -1):
        due[i] = min(due[i], due[i + 1], key=lambda one: one[1].completed_s or 0.0)
    gaps: dict[int, Operation] = {}  # with the operation that needs it first
    for version in range(1, versions[-1] + 1 if versions else 1):
        if version not in made:
            gaps[version] = due[bisect_left(versions, version)][1]
        if len(gaps) > len(spare):
            break
    filled = _by_cas(gaps, values, spare)
    filled |= _by_write({gap: last for gap, last in gaps.items() if gap not in filled}, values, spare)
    for gap, last in gaps.items():
        if gap not in filled:
            raise Clash(f"nothing that began in time can have made version {gap}.", last)
    return list(filled.items())


def _by_cas(gaps: Mapping[int, Operation], values: Mapping[int, Any], spare: list[Operation]) -> dict[int, Operation]:
    filled: dict[int, Operation] = {}
    wanted = {gap - 1: gap for gap in gaps}
    for maker in spare:
        version = wanted.get(freeze(maker.args[0]), 0) if maker.f == "cas" else 0
        if version and maker.invoked_s <= (gaps[version].completed_s or 0.0):
            value = freeze({"ver": version, "val": maker.args[-1]})
            if values.get(version, value) == value:
                filled[version] = maker
    return filled


def _by_write(gaps: Mapping[int, Operation], values: Mapping[int, Any], spare: list[Operation]) -> dict[int, Operation]:
    writes = sorted((one for one in spare if one.f == "write"), key=lambda one: one.invoked_s)
    alike: dict[Any, list[Operation]] = {}
    for write in writes:
        alike.setdefault(freeze(write.args[0]), []).append(write)
    filled: dict[int, Operation] = {}
    for version, last in gaps.items():
        if version in values:
            some = alike.get(freeze(thaw(values[version])["val"]), [])
            at = bisect_right(some, last.completed_s or 0.0, key=lambda one: one.invoked_s)
            if at:
                filled[version] = some.pop(at - 1)  # the last one in time: those before it have more uses
    used = {id(write) for write in filled.values()}
    rest = (write for write in writes if id(write) not in used)
    for version, last in gaps.items():
        if version not in values:
            first = next(rest, None)
            if first is None or first.invoked_s > (last.completed_s or 0.0):
                break
            filled[version] = first
    return filled


# --- Files ----------------------------------------------------------------------------------------------


def check_history_file(path: str | Path, model: str | Model, budget: Budget = DEFAULT_BUDGET) -> Verdict:
    """Judge the history in a file: our JSON lines, or Jepsen's EDN or log.

    `model` is a `Model` or the name of one in `MODELS`. Raises `ValueError` for another name, a file that is
    no history, or an operation that the model does not have; `OSError` if the file cannot be read.
    """
    if isinstance(model, str):
        if model not in MODELS:
            raise ValueError(f"there is no model {model!r}; there are {', '.join(MODELS)}")
        model = MODELS[model]
    history = read_history(path)
    if model is MODELS["versioned-register"]:
        return check_versioned(history, budget)
    return check(history, model, budget)
