"""Makes the answers visible, last of all."""

from __future__ import annotations

import msgspec
from pyspark.sql import DataFrame, SparkSession

from http_enrich_spark.config import FILE_FORMATS, SinkConfig
from http_enrich_spark.driver._files import Folder
from http_enrich_spark.driver._names import quoted

from ._catalog import FileTable
from ._check import sink_exists
from ._files import WRITTEN, Switch, publish_files, stage_of
from ._flat import FLAT_FORMATS, flat
from ._jdbc import publish_jdbc
from ._table import publish_table


def publish(
    rows: DataFrame, sink: SinkConfig, place: Folder, token: str, switch: Switch | None = None
) -> None:
    """
    Write *rows* into *sink*, once, however often this is called.

    *place* is a folder of this run that outlives its tries, and *token* is the same in all of them. A call
    that was cut short is made good by the next one with the same rows; one that has ended is not repeated.
    *switch* is for sinks of files and says how they are moved in, if not as the sink's mode says.
    Raises `RunError` where that cannot be known.
    """
    published, begun = place / "published", place / "begun"
    if published.exists():
        if begun.read() == _BY_FILES and sink_exists(rows.sparkSession, sink):
            _clear(rows.sparkSession, sink, token)
        return
    if sink.format == "jdbc":
        begun.write("")
        publish_jdbc(rows, sink, token)
        published.write("")
        return
    shaped = flat(rows) if sink.format in FLAT_FORMATS else rows
    table = FileTable.of(rows.sparkSession, sink, shaped.schema)
    # What a try has begun by Spark's commit, since there was no table yet, is not to be done in another way.
    exchangeable = table is not None and begun.read() in (None, _BY_FILES)
    if exchangeable or (sink.path is not None and sink.format in FILE_FORMATS):
        begun.write(_BY_FILES)
        stage = _exchange(shaped, sink, token, table, switch)
        files = (stage / WRITTEN).read() if table is None else None
        published.publish(files or "")
        stage.delete()
    else:
        publish_table(shaped, sink, begun)
        published.write("")


_BY_FILES = "files"


def _exchange(
    rows: DataFrame, sink: SinkConfig, token: str, table: FileTable | None, switch: Switch | None
) -> Folder:
    if table is None:
        return publish_files(rows, sink, token, switch)
    ordered = rows.select(*[quoted(name) for name in table.columns])
    stage = publish_files(ordered, table.files(sink), token)
    table.refresh()
    return stage


def _clear(spark: SparkSession, sink: SinkConfig, token: str) -> None:
    """Delete the table as it was before, which is left if whoever has published died just then."""
    files = sink if sink.table is None else FileTable(spark, sink.table).files(sink)
    stage_of(spark, files, token).delete()


def published_files(place: Folder) -> list[str] | None:
    """Return the files that were published from *place*, below the sink's path; None if it has no path."""
    text = (place / "published").read()
    return msgspec.json.decode(text, type=list[str]) if text else None


def is_written(spark: SparkSession, sink: SinkConfig, place: Folder, token: str) -> bool:
    """Say whether the rows of a sink of files are in it or beside it, so that they are not read again."""
    return has_ended(place) or (stage_of(spark, sink, token) / WRITTEN).exists()


def has_ended(place: Folder) -> bool:
    """Say whether all that was to be published from *place* is."""
    return (place / "published").exists()


def has_begun(place: Folder) -> bool:
    """Say whether a try has begun to publish from *place*, so that what the sink holds may be its own."""
    return (place / "begun").exists()
