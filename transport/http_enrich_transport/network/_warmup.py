"""Opens connections before the first row needs them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from http_enrich_transport._engine import WarmupReport


async def warm_up(
    open_one: Callable[[], Awaitable[str | None]],
    note: Callable[[WarmupReport], None],
    *,
    connections: int,
    timeout: float,
) -> None:
    """
    Run *open_one* as often as there should be *connections*, all at once.

    It opens a connection, leaves it in the pool, and returns why it could not.
    All start before one is up, so that none is handed out twice, and a row that
    comes meanwhile takes the first that is up. Takes at most *timeout* seconds,
    raises nothing: *note* is told what is known each time that it changes.
    """
    started = time.monotonic()
    opened, error = 0, None

    def tell(*, done: bool = False) -> None:
        elapsed_ms = (time.monotonic() - started) * 1000
        note(WarmupReport(done and opened == connections, opened, elapsed_ms, error))

    async def attempt() -> None:
        nonlocal opened, error
        failure = await open_one()
        opened += failure is None
        error = error or failure
        tell()

    attempts = [asyncio.ensure_future(attempt()) for _ in range(connections)]
    try:
        _done, late = await asyncio.wait(attempts, timeout=timeout)
    finally:
        for each in attempts:
            each.cancel()
    await asyncio.gather(*attempts, return_exceptions=True)
    if late:
        error = error or f"warm-up took longer than {timeout:g} s"
    tell(done=True)


def warmup_address(base_url: str, path: str) -> str:
    """Return the address that a warm-up asks: *path* at the origin of *base_url*, or *base_url* itself."""
    if not path:
        return base_url
    scheme, _, rest = base_url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}{path}"
