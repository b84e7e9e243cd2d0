"""Counts and fingerprints that say whether two tables hold the same rows."""

from __future__ import annotations

from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ._names import quoted


class RowFacts(NamedTuple):
    """How many rows, a fingerprint of the multiset of their ids, and how many have no whole id."""

    rows: int
    ids: int
    null_ids: int


def row_facts(rows: DataFrame, id_columns: list[str]) -> RowFacts:
    """
    Measure *rows* in one pass.

    The fingerprint is the sum of a 64-bit hash over all ids: it does not depend
    on order, and differs for different multisets but for one chance in 2^64.
    """
    ids = [F.col(quoted(name)) for name in id_columns]
    missing = F.lit(False)
    for column in ids:
        missing = missing | column.isNull()
    row = rows.agg(
        F.count(F.lit(1)).alias("rows"),
        F.coalesce(F.sum(F.xxhash64(*ids).cast("decimal(20,0)")), F.lit(0)).alias("ids"),
        F.count_if(missing).alias("null_ids"),
    ).first()
    assert row is not None  # noqa: S101 - an aggregate without keys has one row
    return RowFacts(int(row["rows"]), int(row["ids"]), int(row["null_ids"]))
