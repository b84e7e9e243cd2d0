"""Backfills through the REST API: what each way of reprocessing asks the API for, and in which order."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.dataset as ds
import pytest

from tests.support.real_airflow import ROWS, RealAirflow, day_of
from tests.support.recording_api import RecordingApi

LIMIT, SLOTS = 100, 2
"""Of the API of `airports_oauth2`: requests per second, and runs that may share it."""

ONE, TWO, THREE = (date(2026, 2, day) for day in (1, 2, 3))


def all_of(day: date) -> list[str]:
    return sorted(f"{day}-{number}" for number in range(30))


class Stage(NamedTuple):
    """What a backfill of `items_daily` came to: states of all runs, rows that it asked for, days in order."""

    states: dict[str, str]
    asked: list[str]
    order: list[str]
    files: dict[Path, int]


@pytest.fixture(scope="module")
def stages(airflow: RealAirflow, items: RecordingApi) -> dict[str, Stage]:
    """Run one backfill after the other, each on what the ones before have left."""

    def backfill(first: date, last: date, **options: Any) -> Stage:
        before, started = items.count, {run["start_date"] for run in airflow.runs("items_daily")}
        airflow.backfill("items_daily", first, last, **options)
        runs = airflow.runs("items_daily")
        files = sorted((airflow.data / "items_daily").rglob("*.parquet"))
        return Stage(
            airflow.states("items_daily"),
            sorted(request.row for request in items.requests[before:]),
            [day_of(run) for run in runs if run["start_date"] not in started],
            {file: file.stat().st_mtime_ns for file in files},
        )

    # A run that exists keeps its parameters, unless the backfill brings some.
    strict, lenient = ({"dag_run_conf": {"max_error_rate": rate}} for rate in (0.05, 0.5))
    return {
        "good": backfill(ONE, ONE),
        "bad": backfill(TWO, TWO, **strict),
        "none": backfill(ONE, TWO, reprocess_behavior="none"),
        "failed": backfill(
            ONE, THREE, reprocess_behavior="failed", run_backwards=True, max_active_runs=1, **lenient
        ),
        "completed": backfill(ONE, THREE, reprocess_behavior="completed", max_active_runs=3),
    }


def test_a_day_with_too_many_failures_publishes_nothing(stages: dict[str, Stage]) -> None:
    assert stages["good"].asked == all_of(ONE)
    assert set(stages["bad"].asked) <= set(all_of(TWO))  # it may have given up before the last one
    assert stages["bad"].states == {str(ONE): "success", str(TWO): "failed"}
    assert {file.parent.name for file in stages["bad"].files} == {f"day={ONE}"}


def test_missing_runs_leaves_days_that_have_run_alone(stages: dict[str, Stage]) -> None:
    none = stages["none"]

    assert (none.order, none.asked) == ([], [])
    assert none.states == stages["bad"].states


def test_missing_and_errored_asks_again_only_for_what_has_failed(
    airflow: RealAirflow, stages: dict[str, Stage]
) -> None:
    """
    Three of the thirty rows of the second day; the first day is left alone, the third is new.

    From the last day to the first, one at a time: the partitions are those of any other order.
    """
    failed = stages["failed"]
    without_answer = {f"{TWO}-{number}" for number in (7, 17, 27)} | {*all_of(TWO)} - {*stages["bad"].asked}

    assert failed.order == [str(THREE), str(TWO)]
    assert failed.asked == sorted([*without_answer, *all_of(THREE)])
    assert set(failed.states.values()) == {"success"}
    table = ds.dataset(airflow.data / "items_daily").to_table(["id"])
    assert sorted(table["id"].to_pylist()) == sorted(row for day in (ONE, TWO, THREE) for row in all_of(day))


def test_all_runs_runs_every_task_and_asks_for_nothing(stages: dict[str, Stage]) -> None:
    completed = stages["completed"]

    assert sorted(completed.order) == [str(ONE), str(TWO), str(THREE)]
    assert completed.asked == []
    assert completed.files == stages["failed"].files


def test_reprocessing_a_partition_makes_another_run_that_asks_for_nothing(airflow: RealAirflow) -> None:
    dag_id = "airports_partitioned"
    airflow.backfill(dag_id, ONE, ONE)
    requests = airflow.api.stats.requests
    airflow.backfill(dag_id, ONE, ONE, reprocess_behavior="completed")
    runs = [run for run in airflow.runs(dag_id) if day_of(run) == str(ONE)]

    assert [(run["partition_key"], run["state"]) for run in runs] == [(str(ONE), "success")] * 2
    assert airflow.api.stats.requests == requests
    assert airflow.check_day(ONE, dag_id).rows == ROWS


def test_days_that_run_side_by_side_share_the_limit_of_the_api(airflow: RealAirflow) -> None:
    days = [ONE, TWO, THREE]
    airflow.api.stats.busiest_second = 0
    airflow.backfill("airports_oauth2", ONE, THREE, max_active_runs=3)
    tasks = [airflow.task("airports_oauth2", run["dag_run_id"]) for run in airflow.runs("airports_oauth2")]

    # Each run keeps to 1.015 times its share; between its permits and the server a busy machine stands.
    # Two runs that knew of no share would come to twice the limit while both ask.
    assert airflow.api.stats.busiest_second <= LIMIT * 1.6
    assert most_at_a_time(tasks) == SLOTS
    assert [airflow.check_day(day, "airports_oauth2").rows for day in days] == [ROWS] * 3


def most_at_a_time(tasks: list[dict[str, Any]]) -> int:
    """Return how many of the tasks were at work at the same time, at most."""
    spans = [(str(task["start_date"]), str(task["end_date"])) for task in tasks]
    return max(sum(start <= at < end for start, end in spans) for at, _ in spans)
