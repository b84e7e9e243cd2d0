"""Which window a run has."""

from __future__ import annotations

import ast
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG
from jinja2 import Template

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


BERLIN = {
    date(2026, 2, 1): ("2026-02-01T00:00:00+01:00", "2026-02-02T00:00:00+01:00"),
    date(2026, 3, 29): ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),  # 23 hours
    date(2026, 10, 25): ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),  # 25 hours
}


def partition(day: date, zone: str, key_format: str, cron: str = "0 0 * * *") -> dict[str, Any]:
    """What the context of a task has of the partition that Airflow itself makes of that *day*."""
    core = pytest.importorskip("airflow.timetables.trigger")
    sdk = pytest.importorskip("airflow.sdk")
    if not hasattr(core, "CronPartitionTimetable"):
        pytest.skip("this Airflow has no partitions")
    options = {"timezone": zone, "key_format": key_format}
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    (made,) = core.CronPartitionTimetable(cron, **options).iter_partition_dagrun_infos(
        earliest=midnight, latest=midnight.replace(hour=23)
    )
    dag = DAG("d", schedule=sdk.CronPartitionTimetable(cron, **options), start_date=FIRST)
    return {"dag": dag, "partition_key": made.partition_key, "partition_date": made.partition_date}


@pytest.mark.parametrize("day", BERLIN)
def test_a_day_is_one_in_the_zone_of_its_timetable(day: date) -> None:
    found = info(**partition(day, "Europe/Berlin", "%Y-%m-%d"))

    assert (found.window_start, found.window_end) == BERLIN[day]
    assert found.value("date") == found.partition_key == str(day)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_a_day_whose_run_is_at_six_is_the_whole_day(zone: str) -> None:
    day = date(2026, 2, 1)
    found = info(**partition(day, zone, "%Y-%m-%d", cron="0 6 * * *"))

    assert found.window.count("T00:00:00") == 2
    assert found.value("date") == str(day)


def test_a_partition_named_by_a_time_is_one_of_its_day() -> None:
    """In UTC, where Airflow says that it starts, it is still the day before."""
    found = info(**partition(date(2026, 3, 29), "Europe/Berlin", "%Y-%m-%dT%H:%M:%S"))

    assert found.value("window_start") == "2026-03-29T00:00:00+01:00"
    assert found.value("date") == "2026-03-29"


@pytest.mark.parametrize("key", ["2026-03-29", "2026-03-29T00:00:00"])
@pytest.mark.parametrize("hour", [-1, 4])
def test_a_day_of_an_unknown_zone_is_refused_where_it_is_asked_for(key: str, hour: int) -> None:
    """A partition that comes with an asset: its key may be of Berlin or New York, and nothing says which."""
    found = info(partition_key=key, partition_date=datetime(2026, 3, 29, tzinfo=UTC) + timedelta(hours=hour))

    assert found.value("partition_key") == key
    for name in ("date", "window_start", "window_end"):
        with pytest.raises(ValueError, match=r"zone is not clear; give the operator a window such as"):
            found.value(name)


def test_the_window_that_the_refusal_proposes_is_that_day() -> None:
    starts = pendulum.datetime(2026, 3, 28, 23)
    with pytest.raises(ValueError, match="time zone") as refusal:
        info(partition_key="2026-03-29", partition_date=starts).value("date")
    proposed = ast.literal_eval(str(refusal.value).partition("such as ")[2])
    given = {name: Template(text).render(partition_date=starts) for name, text in proposed.items()}

    assert window(given, partition_key="2026-03-29", partition_date=starts) == BERLIN[date(2026, 3, 29)]


def test_a_day_of_an_unknown_zone_that_starts_at_midnight_is_one_of_utc() -> None:
    assert window(partition_key="2026-01-01", partition_date=datetime(2026, 1, 1, tzinfo=UTC)) == DAY


def test_a_partition_of_another_zone_than_the_timetable_is_refused() -> None:
    made = partition(date(2026, 3, 29), "Europe/Berlin", "%Y-%m-%d")
    found = info(**{**made, "partition_date": datetime(2026, 3, 29, 22, tzinfo=UTC)})

    with pytest.raises(ValueError, match="and at 2026-03-30T00:00:00"):
        found.value("window_start")


@pytest.mark.parametrize(("zone", "clear"), [("UTC", True), ("Europe/Berlin", False)])
def test_a_key_alone_is_clear_in_utc_only(zone: str, clear: bool) -> None:
    """Before Airflow 3.3 keys are written in UTC, and a task does not get to know the start."""
    made = partition(date(2026, 3, 29), zone, "%Y-%m-%d")
    found = info(**{**made, "partition_date": None})

    assert (found.no_window is None) == clear


def test_a_week_is_no_day() -> None:
    assert window(partition_key="2026-W01") == ("2025-12-29T00:00:00+00:00", None)


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
