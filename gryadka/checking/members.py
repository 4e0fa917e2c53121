"""A change of members as a model for `explore`: every run of a plan, with changes made in the midst of it.

What may live here: the states by numbers, and what must be true of them. What may happen is said in `members_steps`.
It is a description of its own, in the manner of `synod`: the acceptors of `gryadka.checking.model` are all alike,
and here each has its place in a plan. Plans are those that run in front of real servers (`gryadka.operations.plan`).

The change made at ballot `b` adds `b` to the history that the register holds; the coordinator's identity adds
nothing. So a lost change is a number that is missing.

What must be true: acknowledged histories form one chain; and in every state, whoever asks next, with a ballot above
all others and any configuration that is still served, goes on from what was acknowledged. That second question looks
one ballot ahead of those that are explored, and it sees a loss where it happens, not where somebody comes upon it.
What a reader was shown counts as acknowledged, and it is shown what was acknowledged before it began.

    model = Members("ABC ABCD", ballots=2)
    print(explore(model.model()))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations, pairwise

from gryadka.checking.explore import Model, Property
from gryadka.checking.members_state import Acceptor, History, Label, Report, Round, View, World, longest
from gryadka.checking.members_steps import Rules, Steps
from gryadka.checking.numbered import Numbered, Numbers, put
from gryadka.operations.plan import Plan, Step, make_plan
from gryadka.protocol.configuration import Configuration

ONE_CHAIN = "acknowledged changes form one chain"
FOUND = "whoever asks next finds what was acknowledged"
FRESH = "a reader is shown what was acknowledged before"
CHOSEN_AT_LAST = "the last members can acknowledge a change"

Known = tuple[int, int, bool]
"""Of one acceptor: its epoch, the ballot that it accepted last, and whether it knows a certain history."""


def planned(goals: str, *, copy: bool = True) -> Plan:
    """Return the plan through these goals, in which a letter is an acceptor: "ABC ABCD ABC" goes there and back.

    `copy` is as in `make_plan`. Raises `ConfigurationError` if there is no such plan.
    """
    first, *rest = goals.split() or [""]
    plan = Plan(Configuration.majority(first), ())
    for goal in rest:
        past = [past for _, _, past in plan.walk()][-1:]
        following = make_plan(plan.end, goal, past[0] if past else (), copy=copy)
        plan = Plan(plan.begin, (*plan.steps, *following.steps))
    return plan


class Members:
    """The model of one register while a plan is carried out.

    `plan` is the goals of `planned`, or a first configuration and steps, which are taken as they are, right or
    wrong. `ballots` is how many rounds there may be, of everybody together. With `cached_rounds` an accept may carry
    the promise of a later ballot; with `reader`, somebody reads without a write. Raises `ConfigurationError` if there
    is no such plan.
    """

    def __init__(
        self,
        plan: str | tuple[Configuration, Sequence[Step]],
        ballots: int = 2,
        *,
        cached_rounds: bool = False,
        reader: bool = False,
        copy: bool = True,
        rules: Rules | None = None,
        symmetric: bool = True,
    ) -> None:
        if isinstance(plan, str):
            made = planned(plan, copy=copy)
            plan = made.begin, made.steps
        self.rules = rules or Rules()
        self.steps = Steps(*plan, ballots, self.rules, cached_rounds=cached_rounds, reader=reader)
        places: dict[tuple[bool, ...], list[int]] = {}
        for place, name in enumerate(self.steps.names):
            places.setdefault(self.steps.role(name), []).append(place)
        # Acceptors in one group are interchangeable.
        self._groups = list(places.values()) if symmetric else [[place] for place in range(len(self.steps.names))]
        self._worlds: Numbered[World] = Numbered()
        self._cells: Numbered[Acceptor] = Numbered()
        self._views: Numbered[View] = Numbered()
        # Pure functions of a few numbers, asked again and again: each answer is worked out once.
        self._own = cache(self._find_own)
        self._proposals = cache(self._find_proposals)
        self._vote = cache(self._find_vote)
        self._without = cache(self._find_without)
        self._knows = cache(self._find_knows)
        self._chain = cache(self._find_chain)
        self._coordinated = cache(self._find_coordinated)
        self._unread = cache(self._find_unread)
        self._view = cache(self._find_view)
        self._missed = cache(self._find_missed)
        self._told = cache(self._find_told)
        self._acknowledged = cache(self._find_acknowledged)
        self._open = cache(self._find_open)
        self._is_over = cache(self._find_is_over)
        self._longest = cache(self._find_longest)
        world = self._worlds.number(World((Round(),) * (ballots + 1)))
        cell = self._cells.number(self.steps.fresh)
        self.initial = self._settled(world, [cell] * len(self.steps.names))

    def model(self, *, only_clients: bool = False) -> Model[Numbers, Label]:
        """For `explore`. With `only_clients`, only for what a client can see, which may take a ballot more."""
        wanted = [Property(ONE_CHAIN, self.one_chain)]
        if self.steps.reader:
            wanted.append(Property(FRESH, self.fresh))
        if not only_clients:
            wanted.append(Property(FOUND, self.found_by_the_next))
        return Model(
            initial=[self.initial],
            successors=self.successors,
            invariants=wanted,
            must_reach=[Property(CHOSEN_AT_LAST, self.chosen_at_last)],
            canonical=self.sort_acceptors,
        )

    # What may happen.

    def successors(self, state: Numbers) -> Iterator[tuple[Label, Numbers]]:
        """Every step that is possible."""
        world, cells = state[0], list(state[1:])
        latest = max(self._cells[cell].epoch for cell in cells)
        proposals = self._all_proposals(world, cells, latest)
        for group in self._groups:
            seen: set[int] = set()
            for place in group:
                cell = cells[place]
                if cell in seen:
                    continue
                seen.add(cell)
                for label, after, then in self._own(world, place, cell, latest):
                    yield label, self._settled(then, [*cells[:place], after, *cells[place + 1 :]])
                for label, then in proposals:
                    if (voted := self._vote(then, place, cell, label.ballot)) >= 0:
                        rest = [self._without(other, label.ballot) for other in cells]
                        rest[place] = self._without(voted, label.ballot)
                        yield label._replace(place=place), self._settled(then, rest)

    def _all_proposals(self, world: int, cells: Sequence[int], latest: int) -> list[tuple[Label, int]]:
        found = []
        for ballot in self.steps.ballots:
            promises = tuple(self._cells[cell].promises[ballot] for cell in cells)
            if any(promises):
                found += self._proposals(world, ballot, promises, latest)
        return found

    def _settled(self, number: int, cells: list[int]) -> Numbers:
        # Callers are told, and the coordinator goes on, as soon as they may.
        world = self._worlds[number]
        for ballot in self._open(number):
            epoch = world.rounds[ballot].sent_in or 0
            voted = sum(self._cells[cells[place]].votes[ballot] for place in self.steps.accept[epoch])
            if voted >= self.steps.configurations[epoch].accept.size:
                cells = [self._told(cell, ballot) for cell in cells]
                number = self._acknowledged(number, ballot)
        if self.steps.reader and self._worlds[number].reading:
            number, cells = self._answered(number, cells)
        if not self._is_over(number):
            number, left = self._coordinated(number, tuple([self._view(cell) for cell in cells]))
            if left:
                cells = [self._unread(cell) for cell in cells]
        return (number, *cells)

    def _answered(self, number: int, cells: list[int]) -> tuple[int, list[int]]:
        world = self._worlds[number]
        after = self.steps.answered(world, [self._cells[cell].shown for cell in cells])
        if after is world:
            return number, cells
        return self._worlds.number(after), [
            self._cells.number(self._cells[cell]._replace(shown=None)) for cell in cells
        ]

    def _find_coordinated(self, number: int, seen: Numbers) -> tuple[int, bool]:
        # The world once the coordinator has gone as far as it can, and whether it left the step that it was in.
        world, acceptors = self._worlds[number], [self._views[view] for view in seen]
        begun = world.done
        while True:
            world = self.steps.copying(world, acceptors)
            if not self.steps.is_done(world, acceptors):
                return self._worlds.number(world), world.done > begun
            world = world._replace(done=world.done + 1, copied=(), differ=False)
            acceptors = [view._replace(read=None) for view in acceptors]

    def _find_view(self, cell: int) -> int:
        return self._views.number(View(self._cells[cell].epoch, self._cells[cell].read))

    def _find_unread(self, number: int) -> int:
        return self._cells.number(self._cells[number]._replace(read=None))

    # Answers that are worked out once.

    def _find_own(self, number: int, place: int, cell: int, latest: int) -> list[tuple[Label, int, int]]:
        steps = self.steps.own(self._worlds[number], place, self._cells[cell], latest)
        return [(label, self._cells.number(after), self._worlds.number(world)) for label, after, world in steps]

    def _find_proposals(
        self, number: int, ballot: int, promises: tuple[Report | None, ...], latest: int
    ) -> list[tuple[Label, int]]:
        sent = self.steps.proposals(self._worlds[number], ballot, promises, latest)
        return [(label, self._worlds.number(world)) for label, world in sent]

    def _find_vote(self, number: int, place: int, cell: int, ballot: int) -> int:
        voted = self.steps.vote(self._worlds[number], place, self._cells[cell], ballot)
        return -1 if voted is None else self._cells.number(voted)

    def _find_without(self, number: int, ballot: int) -> int:
        # Nobody waits for promises any more once the accept was sent.
        cell = self._cells[number]
        return self._cells.number(cell._replace(promises=put(cell.promises, ballot, None)))

    def _find_told(self, number: int, ballot: int) -> int:
        # Nor for votes once the caller was told.
        cell = self._cells[number]
        return self._cells.number(cell._replace(votes=put(cell.votes, ballot, False)))

    def _find_acknowledged(self, number: int, ballot: int) -> int:
        world = self._worlds[number]
        told = world.rounds[ballot]._replace(acknowledged=True)
        return self._worlds.number(world._replace(rounds=put(world.rounds, ballot, told)))

    def _find_open(self, number: int) -> list[int]:
        rounds = self._worlds[number].rounds
        return [
            ballot
            for ballot in self.steps.ballots
            if rounds[ballot].sent_in is not None and not rounds[ballot].acknowledged
        ]

    def _find_is_over(self, number: int) -> bool:
        return self.steps.present(self._worlds[number]) is None

    # What must be true.

    def one_chain(self, state: Numbers) -> bool:
        """Of any two acknowledged histories the one begins the other, that of the lower ballot."""
        return self._chain(state[0])

    def found_by_the_next(self, state: Numbers) -> bool:
        """No quorum that would still promise and no quorum that would still accept can do without what is known."""
        return self.missed(state) is None

    def fresh(self, state: Numbers) -> bool:
        """What the reader was shown goes on from what was acknowledged when it began."""
        reading = self.world(state).reading
        return reading is None or reading.value is None or reading.value[: len(reading.begun)] == reading.begun

    def missed(self, state: Numbers) -> tuple[int, tuple[int, ...]] | None:
        """Return an epoch and a prepare quorum (places) that would go on without an acknowledged history, since none
        of it knows that, or somebody holds something else with a higher ballot; None if there is no such quorum."""
        history = self._longest(state[0])
        return self._missed(tuple([self._knows(cell, history) for cell in state[1:]])) if history else None

    def _find_knows(self, cell: int, history: History) -> Known:
        acceptor = self._cells[cell]
        return acceptor.epoch, acceptor.held.accepted, acceptor.held.value[: len(history)] == history

    def _find_missed(self, known: tuple[Known, ...]) -> tuple[int, Numbers] | None:
        for epoch in range(1 + max(own for own, *_ in known)):
            configuration = self.steps.configurations[epoch]
            serve = {place for place, (own, *_) in enumerate(known) if not self.rules.refuses(own, epoch)}
            if len(serve & set(self.steps.accept[epoch])) < configuration.accept.size:
                continue
            asked = [place for place in self.steps.prepare[epoch] if place in serve]
            for latest in asked:
                _, ballot, knows = known[latest]
                rest = [place for place in asked if place != latest and known[place][1] <= ballot]
                if not knows and len(rest) + 1 >= configuration.prepare.size:
                    return epoch, tuple(sorted([latest, *rest[: configuration.prepare.size - 1]]))
        return None

    def chosen_at_last(self, state: Numbers) -> bool:
        """A change was acknowledged by a quorum of the last configuration."""
        last = len(self.steps.configurations) - 1
        return any(
            round.acknowledged and round.sent_in == last and round.kind != "identity"
            for round in self.world(state).rounds
        )

    def _find_longest(self, number: int) -> History:
        return longest(self._worlds[number])

    def _find_chain(self, number: int) -> bool:
        told = [round.value for round in self._worlds[number].rounds if round.acknowledged]
        in_order = all(later[: len(one)] == one for one, later in combinations(told, 2))
        by_length = sorted(self._worlds[number].known, key=len)
        return in_order and all(later[: len(one)] == one for one, later in pairwise(by_length))

    # How a state is put together.

    def world(self, state: Numbers) -> World:
        return self._worlds[state[0]]

    def acceptors(self, state: Numbers) -> list[Acceptor]:
        return [self._cells[cell] for cell in state[1:]]

    def sort_acceptors(self, state: Numbers) -> Numbers:
        """The state that stands for all those which differ from it by a swap of interchangeable acceptors."""
        cells = list(state[1:])
        for group in self._groups:
            for place, cell in zip(group, sorted(cells[place] for place in group), strict=True):
                cells[place] = cell
        return (state[0], *cells)
