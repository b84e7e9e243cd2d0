"""Finds the data window of a run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow.providers.common.compat.sdk import AirflowFailException

from http_enrich_spark.config import RunInfo

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_FORMS = "give one day ('2026-01-01'), 'START/END' in ISO 8601, or {'start': …, 'end': …}"

_EXAMPLE = {
    "start": "{{ partition_date.in_timezone('Europe/Berlin') }}",
    "end": "{{ partition_date.in_timezone('Europe/Berlin').add(days=1) }}",
}
_DAY = re.compile(r"\d{4}-?\d\d-?\d\d")

Window = tuple[datetime, datetime | None]


class _UnclearPartitionError(ValueError):
    """Where a partition starts does not fit its key."""


def run_info(context: Context, window: Any = None) -> RunInfo:
    """
    Return what `${run.…}` is in this run.

    The window is *window* if that is given, else that of the partition, else the
    data interval. The keys of a run without a logical date are missing from the
    context, not None; whether that matters depends on what the pipeline asks for.
    The window is never read out of the run id, which need not agree with it.
    Raises `AirflowFailException` for a window that is none.
    """
    values: dict[str, Any] = dict(context)
    run = values.get("dag_run")
    key = values.get("partition_key") or getattr(run, "partition_key", None)
    starts = values.get("partition_date") or getattr(run, "partition_date", None)
    run_id = str(values["run_id"])
    try:
        found = _explicit(window) or _of_partition(key, starts, _zone(values.get("dag"))) or _interval(values)
    except _UnclearPartitionError as error:
        return RunInfo(id=run_id, partition_key=key, no_window=str(error))
    start, end = found or (None, None)
    return RunInfo(id=run_id, window_start=_iso(start), window_end=_iso(end), partition_key=key)


def _explicit(window: Any) -> Window | None:
    if window is None or window == "":
        return None
    if isinstance(window, Mapping) and set(window) == {"start", "end"}:
        first, last = _moment(window["start"]), _moment(window["end"])
    elif isinstance(window, str) and window.count("/") == 1:
        first, last = map(_moment, window.split("/"))
    elif _is_day(window):
        return _whole_day(_moment(window))
    else:
        msg = f"window is {window!r}; {_FORMS}"
        raise AirflowFailException(msg)
    if first >= last:
        msg = f"window is empty: {window!r} has no time between its start and its end; {_FORMS}"
        raise AirflowFailException(msg)
    return first, last


def _of_partition(key: Any, starts: datetime | None, zone: tzinfo | None) -> Window | None:
    """
    Return the window of a partition, in its *zone*; only one whose key is a day says where it ends.

    A key is written in the zone of its timetable. Airflow before 3.3 writes it in UTC, and does not say
    where the partition *starts*.
    """
    if key is None:
        return None
    named = _named(key, zone or UTC)
    start = _named(key, UTC) if starts is None else _aware(starts).astimezone(zone or UTC)
    sure = zone is not None and starts is not None
    if named is not None and start is not None and not _agree(key, named, start, sure=sure):
        msg = (
            f"partition {key!r} starts at {named.isoformat()} by its key and at {start.isoformat()} by "
            f"Airflow, so its time zone is not clear; give the operator a window such as {_EXAMPLE}"
        )
        raise _UnclearPartitionError(msg)
    if _is_day(key) and named is not None:
        return _whole_day(named)
    return (start, None) if start is not None else None


def _named(key: Any, zone: tzinfo) -> datetime | None:
    try:
        named = datetime.fromisoformat(str(key))
    except ValueError:
        return None
    return named if named.tzinfo is not None else named.replace(tzinfo=zone)


def _agree(key: Any, named: datetime, start: datetime, *, sure: bool) -> bool:
    """Say whether both are starts of one partition; in a zone that is *sure*, a day's may be at any hour."""
    if sure:
        return not _is_day(key) or named.date() == start.date()
    return named == start


def _zone(dag: Any) -> tzinfo | None:
    """Return the time zone that the timetable of *dag* names; those of assets name none."""
    timetable = getattr(dag, "timetable", None)
    zone = getattr(timetable, "timezone", None) or getattr(timetable, "_timezone", None)
    return ZoneInfo(zone) if isinstance(zone, str) else zone


def _interval(values: Mapping[str, Any]) -> Window | None:
    start, end = values.get("data_interval_start"), values.get("data_interval_end")
    return (start, end) if start is not None and end is not None else None


def _is_day(value: Any) -> bool:
    if isinstance(value, date) and not isinstance(value, datetime):
        return True
    try:  # a week, such as 2026-W07, would pass as its Monday
        return isinstance(value, str) and bool(_DAY.fullmatch(value)) and bool(date.fromisoformat(value))
    except ValueError:
        return False


def _whole_day(start: datetime) -> Window:
    return start, start + timedelta(days=1)  # by the clock on the wall, so that it may be one of 23 hours


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return _aware(value)
    try:
        return _aware(datetime.fromisoformat(str(value).strip()))
    except ValueError:
        msg = f"window has {value!r}, which is no time in ISO 8601; {_FORMS}"
        raise AirflowFailException(msg) from None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
