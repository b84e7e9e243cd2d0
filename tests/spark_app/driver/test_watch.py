"""When a run is ended early, and what is said of it until then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from http_enrich_middleware import WorkerRuntime
from http_enrich_spark.config import ExecutionConfig
from http_enrich_spark.coordinator import Coordinator, Stop, Totals
from http_enrich_spark.driver._contact import Contact
from http_enrich_spark.driver._watch import Guard, Progress, Watch, reason_to_stop
from tests.support.syncing import say


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


def test_a_key_that_the_api_rejects_costs_no_thousand_requests() -> None:
    """It may lock the account, and bill what it rejects."""
    limits, progress = (
        ExecutionConfig(max_error_rate=0.5),
        Progress(rows=20, failed=20, calls=20, rejected=20),
    )
    stop = reason_to_stop(progress, 100_000, 0, limits)

    assert stop is not None
    assert stop.reason == "all of the first 20 rows were rejected with these credentials"
    assert reason_to_stop(progress._replace(rejected=19), 100_000, 0, limits) is None
    assert reason_to_stop(progress._replace(rows=19, failed=19, rejected=19), 100_000, 0, limits) is None
    assert reason_to_stop(progress, 100_000, 0, ExecutionConfig(max_error_rate=1)) is None


def test_what_is_ignored_makes_no_share_of_failures_smaller() -> None:
    """As when the run is judged in the end; else it would pay for all of it first."""
    limits = ExecutionConfig(max_error_rate=0.05)
    progress = Progress(rows=20_000, failed=600, calls=20_000, ignored=9_000)

    stop = reason_to_stop(progress, 100_000, 0, limits)

    assert stop is not None
    assert stop.reason.startswith("600 of the first 11,000 rows have failed, more than")
    assert reason_to_stop(progress._replace(ignored=0), 100_000, 0, limits) is None


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
    assert (failing.kind, spent.kind) == ("error_rate", "max_calls")


@pytest.fixture
def driver() -> Iterator[Coordinator]:
    with Coordinator([], host="127.0.0.1", slots=1, runtime=WorkerRuntime()) as coordinator:
        yield coordinator


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def guarded(driver: Coordinator, clock: Clock, **limits: Any) -> Guard:
    """Return the guard of a run of 1,000 rows, 100 of which were answered before."""
    contact = Contact(driver, working=lambda: 1, cancel=lambda: None, grace=60)
    return Guard(driver, 1000, Progress(100, 0, 100), ExecutionConfig(**limits), contact, clock=clock)


def test_a_line_says_every_five_seconds_how_far_the_run_is(
    driver: Coordinator, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    guard = guarded(driver, clock)
    lines: list[list[str]] = []
    with caplog.at_level(logging.INFO):
        for clock.now, answered in [(0.5, 0), (4.5, 200), (5.0, 0), (9.5, 0), (10.0, 250)]:
            say(driver.link, Totals({"ok": answered}, answered))
            caplog.clear()
            guard.look()
            lines.append([each.getMessage()[:43] for each in caplog.records])

    assert lines == [
        [],
        [],
        ["30.0 % · 300/1,000 rows · 44 rows/s · ok 10"],
        [],
        ["55.0 % · 550/1,000 rows · 47 rows/s · ok 10"],
    ]


def test_the_workers_are_told_to_stop_when_a_limit_is_reached(driver: Coordinator) -> None:
    clock = Clock()
    guard = guarded(driver, clock, max_calls=200, deadline=10)
    told: list[Stop | None] = []
    for clock.now, made in [(0.5, 0), (1.0, 99), (1.5, 1), (20.0, 0)]:
        say(driver.link, Totals(calls=made))
        guard.look()
        told.append(driver.stopped)

    reason = "200 requests were made, and execution.max_calls is 200; raise it to go on"
    assert told == [None, None, Stop(reason, "max_calls"), Stop(reason, "max_calls")]


def test_an_error_while_it_looks_is_told_once_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Else one broken call of Spark's would end all limits of a run without anybody knowing."""
    looks, enough = list[int](), threading.Event()

    def look() -> None:
        looks.append(len(looks))
        if len(looks) == 4:
            enough.set()
        if len(looks) != 2:
            raise OSError("no line to Java\n at the end")

    with Watch(look, interval=0.001):
        assert enough.wait(60)

    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == [
        "the driver could not look at the run (OSError: no line to Java) and goes on trying; meanwhile it "
        "says nothing of its progress, and neither execution.max_calls, max_error_rate nor deadline ends it"
    ]
