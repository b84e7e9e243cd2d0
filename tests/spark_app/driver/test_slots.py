"""Executors that may still come have a share of the limit."""

from __future__ import annotations

import pytest
from pyspark import SparkConf
from pyspark.sql import SparkSession

from http_enrich_spark.driver._slots import slots_of, slots_to_come

ALLOCATION = "spark.dynamicAllocation"


@pytest.mark.parametrize(
    ("settings", "slots"),
    [
        ({}, 0),
        ({f"{ALLOCATION}.maxExecutors": "100"}, 0),
        ({f"{ALLOCATION}.enabled": "true"}, 0),
        # Whatever spark.default.parallelism says, which Spark would take for the number of slots.
        ({"spark.executor.instances": "10", "spark.executor.cores": "4"}, 40),
        ({f"{ALLOCATION}.enabled": "true", "spark.executor.instances": "10"}, 0),
        ({f"{ALLOCATION}.enabled": "true", f"{ALLOCATION}.maxExecutors": "100"}, 100),
        # As Airflow's hook writes a True of Python; Spark takes it for one.
        ({f"{ALLOCATION}.enabled": "True", f"{ALLOCATION}.maxExecutors": "100"}, 100),
        (
            {
                f"{ALLOCATION}.enabled": "true",
                f"{ALLOCATION}.maxExecutors": "100",
                "spark.executor.cores": "8",
                "spark.task.cpus": "2",
            },
            400,
        ),
    ],
)
def test_the_most_executors_count_where_their_number_is_known(settings: dict[str, str], slots: int) -> None:
    conf = SparkConf(loadDefaults=False).setAll(list(settings.items()))

    assert slots_to_come(conf) == slots


def test_a_session_has_the_slots_that_are_there(spark: SparkSession) -> None:
    assert slots_of(spark) == 2
