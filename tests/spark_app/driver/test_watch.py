"""When a run is ended early."""

from __future__ import annotations

from typing import Any

import pytest

from http_enrich_spark.config import ExecutionConfig
from http_enrich_spark.driver._watch import Progress, reason_to_stop


def why(
    progress: tuple[int, int, int], *, total: int = 100_000, seconds: float = 0, **limits: Any
) -> str | None:
    stop = reason_to_stop(Progress(*progress), total, seconds, ExecutionConfig(**limits))
    return stop.reason if stop else None


@pytest.mark.parametrize(
    ("rows", "failed", "total", "stops"),
    [
        (50, 50, 100_000, False),  # as good as 50 of 1,000
        (51, 51, 100_000, True),
        (20_000, 1_000, 100_000, False),
        (20_000, 1_001, 100_000, True),
        (10, 5, 100, False),
        (10, 6, 100, True),  # more than 5 of 100 already: the rest cannot make up for it
        (0, 0, 0, False),
    ],
)
def test_too_many_failures_end_it_as_soon_as_they_are_no_accident(
    rows: int, failed: int, total: int, stops: bool
) -> None:
    reason = why((rows, failed, rows), total=total, max_error_rate=0.05)
    assert (reason is not None) is stops
    assert reason is None or "more than execution.max_error_rate = 5.0% allows" in reason


def test_calls_are_counted_and_the_last_row_needs_none() -> None:
    assert why((900, 0, 999), max_calls=1000) is None
    assert why((900, 0, 1000), max_calls=1000) == (
        "1,000 requests were made, and execution.max_calls is 1,000; raise it to go on"
    )
    assert why((900, 0, 1000), total=900, max_calls=1000) is None


def test_a_deadline_is_that_of_one_try() -> None:
    assert why((1, 0, 1), seconds=59.9, deadline="1m") is None
    assert (
        why((1, 0, 1), seconds=60, deadline="1m")
        == "execution.deadline of 60 s is over; run it again to go on"
    )


def test_only_failures_are_a_judgement_on_the_answers() -> None:
    limits = ExecutionConfig(max_error_rate=0.1, max_calls=1, deadline=1)
    failing = reason_to_stop(Progress(1000, 200, 1000), 2000, 9, limits)
    spent = reason_to_stop(Progress(1000, 0, 1000), 2000, 9, limits)
    assert failing is not None
    assert spent is not None
    assert (failing.judged, spent.judged) == (True, False)
