"""Things as small numbers, so that a state of a search is a tuple of integers.

What may live here: that encoding, which the models of the protocol share. What the things are is theirs.
"""

from __future__ import annotations

from typing import Generic, TypeVar

Numbers = tuple[int, ...]
"""A state: the number of its world, and of each acceptor."""

Item = TypeVar("Item")


class Numbered(Generic[Item]):
    """Numbers things as they turn up."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.numbers: dict[Item, int] = {}

    def number(self, item: Item) -> int:
        """Return the number of `item`, a new one if it is new."""
        number = self.numbers.setdefault(item, len(self.items))
        if number == len(self.items):
            self.items.append(item)
        return number

    def __getitem__(self, number: int) -> Item:
        return self.items[number]


def sort_acceptors(state: Numbers) -> Numbers:
    """The state that stands for all those which differ from it by a swap of acceptors."""
    return (state[0], *sorted(state[1:]))


def put(row: tuple[Item, ...], place: int, item: Item) -> tuple[Item, ...]:
    """Return the row with this item in that place."""
    return (*row[:place], item, *row[place + 1 :])
