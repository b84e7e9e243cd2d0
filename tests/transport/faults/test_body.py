"""Bodies that are too large, cut short or wrongly coded: rows B1 to B5 of the fault matrix."""

from __future__ import annotations

from contextlib import AsyncExitStack
from time import process_time

import pytest

from http_enrich_transport import TransportRequest, TransportResponse
from http_enrich_transport._body import decode
from http_enrich_transport._errors import BodyError
from tests.support import codings
from tests.support.children import in_child
from tests.support.codings import CODED, MIB, TEXT, answer, gzipped
from tests.support.faults import Outcome, attempt, engine_for, outcome
from tests.support.peer import Peer, repeating, sending, serving

TOO_LARGE = ("body_too_large", "responded", 200)
INCOMPLETE = ("body_incomplete", "responded", 200)
CODING = ("content_encoding", "responded", 200)
GIVEN_UP = ("body_incomplete", "content_encoding")
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n"
THREE_GB = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000000\r\n\r\n"


def named(coding: str) -> str:
    return "deflate" if coding == "raw" else coding


async def fetched(body: bytes, *codings: str, fields: str = "") -> TransportResponse:
    async with serving(sending(answer(body, *codings, fields=fields))) as server:
        return await attempt(server.url)


async def test_memory_stays_flat_whatever_comes() -> None:
    """B1, B2, B3"""
    part = bytes(MIB)
    answers: list[bytes | Peer] = [
        repeating(UNTIL_CLOSE, part, times=3000),
        repeating(THREE_GB, part, times=3000),
        answer(codings.gzip_bomb(2048), "gzip"),
        answer(codings.brotli_bomb(512), "br"),
        answer(codings.zstd_bomb(512), "zstd"),
    ]
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(each)) for each in answers]
        found = await in_child("memory", *(each.url for each in servers))

    assert [tuple(each) for each, _ in found] == [TOO_LARGE] * 5
    assert max(grown for _, grown in found) < 64


@pytest.mark.parametrize("fields", ["", "Content-Length: 101\r\n", "Transfer-Encoding: chunked\r\n"])
@pytest.mark.parametrize(("limit", "expected"), [(100, TOO_LARGE), (101, (None, "responded", 200))])
async def test_the_limit_holds_to_the_byte(fields: str, limit: int, expected: Outcome) -> None:
    """B1"""
    body = b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n" if "chunked" in fields else b"x" * 101
    async with serving(sending(f"HTTP/1.1 200 OK\r\n{fields}\r\n".encode() + body)) as server:
        response = await attempt(server.url, max_response_bytes=limit)

    assert outcome(response) == expected


async def test_the_limit_is_for_the_decoded_body() -> None:
    """B3"""
    async with serving(answer(gzipped(bytes(101)), "gzip")) as server:
        over = await attempt(server.url, max_response_bytes=100)
        within = await attempt(server.url, max_response_bytes=101)

    assert (outcome(over), within.body) == (TOO_LARGE, bytes(101))


async def test_a_body_that_is_given_up_does_not_reach_the_next_row() -> None:
    """B2: the connection is full of it."""
    async with (
        serving(repeating(THREE_GB, bytes(MIB), times=3000)) as server,
        engine_for(server.url) as engine,
    ):
        for _ in range(2):
            assert outcome(await engine.send(TransportRequest("GET", server.url))) == TOO_LARGE

    assert server.connections == 2


@pytest.mark.parametrize("coding", CODED)
async def test_every_coding_is_undone(coding: str) -> None:
    response = await fetched(CODED[coding], named(coding))

    assert (outcome(response), response.body) == ((None, "responded", 200), TEXT)


@pytest.mark.parametrize("kept", [1, 9, 0.5, -8, -4, -1])
@pytest.mark.parametrize("coding", CODED)
async def test_a_coding_that_is_cut_short(coding: str, kept: float) -> None:
    """B4: a trailer of gzip is eight bytes, half of which are the length."""
    whole = CODED[coding]
    cut = whole[: int(len(whole) * kept) if kept == 0.5 else int(kept)]

    assert outcome(await fetched(cut, named(coding))) == INCOMPLETE


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        pytest.param(CODED["gzip"][:-8] + bytes(4) + CODED["gzip"][-4:], "gzip", id="B5-gzip-CRC"),
        pytest.param(CODED["gzip"][:-4] + bytes(4), "gzip", id="B5-gzip-length"),
        pytest.param(CODED["deflate"][:-4] + bytes(4), "deflate", id="B5-deflate-checksum"),
        *(pytest.param(CODED[each] + b"junk", named(each), id=f"B5-{each}-junk-after-it") for each in CODED),
        pytest.param(CODED["gzip"] + bytes(4) + CODED["gzip"], "gzip", id="B5-gzip-after-padding"),
        pytest.param(bytes(4) + CODED["gzip"], "gzip", id="B5-gzip-zeros-before-it"),
        pytest.param(bytes(4), "gzip", id="B5-gzip-zeros"),
        *(pytest.param(b"plain text", each, id=f"B5-{each}-not-coded") for each in ("gzip", "zstd")),
        pytest.param(CODED["gzip"], "compress", id="B5-unknown"),
        pytest.param(CODED["gzip"], "gzip;q=1", id="B5-odd"),
        pytest.param(gzipped(CODED["gzip"]), "gzip, gzip", id="B5-double"),
    ],
)
async def test_a_coding_that_is_broken_or_not_ours(body: bytes, coding: str) -> None:
    assert outcome(await fetched(body, coding)) == CODING


@pytest.mark.parametrize("coding", ["br", "deflate"])
async def test_a_body_that_is_not_coded_at_all(coding: str) -> None:
    """B5: these two have nothing by which to tell, but it is no success."""
    response = await fetched(b"plain text", coding)

    assert response.error is not None
    assert response.error.kind in GIVEN_UP


async def test_two_codings_in_lines_of_their_own() -> None:
    """B5"""
    assert outcome(await fetched(gzipped(CODED["gzip"]), "gzip", "gzip")) == CODING


@pytest.mark.parametrize(
    ("body", "coding", "expected"),
    [
        (CODED["gzip"] * 3, "gzip", TEXT * 3),
        (CODED["gzip"] + bytes(512), "gzip", TEXT),
        (CODED["zstd"] * 3, "zstd", TEXT * 3),
        (CODED["gzip"], "x-gzip", TEXT),
        (CODED["gzip"], " GZip ", TEXT),
        (b"plain", "identity", b"plain"),
        (gzipped(b""), "gzip", b""),
        *((b"", each, b"") for each in ("gzip", "deflate", "br", "zstd", "compress")),
    ],
)
async def test_what_is_odd_and_allowed(body: bytes, coding: str, expected: bytes) -> None:
    response = await fetched(body, coding)

    assert (outcome(response), response.body) == ((None, "responded", 200), expected)


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 77"),
        ("GET", "HTTP/1.1 204 None"),
        ("GET", "HTTP/1.1 304 Same\r\nContent-Length: 77"),
    ],
)
async def test_a_coding_without_a_body(method: str, head: str) -> None:
    async with serving(f"{head}\r\nContent-Encoding: gzip\r\n\r\n".encode()) as server:
        response = await attempt(server.url, method=method)

    assert (outcome(response)[0], response.body) == (None, b"")


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_body_of_nothing_but_beginnings_takes_no_time(coding: str) -> None:
    """B3: each of half a million empty pieces would cost time, but nothing of the limit."""
    empty = gzipped(b"") if coding == "gzip" else codings.zstd.compress(b"")
    started = process_time()

    with pytest.raises(BodyError, match="too many pieces"):
        decode(empty * (10 * MIB // len(empty)), coding, 10 * MIB)

    assert process_time() - started < 5
