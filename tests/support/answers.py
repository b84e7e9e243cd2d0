"""One peer, described once: a raw server for engines with a network, a function for the one without."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from http_enrich_transport import (
    MemoryEngine,
    MemoryEngineConfig,
    TransportEngine,
    TransportRequest,
    TransportResponse,
    TransportRuntimeFactory,
    header_map,
    parse_transport,
)

ENGINES = ("aiohttp", "memory", "pyreqwest")


@dataclass
class Answer:
    """What the peer answers; *silent* keeps it from answering at all."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"hi"
    silent: bool = False


@dataclass
class Seen:
    """A request as the peer saw it; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Peer:
    """An engine and who answers it."""

    engine: TransportEngine
    url: str
    seen: list[Seen]
    arrived: asyncio.Event


@asynccontextmanager
async def peer(name: str, answer: Answer | None = None, **options: Any) -> AsyncIterator[Peer]:
    """Enter the engine called *name*, with *options*, in front of a peer that gives *answer*."""
    opened = _memory if name == "memory" else _network
    async with opened(name, answer or Answer(), {"warmup_timeout": 0, **options}) as made:
        yield made


@asynccontextmanager
async def _network(name: str, answer: Answer, options: dict[str, Any]) -> AsyncIterator[Peer]:
    seen: list[Seen] = []
    arrived = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                seen.append(await _request(reader))
                arrived.set()
                if answer.silent:
                    await reader.read()
                    return
                writer.write(_wire(answer, seen[-1].method))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    config = parse_transport({"engine": name, **options})
    try:
        async with TransportRuntimeFactory(config, base_url=url).create() as engine:
            yield Peer(engine, url, seen, arrived)
    finally:
        server.close()


@asynccontextmanager
async def _memory(name: str, answer: Answer, options: dict[str, Any]) -> AsyncIterator[Peer]:
    seen: list[Seen] = []
    arrived = asyncio.Event()

    async def handle(request: TransportRequest) -> TransportResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen.append(Seen(request.method, request.url.split("/", 3)[3], headers, request.body or b""))
        seen[-1].target = "/" + seen[-1].target
        arrived.set()
        if answer.silent:
            await asyncio.Event().wait()
        body = b"" if request.method == "HEAD" else answer.body
        return TransportResponse(answer.status, header_map(answer.headers), body)

    config = MemoryEngineConfig(handler="tests.support.chain:echo", **options)
    async with MemoryEngine(handle, config=config) as engine:
        yield Peer(engine, "http://127.0.0.1", seen, arrived)


async def _request(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
    method, target, _ = line.split(" ")
    return Seen(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))


def _wire(answer: Answer, method: str) -> bytes:
    fields = {"Content-Length": str(len(answer.body)), **answer.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    body = b"" if method == "HEAD" or answer.status in (204, 304) else answer.body
    return f"HTTP/1.1 {answer.status} X\r\n{head}\r\n".encode("latin-1") + body
