"""Where the secrets of a task are, and where not."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, redact

from http_enrich_provider.operators import HttpEnrichSparkOperator
from tests.support.fake_spark import FakeSpark
from tests.support.leaks import forms_of
from tests.support.pipelines import pipeline
from tests.support.tasks import CANARY, PUBLISHED, REPORT, context

FORMS = forms_of(CANARY)
WITH_SECRET = pipeline({"middleware": [{"type": "bearer", "token": "${conn.api.password}"}]})


@pytest.fixture
def task(fake_spark: FakeSpark, connections: None) -> HttpEnrichSparkOperator:
    program = fake_spark.will(PUBLISHED).program
    return HttpEnrichSparkOperator(task_id="enrich", pipeline=WITH_SECRET, spark_binary=program)


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_masked_in_whatever_form_the_log_has_it(task: HttpEnrichSparkOperator, form: str) -> None:
    task.execute(context())

    assert form not in str(redact(f"token={form};"))


def test_the_driver_inherits_it_and_nothing_else_shows_it(
    task: HttpEnrichSparkOperator, fake_spark: FakeSpark, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ctx = context()
    result = task.execute(ctx)

    (start,) = fake_spark.starts
    assert json.loads(start.environ["AIRFLOW_CONN_API"])["password"] == CANARY
    rendered = {name: getattr(task, name) for name in task.template_fields}
    shown = json.dumps([start.argv, start.submission, result, ctx["ti"].xcoms, rendered], default=str)
    assert [form for form in FORMS if form in shown + caplog.text] == []


@pytest.mark.parametrize("reports", [False, True], ids=["in its log", "in its report"])
@pytest.mark.parametrize("form", FORMS)
def test_what_a_run_that_failed_has_said_does_not_show_it(
    task: HttpEnrichSparkOperator, fake_spark: FakeSpark, form: str, reports: bool
) -> None:
    """XComs are for whoever may read the DAG, and exceptions go to callbacks."""
    said, ctx = f"GET /?key={form} failed", context()
    failure = {"outcome": "connect", "rows": 9, "kind": "reset", "error": said}
    report = {**REPORT, "state": "failed", "failures": [failure]}
    fake_spark.will({"error": said, "report": report} if reports else None, status=3, says=said)

    with pytest.raises(AirflowException) as caught:
        task.execute(ctx)
    shown = json.dumps(ctx["ti"].xcoms) + str(caught.value)
    assert shown.count("GET /?key=*** failed") == (3 if reports else 2)
    assert form not in shown


def test_it_is_in_no_template_field(task: HttpEnrichSparkOperator) -> None:
    """Airflow keeps rendered fields in its database."""
    ours = set(task.template_fields) - set(super(HttpEnrichSparkOperator, task).template_fields)

    assert ours == {"variables", "window", "resume"}
    assert not {"pipeline", "application", "application_args"} & set(task.template_fields)


def test_the_folder_of_the_handover_is_gone_afterwards(
    task: HttpEnrichSparkOperator, fake_spark: FakeSpark
) -> None:
    task.execute(context())

    assert not Path(fake_spark.starts[0].argv[-1]).parent.exists()


def test_a_missing_field_of_a_connection_is_named(
    fake_spark: FakeSpark, connections: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_API", '{"conn_type": "http", "host": "http://api.test"}')
    program = fake_spark.will(PUBLISHED).program
    task = HttpEnrichSparkOperator(task_id="enrich", pipeline=WITH_SECRET, spark_binary=program)

    with pytest.raises(AirflowFailException, match="connection 'api' has no 'password'; fill it in"):
        task.execute(context())
    assert fake_spark.starts == []
