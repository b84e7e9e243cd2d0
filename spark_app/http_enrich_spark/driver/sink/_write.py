"""How Spark is told to write."""

from __future__ import annotations

from pyspark.sql import DataFrame, DataFrameWriter

from http_enrich_spark.config import SinkConfig, plain_options
from http_enrich_spark.driver._names import quoted
from http_enrich_spark.driver._parquet import SMALL_PAGES


def writer(answers: DataFrame, sink: SinkConfig) -> DataFrameWriter:
    """Return a writer for *answers*, with all but the place."""
    ours = SMALL_PAGES if sink.format == "parquet" else {}
    options = {**ours, **plain_options(sink.options)}
    if not sink.partition_by:
        return answers.write.format(sink.format).options(**options)
    # One file per partition, and more only where it would be too large for one task.
    together = answers.hint("rebalance", *[quoted(name) for name in sink.partition_by])
    return together.write.format(sink.format).options(**options).partitionBy(*sink.partition_by)
