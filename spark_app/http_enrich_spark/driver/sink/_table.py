"""Publishes into tables and formats of others, whose own commit is the switch."""

from __future__ import annotations

from pyspark.sql import DataFrame

from http_enrich_spark.config import SinkConfig
from http_enrich_spark.driver._errors import RunError
from http_enrich_spark.driver._files import Folder

from ._check import sink_exists
from ._write import writer


def publish_table(rows: DataFrame, sink: SinkConfig, begun: Folder) -> None:
    """
    Write *rows* by Spark's own means.

    Raises `RunError` if the file *begun* says that an earlier try died while it added rows: whether
    they are there, it cannot know.
    """
    if begun.exists() and sink.mode in ("append", "error"):
        msg = (
            f"an earlier try died while it wrote to {sink.name}; look whether the rows of this run are "
            f"there. If they are, rename the file {begun} to 'published', if not, delete it; then run again"
        )
        raise RunError(msg)
    begun.write("")
    _write(rows, sink)


def _write(rows: DataFrame, sink: SinkConfig) -> None:
    dynamic = sink.mode == "overwrite_partitions"
    target = writer(rows, sink).mode("overwrite" if dynamic else sink.mode)
    if sink.table is None:
        target.option("partitionOverwriteMode", "dynamic" if dynamic else "static").save(sink.path)
    elif dynamic and sink_exists(rows.sparkSession, sink):
        _replace_partitions(rows, sink.table)
    else:
        target.saveAsTable(sink.table)


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
