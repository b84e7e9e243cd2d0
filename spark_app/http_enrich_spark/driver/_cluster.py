"""What the coordinator has to know of Spark."""

from __future__ import annotations

from collections.abc import Sequence

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from http_enrich_middleware import WorkerRuntime
from http_enrich_spark.config import PipelineConfig, RunInfo
from http_enrich_spark.coordinator import Coordinator
from http_enrich_spark.worker import WorkerPlan
from http_enrich_transport import TransportEngine, TransportRuntimeFactory

from ._slots import slots_of


def coordinator(
    spark: SparkSession, config: PipelineConfig, run: RunInfo, spent: Sequence[tuple[float, int]]
) -> Coordinator:
    """Return the coordinator for a run of *config*, to be entered; *spent* are requests of earlier tries."""
    transport = config.transport.model_copy(update={"warmup_timeout": 0})

    def engine() -> TransportEngine:
        return TransportRuntimeFactory(transport, base_url=config.endpoint.base_url).create()

    runtime = WorkerRuntime(
        base_url=config.endpoint.base_url,
        base_timeout=config.transport.base_timeout,
        pipeline=config.name,
        window=run.window,
        redactor=WorkerPlan.of(config).redactor,
    )
    settings = spark.sparkContext.getConf()
    asks = any(each.asks_for_tokens for each in config.middleware)
    return Coordinator(
        config.middleware,
        host=settings.get("spark.driver.host") or "127.0.0.1",
        bind=settings.get("spark.driver.bindAddress"),
        slots=slots_of(spark),
        runtime=runtime,
        busy=lambda: running_tasks(spark),
        spent=spent,
        **({"engine": engine} if asks else {}),
    )


def running_tasks(spark: SparkSession, of: int | None = None) -> int:
    """Return how many tasks Spark has at work, in stages *of* so many if given; none if it does not say."""
    try:
        tracker = spark.sparkContext.statusTracker()
        stages = [tracker.getStageInfo(each) for each in tracker.getActiveStageIds()]
    except Py4JError:
        return 0
    found = [each for each in stages if each is not None]
    return sum(each.numActiveTasks for each in found if of is None or each.numTasks == of)
