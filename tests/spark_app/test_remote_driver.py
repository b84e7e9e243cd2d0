"""A driver on another machine of the cluster, which shares a file system with its submitter and no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from http_enrich_spark.bundle import application, build_py_files
from http_enrich_spark.config import RunInfo
from http_enrich_spark.submission import CONNECTIONS, Report, Submission, write_privately
from tests.support.pipelines import pipeline
from tests.support.spark_archive import OPTIONS

ANSWER = """
import http_enrich_transport

def answer(request):
    known = request.headers["Authorization"] == "Bearer s3cret"
    return http_enrich_transport.TransportResponse(200 if known else 401)
"""


class Ended(NamedTuple):
    """What is left of the driver: its status, its report, its sandbox."""

    status: int
    report: Report
    sandbox: Path


def drive(folder: Path, changes: dict[str, Any]) -> Ended:
    """Start the application as YARN does: code and files in a sandbox, and no variable of ours."""
    sandbox, run_folder = folder / "sandbox", folder / "checkpoint" / "run"
    sandbox.mkdir()
    build_py_files(sandbox / "http_enrich.zip")
    (sandbox / "where.py").write_text(ANSWER)
    data = pipeline(
        {
            "source": {"query": "SELECT 'a' AS icao", "id": ["icao"]},
            "transport": {"engine": "memory", "handler": "where:answer"},
            "middleware": [{"type": "bearer", "token": "${conn.api.password}"}],
            "sink.path": str(folder / "out"),
            "execution.checkpoint": str(folder / "checkpoint"),
            **changes,
        }
    )
    submission = Submission("p", data, {}, RunInfo("r1"), str(run_folder), remote=True)
    submission.write(sandbox / "submission.json")
    connections = {"AIRFLOW_CONN_API": json.dumps({"host": "http://api.test", "password": "s3cret"})}
    write_privately(sandbox / CONNECTIONS, json.dumps(connections).encode())
    yarn = {
        "PATH": os.environ["PATH"],
        "JDK_JAVA_OPTIONS": OPTIONS,
        "PYTHONPATH": f"http_enrich.zip:{sandbox}",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": "--master local[1] --conf spark.ui.enabled=false pyspark-shell",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, str(application()), "submission.json"],
        cwd=sandbox,
        env=yarn,
        capture_output=True,
        text=True,
        check=False,
    )
    (outcome,) = run_folder.glob("outcome-*.json")
    assert "s3cret" not in done.stdout + done.stderr + outcome.read_text()
    return Ended(done.returncode, Report.read(outcome), sandbox)


def test_it_finds_its_connections_beside_itself_and_reports_into_the_folder_of_its_run(
    tmp_path: Path,
) -> None:
    ended = drive(tmp_path, {})

    assert (ended.status, ended.report.error) == (0, None)
    assert ended.report.summary is not None
    assert (ended.report.summary["ok"], ended.report.summary["rows_out"]) == (1, 1)
    assert ended.report.report is not None
    assert ended.report.report["state"] == "published"
    assert not (ended.sandbox / CONNECTIONS).exists()


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"source.query": "SELECT '${env.NOWHERE}' AS icao"}, "pipeline", "variable NOWHERE is not set"),
        ({"source.id": ["nope"]}, "data", "nope"),
    ],
)
def test_what_goes_wrong_is_reported_too(
    tmp_path: Path, changes: dict[str, Any], kind: str, said: str
) -> None:
    ended = drive(tmp_path, changes)

    assert (ended.status, ended.report.kind, ended.report.retry) == (1, kind, False)
    assert ended.report.error is not None
    assert said in ended.report.error
