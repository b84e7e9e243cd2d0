"""What becomes of a run's report: XCom, assets, the task's log, an error."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, Asset

from http_enrich_middleware import Redactor
from http_enrich_spark.config import PipelineError
from http_enrich_spark.submission import Report

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

REPORT_KEY = "http_enrich_report"
"""Key of the XCom with the whole report."""

MAX_BYTES = 48 * 1024
"""Of that XCom, which is a row in Airflow's database."""

_MAX_TEXT = 2000
_LISTS = ("curve", "histogram", "failures")
_COUNTS = ("rows_in", "rows_out", "ok", "failed", "ignored", "dead", "calls", "retries", "resumed", "redone")


def result_of(summary: dict[str, Any]) -> dict[str, Any]:
    """Return what the task returns: the figures, the share of failed rows, and the report's path."""
    judged = summary["ok"] + summary["failed"]
    rate = round(summary["failed"] / judged, 6) if judged else 0.0
    return {**summary, "error_rate": rate, "report": f"{summary['folder']}/report.json"}


def without_secrets(report: Report, redactor: Redactor) -> Report:
    """Return *report* with `***` for secrets in its errors, which quote what others have said."""
    error, found = report.error, report.report
    if found is not None:
        failures = [{**each, "error": redactor.text(each["error"])} for each in found["failures"]]
        found = {**found, "failures": failures}
    return msgspec.structs.replace(
        report, error=None if error is None else redactor.text(error), report=found
    )


def full_report(report: Report, pipeline: str, run_id: str) -> dict[str, Any]:
    """
    Return the report for the XCom `http_enrich_report`, at most 48 KiB of JSON.

    *pipeline* is the name or the path of what the run *run_id* was started with. The keys of the report,
    which the UI reads, are::

        version     1
        at          when it was written, ISO 8601
        state       published | repeated (published by an earlier try) | failed
        error       why it failed, else null; the first line says what to do
        kind        a word for the error, such as auth, rate_limited, error_rate, max_calls, deadline;
                    timeout, and pipeline or setup if nothing was submitted; or null
        summary     the figures, as `RunSummary` has them; of a run that failed early only pipeline and run_id
        statuses    {HTTP status: rows}
        latency     of rows in ms: count, p50_ms, …
        histogram   [[upper end in ms, rows], …]
        failures    [{outcome, rows, kind, error}, …], most rows first
        workers     what the workers have counted, and what their time was spent on
        curve       [[seconds, rows, calls, failed], …], of the last try

    Lists are cut rather than left out. The counts of a failed run are those of what was answered until then.
    """
    found = report.report or {
        "version": 1,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "summary": {"pipeline": Path(pipeline).name, "run_id": run_id},
        "statuses": {},
        "latency": {},
        "histogram": [],
        "failures": [],
        "workers": {},
        "curve": [],
        "state": "failed" if report.error else "published",
    }
    return _bounded({**found, "error": _cut(report.error), "kind": report.kind})


@contextmanager
def reported(pipeline: Any, context: Context) -> Iterator[None]:
    """Push a report on an error of the block, in which nothing is submitted yet."""
    try:
        yield
    except Exception as error:
        name = "pipeline" if isinstance(pipeline, Mapping) else str(pipeline)
        kind = "pipeline" if isinstance(error, PipelineError) else "setup"
        push(full_report(Report(error=str(error), kind=kind), name, str(context["run_id"])), context)
        raise


def push(report: dict[str, Any], context: Context) -> None:
    """Push the whole report, whether the run was good or bad."""
    ti = context.get("ti")
    if ti is not None:
        ti.xcom_push(key=REPORT_KEY, value=report)


def tell_assets(summary: dict[str, Any], outlets: Sequence[Any], context: Context) -> None:
    """Add the counts to the event of each asset that the task has as an outlet."""
    counts = {name: summary[name] for name in _COUNTS} | {
        "sink": summary["sink"],
        "report": summary["report"],
    }
    events = context.get("outlet_events")
    for asset in outlets:
        if events is not None and isinstance(asset, Asset):
            events[asset].extra["http_enrich"] = counts


def fail(report: Report) -> NoReturn:
    """Raise what the run has ended with; for good where another try would meet the same end."""
    raise (AirflowException if report.retry else AirflowFailException)(report.error)


def _bounded(report: dict[str, Any]) -> dict[str, Any]:
    report["failures"] = [{**each, "error": _cut(each["error"])} for each in report["failures"]]
    while _size(report) > MAX_BYTES:
        longest = max(_LISTS, key=lambda name: _size(report[name]))
        if not report[longest]:
            return {**report, "workers": {}, "statuses": {}}
        report[longest] = _half(longest, report[longest])
    return report


def _half(name: str, items: list[Any]) -> list[Any]:
    """Return half of *items*: of a curve every second one, of others those that come first."""
    half = len(items) // 2
    return items[::2][:half] if name == "curve" else items[:half]


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"


def _size(value: Any) -> int:
    return len(json.dumps(value))
