"""Counts a worker's rows for the driver, a few hundred at a time."""

from __future__ import annotations

from collections import Counter

from http_enrich_middleware import RequestExchange, RunState
from http_enrich_spark.coordinator import Totals

from ._record import HttpRecord

AT_ONCE = 500
"""Rows that are counted together, which takes a fraction of what each of them would take by itself."""


class Tally:
    """
    What has happened to rows since it was last taken; *counters* are those of the middleware.

    Requests are those of *run*: a row may make many before it ends, and whoever limits them has to know.
    """

    def __init__(self, counters: Counter[str], run: RunState) -> None:
        self._counters, self._run = counters, run
        self._requests = run.requests
        self._taken: Counter[str] = Counter()
        self._reset: Counter[str] = Counter()
        self._rows: list[tuple[str, int, float]] = []
        self._totals = Totals()
        self._seconds = {"queue": 0.0, "network": 0.0}

    def note(self, http: HttpRecord, exchange: RequestExchange) -> None:
        """Count the row whose *exchange* has become *http*."""
        self._rows.append((http.outcome, http.attempts, http.elapsed_ms))
        seconds = self._seconds
        seconds["network"] += exchange.connected + exchange.served
        if exchange.queued:
            seconds["queue"] += exchange.queued
        for what, spent in exchange.spent.items():
            seconds[what] = seconds.get(what, 0.0) + spent
        if len(self._rows) >= AT_ONCE:
            self._count()

    def note_unsent(self, http: HttpRecord) -> None:
        """Count a row for which nothing was sent."""
        self._rows.append((http.outcome, 0, 0.0))

    def before_reset(self) -> None:
        """Remember the counters, which somebody is about to set to nothing."""
        self._reset.update(self._counters)

    def take(self) -> Totals:
        """Return what has come since the last time, and begin anew."""
        self._count()
        taken, self._totals = self._totals, Totals()
        taken.calls, self._requests = self._run.requests - self._requests, self._run.requests
        taken.seconds = {what: seconds for what, seconds in self._seconds.items() if seconds}
        self._seconds = {"queue": 0.0, "network": 0.0}
        counted = self._reset + self._counters
        taken.counters = dict(counted - self._taken)
        self._taken = counted
        return taken

    def _count(self) -> None:
        if not self._rows:
            return
        outcomes, attempts, times = zip(*self._rows, strict=True)
        totals = self._totals
        for outcome, count in Counter(outcomes).items():
            totals.outcomes[outcome] = totals.outcomes.get(outcome, 0) + count
        totals.retries += sum(max(0, each - 1) for each in attempts)
        totals.latency.record(times)
        self._rows.clear()
