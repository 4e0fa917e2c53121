"""One wrong rule, found by the explorer, by the simulator and by real servers; the runs can be run again."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gryadka.acceptors.servers import local_cluster
from gryadka.cli import app
from gryadka.course.hunt import hunt, play
from gryadka.protocol.acceptor import Accept, Accepted, Reply, State, accept
from gryadka.simulation import record

RIGHT_LUA = """
local function accept(register, state, ballot, value, promise)
  if is_higher(state.promised, ballot) then return {"conflict", state.promised} end
  redis.call("HSET", register, "promised", promise, "accepted", ballot, "value", value)
  return {"accepted"}
end
"""
WRONG_LUA = "\n".join(line for line in RIGHT_LUA.splitlines() if "conflict" not in line)


def forgets(state: State, message: Accept) -> tuple[State, Reply]:
    """Accept whatever comes, as if nothing had been promised."""
    return State(message.promise, message.ballot, message.value), Accepted()


@pytest.mark.slow
@pytest.mark.parametrize("server", [None, "fakeredis"])
async def test_a_forgotten_promise_is_found_three_times(server: str | None, tmp_path: Path) -> None:
    async with local_cluster(3, server=server) as cluster:
        found = await hunt(cluster, forgets, WRONG_LUA)
    assert found.explorer.why == "in 14 steps, callers were shown [1] and [2], and neither begins the other"
    assert [step for step in found.explorer.steps if "By the rules: B refuses 1:1, because it has promised 1:2" in step]
    assert "It takes 2 operations" in found.simulator.why and "the same to the last byte" in found.simulator.why
    assert found.servers.why.startswith("8 messages went to ") and found.servers.why.endswith("A new reader gets [2]")
    # The servers were in the very states that the model said, so the same player can show both.
    model, servers = ([event.state for event in each.events] for each in (found.explorer, found.servers))
    assert servers == model and any(model)
    assert "The explorer: " in str(found) and "The simulator: " in str(found) and "The servers: " in str(found)
    # As a file the simulator's run is itself again, with the same rule, and another one without.
    assert found.recording
    record.save(tmp_path / "run", found.recording)
    assert record.replay(record.read(tmp_path / "run"), accept=forgets).same
    again = CliRunner().invoke(app, ["replay", str(tmp_path / "run")])
    assert again.exit_code == 1 and "this run had its own accept" in again.output


@pytest.mark.slow
async def test_the_right_rule_is_found_guilty_by_nobody() -> None:
    async with local_cluster(3, server="fakeredis") as cluster:
        found = await hunt(cluster, accept, RIGHT_LUA)
    assert found.explorer.holds and found.simulator.holds and found.servers.holds and found.recording is None


async def test_two_rules_that_differ_are_refused() -> None:
    async with local_cluster(3, server="fakeredis") as cluster:
        with pytest.raises(ValueError, match="are not the same"):
            await hunt(cluster, forgets, RIGHT_LUA)


@pytest.mark.slow
async def test_servers_with_the_right_rule_do_not_play_the_wrong_run() -> None:
    async with local_cluster(3, server="fakeredis") as cluster:
        found = await hunt(cluster, forgets, WRONG_LUA)
        played = await play(cluster, RIGHT_LUA, found.explorer.events)
    assert played.holds and played.covered.endswith("and 7 answers were those of the run")
