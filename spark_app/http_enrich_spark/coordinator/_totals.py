"""What the workers count, whatever middleware there is."""

from __future__ import annotations

from typing import Any

import msgspec

from http_enrich_middleware import Histogram

PASSED = ("ok", "ignored")
"""Outcomes that are no failures."""


class Totals(msgspec.Struct):
    """
    Rows by outcome, the requests that were made for them, and what their time was spent on.

    `seconds` has a word for each, such as `limiter`, `auth`, `backoff`, `queue` and `network`; `counters`
    are those of middleware, such as `cache.hits`.
    """

    outcomes: dict[str, int] = {}
    calls: int = 0
    retries: int = 0
    latency: Histogram = msgspec.field(default_factory=Histogram)
    seconds: dict[str, float] = {}
    counters: dict[str, int] = {}

    @property
    def rows(self) -> int:
        """Rows with an answer or an error; those that were given up are neither."""
        return sum(self.outcomes.values()) - self.outcomes.get("stopped", 0)

    @property
    def failed(self) -> int:
        """Rows with an error."""
        return self.rows - sum(self.outcomes.get(outcome, 0) for outcome in PASSED)

    def add(self, other: Totals) -> None:
        """Take in what *other* has counted."""
        for mine, theirs in ((self.outcomes, other.outcomes), (self.counters, other.counters)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        for name, seconds in other.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.calls += other.calls
        self.retries += other.retries
        self.latency.add(other.latency)

    def figures(self) -> dict[str, Any]:
        """Return what a report shows, as plain values; times in seconds."""
        return {
            "outcomes": dict(sorted(self.outcomes.items(), key=lambda item: -item[1])),
            "calls": self.calls,
            "retries": self.retries,
            "latency": self.latency.figures(),
            "seconds": {what: round(seconds, 3) for what, seconds in sorted(self.seconds.items())},
            "counters": dict(sorted(self.counters.items())),
        }

    def __bool__(self) -> bool:
        return bool(self.outcomes or self.counters)
