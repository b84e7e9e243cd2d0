"""Each example DAG on one day, all of them at the same time."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow.dataset as ds
import pytest

from http_enrich_demo.airports import codes
from http_enrich_demo.inspections import is_too_high
from tests.support.real_airflow import ROWS, RealAirflow, day_of

DAY = date(2026, 3, 14)
TASKS = {
    "airports_daily": ["enrich"],
    "airports_partitioned": ["enrich"],
    "airports_oauth2": ["enrich"],
    "airport_inspections": ["book"],
    "airports_mapped": ["enrich", "enrich"],
}
REFUSED = sorted(filter(is_too_high, codes(ROWS)))

Figures = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def before(airflow: RealAirflow) -> dict[str, Any]:
    """What the API had counted before."""
    return airflow.api.stats.as_dict()


@pytest.fixture(scope="module")
def figures(airflow: RealAirflow, before: dict[str, Any]) -> Figures:
    """Run them, and return what their tasks have returned."""
    for dag_id in TASKS:
        airflow.start_backfill(dag_id, DAY, DAY)
    found: Figures = {}
    for dag_id, tasks in TASKS.items():
        airflow.wait_until_done(dag_id)
        (run,) = [run for run in airflow.runs(dag_id) if day_of(run) == str(DAY)]
        indexes = range(len(tasks)) if len(tasks) > 1 else [-1]
        found[dag_id] = [
            airflow.figures(dag_id, run["dag_run_id"], task, index)
            for task, index in zip(tasks, indexes, strict=True)
        ]
    return found


@pytest.mark.parametrize("table", ["airports", "airports_partitioned", "airports_oauth2"])
def test_the_partition_of_the_day_is_complete_and_right(
    airflow: RealAirflow, figures: Figures, table: str
) -> None:
    assert airflow.check_day(DAY, table).rows == ROWS


def test_requests_at_the_server_are_those_that_the_tasks_report(
    airflow: RealAirflow, before: dict[str, Any], figures: Figures
) -> None:
    calls = sum(each["calls"] for tasks in figures.values() for each in tasks)
    retries = sum(each["retries"] for tasks in figures.values() for each in tasks)

    assert calls == airflow.api.stats.requests - before["requests"]
    assert retries > 0


def test_who_waits_for_the_table_is_told_what_is_in_it(airflow: RealAirflow, figures: Figures) -> None:
    (run,) = [run for run in airflow.runs("airports_daily") if day_of(run) == str(DAY)]
    events = airflow.rest.get("/assets/events", source_dag_id="airports_daily", limit=100)["asset_events"]
    (event,) = [each for each in events if each["source_run_id"] == run["dag_run_id"]]

    assert event["extra"]["http_enrich"]["rows_out"] == ROWS


def test_one_token_serves_a_run(airflow: RealAirflow, before: dict[str, Any], figures: Figures) -> None:
    assert airflow.api.stats.tokens - before["tokens"] == 1


def test_each_inspection_is_booked_once_although_answers_were_lost(
    airflow: RealAirflow, figures: Figures
) -> None:
    (booking,) = figures["airport_inspections"]

    assert booking["retries"] > 0
    assert airflow.api.stats.effects == booking["ok"] == ROWS - len(REFUSED)


def test_refused_inspections_are_in_the_dead_letter_with_the_reason(
    airflow: RealAirflow, figures: Figures
) -> None:
    rows = ds.dataset(airflow.data / "inspections_refused", partitioning="hive").to_table().to_pylist()

    assert sorted(row["icao"] for row in rows) == REFUSED
    assert {row["http"]["status"] for row in rows} == {422}
    assert all("no inspector goes" in row["http"]["body"] for row in rows)


def test_a_mapped_task_runs_each_of_its_pipelines(airflow: RealAirflow, figures: Figures) -> None:
    names = [each["pipeline"] for each in figures["airports_mapped"]]
    columns = {name: ds.dataset(airflow.data / name).schema.names for name in names}

    assert columns["airport_names"][:4] == ["icao", "country", "name", "city"]
    assert columns["airport_places"][:5] == ["icao", "country", "lat", "lon", "tz"]
    assert [each["ok"] for each in figures["airports_mapped"]] == [ROWS, ROWS]
