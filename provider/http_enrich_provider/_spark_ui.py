"""Looks at spark-submit from its start on, and learns from the driver's log where the Spark UI is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from http_enrich_spark.spark_ui import SparkUI

if TYPE_CHECKING:
    from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook


def watched(
    hook: SparkSubmitHook, started: Callable[[], None], found: Callable[[SparkUI], None]
) -> SparkSubmitHook:
    """
    Have *hook*, which logs what spark-submit prints, call *started* before that.

    It calls *found* when spark-submit says where the Spark UI is.
    """
    log = hook._process_spark_submit_log

    def read(itr: Iterator[str]) -> None:
        started()
        log(_read(itr, found))

    hook._process_spark_submit_log = read  # type: ignore[method-assign]
    return hook


def _read(lines: Iterable[str], found: Callable[[SparkUI], None]) -> Iterator[str]:
    """Pass *lines* on; only the first one counts, which is written before any answer of an API can be."""
    known = False
    for line in lines:
        if not known and (spark_ui := SparkUI.read(line)) is not None:
            known = True
            found(spark_ui)
        yield line
