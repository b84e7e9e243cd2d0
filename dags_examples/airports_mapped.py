"""
# Several pipelines, one mapped task

Dynamic task mapping: one task instance for each pipeline of the list. Each
pipeline has a name of its own, which is what tells their runs apart.

A pipeline that is mapped over, as here, is checked when its task instance
starts; a wrong one fails that instance alone, without a retry. One that all
instances share is checked when Airflow parses the DAG file.

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
    dag_id="airports_mapped",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=5)},
    tags=["example", "http-enrich"],
):
    HttpEnrichSparkOperator.partial(
        task_id="enrich",
        variables={"source": f"{DATA}/source", "out": DATA},
        max_active_tis_per_dagrun=1,  # they call the same API
    ).expand(pipeline=["airport_names.yaml", "airport_places.yaml"])
