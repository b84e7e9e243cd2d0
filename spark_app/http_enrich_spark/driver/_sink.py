"""Makes the answers visible, last of all."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, DataFrameWriter, SparkSession
from pyspark.sql.types import StructType

from http_enrich_spark.config import SinkConfig

from ._errors import RunError, first_line
from ._files import Folder
from ._names import quoted

_TYPED = {"parquet", "orc", "avro", "delta"}
"""Formats whose files know the names of their columns."""


def check_sink(spark: SparkSession, sink: SinkConfig, columns: Sequence[str]) -> None:
    """
    Raise `RunError` now for what would fail after everything was paid for.

    *columns* are the names that the run will write.
    """
    if not sink_exists(spark, sink):
        return
    if sink.mode == "error":
        msg = (
            f"sink: {sink.name} exists and mode is 'error'; choose append, overwrite or overwrite_partitions"
        )
        raise RunError(msg)
    if sink.mode != "overwrite":
        _check_columns(sink, _existing_columns(spark, sink), columns)
        _check_partitions(spark, sink)


def _existing_columns(spark: SparkSession, sink: SinkConfig) -> Sequence[str] | None:
    if sink.table is not None:
        return spark.table(sink.table).columns
    try:
        # Other formats have no column names of their own that could disagree.
        return spark.read.format(sink.format).load(sink.path).columns if sink.format in _TYPED else None
    except AnalysisException:
        return None  # an empty folder


def _check_columns(sink: SinkConfig, existing: Sequence[str] | None, columns: Sequence[str]) -> None:
    if existing is None:
        return
    old, new = {name.lower() for name in existing}, {name.lower() for name in columns}
    if old != new:
        only_old, only_new = ", ".join(sorted(old - new)), ", ".join(sorted(new - old))
        msg = (
            f"sink: {sink.name} has other columns than this run writes (only there: {only_old or 'none'}; "
            f"only here: {only_new or 'none'}); change one of them, or choose mode overwrite"
        )
        raise RunError(msg)


def _check_partitions(spark: SparkSession, sink: SinkConfig) -> None:
    """A table with other partitions would be replaced as a whole."""
    if sink.table is None:
        return
    found = [column.name for column in spark.catalog.listColumns(sink.table) if column.isPartition]
    if {name.lower() for name in found} != {name.lower() for name in sink.partition_by}:
        msg = (
            f"sink.partition_by: {sink.name} is partitioned by {', '.join(found) or 'nothing'}; say the same"
        )
        raise RunError(msg)


def publish(answers: DataFrame, sink: SinkConfig) -> None:
    """Write *answers* into *sink*."""
    dynamic = sink.mode == "overwrite_partitions"
    writer = _writer(answers, sink).mode("overwrite" if dynamic else sink.mode)
    if sink.table is None:
        writer.option("partitionOverwriteMode", "dynamic" if dynamic else "static").save(sink.path)
    elif dynamic and sink_exists(answers.sparkSession, sink):
        _replace_partitions(answers, sink.table)
    else:
        writer.saveAsTable(sink.table)


def _writer(answers: DataFrame, sink: SinkConfig) -> DataFrameWriter:
    if not sink.partition_by:
        return answers.write.format(sink.format).options(**sink.options)
    # One file per partition, and more only where it would be too large for one task.
    together = answers.hint("rebalance", *[quoted(name) for name in sink.partition_by])
    return together.write.format(sink.format).options(**sink.options).partitionBy(*sink.partition_by)


def rehearse(sink: SinkConfig, schema: StructType, folder: str, spark: SparkSession) -> None:
    """
    Write a table of *schema* without rows into *folder*, as the answers will be written into *sink*.

    Raises `RunError` for a format, an option or a column that the writer does
    not take. Mode overwrite deletes before it writes, so this must come first.
    """
    try:
        _writer(spark.createDataFrame([], schema), sink).save(folder)
    except Exception as error:
        msg = f"sink: {sink.name} cannot be written: {first_line(error)}"
        raise RunError(msg) from error


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


def sink_exists(spark: SparkSession, sink: SinkConfig) -> bool:
    """Say whether there is a table, or anything at the path."""
    if sink.table is not None:
        return spark.catalog.tableExists(sink.table)
    return Folder(spark, sink.path or "").exists()
