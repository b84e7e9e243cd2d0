"""The report of a run, as a file beside its ledger and as what the submitter shows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from py4j.protocol import Py4JError

from http_enrich_spark._logs import logger
from http_enrich_spark.coordinator import Totals

from ._curve import Point
from ._files import Folder
from ._summary import Counts, RunSummary

VERSION = 1
_NAME = "report.json"


class Report(msgspec.Struct, kw_only=True):
    """
    What there is to know of a run that has come to an end, good or bad.

    All counts are those of the rows that were written, except `workers`: what the workers of all tries
    have counted by their last signs of life, which includes what was lost and done again. `latency` is that
    of rows, from the first attempt to the last, in milliseconds; `histogram` has pairs: how many rows took up
    to so many of them. `failures` has a class of failures each: outcome, rows, kind and error. `curve` has
    points of the last try: seconds, rows, requests and failed rows until then. `state` is `published`,
    `repeated` (published by an earlier try) or `failed`; then `error` is why, and counts are those of what
    was answered until then. After a redrive, `summary` is that of the run as it is now, and `redriven` the
    report on the rows that were requested again.
    """

    version: int = VERSION
    at: str
    summary: RunSummary
    statuses: dict[str, int] = {}
    latency: dict[str, float] = {}
    histogram: list[tuple[float, int]] = []
    failures: list[dict[str, Any]] = []
    workers: dict[str, Any] = {}
    curve: list[Point] = []
    state: str = "published"
    error: str | None = None
    redriven: dict[str, Any] | None = None


def report_of(summary: RunSummary, counts: Counts, workers: Totals, curve: list[Point]) -> Report:
    """Return the report on *counts*."""
    return Report(
        at=now(),
        summary=summary,
        statuses=counts.statuses,
        latency=counts.latency.figures(),
        histogram=counts.latency.buckets(),
        failures=[each._asdict() for each in counts.failures],
        workers=workers.figures(),
        curve=curve,
    )


def with_redriven(folder: Folder, summary: RunSummary, redriven: Report) -> Report:
    """Return the report of the run in *folder* with its new *summary*, and the one on *redriven* rows."""
    whole = _read(folder) or redriven
    found = msgspec.to_builtins(redriven)
    return msgspec.structs.replace(whole, at=redriven.at, summary=summary, redriven=found)


def write_report(report: Report, folder: Folder) -> None:
    """Write *report* into *folder*; that it fails is no reason to fail a run."""
    try:
        (folder / _NAME).write(msgspec.json.format(msgspec.json.encode(report)).decode())
    except (Py4JError, OSError) as error:
        logger.warning("the report could not be written to %s (%s)", folder, type(error).__name__)


def repeated_report(summary: RunSummary, folder: Folder) -> Report:
    """Return the report that a published run has left in *folder*, or what its *summary* says."""
    report = _read(folder) or Report(at=now(), summary=summary)
    return msgspec.structs.replace(report, summary=summary, state="repeated")


def _read(folder: Folder) -> Report | None:
    try:
        report = msgspec.json.decode((folder / _NAME).read() or "", type=Report)
    except (Py4JError, msgspec.DecodeError):
        return None  # deleted, or of another version
    return report if report.state != "failed" else None  # that of a try before could not be replaced


def now() -> str:
    """Return the time in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
