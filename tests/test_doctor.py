"""What makes a server unfit to be an acceptor, and servers unfit to be a cluster: judged on facts."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gryadka.doctor import Diagnosis, Facts, Level, judge
from tests.examples import examples

SOUND = Facts(
    name="127.0.0.1:6379",
    latency_s=0.001,
    program="Redis 7.2.4",
    version="7.2.4",
    mode="standalone",
    role="master",
    replicas=0,
    run_id="a",
    appendonly=True,
    appendfsync="always",
    no_appendfsync_on_rewrite=False,
    save="",
    maxmemory=0,
    maxmemory_policy="noeviction",
    bind="127.0.0.1 -::1",
    protected_mode=True,
    strangers_may_write=False,
    identity="i",
    members=("i",),
)
OPEN: dict[str, Any] = {"strangers_may_write": True}


def three(**of_each: Any) -> list[Facts]:
    names = "abc"
    return [
        replace(SOUND, **{"name": name, "run_id": name, "identity": name, "members": tuple(names), **of_each})
        for name in names
    ]


def level_of(diagnosis: Diagnosis, check: str, number: int = 0) -> Level:
    (finding,) = (finding for finding in diagnosis.servers[number].findings if finding.check == check)
    return finding.level


def said(diagnosis: Diagnosis) -> str:
    findings = [finding for server in diagnosis.servers for finding in server.findings]
    return "\n".join(f"{finding.words} | {finding.change}" for finding in [*findings, *diagnosis.together])


def test_three_sound_servers_are_fit_in_every_respect() -> None:
    diagnosis = judge(three())
    assert diagnosis.verdict is Level.FIT
    levels = {finding.level for server in diagnosis.servers for finding in server.findings}
    assert levels | {finding.level for finding in diagnosis.together} == {Level.FIT}
    assert "any 1 may be down" in said(diagnosis)


EACH = [
    ("durability", {"appendonly": False}, Level.UNFIT, "CONFIG SET appendonly yes"),
    ("durability", {"appendonly": False, "save": ""}, Level.UNFIT, "keeps nothing on its disk"),
    ("durability", {"appendonly": False, "save": "3600 1"}, Level.UNFIT, "snapshots only"),
    ("durability", {"appendonly": False, "save": None}, Level.UNFIT, "no append-only file"),
    ("durability", {"appendfsync": "everysec"}, Level.UNFIT, "`appendfsync always` in redis.conf"),
    ("durability", {"appendfsync": "no", "appendonly": None}, Level.UNFIT, "appendfsync no"),
    ("durability", {"no_appendfsync_on_rewrite": True}, Level.UNFIT, "no-appendfsync-on-rewrite no"),
    ("durability", {"appendonly": None}, Level.UNKNOWN, "does not tell"),
    ("durability", {"appendfsync": None}, Level.UNKNOWN, "appendfsync"),
    ("durability", {"no_appendfsync_on_rewrite": None}, Level.UNKNOWN, "does not tell"),
    ("eviction", {"maxmemory_policy": "allkeys-lru", "maxmemory": 1}, Level.UNFIT, "maxmemory-policy noeviction"),
    ("eviction", {"maxmemory_policy": "allkeys-lru", "maxmemory": 0}, Level.NOTE, "no maxmemory so far"),
    ("eviction", {"maxmemory_policy": "allkeys-lru", "maxmemory": None}, Level.UNKNOWN, "from which size"),
    ("eviction", {"maxmemory_policy": "volatile-ttl", "maxmemory": 1}, Level.FIT, "registers never do"),
    ("eviction", {"maxmemory_policy": "noeviction", "maxmemory": 1}, Level.FIT, "refuses writes"),
    ("eviction", {"maxmemory_policy": None}, Level.UNKNOWN, "does not tell"),
    ("role", {"role": "slave"}, Level.UNFIT, "name its master"),
    ("role", {"role": "active-replica"}, Level.UNFIT, "active-replica"),
    ("role", {"role": None}, Level.UNKNOWN, "does not tell"),
    ("role", {"replicas": 2}, Level.NOTE, "never promote"),
    ("role", {"replicas": None}, Level.NOTE, "perhaps replicas"),
    ("mode", {"mode": "cluster"}, Level.UNFIT, "cluster-enabled no"),
    ("mode", {"mode": "sentinel"}, Level.UNFIT, "not a store"),
    ("mode", {"mode": None}, Level.UNKNOWN, "does not tell"),
    ("version", {"version": "3.2.12"}, Level.UNFIT, "install Redis 7"),
    ("version", {"version": "4.0.0"}, Level.NOTE, "gaps"),
    ("version", {"version": "6.2.14"}, Level.NOTE, "install Redis 7"),
    ("version", {"version": "10.0.1"}, Level.FIT, ""),
    ("version", {"version": "unstable"}, Level.UNKNOWN, "does not tell"),
    ("version", {"version": None}, Level.UNKNOWN, "does not tell"),
    ("password", {"strangers_may_write": None}, Level.UNKNOWN, "does not tell"),
    ("password", OPEN, Level.NOTE, "this computer only"),
    ("password", OPEN | {"bind": "0.0.0.0", "protected_mode": False}, Level.UNFIT, "requirepass"),
    ("password", OPEN | {"bind": "127.0.0.1 10.0.0.5", "protected_mode": False}, Level.UNFIT, "anyone"),
    ("password", OPEN | {"bind": "", "protected_mode": False}, Level.UNFIT, "anyone"),
    ("password", OPEN | {"bind": "* -::*", "protected_mode": True}, Level.NOTE, "every program here"),
    ("password", OPEN | {"bind": "10.0.0.5", "protected_mode": True, "version": "6.2.0"}, Level.UNFIT, "anyone"),
    ("password", OPEN | {"bind": "", "protected_mode": True, "version": "6.2.0"}, Level.NOTE, "this computer"),
    ("password", OPEN | {"bind": "10.0.0.5", "protected_mode": None}, Level.UNKNOWN, "who can reach it"),
    ("password", OPEN | {"bind": None, "protected_mode": False}, Level.UNKNOWN, "who can reach it"),
    ("password", OPEN | {"local": False}, Level.UNFIT, "anyone who reaches it"),
    ("script", {"script_fault": "does not let this user run the script"}, Level.UNFIT, "~gryadka:* +hmget"),
    ("writing", {"write_fault": "is full"}, Level.UNFIT, "is full"),
    ("identity", {"identity": None, "members": ()}, Level.FIT, "is new"),
    ("identity", {"members": ()}, Level.FIT, "not finished"),
    ("identity", {"identity": None}, Level.UNFIT, "lost its own identity"),
    ("identity", {"identity": "other"}, Level.UNFIT, "not a member"),
    ("identity", {"identity_fault": "holds something else"}, Level.UNFIT, "holds something else"),
    ("reach", {"latency_s": 0.9}, Level.NOTE, "900 ms"),
    ("reach", {"latency_s": None}, Level.UNKNOWN, "not timed"),
    ("reach", {"fault": "cannot be reached"}, Level.UNFIT, "cannot be reached"),
]


@pytest.mark.parametrize(("check", "facts", "level", "words"), EACH, ids=str)
def test_each_fact_has_its_verdict(check: str, facts: dict[str, Any], level: Level, words: str) -> None:
    diagnosis = judge([replace(SOUND, **facts)])
    assert level_of(diagnosis, check) is level
    assert words in said(diagnosis)
    expected = Level.FIT if level is Level.NOTE else level
    assert diagnosis.verdict is diagnosis.servers[0].verdict is expected


TOGETHER = [
    ("twice", {"run_id": "a"}, Level.UNFIT, "vote twice"),
    ("twice", {"identity": "a", "members": ("a", "b", "c")}, Level.UNFIT, "copy"),
    ("cluster", {"members": ("b", "x", "y")}, Level.UNFIT, "not of the cluster that a belongs to"),
    ("cluster", {"members": (), "identity": "x"}, Level.UNFIT, "not of the cluster"),
    ("cluster", {"members": (), "identity": None}, Level.UNFIT, "data was lost"),
]


@pytest.mark.parametrize(("check", "facts", "level", "words"), TOGETHER, ids=str)
def test_servers_that_are_no_cluster_are_found_out(check: str, facts: dict[str, Any], level: Level, words: str) -> None:
    one, other, third = three()
    diagnosis = judge([one, replace(other, **facts), third])
    (finding,) = (finding for finding in diagnosis.together if finding.check == check)
    assert finding.level is level and words in finding.words + finding.change
    assert diagnosis.verdict is level


@pytest.mark.parametrize(
    ("count", "level", "words"),
    [
        (1, Level.NOTE, "1 acceptor: none may"),
        (2, Level.NOTE, "2 acceptors: none may"),
        (3, Level.FIT, "any 1"),
        (4, Level.NOTE, "any 1"),
        (5, Level.FIT, "any 2"),
    ],
)
def test_how_many_may_be_down(count: int, level: Level, words: str) -> None:
    blank = {"identity": None, "members": ()}
    servers = [replace(SOUND, name=str(n), run_id=str(n), **blank) for n in range(count)]  # type: ignore[arg-type]
    diagnosis = judge(servers)
    (finding,) = diagnosis.together
    assert finding.level is level and words in finding.words
    assert diagnosis.verdict is Level.FIT
    # One that cannot be reached is still one of them.
    diagnosis = judge([*servers[:-1], Facts(name="down", fault="cannot be reached")])
    assert diagnosis.together[-1].words == finding.words and diagnosis.verdict is Level.UNFIT


def test_a_start_that_was_cut_short_is_fit() -> None:
    one, other, third = three()
    assert judge([one, replace(other, members=()), third]).verdict is Level.FIT
    assert judge(three(members=())).verdict is Level.FIT


def test_a_server_that_is_down_is_not_said_to_have_lost_its_data() -> None:
    one, other, _ = three()
    diagnosis = judge([one, other, Facts(name="c", fault="cannot be reached")])
    assert [finding.check for finding in diagnosis.together] == ["number"]


def test_part_of_a_cluster_may_be_examined_by_itself() -> None:
    diagnosis = judge(three()[:1])
    assert diagnosis.verdict is Level.FIT and "of a cluster of 3" in said(diagnosis)


def maybe(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([*values, None])


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "local": st.booleans(),
    "fault": st.sampled_from(["", "", "", "is gone"]),
    "latency_s": maybe(0.001, 2.0),
    "version": maybe("7.2.4", "6.0.0", "3.0.0"),
    "mode": maybe("standalone", "cluster"),
    "role": maybe("master", "slave"),
    "replicas": maybe(0, 1),
    "run_id": maybe("x", "y", "z"),
    "appendonly": maybe(True, False),
    "appendfsync": maybe("always", "everysec"),
    "no_appendfsync_on_rewrite": maybe(True, False),
    "save": maybe("", "3600 1"),
    "maxmemory": maybe(0, 1),
    "maxmemory_policy": maybe("noeviction", "allkeys-lru", "volatile-lru"),
    "bind": maybe("127.0.0.1", "0.0.0.0"),
    "protected_mode": maybe(True, False),
    "strangers_may_write": maybe(True, False),
    "identity": maybe("i", "j"),
    "members": st.sampled_from([(), ("i",), ("i", "j", "k")]),
    "script_fault": st.sampled_from(["", "", "fails"]),
    "write_fault": st.sampled_from(["", "", "is full"]),
}
TOLD = [name for name, value in vars(Facts(name="")).items() if value is None and name in FIELDS and name != "identity"]
ANY_FACTS = st.fixed_dictionaries(FIELDS).map(lambda drawn: Facts(name="a", **drawn))
NEARLY_SOUND = (
    st.sets(st.sampled_from(sorted(FIELDS)), max_size=3)
    .flatmap(lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in sorted(names)}))
    .map(lambda drawn: replace(SOUND, **drawn))
)


@examples(300)
@given(st.one_of(ANY_FACTS, NEARLY_SOUND))
def test_fit_means_that_everything_needed_is_known_and_sound(facts: Facts) -> None:
    sound = (
        not (facts.fault or facts.script_fault or facts.write_fault)
        and facts.latency_s is not None
        and facts.version in ("7.2.4", "6.0.0")
        and facts.mode == "standalone"
        and facts.role == "master"
        and (facts.appendonly, facts.appendfsync, facts.no_appendfsync_on_rewrite) == (True, "always", False)
        and (
            facts.maxmemory_policy in ("noeviction", "volatile-lru")
            or (facts.maxmemory_policy == "allkeys-lru" and facts.maxmemory == 0)
        )
        and (
            facts.strangers_may_write is False
            or (
                facts.strangers_may_write is True
                and facts.local
                and (
                    facts.bind in ("127.0.0.1", SOUND.bind)
                    or (facts.protected_mode is True and facts.version == "7.2.4")
                )
            )
        )
        and (facts.identity in facts.members or not facts.members)
    )
    assert (judge([facts]).verdict is Level.FIT) == sound


@given(st.one_of(ANY_FACTS, NEARLY_SOUND), st.sampled_from(TOLD))
def test_what_is_not_told_never_makes_a_server_fit(facts: Facts, name: str) -> None:
    before, after = judge([facts]), judge([replace(facts, **{name: None})])
    assert before.verdict is Level.FIT or after.verdict is not Level.FIT


@given(st.lists(NEARLY_SOUND, min_size=1, max_size=4), st.randoms())
def test_the_order_of_the_servers_does_not_matter(servers: list[Facts], chance: random.Random) -> None:
    shuffled = chance.sample(servers, len(servers))
    assert judge(servers).verdict is judge(shuffled).verdict


@given(ANY_FACTS)
def test_whatever_is_not_fit_says_what_to_do(facts: Facts) -> None:
    told_by_server = {"fails", "is full", "is gone"}
    for finding in judge([facts]).servers[0].findings:
        if finding.level is not Level.FIT and finding.words not in told_by_server and finding.check != "reach":
            assert finding.change
