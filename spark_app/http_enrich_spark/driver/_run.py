"""One run, from source to sink."""

from __future__ import annotations

import time

from pyspark.sql import DataFrame, SparkSession

from http_enrich_spark._logs import logger
from http_enrich_spark.config import PipelineConfig, RunInfo

from ._enrich import enrich
from ._errors import RunError
from ._facts import RowFacts, row_facts
from ._metrics import RunMetrics
from ._sink import check_sink, publish, rehearse
from ._source import check_columns, read_source, response_schema
from ._staging import Staging
from ._summary import RunSummary, reason_to_stop, summarize, worst_failures


def run_pipeline(spark: SparkSession, config: PipelineConfig, run: RunInfo) -> RunSummary:
    """
    Enrich the source of *config* and publish the result.

    The input is frozen first and the answers are written once, so that nothing
    is requested twice and a source that changes meanwhile does no harm. Raises
    `RunError` when the pipeline does not fit the data, when rows went missing,
    when too many failed, or when the run was given up; nothing is published then.
    """
    _check_session(spark)
    source = read_source(spark, config.source)
    schema = response_schema(config)
    columns = check_columns(source, config, schema)
    check_sink(spark, config.sink, columns)
    staging = Staging(spark, config)
    with staging.dropped_on_error():
        rows = staging.keep("input", source)
        facts = row_facts(rows, config.source.id)
        _check_ids(facts, config)
        metrics = RunMetrics(spark, config)
        enriched = enrich(rows, facts.rows, config, schema, run, metrics.report)
        rehearse(config.sink, enriched.schema, f"{staging.path}/rehearsal", spark)
        logger.info("%s: enriching %s rows", config.name, f"{facts.rows:,}")
        started = time.monotonic()
        answers = staging.keep("answers", enriched)
        seconds = time.monotonic() - started
    # From here on the answers are paid for: they stay until they are published.
    with staging.kept_on_error():
        summary = summarize(answers, config, run, rows_in=facts.rows, seconds=seconds)
        summary.metrics = metrics.figures()
        _check_whole(row_facts(answers, config.source.id), facts)
        _check_not_stopped(summary, answers)
        _check_error_rate(summary, config, answers)
        publish(answers, config.sink)
    staging.remove()
    logger.info("%s: published %s rows to %s", config.name, f"{summary.rows_out:,}", summary.sink)
    return summary


def _check_session(spark: SparkSession) -> None:
    if spark.sparkContext.getConf().get("spark.speculation", "false") == "true":
        msg = "set spark.speculation=false: speculative copies of a task would send its requests twice"
        raise RunError(msg)


def _check_ids(facts: RowFacts, config: PipelineConfig) -> None:
    if facts.null_ids:
        columns = ", ".join(config.source.id)
        msg = f"source.id: {facts.null_ids:,} rows have a null in {columns}; leave them out with source.where"
        raise RunError(msg)


def _check_whole(written: RowFacts, frozen: RowFacts) -> None:
    """Compare what was written with what was frozen, before anyone sees it."""
    if (written.rows, written.ids) != (frozen.rows, frozen.ids):
        what = "with other ids" if written.rows == frozen.rows else f"out of {frozen.rows:,}"
        msg = f"{written.rows:,} rows came {what}; nothing was published, please report this as a bug"
        raise RunError(msg)


def _check_not_stopped(summary: RunSummary, answers: DataFrame) -> None:
    """Fail a run that a worker gave up; its rows tell, since a worker has no other way to say so."""
    stopped = summary.outcomes.get("stopped", 0)
    if stopped:
        undone = f"{stopped:,} of {summary.rows_out:,} rows were given up; nothing was published"
        msg = f"{reason_to_stop(answers)} ({undone})"
        raise RunError(msg)


def _check_error_rate(summary: RunSummary, config: PipelineConfig, answers: DataFrame) -> None:
    limit = config.execution.max_error_rate
    if summary.error_rate > limit:
        msg = (
            f"{summary.error_rate:.1%} of the rows failed, more than execution.max_error_rate = {limit:.1%} "
            f"({'; '.join(worst_failures(answers))}); nothing was published"
        )
        raise RunError(msg)
