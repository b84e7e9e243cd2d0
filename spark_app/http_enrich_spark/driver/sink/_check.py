"""Finds what would keep a table from being written, before anything is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from http_enrich_spark.config import FILE_FORMATS, SinkConfig
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
    """A table with other partitions would be replaced as a whole; files could not be read together."""
    if sink.table is None:
        found = _partitions_of_files(Folder(spark, sink.path or "")) if sink.format in FILE_FORMATS else None
    else:
        found = [column.name for column in spark.catalog.listColumns(sink.table) if column.isPartition]
    if found is not None and [name.lower() for name in found] != [name.lower() for name in sink.partition_by]:
        msg = (
            f"sink.partition_by: {sink.name} is partitioned by {', '.join(found) or 'nothing'}; say the same"
        )
        raise RunError(msg)


def _partitions_of_files(folder: Folder) -> list[str] | None:
    """Return by which columns the table of files in *folder* is cut up, None if there are no files yet."""
    found: list[str] = []
    while names := [name for name in folder.names() if "=" in name or not name.startswith(("_", "."))]:
        cut = next((name for name in names if "=" in name), None)
        if cut is None or (folder / cut).is_file():
            return found
        found.append(unquote(cut.partition("=")[0]))
        folder = folder / cut
    return found or None


def _check_types(spark: SparkSession, sink: SinkConfig, schema: StructType) -> None:
    """Raise `RunError` if files that stay have other types: nobody could read them together."""
    if sink.path is None or sink.mode not in ("append", "overwrite_partitions") or sink.format not in _TYPED:
        return
    try:
        there = spark.read.format(sink.format).load(sink.path).schema if sink_exists(spark, sink) else None
    except AnalysisException:
        return  # an empty folder
    mine = {field.name.lower(): field.dataType.simpleString() for field in schema}
    cut = {name.lower() for name in sink.partition_by}
    for field in there or []:
        here, name = field.dataType.simpleString(), field.name.lower()
        if name not in cut and mine.get(name, here) != here:
            msg = (
                f"sink: {sink.name} has the column {field.name!r} as {here}, and this run would write it as "
                f"{mine[name]}: no reader takes both; change response.schema, or write to another place"
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
    _check_types(spark, sink, schema)
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
