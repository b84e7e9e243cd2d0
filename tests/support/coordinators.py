"""A coordinator, and a worker's side of it, without Spark."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any

import aiohttp

from http_enrich_middleware import (
    Histogram,
    MiddlewareConfig,
    RunState,
    WorkerRuntime,
    parse_middleware,
)
from http_enrich_spark.coordinator import (
    Client,
    Coordinator,
    Link,
    Totals,
)

LIMIT = parse_middleware({"type": "rate_limit", "max_requests_per_second": 50})


def coordinator(*middleware: MiddlewareConfig, base_url: str = "", **facts: Any) -> Coordinator:
    runtime = WorkerRuntime(base_url=base_url)
    return Coordinator(middleware, host="127.0.0.1", slots=2, runtime=runtime, **facts)


class Counts:
    """What a worker counts."""

    def __init__(self) -> None:
        self.totals = Totals()

    def note(self, outcome: str, calls: int = 1) -> None:
        self.totals.add(Totals({outcome: 1}, calls, 0, Histogram(), {"network": 0.5}, {"cache.hits": 1}))

    def take(self) -> Totals:
        taken, self.totals = self.totals, Totals()
        return taken


async def with_client(link: Link, work: Callable[[Client, Counts, RunState], Awaitable[Any]]) -> Any:
    counts, run = Counts(), RunState()
    client = Client(link, run, counts.take, slots=2)
    await client.open()
    try:
        return await work(client, counts, run)
    finally:
        await client.close()


async def post(link: Link, path: str, body: bytes, **headers: str) -> int:
    given = {"Authorization": f"Bearer {link.secret}", **headers}
    async with (
        aiohttp.ClientSession() as session,
        session.post(link.url + path, data=BytesIO(body), headers=given) as answer,
    ):
        return answer.status
