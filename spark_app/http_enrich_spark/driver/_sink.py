"""Makes the answers visible, all at once and last of all."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, DataFrameWriter, SparkSession

from http_enrich_spark.config import SinkConfig

from ._errors import RunError
from ._staging import hadoop_path


def check_sink(spark: SparkSession, sink: SinkConfig) -> None:
    """Raise `RunError` now for what would fail after everything was paid for."""
    if sink.mode == "error" and _exists(spark, sink):
        msg = (
            f"sink: {sink.name} exists and mode is 'error'; choose append, overwrite or overwrite_partitions"
        )
        raise RunError(msg)


def publish(answers: DataFrame, sink: SinkConfig) -> None:
    """Write *answers* into *sink*."""
    spark = answers.sparkSession
    if (
        sink.table is not None
        and sink.mode == "overwrite_partitions"
        and spark.catalog.tableExists(sink.table)
    ):
        _replace_table_partitions(answers, sink.table)
    elif sink.table is not None:
        _writer(answers, sink).saveAsTable(sink.table)
    else:
        _writer(answers, sink).save(sink.path)


def _writer(answers: DataFrame, sink: SinkConfig) -> DataFrameWriter:
    if sink.partition_by:
        # One file per partition, and more only where it would be too large for one task.
        answers = answers.hint("rebalance", *sink.partition_by)
    dynamic = sink.mode == "overwrite_partitions"
    writer = (
        answers.write.format(sink.format)
        .options(**sink.options)
        .option("partitionOverwriteMode", "dynamic" if dynamic else "static")
        .mode("overwrite" if dynamic else sink.mode)
    )
    return writer.partitionBy(*sink.partition_by) if sink.partition_by else writer


def _replace_table_partitions(answers: DataFrame, table: str) -> None:
    spark = answers.sparkSession
    setting, value = "spark.sql.sources.partitionOverwriteMode", "dynamic"
    before: Any = spark.conf.get(setting)
    spark.conf.set(setting, value)
    try:
        # insertInto goes by position, so the table's own order decides.
        answers.select(*spark.table(table).columns).write.insertInto(table, overwrite=True)
    finally:
        spark.conf.set(setting, before)


def _exists(spark: SparkSession, sink: SinkConfig) -> bool:
    if sink.table is not None:
        return spark.catalog.tableExists(sink.table)
    path, files = hadoop_path(spark, sink.path or "")
    return bool(files.exists(path))
