"""Ends what takes too long, with one timer for all requests of a loop."""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import Any

from ._errors import Sent, TransportError, TransportErrorKind
from ._messages import TransportResponse

TICK_SECONDS = 0.05
"""How late a deadline may fire; a timer for each request would cost a tenth of its CPU."""


class Phase(IntEnum):
    """How far a request has got."""

    WAITING = 0
    RESOLVING = 1
    CONNECTING = 2
    WRITING = 3
    READING = 4


_WAITING = Phase.WAITING  # each attempt begins with it, and looking up a member takes its time

_TIMEOUT_KINDS = {
    Phase.RESOLVING: TransportErrorKind.DNS_TIMEOUT,
    Phase.CONNECTING: TransportErrorKind.CONNECT_TIMEOUT,
}


class Attempt:
    """
    One request under way on a task.

    `ends_at` and `due` are times of the loop's clock, in seconds: the end of
    the whole attempt and that of its present phase, whichever comes first.
    `queued` and `connected` are those of its `TransportResponse`.
    """

    __slots__ = (
        "_cancelling",
        "closed",
        "connected",
        "due",
        "ends_at",
        "expired",
        "host",
        "phase",
        "queued",
        "started",
        "status",
        "task",
    )

    def __init__(self, seconds: float, now: float = 0.0, task: asyncio.Task[Any] | None = None) -> None:
        self.task = task
        self._cancelling = task.cancelling() if task else 0
        self.started = now
        self.ends_at = self.due = now + seconds
        self.phase = _WAITING
        self.status: int | None = None
        self.host = ""
        self.expired = self.closed = False
        self.queued: float | None = None
        self.connected: float | None = None

    @property
    def sent(self) -> Sent:
        """How far the request got, on the safe side."""
        if self.status is not None:
            return Sent.RESPONDED
        return Sent.MAYBE_SENT if self.phase >= Phase.WRITING else Sent.NOT_SENT

    def limit_phase(self, seconds: float, now: float) -> None:
        """Let the present phase last no more than *seconds*."""
        self.due = min(self.ends_at, now + seconds)

    def expire(self) -> None:
        """Interrupt the task."""
        if self.task is not None:
            self.expired = True
            self.task.cancel()

    def take_back(self) -> bool:
        """Take the interruption back, if there was one; return whether nobody else wants the task to end."""
        if not self.expired or self.task is None:
            return False
        self.expired = False
        return self.task.uncancel() <= self._cancelling

    @property
    def cancelled(self) -> bool:
        """Whether someone else wants the task to end."""
        return self.task is not None and self.task.cancelling() > 0

    def interrupted(self) -> TransportResponse:
        """Return the answer for an attempt that was cut short, by its deadline or the end of its engine."""
        if self.closed:
            return self.failed(TransportErrorKind.ENGINE_ERROR, "the engine was closed")
        kind = _TIMEOUT_KINDS.get(self.phase, TransportErrorKind.TOTAL_TIMEOUT)
        return self.failed(kind, f"no complete answer within {self.due - self.started:.3g} s")

    def failed(self, kind: TransportErrorKind, message: str, sent: Sent | None = None) -> TransportResponse:
        """Return the answer with an error of *kind*, and what is known of the attempt."""
        error = TransportError(kind, self.sent if sent is None else sent, message)
        return TransportResponse(self.status, error=error, queued=self.queued, connected=self.connected)


class Deadlines:
    """The attempts under way on one event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._attempts: set[Attempt] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> Attempt:
        """Begin an attempt of the current task that may take *seconds*."""
        loop = self.loop
        attempt = Attempt(seconds, loop.time(), asyncio.current_task(loop))
        self._attempts.add(attempt)
        if self._timer is None:
            self._timer = self.loop.call_later(TICK_SECONDS, self._sweep)
        return attempt

    def finish(self, attempt: Attempt) -> None:
        """Take *attempt* off the list; it is not interrupted any more."""
        self._attempts.discard(attempt)
        if attempt.expired:
            attempt.take_back()  # the answer came all the same, so the task goes on uninterrupted

    def close(self) -> None:
        """Cut short what is under way."""
        for attempt in self._attempts:
            attempt.closed = True
            attempt.expire()
        self._attempts.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        now = self.loop.time()
        for attempt in [each for each in self._attempts if each.due <= now]:
            self._attempts.discard(attempt)
            attempt.expire()
        self._timer = self.loop.call_later(TICK_SECONDS, self._sweep) if self._attempts else None
