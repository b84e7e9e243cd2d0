"""What an answer says about the time before its request could leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from http_enrich_transport import (
    MemoryEngine,
    TransportEngine,
    TransportRequest,
    TransportRuntimeFactory,
    parse_transport,
)
from tests.support.peer import OK, Server, closed_port, full_backlog, serving

NETWORK = pytest.mark.parametrize("name", ["aiohttp", "pyreqwest"])


@asynccontextmanager
async def entered(name: str, url: str, **options: Any) -> AsyncIterator[TransportEngine]:
    config = parse_transport({"engine": name, "warmup_timeout": 0, **options})
    async with TransportRuntimeFactory(config, base_url=url).create() as engine:
        yield engine


class Held:
    """A peer that answers when it is told to."""

    def __init__(self) -> None:
        self.arrived, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.arrived.set()
        await self.go.wait()
        writer.write(OK)
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(OK)


async def both(engine: TransportEngine, server: Server, peer: Held, **second: Any) -> tuple[Any, Any]:
    """Send a request that holds the only connection, and another one that wants it for 0.1 s."""
    first = asyncio.ensure_future(engine.send(TransportRequest("GET", server.url)))
    await peer.arrived.wait()
    waiting = asyncio.ensure_future(engine.send(TransportRequest("GET", server.url, **second)))
    await asyncio.sleep(0.1)
    peer.go.set()
    return await first, await waiting


async def test_a_new_connection_takes_time_and_one_that_is_ready_takes_none() -> None:
    async with serving(OK) as server, entered("aiohttp", server.url) as engine:
        answers = [await engine.send(TransportRequest("GET", server.url)) for _ in range(2)]

    assert [each.queued for each in answers] == [0, 0]
    assert (answers[0].connected or 0) > 0
    assert answers[1].connected == 0


@NETWORK
async def test_waiting_for_a_place_is_told(name: str) -> None:
    peer = Held()
    async with serving(peer) as server, entered(name, server.url, tcp_connection={"limit": 1}) as engine:
        first, second = await both(engine, server, peer)

    assert first.queued == pytest.approx(0, abs=0.05)
    assert 0.05 < second.queued < 5
    assert not second.connected


@NETWORK
async def test_a_row_whose_time_was_over_while_it_waited_says_so(name: str) -> None:
    peer = Held()
    async with serving(peer) as server, entered(name, server.url, tcp_connection={"limit": 1}) as engine:
        _, second = await both(engine, server, peer, timeout=0.02)

    assert second.error is not None
    assert second.error.kind == "total_timeout"
    assert second.queued > 0.01


async def test_connecting_in_vain_takes_time_too() -> None:
    async with full_backlog() as url, entered("aiohttp", url, connect_timeout=0.1) as engine:
        timed_out = await engine.send(TransportRequest("GET", url))
    async with entered("aiohttp", url) as engine:
        refused = await engine.send(TransportRequest("GET", f"http://127.0.0.1:{closed_port()}/"))

    assert (timed_out.connected or 0) > 0.05
    assert (refused.connected or 0) > 0


async def test_what_an_engine_does_not_know_is_none() -> None:
    in_memory = await MemoryEngine.always(200).send(TransportRequest("GET", "http://api.test/"))
    async with serving(OK) as server, entered("pyreqwest", server.url) as engine:
        by_pyreqwest = await engine.send(TransportRequest("GET", server.url))

    assert (in_memory.queued, in_memory.connected, by_pyreqwest.connected) == (None, None, None)
