"""Real proposers in front of servers, recorded, saved, and judged by `gryadka check-history`."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gryadka import AcceptorError, ChangeRejected, NotApplied, OutcomeUnknown, Proposer, cli
from gryadka.acceptors import Acceptor, Request
from gryadka.acceptors.redis import script
from gryadka.acceptors.servers import LocalCluster
from gryadka.checking.history import Operation, Outcome, Recorder, Refusal, dump
from gryadka.protocol.acceptor import Accept, Reply
from gryadka.protocol.configuration import Configuration
from gryadka.registers import CompareAndSet, Counter, LastWriterWins

KEYS = {"register": "notes", "counter": "visits", "versioned-register": "account"}
"""Model -> the key that is used as such a register."""


class Cut:
    """The way to an acceptor for a client that loses the network while it sends an accept: that accept `arrives`
    or not, and nothing is answered from then on."""

    def __init__(self, name: str, acceptor: Acceptor, arrives: bool) -> None:
        self.name, self.acceptor, self.arrives, self.cut = name, acceptor, arrives, False

    async def send(self, requests: Sequence[Request]) -> Sequence[Reply | AcceptorError]:
        if self.cut or any(isinstance(message, Accept) for _, message in requests):
            if self.arrives and not self.cut:
                await self.acceptor.send(requests)
            self.cut = True
            raise AcceptorError(self.name, "the network is gone")
        return await self.acceptor.send(requests)

    async def close(self) -> None:
        await self.acceptor.close()


class Client:
    """Works on all the registers, loses the network now and then, and comes back as a new proposer."""

    def __init__(self, number: int, cluster: LocalCluster, recorder: Recorder) -> None:
        self.number, self.cluster, self.recorder = number, cluster, recorder
        self.rng = random.Random(number)
        self.version = 0
        self.marks = itertools.count(1000 * number)

    async def work(self, steps: int) -> None:
        proposer = self.cluster.proposer()
        for step in range(1, steps + 1):
            if step % 20:
                await self.make_a_call(proposer)
            else:
                acceptors = cut_off(self.cluster.acceptors(), reached=step // 20 % 4)
                await self.make_a_call(Proposer(Configuration.majority(acceptors), acceptors, timeout_s=0.3))

    async def make_a_call(self, proposer: Proposer) -> None:
        model = self.rng.choice(list(KEYS))
        try:
            await self.call(proposer, model, reads=self.rng.random() < 0.3)
        except ChangeRejected as refusal:
            self.version = refusal.value["ver"] if isinstance(refusal.value, dict) else 0
        except (NotApplied, OutcomeUnknown):
            pass

    async def call(self, proposer: Proposer, model: str, reads: bool) -> None:
        mark, told = next(self.marks), {"process": self.number, "key": KEYS[model]}
        register = {"register": LastWriterWins, "counter": Counter, "versioned-register": CompareAndSet}[model](
            proposer
        )
        if reads:
            result = await self.recorder.record(register.read(KEYS[model]), f="read", **told)
        elif isinstance(register, Counter):
            result = await self.recorder.record(register.add(KEYS[model], 3), f="add", args=(3,), **told)
        elif isinstance(register, LastWriterWins):
            result = await self.recorder.record(register.write(KEYS[model], mark), f="write", args=(mark,), **told)
        else:
            args = (self.version, mark)
            result = await self.recorder.record(register.write(KEYS[model], *args), f="cas", args=args, **told)
        if isinstance(register, CompareAndSet):
            self.version = result["ver"]


def cut_off(acceptors: Mapping[str, Acceptor], reached: int) -> dict[str, Any]:
    return {name: Cut(name, acceptor, n < reached) for n, (name, acceptor) in enumerate(acceptors.items())}


def judged(tmp_path: Path, operations: Sequence[Operation], model: str) -> dict[str, Any]:
    """Save the operations on that model's key, and return what `gryadka check-history` says of the file."""
    file = tmp_path / f"{model}.jsonl"
    file.write_text("\n".join(dump(one for one in operations if one.key == KEYS[model])), encoding="utf-8")
    done = CliRunner().invoke(cli.app, ["check-history", str(file), "--model", model, "--json"])
    verdict: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == {"ok": 0, "violation": 1}[verdict["verdict"]]
    return verdict


@pytest.mark.slow
async def test_what_real_proposers_did_is_linearizable_while_servers_die_and_come_back(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    recorder = Recorder()

    async def begun(count: int) -> None:
        while len(recorder.history()) < count:
            await asyncio.sleep(0.002)

    working = asyncio.gather(*(Client(number, cluster, recorder).work(80) for number in range(3)))
    down_s = []
    for victim in (0, 1):  # the second is missed only if the first came back with what it had stored
        await begun(60 + 80 * victim)
        await cluster.kill(victim)
        start_s = time.monotonic()
        await begun(100 + 80 * victim)
        down_s.append((start_s, time.monotonic()))
        await cluster.restart(victim)
    await working
    operations = list(recorder.history())
    for start_s, end_s in down_s:
        assert any(start_s < one.invoked_s and (one.completed_s or end_s) < end_s for one in operations)
    for model, key in KEYS.items():
        mine = [one for one in operations if one.key == key]
        assert sum(one.outcome is Outcome.OK for one in mine) > 40
        assert any(one.outcome is Outcome.UNKNOWN for one in mine), "a client lost the network in time"
        assert judged(tmp_path, operations, model)["verdict"] == "ok"
    assert any(isinstance(one.result, Refusal) for one in operations)


@pytest.mark.parametrize(
    ("model", "register", "unwritten", "wrong"),
    [
        ("register", LastWriterWins, None, 0),
        ("counter", Counter, 0, 1),
        ("versioned-register", CompareAndSet, {"ver": 0, "val": None}, {"ver": 1, "val": None}),
    ],
)
async def test_what_was_never_written_reads_as_the_model_says(
    cluster: LocalCluster, tmp_path: Path, model: str, register: Any, unwritten: object, wrong: object
) -> None:
    recorder, key = Recorder(), KEYS[model]
    assert await recorder.record(register(cluster.proposer()).read(key), process=1, f="read", key=key) == unwritten
    [read] = recorder.history()
    assert judged(tmp_path, [read], model)["verdict"] == "ok"
    assert judged(tmp_path, [replace(read, result=wrong)], model)["verdict"] == "violation"


class Late:
    """The way to an acceptor on which accepts wait until `go` is set; `waiting` says that one does."""

    def __init__(self, acceptor: Acceptor, waiting: asyncio.Event, go: asyncio.Event) -> None:
        self.acceptor, self.waiting, self.go = acceptor, waiting, go

    async def send(self, requests: Sequence[Request]) -> Sequence[Reply | AcceptorError]:
        if any(isinstance(message, Accept) for _, message in requests):
            self.waiting.set()
            await self.go.wait()
        return await self.acceptor.send(requests)

    async def close(self) -> None:
        await self.acceptor.close()


OURS = ""
FORGETFUL = """
local function accept(register, state, ballot, value, promise)
  redis.call("HSET", register, "promised", promise, "accepted", ballot, "value", value)
  return {"accepted"}
end
"""


@pytest.mark.parametrize(("accept", "verdict"), [(OURS, "ok"), (FORGETFUL, "violation")])
@pytest.mark.parametrize("model", ["counter", "versioned-register"])
async def test_servers_that_forget_their_promises_are_found_out(
    cluster: LocalCluster, tmp_path: Path, model: str, accept: str, verdict: str
) -> None:
    """Two proposers prepare; the accepts of the first arrive when the second has finished."""
    recorder, waiting, go = Recorder(), asyncio.Event(), asyncio.Event()
    lua = script(accept=accept)
    late = {name: Late(acceptor, waiting, go) for name, acceptor in cluster.acceptors(lua=lua).items()}
    acceptors = cluster.acceptors(lua=lua)
    configuration = Configuration.majority(acceptors)
    key = KEYS[model]

    async def change(proposer: Proposer, process: int) -> None:
        if model == "counter":
            await recorder.record(Counter(proposer).add(key, 1), process=process, f="add", args=(1,), key=key)
        else:
            call = CompareAndSet(proposer).write(key, 0, process)
            await recorder.record(call, process=process, f="cas", args=(0, process), key=key)

    slow = asyncio.create_task(change(Proposer(configuration, late), 1))
    await waiting.wait()
    await change(Proposer(configuration, acceptors), 2)
    go.set()
    await asyncio.gather(slow, return_exceptions=True)
    told = judged(tmp_path, list(recorder.history()), model)
    assert told["verdict"] == verdict
    if verdict == "violation":
        assert sorted(operation["process"] for operation in told["operations"]) == [1, 2]
        assert told["smallest"]
