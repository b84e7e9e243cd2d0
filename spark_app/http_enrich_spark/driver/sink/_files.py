"""Publishes files at a path: written aside, and then made visible by renames."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import DataFrame

from http_enrich_spark.config import SinkConfig
from http_enrich_spark.driver._errors import RunError
from http_enrich_spark.driver._files import Folder

from ._write import writer


def publish_files(rows: DataFrame, sink: SinkConfig, token: str) -> Folder:
    """
    Write *rows* beside the sink, and move them in.

    Whatever has happened by the time of a crash shows in what is still to be moved, so that a later call
    goes on there. Returns the folder that is of no more use when the caller has noted that all is done.
    """
    target = _target(rows, sink)
    # On the same disk as the sink, so that a rename is one step; Spark passes over what begins with "_".
    stage = target.parent / f"_http_enrich_{token}"
    new = stage / "new"
    if not (stage / "_written").exists():
        new.delete()
        writer(rows, sink).save(new.path)
        (stage / "_written").write("")
    _SWITCHES[sink.mode](new, target, stage / "old")
    return stage


def _target(rows: DataFrame, sink: SinkConfig) -> Folder:
    path = (sink.path or "").rstrip("/")
    local = Path(path)
    # A link to the table stays one: what it leads to is replaced.
    return Folder(rows.sparkSession, str(local.resolve()) if local.is_symlink() else path)


def _append(new: Folder, target: Folder, _: Folder) -> None:
    target.make()
    for file in new.files():
        (new / file.below).move_to(target / file.below)


def _overwrite(new: Folder, target: Folder, old: Folder) -> None:
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
        _overwrite(new / partition, target / partition, old / partition)


_SWITCHES = {
    "append": _append,
    "overwrite": _overwrite,
    "overwrite_partitions": _overwrite_partitions,
    "error": _create,
}
