"""Finds what would keep a table from being written, before anything is paid for."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from http_enrich_spark.config import SinkConfig
from http_enrich_spark.driver._errors import RunError, first_line
from http_enrich_spark.driver._files import Folder

from ._flat import FLAT_FORMATS, flat_schema
from ._write import writer

_TYPED = {"parquet", "orc", "avro", "delta"}
"""Formats whose files know the names of their columns."""


def check_sink(spark: SparkSession, sink: SinkConfig, columns: Sequence[str]) -> None:
    """
    Raise `RunError` now for what would fail after everything was paid for.

    *columns* are the names that the run will write.
    """
    if not sink_exists(spark, sink):
        return
    if sink.path is not None and Folder(spark, sink.path).is_file():
        msg = f"sink: {sink.path} is a file; a table needs a folder, so choose another path or move the file"
        raise RunError(msg)
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


def rehearse(sink: SinkConfig, schema: StructType, folder: str, spark: SparkSession) -> None:
    """
    Write a table of *schema* without rows into *folder*, as rows will be written into *sink*.

    Raises `RunError` for a format, an option or a column that the writer does
    not take. Mode overwrite deletes before it writes, so this must come first.
    """
    try:
        _rehearse(sink, schema, folder, spark)
    except Exception as error:
        msg = f"sink: {sink.name} cannot be written: {first_line(error)}"
        raise RunError(msg) from error


def _rehearse(sink: SinkConfig, schema: StructType, folder: str, spark: SparkSession) -> None:
    if sink.format in FLAT_FORMATS:
        schema = flat_schema(schema)
    target = Folder(spark, folder)
    target.delete()
    writer(spark.createDataFrame([], schema), sink).save(folder)
    target.delete()


def sink_exists(spark: SparkSession, sink: SinkConfig) -> bool:
    """Say whether there is a table, or anything at the path."""
    if sink.table is not None:
        return spark.catalog.tableExists(sink.table)
    return Folder(spark, sink.path or "").exists()
