"""The proposer: `await proposer.change(key, f)`, and nothing else that changes a register.

This is the only driver of rounds. It owns what the pure rules leave out: chance, time, the queue of each
register, and the cache that saves a round trip. What it has to get right:

1. A ballot is used once. The counter only grows, past every ballot it meets or gives away, and a
   proposer's id is its own: a new `Proposer` is a new id.
2. Once an accept was sent, it may take effect at any later time, whoever refused it. So its change is
   never repeated blindly; see `_proposal`.
3. Changes that wait for one register share a round, and each caller still gets its own outcome.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Self

from gryadka.acceptors import Acceptor
from gryadka.acceptors.observed import tell
from gryadka.errors import UNREADABLE, ChangeRejected, ConfigurationError, NotApplied, OutcomeUnknown, unreadable
from gryadka.protocol.acceptor import MAX_COUNTER, Ballot, Conflict, Message, Read, Reply
from gryadka.protocol.configuration import Configuration
from gryadka.protocol.round import Round, Status
from gryadka.protocol.value import Value, decode, encode, pack, reaches_below, unpack
from gryadka.reads import QuorumRead
from gryadka.trace import Event, Kind, Observe, answered

CACHE_SIZE = 10_000

Change = Callable[[Value], Value]
"""From a register's value to its next one. Pure: it may run more than once."""


@dataclass(eq=False)
class _Caller:
    """One waiting call of `change`."""

    f: Change
    outcome: asyncio.Future[str | BaseException]
    sent: bool = False  # an accept that carries this change's effect was sent
    problem: Exception | str = "no quorum answered in time"

    def end(self, outcome: str | BaseException) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def give_up(self) -> None:
        if self.sent:
            self.problem = OutcomeUnknown(f"perhaps applied, perhaps not; a change to itself tells ({self.problem})")
        elif not isinstance(self.problem, ConfigurationError):
            self.problem = NotApplied(f"not applied, safe to repeat ({self.problem})")
        self.end(self.problem)


# What each caller of a group gets, a JSON text or what to raise, once the accept that brings it is chosen.
_Outcomes = list[tuple[_Caller, str | BaseException]]

# A register's key, what is asked of it, in which round, and what ends the wait for a quorum of answers.
_Letter = tuple[str, Message | Read, Round, asyncio.Future[None]]


@dataclass(eq=False)
class Proposer(AbstractAsyncContextManager["Proposer"]):
    """Changes registers on a set of acceptors. Any number of proposers may work side by side.

    `acceptors` maps each name in `configuration` to an acceptor. A change may take `timeout_s` seconds
    unless its call says otherwise; after a lost round it pauses for a random time that grows from the first
    to the second of `pause_s`. `rng` decides the pauses. `id` is an integer above 0 and below 2**53 that no
    proposer ever had, not even this one before a restart: leave it out. `observe` is called with each event;
    what it raises is reported by the event loop. A proposer belongs to one event loop and one process.
    """

    configuration: Configuration
    acceptors: Mapping[str, Acceptor]
    _: KW_ONLY
    timeout_s: float = 5.0
    pause_s: tuple[float, float] = (0.002, 0.5)
    rng: random.Random = field(default_factory=random.SystemRandom)
    id: int = field(default_factory=lambda: random.SystemRandom().randrange(1, MAX_COUNTER))
    observe: Observe | None = None

    def __post_init__(self) -> None:
        if missing := set(self.configuration.prepare.members + self.configuration.accept.members) - set(self.acceptors):
            raise ConfigurationError(f"the configuration names acceptors that were not given: {sorted(missing)}")
        if not isinstance(self.id, int) or not 0 < self.id <= MAX_COUNTER:
            raise ConfigurationError(f"an id lies between 0, which lineages use, and 2**53; {self.id} does not")
        self._counter = self._begun = 0
        self._cache: dict[str, Round] = {}  # key -> the last round chosen, whose accepts promised the next
        self._queues: dict[str, list[_Caller]] = {}  # key -> who waits, while a task serves that register
        self._outboxes: dict[str, list[_Letter]] = {}  # acceptor -> what this turn of the loop asks of it
        self._tasks: dict[asyncio.Task[None], None] = {}  # a set that keeps its order
        self._home: object = (os.getpid(), None)  # its process, and the event loop that it works in

    @classmethod
    def from_urls(cls, urls: Iterable[str], *, namespace: str = "gryadka", **options: object) -> Self:
        """Return a proposer whose acceptors are the Redis servers at these URLs, with majorities.

        `options` are those of `Proposer`. Nothing is sent before the first change.
        """
        from gryadka.acceptors.identity import redis_proposer

        return redis_proposer(cls, urls, namespace=namespace, **options)

    async def change(self, key: str, f: Change, *, timeout_s: float | None = None) -> Value:
        """Replace the value of `key` by `f(value)`, and return what is now stored.

        `f` gets its own copy of the value (None if there is none) and returns the next one, as JSON can
        hold it. It may run more than once, so it must be pure; only what it returns counts. Changes of
        one key wait for each other, and those that wait together share one round.

        Raises:
            ChangeRejected: `f` raised it. Its `value` was chosen: the refusal is as good as a read.
            NotApplied: no effect, now or later. Safe to repeat.
            OutcomeUnknown: the effect may be there, or come. Read by `change(key, lambda value: value)`, then decide.
            TypeError, ValueError, RecursionError: `f` is not a plain function, or returned what JSON cannot hold.
            ConfigurationError: nothing was sent; the message says what to mend.
            Whatever else `f` raises: the value stays as it is, and was chosen.
        """
        loop = self._at_home(key)
        caller = _Caller(f, loop.create_future())
        deadline = loop.call_later(self.timeout_s if timeout_s is None else timeout_s, caller.give_up)
        caller.outcome.add_done_callback(lambda _: deadline.cancel())
        number = self._begun = self._begun + 1
        self._tell("change-begun", key=key, change=number)
        if key not in self._queues:
            self._queues[key] = []
            self._spawn(self._serve(key))
        self._queues[key].append(caller)
        outcome = await caller.outcome
        note = "applied" if isinstance(outcome, str) else type(outcome).__name__
        self._tell("change-ended", key=key, change=number, note=note)
        if isinstance(outcome, BaseException):
            raise outcome
        return decode(outcome)

    async def read(self, key: str, *, timeout_s: float | None = None) -> Value:
        """Return the value of `key`: in one round trip that writes nothing if the acceptors agree (see
        `gryadka.reads`), else by a change to itself, which may raise what `change` raises.

        It settles nothing: a change whose outcome is unknown may still come after a read that did not see it.
        `timeout_s` is for that change to itself; before it, the question waits as long as acceptors may take to answer.
        """
        round = QuorumRead(self.configuration)
        self._at_home(key)
        # A task of the proposer's own, which ends with it.
        await asyncio.gather(self._spawn(self._ask(key, round)), return_exceptions=True)
        with suppress(*UNREADABLE):  # of what no proposer stored: the change will say so
            if round.status is Status.REACHED and round.configuration is self.configuration:
                return decode(unpack(round.latest.value)[0])
        return await self.change(key, lambda value: value, timeout_s=timeout_s)

    def reconfigure(self, configuration: Configuration, acceptors: Mapping[str, Acceptor]) -> None:
        """Work with these from now on. A round that is under way ends as if its replies were lost."""
        old, self.configuration, self.acceptors = self.acceptors, configuration, acceptors
        self._cache, self._outboxes = {}, {}
        for acceptor in old.values():
            self._spawn(acceptor.close())

    async def close(self) -> None:
        """End all work and let go of the acceptors. Changes under way end as not applied or unknown."""
        self._home = "closed"
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for caller in [caller for queue in self._queues.values() for caller in queue]:  # whose task had not begun
            caller.give_up()
        await asyncio.gather(*(acceptor.close() for acceptor in self.acceptors.values()))

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- one register's queue ------------------------------------------------------------------------

    async def _serve(self, key: str) -> None:
        # Serves whoever waits for this register, group by group. Its own task: a caller that is cancelled
        # must not take the others' round with it.
        queue = self._queues[key]
        try:
            while queue:
                group, queue[:] = queue[:], []
                await self._settle(key, group)
        finally:
            for caller in self._queues.pop(key):
                caller.give_up()

    async def _settle(self, key: str, everyone: list[_Caller]) -> None:
        # Runs rounds until these changes are chosen, or nobody waits for them any more.
        sent: dict[Ballot, _Outcomes] = {}  # ballot -> what this group's accept at it would bring
        pause_s, longest_s = self.pause_s
        try:
            while group := [caller for caller in everyone if not caller.outcome.done()]:
                round = await self._prepared(key)
                if round.status is Status.REACHED and round.configuration is self.configuration:
                    promise = self._next_ballot()
                    stored, outcomes = self._proposal(round, sent, group)
                    if not outcomes:
                        return
                    sent[round.ballot] = outcomes
                    round.propose(stored, promise)
                    await self._ask(key, round)
                    if round.status is Status.REACHED:
                        self._cache[key] = round
                        if len(self._cache) > CACHE_SIZE:
                            del self._cache[next(iter(self._cache))]
                        for caller, outcome in outcomes:
                            caller.end(outcome)
                        return
                for caller in group:
                    caller.problem = round.problem()
                # Past the ballots that others use during the pause, or whoever needs no pause wins for ever.
                self._counter += int(4000 * pause_s)
                await asyncio.sleep(self.rng.uniform(0, pause_s))
                pause_s = min(2 * pause_s, longest_s)
        except (ConfigurationError, *UNREADABLE) as error:  # repeating cannot mend it
            for caller in everyone:
                caller.problem = error if isinstance(error, ConfigurationError) else unreadable(key, error)
        finally:
            for caller in everyone:
                caller.give_up()

    def _proposal(self, round: Round, sent: dict[Ballot, _Outcomes], group: list[_Caller]) -> tuple[str, _Outcomes]:
        # What may this round propose, while earlier accepts of this group may still be under way? Conflicts
        # say nothing about them. The lineage of the state does: an accept of ours that was chosen is part of
        # it, and one that is not part of it never will be, once a value without it is chosen above it.
        text, lineage = unpack(round.current().value)
        # What our latest accept in that line brings. If there is any: choose the state again, and apply nothing.
        outcomes = sent.get(Ballot(lineage.get(str(self.id), 0), self.id), [])
        if not outcomes and (not any(caller.sent for caller in group) or reaches_below(lineage, min(sent))):
            text, outcomes = _apply(text, group)
        return pack(text, lineage, round.ballot), outcomes  # none: nobody can tell, or nothing can be stored

    # -- rounds --------------------------------------------------------------------------------------

    async def _prepared(self, key: str) -> Round:
        # The cached round is taken out before it is used: its promised ballot serves one value only.
        cached = self._cache.pop(key, None)
        if cached and (following := cached.successor()):
            return following
        round = Round(self.configuration, self._next_ballot())
        await self._ask(key, round)
        return round

    def _next_ballot(self) -> Ballot:
        if self._counter >= MAX_COUNTER:
            raise ConfigurationError("the ballot counter has reached 2**53; these registers need a new namespace")
        self._counter += 1
        return Ballot(self._counter, self.id)

    async def _ask(self, key: str, round: Round) -> None:
        # Sends the round's message and waits until its quorum is reached or missed.
        done = asyncio.get_running_loop().create_future()
        for name in round.quorum.members:
            outbox = self._outboxes.setdefault(name, [])
            if not outbox:  # one delivery for all that is asked of this acceptor in this turn of the loop
                self._spawn(self._deliver(name, self.acceptors[name], outbox))
            outbox.append((key, round.message, round, done))
            self._tell("sent", key=key, peer=name, message=round.message)
        await done

    async def _deliver(self, name: str, acceptor: Acceptor, outbox: list[_Letter]) -> None:
        letters, outbox[:] = outbox[:], []
        try:
            self._hear(name, letters, await acceptor.send([letter[:2] for letter in letters]))
        except (Exception, asyncio.CancelledError) as error:
            if self._home != "closed":  # whatever goes wrong there is that acceptor's fault: the others go on
                self._hear(name, letters, [error.with_traceback(None)] * len(letters))  # which keeps rounds alive

    def _hear(self, name: str, letters: list[_Letter], replies: Sequence[Reply | BaseException]) -> None:
        for (key, message, round, done), reply in list(zip(letters, replies, strict=True)):
            if self.observe:  # asked here, too: the commonest event costs nothing when nobody looks
                self._tell(key=key, peer=name, message=message, **answered(reply))
            if isinstance(reply, Conflict):
                # `max`, never assignment: a late conflict must not turn the counter back.
                self._counter = max(self._counter, reply.promised.counter)
            round.receive(name, message, reply)
            if isinstance(reply, ConfigurationError) and not done.done():
                done.set_exception(reply)
            elif round.status is not Status.WAITING and not done.done():
                done.set_result(None)

    # -- small print ---------------------------------------------------------------------------------

    def _at_home(self, key: str) -> asyncio.AbstractEventLoop:
        str.encode(key)  # a key is any text that UTF-8 can hold
        loop = asyncio.get_running_loop()
        if self._home not in ((pid := os.getpid(), None), (pid, loop)):
            raise ConfigurationError("this proposer is closed, or another process's or loop's: make a new one")
        self._home = (pid, loop)
        return loop

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.Task(work)  # whatever the loop's task factory does: it has to begin later, not at once
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    def _tell(self, kind: Kind, **parts: Any) -> None:
        if self.observe:
            tell(self.observe, Event(kind, asyncio.get_running_loop().time(), f"proposer-{self.id}", **parts))


def _apply(text: str, group: Iterable[_Caller]) -> tuple[str, _Outcomes]:
    # Runs the group's functions one after the other, each on a fresh copy of what the one before it left.
    outcomes: _Outcomes = []
    for caller in [caller for caller in group if not caller.outcome.done()]:  # some may have left meanwhile
        argument = decode(text)
        try:
            result = caller.f(argument)
        except BaseException as error:
            # Any exception tells of the state, so it is raised only once that state is chosen.
            if isinstance(error, ChangeRejected):
                error.value = decode(text)
            outcomes.append((caller, error))
            continue
        try:
            after = _encode_result(result, argument, text)
        except (TypeError, ValueError, RecursionError) as error:
            # It sends nothing; but what an earlier attempt has sent must not take effect after the caller was told.
            outcomes.append((caller, error)) if caller.sent else caller.end(error)
            continue
        caller.sent = caller.sent or after != text
        outcomes.append((caller, after))
        text = after
    return text, outcomes


def _encode_result(result: Value, argument: Value, before: str) -> str:
    if isinstance(result, Coroutine):
        result.close()
        raise TypeError("the change function is async; it has to be a plain function that returns the new value")
    if result is None and argument != decode(before):
        raise TypeError("the change function changed its argument and returned None; return the new value instead")
    return encode(result)
