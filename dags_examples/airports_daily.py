"""
# Airports, every day

Enriches a table of airports through an API and writes one partition per day.

The schedule is a `CronDataIntervalTimetable`, so that every run has a data
interval of one day: `${run.date}` in the pipeline is the day on which that
interval starts, whenever the run takes place. Running a day again, or
backfilling it, replaces that day's partition and nothing else.

Needs two connections: `spark_default` (for example `local[2]`) and
`airports_api` (host: the address of the API, password: its bearer token).
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset
from airflow.timetables.interval import CronDataIntervalTimetable

from http_enrich_provider.operators import HttpEnrichSparkOperator

DATA = os.environ.get("HTTP_ENRICH_DEMO_DATA", "/data")

with DAG(
    dag_id="airports_daily",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # days that run side by side would add up at the API
    default_args={"retries": 1, "retry_delay": timedelta(minutes=5)},
    tags=["example", "http-enrich"],
):
    HttpEnrichSparkOperator(
        task_id="enrich",
        pipeline="airports.yaml",
        variables={"source": f"{DATA}/source", "out": f"{DATA}/airports"},
        outlets=[Asset("airports")],  # its events have the counts of the run
    )
