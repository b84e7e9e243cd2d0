"""What a worker tells the driver that it has counted."""

from __future__ import annotations

from collections import Counter

from http_enrich_middleware import RunState
from http_enrich_spark.worker._record import unsent
from http_enrich_spark.worker._tally import Tally


def test_requests_count_when_they_are_made_and_rows_when_they_end() -> None:
    """A limit on requests that waits for the ends of rows is too late by all their attempts."""
    run = RunState()
    tally = Tally(Counter(), run)
    run.requests += 3
    begun = tally.take()
    tally.note_unsent(unsent("invalid_request", "no"))
    run.requests += 1
    ended = tally.take()

    assert (begun.calls, begun.rows) == (3, 0)
    assert (ended.calls, ended.rows) == (1, 1)
    assert tally.take().calls == 0
