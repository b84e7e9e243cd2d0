"""Looks at a run while it is at work, and ends it before it costs more than it is worth."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from http_enrich_spark._logs import logger
from http_enrich_spark.config import ExecutionConfig
from http_enrich_spark.coordinator import Coordinator, Pace, Stop, Totals, progress_line

from ._contact import Contact
from ._curve import Curve, Point
from ._errors import first_line
from ._facts import passed

SAMPLE = 1000
"""Rows; as long as there are fewer answers, failures are judged as if there were that many."""

REJECTED = 20
"""Rows; if these are all by now and each was rejected, the others will be, too, or the account be locked."""

LINE_EVERY = 5.0
"""Seconds between two lines of progress."""

_INTERVAL = 0.5
"""Seconds between two looks."""


class Progress(NamedTuple):
    """
    How far a run is, earlier tries included: rows answered, those of them that failed, and requests made.

    `ignored` rows have an answer that is neither good nor bad; of `rejected` ones the API has refused the
    credentials.
    """

    rows: int
    failed: int
    calls: int
    ignored: int = 0
    rejected: int = 0


def reason_to_stop(progress: Progress, total: int, seconds: float, limits: ExecutionConfig) -> Stop | None:
    """Return why a run of *total* rows must not go on after *seconds* of this try; None if it may."""
    judged = progress.rows - progress.ignored
    if progress.rejected == judged >= REJECTED and limits.max_error_rate < 1:
        return Stop(f"all of the first {judged:,} rows were rejected with these credentials", "error_rate")
    if progress.failed > limits.max_error_rate * max(judged, min(SAMPLE, total)):
        rate = f"{progress.failed:,} of the first {judged:,} rows have failed"
        return Stop(
            f"{rate}, more than execution.max_error_rate = {limits.max_error_rate:.1%} allows", "error_rate"
        )
    if progress.rows >= total:
        return None
    if limits.max_calls is not None and progress.calls >= limits.max_calls:
        made = f"{progress.calls:,} requests were made"
        return Stop(
            f"{made}, and execution.max_calls is {limits.max_calls:,}; raise it to go on", "max_calls"
        )
    if limits.deadline is not None and seconds >= limits.deadline:
        over = f"execution.deadline of {limits.deadline:g} s is over; run it again to go on"
        return Stop(over, "deadline", retry=True)
    return None


def progress_of(answers: DataFrame) -> Progress:
    """Return how far a run with these *answers* is."""
    calls = F.coalesce(F.sum("http.attempts"), F.lit(0))
    ignored = F.count_if(F.col("http.outcome") == "ignored")
    row = answers.agg(F.count(F.lit(1)), F.count_if(~passed()), calls, ignored).first()
    assert row is not None  # noqa: S101 - an aggregate without keys has one row
    return Progress(*map(int, row))


class Guard:
    """Looks after a run of *total* rows, of which *before* is what earlier tries have done."""

    def __init__(
        self,
        coordinator: Coordinator,
        total: int,
        before: Progress,
        limits: ExecutionConfig,
        contact: Contact,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.curve = Curve()
        """How the try came along; it counts neither rows nor requests of earlier ones."""
        self._coordinator, self._total, self._before, self._limits = coordinator, total, before, limits
        self._contact, self._clock = contact, clock
        self._started = clock()
        self._pace, self._next_line = Pace(), self._started + LINE_EVERY

    @property
    def cancelled(self) -> bool:
        """Whether the run had to be cancelled, since it was stopped and did not end by itself."""
        return self._contact.cancelled

    def look(self) -> None:
        """Log a line if it is time for one, and end the run if it has to end."""
        now, totals = self._clock(), self.note()
        pace = self._pace.at(now, totals.rows)
        if now >= self._next_line:
            self._next_line = now + LINE_EVERY
            line = progress_line(totals, total=self._total, before=self._before.rows, pace=pace)
            logger.info("%s", line)
        if self._coordinator.stopped is None:
            stop = reason_to_stop(self._with_earlier(totals), self._total, now - self._started, self._limits)
            if stop is not None:
                self._coordinator.stop(stop)
        self._contact.look(now)

    def note(self) -> Totals:
        """Add a point to the curve, and return what was counted by now."""
        totals = self._coordinator.totals()
        seconds = round(self._clock() - self._started, 1)
        self.curve.add(Point(seconds, totals.rows, totals.calls, totals.failed))
        return totals

    def _with_earlier(self, totals: Totals) -> Progress:
        ignored, rejected = (totals.outcomes.get(name, 0) for name in ("ignored", "auth"))
        now = Progress(totals.rows, totals.failed, totals.calls, ignored, rejected)
        return Progress(*map(sum, zip(self._before, now, strict=True)))


class Watch:
    """Calls *look* again and again on a thread of its own, for the block; an error of it is logged once."""

    def __init__(self, look: Callable[[], None], interval: float = _INTERVAL) -> None:
        self._look, self._interval = look, interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="http-enrich-watch", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        failed = False
        while not self._over.wait(self._interval):
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - whatever it was, the next look may go well
                if not failed:
                    logger.warning(_BLIND, type(error).__name__, first_line(error))
                failed = True


_BLIND = (
    "the driver could not look at the run (%s: %s) and goes on trying; meanwhile it says nothing of its "
    "progress, and neither execution.max_calls, max_error_rate nor deadline ends it"
)
