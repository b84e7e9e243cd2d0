"""Opens connections before the first row needs them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from http_enrich_transport._engine import WarmupReport


async def warm_up(
    open_one: Callable[[], Awaitable[str | None]], *, connections: int, timeout: float
) -> WarmupReport:
    """
    Run *open_one* as often as there should be *connections*, all at once.

    It opens a connection, leaves it in the pool, and returns why it could not.
    All start before one is up, so that none is handed out twice, and a row that
    comes meanwhile takes the first that is up. Takes at most *timeout* seconds,
    raises nothing: a failure stands in the report and the run goes on cold.
    """
    started = time.monotonic()
    attempts = [asyncio.ensure_future(open_one()) for _ in range(connections)]
    try:
        _done, late = await asyncio.wait(attempts, timeout=timeout)
    finally:
        for attempt in attempts:
            attempt.cancel()
    results = await asyncio.gather(*attempts, return_exceptions=True)
    opened = sum(result is None for result in results)
    return WarmupReport(
        warmed_up=opened == connections,
        connections=opened,
        elapsed_ms=(time.monotonic() - started) * 1000,
        error=_first_error(results) or (f"warm-up took longer than {timeout:g} s" if late else None),
    )


def _first_error(results: Sequence[object]) -> str | None:
    for result in results:
        if isinstance(result, str):
            return result
        if isinstance(result, Exception):
            return type(result).__name__
    return None


def warmup_address(base_url: str, path: str) -> str:
    """Return the address that a warm-up asks: *path* at the origin of *base_url*, or *base_url* itself."""
    if not path:
        return base_url
    scheme, _, rest = base_url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}{path}"
