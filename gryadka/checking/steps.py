"""The steps of the model: what an acceptor may answer, and what a proposer may do next.

What may live here: the steps, on plain records. What is decided at a step is asked of `Rules`; numbers and the
search know nothing of it (`model`). A proposer that holds a change does, in any order that its answers allow:

    prepare ── quorum of promises ──> propose ── quorum of accepts ──> end
       └── a round may be given up at any time, and a higher one begun; a caller may leave at any time

With the cache, a round that ended is followed by one that proposes at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import count, permutations, product
from typing import Literal, NamedTuple

from gryadka.checking.rules import (
    ACKNOWLEDGED,
    Attempt,
    Broken,
    Change,
    History,
    Memory,
    Outcome,
    Rules,
    is_prefix,
    unpack,
)
from gryadka.protocol.acceptor import (
    ZERO,
    Accept,
    Accepted,
    Ballot,
    Conflict,
    Message,
    Prepare,
    Promise,
    Reply,
    State,
)

REFUSED = Conflict(ZERO)  # stands for any refusal, whatever ballot it names

Answered = tuple[Message, Reply]
Places = tuple[int, ...]
Replies = tuple[Reply, ...]


class Cell(NamedTuple):
    """An acceptor, and, for each proposer, the answers to it that may still matter."""

    state: State
    answers: tuple[tuple[Answered, ...], ...]


class Slot(NamedTuple):
    """What one proposer may hear of one acceptor: `answers` to what it asks, and what it would refuse now."""

    answers: tuple[Answered, ...]
    refusals: tuple[tuple[Message, Conflict], ...] = ()


class Answer(NamedTuple):
    """A step of an acceptor: it answers `message`, and is then found in the state `after`.

    `crashed` says that `after` is not what the rule said; `back`, that the promise went back.
    """

    message: Message
    reply: Reply | None
    before: State
    after: State
    crashed: bool = False
    back: bool = False
    broken: str = ""


class Move(NamedTuple):
    """A step of a proposer. It uses `replies` of the acceptors at the places `heard`, to what it `asked`."""

    kind: Literal["prepare", "propose", "propose at once", "end", "leave", "cannot tell", "count up", "broken"]
    message: Message | None = None
    asked: Message | None = None
    heard: Places = ()
    replies: Replies = ()
    outcome: Outcome | None = None
    broken: str = ""

    @property
    def back(self) -> bool:
        """No promise goes back here."""
        return False


Moves = Iterator[tuple[Move, Memory]]


class Steps:
    """What may happen under these rules. `changes` are those of each proposer, numbered from 1."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.scope = rules.scope
        numbers = count(1)
        self.changes = [[Change(next(numbers), wish) for wish in wishes] for wishes in self.scope.wishes()]
        self._choices = cache(self._find_choices)
        self._unpack = cache(unpack)
        self._packed = cache(self._find_packed)

    # -- acceptors --

    def answers(self, cell: Cell, message: Message, asked: Message | None) -> list[tuple[Answer, Cell]]:
        """How this acceptor may answer `message`, whose proposer has `asked` last; it may also stay silent."""
        place = message.ballot.proposer - 1
        if not self.scope.duplicates and message in dict(cell.answers[place]):
            return []
        try:
            after, reply = self._ask(cell.state, message)
        except Broken as error:
            return [(Answer(message, None, cell.state, cell.state, broken=str(error)), cell)]
        answers = list(cell.answers)
        pair = (message, REFUSED if isinstance(reply, Conflict) else reply)
        if self._matters(asked, *pair) and pair not in answers[place]:
            answers[place] = (*answers[place], pair)
        found: dict[Cell, Answer] = {}
        for stored in self.rules.stored(cell.state, after):
            back = stored.promised < cell.state.promised
            answer = Answer(message, reply, cell.state, stored, crashed=stored != after, back=back)
            found.setdefault(Cell(stored, tuple(answers)), answer)
        return [(answer, left) for left, answer in found.items() if left != cell]

    def without(self, cell: Cell, proposer: int, asked: Message | None) -> Cell:
        """The cell without the answers that no longer matter to this proposer."""
        answers = list(cell.answers)
        answers[proposer] = tuple(pair for pair in answers[proposer] if self._matters(asked, *pair))
        return Cell(cell.state, tuple(answers))

    def slot(self, cell: Cell, proposer: int, me: Memory) -> Slot:
        """What this proposer may hear of this acceptor, refusals included."""
        answers = cell.answers[proposer]
        heard = me.sent if self.scope.duplicates else [message for message, reply in answers if reply == REFUSED]
        replies = [(message, self._ask(cell.state, message)[1]) for message in heard]
        return Slot(answers, tuple((message, reply) for message, reply in replies if isinstance(reply, Conflict)))

    def _ask(self, state: State, message: Message) -> tuple[State, Reply]:
        return self.rules.prepare(state, message) if isinstance(message, Prepare) else self.rules.accept(state, message)

    def _matters(self, asked: Message | None, message: Message, reply: Reply) -> bool:
        # Refusals matter only where a second answer to the same accept has to be told from the first.
        if isinstance(reply, Conflict) and (self.scope.duplicates or isinstance(message, Prepare)):
            return False
        return asked is not None and self.rules.counts(asked, message)

    # -- proposers --

    def moves(self, proposer: int, me: Memory, longest: History, slots: Sequence[Slot]) -> dict[Memory, Move]:
        """What this proposer may do, by what it knows afterwards. `longest` is the longest history shown so far.

        Raises `Broken` if a rule does.
        """
        found: dict[Memory, Move] = {}
        for moves in (
            self._end(proposer, me, slots),
            self._propose(proposer, me, slots),
            self._propose_at_once(proposer, me, longest, slots),
            self._prepare(proposer, me, longest, slots),
            self._leave(proposer, me),
            self._count_up(me, slots),
        ):
            for move, after in moves:
                found.setdefault(after, move)
        return found

    def _begin(self, proposer: int, me: Memory, longest: History) -> Memory | None:
        # The memory with a change to serve, or None when none is left.
        if me.waiting:
            return me
        if len(me.outcomes) == len(self.changes[proposer]):
            return None
        return me._replace(waiting=True, floor=longest)

    def _prepare(self, proposer: int, me: Memory, longest: History, slots: Sequence[Slot]) -> Moves:
        if not (begun := self._begin(proposer, me, longest)):
            return
        refusing = [place for place, slot in enumerate(slots) if me.asked in dict(slot.refusals)]
        lost = isinstance(me.asked, Accept)
        for refusals in range(1 + len(refusing) * lost):
            heard = tuple(refusing[:refusals])
            replies = tuple(dict(slots[place].refusals)[me.asked] for place in heard if me.asked)
            attempts = self.rules.after_lost_round(begun.attempts, refusals) if lost else begun.attempts
            for counter in self.rules.next_counters(me.counter):
                message = Prepare(Ballot(counter, proposer + 1))
                after = _asking(begun._replace(attempts=attempts, counter=counter), message)
                yield Move("prepare", message, me.asked, heard, replies), after

    def _propose(self, proposer: int, me: Memory, slots: Sequence[Slot]) -> Moves:
        if not isinstance(me.asked, Prepare) or not self.rules.serves(me.waiting):
            return
        last = next((message for message in reversed(me.sent) if isinstance(message, Accept)), None)
        tried = set()  # other quorums with the same promises lead to the same
        for heard, replies in self._quorums(me.asked, slots, self.rules.prepare_quorum()):
            promises = tuple(sorted([reply for reply in replies if isinstance(reply, Promise)], key=_in_order))
            if promises in tried:
                continue
            tried.add(promises)
            for seen in self._choices(promises, last):
                move = Move("propose", None, me.asked, heard, replies)
                yield from self._proposal(proposer, me, me.asked.ballot, seen, promises, move)

    def _propose_at_once(self, proposer: int, me: Memory, longest: History, slots: Sequence[Slot]) -> Moves:
        if not self.scope.cache or not (begun := self._begin(proposer, me, longest)):
            return
        said = [(place, self._granted(me.asked, slot)) for place, slot in enumerate(slots) if me.asked]
        heard = tuple(place for place, replies in said if replies)
        if accept := self.rules.cached(me, len(heard)):
            seen = Promise(accept.ballot, accept.value)
            move = Move("propose at once", None, me.asked, heard, (Accepted(),) * len(heard))
            yield from self._proposal(proposer, begun, accept.promise, seen, (), move)

    def _proposal(
        self, proposer: int, me: Memory, ballot: Ballot, seen: Promise, promises: Sequence[Promise], move: Move
    ) -> Moves:
        # What `Proposer._proposal` decides, and the accept that follows.
        history, lineage = self._unpack(seen.value)
        own = Ballot(lineage.get(str(ballot.proposer), 0), ballot.proposer)
        attempt = self.rules.recall(own, me.attempts)
        if attempt is None:
            if not self.rules.may_apply(lineage, me.attempts):
                outcome = Outcome(self.rules.give_up(me.attempts))
                yield move._replace(kind="cannot tell", outcome=outcome), self._over(proposer, me, outcome)
                return
            change = self.changes[proposer][len(me.outcomes) - (not me.waiting)]
            before, (history, outcome) = history, self.rules.apply(change, history)
            attempt = Attempt(ballot, outcome, history != before)
        if not self.rules.must_be_chosen(attempt.outcome, attempt.changes, promises):
            yield move._replace(kind="end", outcome=attempt.outcome), self._over(proposer, me, attempt.outcome)
            return
        stored = self._packed(history, seen.value, ballot)
        counters = list(self.rules.next_counters(me.counter)) if self.scope.cache else []
        for promise in [Ballot(counter, ballot.proposer) for counter in counters] or [ballot]:
            message = Accept(ballot, stored, promise)
            attempts = (*me.attempts, attempt._replace(ballot=ballot))
            after = me._replace(attempts=attempts, counter=max(me.counter, promise.counter))
            yield move._replace(message=message), _asking(after, message)

    def _end(self, proposer: int, me: Memory, slots: Sequence[Slot]) -> Moves:
        if me.waiting and isinstance(me.asked, Accept):
            for heard, replies in self._quorums(me.asked, slots, self.rules.accept_quorum()):
                outcome = me.attempts[-1].outcome
                yield Move("end", None, me.asked, heard, replies, outcome), self._over(proposer, me, outcome)
                return

    def _leave(self, proposer: int, me: Memory) -> Moves:
        if self.scope.deadlines and me.waiting:
            outcome = Outcome(self.rules.give_up(me.attempts))
            yield Move("leave", outcome=outcome), self._over(proposer, me, outcome)

    def _count_up(self, me: Memory, slots: Sequence[Slot]) -> Moves:
        for place, slot in enumerate(slots):
            for message, reply in slot.refusals:
                counter = self.rules.fast_forward(me.counter, reply.promised.counter)
                if counter != me.counter:
                    yield Move("count up", None, message, (place,), (reply,)), me._replace(counter=counter)

    def _over(self, proposer: int, me: Memory, outcome: Outcome) -> Memory:
        change, lost = self.changes[proposer][len(me.outcomes)], me.lost
        if outcome.ending in ACKNOWLEDGED and not is_prefix(me.floor, outcome.history):
            before, shown = list(me.floor), list(outcome.history)
            lost = f"{before} was acknowledged before change {change.number} began, and its caller was shown {shown}"
        elif outcome.ending == "applied" and change.wish != "read" and outcome.history[-1:] != (change.number,):
            lost = f"change {change.number} was acknowledged, and its caller was shown {list(outcome.history)}"
        outcomes = (*me.outcomes, outcome)
        left = len(outcomes) < len(self.changes[proposer])
        useful = self.rules.serves(False) if isinstance(me.asked, Prepare) else self.scope.cache and left
        asked = me.asked if useful else None
        return me._replace(waiting=False, asked=asked, attempts=(), floor=(), outcomes=outcomes, lost=lost)

    def _quorums(self, asked: Message, slots: Sequence[Slot], needed: int) -> Iterator[tuple[Places, Replies]]:
        # Every set of acceptors that may have been heard and is enough, with what they said.
        granted = [self._granted(asked, slot) for slot in slots]
        if self.rules.votes(sum(map(bool, granted))) < needed:
            return
        for said in product(*((None, *replies) for replies in granted)):
            if self.rules.votes(len(said) - said.count(None)) >= needed:
                heard = tuple([place for place, reply in enumerate(said) if reply is not None])
                yield heard, tuple([reply for reply in said if reply is not None])

    def _granted(self, asked: Message | None, slot: Slot) -> list[Reply]:
        if asked is None:
            return []
        yes = Promise if isinstance(asked, Prepare) else Accepted
        counted = [reply for message, reply in slot.answers if self.rules.counts(asked, message)]
        return [reply for reply in counted if isinstance(reply, yes)]

    def _find_packed(self, history: History, seen: str | None, ballot: Ballot) -> str:
        return self.rules.pack(history, self._unpack(seen)[1], ballot)

    def _find_choices(self, promises: tuple[Promise, ...], last: Accept | None) -> list[Promise]:
        # Answers arrive in any order, and a rule may depend on it.
        orders = dict.fromkeys(permutations(promises))
        return list(dict.fromkeys(self.rules.current(order, last) for order in orders))


def _in_order(promise: Promise) -> tuple[Ballot, str]:
    return promise.accepted, promise.value or ""


def _asking(me: Memory, message: Message) -> Memory:
    return me._replace(asked=message, sent=me.sent if message in me.sent else (*me.sent, message))
