"""The search for an order that explains one key's history.

What may live here: that search, and what it counts against a budget. No files, no verdicts, no chance; the wall
clock only for the budget.

The theory in a few lines. The search is Wing and Gong's ("Testing and verifying concurrent objects", 1993) as
improved by Lowe ("Testing for linearizability", 2017). All beginnings and ends stand in one list, in order of
time. An operation may come next if it begins before the first *end* in the list. Take it, lift its two entries
out, and go on; at a dead end put them back and try the next one. A *configuration* (which operations were taken,
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

Without rules 5 and 6 a few hundred unknown outcomes on one key are too many.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

from gryadka.checking.history import UNTOLD, Operation, Refusal
from gryadka.checking.sequential import ILLEGAL, Model, freeze
from gryadka.checking.verdicts import Budget


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


class Timeline:
    """Beginnings and ends in order of time, as a ring from which a pair is lifted and put back in constant time.

    Entries are numbers: k is the beginning of item k, n + k its end, 2n the ring's head.
    """

    def __init__(self, items: list[Item]) -> None:
        self.n, self.head = len(items), 2 * len(items)
        # A beginning comes before an end of the same time: such operations overlap.
        times = [(item.begins, 0, k) for k, item in enumerate(items)]
        times += [(item.ends, self.n, k) for k, item in enumerate(items)]
        ring = [self.head, *(shift + k for _, shift, k in sorted(times))]
        self.next, self.previous = ring[:], ring[:]
        for here, there in zip(ring, ring[1:] + ring[:1], strict=True):
            self.next[here], self.previous[there] = there, here

    def lift(self, k: int) -> None:
        """Take both entries of item k out. They keep their neighbours, so that they can be put back."""
        for entry in (k, self.n + k):
            self.next[self.previous[entry]] = self.next[entry]
            self.previous[self.next[entry]] = self.previous[entry]

    def put_back(self, k: int) -> None:
        """Undo the latest `lift` that is not undone, which was that of item k."""
        for entry in (self.n + k, k):
            self.next[self.previous[entry]] = entry
            self.previous[self.next[entry]] = entry


class Demand:
    """For rules 5 and 6: how many of those not yet taken have to see a value, and how many could bring it."""

    def __init__(self, items: list[Item]) -> None:
        self.seers = Counter(item.fits for item in items if not item.optional)
        self.makers = Counter(item.leaves for item in items if not item.pure)
        self.wanted = {item.fits for item in items if item.optional} - {UNTOLD}
        self.all_wanted = any(item.pure and item.fits is UNTOLD for item in items if not item.optional)

    def count(self, item: Item, by: int) -> None:
        """Count an operation that is taken (-1) or put back (1)."""
        if not item.optional:
            self.seers[item.fits] += by
        if not item.pure:
            self.makers[item.leaves] += by

    def awaits(self, value: Any) -> bool:
        """Return whether somebody may still want to see the value."""
        return self.all_wanted or value in self.wanted or self.seers[value] > 0

    def misses(self, value: Any) -> bool:
        """Return whether somebody has to see the value and nothing can bring it any more."""
        return self.seers[value] > 0 and not self.makers[value]


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
    """One key's search, in a register that may hold any of `values` at first.

    Rules 5 and 6 look ahead to all operations, so only without them (`look_ahead`) do `stuck` and `stuck_values`
    tell which operation could not be taken in time, and which values it met instead.
    """

    def __init__(self, items: Iterable[Item], model: Model, values: Iterable[Any], *, look_ahead: bool = True) -> None:
        items = sorted(items, key=lambda item: item.begins)
        self.step, self.values = model.step, values
        self.look_ahead = look_ahead and model.links is not None
        self.must = [item for item in items if not item.optional]
        self.may = [item for item in items if item.optional and not item.pure]
        self.may_begin = [item.begins for item in self.may]
        self.twin = [0] * len(self.may)  # the bit of the like operation before it (rule 3)
        latest: dict[Any, int] = {}
        for k, item in enumerate(self.may):
            self.twin[k] = latest.get(item.call, 0)
            latest[item.call] = 1 << k
        self.timeline = Timeline(self.must)
        self.demand = Demand([*self.must, *self.may])
        self.entered: dict[tuple[int, int, Any], tuple[int, ...]] = {}
        self.stuck: Item | None = None
        self.stuck_values: dict[Any, None] = {}

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
        path, head = [self._frame(value, ILLEGAL, 0, 0, [])], self.timeline.head
        while path and self.timeline.next[head] != head:
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
            self.timeline.lift(k)
        self.demand.count(self._item(k), -1)

    def _put_back(self, taken: list[int]) -> None:
        for k in reversed(taken):
            if k >= 0:
                self.timeline.put_back(k)
            self.demand.count(self._item(k), 1)

    def _take(self, frame: Frame, k: int, value: Any) -> Frame | None:
        self._lift(k)
        done, used, before = frame.done, frame.used, ILLEGAL
        if k >= 0:
            done |= 1 << k
        else:
            used |= 1 << ~k
            before = frame.value
        # Whatever begins before the first entry of the list is done: a short window of `done` says it all.
        first = self.timeline.next[self.timeline.head]
        configuration = (first, done >> first, value)
        known = self.entered.get(configuration, ())
        lost = self.look_ahead and value != frame.value and self.demand.misses(frame.value)
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
        timeline = self.timeline
        frame.moves = []
        entry = timeline.next[timeline.head]
        while entry < timeline.n:
            at, item = entry, self.must[entry]
            after = self.step(frame.value, *item.call)
            if after is not ILLEGAL and item.pure:
                at = timeline.previous[entry]
                self._take_free(frame, entry)
            elif after is not ILLEGAL:
                frame.moves.append((entry, after))
            entry = timeline.next[at]
        frame.first_end = inf
        if entry != timeline.head:
            frame.first_end = self.must[entry - timeline.n].ends
            self._note_stuck(self.must[entry - timeline.n], frame.value)

    def _take_idle(self, frame: Frame) -> bool:
        if not self.look_ahead or self.demand.awaits(frame.value):  # rule 6
            return False
        idle = [k for k, after in frame.moves if not self.demand.awaits(after)]
        for k in idle:
            self._take_free(frame, k)
            frame.value = self.must[k].leaves
        return bool(idle)

    def _take_free(self, frame: Frame, k: int) -> None:
        self._lift(k)
        frame.taken.append(k)
        frame.done |= 1 << k
        frame.before = ILLEGAL

    def _find_optional(self, frame: Frame) -> None:
        frame.tried_optional = True
        for k in range(bisect_right(self.may_begin, frame.first_end)):
            call, leaves = self.may[k].call, self.may[k].leaves
            if frame.used >> k & 1 or self.twin[k] & ~frame.used:  # rule 3
                continue
            if self.look_ahead and not self.demand.awaits(leaves):  # rule 5
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
