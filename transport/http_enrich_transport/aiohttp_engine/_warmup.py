"""Fills aiohttp's pool ahead of the first row."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from yarl import URL

from http_enrich_transport._deadlines import Attempt
from http_enrich_transport._engine import WarmupReport
from http_enrich_transport.config import AiohttpEngineConfig
from http_enrich_transport.network._warmup import warm_up, warmup_address

from ._attempt import current
from ._connector import Connector
from ._errors import describe


async def fill_pool(
    session: aiohttp.ClientSession,
    config: AiohttpEngineConfig,
    base_url: str,
    note: Callable[[WarmupReport], None],
) -> None:
    """Open as many connections to *base_url* as the pool may hold to one host; tells *note* of it."""
    url = URL(warmup_address(base_url, config.warmup.path), encoded=True)
    _give_way(session, url)

    async def open_one() -> str | None:
        loop = asyncio.get_running_loop()
        current.set(Attempt(config.warmup_timeout, loop.time()))
        try:
            if config.warmup.method is None:
                async with asyncio.timeout(config.connect_timeout):
                    await _connect(session, url)
            else:
                await _ask(session, config.warmup.method, url)
        except Exception as error:  # noqa: BLE001 - a run without warm-up is a slower run, no failed one
            return describe(error)
        return None

    await warm_up(open_one, note, connections=config.tcp_connection.per_host, timeout=config.warmup_timeout)


def _give_way(session: aiohttp.ClientSession, url: URL) -> None:
    """End this task, which may hold the whole pool, when a row wants another peer than that of *url*."""
    warming = asyncio.current_task()
    assert warming is not None  # noqa: S101 - coroutines run in tasks
    assert isinstance(session.connector, Connector)  # noqa: S101 - the session is the engine's
    own = (url.raw_host, url.port)
    session.connector.on_miss = lambda peer: peer == own or warming.cancel()


async def _connect(session: aiohttp.ClientSession, url: URL) -> None:
    """Open a connection and leave it in the pool; no request is sent, so nothing is charged."""
    request = ClientRequest(
        "GET",
        url,
        loop=asyncio.get_running_loop(),
        session=session,
        proxy=URL(session._default_proxy) if session._default_proxy else None,
        proxy_auth=session._default_proxy_auth,
        # The pool tells connections apart by these, too.
        proxy_headers=session._prepare_headers(None),
    )
    assert session.connector is not None  # noqa: S101 - set since the session was built
    connection = await session.connector.connect(request, traces=[], timeout=session.timeout)
    connection.release()


async def _ask(session: aiohttp.ClientSession, method: str, url: URL) -> None:
    async with session.request(method, url, allow_redirects=False) as response:
        while await response.content.readany():
            pass  # a connection whose answer was not read to its end is of no use
