"""Replaces files that a run has published before by others."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from http_enrich_spark.config import SinkConfig
from http_enrich_spark.driver._errors import RunError
from http_enrich_spark.driver._files import Folder
from http_enrich_spark.driver._frames import no_rows
from http_enrich_spark.driver._names import quoted

from ._files import Switch, append, overwrite, target_of

EXACT_FORMATS = frozenset({"parquet", "orc"})
"""Formats that give back every value as it was written."""


def replacing(sink: SinkConfig, files: Collection[str], gone: Collection[str]) -> Switch:
    """
    Return a switch for a sink in which the run has *files*, that takes those of *gone* out.

    It works on what the sink's mode works on: the whole table, partitions, or files.
    """
    if sink.mode == "overwrite_partitions":
        return partial(_partitions, _folders(files), _folders(gone))
    if sink.mode != "append" and gone:
        return overwrite
    return partial(_exchange, gone)


def to_replace(sink: SinkConfig, files: Collection[str], names: Collection[str]) -> list[str]:
    """Return those of the run's *files* that have to go if those with one of the *names* have to."""
    if sink.mode in ("overwrite", "error"):
        return sorted(files)
    gone = [each for each in files if each.rpartition("/")[2] in names]
    if sink.mode == "overwrite_partitions":
        gone = [each for each in files if each.rpartition("/")[0] in _folders(gone)]
    return sorted(gone)


def read_back(spark: SparkSession, sink: SinkConfig, files: Iterable[str], schema: StructType) -> DataFrame:
    """Return the rows of *files*, some of those in the table, with the columns of *schema*."""
    target = target_of(spark, sink)
    paths = [f"{target}/{each}" for each in files]
    if not paths:
        return no_rows(spark, schema)
    rows = spark.read.format(sink.format).schema(schema).option("basePath", str(target))
    return rows.load(paths).select(*map(quoted, schema.names))


def check_unchanged(spark: SparkSession, sink: SinkConfig, files: Collection[str]) -> None:
    """Raise `RunError` if the sink does not hold the run's *files* as the run has left them."""
    there = {each.below for each in target_of(spark, sink).files()}
    lost, others = set(files) - there, there - set(files)
    if sink.mode == "append":
        others = set()
    if sink.mode == "overwrite_partitions":
        others = {each for each in others if each.rpartition("/")[0] in _folders(files)}
    if lost or others:
        msg = (
            f"{sink.name} has changed since the run was published ({len(lost):,} of its {len(files):,} "
            f"files are gone, {len(others):,} others are there); start the run with --fresh to "
            "request all of it again"
        )
        raise RunError(msg)


def _folders(files: Iterable[str]) -> set[str]:
    return {each.rpartition("/")[0] for each in files}


def _exchange(gone: Collection[str], new: Folder, target: Folder, old: Folder) -> None:
    # Out before in: for a moment a reader may miss rows, and never has one twice.
    for name in gone:
        if not (old / name).exists():
            (target / name).move_to(old / name)
    append(new, target, old)


def _partitions(own: set[str], gone: set[str], new: Folder, target: Folder, old: Folder) -> None:
    """Replace the partitions *gone*, add to others of the run's *own*, and overwrite those of other runs."""
    for partition in sorted(gone | _folders(each.below for each in new.files())):
        if partition in gone or partition not in own:
            _swap(new / partition, target / partition, old / partition)
        else:
            append(new / partition, target / partition, old)


def _swap(new: Folder, target: Folder, old: Folder) -> None:
    # What is in `old` says that the target was moved already, or is the new one.
    if target.exists() and not old.exists():
        target.move_to(old)
    if new.exists():
        new.move_to(target)
