"""Whether the run goes on, and how those who wait are told."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class RunState:
    """Whether the run goes on, as far as this worker knows, and what it has asked for here."""

    stopped: str | None = None
    """Why it was given up; no request is sent from then on."""
    outage = False
    """Whether it was given up because the API is away, which may be over when the run is started again."""
    requests = 0
    """Attempts of rows that were begun, whatever became of them."""

    def __init__(self) -> None:
        self._waits: set[asyncio.Timeout] = set()

    def stop(self, reason: str, *, outage: bool = False) -> None:
        """Give the run up, on the event loop of those who wait; the first *reason* is kept."""
        if self.stopped is None:
            self.stopped, self.outage = reason, outage
            for wait in self._waits:
                wait.reschedule(-math.inf)

    @asynccontextmanager
    async def until_stopped(self) -> AsyncIterator[None]:
        """Leave the block, wherever it waits, as soon as the run is stopped: for waits, not for requests."""
        wait = asyncio.timeout(None if self.stopped is None else 0)
        try:
            async with wait:
                self._waits.add(wait)
                try:
                    yield
                finally:
                    self._waits.discard(wait)
        except TimeoutError:
            if not wait.expired():
                raise
