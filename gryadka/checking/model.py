"""CASPaxos as a model for `explore`: every run of a few acceptors, proposers and ballots.

What may live here: states, and what must be true of them. What may happen is said in `steps`, and what is
decided at a step in `rules`; so this one model explores the right protocol, a wrong one, or a learner's.

The theory in a few lines.

- **No network.** What was sent stays sent. An acceptor may answer any message at any time, any number of
  times, or never; a proposer may hear any answer, or none. That is loss, delay, reordering and duplication.
- **No clock.** A proposer may give up a round at any time, and begin another with a higher ballot.
- **Answers that can no longer matter are dropped**: those to a message that its proposer asks no more.
- An acceptor, with the answers that it has given, is a *cell*. Acceptors are interchangeable, so sorting the
  cells takes all states together that differ only by a swap of acceptors.

A state is a tuple of numbers: one for what all proposers know (a `World`), then one for each cell. Worlds
and cells are numbered as they turn up, and what may follow is worked out once for each combination.

What must be true is said as a client sees it. A register holds its history, so the changes that callers saw
acknowledged form one chain; no change is in it twice; and whoever begins later is shown what was acknowledged
before. Together that is linearizability, for changes that append (Herlihy and Wing, "Linearizability", 1990).

    model = Caspaxos(Scope(acceptors=3, proposers=2, ballots=2))
    print(explore(model.model()))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import combinations
from typing import NamedTuple

from gryadka.checking.explore import ActionProperty, Model, Property
from gryadka.checking.numbered import Numbered, Numbers, sort_acceptors
from gryadka.checking.rules import ACKNOWLEDGED, Broken, History, Memory, Rules, Scope, is_prefix
from gryadka.checking.steps import Answer, Cell, Move, Slot, Steps
from gryadka.protocol.acceptor import Accept, Ballot, Message, State

ANSWERED = "every message gets a proper answer"
ONE_VALUE = "at most one value per ballot"
NOT_LOST = "an acknowledged change is never lost"
ONCE = "no change is applied twice"
ONE_CHAIN = "acknowledged changes form one chain"
NOT_APPLIED = "a change reported as not applied is never seen"
NO_WAY_BACK = "promises never go back"
SOMETHING = "a change can be acknowledged"
EVERYTHING = "every change can be acknowledged"

SEEN_BY_CLIENTS = (NOT_LOST, ONCE, ONE_CHAIN, NOT_APPLIED)
NO_EFFECT = ("refused", "not applied")


Label = tuple[int, Answer | Move]
"""Who (an acceptor's place, or a proposer's index, from 0), and what."""


class World(NamedTuple):
    """What all proposers know; `broken` says what a rule did wrong, and ends the run."""

    memories: tuple[Memory, ...]
    broken: str = ""


class Known(NamedTuple):
    """What is asked of a world at every step, by numbers."""

    memories: Numbers
    question: int
    longest: int


class Caspaxos:
    """The model of one register, and what its numbers stand for."""

    def __init__(self, scope: Scope, rules: Rules | None = None) -> None:
        self.scope = scope
        self._symmetric = scope.symmetric
        self.steps = Steps(rules or Rules(scope))
        self._worlds: Numbered[World] = Numbered()
        self._cells: Numbered[Cell] = Numbered()
        self._slots: Numbered[Slot] = Numbered()
        self._memories: Numbered[tuple[int, Memory]] = Numbered()
        self._messages: Numbered[Message] = Numbered()
        # A question: all messages that were sent, and for each proposer the one that it asks now, or -1.
        self._questions: Numbered[tuple[Numbers, Numbers]] = Numbered()
        self._histories: Numbered[History] = Numbered()
        # What follows from a world, and from a cell, by its number.
        self._known: list[Known] = []
        self._faults: list[dict[str, str]] = []
        self._reached: list[set[str]] = []
        self._heard: list[Numbers] = []
        # Pure functions of a few numbers, asked again and again: each answer is worked out once.
        self._answers = cache(self._find_answers)
        self._answer = cache(self._find_answer)
        self._moves = cache(self._find_moves)
        self._slot = cache(self._find_slot)
        self._next_world = cache(self._find_next_world)
        self._without = cache(self._find_without)
        world = self._world(World((Memory(),) * scope.proposers))
        cell = self._cell(Cell(State(), ((),) * scope.proposers))
        self.initial: Numbers = (world, *(cell,) * scope.acceptors)

    def model(self, *, only_clients: bool = False) -> Model[Numbers, Label]:
        """For `explore`. With `only_clients`, only for what a client can see: the harm that a fault does."""
        names = (ANSWERED, *SEEN_BY_CLIENTS) if only_clients else (ANSWERED, ONE_VALUE, *SEEN_BY_CLIENTS)
        forward = ActionProperty[Numbers, Label](NO_WAY_BACK, lambda before, label, after: not label[1].back)
        return Model(
            initial=[self.initial],
            successors=self.successors,
            invariants=[Property(name, self._never(name)) for name in names],
            action_properties=[] if only_clients else [forward],
            must_reach=[Property(name, self._ever(name)) for name in (SOMETHING, EVERYTHING)],
            canonical=sort_acceptors if self.scope.symmetric else None,
        )

    # What may happen.

    def successors(self, state: Numbers) -> Iterator[tuple[Label, Numbers]]:
        """Every step that is possible: an acceptor answers a message, or a proposer goes on."""
        world, cells = state[0], state[1:]
        memories, question, longest = self._known[world]
        for place, cell in enumerate(cells):
            if self._symmetric and cells.index(cell) < place:
                continue
            for answer, after in self._answers(cell, question):
                if after >= 0:
                    yield (place, answer), (*state[: place + 1], after, *state[place + 2 :])
                else:
                    yield (place, answer), (self._break(world, answer.broken), *cells)
        for proposer, (memory, heard) in enumerate(zip(memories, self._hear(memories, cells), strict=True)):
            for label, after, asks in self._moves(memory, longest, heard):
                if after < 0:
                    yield label, (self._break(world, label[1].broken), *cells)
                elif asks is None:
                    yield label, (self._next_world(world, proposer, after), *cells)
                else:
                    left = [self._without(cell, proposer, asks) for cell in cells]
                    yield label, (self._next_world(world, proposer, after), *left)

    def _hear(self, memories: Numbers, cells: Numbers) -> Iterable[Numbers]:
        # For each proposer, the slot of each acceptor.
        if self.scope.conflicts:
            return [tuple([self._slot(cell, memory) for cell in cells]) for memory in memories]
        return zip(*[self._heard[cell] for cell in cells], strict=True)

    def _find_answers(self, cell: int, question: int) -> list[tuple[Answer, int]]:
        found = []
        sent, asked = self._questions[question]
        for message in sent:
            found += self._answer(cell, message, asked[self._messages[message].ballot.proposer - 1])
        return found

    def _find_answer(self, cell: int, message: int, asked: int) -> list[tuple[Answer, int]]:
        answers = self.steps.answers(self._cells[cell], self._messages[message], self._message(asked))
        return [(answer, -1 if answer.broken else self._cell(after)) for answer, after in answers]

    def _find_moves(self, memory: int, longest: int, heard: Numbers) -> list[tuple[Label, int, int | None]]:
        proposer, me = self._memories[memory]
        try:
            slots = [self._slots[slot] for slot in heard]
            moves = self.steps.moves(proposer, me, self._histories[longest], slots)
        except Broken as error:
            return [((proposer, Move("broken", broken=str(error))), -1, None)]
        found: list[tuple[Label, int, int | None]] = []
        for after, move in moves.items():
            asks = None if after.asked == me.asked else self._asks(after)
            found.append(((proposer, move), self._memories.number((proposer, after)), asks))
        return found

    def _find_slot(self, cell: int, memory: int) -> int:
        return self._slots.number(self.steps.slot(self._cells[cell], *self._memories[memory]))

    def _find_without(self, cell: int, proposer: int, asked: int) -> int:
        return self._cell(self.steps.without(self._cells[cell], proposer, self._message(asked)))

    def _find_next_world(self, number: int, proposer: int, memory: int) -> int:
        memories = list(self._worlds[number].memories)
        memories[proposer] = self._memories[memory][1]
        return self._world(World(tuple(memories)))

    def _break(self, number: int, sentence: str) -> int:
        return self._world(self._worlds[number]._replace(broken=sentence))

    # What must be true.

    def why(self, name: str, state: Numbers) -> str:
        """Say in a sentence how the property called `name` fails in this state; "" if it does not."""
        return self._faults[state[0]].get(name, "")

    def _never(self, name: str) -> Callable[[Numbers], bool]:
        return lambda state: name not in self._faults[state[0]]

    def _ever(self, name: str) -> Callable[[Numbers], bool]:
        return lambda state: name in self._reached[state[0]]

    def _judge(self, world: World) -> Iterator[tuple[str, str]]:
        shown = _shown(world)
        if world.broken:
            yield ANSWERED, world.broken
        values: dict[Ballot, str] = {}
        for message in (message for me in world.memories for message in me.sent if isinstance(message, Accept)):
            if values.setdefault(message.ballot, message.value) != message.value:
                yield ONE_VALUE, f"at {message.ballot}, {values[message.ballot]} and {message.value} were proposed"
        for me in world.memories:
            if me.lost:
                yield NOT_LOST, me.lost
        for history in shown:
            if len(set(history)) < len(history):
                yield ONCE, f"a caller was shown {list(history)}"
        for one, other in combinations(shown, 2):
            if not is_prefix(one, other) and not is_prefix(other, one):
                yield ONE_CHAIN, f"callers were shown {list(one)} and {list(other)}, and neither begins the other"
        for me, changes in zip(world.memories, self.steps.changes, strict=True):
            for outcome, change in zip(me.outcomes, changes, strict=False):
                if outcome.ending in NO_EFFECT and any(change.number in history for history in shown):
                    yield NOT_APPLIED, f"change {change.number} was reported as {outcome.ending}, and then was seen"

    def _achievements(self, world: World) -> Iterator[str]:
        endings = [[outcome.ending in ACKNOWLEDGED for outcome in me.outcomes] for me in world.memories]
        if any(map(any, endings)):
            yield SOMETHING
        if all(map(all, endings)) and list(map(len, endings)) == list(map(len, self.steps.changes)):
            yield EVERYTHING

    # How a state is put together.

    def world(self, state: Numbers) -> World:
        """What the proposers know."""
        return self._worlds[state[0]]

    def cells(self, state: Numbers) -> list[Cell]:
        """The acceptors, with the answers that may still matter."""
        return [self._cells[number] for number in state[1:]]

    def _world(self, world: World) -> int:
        number = self._worlds.number(world)
        if number == len(self._known):
            memories = tuple(self._memories.number(pair) for pair in enumerate(world.memories))
            sent = dict.fromkeys(self._messages.number(message) for me in world.memories for message in me.sent)
            question = self._questions.number((tuple(sent), tuple(map(self._asks, world.memories))))
            longest = self._histories.number(max(_shown(world), key=len, default=()))
            self._known.append(Known(memories, question, longest))
            self._faults.append(dict(self._judge(world)))
            self._reached.append(set(self._achievements(world)))
        return number

    def _cell(self, cell: Cell) -> int:
        number = self._cells.number(cell)
        if number == len(self._heard):
            self._heard.append(tuple(self._slots.number(Slot(answers)) for answers in cell.answers))
        return number

    def _asks(self, me: Memory) -> int:
        return -1 if me.asked is None else self._messages.number(me.asked)

    def _message(self, number: int) -> Message | None:
        return None if number < 0 else self._messages[number]


def _shown(world: World) -> list[History]:
    return [outcome.history for me in world.memories for outcome in me.outcomes if outcome.ending in ACKNOWLEDGED]
