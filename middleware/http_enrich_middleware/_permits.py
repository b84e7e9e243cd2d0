"""Permits to send: where they come from, and the source that a worker has by itself."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

MAX_LIMIT = 1_000_000
"""Permits per window; the time of each is remembered, at eight bytes."""

PACED = 60.0
"""Seconds; longer windows are quotas, to be used up as fast as the others allow."""

_PACE = 0.1
"""Seconds' worth of permits that may go at once in a window that is paced."""


class Rate(msgspec.Struct, frozen=True):
    """At most *limit* permits in any *per* seconds, *burst* of them at once (default: by its length)."""

    limit: int
    per: float
    burst: int | None = None

    @property
    def at_once(self) -> int:
        """How many may go at once."""
        if self.burst is not None:
            return min(self.burst, self.limit)
        if self.per > PACED:
            return self.limit
        return max(1, math.ceil(self.limit * min(1.0, _PACE / self.per)))

    def share(self, slots: int) -> Rate:
        """
        Return what one of *slots* may do so that all of them together keep to this rate.

        What is less than a permit per window becomes one permit per longer window; then
        the rate is kept on average, since nobody keeps the slots from going at once.
        """
        if slots <= 1:
            return self
        limit = self.limit // slots
        burst = None if self.burst is None else max(1, self.burst // slots)
        if limit:
            return Rate(limit, self.per, burst)
        return Rate(1, self.per * slots / self.limit, burst)


class PermitSource(Protocol):
    """
    Where permits come from; one for each middleware that asks for them, on one event loop.

    `patience` is for how many seconds even those should wait who want a permit at once: so long it may take
    to ask for one that is free.
    """

    patience: float

    def take(self) -> bool:
        """Take a permit if there is one at once, and nobody who waits for it."""
        ...

    async def acquire(self, until: float) -> bool:
        """
        Wait for a permit and take it.

        Returns False, having taken nothing, if there is none before *until*, a
        time of the worker's clock in seconds; infinity waits as long as it takes.
        A permit that is there already is had even if *until* has come.
        """
        ...

    def pause(self, seconds: float) -> None:
        """Hand out nothing for so long: the peer has asked for it."""
        ...


class LocalPermits:
    """
    Keeps *rates* within one worker, in every window however it is laid.

    Who waits is served in the order of arrival. Only the first of them has a
    timer; the others wait for their turn.
    """

    patience = 0.0

    def __init__(
        self,
        rates: Sequence[Rate],
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._windows = [PermitWindow(rate) for rate in rates]
        self._clock, self._sleep = clock, sleep
        self._ready_at = -math.inf
        self._turn = asyncio.Lock()
        self._waiting = 0

    def take(self, *, first: bool = False) -> bool:
        """Take a permit if there is one at once, and nobody waits for it but the *first* in the queue."""
        # Where nothing is scarce, after a pause, who overtakes takes nothing away from the others.
        if self._waiting and self._windows and not first:
            return False
        now = self._clock()
        if now < self._ready_at:
            return False
        ready = -math.inf
        for window in self._windows:
            due = window.take(now)
            if due > ready:
                ready = due
        self._ready_at = ready
        return True

    async def acquire(self, until: float) -> bool:
        """Wait for a permit and take it; False if there is none before *until*."""
        if self.take():
            return True
        left = until - self._clock()
        if left <= 0 or self._ready_at >= until:
            return False
        self._waiting += 1
        try:
            # A timer per row, but only for rows that wait.
            async with asyncio.timeout(None if left == math.inf else left):
                return await self._wait(until)
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1

    def pause(self, seconds: float) -> None:
        """Hand out nothing for so long."""
        self._ready_at = max(self._ready_at, self._clock() + seconds)

    async def _wait(self, until: float) -> bool:
        async with self._turn:
            while not self.take(first=True):
                if self._ready_at >= until:
                    return False
                await self._sleep(max(0.0, self._ready_at - self._clock()))
            return True


class Brake(LocalPermits):
    """Permits without limit, but for pauses that the API asks for; those who pace rows follow it."""

    def __init__(self, *, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        super().__init__((), clock=clock, sleep=sleep)
        self._followers: list[PermitSource] = []

    def follow(self, source: PermitSource) -> None:
        """Pause *source* with every pause from now on."""
        self._followers.append(source)

    def pause(self, seconds: float) -> None:
        """Hand out nothing for so long."""
        super().pause(seconds)
        for source in self._followers:
            source.pause(seconds)


class PermitWindow:
    """One rate: when its next permit is due, by the window and by the pace, in seconds of any clock."""

    def __init__(self, rate: Rate) -> None:
        self._per = rate.per
        # The times of the last `limit` permits: the oldest has to be out of the window before the next one.
        self._taken = array("d", [-math.inf]) * rate.limit
        self._next = 0
        # GCRA: the time at which the bucket is full again, and how far that may lie ahead.
        self._interval = rate.per / rate.limit
        self._ahead = (rate.at_once - 1) * self._interval
        self._full_at = -math.inf

    def take(self, now: float) -> float:
        """Take a permit at the time *now*, and return when the next one is due."""
        self._taken[self._next] = now
        self._next += 1
        if self._next == len(self._taken):
            self._next = 0
        # Without max(), a call of which costs as much as the rest of its line.
        full_at = self._full_at
        self._full_at = full_at = (now if full_at < now else full_at) + self._interval
        by_window, by_pace = self._taken[self._next] + self._per, full_at - self._ahead
        return by_pace if by_pace > by_window else by_window

    def spend(self, count: int, at: float) -> None:
        """Take *count* permits at the time *at*."""
        for _ in range(min(count, len(self._taken))):
            self.take(at)

    def give_back(self, count: int) -> None:
        """Take the last *count* permits for unused."""
        for _ in range(min(count, len(self._taken))):
            self._next = (self._next or len(self._taken)) - 1
            self._taken[self._next] = -math.inf
            self._full_at -= self._interval

    @property
    def due(self) -> float:
        """When the next permit is due."""
        return max(self._full_at - self._ahead, self._taken[self._next] + self._per)
