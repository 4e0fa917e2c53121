"""Lesson 09: the plan by which a learner replaces a dead server, judged by its quorums and then by a simulated cluster.

What may live here: reading such a plan, judging it, and handing it to the coordinator of real servers. What a plan has
to keep is decided in `gryadka.operations.plan`.

The cluster is A, B and C; C is dead; D is an empty server that runs. A plan is text, a step a line:

    start D        # give it an identity of this cluster
    adopt A B D    # majorities of these are the quorums from now on
    rescan         # choose every record again
    copy to D      # or bring it what a quorum of the others holds
    stop C         # let go of it

The theory in a few lines. Neighbours have to meet, since proposers may work with either; and whoever prepares has to
meet each quorum that may have accepted a record last (`gryadka.operations.plan`, rules a and b). A plan that breaks a
rule is shown with the shortest run in which clients lose something by it; one that keeps both is carried out in the
simulator, among clients, with C dead all the time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from string import ascii_uppercase

from gryadka.acceptors import Acceptor, state_of
from gryadka.acceptors.memory import MemoryAcceptor
from gryadka.checking.explore import Budget, Violation, explore
from gryadka.checking.members import Members
from gryadka.checking.members_words import events, tell
from gryadka.course.checking import Unfinished
from gryadka.course.finding import Finding
from gryadka.course.story import with_rule
from gryadka.errors import AcceptorError, ConfigurationError, GryadkaError, NotApplied, OutcomeUnknown, QuorumsMiss
from gryadka.operations.plan import Adopt, Copy, Past, Plan, Rescan, Start, Step, Stop, members
from gryadka.proposer import Proposer
from gryadka.protocol.acceptor import State
from gryadka.protocol.configuration import Configuration
from gryadka.protocol.value import Value
from gryadka.simulation import plan as drawn
from gryadka.simulation.loop import run
from gryadka.simulation.members import Coordinator, Member
from gryadka.simulation.network import InForce, Link, Network
from gryadka.simulation.scenarios import Weather

BEGIN, DEAD, GOAL = "ABC", "C", "ABD"
NAMES = {name: name for name in "ABCD"}

EXAMPLE = """
start D
adopt A B C D
rescan
adopt A B D
stop C
"""
"""What the lesson goes on with while the learner's own is unfinished."""

ENOUGH = Budget(max_states=300_000)
SEEDS = range(10)
KEYS = tuple(f"quiet {number}" for number in range(12))  # written once, before anything changes
CLIENTS = 4
LOSSY = Weather(loss=0.05, late=0.02)
PATIENCE_S = 30.0  # of virtual time
MAX_STEPS = 400_000


class NotAStep(GryadkaError):
    """A line of a plan cannot be read; the message says which, and how a step looks."""


def read(plan: str | Sequence[str], names: Mapping[str, str] = NAMES) -> list[Step]:
    """Return the steps of a plan, with these names in place of its letters. What follows a # is left out.

    Raises `Unfinished` for a skeleton, `NotAStep` for a line that is none.
    """
    text = "\n".join(map(str, plan)) if isinstance(plan, list | tuple) else plan
    if not isinstance(text, str):
        raise NotAStep(f"a plan is text, a step a line, such as 'start D', not {plan!r}")
    if "your turn" in text or not text.strip():
        raise Unfinished("your plan")
    steps: list[Step] = []
    for line in re.split(r"[\n;]", re.sub(r"#.*", "", text)):
        verb, _, rest = line.strip().partition(" ")
        letters = re.sub(r"\b(to|and|on|all|every|records?)\b|[\s,:{}]", "", rest, flags=re.I).upper()
        if verb:
            steps.append(_step(len(steps) + 1, line.strip(), verb.lower(), letters, names))
    return steps


def _step(number: int, line: str, verb: str, letters: str, names: Mapping[str, str]) -> Step:
    unknown = [letter for letter in letters if letter not in names]
    if unknown and verb in ("start", "stop", "copy", "adopt"):
        raise NotAStep(f"step {number} is {line!r}, but nobody is called {unknown[0]!r}; there are A, B, C and D")
    found = [names[letter] for letter in letters if letter in names]
    match verb, len(letters):
        case "start", 1:
            return Start(found[0])
        case "stop", 1:
            return Stop(found[0])
        case "rescan", 0:
            return Rescan()
        case "copy", 1:
            return Copy(tuple(found))
        case "adopt", count if count:
            try:
                return Adopt(Configuration.majority(found))
            except ConfigurationError as error:
                raise NotAStep(f"step {number}, {line}: {error}") from None
    raise NotAStep(
        f"step {number} is {line!r}; a step looks like one of these, without a number: "
        "start D, adopt A B D, rescan, copy to D, stop C"
    )


def as_written(plan: str) -> Callable[..., Plan]:
    """Return what `change_members` takes as `make`: it makes this plan, whichever servers are A, B, C and D.

    C is the member that leaves, D the one that comes. Raises `Unfinished` and `NotAStep`.
    """
    read(plan)

    def make(begin: Configuration, names: Iterable[str], past: Sequence[Past] = (), *, copy: bool = True) -> Plan:
        old, new = members(begin), set(names)
        leave, come, stay = old - new, new - old, sorted(old & new)
        if (len(stay), len(leave), len(come)) != (2, 1, 1):
            raise ConfigurationError("this plan replaces one of three servers")
        named = dict(zip("ABCD", [*stay, *leave, *come], strict=True))
        return Plan(begin, tuple(read(plan, named)), tuple(past))

    return make


def told(steps: Iterable[str], names: Sequence[str]) -> str:
    """Return a coordinator's steps, a line each, with the letters A, B, C... for these names."""
    lines = []
    for step in steps:
        for letter, name in zip(ascii_uppercase, names, strict=False):
            step = step.replace(name, letter)
        lines.append(re.sub(r"(?<= of ).*", lambda found: ", ".join(sorted(found[0].split(", "))), step))
    return "\n".join(lines)


# -- judging ---------------------------------------------------------------------------------------------


def judge(plan: str | Sequence[str]) -> Finding:
    """Say whether this plan replaces C by D and loses nothing. Raises `Unfinished`."""
    try:
        steps = read(plan)
    except NotAStep as error:
        return Finding(why=str(error))
    begin = Configuration.majority(BEGIN)
    if fault := _useless(steps):
        return Finding(why=fault)
    try:
        whole = Plan(begin, tuple(steps))
    except QuorumsMiss as error:
        return _with_a_run(str(error), begin, steps)
    except ConfigurationError as error:  # nobody could take that step, so there is no run to be shown
        return Finding(why=str(error))
    if members(whole.end) != frozenset(GOAL):
        now = ", ".join(sorted(members(whole.end)))
        return Finding(why=f"in the end the members are {now}; they should be {', '.join(GOAL)}")
    return simulated(whole)


def _useless(steps: Sequence[Step]) -> str:
    # What the rules do not forbid, but nobody can carry out, or should not.
    for number, step in enumerate(steps, start=1):
        if isinstance(step, Start) and step.name in BEGIN:
            empty = "an empty server under its name would have forgotten what it promised"
            return f"step {number}, {step}: {step.name} is a member, and {empty}"
        if isinstance(step, Adopt):
            for quorum in (step.configuration.prepare, step.configuration.accept):
                if quorum.lost_without({DEAD}):
                    return f"step {number}, {step}: that takes {DEAD}, which is dead, so nothing could be chosen"
    return ""


def _with_a_run(why: str, begin: Configuration, steps: Sequence[Step]) -> Finding:
    # The shortest run in which two clients are told what does not fit together, if there is one.
    model = Members((begin, steps), 2)
    verdict = explore(model.model(only_clients=True), budget=ENOUGH)
    if not isinstance(verdict, Violation) or not verdict.trace:
        return Finding(why=why)
    told = tuple(with_rule(step.words, step.should) for step in tell(model, verdict.trace))
    return Finding(why=why, steps=told, events=tuple(events(model, verdict.trace)))


def simulated(plan: Plan, seeds: Iterable[int] = SEEDS) -> Finding:
    """Carry it out in the simulator, among clients and while packets get lost; say what came of it."""
    acknowledged, longest_s, runs = 0, 0.0, 0
    for seed in seeds:
        night = Replacement(plan, seed)
        run(night.run(), max_steps=MAX_STEPS)
        if night.why:
            return Finding(why=f"in the simulated run {seed}: {night.why}")
        acknowledged, runs = acknowledged + len(night.acknowledged_s), runs + 1
        longest_s = max(longest_s, night.longest_gap_s)
    adopted = sum(isinstance(step, Adopt) for step in plan.steps)
    met = f"all quorums of {1 + adopted} configurations that have to meet"
    gap = f"the longest gap between two took {1000 * longest_s:.0f} ms of the simulator's time"
    work = f"{acknowledged:,} changes acknowledged meanwhile, none lost; {gap}"
    return Finding(covered=f"{met}; {runs} simulated runs with {DEAD} dead, and later each of the others: {work}")


class Replacement:
    """One simulated run: A, B and C hold records, C dies, the plan is carried out while clients go on.

    Then A, B and D each die for a while, and every record is looked up. `why` says what was wrong, "" if nothing.
    """

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan, self.seed = plan, seed
        self.why = ""
        self.acknowledged_s: list[float] = []
        self._counts = dict.fromkeys(range(CLIENTS), 0)
        self._over = False
        self._epochs = 0

    @property
    def longest_gap_s(self) -> float:
        """The longest time without an acknowledged change while the plan was carried out."""
        return max((after - before for before, after in pairwise(self.acknowledged_s)), default=0.0)

    async def run(self) -> None:
        """Let it happen, in the simulator's loop."""
        loop = asyncio.get_running_loop()
        scenario_fates = drawn.DrawnFates(LOSSY, drawn.stream(self.seed, "network"))
        self.network = Network(loop, {name: MemoryAcceptor(name) for name in NAMES}, scenario_fates)
        proposers = [self._proposer(number) for number in (1, 2)]
        for number, key in enumerate(KEYS):
            await _patiently(proposers[0], key, partial(_become, number))
        self.network.crash(DEAD)
        clients = [loop.create_task(self._client(number, proposers[number % 2])) for number in self._counts]
        coordinator = loop.create_task(self._carry_out())
        done, _ = await asyncio.wait([coordinator], timeout=PATIENCE_S)
        self._over = True
        await asyncio.gather(*clients)
        if not done:
            coordinator.cancel()
            self.why = f"after {PATIENCE_S:g} s the plan was not carried out"
            return
        for name in GOAL:
            await self._look(name, proposers[0])

    async def _client(self, number: int, proposer: Proposer) -> None:
        while not self._over:
            if await _patiently(proposer, f"count {number}", lambda value: (value or 0) + 1, once=True):
                self._counts[number] += 1
                self.acknowledged_s.append(asyncio.get_running_loop().time())

    async def _look(self, dead: str, proposer: Proposer) -> None:
        self.network.crash(dead)
        for number, key in enumerate(KEYS):
            found = await _patiently(proposer, key, lambda value: value)
            if found != [number]:
                self.why = self.why or f"{key} was {number}, and is {found[0]!r} while {dead} is down"
        for number, count in self._counts.items():
            (found_count,) = await _patiently(proposer, f"count {number}", lambda value: value or 0)
            if found_count < count:
                self.why = self.why or f"{count} were counted, and {found_count} are there while {dead} is down"
        self.network.restart(dead)

    async def _carry_out(self) -> None:
        def links(epoch: int) -> dict[str, Link]:
            return self.network.links("M1", "coordinator", 0.03, epoch)

        def proposer(configuration: Configuration, acceptors: Mapping[str, Acceptor]) -> Proposer:
            self._epochs += 1
            return _new(10 + self._epochs, self.seed, configuration, acceptors)

        await _Steps(links, proposer, [*KEYS, *(f"count {number}" for number in self._counts)]).carry_out(self.plan)

    def _proposer(self, number: int) -> Proposer:
        epoch = 0

        def links() -> dict[str, Link]:
            found = self.network.links(f"P{number}", f"proposer-{number}", 0.03, epoch)
            for link in found.values():
                link.follow = follow
            return found

        def follow(told: InForce) -> None:
            nonlocal epoch
            if told.epoch > epoch:
                epoch = told.epoch
                proposer.reconfigure(told.configuration, links())

        proposer = _new(number, self.seed, Configuration.majority(BEGIN), links())
        return proposer


class _Steps(Coordinator):
    """The simulator's coordinator, with a plan of the learner's instead of one that it makes."""

    async def carry_out(self, plan: Plan) -> None:
        current = plan.begin
        for step, following, _ in plan.walk():
            if isinstance(step, Adopt):
                await self._adopt(current, following)
            elif isinstance(step, Rescan | Copy):
                await self._bring(current, step.to if isinstance(step, Copy) else ())
            current = following

    async def _read(self, current: Configuration, links: Mapping[str, Member], key: str) -> dict[str, State]:
        # From a quorum of those that answer. Who has not adopted the configuration yet might accept, once it was
        # read, what comes late from an older one.
        found: dict[str, State] = {}
        while not current.prepare.met_by(found):
            for name in current.prepare.members:
                with suppress(AcceptorError):
                    await links[name].adopt(self._epoch, current)
                    found[name] = await state_of(links[name], key)
        return found


def _new(number: int, seed: int, configuration: Configuration, acceptors: Mapping[str, Acceptor]) -> Proposer:
    rng = drawn.stream(seed, f"proposer {number}")
    return Proposer(configuration, acceptors, timeout_s=0.15, pause_s=(0.002, 0.05), rng=rng, id=number)


def _become(number: int, _: Value) -> Value:
    return number


async def _patiently(
    proposer: Proposer, key: str, change: Callable[[Value], Value], *, once: bool = False
) -> list[Value]:
    # The value, in a list; with `once`, an empty list if the change got no answer.
    while True:
        try:
            return [await proposer.change(key, change)]
        except (NotApplied, OutcomeUnknown):
            if once:
                return []
