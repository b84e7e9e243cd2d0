"""What the application asks of Spark, and what it leaves to others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
from pyspark import SparkConf

from http_enrich_spark._session import DAEMON, _defaults, _finds_daemon
from http_enrich_spark.bundle import application, build_py_files
from http_enrich_spark.config import RunInfo
from http_enrich_spark.submission import Submission

SETTING = "spark.python.daemon.module"


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """A Python on which nothing is installed."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    return python


@pytest.mark.parametrize(
    ("master", "known"),
    [
        ("local", True),
        ("local[*]", True),
        ("local[2,3]", True),
        ("local-cluster[1,1,1024]", False),
        ("spark://host:7077", False),
        ("yarn", False),
        ("k8s://https://host", False),
        ("", False),
    ],
)
def test_only_this_machine_is_known_to_have_our_daemon(
    monkeypatch: pytest.MonkeyPatch, master: str, known: bool
) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)

    assert _finds_daemon(master) is known


def test_a_python_without_us_gets_sparks_daemon(monkeypatch: pytest.MonkeyPatch, bare_python: Path) -> None:
    """Every task would fail; what spark-submit ships comes too late for the daemon."""
    monkeypatch.setenv("PYSPARK_PYTHON", str(bare_python))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))

    assert not _finds_daemon("local[2]")


def test_a_python_that_is_not_there_gets_sparks_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", "/no/such/python")

    assert not _finds_daemon("local[2]")


def test_what_someone_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    nothing, everything = SparkConf(loadDefaults=False), SparkConf(loadDefaults=False)
    settings = _defaults(nothing, "local[1]")
    everything.setAll([(setting, "theirs") for setting in settings])

    assert settings[SETTING] == DAEMON
    assert _defaults(everything, "local[1]") == {}


WHERE = """
import sys
import http_enrich_spark, http_enrich_transport

def answer(request):
    said = f"{sys.orig_argv[2]} {http_enrich_spark.__file__}"
    return http_enrich_transport.TransportResponse(200, body=said.encode())
"""


def pipeline(folder: Path) -> dict[str, Any]:
    return {
        "version": 1,
        "name": "where",
        "source": {"query": "SELECT 'a' AS id", "id": ["id"]},
        "endpoint": {"base_url": "http://api.test", "path": "/${row.id}"},
        "transport": {"engine": "memory", "handler": "where:answer"},
        "response": {"keep_body": True},
        "sink": {"path": str(folder / "out")},
    }


@pytest.mark.parametrize(("options", "module"), [([], DAEMON), (["--conf", f"{SETTING}=theirs"], "theirs")])
def test_spark_submit_starts_our_daemon_unless_told_otherwise(
    tmp_path: Path, options: list[str], module: str
) -> None:
    """Whichever it is, the workers run the code that was shipped, not what is installed beside it."""
    (tmp_path / "where.py").write_text(WHERE)
    (tmp_path / "theirs.py").write_text("from pyspark.daemon import manager\nmanager()\n")
    submission = Submission("where", pipeline(tmp_path), {}, RunInfo("r"), str(tmp_path / "report.json"))
    submission.write(tmp_path / "submission.json")
    archive = build_py_files(tmp_path / "shipped.zip")
    spark_submit = [str(Path(sys.executable).parent / "spark-submit"), "--master", "local[1]", *options]
    here = {"PYTHONPATH": str(tmp_path), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}

    subprocess.run(
        [*spark_submit, "--py-files", archive, application(), tmp_path / "submission.json"],
        env=os.environ | here,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (row,) = ds.dataset(tmp_path / "out").to_table().to_pylist()
    said = row["http"]["body"].split()

    assert json.loads((tmp_path / "report.json").read_text())["error"] is None
    assert said[0] == module
    assert said[1].endswith("shipped.zip/http_enrich_spark/__init__.py")
