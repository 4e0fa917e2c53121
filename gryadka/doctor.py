"""Is this server fit to be an acceptor? A judgement on the facts that `facts` gathers.

What may live here: what the facts mean, and what to do about them. Pure: no network, no printing.

An acceptor may be slow, and it may be down. What it must never do is forget a promise or an accepted value:
then two different values can be chosen, and no error says so. So the doctor looks for what leads there: a
disk that is written later than the answer, keys that are evicted, replicas that take over, strangers who
can write. What a server does not tell is `unknown`, never `fit`. Three things no server can tell: whether
its disk keeps what it was told to keep, whether an old copy of its data was put back, and whether somebody
will change a setting tomorrow.

    judge(await gather(["redis://…", "redis://…", "redis://…"])).verdict
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from gryadka.facts import Facts, gather, is_loopback

__all__ = ["Diagnosis", "Examined", "Facts", "Finding", "Level", "gather", "judge"]

SLOW_S = 0.25
"""From here on a round trip, of which a change needs one or two, is called slow."""

# What an acceptor's user has to be allowed to do.
_NEEDED = "~NAMESPACE:* +hmget +hset +hsetnx +evalsha +script|load"


class Level(StrEnum):
    """How a finding weighs, from the lightest to the heaviest. A note does not make a server less fit."""

    FIT = "fit"
    NOTE = "note"
    UNKNOWN = "unknown"
    UNFIT = "unfit"


@dataclass(frozen=True)
class Finding:
    """The outcome of one check: `words` go on after the server's name, `change` says what to do about it."""

    check: str
    level: Level
    words: str
    change: str = ""


@dataclass(frozen=True)
class Examined:
    """One server: its facts, and what was found."""

    facts: Facts
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Level:
        """FIT, UNKNOWN or UNFIT: the heaviest finding, notes aside."""
        return _verdict(self.findings)


@dataclass(frozen=True)
class Diagnosis:
    """All servers, each by itself in `servers` and then `together`, as the acceptors of one cluster."""

    servers: tuple[Examined, ...]
    together: tuple[Finding, ...]

    @property
    def verdict(self) -> Level:
        """FIT, UNKNOWN or UNFIT: the heaviest finding of all, notes aside."""
        return _verdict([*self.together, *(finding for server in self.servers for finding in server.findings)])


def judge(facts: Sequence[Facts]) -> Diagnosis:
    """Return what these facts mean. Pure."""
    servers = tuple(Examined(server, tuple(_each(server))) for server in facts)
    return Diagnosis(servers, tuple(_together(facts)))


def _verdict(findings: Iterable[Finding]) -> Level:
    order = list(Level)
    worst = max((finding.level for finding in findings), key=order.index, default=Level.FIT)
    return Level.FIT if worst is Level.NOTE else worst


# -- one server ------------------------------------------------------------------------------------------


def _each(facts: Facts) -> list[Finding]:
    if facts.fault:
        return [Finding("reach", Level.UNFIT, facts.fault)]
    checks = _reach, _version, _mode, _role, _durability, _eviction, _password, _script, _writing, _identity
    return [check(facts) for check in checks]


def _reach(facts: Facts) -> Finding:
    if facts.latency_s is None:
        return Finding("reach", Level.UNKNOWN, "was not timed")
    words = f"answers in {facts.latency_s * 1000:.3g} ms"
    if facts.latency_s < SLOW_S:
        return Finding("reach", Level.FIT, words)
    return Finding("reach", Level.NOTE, f"{words}, which is slow", "allow changes more time (timeout_s)")


def _version(facts: Facts) -> Finding:
    # Our script stores several fields with one HSET, as of Redis 4. Two ways in which `appendfsync always`
    # answered before the disk had it (a failed fsync; threaded answers) were closed in 6.2 and in 7.0.
    if not _number(facts):
        return _untold("version", facts, "its version", "+info")
    words = f"is {facts.program}"
    if _number(facts) < (4,):
        return Finding("version", Level.UNFIT, f"{words}; its HSET takes one field only", "install Redis 7 or newer")
    if _number(facts) < (7,):
        words += "; before version 7 `appendfsync always` has gaps in rare cases"
        return Finding("version", Level.NOTE, words, "install Redis 7 or newer")
    return Finding("version", Level.FIT, words)


def _mode(facts: Facts) -> Finding:
    if facts.mode is None:
        return _untold("mode", facts, "whether it is part of a Redis Cluster", "+info")
    if facts.mode == "standalone":
        return Finding("mode", Level.FIT, "stands alone, not in a Redis Cluster")
    if facts.mode == "cluster":
        words = "is in cluster mode: one script cannot reach registers of different slots"
        return Finding("mode", Level.UNFIT, words, "use a server with `cluster-enabled no` in redis.conf")
    return Finding("mode", Level.UNFIT, f"is a {facts.mode}, not a store", "name a Redis server instead")


def _role(facts: Facts) -> Finding:
    if facts.role is None:
        return _untold("role", facts, "whether it is a master or a replica", "+info")
    if facts.role != "master":
        words = f"is a replica (role {facts.role}): it follows another server"
        return Finding("role", Level.UNFIT, words, "name its master in its place")
    if facts.replicas != 0:
        count = "perhaps replicas" if facts.replicas is None else f"{facts.replicas} replica(s)"
        words = f"is a master with {count}, which lag behind it"
        return Finding("role", Level.NOTE, words, "never promote one in its place: it may lack a promise")
    return Finding("role", Level.FIT, "is a master without replicas")


def _durability(facts: Facts) -> Finding:
    now = "CONFIG SET {0}, then CONFIG REWRITE or the line `{0}` in redis.conf"
    if facts.appendonly is False:
        words = {"": "keeps nothing on its disk", None: "keeps no append-only file"}.get(
            facts.save, "keeps snapshots only: what came after the last one is lost in a crash"
        )
        # With the line alone, a restart would begin with an empty file and not read the snapshot.
        change = f"first {now.format('appendonly yes')}; then {now.format('appendfsync always')}"
        return Finding("durability", Level.UNFIT, words, change)
    if facts.appendfsync not in (None, "always"):
        words = f"answers before the disk has it (appendfsync {facts.appendfsync}): a power cut makes it forget"
        return Finding("durability", Level.UNFIT, words, now.format("appendfsync always"))
    if facts.no_appendfsync_on_rewrite:
        words = "leaves out fsync while it rewrites its file (no-appendfsync-on-rewrite yes)"
        return Finding("durability", Level.UNFIT, words, now.format("no-appendfsync-on-rewrite no"))
    if facts.appendonly is None:
        return _untold("durability", facts, "whether it keeps an append-only file", "+info +config|get")
    if facts.appendfsync is None or facts.no_appendfsync_on_rewrite is None:
        return _untold("durability", facts, "whether it forces each write to its disk (appendfsync)", "+config|get")
    return Finding("durability", Level.FIT, "writes to its disk before it answers (appendonly, appendfsync always)")


def _eviction(facts: Facts) -> Finding:
    policy, change = facts.maxmemory_policy, "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf"
    if policy is None:
        return _untold("eviction", facts, "whether it evicts keys (maxmemory-policy)", "+info +config|get")
    if policy == "noeviction":
        return Finding("eviction", Level.FIT, "refuses writes when its memory is full, and evicts nothing")
    if policy.startswith("volatile-"):
        return Finding("eviction", Level.FIT, f"evicts only keys that expire ({policy}); registers never do")
    if facts.maxmemory is None:
        return _untold("eviction", facts, f"from which size on it evicts keys ({policy})", "+info +config|get")
    if facts.maxmemory == 0:
        words = f"would evict registers ({policy}), but has no maxmemory so far"
        return Finding("eviction", Level.NOTE, words, change)
    return Finding("eviction", Level.UNFIT, f"evicts registers when its memory is full ({policy})", change)


def _password(facts: Facts) -> Finding:
    change = "CONFIG SET requirepass <a long secret>, the same line in redis.conf, and the secret in its URL"
    if facts.strangers_may_write is None:
        return _untold("password", facts, "whether anyone may write without a password")
    if not facts.strangers_may_write:
        return Finding("password", Level.FIT, "lets nobody write without a password")
    exposed = _is_exposed(facts)
    if exposed is None:
        return _untold("password", facts, "who can reach it (bind), and asks for no password", "+config|get")
    if exposed:
        return Finding("password", Level.UNFIT, "lets anyone who reaches it write, without a password", change)
    words = "has no password, and listens to this computer only: every program here may write"
    return Finding("password", Level.NOTE, words, change)


def _is_exposed(facts: Facts) -> bool | None:
    # Whether another computer can talk to a server without password. Before version 7, protected mode was
    # off as soon as there was a `bind` line.
    if not facts.local:
        return True
    places = [place.removeprefix("-") for place in (facts.bind or "").split()]
    if places and all(map(is_loopback, places)):
        return False
    if facts.protected_mode and (_number(facts) >= (7,) or facts.bind == ""):
        return False
    return None if facts.bind is None or facts.protected_mode is None else True


def _script(facts: Facts) -> Finding:
    if not facts.script_fault:
        return Finding("script", Level.FIT, "runs the acceptor's script")
    return Finding("script", Level.UNFIT, facts.script_fault, _rights_for(facts, facts.script_fault))


def _writing(facts: Facts) -> Finding:
    if not facts.write_fault:
        return Finding("writing", Level.FIT, "would take a write now")
    return Finding("writing", Level.UNFIT, facts.write_fault, _rights_for(facts, facts.write_fault))


def _identity(facts: Facts) -> Finding:
    if facts.identity_fault:
        change = _rights_for(facts, facts.identity_fault) or "use another namespace, or mend it"
        return Finding("identity", Level.UNFIT, facts.identity_fault, change)
    if facts.identity is None and facts.members:
        words = "knows its cluster but has lost its own identity"
        return Finding("identity", Level.UNFIT, words, "empty it, and add it as a new member")
    if facts.identity is None:
        return Finding("identity", Level.FIT, "is new: it gets its identity when its cluster first starts")
    if not facts.members:
        return Finding("identity", Level.FIT, f"is {facts.identity}, of a cluster whose first start is not finished")
    if facts.identity not in facts.members:
        words = f"is {facts.identity}, which is not a member of the cluster that it names"
        return Finding("identity", Level.UNFIT, words, "empty it, and add it as a new member")
    return Finding("identity", Level.FIT, f"is {facts.identity}, one of {len(facts.members)} members")


def _untold(check: str, facts: Facts, what: str, rights: str = "") -> Finding:
    words = f"does not tell {what}" + (f" ({'; '.join(facts.refused)})" if facts.refused else "")
    change = f"{_allow(facts, rights)}; or ask whoever runs it" if rights else "ask whoever runs it"
    return Finding(check, Level.UNKNOWN, words, change)


def _rights_for(facts: Facts, fault: str) -> str:
    # In each version a right that lacks is told in other words, all of which name the user.
    return _allow(facts, _NEEDED) if "user" in fault.lower() else ""


def _allow(facts: Facts, rights: str) -> str:
    return f"ACL SETUSER {facts.user} " + rights.replace("NAMESPACE", facts.namespace)


def _number(facts: Facts) -> tuple[int, ...]:
    # (7, 2) for "7.2.4", () for what is not known.
    found = re.match(r"(\d+)\.(\d+)", facts.version or "")
    return tuple(map(int, found.groups())) if found else ()


# -- all of them, as one cluster -------------------------------------------------------------------------


def _together(servers: Sequence[Facts]) -> list[Finding]:
    findings = _twins(servers)
    members = next((server.members for server in servers if server.members), ())
    aliens = [server.name for server in servers if members and _is_alien(server, members)]
    if aliens:
        first = next(server.name for server in servers if server.members)
        words = f"{', '.join(aliens)}: not of the cluster that {first} belongs to"
        findings.append(Finding("cluster", Level.UNFIT, words, "check the URLs, and the namespace"))
    blank = [server.name for server in servers if not (server.fault or server.identity or server.members)]
    if members and blank:
        words = f"{', '.join(blank)}: no identity, while the cluster has its members; new, or its data was lost"
        change = "it must not vote in its old place: add it as a new member"
        findings.append(Finding("cluster", Level.UNFIT, words, change))
    if len(members) > len(servers):
        words = f"{len(servers)} named here, of a cluster of {len(members)} acceptors"
        findings.append(Finding("number", Level.NOTE, words, "a proposer needs the URLs of all of them"))
    elif servers:
        findings.append(_tolerance(len(servers)))
    return findings


def _is_alien(server: Facts, members: tuple[str, ...]) -> bool:
    # A server without a list yet is of the cluster if the cluster lists it.
    if server.members:
        return server.members != members
    return server.identity is not None and server.identity not in members


def _twins(servers: Sequence[Facts]) -> list[Finding]:
    findings = []
    for one, other in combinations(servers, 2):
        names = f"{one.name} and {other.name}"
        if one.run_id and one.run_id == other.run_id:
            words = f"{names} are one and the same server, which would vote twice"
            findings.append(Finding("twice", Level.UNFIT, words, "name each server once"))
        elif one.identity and one.identity == other.identity:
            words = f"{names} have one identity: the same server, or one is a copy of the other"
            findings.append(Finding("twice", Level.UNFIT, words, "name the original only; empty the copy"))
    return findings


def _tolerance(count: int) -> Finding:
    # A majority has to be up: 2F+1 acceptors bear the loss of F, and so do 2F+2.
    spare = (count - 1) // 2
    words = f"{count} acceptor{'s' * (count > 1)}: {f'any {spare}' if spare else 'none'} may be down at a time"
    if count == 1:
        return Finding("number", Level.NOTE, words, "three acceptors bear the loss of one")
    if count % 2 == 0:
        change = f"use {count - 1} or {count + 1}: an even number bears no more losses than one fewer"
        return Finding("number", Level.NOTE, words, change)
    return Finding("number", Level.FIT, words)
