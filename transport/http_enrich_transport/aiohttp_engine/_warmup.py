"""Opens connections before the first row needs them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from yarl import URL

from http_enrich_transport._engine import WarmupReport

from ._errors import describe

_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


async def warm_up(
    session: aiohttp.ClientSession, url: str, *, connections: int, timeout: float
) -> WarmupReport:
    """
    Fill the pool of *session* with up to *connections* idle connections to *url*.

    No request is sent, so nothing is charged. Takes at most *timeout* seconds,
    raises nothing: a failure stands in the report and the run goes on cold.
    """
    started = time.monotonic()
    # All are held until the last is up: a connection given back early would be
    # handed out again and the pool would hold one instead of many.
    attempts = [asyncio.ensure_future(_connect(session, url)) for _ in range(connections)]
    _done, late = await asyncio.wait(attempts, timeout=timeout)
    for attempt in late:
        attempt.cancel()
    results = await asyncio.gather(*attempts, return_exceptions=True)
    opened = [result for result in results if isinstance(result, Connection)]
    for connection in opened:
        connection.release()
    return WarmupReport(
        warmed_up=len(opened) == connections,
        connections=len(opened),
        elapsed_ms=(time.monotonic() - started) * 1000,
        error=_first_error(results, timeout),
    )


async def _connect(session: aiohttp.ClientSession, url: str) -> Connection:
    request = ClientRequest("GET", URL(url), loop=asyncio.get_running_loop(), session=session)
    assert session.connector is not None  # noqa: S101 - set since the session was built
    return await session.connector.connect(request, traces=[], timeout=_NO_TIMEOUT)


def _first_error(results: Sequence[object], timeout: float) -> str | None:
    for result in results:
        if isinstance(result, Exception):
            return describe(result)
        if isinstance(result, asyncio.CancelledError):
            return f"warm-up took longer than {timeout:g} s"
    return None
