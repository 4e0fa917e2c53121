"""CASPaxos in the abstract form of its TLA+ models: a second model, independent of `gryadka.protocol`.

What may live here: this one model and its properties. It shares no code with the protocol on purpose.
Two descriptions written apart check each other, and the counts below check the explorer as well, because
TLC, the model checker of TLA+, reports the same ones.

The abstraction, after Tobias Schottdorf's specification ("Paxos on Steroids and a Crash Course in TLA+",
2017), which follows Leslie Lamport's way of specifying Paxos:

- **No network.** A message that was sent stays sent, so the messages form a set that only grows. An
  acceptor may answer any message in the set at any time, or never. That one idea covers delay,
  reordering, duplication and loss.
- **No proposers.** Who acts for a ballot is left open. A prepare request may appear for any ballot; an
  accept request may appear once per ballot, as soon as a quorum has promised that ballot. Refusals are
  left out too: an acceptor that would refuse stays silent.
- **Ballots** are 0 to B. Ballot 0 is the past: every acceptor starts with value 0, accepted at ballot 0.
- **Change functions.** The change made at ballot `b` depends only on `b` and the old value. With two
  values it is `(1 + b * value) mod 2`; that is the one TLC counted, but at an even ballot it gives 1
  whatever it started from, so it hides faults. `remember` hides none: its value is the whole history.

An acceptor by itself is a small machine. This model numbers the states of that machine as they turn up;
a state of the whole is then a few integers: the requests sent, and one number per acceptor. The answers
that an acceptor has sent are part of its own state. So swapping two acceptors means swapping two numbers,
and sorting the numbers is all that symmetry reduction takes.

What TLC counts for three acceptors, and what `explore` must count (generated, distinct, depth):

    B = 2   16,042    3,362   18       acceptors interchangeable     3,710      746   18
    B = 3  741,042  143,602   26       acceptors interchangeable   139,060   26,342   26

Generated counts are a matter of convention. TLC counts a successor once for every way to justify it:
an accept request once for each quorum of promises and each promise in it that has the highest ballot.
It also counts steps that change nothing, such as an acceptor that answers the same accept again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import combinations, pairwise
from typing import NamedTuple

from gryadka.checking.explore import ActionProperty, Model, Property
from gryadka.checking.numbered import put

Change = Callable[[int, int], int]
Report = tuple[int, int]  # (accepted ballot, value), as an acceptor reports them with a promise
Promises = tuple[Report | None, ...]
State = tuple[int, ...]  # (prepare requests, accept requests, then the number of each acceptor's state)


class Acceptor(NamedTuple):
    """An acceptor and every answer it has ever sent, by ballot."""

    promised: int
    accepted: int
    value: int
    promises: Promises  # what it reported when it promised that ballot
    votes: tuple[bool, ...]  # whether it accepted at that ballot


def two_values(ballot: int, value: int) -> int:
    """The change that TLC's counts belong to."""
    return (1 + ballot * value) % 2


def remember(ballot: int, value: int) -> int:
    """A change that forgets nothing: value 13 was made at ballot 1, then changed at ballot 3."""
    return value * 10 + ballot


def on_prepare(acceptor: Acceptor, ballot: int) -> Acceptor | None:
    """The acceptor after it promised `ballot`, or `None` if it stays silent."""
    if ballot <= acceptor.promised:
        return None
    report = (acceptor.accepted, acceptor.value)
    return acceptor._replace(promised=ballot, promises=put(acceptor.promises, ballot, report))


def on_accept(acceptor: Acceptor, ballot: int, value: int) -> Acceptor | None:
    """The acceptor after it accepted `value` at `ballot`, or `None` if it stays silent."""
    if ballot < acceptor.promised:
        return None
    votes = put(acceptor.votes, ballot, True)
    return acceptor._replace(promised=ballot, accepted=ballot, value=value, votes=votes)


def values_to_change(reports: Sequence[Report], quorum_size: int) -> list[int]:
    """The values that a proposer holding these promises may change, once for every justification."""
    values = []
    for size in range(quorum_size, len(reports) + 1):
        for quorum in combinations(reports, size):
            highest = max(accepted for accepted, _ in quorum)
            values += [value for accepted, value in quorum if accepted == highest]
    return values


def may_propose(ballot: int, requests: Sequence[tuple[int, int]]) -> bool:
    """A ballot never carries two accept requests."""
    return all(ballot != used for used, _ in requests)


class Synod:
    """The model for some number of acceptors and for ballots 0 to `ballots` (`remember` can tell 9 apart).

    `quorum_size` is a majority unless told otherwise; a smaller one makes the protocol wrong.
    """

    def __init__(
        self,
        acceptors: int = 3,
        ballots: int = 2,
        *,
        change: Change = two_values,
        quorum_size: int | None = None,
    ) -> None:
        self.ballots = range(ballots + 1)
        self.change = change
        self.quorum_size = acceptors // 2 + 1 if quorum_size is None else quorum_size
        self.requests = self._possible_requests()
        self.initial: State = (0, 0) + (0,) * acceptors
        fresh = Acceptor(0, 0, 0, (None,) * len(self.ballots), (False,) * len(self.ballots))
        self.machine = [fresh]
        self._numbers = {fresh: 0}
        # Pure functions of a few small integers, asked again and again: each answer is worked out once.
        self._answers = cache(self._find_answers)
        self._open_ballots = cache(self._find_open_ballots)
        self._accept_requests = cache(self._find_accept_requests)
        self._judge_chain = cache(self._find_chain)

    def model(self, *, symmetric: bool = False) -> Model[State, str]:
        """For `explore`; `symmetric` treats acceptors as interchangeable."""
        return Model(
            initial=[self.initial],
            successors=self.successors,
            invariants=[
                Property("at most one value per ballot", self.one_value_per_ballot),
                Property("later proposals build on what is chosen", self.builds_on_chosen),
            ],
            action_properties=[ActionProperty("promises never go back", self.promises_never_go_back)],
            must_reach=[Property("a change is chosen", self.something_chosen)],
            canonical=sort_acceptors if symmetric else None,
        )

    # What may happen.

    def successors(self, state: State) -> Iterator[tuple[str, State]]:
        """Every step that is possible: a request appears, or an acceptor answers one."""
        prepares, accepts, *numbers = state
        for ballot in self.ballots:
            if not prepares >> ballot & 1:
                yield f"prepare {ballot}", (prepares | 1 << ballot, *state[1:])
        for ballot in self._open_ballots(accepts):
            promises = tuple(self.machine[number].promises[ballot] for number in numbers)
            for label, request in self._accept_requests(ballot, promises):
                yield label, (prepares, accepts | request, *numbers)
        for place, number in enumerate(numbers):
            for label, after in self._answers(place, number, prepares, accepts):
                yield label, (*state[: place + 2], after, *state[place + 3 :])

    def _find_open_ballots(self, accepts: int) -> tuple[int, ...]:
        requests = self.sent(accepts)
        return tuple(ballot for ballot in self.ballots if may_propose(ballot, requests))

    def _find_accept_requests(self, ballot: int, promises: Promises) -> list[tuple[str, int]]:
        found = []
        for value in values_to_change([report for report in promises if report], self.quorum_size):
            new = self.change(ballot, value)
            found.append((f"accept {ballot}: {value} becomes {new}", 1 << self.requests.index((ballot, new))))
        return found

    def _find_answers(self, place: int, number: int, prepares: int, accepts: int) -> list[tuple[str, int]]:
        """What the acceptor at `place`, in state `number`, may answer: labels and its next states."""
        acceptor, found = self.machine[number], []
        for ballot in self.ballots:
            if prepares >> ballot & 1 and (after := on_prepare(acceptor, ballot)):
                found.append((f"acceptor {place} promises {ballot}", self._number(after)))
        for ballot, value in self.sent(accepts):
            if after := on_accept(acceptor, ballot, value):
                found.append((f"acceptor {place} accepts {value} at {ballot}", self._number(after)))
        return found

    # What must be true.

    def one_value_per_ballot(self, state: State) -> bool:
        """No two accept requests share a ballot."""
        ballots = [ballot for ballot, _ in self.sent(state[1])]
        return len(ballots) == len(set(ballots))

    def builds_on_chosen(self, state: State) -> bool:
        """Once ballot `b` is chosen, whatever is proposed above `b` descends from the value of `b`."""
        return self._judge_chain(state[1], self.chosen(state))

    def promises_never_go_back(self, before: State, label: str, after: State) -> bool:
        """No acceptor lowers the ballot that it promised, or the one that it accepted."""
        for old, new in zip(before[2:], after[2:], strict=True):
            if old != new:
                was, now = self.machine[old], self.machine[new]
                if now.promised < was.promised or now.accepted < was.accepted:
                    return False
        return True

    def something_chosen(self, state: State) -> bool:
        """A ballot above 0 has been accepted by a quorum."""
        return len(self.chosen(state)) > 1

    def each_builds_on_the_last(self, state: State) -> bool:
        """A tempting property that is *false*: every chosen value was made from the chosen one before it.

        A value that only a minority accepted can be picked up and changed again.
        """
        values = {0: 0} | dict(self.sent(state[1]))
        chosen = self.chosen(state)
        return all(values[new] == self.change(new, values[old]) for old, new in pairwise(chosen))

    # How to read a state.

    def sent(self, accepts: int) -> list[tuple[int, int]]:
        """The accept requests in a set of them, as (ballot, value)."""
        return [request for bit, request in enumerate(self.requests) if accepts >> bit & 1]

    def acceptors(self, state: State) -> list[Acceptor]:
        """The acceptors' own states, spelled out."""
        return [self.machine[number] for number in state[2:]]

    def chosen(self, state: State) -> tuple[int, ...]:
        """The ballots that a quorum accepted, lowest first; ballot 0 always is one."""
        votes = zip(*(acceptor.votes for acceptor in self.acceptors(state)), strict=True)
        return (0, *(ballot for ballot, yes in enumerate(votes) if sum(yes) >= self.quorum_size))

    def _find_chain(self, accepts: int, chosen: tuple[int, ...]) -> bool:
        made = [(0, 0), *self.sent(accepts)]
        return all(
            any(value == self.change(later, old) for ballot, old in made if base <= ballot < later)
            for base in chosen
            for later, value in made
            if later > base
        )

    def _possible_requests(self) -> list[tuple[int, int]]:
        """Every (ballot, value) that an accept request can carry, in a fixed order: the bits of a set."""
        values, requests = [0], []
        for ballot in self.ballots[1:]:
            new = sorted({self.change(ballot, value) for value in values})
            requests += [(ballot, value) for value in new]
            values = sorted({*values, *new})
        return requests

    def _number(self, acceptor: Acceptor) -> int:
        if acceptor not in self._numbers:
            self._numbers[acceptor] = len(self.machine)
            self.machine.append(acceptor)
        return self._numbers[acceptor]


def sort_acceptors(state: State) -> State:
    """The state that stands for all those which differ from it by a swap of acceptors."""
    return (*state[:2], *sorted(state[2:]))
