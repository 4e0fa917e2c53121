"""The HTTP store from outside: real requests to services before real servers, and before fakeredis."""

from __future__ import annotations

import asyncio
import logging
import re
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from gryadka.acceptors.servers import LocalCluster
from gryadka.http import STANDARD, Changed, DoesNotFit, Service, Store
from gryadka.http.reading import MAX_BODY_BYTES
from tests.http_client import change, client

pytestmark = pytest.mark.slow


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@pytest.fixture
async def service(cluster: LocalCluster) -> AsyncIterator[Service]:
    async with Service(Store(cluster.proposer())) as started:
        yield started


@pytest.fixture
async def http(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with client(service) as opened:
        yield opened


# -- the four operations ---------------------------------------------------------------------------------


async def test_a_record_is_made_read_replaced_and_deleted(http: httpx.AsyncClient) -> None:
    made = await http.put("/kv/todo", json=["milk"])
    assert made.status_code == 201 and made.json() == {"etag": made.headers["ETag"]}
    read = await http.get("/kv/todo")
    assert (read.status_code, read.json(), read.headers["ETag"]) == (200, ["milk"], made.headers["ETag"])
    replaced = await http.put("/kv/todo", json="тест 🦔")
    assert replaced.status_code == 200 and replaced.headers["ETag"] != made.headers["ETag"]
    assert (await http.get("/kv/todo")).json() == "тест 🦔"
    gone = await http.delete("/kv/todo")
    assert (gone.status_code, gone.content) == (204, b"")
    for missing in (await http.get("/kv/todo"), await http.delete("/kv/todo")):
        assert missing.status_code == 404 and missing.json()["error"] == "not-found"


async def test_head_is_get_without_a_body(http: httpx.AsyncClient) -> None:
    made = await http.put("/kv/a", json=1)
    head = await http.head("/kv/a")
    assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", made.headers["ETag"])
    assert (await http.head("/kv/b")).status_code == 404


async def test_no_cache_on_the_way_may_answer_by_itself(http: httpx.AsyncClient) -> None:
    await http.put("/kv/a", json=1)
    for answer in (await http.get("/kv/a"), await http.get("/kv/b"), await http.get("/healthz")):
        assert answer.headers["Cache-Control"] == "no-cache"


async def test_compare_and_set(http: httpx.AsyncClient) -> None:
    first = (await http.put("/kv/a", json=1, headers={"If-None-Match": "*"})).headers["ETag"]
    lost = await http.put("/kv/a", json=2, headers={"If-None-Match": "*"})
    assert lost.status_code == 412 and lost.headers["ETag"] == first
    assert lost.json()["current"] == {"value": 1, "etag": first} and lost.json()["outcome"] == "not applied"
    second = (await http.put("/kv/a", json=2, headers={"If-Match": first})).headers["ETag"]
    for method, body in (("PUT", "3"), ("DELETE", ""), ("POST", '{"change": "increment"}')):
        stale = await http.request(method, "/kv/a", content=body, headers={"If-Match": first})
        assert stale.status_code == 412 and stale.json()["current"]["value"] == 2
    assert (await http.request("DELETE", "/kv/a", headers={"If-Match": second})).status_code == 204
    absent = await http.put("/kv/a", json=3, headers={"If-Match": "*"})
    assert absent.status_code == 412 and absent.json()["current"] is None


async def test_a_read_may_have_conditions(http: httpx.AsyncClient) -> None:
    etag = (await http.put("/kv/a", json=1)).headers["ETag"]
    for tag in (etag, f"W/{etag}", "*"):
        same = await http.get("/kv/a", headers={"If-None-Match": tag})
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", etag)
    assert (await http.get("/kv/a", headers={"If-None-Match": '"0-0"'})).status_code == 200
    assert (await http.get("/kv/a", headers={"If-Match": etag})).status_code == 200
    other = await http.get("/kv/a", headers={"If-Match": '"0-0"'})
    assert other.status_code == 412 and other.json()["current"]["value"] == 1
    assert (await http.get("/kv/b", headers={"If-Match": "*"})).status_code == 412
    assert (await http.get("/kv/b", headers={"If-None-Match": "*"})).status_code == 404


async def test_a_condition_that_cannot_be_read_writes_nothing(http: httpx.AsyncClient) -> None:
    await http.put("/kv/a", json=1)
    for name in ("If-Match", "If-None-Match"):
        assert (await http.put("/kv/a", json=2, headers={name: "1-abc"})).status_code == 400
    assert (await http.get("/kv/a")).json() == 1


async def test_an_etag_of_a_deleted_record_never_matches_again(http: httpx.AsyncClient) -> None:
    old = (await http.put("/kv/a", json=1)).headers["ETag"]
    await http.delete("/kv/a")
    new = (await http.put("/kv/a", json=1)).headers["ETag"]
    assert old.startswith('"1-') and new.startswith('"1-') and old != new
    assert (await http.put("/kv/a", json=2, headers={"If-Match": old})).status_code == 412


@pytest.mark.parametrize("path", ["a/b", "a%2Fb", "%00", "%20", "%D1%82", "т", "a%3Fb%23", "gryadka:acceptor"])
async def test_a_key_is_any_text(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.put(f"/kv/{path}", json=path)).status_code == 201
    assert (await http.get(f"/kv/{path}")).json() == path


async def test_a_key_is_the_same_however_it_is_encoded(service: Service, http: httpx.AsyncClient) -> None:
    await http.put("/kv/%D1%82%2F", json=1)
    _, port = service.url.rsplit(":", 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write("GET /kv/т/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())  # as curl sends it
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()


# -- changes by name -------------------------------------------------------------------------------------


async def test_changes_by_name(http: httpx.AsyncClient) -> None:
    assert (await change(http, "n", "increment")).json()["result"] == 1
    added = await change(http, "n", "increment", by=41)
    assert (added.status_code, added.json()) == (200, {"result": 42, "etag": added.headers["ETag"]})
    await change(http, "list", "append", item="a")
    assert (await change(http, "list", "append", item="b")).json()["result"] == 2
    assert (await change(http, "list", "take")).json()["result"] == "a"
    assert (await http.get("/kv/list")).json() == ["b"]
    await change(http, "object", "merge", patch={"a": 1, "b": None})
    assert (await http.get("/kv/object")).json() == {"a": 1}


async def test_a_change_that_does_not_fit_changes_nothing(http: httpx.AsyncClient) -> None:
    made = await http.put("/kv/a", json="text")
    refused = await change(http, "a", "increment")
    assert refused.status_code == 409 and refused.json()["error"] == "does-not-fit"
    assert (await http.get("/kv/a")).headers["ETag"] == made.headers["ETag"]


async def test_a_change_may_not_make_what_cannot_be_stored(http: httpx.AsyncClient) -> None:
    for value, by in (("1e308", "1e308"), ("9" * 4300, "9" * 4300)):
        await http.put("/kv/a", content=value)
        body = f'{{"change": "increment", "arguments": {{"by": {by}}}}}'
        assert (await http.post("/kv/a", content=body)).status_code == 409
    await http.put("/kv/a", content=f'["{"x" * (MAX_BODY_BYTES - 10)}"]')
    assert (await change(http, "a", "append", item="x" * 100)).status_code == 413


async def test_an_unknown_change_is_refused_with_those_that_there_are(http: httpx.AsyncClient) -> None:
    unknown = await change(http, "a", "drop-everything")
    assert unknown.status_code == 400 and "append, increment, merge, take" in unknown.json()["message"]


async def test_changes_of_ones_own(cluster: LocalCluster, caplog: pytest.LogCaptureFixture) -> None:
    def double(value: Any) -> Changed:
        if value is None:
            raise DoesNotFit("nothing to double")
        return Changed(2 * value, result="doubled")

    def broken(value: Any) -> Changed:
        raise KeyError("a bug")

    store = Store(cluster.proposer(), changes={**STANDARD, "double": double, "broken": broken})
    async with Service(store) as service, client(service) as http:
        assert (await change(http, "a", "double")).json()["message"] == "nothing to double"
        await http.put("/kv/a", json=21)
        assert (await change(http, "a", "double")).json()["result"] == "doubled"
        with caplog.at_level(logging.ERROR):
            failed = await change(http, "a", "broken")
        assert failed.status_code == 500 and failed.json()["outcome"] == "not applied"
        assert "KeyError: 'a bug'" in caplog.text
        assert (await http.get("/kv/a")).json() == 42


# -- requests that come again ----------------------------------------------------------------------------


async def test_a_repeated_request_gets_the_first_answer_from_any_service(cluster: LocalCluster) -> None:
    services = [Service(Store(cluster.proposer())) for _ in range(2)]
    async with services[0], services[1], client(services[0]) as one, client(services[1]) as two:
        answer = await change(one, "n", "increment", once="a", by=5)
        await change(two, "n", "increment", by=100)
        for http in (one, two):
            again = await change(http, "n", "increment", once="a", by=5)
            assert (again.status_code, again.json()) == (200, answer.json())
            assert again.headers["ETag"] == answer.headers["ETag"]
        assert (await two.get("/kv/n")).json() == 105


async def test_a_repeated_request_gets_the_first_answer_after_everything_was_restarted(cluster: LocalCluster) -> None:
    async with Service(Store(cluster.proposer())) as service, client(service) as http:
        answer = (await change(http, "n", "increment", once="a")).json()
    for number in range(3):
        await cluster.kill(number)
        await cluster.restart(number)
    async with Service(Store(cluster.proposer())) as service, client(service) as http:
        assert (await change(http, "n", "increment", once="a")).json() == answer
        assert (await http.get("/kv/n")).json() == 1


async def test_of_the_same_request_at_the_same_time_one_is_applied(cluster: LocalCluster) -> None:
    services = [Service(Store(cluster.proposer(timeout_s=20))) for _ in range(2)]
    async with services[0], services[1], client(services[0]) as one, client(services[1]) as two:
        repeats = [change((one, two)[n % 2], "n", "increment", once="same") for n in range(12)]
        answers = {answer.text for answer in await asyncio.gather(*repeats)}
        assert len(answers) == 1
        assert (await one.get("/kv/n")).json() == 1


async def test_put_and_delete_take_an_idempotency_key_too(http: httpx.AsyncClient) -> None:
    once = {"Idempotency-Key": "put"}
    made = await http.put("/kv/a", json=1, headers=once)
    await http.put("/kv/a", json=2)
    assert (again := await http.put("/kv/a", json=1, headers=once)).status_code == 201 and again.text == made.text
    assert (await http.get("/kv/a")).json() == 2
    for _ in range(2):  # the second time it is gone already, and that is what the first one was told
        assert (await http.request("DELETE", "/kv/a", headers={"Idempotency-Key": "del"})).status_code == 204
    assert (await http.put("/kv/a", json=1, headers=once)).text == made.text
    assert (await http.get("/kv/a")).status_code == 404  # a late repeat does not bring it back


async def test_a_key_of_another_request_is_refused(http: httpx.AsyncClient) -> None:
    await change(http, "n", "increment", once="a")
    for other in (
        await change(http, "n", "increment", once="a", by=2),
        await http.put("/kv/n", json=1, headers={"Idempotency-Key": "a"}),
        await http.request("DELETE", "/kv/n", headers={"Idempotency-Key": "a"}),
    ):
        assert other.status_code == 422 and other.json()["error"] == "idempotency-key-reused"
    assert (await http.get("/kv/n")).json() == 1
    assert (await change(http, "other", "increment", once="a")).status_code == 200  # keys belong to a record


# -- what is not a request of this store -----------------------------------------------------------------


async def test_other_methods_and_paths(http: httpx.AsyncClient) -> None:
    for method in ("PATCH", "OPTIONS", "NONSENSE"):
        answer = await http.request(method, "/kv/a")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, PUT, POST, DELETE")
        assert answer.json()["outcome"] == "not applied"
    assert (await http.post("/healthz")).headers["Allow"] == "GET, HEAD"
    for path in ("/", "/kv", "/nothing", "/kvx/a"):
        assert (await http.get(path)).status_code == 404
    assert (await http.get("/kv/")).status_code == 400


async def test_a_question_mark_in_a_key_is_not_taken_for_its_end(http: httpx.AsyncClient) -> None:
    answer = await http.put("/kv/a?b", json=1)
    assert answer.status_code == 400 and "%3F" in answer.json()["message"]
    assert (await http.get("/kv/a")).status_code == 404


async def test_sizes_are_limited(http: httpx.AsyncClient) -> None:
    largest = b'"' + b"x" * (MAX_BODY_BYTES - 2) + b'"'
    assert (await http.put("/kv/a", content=largest)).status_code == 201
    assert (await http.get("/kv/a")).content == largest + b"\n"

    async def chunks() -> AsyncIterator[bytes]:
        yield largest[:-1]
        yield b'x"'

    for body in (largest[:-1] + b'x"', chunks()):
        answer = await http.put("/kv/a", content=body)
        assert answer.status_code == 413 and answer.json()["error"] == "too-large"
    assert (await http.put("/kv/" + "k" * 1025, json=1)).status_code == 414
    assert (await http.put("/kv/a", json=1, headers={"Content-Encoding": "gzip"})).status_code == 415


@pytest.mark.parametrize(("method", "path", "status"), [("PUT", "/nothing", b"404"), ("BREW", "/healthz", b"405")])
async def test_a_body_that_nobody_wants_is_not_waited_for(
    service: Service, method: str, path: str, status: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(service.url).port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n".encode())
    async with asyncio.timeout(10):
        assert (await reader.readuntil(b"\r\n")).split()[1] == status
    await closed(writer)


@pytest.mark.parametrize(
    ("method", "path", "ends"),
    [
        ("GET", "/nothing", True), ("GET", "/kv/%FF", True), ("BREW", "/kv/a", True), ("GET", "/kv/a?b", True),
        ("GET", "/kv/a", False), ("PUT", "/kv/a", False), ("PUT", "/healthz", False), ("GET", "/healthz", False),
    ],
)  # fmt: skip
async def test_a_connection_that_ends_is_said_to_end(service: Service, method: str, path: str, ends: bool) -> None:
    """Else a client would send its next request on it, and never know whether it arrived."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(service.url).port)
    for _ in range(1 if ends else 2):
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1".encode())
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            assert (b"Connection: close" in head) == ends
            (length,) = re.findall(rb"Content-Length: (\d+)", head)
            await reader.readexactly(int(length))
    if ends:
        async with asyncio.timeout(10):
            assert await reader.read() == b""
    await closed(writer)


async def test_a_body_that_nobody_wants_is_not_kept(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(service.url).port)
    chunk = b"x" * 1_000_000
    tracemalloc.start()
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\n")
        for _ in range(60):
            writer.write(chunk)
            await writer.drain()
        assert (await reader.readuntil(b"\r\n")).split()[1] == b"200"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await closed(writer)
    assert peak < 30_000_000


@pytest.mark.parametrize("head", ["Content-Length: 99999999999", "Transfer-Encoding: chunked"])
async def test_a_body_that_is_too_large_is_refused_before_it_has_ended(service: Service, head: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(service.url).port)
    writer.write(f"PUT /kv/a HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
    if "chunked" in head:
        writer.write(b"%x\r\n" % (2 * MAX_BODY_BYTES) + b" " * (MAX_BODY_BYTES + 1))
    async with asyncio.timeout(10):
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 413")
    await closed(writer)


async def test_a_web_page_of_somebody_else_cannot_write(http: httpx.AsyncClient) -> None:
    answer = await http.post("/kv/a", content="{}", headers={"Sec-Fetch-Site": "cross-site", "Origin": "http://e.x"})
    assert answer.status_code == 403 and "web page" in answer.json()["message"]


async def test_a_register_of_something_else_is_left_alone(cluster: LocalCluster, http: httpx.AsyncClient) -> None:
    proposer = cluster.proposer()
    await proposer.change("a", lambda _: {"theirs": 1})
    for method, body in (("GET", ""), ("PUT", "1"), ("DELETE", ""), ("POST", '{"change": "increment"}')):
        answer = await http.request(method, "/kv/a", content=body)
        assert answer.status_code == 409 and answer.json()["error"] == "not-a-record"
    assert await proposer.change("a", lambda value: value) == {"theirs": 1}
