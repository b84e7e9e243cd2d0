"""Makes the answers visible, all at once and last of all."""

from __future__ import annotations

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
    dynamic = sink.mode == "overwrite_partitions"
    writer = _writer(answers, sink).mode("overwrite" if dynamic else sink.mode)
    if sink.table is None:
        writer.option("partitionOverwriteMode", "dynamic" if dynamic else "static").save(sink.path)
    elif dynamic and _exists(answers.sparkSession, sink):
        _replace_partitions(answers, sink.table)
    else:
        writer.saveAsTable(sink.table)


def _writer(answers: DataFrame, sink: SinkConfig) -> DataFrameWriter:
    if not sink.partition_by:
        return answers.write.format(sink.format).options(**sink.options)
    # One file per partition, and more only where it would be too large for one task.
    together = answers.hint("rebalance", *sink.partition_by)
    return together.write.format(sink.format).options(**sink.options).partitionBy(*sink.partition_by)


def _replace_partitions(answers: DataFrame, table: str) -> None:
    spark = answers.sparkSession
    # Spark heeds the session's setting here; the same as an option of the writer
    # is ignored by insertInto, and saveAsTable would make it a property of the table.
    setting = "spark.sql.sources.partitionOverwriteMode"
    before = spark.conf.get(setting) or "static"
    spark.conf.set(setting, "dynamic")
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
