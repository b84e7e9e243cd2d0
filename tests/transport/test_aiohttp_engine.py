"""The aiohttp engine against real sockets on loopback."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from http_enrich_transport import (
    AiohttpEngine,
    AiohttpEngineConfig,
    Sent,
    TcpConnectionConfig,
    TransportErrorKind,
    TransportRequest,
    TransportResponse,
    TransportRuntimeFactory,
)
from http_enrich_transport._deadlines import Attempt
from http_enrich_transport.aiohttp_engine._errors import as_response
from tests.support.peer import OK, closed_port, full_backlog, serving


async def ask(url: str, *, method: str = "GET", timeout: float = 5, **request: object) -> TransportResponse:
    config = AiohttpEngineConfig(base_timeout=timeout, warmup_timeout=0)
    async with TransportRuntimeFactory(config, base_url=url).create() as engine:
        return await engine.send(TransportRequest(method, url, **request))  # type: ignore[arg-type]


async def test_answers_with_status_headers_and_body() -> None:
    async with serving(OK) as server:
        response = await ask(server.url + "/x", headers={"X-A": "1"})

    assert (response.status, response.body, response.error) == (200, b"hi", None)
    assert response.headers["x-tag"] == "a"
    assert b"X-A: 1" in server.heads[0]


async def test_refused_connection_is_a_value_and_not_sent() -> None:
    response = await ask(f"http://127.0.0.1:{closed_port()}/")

    assert response.error is not None
    assert (response.error.kind, response.sent) == (TransportErrorKind.CONNECT_REFUSED, Sent.NOT_SENT)


async def test_unknown_host_is_dns() -> None:
    response = await ask("http://no-such-host.invalid/")

    assert response.error is not None
    assert (response.error.kind, response.sent) == (TransportErrorKind.DNS, Sent.NOT_SENT)


async def test_silent_peer_ends_at_the_deadline() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as server:
        response = await ask(server.url, timeout=0.5)

    assert response.error is not None
    assert (response.error.kind, response.sent) == (TransportErrorKind.TOTAL_TIMEOUT, Sent.MAYBE_SENT)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_one_attempt_is_one_request_on_the_wire(method: str) -> None:
    """aiohttp by itself sends idempotent requests again when the peer hangs up."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serving(hang_up) as server:
        response = await ask(server.url, method=method)

    assert response.error is not None
    assert response.error.kind is TransportErrorKind.DISCONNECTED
    assert server.requests == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", TransportErrorKind.BODY_INCOMPLETE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nhi", TransportErrorKind.BODY_TOO_LARGE),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi", "content_encoding"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", TransportErrorKind.PROTOCOL),
    ],
)
async def test_broken_answers(answer: bytes, kind: str) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with serving(once) as server:
        response = await ask(server.url)

    assert response.error is not None
    assert (response.error.kind, response.sent) == (kind, Sent.RESPONDED)


async def test_endless_body_stops_at_the_cap() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x" * 65536)
            await writer.drain()

    async with serving(endless) as server:
        response = await ask(server.url)

    assert response.error is not None
    assert (response.error.kind, response.status) == (TransportErrorKind.BODY_TOO_LARGE, 200)


async def test_an_answer_that_nobody_asked_for_is_no_rows_answer() -> None:
    """It arrives while the connection is idle, and must not be taken for the next row's."""
    asked, answered = 0, asyncio.Event()

    async def shifted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.write(OK.replace(b"hi", b"%02d" % asked))
        await writer.drain()
        if asked == 1:
            await answered.wait()
            writer.write(OK.replace(b"hi", b"XX"))
        await reader.read()

    config = AiohttpEngineConfig(warmup_timeout=0, tcp_connection=TcpConnectionConfig(limit=1))
    async with serving(shifted) as server, AiohttpEngine(config, base_url=server.url) as engine:
        first = await engine.send(TransportRequest("GET", server.url))
        answered.set()
        await asyncio.wait_for(dirty(engine), timeout=60)
        second = await engine.send(TransportRequest("GET", server.url))

    assert (first.body, second.body) == (b"01", b"02")


async def dirty(engine: AiohttpEngine) -> None:
    """Wait until something has arrived on the idle connection."""
    assert engine._wire is not None
    pool: Any = engine._wire.connector
    while not any(proto.should_close for idle in pool._conns.values() for proto, _ in idle):  # noqa: ASYNC110 - aiohttp tells nobody
        await asyncio.sleep(0)


async def test_redirect_comes_back_as_it_is() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with serving(answer) as server:
        response = await ask(server.url)

    assert (response.status, response.error, server.requests) == (302, None, 1)


async def test_cookies_are_not_kept() -> None:
    answer = OK.replace(b"X-Tag: a", b"Set-Cookie: s=1")
    async with serving(answer) as server:
        config = AiohttpEngineConfig(warmup_timeout=0)
        local = server.url.replace("127.0.0.1", "localhost")
        async with TransportRuntimeFactory(config, base_url=local).create() as engine:
            for _ in range(2):
                await engine.send(TransportRequest("GET", local))

    assert server.requests == 2
    assert not any(b"cookie" in head.lower() for head in server.heads)


async def test_header_injection_is_an_invalid_request() -> None:
    async with serving(OK) as server:
        response = await ask(server.url, headers={"X": "a\r\nY: b"})

    assert response.error is not None
    assert response.error.kind is TransportErrorKind.INVALID_REQUEST
    assert server.requests == 0


async def test_cancellation_goes_through() -> None:
    arrived = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()

    async with serving(silent) as server:
        task = asyncio.create_task(ask(server.url))
        await arrived.wait()
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task


async def test_never_more_connections_than_the_limit() -> None:
    async with serving(OK) as server:
        config = AiohttpEngineConfig(warmup_timeout=0, tcp_connection=TcpConnectionConfig(limit=3))
        async with TransportRuntimeFactory(config, base_url=server.url).create() as engine:
            await asyncio.gather(*(engine.send(TransportRequest("GET", server.url)) for _ in range(50)))

    assert server.requests == 50
    assert server.connections == 3


def test_running_out_of_file_descriptors_is_not_charged_to_the_peer() -> None:
    error = OSError(errno.EMFILE, "Too many open files")

    response = as_response(error, "http://peer/", Attempt(seconds=1))

    assert response.error is not None
    assert (response.error.kind, response.sent) == (TransportErrorKind.LOCAL_RESOURCE, Sent.NOT_SENT)


async def test_a_peer_that_lets_nobody_in_was_sent_nothing() -> None:
    """A POST may be tried again then, whatever it does."""
    async with full_backlog() as url:
        response = await ask(url, method="POST", timeout=0.1)

    assert response.error is not None
    assert (response.error.kind, response.sent) == (TransportErrorKind.CONNECT_TIMEOUT, Sent.NOT_SENT)


async def test_who_waits_for_a_connection_until_the_deadline_was_not_sent() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    config = AiohttpEngineConfig(
        base_timeout=0.5, warmup_timeout=0, tcp_connection=TcpConnectionConfig(limit=1)
    )
    async with (
        serving(silent) as server,
        TransportRuntimeFactory(config, base_url=server.url).create() as engine,
    ):
        first, second = await asyncio.gather(
            *(engine.send(TransportRequest("POST", server.url, timeout=each)) for each in (0.5, 0.1))
        )

    assert (first.sent, second.sent) == (Sent.MAYBE_SENT, Sent.NOT_SENT)
    assert server.requests == 1


async def test_a_body_that_stalls_keeps_the_status() -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi")
        await reader.read()

    async with serving(stall) as server:
        response = await ask(server.url, timeout=0.5)

    assert response.error is not None
    assert (response.error.kind, response.sent, response.status) == (
        TransportErrorKind.TOTAL_TIMEOUT,
        Sent.RESPONDED,
        200,
    )


async def test_head_may_announce_a_body_that_it_does_not_send() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n") as server:
        response = await ask(server.url, method="HEAD")

    assert (response.status, response.error) == (200, None)


async def test_error_messages_hold_no_query() -> None:
    response = await ask(f"http://127.0.0.1:{closed_port()}/a?key=canary-7")

    assert response.error is not None
    assert "canary" not in response.error.message


async def test_a_row_may_bring_its_own_default_headers_in_any_spelling() -> None:
    async with serving(OK) as server:
        await ask(server.url, headers={"user-agent": "mine", "ACCEPT-ENCODING": "x"})

    head = server.heads[0].lower()
    assert head.count(b"user-agent: mine\r\n") == head.count(b"user-agent:") == 1
    assert head.count(b"accept-encoding: x\r\n") == head.count(b"accept-encoding:") == 1


async def test_a_method_in_small_letters_has_no_body_either() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
    async with serving(answer) as server:
        response = await ask(server.url, method="head")

    assert (response.status, response.body, response.error) == (200, b"", None)
