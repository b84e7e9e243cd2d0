"""Fills aiohttp's pool ahead of the first row."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from yarl import URL

from http_enrich_transport._deadlines import Attempt
from http_enrich_transport._engine import WarmupReport
from http_enrich_transport.config import AiohttpEngineConfig
from http_enrich_transport.network._warmup import warm_up, warmup_address

from ._connector import current
from ._errors import describe
from ._wire import Wire


async def fill_pool(
    wire: Wire,
    config: AiohttpEngineConfig,
    base_url: str,
    note: Callable[[WarmupReport], None],
) -> None:
    """Open as many connections to *base_url* as the pool may hold to one host; tells *note* of it."""
    url = URL(warmup_address(base_url, config.warmup.path), encoded=True)
    _give_way(wire, url)

    async def open_one() -> str | None:
        loop = asyncio.get_running_loop()
        current.set(Attempt(config.warmup_timeout, loop.time()))
        try:
            if config.warmup.method is None:
                async with asyncio.timeout(config.connect_timeout):
                    await wire.connect(url)
            else:
                await _ask(wire, config.warmup.method, url)
        except Exception as error:  # noqa: BLE001 - a run without warm-up is a slower run, no failed one
            return describe(error)
        return None

    await warm_up(open_one, note, connections=config.tcp_connection.per_host, timeout=config.warmup_timeout)


def _give_way(wire: Wire, url: URL) -> None:
    """End this task, which may hold the whole pool, when a row wants another peer than that of *url*."""
    warming = asyncio.current_task()
    assert warming is not None  # noqa: S101 - coroutines run in tasks
    own = (url.raw_host, url.port)
    wire.connector.on_miss = lambda peer: peer == own or warming.cancel()


async def _ask(wire: Wire, method: str, url: URL) -> None:
    response = await wire.ask(method, url, {})
    try:
        while await response.content.readany():
            pass  # a connection whose answer was not read to its end is of no use
    finally:
        if not response.closed:
            response.close()
