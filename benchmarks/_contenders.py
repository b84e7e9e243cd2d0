"""Who is measured: each opens its own pool on its own event loop, and fetches a row at a time."""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import uvloop

from http_enrich_transport import (
    TransportRequest,
    TransportRuntimeFactory,
    WarmupReport,
    new_event_loop,
    parse_transport,
)

CONNECTIONS = 32


class Contender(ABC):
    """Fetches rows from *url*; *authority* is the certificate to trust."""

    def __init__(self, url: str, authority: Path | None, *, warm: bool = True) -> None:
        self.url, self.authority, self.warm = url, authority, warm
        self.loop = self.new_loop()

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that this contender runs on: the product's choice."""
        return new_event_loop()

    @abstractmethod
    async def open(self) -> WarmupReport | None:
        """Make the pool."""

    @abstractmethod
    async def fetch(self, row: int) -> None:
        """Send the request of a *row* and take in the answer."""

    @abstractmethod
    async def close(self) -> None:
        """Close the pool."""

    def fetch_all(self, rows: int, concurrency: int = CONNECTIONS) -> None:
        """Fetch so many *rows*, *concurrency* at a time."""
        self.loop.run_until_complete(self._spread(iter(range(rows)), concurrency))

    async def _spread(self, rows: Iterator[int], concurrency: int) -> None:
        async def consume() -> None:
            for row in rows:
                await self.fetch(row)

        await asyncio.gather(*(consume() for _ in range(concurrency)))


class BareAiohttp(Contender):
    """aiohttp as its documentation shows it, on uvloop."""

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Return uvloop's."""
        return uvloop.new_event_loop()

    async def open(self) -> None:
        """Make a session."""
        trust = ssl.create_default_context(cafile=self.authority) if self.authority else True
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=trust))

    async def fetch(self, row: int) -> None:
        """Get one row."""
        async with self._session.get(f"{self.url}/v1/rows/{row}") as response:
            body = await response.read()
        assert (response.status, len(body)) == (200, 500)

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()


class Engine(Contender):
    """An engine of ours, as a worker uses it."""

    name: str

    async def open(self) -> WarmupReport:
        """Enter the engine and let it warm up."""
        tls = {"ca_bundle": str(self.authority)} if self.authority else {}
        options = {"tcp_connection": {"limit": CONNECTIONS}, "tls": tls}
        if not self.warm:
            options["warmup_timeout"] = 0
        config = parse_transport({"engine": self.name, **options})
        self._engine = await TransportRuntimeFactory(config, base_url=self.url).create().__aenter__()
        return await self._engine.warmed_up()

    async def fetch(self, row: int) -> None:
        """Send one row's request."""
        response = await self._engine.send(TransportRequest("GET", f"{self.url}/v1/rows/{row}"))
        assert (response.status, len(response.body)) == (200, 500)

    async def close(self) -> None:
        """Leave the engine."""
        await self._engine.__aexit__(None, None, None)


class Aiohttp(Engine):
    """Our aiohttp engine."""

    name = "aiohttp"


class Pyreqwest(Engine):
    """Our pyreqwest engine."""

    name = "pyreqwest"


CONTENDERS: dict[str, type[Contender]] = {
    "bare aiohttp": BareAiohttp,
    "AiohttpEngine": Aiohttp,
    "PyreqwestEngine": Pyreqwest,
}
