"""Facts about rows: how many, which, and whether they have failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pyspark.sql import Column
from pyspark.sql import functions as F

from http_enrich_spark.coordinator import PASSED

from ._names import quoted


class Frozen(NamedTuple):
    """
    What there is to know of a run's rows.

    How many, a fingerprint of the multiset of their ids, how many more there were that shared an
    id with one of them, and their schema as Spark writes it in JSON.
    """

    rows: int
    ids: int
    schema: str
    left_out: int = 0


def fingerprint(id_columns: Sequence[str]) -> Column:
    """
    Return an aggregate: the sum of a 64-bit hash over all ids.

    It does not depend on order, and differs for different multisets but for one chance in 2^64.
    """
    ids = [F.col(quoted(name)) for name in id_columns]
    return F.coalesce(F.sum(F.xxhash64(*ids).cast("decimal(38,0)")), F.lit(0))


def passed() -> Column:
    """Return whether an answered row has not failed."""
    return F.col("http.outcome").isin(*PASSED)
