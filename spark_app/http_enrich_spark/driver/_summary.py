"""What a run reports, counted from the rows that were written."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from http_enrich_middleware import LATENCY_GAMMA, Histogram
from http_enrich_spark.coordinator import PASSED, Totals

from ._facts import fingerprint


class RunSummary(msgspec.Struct, kw_only=True):
    """
    The figures of one run, small enough for XCom.

    `ignored` counts rows whose answer a rule wants to be passed over: neither ok nor failed. `calls` counts
    requests on the wire, `retries` those beyond a row's first, both of the answers that were published;
    `outcomes` rows per outcome. `resumed` rows were answered by earlier tries, and about `redone` were
    answered more than once, because a process died before Spark had their answers. `left_out` rows shared
    an id with another one, `dead` rows went to the dead letter instead of the sink. `seconds` is the time
    that this try spent on requests, `folder` where the run keeps its report, `repeated` that it was
    published before and nothing was done now; `metrics` what the middleware of that name has counted, if
    it is listed. `redriven` rows were requested again by the last redrive, and `healed` of them have
    not failed any more; all other counts are those of the run with what became of these.
    """

    pipeline: str
    run_id: str
    folder: str
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
    resumed: int = 0
    redone: int = 0
    left_out: int = 0
    dead: int = 0
    redriven: int = 0
    healed: int = 0
    repeated: bool = False
    metrics: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        figures: dict[str, Any] = msgspec.to_builtins(self)
        return figures


class Failure(NamedTuple):
    """A class of failures: its outcome, how many rows, and kind and text of one of them."""

    outcome: str
    rows: int
    kind: str
    error: str

    def __str__(self) -> str:
        return f"{self.rows:,} {self.outcome}: {self.kind}, {self.error}"


class Counts(NamedTuple):
    """What one pass over the answers finds; `ids` is the fingerprint of their ids."""

    rows: int
    ids: int
    calls: int
    retries: int
    outcomes: dict[str, int]
    statuses: dict[str, int]
    latency: Histogram
    failures: list[Failure]

    @property
    def passed(self) -> int:
        """Rows that have not failed."""
        return sum(self.outcomes.get(outcome, 0) for outcome in PASSED)

    @property
    def failed(self) -> dict[str, int]:
        """Rows that have failed, by outcome."""
        return {outcome: rows for outcome, rows in self.outcomes.items() if outcome not in PASSED}

    @property
    def error_rate(self) -> float:
        """Share of rows without a success; those that are ignored do not count."""
        judged = self.rows - self.outcomes.get("ignored", 0)
        return (self.rows - self.passed) / judged if judged else 0.0


def count(answers: DataFrame, id_columns: Sequence[str]) -> Counts:
    """Count *answers*, which must be read from disk: counting is no reason to ask an API again."""
    attempts = F.col("http.attempts")
    bins = F.ceil(F.ln("http.elapsed_ms") / F.lit(math.log(LATENCY_GAMMA)))
    groups = (
        answers.groupBy(
            F.col("http.outcome").alias("outcome"), F.col("http.status").alias("status"), bins.alias("bin")
        )
        .agg(
            F.count(F.lit(1)).alias("rows"),
            fingerprint(id_columns).alias("ids"),
            F.sum(attempts).alias("calls"),
            F.sum(F.greatest(attempts - 1, F.lit(0))).alias("retries"),
            F.max("http.elapsed_ms").alias("longest"),
            F.first("http.error_kind").alias("kind"),
            F.first("http.error").alias("error"),
        )
        .collect()
    )
    return Counts(
        rows=sum(row["rows"] for row in groups),
        ids=sum(int(row["ids"]) for row in groups),
        calls=sum(row["calls"] for row in groups),
        retries=sum(row["retries"] for row in groups),
        outcomes=_rows_by(groups, "outcome"),
        statuses=_rows_by([row for row in groups if row["status"] is not None], "status"),
        latency=_latency(groups),
        failures=_failures(groups),
    )


def counts_of(totals: Totals) -> Counts:
    """Return what the workers have counted, for a run whose answers could not be counted."""
    return Counts(
        rows=totals.rows,
        ids=0,
        calls=totals.calls,
        retries=totals.retries,
        outcomes={name: rows for name, rows in totals.outcomes.items() if name != "stopped"},
        statuses={},
        latency=totals.latency,
        failures=[],
    )


def summary_of(counts: Counts, *, dead: int, **others: Any) -> RunSummary:
    """Return the figures of a run with these *counts*, *dead* rows in its dead letter, and *others*."""
    return RunSummary(
        rows_out=counts.rows - dead,
        dead=dead,
        ok=counts.outcomes.get("ok", 0),
        failed=counts.rows - counts.passed,
        ignored=counts.outcomes.get("ignored", 0),
        calls=counts.calls,
        retries=counts.retries,
        outcomes=counts.outcomes,
        **others,
    )


def _rows_by(groups: Sequence[Row], column: str) -> dict[str, int]:
    rows: Counter[str] = Counter()
    for group in groups:
        rows[str(group[column])] += group["rows"]
    return dict(rows.most_common())


def _latency(groups: Sequence[Row]) -> Histogram:
    found = Histogram()
    for row in groups:
        if row["bin"] is None:
            found.zeros += row["rows"]
        else:
            found.bins[row["bin"]] = found.bins.get(row["bin"], 0) + row["rows"]
            found.longest = max(found.longest, row["longest"])
    return found


def _failures(groups: Sequence[Row]) -> list[Failure]:
    """Return a line per class of failure, the most frequent first, with the error of its largest group."""
    failed = [row for row in groups if row["outcome"] not in PASSED]
    largest = {row["outcome"]: row for row in sorted(failed, key=lambda row: row["rows"])}
    return [
        Failure(outcome, rows, largest[outcome]["kind"] or "", largest[outcome]["error"] or "")
        for outcome, rows in _rows_by(failed, "outcome").items()
    ]
