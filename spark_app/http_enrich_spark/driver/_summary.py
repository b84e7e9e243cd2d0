"""What a run reports, counted from the rows that were written."""

from __future__ import annotations

from typing import Any

import msgspec
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from http_enrich_spark.config import PipelineConfig, RunInfo


class RunSummary(msgspec.Struct):
    """
    The figures of one run, small enough for XCom.

    `ignored` counts rows whose answer a rule wants to be passed over: neither ok nor failed.
    `calls` counts requests on the wire, `retries` those beyond a row's first,
    `outcomes` rows per outcome, `seconds` the time spent enriching; `metrics` what
    the middleware of that name has counted, if it is listed.
    """

    pipeline: str
    run_id: str
    rows_in: int
    rows_out: int
    ok: int
    failed: int
    ignored: int
    calls: int
    retries: int
    seconds: float
    rows_per_second: float
    sink: str
    outcomes: dict[str, int]
    metrics: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        figures: dict[str, Any] = msgspec.to_builtins(self)
        return figures

    @property
    def error_rate(self) -> float:
        """Share of rows without a success; those that are ignored do not count."""
        judged = self.ok + self.failed
        return self.failed / judged if judged else 0.0


def summarize(
    answers: DataFrame, config: PipelineConfig, run: RunInfo, *, rows_in: int, seconds: float
) -> RunSummary:
    """Count *answers*, which must be read from disk: counting is no reason to ask an API again."""
    attempts = F.col("http.attempts")
    groups = (
        answers.groupBy(F.col("http.outcome").alias("outcome"))
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.sum(attempts).alias("calls"),
            F.sum(F.greatest(attempts - 1, F.lit(0))).alias("retries"),
        )
        .collect()
    )
    outcomes = {row["outcome"]: int(row["rows"]) for row in groups}
    rows_out = sum(outcomes.values())
    ok, ignored = outcomes.get("ok", 0), outcomes.get("ignored", 0)
    return RunSummary(
        pipeline=config.name,
        run_id=run.id,
        rows_in=rows_in,
        rows_out=rows_out,
        ok=ok,
        failed=rows_out - ok - ignored,
        ignored=ignored,
        calls=sum(int(row["calls"]) for row in groups),
        retries=sum(int(row["retries"]) for row in groups),
        seconds=round(seconds, 3),
        rows_per_second=round(rows_out / seconds, 1) if seconds else 0.0,
        sink=config.sink.name,
        outcomes=dict(sorted(outcomes.items(), key=lambda item: -item[1])),
    )


def worst_failures(answers: DataFrame) -> list[str]:
    """Return a line per class of failure, the most frequent first: how many rows, and one of their errors."""
    rows = F.count(F.lit(1)).alias("rows")
    groups = (
        answers.where("http.outcome NOT IN ('ok', 'ignored')")
        .groupBy("http.outcome")
        .agg(rows, F.first("http.error_kind").alias("kind"), F.first("http.error").alias("error"))
        .orderBy(F.desc("rows"))
        .collect()
    )
    return [f"{row['rows']:,} {row['outcome']}: {row['kind']}, {row['error']}" for row in groups]


def reason_to_stop(answers: DataFrame) -> str:
    """Return why the run was given up: what the first of its stopped rows says."""
    first = F.min_by("http.error", "http.requested_at").alias("reason")
    row = answers.where("http.outcome = 'stopped'").agg(first).first()
    return str(row["reason"]) if row else ""
