"""The states of a circuit breaker; no waiting and no clock in here."""

from __future__ import annotations

from collections import deque
from enum import StrEnum


class State(StrEnum):
    """Closed lets everything through, open nothing, half open a few to find out."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """
    Opens when too many of the last requests have failed, and closes when probes succeed.

    All times are seconds of one clock, handed in. `opened_at` is when the outage
    began, moved by the time in which nobody asked. Each time a probe fails it stays
    open twice as long as before, up to *longest*; after *max_open* seconds a probe is due.
    `trial` counts the times that probes went out: what was sent in an earlier one says
    nothing about the peer of now.
    """

    def __init__(
        self,
        *,
        window: int,
        min_requests: int,
        ratio: float,
        open_for: float,
        longest: float,
        max_open: float,
        probes: int,
    ) -> None:
        self._window: deque[bool] = deque(maxlen=window)
        self._failures = 0
        self._min_requests, self._ratio = min_requests, ratio
        self._open_for, self._longest, self._max_open = open_for, longest, max_open
        self._probes = probes
        self._probing = self._succeeded = self.trial = 0
        self._length = open_for
        self.state = State.CLOSED
        self.opened_at = self.open_until = 0.0

    def note(self, failed: bool, now: float, trial: int) -> bool:
        """Take in how a request went that was sent while closed; return whether that has opened it."""
        if self.state is not State.CLOSED or trial != self.trial:
            return False  # it was under way when the breaker opened, and says nothing new
        window = self._window
        if len(window) == window.maxlen:
            self._failures -= window[0]
        window.append(failed)
        self._failures += failed
        if not failed or len(window) < self._min_requests or self._failures / len(window) < self._ratio:
            return False
        self.opened_at = now
        self._open(now)
        return True

    def probe(self, now: float) -> int | None:
        """Return the number of the trial if a request may go as its probe; who asks then owes a `probed`."""
        if self.state is State.OPEN and now >= self.open_until:
            self.state, self._probing, self._succeeded = State.HALF_OPEN, 0, 0
            self.opened_at += now - self.open_until
            self.trial += 1
        if self.state is not State.HALF_OPEN or self._probing + self._succeeded >= self._probes:
            return None
        self._probing += 1
        return self.trial

    def probed(self, trial: int, failed: bool | None, now: float) -> None:
        """Take in how a probe of *trial* went; None if it says nothing about the API."""
        if self.state is not State.HALF_OPEN or trial != self.trial:
            return  # another probe has decided already
        self._probing -= 1
        if failed:
            self._length = min(self._length * 2, self._longest)
            self._open(now)
        elif failed is not None:
            self._succeeded += 1
            if self._succeeded == self._probes:
                self._close()

    def _open(self, now: float) -> None:
        due = min(now + self._length, self.opened_at + self._max_open)
        self.state, self.open_until = State.OPEN, max(now, due)

    def _close(self) -> None:
        self.state, self._length, self._failures = State.CLOSED, self._open_for, 0
        self._window.clear()
