"""What the middleware of a worker count, in a form that can be added up over a cluster."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
from ddsketch.ddsketch import BaseDDSketch
from ddsketch.mapping import LogarithmicMapping
from ddsketch.store import DenseStore

ACCURACY = 0.01
"""Relative error of a quantile, at most."""

AT_ONCE = 500
"""Rows that are counted together."""

Row = tuple[str | None, int | None, int, int, float]
"""Kind of error, status, attempts, retries, milliseconds."""

_MAPPING = LogarithmicMapping(ACCURACY)

LATENCY_GAMMA: float = _MAPPING.gamma
"""A latency of `ms` is in the bin with the number `ceil(log(ms) / log(LATENCY_GAMMA))`, that of DDSketch."""

_QUANTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}
_CLASSES = ("no_answer", *(f"{hundreds}xx" for hundreds in range(1, 10)))


class Histogram(msgspec.Struct):
    """
    Latencies in milliseconds: how many per bin of a DDSketch with `ACCURACY`, and the longest.

    A bin of the same number means the same everywhere, so that adding them up loses nothing.
    """

    bins: dict[int, int] = {}
    zeros: int = 0
    longest: float = 0.0

    def record(self, times: Sequence[float]) -> None:
        """Count rows that took *times*, in milliseconds."""
        positive = [ms for ms in times if ms > 0]
        self.zeros += len(times) - len(positive)
        _add(self.bins, Counter(map(_MAPPING.key, positive)))
        self.longest = max(self.longest, *positive, 0.0)

    def add(self, other: Histogram) -> None:
        """Take in what *other* holds."""
        _add(self.bins, other.bins)
        self.zeros += other.zeros
        self.longest = max(self.longest, other.longest)

    def figures(self) -> dict[str, float]:
        """Return count, quantiles and maximum."""
        store = DenseStore()
        for key, count in self.bins.items():
            store.add(key, count)
        sketch = BaseDDSketch(_MAPPING, store, negative_store=DenseStore(), zero_count=self.zeros)
        # The middle of the last bin may lie beyond the longest of all.
        found = {
            name: min(sketch.get_quantile_value(q) or 0.0, self.longest) for name, q in _QUANTILES.items()
        }
        found["max_ms"] = self.longest
        return {"count": int(sketch.count), **{name: round(value, 3) for name, value in found.items()}}

    def buckets(self) -> list[tuple[float, int]]:
        """Return how many took up to so many milliseconds and longer than those before, for a chart."""
        found = [(0.0, self.zeros)] if self.zeros else []
        return found + [(round(LATENCY_GAMMA**bin, 3), count) for bin, count in sorted(self.bins.items())]


class Snapshot(msgspec.Struct):
    """
    What happened in a while: rows by how they ended, requests, and rows' latencies by class of status.

    `counters` are those of other middleware, under the names that they chose.
    """

    rows: dict[str, int] = {}
    requests: int = 0
    retries: int = 0
    latencies: dict[str, Histogram] = {}
    counters: dict[str, int] = {}

    def add(self, other: Snapshot) -> None:
        """Take in what *other* holds."""
        _add(self.rows, other.rows)
        _add(self.counters, other.counters)
        self.requests += other.requests
        self.retries += other.retries
        for name, histogram in other.latencies.items():
            self.latency(name).add(histogram)

    def latency(self, name: str) -> Histogram:
        """Return the histogram of the class of status called *name*."""
        histogram = self.latencies.get(name)
        if histogram is None:
            histogram = self.latencies[name] = Histogram()
        return histogram

    def figures(self) -> dict[str, Any]:
        """Return what a report shows, as plain values."""
        return {
            "rows": dict(sorted(self.rows.items(), key=lambda item: -item[1])),
            "requests": self.requests,
            "retries": self.retries,
            "latency": {name: each.figures() for name, each in sorted(self.latencies.items())},
            "counters": dict(sorted(self.counters.items())),
        }


class Metrics:
    """
    The counts of one worker; they are handed on now and then, and begin anew.

    Whatever is done with them is done on the worker's event loop.
    """

    def __init__(self) -> None:
        self._since = Snapshot()
        # Many in a row take a fraction of what each of them would take between two requests.
        self.rows: list[Row] = []
        """Rows that are not counted yet; whoever adds the `AT_ONCE`th of them, calls `count`."""

    def count(self) -> None:
        """Count `rows`."""
        since, taken = self._since, self.rows
        if not taken:
            return
        kinds, statuses, attempts, retries, times = zip(*taken, strict=True)
        _add(since.rows, {kind or "ok": count for kind, count in Counter(kinds).items()})
        since.requests += sum(attempts)
        since.retries += sum(retries)
        by_status: defaultdict[int | None, list[float]] = defaultdict(list)
        for status, ms in zip(statuses, times, strict=True):
            by_status[status].append(ms)
        for status, each in by_status.items():
            since.latency(class_of(status)).record(each)
        taken.clear()

    def drain(self, counters: Counter[str]) -> Snapshot:
        """Return what has come since the last time, with *counters*, and begin both anew."""
        self.count()
        taken, self._since = self._since, Snapshot()
        taken.counters = dict(counters)
        counters.clear()
        return taken


def class_of(status: int | None) -> str:
    """Return the class of *status*, such as `2xx`; `no_answer` if there is none."""
    hundreds = (status or 0) // 100
    return _CLASSES[hundreds] if hundreds < len(_CLASSES) else "other"


def _add(to: dict[Any, int], more: dict[Any, int]) -> None:
    for name, count in more.items():
        to[name] = to.get(name, 0) + count
