"""Makes the answers visible, last of all."""

from __future__ import annotations

from pyspark.sql import DataFrame

from http_enrich_spark.config import FILE_FORMATS, SinkConfig
from http_enrich_spark.driver._files import Folder

from ._files import publish_files
from ._flat import FLAT_FORMATS, flat
from ._jdbc import publish_jdbc
from ._table import publish_table


def publish(rows: DataFrame, sink: SinkConfig, place: Folder, token: str) -> None:
    """
    Write *rows* into *sink*, once, however often this is called.

    *place* is a folder of this run that outlives its tries, and *token* is the same in all of them. A call
    that was cut short is made good by the next one with the same rows; one that has ended is not repeated.
    Raises `RunError` where that cannot be known.
    """
    published, begun = place / "published", place / "begun"
    if published.exists():
        return
    if sink.format == "jdbc":
        begun.write("")
        publish_jdbc(rows, sink, token)
        published.write("")
        return
    shaped = flat(rows) if sink.format in FLAT_FORMATS else rows
    if sink.path is not None and sink.format in FILE_FORMATS:
        begun.write("")
        stage = publish_files(shaped, sink, token)
        published.write("")
        stage.delete()
    else:
        publish_table(shaped, sink, begun)
        published.write("")


def has_begun(place: Folder) -> bool:
    """Say whether a try has begun to publish from *place*, so that what the sink holds may be its own."""
    return (place / "begun").exists()
