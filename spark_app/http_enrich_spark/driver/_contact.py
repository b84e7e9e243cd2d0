"""Whether the workers of a run are in touch with its driver, and what to do if they are not."""

from __future__ import annotations

import math
from collections.abc import Callable

from http_enrich_spark._logs import logger
from http_enrich_spark.coordinator import Coordinator

SILENCE = 15.0
"""Seconds; a worker says something every second, so by then it is kept from it."""

GRACE = 30.0
"""Seconds, beyond those of a request, that a run which was stopped may take to end by itself."""

_OVERDUE = 3.0
"""Seconds without a word after which Spark is asked whether there is anybody who could say one."""


class Contact:
    """
    Looks after the line between *coordinator* and the workers of a run.

    *working* returns how many tasks are enriching rows in Spark's eyes; *cancel* ends them all. A run that
    was stopped is cancelled after *grace* seconds: then there are workers that have not heard of it. Times
    are those of `time.monotonic`.
    """

    def __init__(
        self, coordinator: Coordinator, working: Callable[[], int], cancel: Callable[[], None], grace: float
    ) -> None:
        self.cancelled = False
        """Whether the run was cancelled, so that it has ended by an error of Spark's."""
        self._coordinator, self._working, self._cancel = coordinator, working, cancel
        self._grace = grace
        self._idle_at: float | None = None
        self._stopped_at, self._told = math.inf, False

    def look(self, now: float) -> None:
        """Warn once if nobody is heard of, and cancel a run that goes on although it was stopped."""
        if not self._told and self._is_silent(now):
            self._told = True
            logger.warning(_SILENT, SILENCE, self._coordinator.link.url.partition("://")[2])
        if self._coordinator.stopped is None or self.cancelled:
            return
        self._stopped_at = min(self._stopped_at, now)
        if now - self._stopped_at >= self._grace:
            # First, since whoever waits for the run looks here when it ends.
            self.cancelled = True
            logger.warning(_CANCELLED, now - self._stopped_at)
            self._cancel()

    def _is_silent(self, now: float) -> bool:
        """Say whether tasks have been at work for a while and none of their workers was heard of."""
        heard = self._coordinator.heard_at
        if self._idle_at is None or (now - heard > _OVERDUE and not self._working()):
            self._idle_at = now
        return now - max(heard, self._idle_at) >= SILENCE


_SILENT = (
    "no worker has been heard of for %.0f s although tasks are at work: they seem not to reach the driver at "
    "%s. Until they do, execution.max_calls and max_error_rate stop nobody, deadline ends the run by "
    "cancelling it, and each worker keeps to its own share of a rate limit. Let executors through to that "
    "port (it is another one in each run), or set spark.driver.host to an address that they reach"
)
_CANCELLED = (
    "the run goes on %.0f s after it was stopped, so its Spark jobs are cancelled: answers of tasks at work "
    "are lost, and the next try asks for them again"
)
