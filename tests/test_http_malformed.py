"""10,000 requests that no good client sends: never a 500, never a hang, and never a loss of what was acknowledged.

Requests are bytes on a socket, since a client library would refuse to send most of them. One seed makes them all.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest

import gryadka
from gryadka.acceptors.servers import find_server
from gryadka.http import Service, Store
from gryadka.http.reading import MAX_BODY_BYTES
from tests.http_client import change, client

REQUESTS = 10_000
AT_ONCE = 32
STATUS = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) ")
LATE_S = 20.0
QUIET_S = 0.3

# -- the requests ----------------------------------------------------------------------------------------


def http(method: bytes = b"PUT", path: bytes = b"/kv/junk", body: bytes = b"", *headers: bytes) -> bytes:
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *headers, b"", body]
    return b"\r\n".join(lines)


def key(rng: random.Random) -> bytes:
    return b"/kv/junk-%d" % rng.randrange(20)


def noise(rng: random.Random, longest: int = 200) -> bytes:
    return rng.randbytes(rng.randrange(1, longest))


GOOD = [
    b'{"change": "increment", "arguments": {"by": 2}}',
    b'{"change": "append", "arguments": {"item": ["x", null]}}',
    b'{"change": "merge", "arguments": {"patch": {"a": {"b": null}}}}',
    b'{"change": "take"}',
]
BODIES = [
    b"", b"hello", b"{", b"]", b"NaN", b"-Infinity", b"1e999", b'"\\ud800"', b"\xff\xfe", b"\xef\xbb\xbf1", b"'a'",
    b"{}", b"[" * 200_000, b"[" * 101 + b"]" * 101, b'{"a":' * 5000, b"9" * 5000, b'"\x00"', b"\x00", b'{"change": 1}',
    b"[1,]",
    b'{"change": "nothing"}', b'{"change": "append"}', b'{"change": "increment", "arguments": {"value": 1}}',
    b'{"change": "__init__"}', b'{"change": "increment", "arguments": []}', b'{"change": "take", "arguments": null}',
    b'{"change": "increment", "arguments": {"by": "1"}}', b'{"change": "increment", "arguments": {"by": 1e308}}',
    b'{"change": "increment", "arguments": {"by": ' + b"9" * 4300 + b"}}", b'{"change": "increment", "\\ud800": 1}',
]  # fmt: skip
HEADERS = [
    b"If-Match:", b"If-Match: 1-abc", b'If-Match: "', b'If-Match: "\xff"', b"If-Match: *, *", b"If-None-Match: W/",
    b'If-Match: "a"\r\nIf-Match: *', b"Idempotency-Key:", b"Idempotency-Key: a b", b"Idempotency-Key: " + b"k" * 300,
    b"Idempotency-Key: \xe9", b"Content-Length: -1", b"Content-Length: 1, 2", b"Content-Length: abc",
    b"Content-Length: 99999999999999999999999", b"Content-Length: " + b"9" * 5000, b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked, chunked", b"Content-Encoding: gzip",
    b"Expect: 100-continue", b'If-Match: "0-0"',
    b"Expect: 200-maybe", b"No colon", b": no name", b"Spaced : name", b"N\x00: x", b"X: \x00", b"X: a\rb", b" folded",
    b"Host: y", b"Host: y, z", b"Connection: close", b"Connection: upgrade\r\nUpgrade: websocket",
    b"X: " + b"x" * 70_000,
    b"Content-Type: multipart/form-data", b"Content-Type: multipart/form-data; boundary=x", b"Range: bytes=9-1",
    b"Content-Type: application/x-www-form-urlencoded", b"Authorization: \xff", b"Cookie: =;=;;", b"Accept: \x7f",
    b"X-Forwarded-For: nonsense", b"Origin: null", b"Sec-Fetch-Site: cross-site", b"If-None-Match: " + b'"a",' * 2000,
]  # fmt: skip
PATHS = [
    b"", b"/", b"/kv", b"/kv/", b"/kv/%", b"/kv/%zz", b"/kv/%FF", b"/kv/%C3%28", b"/kv/%ED%A0%80",
    b"/kv/" + b"k" * 1025, b"/kv/" + b"%41" * 2000, b"/kv/" + b"k" * 60_000, b"/kv/../etc/passwd",
    b"/kv/junk?x=1", b"/kv/junk?" + b"&" * 5000, b"/kv/junk#x", b"/kv/\xff\xfe", b"/kv/a b", b"/kv/%00", b"//kv/a", b"*",
    b"http://x/kv/junk", b"http://[/kv/junk",
    b"x:99999", b"/kv/junk;x", b"/kv/%25%32%46", b"/healthz/x", b"/metrics?x", b"/kv/\r", b"/KV/a", b"/kv/junk\t",
]  # fmt: skip
METHODS = [b"PATCH", b"OPTIONS", b"TRACE", b"CONNECT", b"put", b"P\x00T", b"", b"PRI", b"X" * 5000, b"\xff", b"GET GET"]
GARBAGE = [
    b"", b"\r\n", b"\r\n\r\n", b"\x00" * 1000, b"GET", b"GET /kv/a", b"GET /kv/a\r\n\r\n",
    b"GET /kv/a HTTP/0.9\r\n\r\n",
    b"GET /kv/a HTTP/1.1\r\n\r\n", b"GET /kv/a HTTP/9.9\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"*1\r\n$4\r\nPING\r\n", b"HTTP/1.1 200 OK\r\n\r\n",
    b"PUT /kv/junk HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[1", b"A" * 70_000,
    b"PUT /kv/junk HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"PUT /kv/junk HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n11\r\n0\r\n\r\n",
    b"PUT /kv/junk HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"PUT /kv/junk HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
]  # fmt: skip


def bad_body(rng: random.Random) -> bytes:
    body = rng.choice([rng.choice(BODIES), noise(rng), rng.choice(GOOD)[: rng.randrange(40)]])
    return http(rng.choice([b"PUT", b"POST"]), key(rng), body)


def huge_body(rng: random.Random) -> bytes:
    body = b"[" + b"1" * (MAX_BODY_BYTES + rng.randrange(1000)) + b"]"
    if rng.random() < 0.5:
        return http(b"PUT", key(rng), body)
    head = b"PUT " + key(rng) + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


def bad_header(rng: random.Random) -> bytes:
    odd = b"X" + noise(rng, 20) + b": " + noise(rng)
    headers = [rng.choice([*HEADERS, odd]) for _ in range(rng.randrange(1, 4))]
    return http(rng.choice([b"GET", b"PUT", b"POST", b"DELETE"]), key(rng), rng.choice(GOOD), *headers)


def bad_path(rng: random.Random) -> bytes:
    path = rng.choice([rng.choice(PATHS), b"/kv/" + noise(rng)])
    return http(rng.choice([b"GET", b"PUT", b"POST", b"DELETE", b"HEAD"]), path, b"1")


def bad_method(rng: random.Random) -> bytes:
    return http(rng.choice([*METHODS, noise(rng, 20)]), rng.choice([key(rng), b"/healthz", b"/metrics"]), b"1")


def garbage(rng: random.Random) -> bytes:
    return rng.choice([rng.choice(GARBAGE), noise(rng, 2000), noise(rng) + b"\r\n\r\n"])


def mutated(rng: random.Random) -> bytes:
    """Good requests, one after the other, with some bytes changed, left out or doubled."""
    good = [http(b"POST", key(rng), rng.choice(GOOD), b"Idempotency-Key: k"), http(b"GET", key(rng))]
    raw = bytearray(b"".join(good * rng.randrange(1, 4)))
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(len(raw))
        raw[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
    return bytes(raw)


KINDS: list[tuple[Callable[[random.Random], bytes], int]] = [
    (bad_body, 20), (huge_body, 1), (bad_header, 25), (bad_path, 20), (bad_method, 10), (garbage, 10), (mutated, 14),
]  # fmt: skip


# -- sending them ----------------------------------------------------------------------------------------


async def send(port: int, raw: bytes) -> list[int]:
    """Return the statuses of all answers to `raw`, once the server has closed the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        writer.write(raw)
        # Some wait for more of the request: once nothing comes, they are told that there is no more.
        with suppress(TimeoutError):
            while chunk := await asyncio.wait_for(reader.read(65_536), 0.05 if answer else QUIET_S):
                answer += chunk
        writer.write_eof()
        while chunk := await reader.read(65_536):
            answer += chunk
    except OSError:
        pass  # it may end the connection before it has read all
    finally:
        writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return [int(status) for status in STATUS.findall(answer)]


async def attack(port: int, rng: random.Random, times: int, met: Counter[int]) -> None:
    kinds, weights = zip(*KINDS, strict=True)
    for _ in range(times):
        raw = rng.choices(kinds, weights)[0](rng)
        async with asyncio.timeout(LATE_S):
            statuses = await send(port, raw)
        assert all(status < 500 for status in statuses), (statuses, raw[:500])
        met.update(statuses or [0])


async def witness(http: httpx.AsyncClient, number: int, over: asyncio.Event) -> tuple[int, str]:
    """A good client meanwhile: return its count of acknowledged changes, and the ETag of the last one."""
    acknowledged, etag = 0, ""
    while not over.is_set():
        answer = await change(http, f"witness-{number}", "append", once=f"{number}-{acknowledged}", item=acknowledged)
        assert answer.status_code == 200 and answer.json()["result"] == acknowledged + 1
        acknowledged, etag = acknowledged + 1, answer.headers["ETag"]
        await asyncio.sleep(0.05)
    return acknowledged, etag


@pytest.mark.slow
async def test_ten_thousand_malformed_requests_do_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    met: Counter[int] = Counter()
    over = asyncio.Event()
    async with (
        gryadka.local_cluster(3, server=find_server()) as cluster,
        Service(Store(cluster.proposer(timeout_s=30))) as service,
        client(service) as http,
    ):
        port = urlsplit(service.url).port or 0
        good = [asyncio.create_task(witness(http, number, over)) for number in range(2)]
        attackers = (attack(port, random.Random(seed), REQUESTS // AT_ONCE + 1, met) for seed in range(AT_ONCE))
        try:
            await asyncio.gather(*attackers)
        finally:
            over.set()
            told = await asyncio.gather(*good)
        for number, (acknowledged, etag) in enumerate(told):
            kept = await http.get(f"/kv/witness-{number}")
            assert kept.json() == list(range(acknowledged)) and kept.headers["ETag"] == etag
        assert (await http.get("/healthz")).status_code == 200
        figures = (await http.get("/metrics")).text
    assert 'status="500"' not in figures
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert {0, 200, 400, 403, 404, 405, 409, 412, 413, 414, 415, 422} <= met.keys(), met  # 0: no answer at all
