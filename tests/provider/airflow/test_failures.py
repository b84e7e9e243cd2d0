"""What dies, ends or is wrong in a real Airflow, and what that costs: requests are counted at the server."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pyarrow.dataset as ds
import pytest

from tests.support.airflow_processes import processes_of, program_of, supervisor_of
from tests.support.dags.items import BATCH
from tests.support.real_airflow import RealAirflow
from tests.support.recording_api import RecordingApi, Request

STOPPED = 1 + 5
"""Seconds after which nothing is asked: Airflow's worker looks each second, and the application has five."""

LOST = 2 * BATCH * 1.5
"""Rows that a death may cost: those of two Spark tasks, whose ids are spread by a hash."""

PROGRESS = re.compile(
    r"\d+\.\d % · \d+/400 rows · \d+ rows/s · ok \d+\.\d % · retries \d+ · p50 \d+ ms p99 \d+ ms · ETA \d+ s"
)

BROKEN_DAG = """
from airflow.sdk import DAG
from http_enrich_provider.operators import HttpEnrichSparkOperator

with DAG("broken", schedule=None):
    HttpEnrichSparkOperator(task_id="enrich", pipeline="broken.yaml")
"""
BROKEN_YAML = """version: 1
name: broken
source: {path: in, id: [id]}
endpoint:
  base_url: https://api.example.com
midleware: []
sink: {path: out}
"""


def asked(items: RecordingApi, dag_id: str) -> list[Request]:
    """Return the requests that the DAG has made."""
    return [request for request in items.requests if request.row.startswith(f"{dag_id}-")]


def start(airflow: RealAirflow, items: RecordingApi, dag_id: str, requests: int) -> str:
    """Run the DAG, wait until it has made that many requests, and return the id of the run."""
    run_id = airflow.trigger(dag_id)
    airflow.wait_for(
        lambda: len(asked(items, dag_id)) >= requests or not airflow.is_busy(dag_id), f"requests of {dag_id}"
    )
    assert airflow.is_busy(dag_id), f"{dag_id} has ended too soon; see {airflow.log}"
    return run_id


def rows(airflow: RealAirflow, dag_id: str) -> list[str]:
    return sorted(ds.dataset(airflow.data / dag_id).to_table(["id"])["id"].to_pylist())


def test_clearing_a_running_task_or_marking_it_failed_stops_the_requests(
    airflow: RealAirflow, items: RecordingApi
) -> None:
    """Whoever presses these buttons wants the calls to end, not just the task."""
    dag_id = "items_marked_failed"
    run_id = start(airflow, items, dag_id, 40)
    first = program_of(dag_id, "java")
    airflow.clear(dag_id, run_id)
    cleared = time.monotonic()
    airflow.wait_for(lambda: first not in processes_of(dag_id), "the processes of the first try")
    stopped = len(asked(items, dag_id))
    airflow.wait_for(lambda: len(asked(items, dag_id)) >= stopped + 40, "requests of the next try")
    path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/enrich"
    airflow.rest.patch(path, {"new_state": "failed"})
    marked = time.monotonic()
    airflow.wait_for(lambda: not processes_of(dag_id), "the processes of the application")

    assert asked(items, dag_id)[stopped - 1].at - cleared < STOPPED
    assert asked(items, dag_id)[-1].at - marked < STOPPED
    assert len(asked(items, dag_id)) < 4000
    assert not (airflow.data / dag_id).exists()


def test_the_next_try_goes_on_from_what_was_paid_for_and_clearing_asks_nothing(
    airflow: RealAirflow, items: RecordingApi
) -> None:
    dag_id = "items_dying"
    run_id = start(airflow, items, dag_id, 100)
    os.kill(program_of(dag_id, "java"), signal.SIGKILL)
    airflow.wait_until_done(dag_id)
    task, figures = airflow.task(dag_id, run_id), airflow.figures(dag_id, run_id)
    requests, log = len(asked(items, dag_id)), airflow.log_of(dag_id, run_id, try_number=2)
    airflow.clear(dag_id, run_id)
    airflow.wait_until_done(dag_id)

    assert (task["state"], task["try_number"]) == ("success", 2)
    assert figures["resumed"] > 0
    assert PROGRESS.search(log)  # it takes longer than the five seconds from line to line
    assert 400 <= requests <= 400 + LOST
    assert len(rows(airflow, dag_id)) == len(set(rows(airflow, dag_id))) == 400
    assert airflow.task(dag_id, run_id)["try_number"] == 3
    assert len(asked(items, dag_id)) == requests


def test_a_driver_whose_worker_was_killed_and_the_next_try_do_the_work_once(
    airflow: RealAirflow, items: RecordingApi
) -> None:
    """Nobody tells the driver that its worker is gone: it may still be at work when the next try begins."""
    dag_id = "items_orphaned"
    run_id = start(airflow, items, dag_id, 100)
    os.kill(supervisor_of(airflow.task(dag_id, run_id)["id"]), signal.SIGKILL)
    airflow.miss(dag_id)
    airflow.wait_until_done(dag_id)
    airflow.wait_for(lambda: not processes_of(dag_id), "the processes of the application")
    task, figures = airflow.task(dag_id, run_id), airflow.figures(dag_id, run_id)
    often = Counter(each.row for each in asked(items, dag_id))

    assert (task["state"], task["try_number"]) == ("success", 2)
    assert figures["resumed"] > 0
    assert 2000 <= often.total() <= 2000 + LOST
    assert max(often.values()) <= 2
    assert len(rows(airflow, dag_id)) == len(set(rows(airflow, dag_id))) == 2000


def test_a_task_that_takes_too_long_takes_the_application_with_it(
    airflow: RealAirflow, items: RecordingApi
) -> None:
    dag_id = "items_timing_out"
    run_id = airflow.trigger(dag_id)
    airflow.wait_for(lambda: bool(processes_of(dag_id)), "the start of the application")
    airflow.wait_until_done(dag_id)
    airflow.wait_for(lambda: not processes_of(dag_id), "the processes of the application", seconds=20)

    assert airflow.task(dag_id, run_id)["state"] == "failed"
    assert airflow.report(dag_id, run_id)["error"].startswith("execution_timeout of 0:00:30 is over")
    assert len(asked(items, dag_id)) < 4000
    assert not (airflow.data / dag_id).exists()


@pytest.fixture
def broken(airflow: RealAirflow) -> Path:
    """A pipeline with a typo, beside the DAG that it belongs to."""
    (airflow.dags / "broken.py").write_text(BROKEN_DAG)
    file = airflow.dags / "broken.yaml"
    file.write_text(BROKEN_YAML)
    return file


def test_a_typo_in_a_pipeline_is_an_import_error_of_its_dag_alone(airflow: RealAirflow, broken: Path) -> None:
    airflow.wait_for(lambda: bool(airflow.import_errors()), "the import error")
    (error,) = airflow.import_errors()

    assert error["filename"] == "broken.py"
    assert (
        f"{broken}:6:1: midleware: unknown key 'midleware'; did you mean 'middleware'?"
        in error["stack_trace"]
    )
    assert "airports_daily" in airflow.dag_ids()
    assert "broken" not in airflow.dag_ids()
