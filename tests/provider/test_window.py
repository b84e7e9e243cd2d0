"""Which window a run has."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from http_enrich_provider._window import run_info
from http_enrich_spark.config import RunInfo

FIRST, SECOND = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)
INTERVAL = {"data_interval_start": FIRST, "data_interval_end": SECOND}
DAY = ("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00")


def info(window: Any = None, **context: Any) -> RunInfo:
    return run_info({"run_id": "backfill__2026-12-31", **context}, window)  # type: ignore[typeddict-item]


def window(given: Any = None, **context: Any) -> tuple[str | None, str | None]:
    found = info(given, **context)
    return found.window_start, found.window_end


@pytest.mark.parametrize(
    "given",
    [
        "2026-01-01",
        date(2026, 1, 1),
        "2026-01-01/2026-01-02",
        "2026-01-01T00:00:00Z/2026-01-02T00:00:00Z",
        {"start": "2026-01-01", "end": "2026-01-02T00:00:00+00:00"},
        {"start": datetime(2026, 1, 1, tzinfo=UTC), "end": datetime(2026, 1, 2)},
    ],
)
def test_what_was_given_counts_before_all_else(given: Any) -> None:
    assert window(given, partition_key="2026-03-01", **INTERVAL) == DAY


def test_the_partition_counts_before_the_interval() -> None:
    found = info(partition_key="2026-01-01", **INTERVAL)

    assert (found.window_start, found.window_end, found.partition_key) == (*DAY, "2026-01-01")


def test_a_partition_that_is_no_day_has_a_start_and_no_end() -> None:
    """Whether midnight stands for an hour or for a day, the key does not say."""
    found = info(partition_key="2026-01-01T00:00:00")

    assert (found.value("date"), found.value("window_start")) == ("2026-01-01", DAY[0])
    with pytest.raises(ValueError, match=r"no end of its window; schedule .* or give the operator a window"):
        found.value("window_end")


def test_a_partition_with_a_date_of_its_own_starts_there() -> None:
    assert window(partition_key="IS", partition_date=FIRST) == ("2026-02-01T00:00:00+00:00", None)


def test_a_partition_that_is_no_time_leaves_it_to_the_interval() -> None:
    found = info(partition_key="IS", **INTERVAL)

    assert (found.partition_key, found.value("date")) == ("IS", "2026-02-01")


def test_the_partition_of_the_dag_run_is_found() -> None:
    class DagRun:
        partition_key = "2026-01-01"

    assert window(dag_run=DagRun()) == DAY


def test_the_interval_is_the_last_resort() -> None:
    assert window("", **INTERVAL) == (FIRST.isoformat(), SECOND.isoformat())


def test_the_run_id_is_never_read() -> None:
    assert window() == (None, None)


def test_an_empty_interval_is_an_error_only_where_it_is_asked_for() -> None:
    found = info(data_interval_start=FIRST, data_interval_end=FIRST)

    assert found.id == "backfill__2026-12-31"
    with pytest.raises(
        ValueError, match=r"is empty.*CronDataIntervalTimetable, or give the operator a window"
    ):
        found.value("date")


@pytest.mark.parametrize(
    "given",
    ["yesterday", "2026-01-01T00:00:00", "2026-01-01/P1D", "a/b/c", {"start": "2026-01-01"}, 7, "None"],
)
def test_what_is_no_window_is_refused_with_the_forms_that_are(given: Any) -> None:
    with pytest.raises(AirflowFailException, match=r"window .*give one day \('2026-01-01'\), 'START/END'"):
        info(given, **INTERVAL)


@pytest.mark.parametrize("given", ["2026-01-02/2026-01-01", {"start": "2026-01-01", "end": "2026-01-01"}])
def test_a_window_without_time_in_it_is_refused(given: Any) -> None:
    with pytest.raises(AirflowFailException, match="window is empty"):
        info(given)
