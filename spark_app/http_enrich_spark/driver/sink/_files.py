"""Publishes files at a path: written aside, and then made visible by renames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from pyspark.sql import DataFrame, SparkSession

from http_enrich_spark.config import SinkConfig
from http_enrich_spark.driver._errors import RunError
from http_enrich_spark.driver._files import Folder

from ._write import writer

Switch = Callable[[Folder, Folder, Folder], None]
"""Moves the files of one folder into another, and what has to go into a third."""


def publish_files(rows: DataFrame, sink: SinkConfig, token: str, switch: Switch | None = None) -> Folder:
    """
    Write *rows* beside the sink, and move them in.

    Whatever has happened by the time of a crash shows in what is still to be moved, so that a later call
    goes on there. *switch* moves them in otherwise than the sink's mode says. Returns the folder that is of
    no more use when the caller has noted that all is done; its file `_written` lists the new files.
    """
    target, stage = target_of(rows.sparkSession, sink), stage_of(rows.sparkSession, sink, token)
    new, written = stage / "new", stage / WRITTEN
    if not written.exists():
        new.delete()
        writer(rows, sink).save(new.path)
        written.publish(msgspec.json.encode([each.below for each in new.files()]).decode())
    (switch or _SWITCHES[sink.mode])(new, target, stage / "old")
    return stage


WRITTEN = "_written"


def target_of(spark: SparkSession, sink: SinkConfig) -> Folder:
    """Return the folder that holds the table."""
    path = (sink.path or "").rstrip("/")
    local = Path(path)
    # A link to the table stays one: what it leads to is replaced.
    return Folder(spark, str(local.resolve()) if local.is_symlink() else path)


def stage_of(spark: SparkSession, sink: SinkConfig, token: str) -> Folder:
    """Return the folder for what is on its way into the table, or out of it."""
    # On the same disk as the sink, so that a rename is one step; Spark passes over what begins with "_".
    return target_of(spark, sink).parent / f"_http_enrich_{token}"


def append(new: Folder, target: Folder, _: Folder) -> None:
    """Add the files of *new* to *target*."""
    target.make()
    for file in new.files():
        (new / file.below).move_to(target / file.below)


def overwrite(new: Folder, target: Folder, old: Folder) -> None:
    """Put *new* into the place of *target*, which ends up in *old*."""
    if not new.exists():
        return  # it is in its place already
    if target.exists():
        target.move_to(old)
    new.move_to(target)


def _create(new: Folder, target: Folder, _: Folder) -> None:
    if not new.exists():
        return
    if target.exists():
        msg = f"sink: {target} is there by now, and mode is 'error'; move it, or change the mode"
        raise RunError(msg)
    new.move_to(target)


def _overwrite_partitions(new: Folder, target: Folder, old: Folder) -> None:
    target.make()
    for partition in sorted({file.below.rpartition("/")[0] for file in new.files()}):
        overwrite(new / partition, target / partition, old / partition)


_SWITCHES = {
    "append": append,
    "overwrite": overwrite,
    "overwrite_partitions": _overwrite_partitions,
    "error": _create,
}
