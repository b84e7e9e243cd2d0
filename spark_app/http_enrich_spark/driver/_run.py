"""One run, from source to sink, in as many tries as it takes."""

from __future__ import annotations

import msgspec
from pyspark.sql import SparkSession

from http_enrich_spark._logs import logger
from http_enrich_spark.config import PipelineConfig, RunInfo

from ._errors import RunError
from ._outlets import sinks_of
from ._summary import RunSummary
from ._try import Try
from .ledger import Done, Ledger
from .sink import sink_exists


def run_pipeline(
    spark: SparkSession, config: PipelineConfig, run: RunInfo, *, fresh: bool = False
) -> RunSummary:
    """
    Enrich the source of *config* and publish the result.

    A run that was published before requests nothing and changes nothing; one that was not goes on
    where its last try has ended. With *fresh* it begins anew either way. Raises `RunError` when the
    pipeline does not fit the data, when rows went missing, when too many failed, when the run was given
    up or another try has taken over; nothing is published then, and what was answered is kept.
    """
    _check_session(spark, config)
    ledger = Ledger(spark, config, run)
    done = None if fresh else ledger.done()
    if done is not None and done.sinks == sinks_of(config):
        return _repeated(spark, done, config, ledger)
    with ledger.epoch(fresh=fresh) as epoch:
        return Try(spark, config, run, epoch).run()


def _check_session(spark: SparkSession, config: PipelineConfig) -> None:
    keyed = any(each.type == "idempotency_key" for each in config.middleware)
    if spark.sparkContext.getConf().get("spark.speculation", "false") == "true" and not keyed:
        msg = (
            "set spark.speculation=false, or list the middleware idempotency_key: speculative copies of a "
            "task send its requests twice"
        )
        raise RunError(msg)


def _repeated(spark: SparkSession, done: Done, config: PipelineConfig, ledger: Ledger) -> RunSummary:
    if not sink_exists(spark, config.sink):
        msg = (
            f"this run was published on {done.at}, but {config.sink.name} is not there any more; start it "
            f"with --fresh, or delete {ledger.folder}/done.json, to request everything again"
        )
        raise RunError(msg)
    logger.info("%s: published on %s already; --fresh requests everything again", config.name, done.at)
    return msgspec.convert({**done.summary, "repeated": True, "folder": ledger.folder.path}, RunSummary)
