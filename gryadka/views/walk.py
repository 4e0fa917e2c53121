"""The states that one acceptor can reach, as a graph, and where each acceptor stands in it now.

What may live here: the graph, and following acceptors through it. Nothing is drawn (see `state_graph`), and no rule
is written down: the graph is found by running the rules, the right ones or a learner's.

The theory in a few lines. An acceptor compares ballots and does nothing else with them, so only their order
matters: ballots 3:…461 < 3:…904 < 7:…461 behave as 1 < 2 < 3 do. So one small model serves every run: explore it
once for a number of ballots, and put the run's own ballots in the place of 1, 2, 3 by their *rank*. A state is then
a place on a board: its column is the ballot that was promised, its row the ballot of what was accepted.

    >>> graph = reachable(2)
    >>> [(place.promised, place.accepted) for place in graph]
    [(0, 0), (1, 0), (2, 0), (1, 1), (2, 2), (2, 1)]
    >>> list(graph[Place(0, 0)][Place(1, 0)])
    ['prepare 1']

A right acceptor never leaves the triangle on which what is accepted is not above what is promised; and it only
moves to the right, or down. A wrong one may: its places are marked as out of reach of the rules.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import networkx as nx

from gryadka.acceptors.memory import AcceptRule, PrepareRule
from gryadka.checking.explore import Budget, BudgetSpent, Model, explore
from gryadka.protocol.acceptor import ZERO, Accept, Ballot, Conflict, Message, Prepare, Reply, State, accept, prepare
from gryadka.trace import FORGOTTEN, Event
from gryadka.views import wording

MOST_BALLOTS = 6
"""How many ballots a board holds. When a higher one comes, the lowest leaves."""

MOST_STATES = 10_000


class Place(NamedTuple):
    """A state with ranks for ballots: 0 for nothing, 1 for the lowest ballot. `value` tells values of one ballot
    apart, counted from 0; a right proposer proposes only one."""

    promised: int
    accepted: int
    value: int = 0


def reachable(
    ballots: int, values: int = 1, *, prepare: PrepareRule = prepare, accept: AcceptRule = accept
) -> nx.MultiDiGraph:
    """Return the graph of all places that an acceptor with these rules can reach, found by the explorer.

    Each of so many ballots may be prepared, and accepted with any of so many values, at any time. Nodes are
    `Place`s; edges have the message's name for a key, and the message, with ranks in it, as `message`. Raises
    `ValueError` if the rules make more than 10,000 states of that; what the rules raise is raised.
    """
    ranks = [Ballot(rank, 0) for rank in range(1, ballots + 1)]
    messages: list[Message] = [*map(Prepare, ranks)]
    messages += [Accept(ballot, str(value), ballot) for ballot in ranks for value in range(values)]
    graph = nx.MultiDiGraph()

    def successors(state: State) -> Iterator[tuple[str, State]]:
        graph.add_node(_place(state))
        for message in messages:
            after = (prepare(state, message) if isinstance(message, Prepare) else accept(state, message))[0]
            if after != state:
                name = f"{type(message).__name__.lower()} {message.ballot.counter}"
                graph.add_edge(_place(state), _place(after), key=name, message=message)
                yield name, after

    if isinstance(explore(Model([State()], successors), budget=Budget(max_states=MOST_STATES)), BudgetSpent):
        raise ValueError(f"these rules lead to more than {MOST_STATES} states; an acceptor has few")
    return graph


def _place(state: State) -> Place:
    return Place(state.promised.counter, state.accepted.counter, int(state.value or 0))


@cache
def right(ballots: int, values: int = 1) -> nx.MultiDiGraph:
    """Return what the right rules can reach: `reachable(ballots, values)`, worked out once. Not to be changed."""
    return reachable(ballots, values)


@dataclass(frozen=True)
class Step:
    """An acceptor went from one state to another when it answered `message`; `wrong` if the rules forbid that."""

    acceptor: str
    before: State
    message: Message
    after: State
    wrong: bool = False


@dataclass
class Walk:
    """Where each acceptor stands, and how it came there. Follows one register: `key`, or the first it hears of.

    `ballots` are the highest ones that it met, in order, at most `most`; `values` are what it saw at each. `steps`
    are the latest ones, as many as `keep`. With `forward`, and for events that do not tell the reply, a state below
    the one that an acceptor was seen in last is passed over, and no step is called wrong: answers from real servers
    may overtake each other on their way to the observer. (So a server that lost its memory is not seen to go back.)
    """

    acceptors: Sequence[str]
    key: str | None = None
    most: int = MOST_BALLOTS
    keep: int = 200
    forward: bool = False
    states: dict[str, State] = field(default_factory=dict)
    down: dict[str, bool] = field(default_factory=dict)
    ballots: list[Ballot] = field(default_factory=list)
    values: dict[Ballot, list[str | None]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    dropped: bool = False
    tell: Callable[[], str] = lambda: "Nothing has happened yet"

    def __post_init__(self) -> None:
        self.states = {name: State() for name in self.acceptors}

    @property
    def said(self) -> str:
        """What has happened last. It is put into words when it is asked for: thousands of events may come between."""
        return self.tell()

    @said.setter
    def said(self, text: str) -> None:
        self.tell = lambda: text

    def add(self, event: Event) -> bool:
        """Take in an event. Returns whether anything of the picture changed."""
        if event.node not in self.states:
            return False
        if event.kind in ("crashed", "restarted", "paused", "resumed"):
            self.down[event.node] = event.kind in ("crashed", "paused")
            if event.note == FORGOTTEN:
                self.states[event.node] = State()
            self.said = f"{event.node} {wording.FAULTS[event.kind]}" + (f", {event.note}" if event.note else "")
            return True
        if event.kind != "state" or event.state is None or not event.message:
            return False
        if self.key is None:
            self.key = event.key
        if event.key != self.key:
            return False
        return self._move(event.node, event.message, event.state, event.reply)

    def _move(self, name: str, message: Message, after: State, told: Reply | None) -> bool:
        before, refused = self.states[name], isinstance(told, Conflict)
        forward = self.forward or told is None  # who watches real servers does not tell the reply
        if forward and after[:2] < before[:2]:
            return False
        for ballot in (message.ballot, after.promised, after.accepted):
            self._meet(ballot)
        if after.accepted in self.values and after.value not in self.values[after.accepted]:
            self.values[after.accepted].append(after.value)
        rule = prepare(before, message) if isinstance(message, Prepare) else accept(before, message)
        wrong = not forward and after != rule[0]
        self.tell = lambda: _told(Step(name, before, message, after, wrong), rule[1], refused=refused)
        if after != before:
            self.states[name] = after
            self.steps.append(Step(name, before, message, after, wrong))
            if len(self.steps) > 2 * self.keep:
                del self.steps[: self.keep]
        return True

    def _meet(self, ballot: Ballot) -> None:
        if ballot in self.values or ballot == ZERO:
            return
        if len(self.ballots) == self.most:
            self.dropped = True
            if ballot < self.ballots[0]:
                return
            del self.values[self.ballots.pop(0)]
        self.ballots.insert(bisect_left(self.ballots, ballot), ballot)
        self.values[ballot] = []

    # -- places --------------------------------------------------------------------------------------------

    def place(self, state: State) -> Place:
        """Return the state's place on the board. Ballots that have left it are like nothing: rank 0."""
        accepted = self.rank(state.accepted)
        values = self.values.get(state.accepted, [])
        value = values.index(state.value) if accepted and state.value in values else 0
        return Place(self.rank(state.promised), accepted, value)

    def rank(self, ballot: Ballot) -> int:
        """Return the ballot's rank among those on the board, from 1; 0 if it is not on it."""
        return bisect_left(self.ballots, ballot) + 1 if ballot in self.values else 0

    @property
    def values_at_most(self) -> int:
        """How many values were seen at one ballot, at most; at least 1."""
        return max([1, *map(len, self.values.values())])

    def moves(self) -> Mapping[tuple[Place, Place], Step]:
        """Return the moves between places of the board, with the latest step that made each."""
        found: dict[tuple[Place, Place], Step] = {}
        for step in self.steps[-self.keep :]:
            if self._on_board(step.before) and self._on_board(step.after):
                move = (self.place(step.before), self.place(step.after))
                if move[0] != move[1]:
                    found.pop(move, None)
                    found[move] = step
        return found

    def _on_board(self, state: State) -> bool:
        return all(ballot == ZERO or ballot in self.values for ballot in (state.promised, state.accepted))

    def path(self, name: str) -> list[State]:
        """Return the states that an acceptor went through, as far as they are remembered."""
        mine = [step for step in self.steps[-self.keep :] if step.acceptor == name]
        return [*(step.before for step in mine[:1]), *(step.after for step in mine)]


def _told(step: Step, ruled: Reply, *, refused: bool) -> str:
    name, message, moved = step.acceptor, step.message, step.after != step.before
    if refused:
        right = isinstance(ruled, Conflict)
        reason = wording.because(message, step.before.promised) if right else "against the rules"
        return f"{name} refuses to {wording.wish(message)}: {reason}" + (", and moves all the same" if moved else "")
    verb = "promises" if isinstance(message, Prepare) else "accepts"
    said = f"{name} {verb} {wording.wish(message).split(' ', 1)[1]}"
    return said + ("" if moved else ", and stays where it is") + (", against the rules" if step.wrong and moved else "")
