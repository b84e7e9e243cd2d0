"""Tasks that have succeeded and run again, with a real Spark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from http_enrich_provider._results import REPORT_KEY
from http_enrich_provider.operators import HttpEnrichSparkOperator
from tests.support.recording_api import recording_api
from tests.support.tasks import context

IDS = "SELECT explode(array('a', 'b', 'c')) AS id"


def execute(folder: Path, url: str, **options: Any) -> tuple[dict[str, Any], str]:
    """Return the task's result, and the state in its report."""
    source = {
        "version": 1,
        "name": "cleared",
        "source": {"query": IDS, "id": ["id"]},
        "endpoint": {"base_url": url, "path": "/items/${row.id}", **options.pop("endpoint", {})},
        "sink": {"path": str(folder / "out"), "mode": "overwrite"},
    }
    task = HttpEnrichSparkOperator(
        task_id="enrich",
        pipeline=source,
        window="2026-01-01",
        conf={"spark.ui.enabled": "false"},
        env_vars={"SPARK_LOCAL_IP": "127.0.0.1"},
        **options,
    )
    ctx = context()
    return task.execute(ctx), ctx["ti"].xcoms[REPORT_KEY]["state"]


def test_nothing_is_asked_again_unless_something_else_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps({"conn_type": "spark", "host": "local[1]"}))
    with recording_api(tmp_path) as api:
        counts, states, results = [], [], []
        for options in ({}, {}, {"resume": "never"}, {"endpoint": {"params": {"lang": "en"}}}):
            result, state = execute(tmp_path, api.url, **options)
            counts.append(api.count)
            states.append(state)
            results.append(result)

    assert counts == [3, 3, 6, 9]
    assert states == ["published", "repeated", "published", "published"]
    assert results[1] == {**results[0], "repeated": True}
