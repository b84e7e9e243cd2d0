"""Finds the data window of an Airflow run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from http_enrich_spark.config import RunInfo

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


def run_info(context: Context) -> RunInfo:
    """
    Return what `${run.…}` is in this run.

    The keys of a run without a logical date are missing from the context, not
    None; whether that matters depends on what the pipeline asks for. The window
    is never read out of the run id, which need not agree with it.
    """
    values: dict[str, Any] = dict(context)
    return RunInfo(
        id=str(values["run_id"]),
        window_start=_iso(values.get("data_interval_start")),
        window_end=_iso(values.get("data_interval_end")),
        partition_key=getattr(values.get("dag_run"), "partition_key", None),
    )


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment is not None else None
