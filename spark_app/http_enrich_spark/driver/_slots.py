"""What Spark's settings say about tasks: how many may be at work at once, and whether twice."""

from __future__ import annotations

from pyspark import SparkConf
from pyspark.sql import SparkSession


def slots_of(spark: SparkSession) -> int:
    """
    Return how many tasks may be at work at once, by what there is and what Spark's configuration says.

    Executors that may still come count, too: each has its share of a limit from its first request on.
    """
    context = spark.sparkContext
    return max(1, context.defaultParallelism, slots_to_come(context.getConf()))


def slots_to_come(settings: SparkConf) -> int:
    """Return how many tasks the most executors that *settings* allow can run; 0 if they name no number."""
    dynamic = is_on(settings, "spark.dynamicAllocation.enabled")
    most = settings.get("spark.dynamicAllocation.maxExecutors" if dynamic else "spark.executor.instances", "")
    if not most.isdecimal():
        return 0
    cores = int(settings.get("spark.executor.cores", "1")) // int(settings.get("spark.task.cpus", "1"))
    return int(most) * cores


def is_on(settings: SparkConf, name: str) -> bool:
    """Say whether the setting *name* is true, as Spark reads it: `True`, as Python writes it, is."""
    return (settings.get(name) or "").strip().lower() == "true"
