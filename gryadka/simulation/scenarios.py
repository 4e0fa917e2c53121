"""The scenarios, as data: who works, on what network, under which faults, and whether that must end badly.

What may live here: descriptions. How they are carried out stands in `plan`, `network` and `run`.

A name such as `loss-6-2-2` counts clients, proposers and keys, as the fault-injection tests of the JavaScript
Gryadka do. A *must-fail* scenario breaks one assumption of the protocol on purpose: the simulator has to find
the damage, or else its silence about the others would mean nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

FaultKind = Literal["crash", "amnesia", "pause", "partition", "one-way", "restart-proposer"]

Collecting = Literal["", "by the rules", "without the floor", "tombstone on a majority"]

Span = tuple[float, float]
"""From the shortest to the longest, in seconds; every length between is as likely."""


@dataclass(frozen=True)
class Weather:
    """What the network does to a packet. The chances of loss, lateness and doubling add up to 1 at most."""

    delay_s: Span = (0.0005, 0.0015)
    loss: float = 0.0
    late: float = 0.0  # the chance to arrive only after `late_s`, when nobody waits for it any more
    late_s: Span = (0.1, 1.0)
    duplicate: float = 0.0
    slow: tuple[str, ...] = ()  # acceptors whose packets take `slow_factor` times as long
    slow_factor: float = 30.0


@dataclass(frozen=True)
class Storm:
    """Faults of one kind that keep coming, each after some calm, at places drawn by chance.

    | kind | what happens for `for_s` |
    |---|---|
    | crash | an acceptor is down; then it is back with all that it had stored |
    | amnesia | an acceptor is down; then it is back, having forgotten everything |
    | pause | an acceptor stands still; what arrives waits for it |
    | partition | about half of the ways between proposers and acceptors are cut, in both directions |
    | one-way | about half of them are cut, in one direction only |
    | restart-proposer | nothing lasts: a proposer dies, and another, with a fresh id, takes its place |
    """

    kind: FaultKind
    calm_s: Span
    for_s: Span = (0.0, 0.0)


@dataclass(frozen=True)
class Scenario:
    """One kind of run. `steps` is how many operations each client makes.

    `rates` says how fast the proposers' clocks run, one after the other, all over again if there are more
    proposers; at rate 2 a timeout of one second ends after half a second.
    """

    name: str
    about: str
    clients: int
    proposers: int
    keys: int
    weather: Weather = Weather()
    storms: tuple[Storm, ...] = ()
    steps: int = 40
    acceptors: int = 3  # at the beginning
    accept_quorum: int = 0  # 0 is a majority; anything smaller is unsafe
    must_fail: bool = False
    rates: tuple[float, ...] = (1.0,)
    think_s: Span = (0.0, 0.004)  # how long a client waits between two operations
    answer_s: float = 0.03  # how long a proposer waits for an acceptor
    timeout_s: float = 0.15  # and how long a change may take
    pause_s: Span = (0.002, 0.05)  # the proposers' pauses after a lost round, as `Proposer` has them
    members: tuple[str, ...] = ()  # who the acceptors are to become, one after the other: "ABCD" are four
    in_flux: bool = False  # and all over again
    skip_rescan: bool = False  # without bringing old records along, against the rules
    collect: Collecting = ""  # deleted records are forgotten all the time, by the rules or against one


LOSSY = Weather(loss=0.08, late=0.02)
SHUFFLED = Weather(delay_s=(0.0002, 0.012), late=0.03, duplicate=0.05)
CUTS = Storm("partition", calm_s=(0.005, 0.06), for_s=(0.01, 0.15))


def _named(kind: str, about: str, sizes: str, **options: Any) -> list[Scenario]:
    found = []
    for size in sizes.split():
        clients, proposers, keys = map(int, size.split("-"))
        found.append(Scenario(f"{kind}-{size}", about, clients, proposers, keys, **options))
    return found


CLASSIC: tuple[Scenario, ...] = (
    *_named("loss", "packets are lost, some arrive very late", "1-1-1 2-2-2 6-2-2", weather=LOSSY),
    Scenario(
        "loss-quorum-of-1",
        "packets are lost, and one accept is taken for enough, so two quorums can miss each other",
        clients=2,
        proposers=2,
        keys=1,
        weather=LOSSY,
        accept_quorum=1,
        must_fail=True,
    ),
    *_named("reorder", "packets overtake each other", "1-1-1 1-2-2 2-1-2 2-2-1", weather=SHUFFLED),
    *_named("partition", "the network is cut in places, and heals", "1-1-1 2-2-2", storms=(CUTS,)),
)
"""The ten without membership that the JavaScript Gryadka has, too."""

MORE: tuple[Scenario, ...] = (
    Scenario(
        "duplicates",
        "every third packet arrives twice, often much later",
        clients=4,
        proposers=2,
        keys=2,
        weather=Weather(delay_s=(0.0005, 0.02), late=0.05, duplicate=0.3),
    ),
    Scenario(
        "one-way",
        "the network is cut in one direction: requests arrive and answers do not, or nothing arrives",
        clients=4,
        proposers=3,
        keys=2,
        storms=(Storm("one-way", calm_s=(0.01, 0.1), for_s=(0.02, 0.2)),),
    ),
    Scenario(
        "duel",
        "four proposers, one key, no pause between operations",
        clients=4,
        proposers=4,
        keys=1,
        weather=Weather(delay_s=(0.0005, 0.004)),
        think_s=(0.0, 0.0),
    ),
    Scenario(
        "restarts",
        "acceptors crash and come back with what they had; proposers die and new ones take their place",
        clients=4,
        proposers=2,
        keys=2,
        weather=Weather(loss=0.02, late=0.02),
        storms=(
            Storm("crash", calm_s=(0.005, 0.05), for_s=(0.01, 0.1)),
            Storm("restart-proposer", calm_s=(0.02, 0.1)),
        ),
    ),
    Scenario(
        "skewed-clocks",
        "one proposer's clock runs eight times as fast, another's at an eighth, and packets are lost",
        clients=3,
        proposers=3,
        keys=1,
        weather=LOSSY,
        rates=(8.0, 1.0, 0.125),
    ),
    Scenario(
        "slow-acceptor",
        "one acceptor answers too late more often than not, and each stands still at times",
        clients=4,
        proposers=2,
        keys=2,
        weather=Weather(slow=("A",)),
        storms=(Storm("pause", calm_s=(0.02, 0.1), for_s=(0.01, 0.1)),),
    ),
    Scenario(
        "amnesia",
        "acceptors come back from a crash with nothing of what they had promised and accepted",
        clients=4,
        proposers=2,
        keys=2,
        weather=LOSSY,
        storms=(Storm("amnesia", calm_s=(0.005, 0.05), for_s=(0.005, 0.03)),),
        must_fail=True,
    ),
)

FLUX = ("ABCD", "ABCDE", "BCDE", "CDE", "ACDE", "ACE", "ABCE", "ABC")

MEMBERSHIP: tuple[Scenario, ...] = (
    Scenario(
        "members-3-to-4",
        "a fourth acceptor joins while packets are lost",
        clients=2,
        proposers=2,
        keys=2,
        weather=LOSSY,
        members=("ABCD",),
    ),
    Scenario(
        "members-in-flux",
        "acceptors come and go without an end, some crash, and proposers are restarted",
        clients=2,
        proposers=2,
        keys=2,
        weather=LOSSY,
        storms=(
            Storm("crash", calm_s=(0.02, 0.1), for_s=(0.005, 0.03)),
            Storm("restart-proposer", calm_s=(0.05, 0.2)),
        ),
        members=FLUX,
        in_flux=True,
    ),
    Scenario(
        "members-without-rescan",
        "acceptors come and go, and nobody brings old records along",
        clients=2,
        proposers=2,
        keys=4,
        weather=LOSSY,
        members=FLUX,
        in_flux=True,
        skip_rescan=True,
        must_fail=True,
    ),
)
"""The two with membership that the JavaScript Gryadka has, too, and one that has to fail."""

MESSY = Weather(delay_s=(0.0003, 0.004), loss=0.01, late=0.1, late_s=(0.005, 0.05), duplicate=0.03)
DEATHS = (
    Storm("crash", calm_s=(0.02, 0.1), for_s=(0.005, 0.03)),
    Storm("restart-proposer", calm_s=(0.03, 0.15)),
)


def _deletion(name: str, about: str, collect: Collecting = "by the rules", **options: Any) -> Scenario:
    usual: dict[str, Any] = {"clients": 4, "proposers": 3, "keys": 2, "weather": MESSY, "storms": DEATHS}
    return Scenario(name, about, collect=collect, think_s=(0.0, 0.03), **(usual | options))


DELETION: tuple[Scenario, ...] = (
    _deletion(
        "deletion-2-2-2",
        "records are deleted, forgotten and written again while nearly everything goes wrong",
        clients=2,
        proposers=2,
    ),
    _deletion("deletion-4-3-2", "the same, with more clients and proposers"),
    _deletion("deletion-in-flux", "and acceptors come and go without an end", members=FLUX, in_flux=True),
    _deletion(
        "deletion-without-floor",
        "records are forgotten, and with them what was promised",
        collect="without the floor",
        must_fail=True,
    ),
    _deletion(
        "deletion-on-a-majority",
        "records are forgotten when a majority has the tombstone; another acceptor still has what was before",
        collect="tombstone on a majority",
        must_fail=True,
    ),
)
"""Records that are deleted and collected."""

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in (*CLASSIC, *MORE, *MEMBERSHIP, *DELETION)}
"""By name."""


def from_json(told: dict[str, Any]) -> Scenario:
    """Read back what `dataclasses.asdict` made of a scenario. Raises `AttributeError`, `KeyError`, `TypeError` or
    `ValueError` for anything else."""
    weather = Weather(**{name: _tuple(part) for name, part in told["weather"].items()})
    storms = tuple(Storm(**{name: _tuple(part) for name, part in storm.items()}) for storm in told["storms"])
    if told["collect"] not in get_args(Collecting):
        raise ValueError(f"records are collected {', '.join(filter(None, get_args(Collecting)))}, or not at all")
    if any(storm.kind not in get_args(FaultKind) for storm in storms):
        raise ValueError(f"a storm's kind is one of {', '.join(get_args(FaultKind))}")
    rest = {field.name: _tuple(told[field.name]) for field in fields(Scenario)}
    return replace(Scenario(**rest), weather=weather, storms=storms)


def _tuple(part: Any) -> Any:
    return tuple(part) if isinstance(part, list) else part
