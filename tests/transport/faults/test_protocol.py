"""Answers that are no proper HTTP: rows P1 to P8 of the fault matrix."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from http_enrich_transport import TransportRequest
from tests.support.faults import Outcome, attempt, engine_for, outcome
from tests.support.peer import OK, repeating, sending, serving, silent

OKAY = (None, "responded", 200)
PROTOCOL = ("protocol", "responded", None)
TOO_LARGE = ("header_too_large", "responded", None)
INCOMPLETE = ("body_incomplete", "responded", 200)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
FIELD = b"X-%06d: x\r\n"


def head(fields: bytes, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(head(b"Content-Length: 9", b"hi"), INCOMPLETE, id="P1-long"),
        pytest.param(head(b"Content-Length: 9"), INCOMPLETE, id="P1-nothing"),
        pytest.param(head(b"Content-Length: -1", b"hi"), PROTOCOL, id="P3-negative"),
        pytest.param(head(b"Content-Length: +2", b"hi"), PROTOCOL, id="P3-plus"),
        pytest.param(head(b"Content-Length: two", b"hi"), PROTOCOL, id="P3-word"),
        pytest.param(head(b"Content-Length: 2\r\nContent-Length: 3", b"hi"), PROTOCOL, id="P3-two"),
        pytest.param(
            head(b"Content-Length: 2\r\nTransfer-Encoding: chunked", b"2\r\nhi\r\n0\r\n\r\n"),
            PROTOCOL,
            id="P3-length-and-chunks",
        ),
        pytest.param(CHUNKED + b"zz\r\nhi\r\n0\r\n\r\n", PROTOCOL, id="P4-size"),
        pytest.param(CHUNKED + b"-2\r\nhi\r\n0\r\n\r\n", PROTOCOL, id="P4-negative-size"),
        pytest.param(CHUNKED + b"2\r\nhiXX\r\n0\r\n\r\n", PROTOCOL, id="P4-longer-than-its-size"),
        pytest.param(CHUNKED + b"9\r\nhi", INCOMPLETE, id="P4-truncated"),
        pytest.param(CHUNKED + b"2\r\nhi\r\n", INCOMPLETE, id="P4-no-last-chunk"),
        pytest.param(head(b"X: a\x00b"), PROTOCOL, id="P5-nul"),
        pytest.param(head(b"X: a\rb"), PROTOCOL, id="P5-bare-CR"),
        pytest.param(head(b"X Y: a"), PROTOCOL, id="P5-space-in-name"),
        pytest.param(head(b": a"), PROTOCOL, id="P5-no-name"),
        pytest.param(head(b"no colon"), PROTOCOL, id="P5-no-colon"),
        pytest.param(head(b"X: " + b"x" * 9000), TOO_LARGE, id="P6-long-field"),
        pytest.param(b"HTTP/1.1 200 " + b"x" * 9000 + b"\r\n\r\n", TOO_LARGE, id="P6-long-reason"),
        pytest.param(head(b"".join(FIELD % n for n in range(200))), PROTOCOL, id="P6-many-fields"),
        pytest.param(
            CHUNKED + b"2\r\nhi\r\n0\r\n" + b"".join(FIELD % n for n in range(200)) + b"\r\n",
            PROTOCOL,
            id="P6-many-trailers",
        ),
        pytest.param(b"SSH-2.0-OpenSSH_9\r\n\r\n", PROTOCOL, id="P8-ssh"),
        pytest.param(b"hello\r\n", PROTOCOL, id="P8-HTTP/0.9"),
        pytest.param(b"HTTP/1.1 1000 Odd\r\nContent-Length: 0\r\n\r\n", PROTOCOL, id="P8-1000"),
        pytest.param(b"HTTP/1.1 abc Odd\r\nContent-Length: 0\r\n\r\n", PROTOCOL, id="P8-abc"),
        pytest.param(b"HTTP/1.1 204 None\r\n\r\nhi", PROTOCOL, id="P8-204-with-body"),
    ],
)
async def test_an_answer_that_is_refused(answer: bytes, expected: Outcome) -> None:
    async with serving(sending(answer)) as server:
        response = await attempt(server.url)

    assert (outcome(response), server.requests) == (expected, 1)


@pytest.mark.parametrize(
    ("answer", "expected", "body"),
    [
        pytest.param(head(b"X: y", b"hi"), 200, b"hi", id="P8-until-close"),
        pytest.param(head(b"X: a\x01\xff\r\nContent-Length: 2", b"hi"), 200, b"hi", id="P5-odd-value"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nhi", 200, b"hi", id="P8-HTTP/1.0"),
        pytest.param(b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", id="P8-HTTP/2.0-line"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", 200, b"hi", id="P8-LF-only"),
        pytest.param(b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nhi", 999, b"hi", id="P8-999"),
        pytest.param(b"HTTP/1.1 304 Same\r\n\r\n", 304, b"", id="P8-304"),
        pytest.param(b"HTTP/1.1 304 Same\r\nContent-Length: 99999999\r\n\r\n", 304, b"", id="P8-304-length"),
        pytest.param(b"HTTP/1.1 204 None\r\n\r\n", 204, b"", id="P8-204"),
        pytest.param(
            b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 101, b"", id="P8-101"
        ),
        pytest.param(b"HTTP/1.1 100 Go on\r\n\r\n" + OK, 200, b"hi", id="P7-100"),
        pytest.param(b"HTTP/1.1 103 Hint\r\n\r\n" * 1000 + OK, 200, b"hi", id="P7-1000-times-103"),
    ],
)
async def test_an_answer_that_is_odd_and_accepted(answer: bytes, expected: int, body: bytes) -> None:
    async with serving(sending(answer)) as server:
        response = await attempt(server.url)

    assert outcome(response) == (None, "responded", expected)
    assert (response.body, server.requests) == (body, 1)


@pytest.mark.parametrize(
    ("start", "part", "expected"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n", FIELD % 1 * 100, PROTOCOL, id="P6-endless-head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1000, TOO_LARGE, id="P6-endless-field"),
        pytest.param(CHUNKED + b"0\r\n", FIELD % 1 * 100, INCOMPLETE, id="P6-endless-trailer"),
        pytest.param(
            b"",
            b"HTTP/1.1 100 Go on\r\n\r\n" * 10,
            ("total_timeout", "maybe_sent", None),
            id="P7-endless-100",
        ),
    ],
)
async def test_an_answer_without_end(start: bytes, part: bytes, expected: Outcome) -> None:
    async with serving(repeating(start, part, pause=0.001)) as server:
        response = await attempt(server.url, base_timeout=0.5)

    assert (outcome(response), server.requests) == (expected, 1)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([OK + b"junk"], id="P2-junk-with-the-body"),
        pytest.param([OK, b"junk"], id="P2-junk-after-the-body"),
        pytest.param([OK + OK.replace(b"hi", b"XX")], id="P2-an-answer-with-the-body"),
        pytest.param([OK, OK.replace(b"hi", b"XX")], id="P2-an-answer-after-the-body"),
        pytest.param([b"HTTP/1.1 204 None\r\n\r\nXX"], id="P8-204-with-body"),
        pytest.param([b"HTTP/1.1 304 Same\r\nContent-Length: 2\r\n\r\nXX"], id="P8-304-with-body"),
    ],
)
async def test_what_follows_an_answer_is_nobodys(parts: Sequence[bytes]) -> None:
    """The first row may lose its answer over it; no later row may get any of it."""
    sent, asked = asyncio.Event(), 0

    async def shifted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        if server.connections == 1:
            await sending(*parts)(reader, writer)
            sent.set()
            return await silent(reader, writer)
        while True:
            asked += 1
            writer.write(OK.replace(b"hi", b"%02d" % asked))
            await reader.readuntil(b"\r\n\r\n")

    async with serving(shifted) as server, engine_for(server.url, tcp_connection={"limit": 1}) as engine:
        request = TransportRequest("GET", server.url)
        await engine.send(request)
        await sent.wait()
        later = [(await engine.send(request)).body for _ in range(3)]

    assert (later, server.connections) == ([b"01", b"02", b"03"], 2)
