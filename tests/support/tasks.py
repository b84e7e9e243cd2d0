"""What Airflow hands to a task, as far as the operator looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CANARY = "canary+pass/word:7"
"""A secret that changes when it is percent-encoded."""

SUMMARY: dict[str, Any] = {
    "pipeline": "test",
    "run_id": "r1",
    "folder": "/lake/_http_enrich/test-r1",
    "rows_in": 10,
    "rows_out": 10,
    "ok": 8,
    "failed": 2,
    "ignored": 0,
    "calls": 12,
    "retries": 2,
    "seconds": 1.5,
    "rows_per_second": 6.7,
    "sink": "/lake/out",
    "outcomes": {"ok": 8, "not_found": 2},
    "resumed": 0,
    "redone": 0,
    "left_out": 0,
    "dead": 0,
    "repeated": False,
    "metrics": None,
}
REPORT: dict[str, Any] = {
    "version": 1,
    "at": "2026-01-01T00:00:00+00:00",
    "summary": SUMMARY,
    "statuses": {"200": 8, "404": 2},
    "latency": {"count": 10, "p50_ms": 5.0},
    "histogram": [[5.0, 10]],
    "failures": [{"outcome": "not_found", "rows": 2, "kind": "http_status", "error": "404"}],
    "workers": {},
    "curve": [[0.5, 10, 12, 2]],
    "state": "published",
    "error": None,
}
PUBLISHED: dict[str, Any] = {"summary": SUMMARY, "report": REPORT}


class TaskInstance:
    """Keeps what is pushed to XCom."""

    stats_tags: Mapping[str, str] = {}
    dag_id, run_id, task_id, map_index = "d", "r1", "enrich", -1

    def __init__(self, max_tries: int = 0) -> None:
        self.max_tries = max_tries
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


class StateStore:
    """Keeps what a task remembers from try to try."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = value


def context(**more: Any) -> Any:
    """The context of a run without a logical date, as a task instance of our own sees it."""
    return {"run_id": "r1", "ti": TaskInstance(), **more}
