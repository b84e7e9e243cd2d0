"""
# Airports, behind OAuth2 and a rate limit

The API takes 100 requests per second from all of us. `rate_limit` holds within
a run, and runs know nothing of each other. What they share is the pool
`airports_api` of Airflow: whoever wants to call this API needs one of its slots.

* With one slot, days wait for each other, and each has the whole limit.
* With several, that many days run side by side, and each has its share of the
  limit: `LIMIT / SLOTS`. Give the pool exactly that many slots, no more.

Needs the pool `airports_api` with two slots, and the connections
`spark_default` and `airports_api` (host, login: client id, password: client secret).
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from http_enrich_provider.operators import HttpEnrichSparkOperator

DATA = os.environ.get("HTTP_ENRICH_DEMO_DATA", "/data")
LIMIT = 100  # requests per second that the API allows us
SLOTS = 2  # of the pool

with DAG(
    dag_id="airports_oauth2",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=5)},
    tags=["example", "http-enrich"],
):
    HttpEnrichSparkOperator(
        task_id="enrich",
        pool="airports_api",
        pipeline="airports_oauth2.yaml",
        variables={
            "source": f"{DATA}/source",
            "out": f"{DATA}/airports_oauth2",
            "requests_per_second": LIMIT / SLOTS,
        },
    )
