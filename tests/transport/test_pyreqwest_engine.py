"""The pyreqwest engine against real sockets on loopback: what reaches the wire, and when it ends."""

from __future__ import annotations

import asyncio

import pytest

from http_enrich_transport import (
    PyreqwestEngineConfig,
    TransportRequest,
    TransportResponse,
)
from http_enrich_transport.pyreqwest_engine import PyreqwestEngine
from tests.support.peer import OK, Peer, hang_up, reset, serving
from tests.support.rust import ask, outcome, rust

PATIENCE = 60.0
"""Seconds for what should come at once."""

HEAD_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"

ONE_FOR_LONG = {"limit": 1, "keepalive_timeout": 600}
"""One connection, which is not closed for being idle."""


class Holding:
    """A peer that notes every request, and answers once it is let."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self.arrived, self.let, self.closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.arrived.set()
        hung_up = asyncio.ensure_future(reader.read())
        let = asyncio.ensure_future(self.let.wait())
        await asyncio.wait({hung_up, let}, return_when=asyncio.FIRST_COMPLETED)
        if hung_up.done():
            self.closed.set()
        let.cancel()
        hung_up.cancel()
        writer.write(OK.replace(b"X-Tag: a", b"Connection: close"))


def post(url: str, timeout: float | None = None) -> TransportRequest:
    return TransportRequest("POST", url, timeout=timeout)


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("hang_up", [hang_up, reset], ids=["end", "reset"])
async def test_one_attempt_is_one_request_on_a_fresh_connection(method: str, hang_up: Peer) -> None:
    async with serving(hang_up) as server:
        response = await ask(server.url, method=method)

    assert outcome(response) == ("connect_error", "maybe_sent", None)
    assert (server.requests, server.connections) == (1, 1)


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("hang_up", [hang_up, reset], ids=["end", "reset"])
async def test_one_attempt_is_one_request_on_a_used_connection(method: str, hang_up: Peer) -> None:
    """A peer that hangs up on a used connection has most libraries send again."""
    targets: list[bytes] = []

    async def once_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        targets.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
        await hang_up(reader, writer)

    async with serving(once_more) as server, rust(server.url) as engine:
        await engine.send(TransportRequest("GET", server.url + "/first"))
        response = await engine.send(TransportRequest(method, server.url + "/second"))

    assert outcome(response) == ("connect_error", "maybe_sent", None)
    assert (targets, server.connections, server.requests) == ([b"/second"], 1, 1)


async def test_an_answer_that_nobody_asked_for_is_no_rows_answer() -> None:
    """It arrives while the connection is idle, and must not be taken for the next row's."""
    answered, noticed = asyncio.Event(), asyncio.Event()

    async def shifted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if server.requests > 1:
            writer.write(OK.replace(b"hi", b"02"))
            return
        writer.write(OK.replace(b"hi", b"01"))
        await answered.wait()
        writer.write(OK.replace(b"hi", b"XX"))
        await reader.read()
        noticed.set()

    async with serving(shifted) as server, rust(server.url, tcp_connection=ONE_FOR_LONG) as engine:
        first = await engine.send(TransportRequest("GET", server.url))
        answered.set()
        await asyncio.wait_for(noticed.wait(), PATIENCE)
        second = await engine.send(TransportRequest("GET", server.url))

    assert (first.body, second.body) == (b"01", b"02")


async def test_never_more_connections_than_the_limit() -> None:
    async with serving(OK) as server, rust(server.url, tcp_connection={"limit": 3}) as engine:
        responses = await asyncio.gather(
            *(engine.send(TransportRequest("GET", server.url)) for _ in range(200))
        )

    assert {each.status for each in responses} == {200}
    assert server.requests == 200
    assert server.connections <= 3


@pytest.mark.parametrize("how", ["cancelled", "expired"])
async def test_what_gives_up_waiting_for_a_connection_never_reaches_the_wire(how: str) -> None:
    """In pyreqwest's own queue it would be sent although nobody waits for it any more."""
    holding = Holding()

    async with serving(holding) as server, rust(server.url, tcp_connection={"limit": 1}) as engine:
        first = asyncio.create_task(engine.send(post(server.url + "/first")))
        await asyncio.wait_for(holding.arrived.wait(), PATIENCE)
        waiting = asyncio.create_task(engine.send(post(server.url + "/waiting", timeout=0.1)))
        gave_up = await left(waiting, cancel=how == "cancelled")
        holding.let.set()
        await first
        await engine.send(post(server.url + "/third"))

    assert [each.split()[1] for each in server.heads] == [b"/first", b"/third"]
    assert gave_up is None or outcome(gave_up) == ("total_timeout", "not_sent", None)


async def left(sending: asyncio.Task[TransportResponse], *, cancel: bool) -> TransportResponse | None:
    """Let *sending* begin, then cancel it or let its time run out."""
    await asyncio.sleep(0)
    if not cancel:
        return await sending
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    return None


async def test_the_connection_of_an_expired_request_is_closed() -> None:
    holding = Holding()

    async with serving(holding) as server, rust(server.url) as engine:
        response = await engine.send(post(server.url, timeout=1.0))
        await asyncio.wait_for(holding.closed.wait(), PATIENCE)

    assert outcome(response) == ("total_timeout", "maybe_sent", None)


async def test_a_cancelled_request_goes_on_in_rust_until_its_deadline_and_no_further() -> None:
    holding = Holding()

    async with serving(holding) as server, rust(server.url) as engine:
        sending = asyncio.create_task(engine.send(post(server.url, timeout=1.0)))
        await asyncio.wait_for(holding.arrived.wait(), PATIENCE)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert not holding.closed.is_set()

        await asyncio.wait_for(holding.closed.wait(), PATIENCE)


async def test_cancelling_while_the_body_comes_closes_the_connection() -> None:
    begun, closed = asyncio.Event(), asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD_OK)
        begun.set()
        await reader.read()
        closed.set()

    async with serving(drip) as server, rust(server.url) as engine:
        sending = asyncio.create_task(engine.send(post(server.url, timeout=600)))
        await begun.wait()
        await status_known(engine)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

        await asyncio.wait_for(closed.wait(), PATIENCE)


async def status_known(engine: object) -> None:
    """Wait until the one request under way has its status."""
    assert isinstance(engine, PyreqwestEngine)
    assert engine._deadlines is not None
    async with asyncio.timeout(PATIENCE):
        while not any(each.status for each in engine._deadlines._attempts):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("method", "length"), [("POST", b"0"), ("PUT", b"0"), ("PATCH", b"0"), ("GET", None), ("DELETE", None)]
)
async def test_a_request_without_a_body_says_so_where_servers_ask(method: str, length: bytes | None) -> None:
    async with serving(OK) as server:
        await ask(server.url, method=method)

    fields = dict(each.lower().split(b": ", 1) for each in server.heads[0].split(b"\r\n")[1:-2])
    assert fields.get(b"content-length") == length
    assert b"transfer-encoding" not in fields


async def test_says_who_it_is_unless_the_request_does() -> None:
    async with serving(OK) as server, rust(server.url) as engine:
        await engine.send(TransportRequest("GET", server.url))
        await engine.send(TransportRequest("GET", server.url, {"User-Agent": "mine", "Accept-Encoding": "x"}))

    first, second = (head.lower() for head in server.heads)
    assert b"user-agent: http-enrich\r\n" in first
    assert second.count(b"user-agent: mine\r\n") == second.count(b"user-agent:") == 1
    assert second.count(b"accept-encoding: x\r\n") == second.count(b"accept-encoding:") == 1


async def test_an_engine_that_nobody_entered_answers_with_an_error() -> None:
    response = await PyreqwestEngine(PyreqwestEngineConfig()).send(post("http://127.0.0.1/"))

    assert outcome(response) == ("engine_error", "not_sent", None)


async def test_an_engine_that_was_left_answers_with_an_error() -> None:
    async with serving(OK) as server:
        async with rust(server.url) as engine:
            await engine.send(post(server.url))
        response = await engine.send(post(server.url))

    assert outcome(response) == ("engine_error", "not_sent", None)
    assert server.requests == 1


async def test_leaving_ends_what_is_under_way_with_an_error() -> None:
    """Rust cannot be told to stop, see above: the connection closes at the deadline."""
    holding = Holding()

    async with serving(holding) as server:
        async with rust(server.url, tcp_connection={"limit": 1}) as engine:
            first = asyncio.create_task(engine.send(post(server.url, timeout=1.0)))
            await asyncio.wait_for(holding.arrived.wait(), PATIENCE)
            waiting = asyncio.create_task(engine.send(post(server.url)))
            await asyncio.sleep(0)
        responses = await asyncio.wait_for(asyncio.gather(first, waiting), PATIENCE)
        await asyncio.wait_for(holding.closed.wait(), PATIENCE)

    assert [outcome(each) for each in responses] == [
        ("engine_error", "maybe_sent", None),
        ("engine_error", "not_sent", None),
    ]
    assert server.requests == 1


async def test_leaving_closes_idle_connections() -> None:
    closed = asyncio.Event()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await reader.read()
        closed.set()

    async with serving(keep) as server:
        async with rust(server.url, tcp_connection=ONE_FOR_LONG) as engine:
            await engine.send(post(server.url))

        await asyncio.wait_for(closed.wait(), PATIENCE)
