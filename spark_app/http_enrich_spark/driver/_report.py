"""The report of a run, as a file beside its ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from py4j.protocol import Py4JError

from http_enrich_spark._logs import logger
from http_enrich_spark.coordinator import Totals

from ._files import Folder
from ._summary import Counts, RunSummary

VERSION = 1


class Report(msgspec.Struct, kw_only=True):
    """
    What there is to know of a run that has come to an end.

    All counts are those of the rows that were written, except `workers`: what the workers of the last
    try have counted, which includes what a lost process had done. `latency` is that of rows, from the first
    attempt to the last, in milliseconds; `histogram` has how many rows took up to so many of them.
    After a redrive, `summary` is that of the run as it is now, and `redriven` the report on the rows that
    were requested again.
    """

    version: int = VERSION
    at: str
    summary: dict[str, Any]
    statuses: dict[str, int]
    latency: dict[str, float]
    histogram: list[tuple[float, int]]
    failures: list[dict[str, Any]]
    workers: dict[str, Any] = {}
    redriven: dict[str, Any] | None = None


def report_of(summary: RunSummary, counts: Counts, workers: Totals) -> Report:
    """Return the report on *counts*."""
    return Report(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        summary=summary.as_dict(),
        statuses=counts.statuses,
        latency=counts.latency.figures(),
        histogram=counts.latency.buckets(),
        failures=[each._asdict() for each in counts.failures],
        workers=workers.figures(),
    )


def with_redriven(folder: Folder, summary: RunSummary, redriven: Report) -> Report:
    """Return the report of the run in *folder* with its new *summary*, and the one on *redriven* rows."""
    found = msgspec.to_builtins(redriven)
    try:
        whole = msgspec.json.decode((folder / "report.json").read() or "", type=Report)
    except msgspec.DecodeError:
        whole = redriven
    return msgspec.structs.replace(whole, at=redriven.at, summary=summary.as_dict(), redriven=found)


def write_report(report: Report, folder: Folder) -> None:
    """Write *report* into *folder*; that it fails is no reason to fail a run."""
    try:
        (folder / "report.json").write(msgspec.json.format(msgspec.json.encode(report)).decode())
    except (Py4JError, OSError) as error:
        logger.warning("the report could not be written to %s (%s)", folder, type(error).__name__)
