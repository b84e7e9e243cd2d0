"""Connections that fail: rows N1 to N16, and N19, of the fault matrix."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from http_enrich_transport import TransportRequest
from tests.support.children import in_child
from tests.support.faults import Outcome, attempt, engine_for, outcome
from tests.support.names import NXDOMAIN, resolving
from tests.support.peer import (
    OK,
    Peer,
    closed_port,
    full_backlog,
    hang_up,
    repeating,
    reset,
    sending,
    serving,
    silent,
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"
METHODS = ["GET", "PUT", "POST"]


@pytest.mark.parametrize("method", METHODS)
async def test_a_port_where_nobody_listens(method: str) -> None:
    """N1"""
    response = await attempt(f"http://127.0.0.1:{closed_port()}/", method=method)

    assert outcome(response) == ("connect_refused", "not_sent", None)


async def test_a_peer_that_does_not_answer_the_first_packet() -> None:
    """N2"""
    async with full_backlog() as url:
        response = await attempt(url, method="POST", connect_timeout=0.1)

    assert outcome(response) == ("connect_timeout", "not_sent", None)


async def test_a_network_that_cannot_be_reached() -> None:
    """N3: the kernel refuses a TCP connection to the broadcast address of loopback with errno 101."""
    response = await attempt("http://127.255.255.255:9/")

    assert outcome(response) == ("connect_error", "not_sent", None)
    assert response.error is not None
    assert "ENETUNREACH" in response.error.message


async def test_a_name_that_does_not_exist() -> None:
    """N4"""
    with resolving(api_test=NXDOMAIN) as names:
        async with engine_for("http://api.test/") as engine:
            answers = [await engine.send(TransportRequest("POST", "http://api.test/")) for _ in range(5)]

    assert {outcome(each) for each in answers} == {("dns", "not_sent", None)}
    assert names.asked["api.test"] == 1


async def test_a_name_service_that_hangs_takes_its_own_rows_only() -> None:
    """N5: asyncio's own threads are six on two cores."""
    hung = {f"dead{number}_test": None for number in range(8)}
    with resolving(healthy_test="127.0.0.1", **hung):
        async with (
            serving(OK) as server,
            engine_for("http://healthy.test/", connect_timeout=1) as engine,
        ):
            hosts = [name.replace("_", ".") for name in hung]
            dead = [
                asyncio.create_task(engine.send(TransportRequest("POST", f"http://{host}/")))
                for host in hosts
            ]
            await asyncio.sleep(0)
            port = server.url.rpartition(":")[2]
            healthy = await engine.send(TransportRequest("GET", f"http://healthy.test:{port}/"))
            running = sum(not each.done() for each in dead)
            lost = await asyncio.gather(*dead)

    assert (outcome(healthy), running) == ((None, "responded", 200), 8)
    assert {outcome(each) for each in lost} == {("dns_timeout", "not_sent", None)}


@pytest.mark.parametrize("addresses", [["127.0.0.3", "127.0.0.1"], ["127.0.0.1", "127.0.0.3"]])
async def test_one_dead_address_of_several(addresses: list[str]) -> None:
    """N6"""
    with resolving(api_test=addresses):
        async with serving(OK) as server:
            url = f"http://api.test:{server.url.rpartition(':')[2]}/"
            response = await attempt(url, method="POST")

    assert (outcome(response), server.requests) == ((None, "responded", 200), 1)


async def test_an_address_that_swallows_packets_does_not_hold_up_the_next() -> None:
    """N6"""
    async with full_backlog() as url:
        port = int(url.rstrip("/").rpartition(":")[2])
        listener = await asyncio.start_server(_answer, "127.0.0.2", port)
        async with listener:
            with resolving(api_test=["127.0.0.1", "127.0.0.2"]):
                tcp = {"happy_eyeballs_delay": 0.02}
                response = await attempt(f"http://api.test:{port}/", tcp_connection=tcp)

    assert outcome(response) == (None, "responded", 200)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK)
    writer.close()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        pytest.param(hang_up, ("disconnected", "maybe_sent", None), id="N7-closed"),
        pytest.param(reset, ("reset", "maybe_sent", None), id="N8-reset"),
        pytest.param(sending(HEAD[:20], then=reset), ("reset", "maybe_sent", None), id="N9-reset-in-head"),
        pytest.param(sending(HEAD[:20]), ("disconnected", "maybe_sent", None), id="N9-closed-in-head"),
        pytest.param(
            sending(HEAD + b"\r\nhi", then=reset),
            ("body_incomplete", "responded", 200),
            id="N10-reset-in-body",
        ),
    ],
)
async def test_a_connection_that_breaks(peer: Peer, expected: Outcome, method: str) -> None:
    async with serving(peer) as server:
        response = await attempt(server.url, method=method)

    assert outcome(response) == expected
    assert (server.connections, server.requests) == (1, 1)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        pytest.param(silent, ("read_timeout", "maybe_sent", None), id="N11-no-answer"),
        pytest.param(
            sending(HEAD + b"\r\nhi", then=silent), ("read_timeout", "responded", 200), id="N13-body-stalls"
        ),
    ],
)
async def test_a_peer_that_falls_silent(peer: Peer, expected: Outcome) -> None:
    async with serving(peer) as server:
        response = await attempt(server.url, method="PUT", read_timeout=0.5)

    assert (outcome(response), server.requests) == (expected, 1)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        pytest.param(
            repeating(b"HTTP/1.1 200 OK\r\nX: ", b"x", pause=0.02),
            ("total_timeout", "maybe_sent", None),
            id="N12-slow-head",
        ),
        pytest.param(
            repeating(b"HTTP/1.1 200 OK\r\n\r\n", b"x", pause=0.02),
            ("total_timeout", "responded", 200),
            id="N14-drip",
        ),
    ],
)
async def test_a_peer_that_is_never_silent_and_never_done(peer: Peer, expected: Outcome) -> None:
    """A limit on silence alone would let it go on for ever."""
    async with serving(peer) as server:
        response = await attempt(server.url, read_timeout=30, base_timeout=0.5)

    assert (outcome(response), server.requests) == (expected, 1)


@pytest.mark.parametrize(
    "at_once", [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", b""], ids=["body", "head"]
)
async def test_each_byte_ends_a_silence(at_once: bytes) -> None:
    """An answer, or its head, may take longer than a silence may."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nxxxxxx"
    slowly = answer.removeprefix(at_once)

    async def hesitant(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(at_once)
        size = -(-len(slowly) // 6)
        for start in range(0, len(slowly), size):
            await asyncio.sleep(0.25)
            writer.write(slowly[start : start + size])
            await writer.drain()

    async with serving(hesitant) as server:
        response = await attempt(server.url, read_timeout=1.2)

    assert (outcome(response), response.body) == ((None, "responded", 200), b"xxxxxx")


async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request; hang up on the next."""
    writer.write(OK)
    await reader.readuntil(b"\r\n\r\n")


@pytest.mark.parametrize("method", METHODS)
async def test_an_idle_connection_that_closes_on_a_request(method: str) -> None:
    """N15: what went out on the old connection is not sent again behind our back."""
    async with serving(once) as server, engine_for(server.url) as engine:
        first = await engine.send(TransportRequest("GET", server.url))
        second = await engine.send(TransportRequest(method, server.url))

    assert outcome(first) == (None, "responded", 200)
    assert outcome(second) == ("disconnected", "maybe_sent", None)
    assert server.connections == 1


async def test_a_peer_that_closes_after_every_answer() -> None:
    """N16"""
    closing = OK.replace(b"X-Tag: a", b"Connection: close")
    async with serving(sending(closing)) as server, engine_for(server.url) as engine:
        request = TransportRequest("POST", server.url)
        answers = await asyncio.gather(*(engine.send(request) for _ in range(100)))

    assert {outcome(each) for each in answers} == {(None, "responded", 200)}
    assert (server.connections, server.requests) == (100, 100)


async def test_running_out_of_file_descriptors_is_our_own_fault() -> None:
    """N19: and it passes."""
    async with serving(OK) as server:
        short, afterwards = await in_child("descriptors", server.url)

    found = Counter(map(tuple, short))
    assert set(found) == {("local_resource", "not_sent", None), (None, "responded", 200)}
    assert found["local_resource", "not_sent", None] >= 10
    assert afterwards == [None, "responded", 200]
