"""Reads the report that a task has left; whoever may write XComs may have written anything there."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

VERSION = 1
KEY = "http_enrich_report"
"""Key of the XCom that holds the report."""

MAX_TEXT = 4000
_MAX_ITEMS = 3000

Number = Annotated[float, Field(ge=0, le=1e15, strict=True)]
Rows = Annotated[int, Field(ge=0, le=10**15, strict=True)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Name = Annotated[str, Field(max_length=200)]
Tally = Annotated[dict[Name, Rows], Field(max_length=200)]
Measured = Annotated[dict[Name, Number], Field(max_length=200)]


class _Part(BaseModel):
    """A part of the report; keys that a later version adds are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Summary(_Part):
    """The figures of the run; a run that failed early knows few of them."""

    pipeline: Name = ""
    run_id: Text = ""
    folder: Text = ""
    sink: Text = ""
    rows_in: Rows | None = None
    rows_out: Rows | None = None
    ok: Rows | None = None
    failed: Rows | None = None
    ignored: Rows | None = None
    calls: Rows | None = None
    retries: Rows | None = None
    seconds: Number | None = None
    rows_per_second: Number | None = None
    outcomes: Tally = {}
    resumed: Rows = 0
    redone: Rows = 0
    left_out: Rows = 0
    dead: Rows = 0


class Failures(_Part):
    """A class of failed rows, and the kind and text of one of them."""

    outcome: Name
    rows: Rows
    kind: Name = ""
    error: Text = ""


class Workers(_Part):
    """What the workers of all tries have counted; `seconds` are those of rows, by what they went into."""

    seconds: Measured = {}
    counters: Tally = {}


class Report(_Part):
    """
    What a run has left in XCom.

    `curve` has totals over time: seconds since the start, rows answered, requests made, rows that failed.
    `histogram` has upper ends in milliseconds, each with the rows that took up to so long, and longer
    than the end before it.
    """

    version: int
    at: Name = ""
    state: Name = ""
    error: Text | None = None
    kind: Name | None = None
    summary: Summary | None = None
    statuses: Tally = {}
    latency: Measured = {}
    histogram: list[tuple[Number, Rows]] = Field(default=[], max_length=_MAX_ITEMS)
    failures: list[Failures] = Field(default=[], max_length=200)
    workers: Workers = Workers()
    curve: list[tuple[Number, Rows, Rows, Rows]] = Field(default=[], max_length=_MAX_ITEMS)


class UnreadableReportError(Exception):
    """What is stored is no report that this version can show; the message says why, and quotes nothing."""


def read_report(stored: Any) -> Report:
    """Return the report in the value of an XCom, as the database has it; raises `UnreadableReportError`."""
    value = _decoded(stored)
    if not isinstance(value, dict):
        raise UnreadableReportError(f"it is a {type(value).__name__}, not a mapping")
    if value.get("version") != VERSION:
        raise UnreadableReportError(f"it is of another version than {VERSION}, which is known here")
    try:
        return Report.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part)[:40] for part in first["loc"])
        raise UnreadableReportError(f"{place}: {first['msg']}") from None


def _decoded(stored: Any) -> Any:
    """Airflow keeps values as JSON in a text; what was written through its API may be the value itself."""
    if not isinstance(stored, str):
        return stored
    try:
        return json.loads(stored)
    except (ValueError, RecursionError):
        return stored
