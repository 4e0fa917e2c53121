"""One wrong `accept`, and three that look for its fault: the explorer, the simulator, and real servers.

What may live here: that hunt. The explorer finds the shortest run in which a client is harmed. The simulator finds
a run of real proposers, makes it short, and runs it again. Then the explorer's run is played on real servers, message
by message, with the same rule in Lua: they have to answer as the model said.

    found = await hunt(cluster, my_accept, MY_ACCEPT_IN_LUA)
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase

from gryadka.acceptors import state_of
from gryadka.acceptors.redis import script
from gryadka.acceptors.servers import LocalCluster
from gryadka.checking.explain import events, explain, why
from gryadka.checking.explore import Violation, explore
from gryadka.checking.learner import AcceptFunction, LearnersRules
from gryadka.checking.model import Caspaxos
from gryadka.checking.rules import Scope
from gryadka.course.finding import Finding
from gryadka.course.lua import HOW, accept_cases, run_accept
from gryadka.course.simulated import shortest
from gryadka.course.story import told
from gryadka.simulation.record import Recording, replay
from gryadka.simulation.run import simulate
from gryadka.trace import Event

SCENARIO, SEEDS = "reorder-2-2-1", range(50)


@dataclass(frozen=True)
class Hunt:
    """What each of the three found, and the simulator's run as it would be saved in a file."""

    explorer: Finding
    simulator: Finding
    servers: Finding
    recording: Recording | None = None

    def __str__(self) -> str:
        """Return a paragraph for each of the three; the explorer's run is told step by step."""
        run = [f"  {number:3}. {step}" for number, step in enumerate(self.explorer.steps, start=1)]
        return "\n".join(
            [
                f"The explorer: {self.explorer.why or 'no fault'}.",
                *run,
                f"The simulator: {self.simulator.why or 'no fault'}.",
                f"The servers: {self.servers.why or self.servers.covered}.",
            ]
        )


async def hunt(cluster: LocalCluster, accept: AcceptFunction, lua: str) -> Hunt:
    """Look for a fault in `accept`, which `lua` says once more for the servers of `cluster`.

    Raises `ValueError` if the two rules differ, and `Broken` for a rule that is no rule.
    """
    for how in HOW:
        cases = accept_cases(how)
        if await run_accept(cluster, lua, cases) != [accept(*case) for case in cases]:
            raise ValueError("the rule in Python and the rule in Lua are not the same")
    explorer = _explored(accept)
    simulator, recording = _simulated(accept)
    return Hunt(explorer, simulator, await play(cluster, lua, explorer.events), recording)


def _explored(accept: AcceptFunction) -> Finding:
    scope = Scope()
    model = Caspaxos(scope, LearnersRules(scope, accept=accept))
    verdict = explore(model.model(only_clients=True))
    if not isinstance(verdict, Violation):
        return Finding(covered=f"{verdict.distinct:,} states")
    steps = tuple(map(told, explain(model, verdict.trace)))
    found = f"in {len(steps)} steps, {why(model, verdict)}"
    return Finding(found, steps=steps, events=tuple(events(model, verdict.trace)))


def _simulated(accept: AcceptFunction) -> tuple[Finding, Recording | None]:
    for seed in SEEDS:
        if simulate(SCENARIO, seed, record=False, accept=accept).violated:
            finding, result = shortest(simulate(SCENARIO, seed, accept=accept), {"accept": accept})
            recording = Recording.of(result)
            same = "the same to the last byte" if replay(recording, accept=accept).same else "not the same"
            steps = len(result.choices.steps)
            whole = (
                f"{finding.why} It takes {steps} operations and {len(result.events)} events; run again, it is {same}"
            )
            return replace(finding, why=whole), recording
    return Finding(covered=f"{len(SEEDS)} runs"), None


async def play(cluster: LocalCluster, lua: str, events: Sequence[Event]) -> Finding:
    """Play a run of the model on the servers: each message to the server in its acceptor's place, in the same order."""
    key = f"run-{secrets.token_hex(4)}"  # a register that nobody has used
    acceptors = cluster.acceptors(lua=script(accept=lua))
    servers = dict(zip(ascii_uppercase, acceptors.values(), strict=False))
    happened, as_told, asked = [], 0, 0
    for event in events:
        if event.kind == "state" and event.message:
            (reply,) = await servers[event.node].send([(key, event.message)])
            if isinstance(reply, Exception):
                raise reply
            asked, as_told = asked + 1, as_told + (reply == event.reply)
            event = replace(event, reply=reply, state=await state_of(servers[event.node], key))
        happened.append(replace(event, key=key))
    for acceptor in acceptors.values():
        await acceptor.close()
    where = f"{asked} messages went to {cluster.description}"
    if not asked or as_told < asked:
        return Finding(covered=f"{where}, and {as_told} answers were those of the run", events=tuple(happened))
    reader = cluster.proposer()
    left = await reader.change(key, lambda value: value)
    await reader.close()
    return Finding(f"{where}, and all answers were those of that run. A new reader gets {left}", events=tuple(happened))
