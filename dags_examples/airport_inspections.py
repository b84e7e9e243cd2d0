"""
# Inspections, booked once

Each row is a POST with an effect. `idempotency_key` gives each airport and day
a key, so that the API books once however often a request arrives: after a lost
answer, after a crash, and in another try of the task. Rows that the API refuses
for good go to a table of their own, the dead letter.

Needs the connections `spark_default` and `airports_api` (host, password: bearer token).
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from http_enrich_provider.operators import HttpEnrichSparkOperator

DATA = os.environ.get("HTTP_ENRICH_DEMO_DATA", "/data")

with DAG(
    dag_id="airport_inspections",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=5)},
    tags=["example", "http-enrich"],
):
    HttpEnrichSparkOperator(
        task_id="book",
        pipeline="airport_inspections.yaml",
        variables={
            "source": f"{DATA}/source",
            "out": f"{DATA}/inspections",
            "refused": f"{DATA}/inspections_refused",
        },
    )
