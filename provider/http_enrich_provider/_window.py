"""Finds the data window of a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from http_enrich_spark.config import RunInfo

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_FORMS = "give one day ('2026-01-01'), 'START/END' in ISO 8601, or {'start': …, 'end': …}"

Window = tuple[datetime, datetime | None]


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
    day = values.get("partition_date") or getattr(run, "partition_date", None)
    found = _explicit(window) or _of_partition(key, day) or _interval(values)
    start, end = found or (None, None)
    return RunInfo(
        id=str(values["run_id"]), window_start=_iso(start), window_end=_iso(end), partition_key=key
    )


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


def _of_partition(key: Any, day: datetime | None) -> Window | None:
    """Return the window of a partition; only one whose key is a day says where it ends."""
    if key is None:
        return None
    if _is_day(key):
        return _whole_day(_moment(key))
    if day is None:
        try:
            day = datetime.fromisoformat(str(key))
        except ValueError:
            return None
    return _aware(day), None


def _interval(values: Mapping[str, Any]) -> Window | None:
    start, end = values.get("data_interval_start"), values.get("data_interval_end")
    return (start, end) if start is not None and end is not None else None


def _is_day(value: Any) -> bool:
    if isinstance(value, date) and not isinstance(value, datetime):
        return True
    try:
        return isinstance(value, str) and date.fromisoformat(value) is not None
    except ValueError:
        return False


def _whole_day(start: datetime) -> Window:
    return start, start + timedelta(days=1)


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
