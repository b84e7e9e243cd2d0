"""Permits that a worker leases from the driver."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable

from http_enrich_middleware import PermitSource

from ._messages import Lease

Ask = Callable[[int, int], Awaitable["Lease | None"]]
"""Asks for so many permits, giving so many back; None if the driver cannot be reached."""

FALLBACK = 10.0
"""Seconds without an answer after which a worker uses its own share, which by then is left for it."""

RETRY_AFTER = 3.0
"""Seconds for which it does so until it asks the driver again."""

USABLE = 0.8
"""Of the time for which permits are good, the share that is asked for ahead: some wait for their turn."""


class RemotePermits:
    """
    A worker's part of a rate limit of the whole cluster.

    It asks for the next block while it uses the present one. When the driver does not answer for a while,
    it falls back to *own*, the worker's share of the limit.
    """

    patience = 1.0

    def __init__(self, ask: Ask, own: PermitSource, *, clock: Callable[[], float]) -> None:
        self._ask, self._own, self._clock = ask, own, clock
        self._booked: deque[tuple[float, float]] = deque()
        self._low = 0
        self._unused = 0
        self._used = 0
        self._counted_from = clock()
        self._good_for = 0.0
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None
        self._own_until = self._paused_until = self._nothing_before = -math.inf
        self._answered_at: float | None = None

    def take(self) -> bool:
        """Take a permit if there is one at once, and nobody waits for it."""
        return not self._waiting and self._take()

    async def acquire(self, until: float) -> bool:
        """Wait for a permit and take it; False if there is none before *until*."""
        if self.take():
            return True
        left = until - self._clock()
        if left <= 0 or self._nothing_before >= until:
            return False
        self._waiting += 1
        try:
            async with asyncio.timeout(None if left == math.inf else left):
                async with self._turn:
                    return await self._wait(until)
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1

    def pause(self, seconds: float) -> None:
        """Hand out nothing for so long."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)
        self._own.pause(seconds)

    def close(self) -> None:
        """Ask for nothing any more."""
        if self._asking is not None:
            self._asking.cancel()

    def _take(self) -> bool:
        now = self._clock()
        if now < self._own_until:
            return self._own.take()
        booked = self._booked
        while booked:
            at, until = booked[0]
            if now > until or at < self._paused_until:
                booked.popleft()
                self._unused += 1
                continue
            if now < at:
                return False
            booked.popleft()
            self._used += 1
            if len(booked) <= self._low:
                self._refill()
            return True
        self._refill()
        return False

    async def _wait(self, until: float) -> bool:
        while not self._take():
            now = self._clock()
            if now < self._own_until:
                return await self._own.acquire(until)
            if self._nothing_before >= until:
                return False
            if self._booked:
                await asyncio.sleep(max(0.0, self._booked[0][0] - now))
            else:
                self._news.clear()
                self._refill()
                await self._news.wait()
        return True

    def _refill(self) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._fetch())

    async def _fetch(self) -> None:
        wait = max(self._nothing_before, self._paused_until) - self._clock()
        if wait > 0:
            await asyncio.sleep(wait)
        asked = self._clock()
        want, unused = self._wanted(asked), self._unused
        self._unused = 0
        lease = await self._ask(want, unused)
        if lease is None:
            self._unused += unused
            self._do_without(asked)
        else:
            self._answered_at = self._clock()
            self._keep(lease, asked)
        self._news.set()

    def _wanted(self, now: float) -> int:
        """Return how many rows there are, or will be while permits are good: what nobody uses is lost."""
        seconds, used = now - self._counted_from, self._used
        self._counted_from, self._used = now, 0
        to_come = used / seconds * self._good_for * USABLE if seconds > 0 else 0
        return max(1 + self._waiting - len(self._booked), int(to_come), 1)

    def _do_without(self, asked: float) -> None:
        self._answered_at = asked if self._answered_at is None else self._answered_at
        now = self._clock()
        if now - self._answered_at < FALLBACK:
            self._nothing_before = now + 1.0
        else:
            self._own_until = now + RETRY_AFTER

    def _keep(self, lease: Lease, asked: float) -> None:
        came = self._clock()
        # Some of the way may lie behind the answer, which makes the permits later than they were booked for.
        late = max(0.0, came - asked - lease.held)
        good_for = max(lease.good_for - late, lease.good_for / 2)
        self._booked.extend((came + delay, came + delay + good_for) for delay in lease.delays)
        self._low = len(lease.delays) // 2
        self._good_for = lease.good_for
        self._nothing_before = came + lease.ready_in if not lease.delays else -math.inf
