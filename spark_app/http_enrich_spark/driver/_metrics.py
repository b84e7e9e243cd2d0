"""Adds up what the workers' middleware have counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyspark import Accumulator, AccumulatorParam
from pyspark.sql import SparkSession

from http_enrich_middleware import Snapshot
from http_enrich_spark.config import PipelineConfig


class RunMetrics:
    """
    The counts of a whole run, if its pipeline lists `metrics`.

    Spark hands on the counts of tasks that have succeeded. What is done again,
    after a lost executor, counts again: those requests were made.
    """

    def __init__(self, spark: SparkSession, config: PipelineConfig) -> None:
        self._sum: Accumulator[Snapshot] | None = None
        if any(each.type == "metrics" for each in config.middleware):
            self._sum = spark.sparkContext.accumulator(Snapshot(), _Adding())

    @property
    def report(self) -> Callable[[Snapshot], None] | None:
        """What the workers tell their counts; None if nobody wants them."""
        return self._sum.add if self._sum is not None else None

    def figures(self) -> dict[str, Any] | None:
        """Return what the report shows."""
        return self._sum.value.figures() if self._sum is not None else None


class _Adding(AccumulatorParam[Snapshot]):
    def zero(self, value: Snapshot) -> Snapshot:
        return Snapshot()

    def addInPlace(self, value1: Snapshot, value2: Snapshot) -> Snapshot:
        value1.add(value2)
        return value1
