"""Bodies and headers that pyreqwest hands over."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import zlib

import brotli
import pytest
from backports import zstd

from http_enrich_transport import TransportRequest
from tests.support.codings import gzipped
from tests.support.peer import reset, sending, serving
from tests.support.rust import ask, outcome, rust

TEXT = b"gr\xc3\xbc\xc3\x9fe" * 1000
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def coded(coding: str, body: bytes) -> bytes:
    return HEAD + f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: 9\r\n\r\nhi",
        HEAD + b"Content-Length: 200000\r\n\r\n" + b"x" * 100_000,
        CHUNKED + b"2\r\nhi\r\n",
        CHUNKED + b"9\r\nhi",
        CHUNKED + b"zz\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"fffffffffffffffff\r\nhi",
    ],
    ids=["length", "long", "no last chunk", "in a chunk", "no size", "size of 68 bits"],
)
async def test_a_body_cut_short_is_no_body(answer: bytes) -> None:
    async with serving(sending(answer)) as server:
        response = await ask(server.url)

    assert outcome(response) == ("body_incomplete", "responded", 200)
    assert response.body == b""


async def test_a_reset_in_the_body_keeps_the_status() -> None:
    async with serving(sending(CHUNKED + b"2\r\nhi\r\n", then=reset)) as server:
        response = await ask(server.url)

    assert outcome(response) == ("body_incomplete", "responded", 200)


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"\r\nhi",
        CHUNKED + b"1\r\nh\r\n1;x=y\r\ni\r\n0\r\nX-Trailer: 1\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
    ],
    ids=["until the end", "chunked", "chunked beats length"],
)
async def test_the_framing_decides_what_the_body_is(answer: bytes) -> None:
    async with serving(sending(answer)) as server:
        response = await ask(server.url)

    assert (response.body, response.error) == (b"hi", None)


async def test_an_endless_body_stops_at_the_limit() -> None:
    """What the peer could write is what we could hold, but for the sockets' buffers."""
    written = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(HEAD + b"\r\n")
        while written < 256 * 1024 * 1024:
            writer.write(b"x" * 65536)
            await writer.drain()
            written += 65536

    async with serving(endless) as server:
        response = await ask(server.url, max_response_bytes="1MiB")

    assert outcome(response) == ("body_too_large", "responded", 200)
    assert written < 32 * 1024 * 1024


LIAR = """
import asyncio, sys
from tests.support.peer import sending, serving
from tests.support.rust import ask

async def main(method, limit):
    async with serving(sending(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % 2**60)) as server:
        response = await ask(server.url, method=method, max_response_bytes=int(limit))
    print(response.status, response.error.kind if response.error else None)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("method", "limit", "said"),
    [("GET", 100, "200 body_too_large"), ("GET", 2**62, "200 body_incomplete"), ("HEAD", 100, "200 None")],
)
def test_a_lie_about_the_length_costs_no_memory(method: str, limit: int, said: str) -> None:
    """Rust would set it aside at once and abort the process, so this runs in one of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LIAR, method, str(limit)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert (done.returncode, done.stdout.strip()) == (0, said), done.stderr


async def test_one_unreadable_header_does_not_hide_the_others() -> None:
    fields = (
        b"X-A: 1\r\nSet-Cookie: a=1\r\nX-Odd: gr\xfc\xdfe\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nhi"
    )

    async with serving(HEAD + fields) as server:
        response = await ask(server.url)

    assert (response.status, response.body, response.error) == (200, b"hi", None)
    assert [*response.headers.items()] == [
        ("x-a", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-odd", ""), ("content-length", "2")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzipped(TEXT)),
        ("x-gzip", gzipped(TEXT[:10]) + gzipped(TEXT[10:])),
        ("deflate", zlib.compress(TEXT)),
        ("br", brotli.compress(TEXT)),
        ("zstd", zstd.compress(TEXT)),
        ("identity", TEXT),
    ],
)
async def test_codings_are_undone(coding: str, body: bytes) -> None:
    async with serving(coded(coding, body)) as server:
        response = await ask(server.url)

    assert (response.body, response.error) == (TEXT, None)
    assert b"accept-encoding: gzip, deflate, br, zstd\r\n" in server.heads[0].lower()


@pytest.mark.parametrize(
    ("coding", "body", "kind"),
    [
        ("gzip", gzipped(TEXT)[:-5], "body_incomplete"),
        ("br", brotli.compress(TEXT)[:-5], "body_incomplete"),
        ("zstd", zstd.compress(TEXT)[:-5], "body_incomplete"),
        ("gzip", b"no gzip", "content_encoding"),
        ("gzip, gzip", gzipped(gzipped(TEXT)), "content_encoding"),
        ("gzip\r\nContent-Encoding: br", brotli.compress(gzipped(TEXT)), "content_encoding"),
        ("compress", b"x", "content_encoding"),
        ("gzip", gzipped(bytes(20_000)), "body_too_large"),
    ],
)
async def test_codings_that_cannot_be_undone(coding: str, body: bytes, kind: str) -> None:
    async with serving(coded(coding, body)) as server:
        response = await ask(server.url, max_response_bytes=10_000)

    assert outcome(response) == (kind, "responded", 200)


async def test_a_connection_is_used_again_after_its_body() -> None:
    async with (
        serving(HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000) as server,
        rust(server.url) as engine,
    ):
        for _ in range(5):
            response = await engine.send(TransportRequest("GET", server.url))

    assert (len(response.body), server.connections) == (100_000, 1)
