"""Reads the source once, and keeps its rows for as long as the run lasts."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, FloatType

from http_enrich_spark.config import SourceConfig

from ._errors import RunError
from ._facts import Frozen, fingerprint
from ._names import ROW, quoted
from ._parquet import KEPT

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
    rows.write.options(**KEPT).parquet(folder)
    written = source.sparkSession.read.schema(rows.schema).parquet(folder)
    found = _take_stock(written, config)
    _check_ids(found, config)
    return Frozen(found["rows"], int(found["ids"]), rows.schema.json(), found["written"] - found["rows"])


def first_rows(written: DataFrame) -> DataFrame:
    """Return the rows of a frozen table that are to be requested."""
    return written.where(F.col(_SAME) == 1).drop(_SAME) if _SAME in written.columns else written


def _ids(config: SourceConfig) -> list[Column]:
    return [F.col(quoted(name)) for name in config.id]


def _take_stock(written: DataFrame, config: SourceConfig) -> Row:
    """Count the rows, and what is wrong with their ids, in one pass, since each costs a small run."""
    if config.on_duplicate_id == "each":
        rows = written.withColumn(_SAME, F.lit(1))
    else:
        rows = written.groupBy(*_ids(config)).agg(F.count(F.lit(1)).alias(_SAME))
    found = rows.agg(
        F.count(F.lit(1)).alias("rows"),
        fingerprint(config.id).alias("ids"),
        _sum_where(F.lit(True)).alias("written"),
        _sum_where(_is_missing(rows, config)).alias("missing"),
        F.count_if(F.col(_SAME) > 1).alias("shared"),
        _sum_where(F.col(_SAME) > 1).alias("sharing"),
    ).first()
    assert found is not None  # noqa: S101 - an aggregate without keys has one row
    return found


def _sum_where(condition: Column) -> Column:
    return F.coalesce(F.sum(F.when(condition, F.col(_SAME))), F.lit(0))


def _is_missing(rows: DataFrame, config: SourceConfig) -> Column:
    missing = F.lit(False)
    for column in _ids(config):
        missing = missing | column.isNull()
        if isinstance(rows.select(column).schema[0].dataType, FloatType | DoubleType):
            missing = missing | F.isnan(column)
    return missing


def _check_ids(found: Row, config: SourceConfig) -> None:
    if found["missing"]:
        columns = ", ".join(config.id)
        msg = (
            f"source.id: {found['missing']:,} rows have a null or NaN in {columns}; "
            "leave them out with source.where"
        )
        raise RunError(msg)
    if config.on_duplicate_id == "fail" and found["shared"]:
        columns = ", ".join(quoted(name) for name in config.id)
        msg = (
            f"source.id: {found['sharing']:,} rows share {found['shared']:,} ids; find them with GROUP BY "
            f"{columns} HAVING count(*) > 1, or set source.on_duplicate_id to first or each"
        )
        raise RunError(msg)
