"""The report of a run, for good runs, repeated ones, and those that failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from pyspark.sql import SparkSession

from http_enrich_spark.config import RunInfo, load_pipeline
from http_enrich_spark.driver import Report, RunError, _try, report_pipeline
from http_enrich_spark.driver.ledger import Epoch
from tests.support.dying import dies_after
from tests.support.runs import ok, pipeline, write_ids
from tests.support.web import web_server

IDS = [f"{n:03}" for n in range(20)]


def report(spark: SparkSession, data: dict[str, Any]) -> Report:
    return report_pipeline(spark, load_pipeline(data, environ={}), RunInfo(id="r1"))


def failed(spark: SparkSession, data: dict[str, Any]) -> RunError:
    with pytest.raises(RunError) as caught:
        report(spark, data)
    return caught.value


def refuse_most(request: web.Request) -> web.Response:
    return web.Response(status=200 if request.path.endswith("0") else 403)


def test_a_published_run_has_a_curve_that_ends_with_all_of_it(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, *IDS)
    with web_server(ok) as server:
        found = report(spark, pipeline(tmp_path, server.url))

    assert (found.state, found.error) == ("published", None)
    assert (found.summary.rows_out, found.statuses) == (20, {"200": 20})
    assert found.curve[-1][1:] == (20, 20, 0)


def test_a_repeated_run_shows_the_report_of_the_run_that_was_published(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_ids(tmp_path, *IDS)
    with web_server(ok) as server:
        first = report(spark, pipeline(tmp_path, server.url))
        again = report(spark, pipeline(tmp_path, server.url))
        (Path(first.summary.folder) / "report.json").unlink()
        without = report(spark, pipeline(tmp_path, server.url))

    assert (again.state, again.summary.repeated) == ("repeated", True)
    assert (again.at, again.statuses, again.curve) == (first.at, first.statuses, first.curve)
    assert (without.state, without.summary.rows_out, without.statuses) == ("repeated", 20, {})


def test_a_run_that_failed_too_often_says_so_and_shows_what_was_answered(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_ids(tmp_path, *IDS)
    with web_server(refuse_most) as server:
        error = failed(spark, pipeline(tmp_path, server.url, execution={"max_error_rate": 0.1}))

    assert str(error).startswith("the API rejected the credentials; correct the key, the password or")
    assert (error.kind, error.retry) == ("auth", False)
    found = error.report
    assert found is not None
    assert (found.state, found.error) == ("failed", str(error).splitlines()[0])
    assert (found.summary.rows_in, found.summary.rows_out, found.summary.failed) == (20, 0, 18)
    assert found.statuses == {"403": 18, "200": 2}
    assert (found.failures[0]["outcome"], found.failures[0]["rows"]) == ("auth", 18)


def test_a_sink_that_refuses_is_named_and_may_be_tried_again(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ids(tmp_path, *IDS)

    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(_try, "publish", full)
    with web_server(ok) as server:
        error = failed(spark, pipeline(tmp_path, server.url))

    assert str(error).startswith(f"{tmp_path / 'out'} could not be written: No space left on device")
    assert (error.kind, error.retry) == ("sink", True)
    assert error.report is not None
    assert (error.report.summary.ok, error.report.summary.rows_out) == (20, 0)


def test_a_run_that_died_among_its_requests_shows_what_its_workers_had_counted(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ids(tmp_path, *IDS)
    real = Epoch.write

    def write(epoch: Any, answers: Any) -> None:
        real(epoch, answers)
        raise OSError("gone")

    monkeypatch.setattr(Epoch, "write", write)
    with web_server(ok) as server:
        error = failed(spark, pipeline(tmp_path, server.url))

    assert (error.kind, error.retry) == ("internal", True)
    assert error.report is not None
    (file,) = (tmp_path / "_http_enrich").glob("*/report.json")
    assert msgspec.json.decode(file.read_bytes(), type=Report) == error.report
    assert (error.report.state, error.report.summary.calls, error.report.summary.rows_out) == (
        "failed",
        20,
        0,
    )


def test_the_report_has_what_the_workers_of_all_tries_have_counted(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_ids(tmp_path, *IDS)
    with web_server(ok) as server:
        data = pipeline(tmp_path, server.url)
        with dies_after(Epoch, "write"):
            report(spark, data)
        found = report(spark, data)

    assert (found.summary.resumed, found.workers["calls"]) == (20, 20)
    assert found.workers["outcomes"] == {"ok": 20}
    assert found.workers["seconds"]["network"] > 0


def test_a_run_that_does_not_fit_its_data_has_no_report(spark: SparkSession, tmp_path: Path) -> None:
    write_ids(tmp_path, "a")

    error = failed(spark, pipeline(tmp_path, "http://api.test", source={"id": ["nope"]}))

    assert (error.kind, error.report) == ("data", None)
