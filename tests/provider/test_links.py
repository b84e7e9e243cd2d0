"""The links of a task, while it runs and after."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from http_enrich_provider.links import ReportLink, SparkUILink
from http_enrich_provider.operators import HttpEnrichSparkOperator
from http_enrich_spark.spark_ui import SparkUI

SPARK_UI = SparkUI("http://10.0.0.7:4040", "local-1764280000000")
PIPELINE: dict[str, Any] = {
    "version": 1,
    "name": "test",
    "source": {"query": "SELECT 'a' AS id", "id": ["id"]},
    "endpoint": {"base_url": "http://api.test", "path": "/${row.id}"},
    "sink": {"path": "out"},
}


class Instance:
    """A task instance that writes down which links are pushed."""

    dag_id, task_id, run_id = "d", "group.enrich", "scheduled__2026-11-26T00:00:00+00:00"

    def __init__(self, map_index: int = -1) -> None:
        self.map_index = map_index
        self.pushed: list[tuple[str, str]] = []

    def xcom_push(self, key: str, value: str) -> None:
        if key.endswith("_link"):
            self.pushed.append((key, value))


@pytest.fixture(autouse=True)
def spark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[1]"}')
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/airflow/")


def operator(**options: Any) -> HttpEnrichSparkOperator:
    return HttpEnrichSparkOperator(task_id="enrich", pipeline=PIPELINE, **options)


def spark_submit(folder: Path, *lines: str) -> str:
    """Return a program that prints *lines* and fails."""
    program = folder / "spark-submit"
    program.write_text("\n".join(["#!/bin/sh", "cat <<'END'", *lines, "END", "exit 1"]))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def run(task: HttpEnrichSparkOperator) -> Instance:
    instance = Instance()
    with pytest.raises(AirflowException, match="Cannot execute"):
        task.execute({"run_id": "r1", "ti": instance})  # type: ignore[typeddict-item]
    return instance


def test_report_link_leads_to_the_tab_of_the_task_instance_below_the_base_path() -> None:
    link = ReportLink().get_link(operator(), ti_key=Instance())

    run_id = "scheduled__2026-11-26T00%3A00%3A00%2B00%3A00"
    assert link == f"/airflow/dags/d/runs/{run_id}/tasks/group.enrich/plugin/http-enrich-report"


def test_report_link_of_a_mapped_task_leads_to_its_own_tab() -> None:
    link = ReportLink().get_link(operator(), ti_key=Instance(map_index=3))

    assert link.endswith("/tasks/group.enrich/mapped/3/plugin/http-enrich-report")


def test_both_links_are_there_while_the_task_runs(tmp_path: Path) -> None:
    program = spark_submit(tmp_path, "26/11/27 WARN Utils: …", f"INFO {SPARK_UI}", "INFO enriching 1 rows")
    task = operator(spark_binary=program)

    instance = run(task)

    assert instance.pushed == [
        (ReportLink().xcom_key, ReportLink().get_link(task, ti_key=instance)),
        (SparkUILink().xcom_key, SPARK_UI.address),
    ]


def test_only_the_first_line_says_where_the_spark_ui_is(tmp_path: Path) -> None:
    """A later one may be quoted from an answer."""
    other = SparkUI("http://evil.example", "x")
    task = operator(spark_binary=spark_submit(tmp_path, f"INFO {SPARK_UI}", f"INFO {other}"))

    assert run(task).pushed[1:] == [(SparkUILink().xcom_key, SPARK_UI.address)]


@pytest.mark.parametrize(
    "line",
    [
        f"{SPARK_UI}",
        f"INFO GET http://api.test: INFO {SPARK_UI}",
        "INFO Spark UI of local-1 at javascript:alert(1)",
        "INFO Spark UI of local-1 at http://a b",
        "INFO Spark UI of <b> at http://a",
    ],
)
def test_other_lines_say_nothing_of_a_spark_ui(line: str) -> None:
    assert SparkUI.read(line) is None


def test_after_the_run_the_link_explains_itself(tmp_path: Path) -> None:
    task = operator(spark_binary=spark_submit(tmp_path, f"INFO {SPARK_UI}"))
    instance = run(task)

    assert SparkUILink().get_link(task, ti_key=instance) == "/airflow/http-enrich/spark-ui"


def test_after_the_run_a_history_server_has_its_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__HTTP_ENRICH__SPARK_HISTORY_SERVER", "https://history.example.com/")
    task = operator(spark_binary=spark_submit(tmp_path, f"INFO {SPARK_UI}"))
    instance = run(task)

    link = SparkUILink().get_link(task, ti_key=instance)
    assert link == f"https://history.example.com/history/{SPARK_UI.application}/"


def test_without_a_spark_ui_there_is_no_link(tmp_path: Path) -> None:
    task = operator(spark_binary=spark_submit(tmp_path, "INFO nothing of the kind"))
    instance = run(task)

    assert SparkUILink().get_link(task, ti_key=instance) == ""
    assert [key for key, _ in instance.pushed] == [ReportLink().xcom_key]
