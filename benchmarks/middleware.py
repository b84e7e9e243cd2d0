"""
CPU per row of a chain of eight, over the engine alone and, on the wire, over bare aiohttp on uvloop.

Contenders take turns in one process, in another order each round; ratios and
differences are of the same round.
"""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack
from typing import Any

from http_enrich_middleware import (
    Handler,
    MiddlewareConfig,
    RequestExchange,
    WorkerRuntime,
    build_chain,
    parse_middleware,
)
from http_enrich_transport import (
    MemoryEngine,
    SecretText,
    TransportRequest,
    TransportResponse,
    WarmupReport,
    header_map,
)

from ._contenders import Aiohttp, BareAiohttp, Contender
from ._report import Row, dump, show
from ._rounds import alternate, figures
from ._server import BODY, CORES, serving

TOKEN = "a-token-of-the-usual-length"
KEY = "0123456789abcdef" * 4
CHAIN: list[dict[str, Any]] = [
    {"type": "worker_identity"},
    {"type": "timing"},
    {"type": "metrics"},
    {"type": "idempotency_key"},
    {"type": "retry"},
    {"type": "rate_limit", "max_requests_per_second": 1_000_000},
    {"type": "bearer", "token": SecretText(TOKEN)},
    {"type": "json_body"},
]
ALONE = "engine alone"
BARE = "bare aiohttp"


def configs(count: int = len(CHAIN)) -> list[MiddlewareConfig]:
    """Return the configuration of the innermost *count* of the eight."""
    return [parse_middleware(entry) for entry in CHAIN[len(CHAIN) - count :]]


def runtime(url: str) -> WorkerRuntime:
    """Return what a worker lends to its middleware."""
    return WorkerRuntime(base_url=url, base_timeout=30, pipeline="airports", window="2026-01-01/2026-01-02")


def exchange(url: str, row: int) -> RequestExchange:
    """Return the exchange of a *row*, as a worker makes it."""
    request = TransportRequest("GET", f"{url}/v1/rows/{row}", {"Accept": "application/json"})
    return RequestExchange(request, row_id=(f"BI{row}",))


class Memory(Contender):
    """The in-memory engine, behind some of the chain."""

    def __init__(self, count: int) -> None:
        super().__init__("http://api.test", None)
        response = TransportResponse(200, header_map({"Content-Type": "application/json"}), BODY)
        self._engine = MemoryEngine(lambda _: response)
        self._send: Handler | None = None
        if count:
            self._send = build_chain(configs(count), self._engine, runtime(self.url))

    async def open(self) -> None:
        """Nothing is to be opened."""

    async def fetch(self, row: int) -> None:
        """Get one row."""
        if self._send is not None:
            assert (await self._send(exchange(self.url, row))).error_kind is None
        else:
            await self._engine.send(exchange(self.url, row).request)

    async def close(self) -> None:
        """Nothing is to be closed."""

    def fetch_all(self, rows: int, concurrency: int = 32) -> None:
        """Fetch so many *rows*, and forget what was asked."""
        super().fetch_all(rows, concurrency)
        self._engine.requests.clear()


class Same(BareAiohttp):
    """aiohttp as its documentation shows it, with the same headers on the wire as the chain sends."""

    async def fetch(self, row: int) -> None:
        """Get one row."""
        headers = {"Accept": "application/json", "Authorization": f"Bearer {TOKEN}", "Idempotency-Key": KEY}
        async with self._session.get(f"{self.url}/v1/rows/{row}", headers=headers) as response:
            body = await response.read()
        assert (response.status, len(body)) == (200, 500)


class Chain(Aiohttp):
    """Our aiohttp engine behind the whole chain."""

    async def open(self) -> WarmupReport:
        """Enter the engine and build the chain."""
        report = await super().open()
        self._send = build_chain(configs(), self._engine, runtime(self.url))
        return report

    async def fetch(self, row: int) -> None:
        """Get one row."""
        done = await self._send(exchange(self.url, row))
        assert (done.error_kind, done.attempts) == (None, 1)


def main() -> None:
    """Measure in memory and over loopback HTTP."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, default=3000, help="requests per contender and round")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, CORES[:1])  # as a Spark worker has one
    rows = [*in_memory(arguments.rounds, arguments.rows), *over_http(arguments.rounds, arguments.rows)]
    show(f"{arguments.rounds} rounds of {arguments.rows} rows, 32 at a time, medians", rows)
    dump("middleware", rows)


def in_memory(rounds: int, rows: int) -> list[Row]:
    """Return a row of figures for each length of the chain, from the inside out."""
    names = [ALONE, *(f"+ {entry['type']}" for entry in reversed(CHAIN))]
    contenders = {name: Memory(count) for count, name in enumerate(names)}
    return [{"where": "memory", **each} for each in _measured(contenders, ALONE, rounds, rows)]


def over_http(rounds: int, rows: int) -> list[Row]:
    """Return a row of figures for bare aiohttp, our engine, and our engine with the chain."""
    with ExitStack() as stack:
        url = stack.enter_context(serving(None))
        contenders = {
            BARE: Same(url, None),
            "AiohttpEngine": Aiohttp(url, None),
            "AiohttpEngine + 8": Chain(url, None),
        }
        return [{"where": "http", **each} for each in _measured(contenders, BARE, rounds, rows)]


def _measured(contenders: dict[str, Any], base: str, rounds: int, rows: int) -> list[dict[str, Any]]:
    for contender in contenders.values():
        contender.loop.run_until_complete(contender.open())
        contender.fetch_all(500)  # imports, caches, the first connections
    work = {name: each.fetch_all for name, each in contenders.items()}
    spent = alternate(work, rounds=rounds, rows=rows)
    for contender in contenders.values():
        contender.loop.run_until_complete(contender.close())
        contender.loop.close()
    return [figures(name, spent, base) for name in contenders]


if __name__ == "__main__":
    main()
