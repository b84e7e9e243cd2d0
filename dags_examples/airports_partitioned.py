"""
# Airports, a partition for each day

What `airports_daily` does, with a partition timetable. Such a run has no
logical date and no data interval, only a partition key; here it is the day,
such as `2026-03-01`, and `${run.partition_key}` in the pipeline.

A backfill goes over partitions. Reprocessing one makes a new run for the same
key: it is the same work to us, so what is published already is not asked again.

Needs Airflow 3.2, and the connections `spark_default` and `airports_api` (host, password: bearer token).
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronPartitionTimetable

from http_enrich_provider.operators import HttpEnrichSparkOperator

DATA = os.environ.get("HTTP_ENRICH_DEMO_DATA", "/data")

with DAG(
    dag_id="airports_partitioned",
    doc_md=__doc__,
    # The run of midnight works on the day that has just ended.
    schedule=CronPartitionTimetable("0 0 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=5)},
    tags=["example", "http-enrich"],
):
    HttpEnrichSparkOperator(
        task_id="enrich",
        pipeline="airports_partitioned.yaml",
        variables={"source": f"{DATA}/source", "out": f"{DATA}/airports_partitioned"},
    )
