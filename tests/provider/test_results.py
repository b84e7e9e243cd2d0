"""What the operator makes of the application's report, with a `spark-submit` that says what we want."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowTaskTimeout
from airflow.sdk import Asset
from airflow.sdk.execution_time.timeout import timeout

from http_enrich_provider._results import MAX_BYTES, REPORT_KEY, full_report
from http_enrich_provider.operators import HttpEnrichSparkOperator
from http_enrich_spark.submission import Report
from tests.support.fake_spark import FakeSpark
from tests.support.pipelines import pipeline
from tests.support.tasks import PUBLISHED, REPORT, SUMMARY, TaskInstance, context

pytestmark = pytest.mark.usefixtures("connections")

KEYS = {"version", "at", "summary", "statuses", "latency", "histogram", "failures", "workers", "curve"}


def operator(spark: FakeSpark, **options: Any) -> HttpEnrichSparkOperator:
    return HttpEnrichSparkOperator(
        task_id="enrich", pipeline=pipeline(), spark_binary=spark.program, **options
    )


def report(outcome: Report) -> dict[str, Any]:
    return full_report(outcome, "p", "r1")


def test_the_figures_are_the_result(fake_spark: FakeSpark) -> None:
    result = operator(fake_spark.will(PUBLISHED)).execute(context())

    assert result == {**SUMMARY, "error_rate": 0.2, "report": "/lake/_http_enrich/test-r1/report.json"}


def test_the_whole_report_is_an_xcom(fake_spark: FakeSpark) -> None:
    ctx = context()
    operator(fake_spark.will(PUBLISHED)).execute(ctx)

    assert ctx["ti"].xcoms[REPORT_KEY] == {**REPORT, "kind": None}


@pytest.mark.parametrize(("retry", "error"), [(False, AirflowFailException), (True, AirflowException)])
def test_a_failure_says_what_to_do_first_and_whether_a_retry_helps(
    fake_spark: FakeSpark, retry: bool, error: type[Exception]
) -> None:
    said = "the API rejected the credentials; correct …\nNothing is lost: …"
    outcome = {"error": said, "retry": retry, "kind": "auth", "report": {**REPORT, "state": "failed"}}
    ctx = context()

    with pytest.raises(AirflowException) as caught:
        operator(fake_spark.will(outcome)).execute(ctx)

    assert (type(caught.value), str(caught.value)) == (error, said)
    pushed = ctx["ti"].xcoms[REPORT_KEY]
    assert (pushed["state"], pushed["error"], pushed["kind"]) == ("failed", said, "auth")
    assert pushed["curve"] == REPORT["curve"]


def test_a_run_that_failed_early_has_a_report_with_the_same_keys(fake_spark: FakeSpark) -> None:
    ctx = context()
    with pytest.raises(AirflowFailException, match="no column 'x'"):
        operator(fake_spark.will({"error": "no column 'x'"})).execute(ctx)

    pushed = ctx["ti"].xcoms[REPORT_KEY]
    assert pushed.keys() == {*KEYS, "state", "error", "kind"}
    assert pushed["summary"] == {"pipeline": "pipeline", "run_id": "r1"}
    assert pushed["state"] == "failed"


def test_an_application_that_says_nothing_is_told_by_its_log(fake_spark: FakeSpark) -> None:
    ctx = context()
    with pytest.raises(AirflowException) as caught:
        operator(fake_spark.will(None, status=3)).execute(ctx)

    pushed = ctx["ti"].xcoms[REPORT_KEY]
    first, *rest = str(caught.value).splitlines()
    assert first.startswith(
        "the Spark application has left no report (exit code 3); look at the end of its log"
    )
    assert "Cannot execute" in rest[0]
    assert not isinstance(caught.value, AirflowFailException)
    assert (pushed["state"], pushed["kind"]) == ("failed", "internal")
    assert "Error code is: 3" in pushed["error"]


def test_a_pipeline_that_this_run_cannot_load_has_a_report_too(fake_spark: FakeSpark) -> None:
    ctx = context()
    source = pipeline({"source.path": "${run.date}"})
    program = fake_spark.will(PUBLISHED).program
    with pytest.raises(AirflowFailException, match="no data window"):
        HttpEnrichSparkOperator(task_id="enrich", pipeline=source, spark_binary=program).execute(ctx)

    assert ctx["ti"].xcoms[REPORT_KEY]["kind"] == "pipeline"
    assert fake_spark.starts == []


def test_a_task_that_takes_too_long_reports_it(fake_spark: FakeSpark, tmp_path: Path) -> None:
    program, ctx = tmp_path / "spark-submit", context()
    program.write_text("#!/bin/sh\nsleep 1\nkill -ALRM $PPID\nexec sleep 600\n")
    program.chmod(0o755)
    fake_spark.program = str(program)
    task = operator(fake_spark, execution_timeout=timedelta(hours=6))

    with (
        pytest.raises(AirflowTaskTimeout, match="execution_timeout of 6:00:00 is over: what was committed"),
        timeout(3600),  # type: ignore[no-untyped-call]
    ):
        task.execute(ctx)
    had_ended = task.killed
    task.on_kill()  # as Airflow does then

    pushed = ctx["ti"].xcoms[REPORT_KEY]
    assert (pushed["state"], pushed["kind"]) == ("failed", "timeout")
    assert pushed["error"].startswith("execution_timeout of 6:00:00 is over")
    assert had_ended


def test_a_good_end_without_a_report_is_a_failure(fake_spark: FakeSpark) -> None:
    with pytest.raises(AirflowException, match=r"left no report; look at the end of its log above"):
        operator(fake_spark.will(None, status=0)).execute(context())


def test_the_report_counts_and_not_the_status_of_spark_submit(fake_spark: FakeSpark) -> None:
    """Spark may fail at its shutdown, long after the table was published."""
    result = operator(fake_spark.will(PUBLISHED, status=1)).execute(context())

    assert result["rows_out"] == 10


def test_assets_are_told_the_counts(fake_spark: FakeSpark) -> None:
    table, other = Asset("s3://lake/out"), Asset("s3://lake/other")

    class Event:
        def __init__(self) -> None:
            self.extra: dict[str, Any] = {"mine": 1}

    events = {table: Event(), other: Event()}
    operator(fake_spark.will(PUBLISHED), outlets=[table]).execute(context(outlet_events=events))

    extra = events[table].extra
    assert (extra["mine"], extra["http_enrich"]["rows_out"], extra["http_enrich"]["calls"]) == (1, 10, 12)
    assert extra["http_enrich"]["sink"] == "/lake/out"
    assert events[other].extra == {"mine": 1}


def test_a_large_report_is_cut_and_keeps_its_ends() -> None:
    points = [[n / 2, n * 1000, n * 1000, 0] for n in range(3000)]
    failures = [{"outcome": f"o{n}", "rows": 9, "kind": "k", "error": "e" * 9000} for n in range(30)]
    large = {**REPORT, "curve": points, "failures": failures, "histogram": [[1.5, 9]] * 3000}

    found = report(Report(summary=SUMMARY, report=large))

    assert len(json.dumps(found)) <= MAX_BYTES
    assert found["curve"][0] == points[0]
    assert found["failures"][0]["outcome"] == "o0"
    assert all(found[name] for name in ("curve", "failures", "histogram"))


def test_what_cannot_be_cut_is_left_out() -> None:
    found = report(Report(summary=SUMMARY, report={**REPORT, "workers": {"x" * 60_000: 1}}))

    assert len(json.dumps(found)) <= MAX_BYTES
    assert found["summary"] == SUMMARY


def test_a_long_error_is_cut() -> None:
    assert len(report(Report(error="x" * 100_000))["error"]) < 2100


def test_the_next_try_goes_on_unless_it_must_not(fake_spark: FakeSpark) -> None:
    """What a try has paid for that begins anew is not paid again by Airflow's retries of it."""
    fake_spark.will(PUBLISHED)
    operator(fake_spark).execute(context())
    for max_tries in (2, 2, 5):  # Airflow raises it when the task is cleared
        task = operator(fake_spark, resume="never", retries=2)
        task.execute(context(ti=TaskInstance(max_tries)))
    auto, first, retry, cleared = [each.submission["fresh"] for each in fake_spark.starts]

    assert auto == ""
    assert first == retry != cleared


def test_a_resume_that_is_none_is_refused_when_it_is_known(fake_spark: FakeSpark) -> None:
    with pytest.raises(ValueError, match="resume is 'maybe'; give 'auto' or 'never'"):
        operator(fake_spark, resume="maybe")
    task = operator(fake_spark, resume="{{ params.resume }}")
    task.resume = "rendered"
    with pytest.raises(AirflowFailException, match="resume became 'rendered'; give 'auto' or 'never'"):
        task.execute(context())


def test_a_window_is_that_of_the_application(fake_spark: FakeSpark) -> None:
    operator(fake_spark.will(PUBLISHED), window="2026-01-01").execute(context())

    (start,) = fake_spark.starts
    assert start.submission["run"]["window_start"] == "2026-01-01T00:00:00+00:00"


def test_what_we_submit_is_gone_from_the_operator_afterwards(fake_spark: FakeSpark, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.touch()
    task = operator(fake_spark.will(PUBLISHED), py_files="mine.py", files=str(mine))
    task.execute(context())

    assert (task.application, task.application_args) == ("", None)
    assert (task.py_files, task.files) == ("mine.py", str(mine))
    (start,) = fake_spark.starts
    assert "mine.py," in start.argv[start.argv.index("--py-files") + 1]
