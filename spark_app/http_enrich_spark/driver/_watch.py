"""Looks at a run while it is at work, and ends it before it costs more than it is worth."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from http_enrich_spark.config import ExecutionConfig

SAMPLE = 1000
"""Rows; as long as there are fewer answers, failures are judged as if there were that many."""

_INTERVAL = 0.5
"""Seconds between two looks."""


class Progress(NamedTuple):
    """How far a run is, earlier tries included: rows answered, rows of them that failed, requests made."""

    rows: int
    failed: int
    calls: int


class Stop(NamedTuple):
    """Why a run is to stop, and whether that is a judgement on its answers or only on their number."""

    reason: str
    judged: bool


def reason_to_stop(progress: Progress, total: int, seconds: float, limits: ExecutionConfig) -> Stop | None:
    """Return why a run of *total* rows must not go on after *seconds* of this try; None if it may."""
    sample = max(progress.rows, min(SAMPLE, total))
    if progress.failed > limits.max_error_rate * sample:
        rate = f"{progress.failed:,} of {progress.rows:,} rows have failed"
        return Stop(f"{rate}, more than execution.max_error_rate = {limits.max_error_rate:.1%} allows", True)
    if progress.rows >= total:
        return None
    if limits.max_calls is not None and progress.calls >= limits.max_calls:
        made = f"{progress.calls:,} requests were made"
        return Stop(f"{made}, and execution.max_calls is {limits.max_calls:,}; raise it to go on", False)
    if limits.deadline is not None and seconds >= limits.deadline:
        return Stop(f"execution.deadline of {limits.deadline:g} s is over; run it again to go on", False)
    return None


class Watch:
    """Calls *look* again and again on a thread of its own, for the block."""

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
        while not self._over.wait(self._interval):
            self._look()
