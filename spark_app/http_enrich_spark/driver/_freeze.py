"""Reads the source once, and keeps its rows for as long as the run lasts."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, FloatType

from http_enrich_spark.config import SourceConfig

from ._errors import RunError
from ._facts import Frozen, fingerprint
from ._names import ROW, quoted

_SAME = "__http_enrich_same"


def freeze(source: DataFrame, config: SourceConfig, folder: str) -> Frozen:
    """
    Write the rows of *source* into *folder*, each with a number of its own.

    Raises `RunError` for rows without an id, and for rows that share one if that is to end the run.
    """
    rows = source.withColumn(ROW, F.monotonically_increasing_id())
    if config.on_duplicate_id == "first":
        same = Window.partitionBy(*_ids(config)).orderBy(ROW)
        rows = rows.withColumn(_SAME, F.row_number().over(same))
    rows.write.parquet(folder)
    written = source.sparkSession.read.schema(rows.schema).parquet(folder)
    _check_ids(written, config)
    if config.on_duplicate_id == "fail":
        _check_distinct(written, config)
    kept = first_rows(written)
    found = kept.agg(F.count(F.lit(1)).alias("rows"), fingerprint(config.id).alias("ids")).first()
    assert found is not None  # noqa: S101 - an aggregate without keys has one row
    left_out = written.count() - int(found["rows"]) if _SAME in written.columns else 0
    return Frozen(int(found["rows"]), int(found["ids"]), rows.schema.json(), left_out)


def first_rows(written: DataFrame) -> DataFrame:
    """Return the rows of a frozen table that are to be requested."""
    return written.where(F.col(_SAME) == 1).drop(_SAME) if _SAME in written.columns else written


def _ids(config: SourceConfig) -> list[Column]:
    return [F.col(quoted(name)) for name in config.id]


def _check_ids(rows: DataFrame, config: SourceConfig) -> None:
    missing = F.lit(False)
    for name in config.id:
        column = F.col(quoted(name))
        missing = missing | column.isNull()
        if isinstance(rows.select(column).schema[0].dataType, FloatType | DoubleType):
            missing = missing | F.isnan(column)
    count = rows.where(missing).count()
    if count:
        columns = ", ".join(config.id)
        msg = f"source.id: {count:,} rows have a null or NaN in {columns}; leave them out with source.where"
        raise RunError(msg)


def _check_distinct(rows: DataFrame, config: SourceConfig) -> None:
    groups = rows.groupBy(*_ids(config)).agg(F.count(F.lit(1)).alias(_SAME)).where(F.col(_SAME) > 1)
    row = groups.agg(F.count(F.lit(1)).alias("ids"), F.sum(_SAME).alias("rows")).first()
    if row is not None and row["ids"]:
        columns = ", ".join(quoted(name) for name in config.id)
        msg = (
            f"source.id: {row['rows']:,} rows share {row['ids']:,} ids; find them with GROUP BY {columns} "
            "HAVING count(*) > 1, or set source.on_duplicate_id to first or each"
        )
        raise RunError(msg)
