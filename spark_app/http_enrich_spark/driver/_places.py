"""Sees to it that what a run replaces holds nothing that it reads or keeps, however the paths are written."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

from pyspark.sql import DataFrame, SparkSession

from http_enrich_spark.config import PipelineConfig, SinkConfig, is_inside

from ._errors import RunError
from ._files import Folder


def check_places(source: DataFrame, config: PipelineConfig) -> None:
    """Raise `RunError` if publishing *config* would delete its *source*, its ledger or its other sink."""
    spark = source.sparkSession
    sinks = {"sink": config.sink, "errors.dead_letter": config.dead_letter}
    places = {name: _real(spark, sink.path) for name, sink in sinks.items() if sink and sink.path}
    for name, place in places.items():
        for other, theirs in places.items():
            if name != other and is_inside(theirs, place):
                msg = f"{other}.path is inside {name}.path ({place}); move one of them"
                raise RunError(msg, kind="sink")
        if _replaces(sinks[name]):
            _check_what_is_deleted(name, place, source, config)


def _replaces(sink: SinkConfig | None) -> bool:
    return sink is not None and sink.mode == "overwrite"


def _check_what_is_deleted(name: str, place: str, source: DataFrame, config: PipelineConfig) -> None:
    inside = (file for file in map(_real_file, source.inputFiles()) if is_inside(file, place))
    lost = next((file for file in inside if not _is_part_of(file, place)), None)
    if lost is not None:
        msg = (
            f"{name}: mode overwrite would delete what the source reads, {lost}, which is inside {place}; "
            "move one of them"
        )
        raise RunError(msg, kind="sink")
    if is_inside(_real(source.sparkSession, config.checkpoint), place):
        msg = f"{name}: mode overwrite would delete the checkpoint, which is inside {place}; move one of them"
        raise RunError(msg, kind="sink")


def _is_part_of(file: str, place: str) -> bool:
    """Say whether *file* is one of the table at *place* itself, which may be enriched in its place."""
    folders = file.removeprefix(place).strip("/").split("/")[:-1]
    return all("=" in each for each in folders)


def _real(spark: SparkSession, path: str) -> str:
    """Return *path* as all others are written: whole, and without links of this machine."""
    return _without_links(Folder(spark, path).uri)


def _real_file(uri: str) -> str:
    return _without_links(unquote(uri))


def _without_links(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        return os.path.realpath(uri.removeprefix("file:"))
    return uri.rstrip("/")
