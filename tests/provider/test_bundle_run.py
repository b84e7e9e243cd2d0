"""Executors on which we are not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from http_enrich_provider.operators import HttpEnrichSparkOperator

CLUSTER = "local-cluster[1,1,1024]"  # executors are processes of their own
HIDE_OUR_FOLDERS = """
import sys

ours = ("/provider", "/spark_app", "/transport", "/middleware", "/demo")
if "pyspark.daemon" in sys.orig_argv:
    sys.path[:] = [each for each in sys.path if not each.endswith(ours)]
"""
ANSWER_WHERE_THE_CODE_IS = """
import http_enrich_transport

def answer(request):
    return http_enrich_transport.TransportResponse(200, body=http_enrich_transport.__file__.encode())
"""


@pytest.fixture
def hidden(tmp_path: Path) -> dict[str, str]:
    """Variables under which a Python worker sees nothing of our checkout."""
    (tmp_path / "sitecustomize.py").write_text(HIDE_OUR_FOLDERS)
    (tmp_path / "where.py").write_text(ANSWER_WHERE_THE_CODE_IS)
    return {"PYTHONPATH": str(tmp_path), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}


def pipeline(folder: Path) -> dict[str, Any]:
    return {
        "version": 1,
        "name": "bundle",
        "source": {"query": "SELECT 'a' AS id", "id": ["id"]},
        "endpoint": {"base_url": "http://api.test", "path": "/${row.id}"},
        "transport": {"engine": "memory", "handler": "where:answer"},
        "response": {"keep_body": True},
        "sink": {"path": str(folder / "out")},
    }


def code_of_the_worker(folder: Path) -> str:
    (row,) = ds.dataset(folder / "out").to_table().to_pylist()
    return str(row["http"]["body"])


def test_operator_ships_all_that_executors_need_of_us(
    tmp_path: Path, hidden: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spark = json.dumps({"conn_type": "spark", "host": CLUSTER})
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", spark)
    task = HttpEnrichSparkOperator(task_id="enrich", pipeline=pipeline(tmp_path), env_vars=hidden)

    summary = task.execute({"run_id": "r"})

    assert summary["ok"] == 1
    assert code_of_the_worker(tmp_path).endswith("http_enrich.zip/http_enrich_transport/__init__.py")


def test_command_line_ships_it_too(tmp_path: Path, hidden: dict[str, str]) -> None:
    file = tmp_path / "pipeline.json"  # JSON is YAML
    file.write_text(json.dumps(pipeline(tmp_path)))
    command = [str(Path(sys.executable).parent / "http-enrich"), "run", str(file), "--master", CLUSTER]

    subprocess.run(command, env=os.environ | hidden, check=True, capture_output=True)

    assert code_of_the_worker(tmp_path).endswith("http_enrich.zip/http_enrich_transport/__init__.py")
