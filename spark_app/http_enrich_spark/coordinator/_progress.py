"""Says how far a run is, in one line."""

from __future__ import annotations

from collections import deque

from ._totals import PASSED, Totals

_WINDOW = 30.0
"""Seconds over which the pace is measured."""


class Pace:
    """Rows per second of late, from what was counted when."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def at(self, now: float, rows: int) -> float:
        """Note that there are *rows* at the time *now*, in seconds; returns rows per second."""
        self._seen.append((now, rows))
        while now - self._seen[0][0] > _WINDOW:
            self._seen.popleft()
        then, before = self._seen[0]
        return (rows - before) / (now - then) if now > then else 0.0


def progress_line(totals: Totals, *, total: int, before: int, pace: float) -> str:
    """
    Return how far a run of *total* rows is, of which *before* were answered by earlier tries.

    *pace* is rows per second; quality and latency are those of the rows of this try.
    """
    rows = min(total, before + totals.rows)
    share = 100 * rows / total if total else 100.0
    parts = [f"{share:.1f} %", f"{rows:,}/{total:,} rows", f"{pace:,.0f} rows/s"]
    if totals.rows:
        good = sum(totals.outcomes.get(outcome, 0) for outcome in PASSED)
        latency = totals.latency.figures()
        parts += [f"ok {100 * good / totals.rows:.1f} %", f"retries {totals.retries:,}"]
        parts += [f"p50 {latency['p50_ms']:.0f} ms p99 {latency['p99_ms']:.0f} ms"]
    if pace > 0:
        parts.append(f"ETA {_duration((total - rows) / pace)}")
    return " · ".join(parts)


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
