"""What the submitter hands to the driver, and what comes back."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from http_enrich_spark.config import PipelineError, RunInfo
from http_enrich_spark.submission import Report, Submission
from tests.support.pipelines import TEXT, pipeline

ENVIRON = {"AIRFLOW_CONN_API": "http://me:canary-7f3a@h.test"}


def submission(source: str | dict[str, Any] = TEXT, **variables: Any) -> Submission:
    run = RunInfo("r-1", "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00", "IS")
    return Submission("airports.yaml", source, variables, run, "report.json")


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Let new files be readable by everyone unless they ask not to be."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("source", [TEXT, pipeline({"endpoint.json": {"a": [1, 1.5, None, True]}})])
def test_a_submission_is_read_as_it_was_written(tmp_path: Path, source: str | dict[str, Any]) -> None:
    sent = submission(source, day="2026-01-01", size=5, ids=["a"], nested={"a": None}, name="Zürich ${row.x}")
    sent.write(tmp_path / "submission.json")

    assert Submission.read(tmp_path / "submission.json") == sent


@pytest.mark.usefixtures("open_umask")
def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "submission.json"
    submission().write(file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_it_holds_references_to_secrets_and_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "submission.json"
    submission(TEXT + "middleware:\n  - {type: bearer, token: '${conn.api.password}'}\n").write(file)

    config = Submission.read(file).load(ENVIRON)

    assert "canary-7f3a" not in file.read_text()
    assert [each.type for each in config.middleware] == ["bearer"]


def test_loading_fills_in_variables_run_and_environment() -> None:
    text = TEXT.replace("data/airports", "${env.BUCKET}/${var.day}/${run.date}/${run.partition_key}")

    config = submission(text, day=7).load({"BUCKET": "s3a://b"})

    assert config.source.path == "s3a://b/7/2026-01-01/IS"


def test_a_problem_names_the_file_that_the_author_knows(tmp_path: Path) -> None:
    file = tmp_path / "submission.json"
    submission(TEXT.replace("data/airports", "${env.BUCKET}")).write(file)

    with pytest.raises(PipelineError) as caught:
        Submission.read(file).load({})

    assert str(caught.value) == ("airports.yaml:4:3: source.path: the environment variable BUCKET is not set")


@pytest.mark.parametrize(
    "report", [Report(summary={"rows": 5, "ok": {"share": 1.0}}), Report(error="no rows")]
)
def test_a_report_is_read_as_it_was_written(tmp_path: Path, report: Report) -> None:
    report.write(tmp_path / "report.json")

    assert Report.read(tmp_path / "report.json") == report
