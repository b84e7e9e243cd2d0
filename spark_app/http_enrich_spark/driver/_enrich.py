"""Sends the requests: rows in, rows with what became of their requests out."""

from __future__ import annotations

import math
from collections.abc import Callable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructField, StructType

from http_enrich_middleware import Snapshot
from http_enrich_spark.config import PipelineConfig, RunInfo
from http_enrich_spark.coordinator import Coordinator
from http_enrich_spark.worker import HTTP_DDL, EnrichBatches, WorkerPlan

from ._names import RESERVED, quoted
from ._slots import slots_of


def answered_schema(rows: StructType) -> StructType:
    """Return what `enrich` makes of rows of that schema."""
    return StructType([*rows.fields, StructField("http", DataType.fromDDL(HTTP_DDL))])


def enrich(
    rows: DataFrame,
    tasks: int,
    config: PipelineConfig,
    run: RunInfo,
    coordinator: Coordinator,
    report: Callable[[Snapshot], None] | None = None,
) -> DataFrame:
    """
    Return *rows*, cut into *tasks*, with the column `http`.

    Nothing happens until the result is written. Whoever uses it twice sends
    every request twice: write it once and read what was written. *coordinator* hands out what is secret;
    *report* travels to the workers, who tell it what their middleware have counted.
    """
    # Rows with equal ids in one worker, where they can share an answer.
    buckets = rows.repartition(tasks, *[F.col(quoted(name)) for name in config.source.id])
    # mapInArrow stumbles over names with dots and backticks, so there they have others.
    plain = [f"{RESERVED}_{position}" for position in range(len(rows.columns))]
    fields = [StructField(name, field.dataType) for name, field in zip(plain, rows.schema, strict=True)]
    plan = WorkerPlan.of(config, run, slots=slots_of(rows.sparkSession), link=coordinator.link)
    worker = EnrichBatches(plan, rows.columns, report)
    coordinator.guard(worker.secrets)
    answered = buckets.toDF(*plain).mapInArrow(worker, answered_schema(StructType(fields)))
    return answered.toDF(*rows.columns, "http")


def tasks_of(rows: DataFrame, count: int, batch_size: int) -> int:
    """Cut *count* rows so that every slot has work and no task has more than about *batch_size* rows."""
    slots = rows.sparkSession.sparkContext.defaultParallelism
    return max(1, min(count, max(slots, math.ceil(count / batch_size))))
