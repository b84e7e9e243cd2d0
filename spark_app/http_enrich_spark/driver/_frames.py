"""Data frames out of nothing."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType


def no_rows(spark: SparkSession, schema: StructType) -> DataFrame:
    """
    Return a frame of *schema* without rows.

    `createDataFrame([], schema)` is another: whoever writes it starts Python workers, to bring nothing.
    """
    jvm: Any = spark.sparkContext._jvm
    session: Any = spark._jsparkSession
    rows = session.createDataFrame(jvm.java.util.ArrayList(), session.parseDataType(schema.json()))
    return DataFrame(rows, spark)
