"""Finds what would keep a table from being written, before anything is paid for."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from http_enrich_spark.config import SinkConfig
from http_enrich_spark.driver._errors import RunError, first_line
from http_enrich_spark.driver._files import Folder
from http_enrich_spark.driver._frames import no_rows

from ._fit import check_names
from ._flat import FLAT_FORMATS, flat_schema
from ._jdbc import exists_in_database, rehearse_jdbc
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
    # A table of a database is looked at by its rehearsal, when the types are known too.
    if sink.mode != "overwrite" and sink.format != "jdbc":
        existing = _existing_columns(spark, sink)
        if existing is not None:
            check_names(sink, existing, columns)
        _check_partitions(spark, sink)


def _existing_columns(spark: SparkSession, sink: SinkConfig) -> Sequence[str] | None:
    if sink.table is not None:
        return spark.table(sink.table).columns
    try:
        # Other formats have no column names of their own that could disagree.
        return spark.read.format(sink.format).load(sink.path).columns if sink.format in _TYPED else None
    except AnalysisException:
        return None  # an empty folder


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


def rehearse(sink: SinkConfig, schema: StructType, folder: str, spark: SparkSession, token: str) -> None:
    """
    Write a table of *schema* without rows into *folder*, as rows will be written into *sink*.

    A database is tried with everything that `publish` will do there with this *token*. Raises `RunError`
    for a format, an option or a column that the writer does not take. Mode overwrite deletes before it
    writes, so this must come first.
    """
    if sink.format == "jdbc":
        return rehearse_jdbc(schema, sink, token, spark)
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
    # Many formats that are no files can only be added to.
    writer(no_rows(spark, schema), sink).mode("append").save(folder)
    target.delete()


def sink_exists(spark: SparkSession, sink: SinkConfig) -> bool:
    """Say whether there is a table, or anything at the path; raises `RunError` if a database does not say."""
    if sink.format == "jdbc":
        return exists_in_database(spark, sink)
    if sink.table is not None:
        return spark.catalog.tableExists(sink.table)
    return Folder(spark, sink.path or "").exists()
