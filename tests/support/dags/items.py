"""DAGs for tests that disturb them; their API is that of tests/support/recording_api.py."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from http_enrich_provider.operators import HttpEnrichSparkOperator

DATA = os.environ.get("HTTP_ENRICH_DEMO_DATA", "/data")
BATCH = 20
DAILY = CronDataIntervalTimetable("0 0 * * *", timezone="UTC")


def pipeline(name: str, query: str) -> dict[str, Any]:
    """Return a pipeline whose rows take a while: four at a time, a batch of twenty kept at once."""
    return {
        "version": 1,
        "name": name,
        "source": {"query": query, "id": ["id"]},
        "endpoint": {"base_url": "${conn.items_api.host}", "path": "/items/${row.id}"},
        "transport": {"tcp_connection": {"limit": 2}},
        "response": {"schema": "row STRING, twice STRING"},
        "sink": {"path": "${var.out}", "partition_by": ["day"], "mode": "overwrite_partitions"},
        "execution": {"batch_size": BATCH, "max_error_rate": "${var.max_error_rate}"},
    }


def items(dag_id: str, schedule: Any, query: str, params: dict[str, Any], **options: Any) -> None:
    """Make a DAG whose one task asks for the ids that the *query* makes."""
    with DAG(
        dag_id, schedule=schedule, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, params=params
    ):
        HttpEnrichSparkOperator(
            task_id="enrich",
            pipeline=pipeline(dag_id, query),
            variables={"out": f"{DATA}/{dag_id}", "max_error_rate": "{{ params.max_error_rate }}"},
            **options,
        )


def slow(dag_id: str, rows: int, **options: Any) -> None:
    """Make a DAG that takes at least ten seconds for each 400 requests, each of which succeeds."""
    query = f"SELECT concat('{dag_id}-', id, 'x') AS id, 'all' AS day FROM range({rows})"
    items(dag_id, None, query, {"max_error_rate": 0.5}, **options)


# Three of thirty ids end with 7: they are not found.
items(
    "items_daily",
    DAILY,
    "SELECT concat('${run.date}-', id) AS id, DATE'${run.date}' AS day FROM range(30)",
    {"max_error_rate": 0.5},
)
slow("items_marked_failed", 4000)
slow("items_dying", 400, retries=1, retry_delay=timedelta(seconds=1))
slow("items_orphaned", 2000, retries=1, retry_delay=timedelta(seconds=1))
slow("items_timing_out", 4000, execution_timeout=timedelta(seconds=30))
