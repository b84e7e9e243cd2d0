"""Tasks that are stopped or take too long, with a real Spark; requests are counted at the API."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tests.support.application import left_behind
from tests.support.recording_api import RecordingApi, recording_api
from tests.support.small_runs import committed
from tests.support.task_process import SECONDS, TaskProcess, task_process

ROWS, BATCH, SLOTS = 320, 8, 2
LARGEST = 15
"""Rows of one of its partitions: the ids are hashed to partitions of `BATCH` rows on average."""

GRACE = 5.0
"""Seconds after which no request may be made any more."""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[RecordingApi]:
    with recording_api(tmp_path, latency=0.1) as running:
        yield running


def pipeline(folder: Path, url: str) -> dict[str, Any]:
    source = folder / "source"
    source.mkdir()
    pq.write_table(pa.table({"id": [f"r{n}" for n in range(ROWS)]}), source / "part-0.parquet")
    return {
        "version": 1,
        "name": "killed",
        "source": {"path": str(source), "id": ["id"]},
        "endpoint": {"base_url": url, "path": "/items/${row.id}"},
        "transport": {"tcp_connection": {"limit": 2}, "base_timeout": 10},
        "sink": {"path": str(folder / "out"), "mode": "append"},
        "execution": {"batch_size": BATCH},
    }


def stop_as_airflow_does(task: TaskProcess) -> None:
    """Its supervisor signals the task's whole process group."""
    os.killpg(task.process.pid, signal.SIGTERM)


def tell_the_task_alone(task: TaskProcess) -> None:
    os.kill(task.process.pid, signal.SIGTERM)


def let_its_time_be_over(task: TaskProcess) -> None:
    """What `execution_timeout` does, at a moment of our choice."""
    os.kill(task.process.pid, signal.SIGALRM)


def check_table(folder: Path) -> None:
    ids = ds.dataset(folder / "out").to_table(columns=["id"])["id"].to_pylist()
    assert Counter(ids) == Counter(f"r{n}" for n in range(ROWS))


def stop_it(
    folder: Path, data: dict[str, Any], api: RecordingApi, stop: Callable[[TaskProcess], None]
) -> dict[str, Any]:
    """Begin to run *data*, *stop* it, see that no request follows, and return how the task has ended."""
    with task_process(folder, "first", data, f"local[{SLOTS}]") as task:
        api.wait_for(10 * BATCH, lambda: task.ended, SECONDS)
        stopped_at = time.monotonic()
        stop(task)
        outcome = task.outcome()
        left = left_behind(task.process.pid, GRACE)

    assert left == []
    assert max(each.at for each in api.requests) < stopped_at + GRACE
    # What a Spark task has answered is lost with it, and nothing else.
    assert len(committed(folder)) >= api.count - SLOTS * LARGEST
    return outcome


def test_a_task_that_is_stopped_makes_no_more_requests_and_loses_nothing_it_has_committed(
    tmp_path: Path, api: RecordingApi
) -> None:
    data = pipeline(tmp_path, api.url)
    outcome = stop_it(tmp_path, data, api, stop_as_airflow_does)
    kept, paid = len(committed(tmp_path)), api.count
    with task_process(tmp_path, "second", data, f"local[{SLOTS}]") as task:
        result = task.outcome()

    assert outcome["error"] == "AirflowException"
    assert outcome["message"].startswith("the task was stopped; what was committed is kept")
    assert result["resumed"] == kept
    assert api.count == paid + ROWS - kept
    check_table(tmp_path)


@pytest.mark.parametrize(
    ("stop", "error", "message"),
    [
        (tell_the_task_alone, "AirflowException", "the task was stopped; what was committed is kept"),
        (let_its_time_be_over, "AirflowTaskTimeout", "execution_timeout of 1:00:00 is over: what was"),
    ],
)
def test_who_knows_of_the_task_alone_or_takes_its_time_stops_as_much(
    tmp_path: Path, api: RecordingApi, stop: Callable[[TaskProcess], None], error: str, message: str
) -> None:
    outcome = stop_it(tmp_path, pipeline(tmp_path, api.url), api, stop)

    assert outcome["error"] == error
    assert outcome["message"].startswith(message)
