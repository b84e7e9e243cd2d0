"""The operator, as far as it goes without a running Airflow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.apache.spark.hooks import spark_submit
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator

from http_enrich_provider._results import REPORT_KEY
from http_enrich_provider._variables import plain_variables
from http_enrich_provider.operators import HttpEnrichSparkOperator
from http_enrich_spark.config import PipelineError
from tests.support.dag_files import load_dag_files
from tests.support.peer import closed_port
from tests.support.tasks import context

PIPELINE: dict[str, Any] = {
    "version": 1,
    "name": "test",
    "source": {"query": "SELECT 'a' AS id", "id": ["id"]},
    "endpoint": {"base_url": "${conn.api.host}", "path": "/${row.id}"},
    "middleware": [{"type": "bearer", "token": "${conn.api.password}"}],
    "sink": {"path": "${var.out}", "mode": "overwrite"},
}
DAG_FILE = """
from airflow.sdk import DAG
from http_enrich_provider._variables import plain_variables
from http_enrich_provider.operators import HttpEnrichSparkOperator

with DAG("{dag_id}", schedule=None):
    HttpEnrichSparkOperator(
        task_id="enrich", pipeline="pipelines/p.yaml", variables={{"out": "{{{{ ds }}}}"}}
    )
"""
MAPPED = DAG_FILE.replace("HttpEnrichSparkOperator(", "HttpEnrichSparkOperator.partial(").replace(
    'variables={{"out": "{{{{ ds }}}}"}}\n    )', '\n    ).expand(variables=[{{"out": "a"}}, {{"out": "b"}}])'
)
GOOD = """
version: 1
name: p
source: {path: in, id: [id]}
endpoint:
  base_url: https://api.example.com
sink: {path: "${var.out}"}
"""

Operator = Callable[..., HttpEnrichSparkOperator]


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of all tests here, to an API that is not there."""
    api = f'{{"conn_type": "http", "host": "http://127.0.0.1:{closed_port()}", "password": "canary-1"}}'
    monkeypatch.setenv("AIRFLOW_CONN_API", api)
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[1]"}')


def operator(out: str = "out", *, pipeline: Any = None, **options: Any) -> HttpEnrichSparkOperator:
    return HttpEnrichSparkOperator(
        task_id="enrich", pipeline=pipeline or PIPELINE, variables={"out": out}, **options
    )


def execute(task: HttpEnrichSparkOperator) -> Any:
    return task.execute({"run_id": "r1"})


def dag_errors(folder: Path, pipeline: str, dag_id: str = "d", *, dag: str = DAG_FILE) -> dict[str, str]:
    (folder / "pipelines").mkdir(exist_ok=True)
    (folder / "pipelines" / "p.yaml").write_text(pipeline)
    (folder / f"{dag_id}.py").write_text(dag.format(dag_id=dag_id))
    errors: dict[str, str] = load_dag_files(folder).import_errors
    return errors


def test_dag_with_a_good_pipeline_loads(tmp_path: Path) -> None:
    assert dag_errors(tmp_path, GOOD) == {}


@pytest.mark.parametrize(
    ("wrong", "place", "message"),
    [
        (GOOD + "sinks: {}\n", "8:1", "unknown key 'sinks'; did you mean 'sink'?"),
        (GOOD + "middleware:\n  - type: retri\n", "9:5", "no middleware 'retri'; did you mean 'retry'?"),
        (GOOD + "transport: {base_timeout: soon}\n", "8:13", "transport.base_timeout: Input should be"),
        (GOOD + "name: again\n", "8:1", "duplicate key 'name'"),
        (GOOD.replace("${var.out}", "${var.aut}"), "7:8", "no variable 'aut'; did you mean 'out'?"),
        (GOOD + "  : [", "", "not valid YAML"),
    ],
)
def test_wrong_pipeline_is_an_import_error_with_its_place(
    tmp_path: Path, wrong: str, place: str, message: str
) -> None:
    errors = dag_errors(tmp_path, wrong)

    (text,) = errors.values()
    assert f"p.yaml:{place}" in text
    assert message in text


def test_only_the_dag_with_the_wrong_pipeline_breaks(tmp_path: Path) -> None:
    dag_errors(tmp_path, GOOD + "oops: 1\n", "bad")
    (tmp_path / "good.py").write_text("from airflow.sdk import DAG\ndag = DAG('good', schedule=None)\n")

    bag = load_dag_files(tmp_path)

    assert list(bag.dags) == ["good"]


def test_pipeline_that_all_mapped_tasks_have_is_checked_when_the_dag_is_parsed(tmp_path: Path) -> None:
    assert dag_errors(tmp_path, GOOD, dag=MAPPED) == {}

    (text,) = dag_errors(tmp_path, GOOD + "oops: 1\n", dag=MAPPED).values()
    assert "p.yaml:8:1: oops: unknown key 'oops'" in text


def mapped(**over: Any) -> MappedOperator:
    given = {"pipeline": PIPELINE, "variables": {"out": "out"}}
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        same = {name: value for name, value in given.items() if name not in over}
        return HttpEnrichSparkOperator.partial(task_id="enrich", **same).expand(**over)


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"pipeline": {**PIPELINE, "oops": 1}}, "unknown key 'oops'"),
        ({"variables": {"other": "x"}}, "no variable 'out'"),
        ({"resume": "maybe"}, "resume became 'maybe'"),
    ],
)
@pytest.mark.usefixtures("connections")
def test_what_is_wrong_with_one_mapped_task_is_final_and_reported(over: dict[str, Any], message: str) -> None:
    """It cannot be known before, and a retry would meet the same."""
    task, ctx = mapped(**{name: [value] for name, value in over.items()}).unmap(over), context()

    with pytest.raises(AirflowFailException, match=message):
        task.execute(ctx)
    assert message in ctx["ti"].xcoms[REPORT_KEY]["error"]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"application": "mine.py"}, "sets 'application' itself"), ({"resume": "maybe"}, "resume is 'maybe'")],
)
def test_what_all_mapped_tasks_have_cannot_be_wrong(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        HttpEnrichSparkOperator.partial(task_id="enrich", pipeline=PIPELINE, **options)


def test_missing_pipeline_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"nowhere\.yaml: cannot be read: No such file"):
        operator(pipeline=str(tmp_path / "nowhere.yaml"))


def test_pipeline_is_found_beside_the_dag_file() -> None:
    with (
        DAG("d", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)),
        pytest.raises(PipelineError, match=rf"{Path(__file__).parent}/nowhere\.yaml"),
    ):
        operator(pipeline="nowhere.yaml")


@pytest.mark.parametrize(
    ("options", "message", "kind"),
    [
        ({"pipeline": {**PIPELINE, "name": "${env.NOT_THERE}"}}, "NOT_THERE is not set", "pipeline"),
        ({"conn_id": "other"}, "no connection 'other', which the operator's conn_id refers to", "setup"),
        ({"window": "soon"}, "window is 'soon'", "setup"),
        ({"spark_binary": "no-such-spark"}, "no-such-spark is not on PATH", "setup"),
    ],
)
@pytest.mark.usefixtures("connections")
def test_whatever_ends_a_task_before_spark_starts_is_reported(
    options: dict[str, Any], message: str, kind: str
) -> None:
    ctx = context()
    with pytest.raises(AirflowFailException, match=message) as caught:
        operator(**options).execute(ctx)

    found = ctx["ti"].xcoms[REPORT_KEY]
    assert (found["state"], found["error"], found["kind"]) == ("failed", str(caught.value), kind)
    assert found["summary"] == {"pipeline": "pipeline", "run_id": "r1"}


def test_a_report_names_a_pipeline_by_its_file_and_not_by_its_folders(tmp_path: Path) -> None:
    """The page shows names of at most 200 characters."""
    file, ctx = tmp_path / "p.yaml", context()
    file.write_text(GOOD)
    with pytest.raises(AirflowFailException):
        operator(pipeline=file, conn_id="other").execute(ctx)

    assert ctx["ti"].xcoms[REPORT_KEY]["summary"]["pipeline"] == "p.yaml"


def test_missing_api_connection_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AirflowFailException, match="no connection 'api', which pipeline refers to"):
        execute(operator())


@pytest.mark.usefixtures("connections")
def test_missing_spark_connection_is_an_error_and_not_yarn() -> None:
    with pytest.raises(AirflowFailException, match="no connection 'other', which the operator's conn_id"):
        execute(operator(conn_id="other"))


@pytest.mark.usefixtures("connections")
def test_missing_window_is_an_error_before_anything_is_submitted() -> None:
    pipeline = {**PIPELINE, "source": {"query": "SELECT '${run.date}' AS id", "id": ["id"]}}

    with pytest.raises(AirflowFailException, match=r"no data window.*CronDataIntervalTimetable"):
        execute(operator(pipeline=pipeline))


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(
    ("master", "why"),
    [
        ("spark://m:7077", "Spark's standalone master takes no Python application in deploy mode 'cluster'"),
        ("local[1]", "the deploy mode 'cluster' needs a cluster"),
    ],
)
def test_cluster_mode_that_cannot_work_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, master: str, why: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps({"conn_type": "spark", "host": master}))

    with pytest.raises(AirflowFailException, match=f"{why}; set deploy_mode='client'"):
        execute(operator(deploy_mode="cluster"))


@pytest.mark.usefixtures("connections")
def test_a_master_whose_libraries_are_not_installed_is_refused_without_a_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    master = json.dumps({"conn_type": "spark", "host": "k8s://https://k8s.test"})
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", master)
    monkeypatch.delattr(spark_submit, "kube_client", raising=False)

    with pytest.raises(AirflowFailException, match="is its cluster's provider installed here"):
        execute(operator())


@pytest.mark.usefixtures("connections")
def test_a_task_that_is_killed_while_spark_submit_is_being_started_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "spark-submit"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    task = operator(spark_binary=str(program))
    started: list[subprocess.Popen[str]] = []
    popen = subprocess.Popen

    def killed_meanwhile(*args: Any, **options: Any) -> subprocess.Popen[str]:
        started.append(popen(*args, **options))
        task.on_kill()  # nobody knows of the process yet
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", killed_meanwhile)
    with pytest.raises(AirflowException, match="the task was stopped"):
        execute(task)

    assert started[0].wait() == -signal.SIGKILL


def test_what_starts_the_application_cannot_be_replaced() -> None:
    with pytest.raises(TypeError, match="sets 'application' itself"):
        operator(application="mine.py")


@pytest.mark.usefixtures("connections")
def test_failed_run_fails_the_task_with_what_to_do_first(tmp_path: Path) -> None:
    """The API may be there when Airflow tries again, which costs no row that is answered."""
    task = operator(str(tmp_path / "out"), env_vars={"SPARK_LOCAL_IP": "127.0.0.1"}, py_files="mine.py")
    (tmp_path / "mine.py").touch()
    task.py_files = str(tmp_path / "mine.py")
    address = json.loads(os.environ["AIRFLOW_CONN_API"])["host"]
    for _ in range(2):
        with pytest.raises(AirflowException) as failure:
            execute(task)

        assert not isinstance(failure.value, AirflowFailException)
        assert str(failure.value).splitlines()[0] == (
            "the API cannot be reached; check endpoint.base_url and the network: 100.0% of the rows failed, "
            "more than execution.max_error_rate = 50.0% "
            f"(1 connect: connect_refused, ClientConnectorError: ECONNREFUSED ({address}/a)); "
            "nothing was published"
        )
    assert task.py_files == str(tmp_path / "mine.py")


@pytest.mark.usefixtures("connections")
def test_missing_spark_submit_says_what_to_do() -> None:
    with pytest.raises(AirflowFailException, match="no-such-spark is not on PATH; install pyspark beside"):
        execute(operator(spark_binary="no-such-spark"))


@pytest.mark.usefixtures("connections")
def test_environment_of_the_driver_counts() -> None:
    """What env_vars gives to the driver is there for the check before it as well."""
    pipeline = {**PIPELINE, "source": {"query": "SELECT '${env.ONLY_THERE}' AS id", "id": ["id"]}}

    with pytest.raises(AirflowFailException, match="the environment variable ONLY_THERE is not set"):
        execute(operator(pipeline=pipeline))
    with pytest.raises(AirflowException, match="Cannot execute"):  # it got past the check, to no real Spark
        execute(operator(pipeline=pipeline, spark_binary="false", env_vars={"ONLY_THERE": "x"}))


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (Path("a/b"), "a/b"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        ({"a": [Path("x"), 1, None, True]}, {"a": ["x", 1, None, True]}),
    ],
)
def test_variables_become_plain_values(given: object, plain: object) -> None:
    assert plain_variables({"x": given}) == {"x": plain}


@pytest.mark.parametrize("given", [{"x": object()}, {"x": {"y": {1, 2}}}, "rendered", None])
def test_variables_that_have_no_plain_form_are_refused(given: object) -> None:
    with pytest.raises(AirflowFailException, match="variables"):
        plain_variables(given)


def test_importing_the_operator_is_light() -> None:
    """Airflow imports it at every parse of every DAG file."""
    code = (
        "import sys, http_enrich_provider.operators\n"
        "print([m for m in ('pyspark', 'aiohttp', 'pandas', 'pyarrow', 'numpy') if m in sys.modules])"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
