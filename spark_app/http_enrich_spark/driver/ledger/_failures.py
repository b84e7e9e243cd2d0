"""What a published run keeps of the rows that failed, so that they can be requested again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from http_enrich_spark.driver._files import Folder
from http_enrich_spark.driver._names import ROW, quoted
from http_enrich_spark.driver._parquet import KEPT


class Failures(msgspec.Struct, frozen=True):
    """
    The rows that have failed by the end of one epoch, how many of each outcome, and what surrounds them.

    `schema` is theirs, as Spark writes it in JSON: the columns of the source, a number, and `http`. `files`
    are those that hold the run's rows, by sink, below its path; None for sinks that are no files. `summary`
    are the run's figures.
    """

    epoch: int
    outcomes: dict[str, int]
    files: dict[str, list[str] | None]
    summary: dict[str, Any]
    schema: str = ""

    def count(self, outcomes: Sequence[str]) -> int:
        """Return how many rows ended in one of *outcomes*."""
        return sum(self.outcomes.get(each, 0) for each in outcomes)

    def rows(self, spark: SparkSession, folder: Folder) -> DataFrame:
        """Read the rows of the run in *folder*."""
        schema = StructType.fromJson(msgspec.json.decode(self.schema))
        return spark.read.schema(schema).parquet(f"{folder}/{FAILED}/{self.epoch}")


FAILED = "failed"
"""A folder in that of the run: for each epoch a folder of rows, and a file beside it that makes it count."""


def keep_failures(folder: Folder, failures: Failures, rows: DataFrame) -> None:
    """Write *failures* with their *rows*, numbered, into the run's *folder*; from then on they count."""
    kept, own = folder / FAILED, str(failures.epoch)
    source = [quoted(name) for name in rows.columns if name != "http"]
    numbered = rows.select(*source, F.monotonically_increasing_id().alias(ROW), "http")
    numbered.write.mode("overwrite").options(**KEPT).parquet((kept / own).path)
    written = msgspec.structs.replace(failures, schema=numbered.schema.json())
    (kept / f"{own}.json").publish(msgspec.json.encode(written).decode())
    for name in kept.names():
        if name not in (own, f"{own}.json"):
            (kept / name).delete()


def forget_failures(folder: Folder) -> None:
    """Delete what a try with other answers may have kept in the run's *folder*."""
    (folder / FAILED).delete()


def last_failures(folder: Folder) -> Failures | None:
    """Return what failed by the end of the run in *folder*; None if nothing ever did."""
    kept = folder / FAILED
    epochs = [int(name.removesuffix(".json")) for name in kept.names() if name[:-5].isdecimal()]
    text = (kept / f"{max(epochs)}.json").read() if epochs else None
    return msgspec.json.decode(text, type=Failures) if text is not None else None
