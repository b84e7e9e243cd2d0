"""Books permits for a whole cluster, each for a time of its own."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence

from http_enrich_middleware import PACED, PermitWindow, Rate

from ._messages import Lease

LATENESS = 0.03
"""How late a permit may be used, as a share of the shortest window."""

STRETCH = 0.015
"""
By how much windows are longer than asked for, as a share of the shortest.

With that lateness, at most 1.03 / 1.015 = 1.015 of a limit falls into any window of the real length.
"""

MAX_LATENESS = 1.0
"""Seconds."""

BLOCK, SMALLEST_BLOCK = 0.1, 0.02
"""Seconds' worth of the whole rate that one worker gets at once; with many workers it is less."""

AHEAD = 0.5
"""Seconds: permits are booked for no later than that, so that nobody holds many that he will not use."""

PATIENCE = 2.0
"""Seconds; if the next permit is later than that, nobody is kept waiting for it."""

_FASTEST = 10_000
"""Permits per second for a limit that says nothing about seconds."""


class Book:
    """
    The permits of one rate limit.

    Workers are served in turn: each gets a block of times at which it alone may send. A time is counted
    in every window as if it were used then; windows are a little longer than asked for, since a worker
    may be a little late. Whatever a worker leaves unused has gone by, except in quotas, which are windows
    of more than a minute.
    """

    def __init__(
        self,
        rates: Sequence[Rate],
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        share: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._clock, self._sleep, self._share = clock, sleep, share
        shortest = min(rate.per for rate in rates)
        self.good_for = min(LATENESS * shortest, MAX_LATENESS)
        # Of few permits, a share is less than one; then none may come too early.
        few = min(rate.limit for rate in rates) * STRETCH < 1
        self._stretch = min((LATENESS if few else STRETCH) * shortest, MAX_LATENESS)
        self._windows = [PermitWindow(self._longer(rate)) for rate in rates]
        self._quotas = [window for window, rate in zip(self._windows, rates, strict=True) if rate.per > PACED]
        paced = [rate.limit / rate.per for rate in rates if rate.per <= PACED]
        self._per_second = min(paced, default=_FASTEST)
        self._ready_at = -math.inf
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def lease(self, want: int, unused: int = 0) -> Lease:
        """Wait for this worker's turn, and book up to *want* permits; *unused* ones are taken back."""
        asked = self._clock()
        self._give_back(unused)
        self._waiting += 1
        try:
            async with self._turn:
                booked = await self._book(min(want, self._block()))
        finally:
            self._waiting -= 1
        now = self._clock()
        ready_in = 0.0 if booked else max(0.0, self._ready_at - now)
        return Lease([max(0.0, at - now) for at in booked], self.good_for, now - asked, ready_in)

    def spend(self, permits: int, ago: float) -> None:
        """Count *permits* in quotas that an earlier try of the run has used, *ago* seconds before now."""
        for window in self._quotas:
            window.spend(permits, self._clock() - ago)
            self._ready_at = max(self._ready_at, window.due)

    def pause(self, seconds: float) -> None:
        """Book nothing for so long."""
        self._ready_at = max(self._ready_at, self._clock() + seconds)

    def _block(self) -> int:
        seconds = min(BLOCK, max(SMALLEST_BLOCK, AHEAD / max(1, self._waiting)))
        return max(1, int(self._per_second * seconds))

    def _longer(self, rate: Rate) -> Rate:
        return Rate(
            rate.limit, rate.per + self._stretch, rate.burst or (rate.limit if rate.per > PACED else 1)
        )

    async def _book(self, want: int) -> list[float]:
        # All of them must fit in: who got one at a time would ask for each.
        room = AHEAD - (want - 1) / self._per_second
        while (early := self._ready_at - room - self._clock()) > 0:
            if early > PATIENCE:
                return []
            await self._sleep(early)
        booked: list[float] = []
        latest = self._clock() + AHEAD
        while len(booked) < want and (not booked or self._ready_at <= latest):
            booked.append(self._take())
        return booked

    def _take(self) -> float:
        at = max(self._clock(), self._ready_at)
        due = max([window.take(at) for window in self._windows])
        # Workers that are not heard of use their own share of the limit, which is then not ours to give.
        self._ready_at = at + (due - at) / max(0.01, self._share())
        return at

    def _give_back(self, unused: int) -> None:
        if unused and self._quotas:
            for window in self._quotas:
                window.give_back(unused)
            self._ready_at = min(self._ready_at, max(window.due for window in self._windows))
