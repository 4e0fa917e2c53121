"""The smallest failing part of a history that is not linearizable.

What may live here: how a violation is reduced, and the sentence about what is left. No search of its own.

The theory in a few lines. A history of thousands of operations that fits no order tells a reader little. So it is
cut at the first end at which it had become impossible; then its beginning is forgotten, and operations are left
out, large parts first and then ever smaller ones, as in delta debugging (Zeller and Hildebrandt, "Simplifying and
isolating failure-inducing input", 2002), for as long as what is kept is a violation whatever the others did.
"""

from __future__ import annotations

from bisect import bisect_left
from math import inf
from typing import Any

from gryadka.checking.search import Item, Purse, Search, Spent
from gryadka.checking.sequential import Model, thaw
from gryadka.checking.verdicts import Budget
from gryadka.protocol.value import encode

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
            met[3:] = [f"one of {len(met) - 3} others"]
        orders = f"In each order of these {count} operations (none before one that had ended when it began)"
        return f"{nowhere} {orders} this one meets the value {' or '.join(met)}."

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
