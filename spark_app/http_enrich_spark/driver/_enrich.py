"""Adds the answers to the rows: requests in Python workers, columns in the JVM."""

from __future__ import annotations

import math
from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType, StructField, StructType

from http_enrich_middleware import Snapshot
from http_enrich_spark.config import PipelineConfig, RunInfo
from http_enrich_spark.worker import EnrichBatches, WorkerPlan
from http_enrich_spark.worker._record import HTTP_DDL

from ._decimals import endless_decimals
from ._names import RESERVED, quoted

_CORRUPT = f"{RESERVED}_corrupt"
_PARSED = f"{RESERVED}_parsed"


def enrich(
    rows: DataFrame,
    count: int,
    config: PipelineConfig,
    schema: StructType | None,
    run: RunInfo,
    report: Callable[[Snapshot], None] | None = None,
) -> DataFrame:
    """
    Return *rows* (*count* of them) with the columns of *schema* and the column `http`.

    Nothing happens until the result is written. Whoever uses it twice sends
    every request twice: write it once and read what was written. *report* travels
    to the workers, who tell it what their middleware have counted.
    """
    tasks = _tasks(rows, count, config.execution.batch_size)
    buckets = rows.repartition(tasks, *[F.col(quoted(name)) for name in config.source.id])
    # mapInArrow stumbles over names with dots and backticks, so there they have others.
    plain = [f"{RESERVED}_{position}" for position in range(len(rows.columns))]
    fields = [StructField(name, field.dataType) for name, field in zip(plain, rows.schema, strict=True)]
    wide = StructType([*fields, StructField("http", DataType.fromDDL(HTTP_DDL))])
    slots = rows.sparkSession.sparkContext.defaultParallelism
    worker = EnrichBatches(WorkerPlan.of(config, run, slots=slots), rows.columns, report)
    answered = buckets.toDF(*plain).mapInArrow(worker, wide)
    return _with_columns(answered, dict(zip(plain, rows.columns, strict=True)), config, schema)


def _tasks(rows: DataFrame, count: int, batch_size: int) -> int:
    """Cut *count* rows so that every slot has work and no task has more than about *batch_size* rows."""
    slots = rows.sparkSession.sparkContext.defaultParallelism
    return max(1, min(count, max(slots, math.ceil(count / batch_size))))


def _with_columns(
    answered: DataFrame, source: dict[str, str], config: PipelineConfig, schema: StructType | None
) -> DataFrame:
    http = F.col("http")
    columns = [F.col(plain).alias(name) for plain, name in source.items()]
    if schema is not None:
        path = config.response.select.split(".") if config.response.select else []
        answered = answered.withColumn(_PARSED, _parsed(schema, path))
        selected = F.col(_PARSED)
        for name in path:
            selected = selected[name]
        http = _with_schema_error(http, selected)
        columns += [selected[name].alias(name) for name in schema.fieldNames()]
    if not config.response.keep_body:
        # What did not fit the schema is paid for: only its text can still be put to use.
        unread = F.when(http["outcome"] == "parse", http["body"])
        http = http.withField("body", unread)
    return answered.select(*columns, http.alias("http"))


def _parsed(schema: StructType, path: list[str]) -> Column:
    """
    Read *schema*, which stands at *path*, from the body of each success.

    What does not fit lands in the corrupt column. The whole body is parsed at
    once: cutting a part out first would round its numbers.
    """
    for name in reversed(path):
        schema = StructType([StructField(name, schema)])
    wide = StructType([*schema.fields, StructField(_CORRUPT, StringType())])
    body = F.coalesce(F.col("http.body"), F.lit(""))
    readable = F.col("http.outcome") == "ok"
    endless = endless_decimals(schema)
    if endless is not None:
        readable &= ~body.rlike(endless)
    text = F.when(readable, body)
    return F.from_json(text, wide, {"columnNameOfCorruptRecord": _CORRUPT})


def _with_schema_error(http: Column, selected: Column) -> Column:
    """Turn a success whose body has not the promised columns into a failure that says so."""
    broken = (F.col("http.outcome") == "ok") & (
        F.col(_PARSED).isNull() | F.col(_PARSED)[_CORRUPT].isNotNull() | selected.isNull()
    )
    failed = (
        http.withField("outcome", F.lit("parse"))
        .withField("error_kind", F.lit("schema_mismatch"))
        .withField("error", F.lit("the body does not have the columns of response.schema"))
    )
    return F.when(broken, failed).otherwise(http)
