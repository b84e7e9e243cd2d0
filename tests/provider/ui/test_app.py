"""The tab's page over HTTP, from a real API server with real users, below a base path."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from typing import Any

import pytest
from aiohttp.web import Response

from tests.support import reports
from tests.support.airflow_web import RUN_ID, Database, Web, serving
from tests.support.web import web_server


def data_of(page: str) -> Any:
    """Return what the page hands to its script."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(text)


@pytest.mark.parametrize("user", ["viewer", "user", "op", "admin"])
def test_whoever_may_read_the_dag_sees_the_report(web: Web, user: str) -> None:
    answer = web.report("enrich", user)

    assert answer.status_code == 200
    assert "28,298" in answer.text
    assert set(data_of(answer.text)) == {"throughput", "latency", "outcome", "status", "spent on"}


def test_without_a_login_there_is_nothing(web: Web) -> None:
    answer = web.report("enrich", None)

    assert answer.status_code == 401
    assert "28,298" not in answer.text


@pytest.mark.parametrize("task_id", ["enrich", "other", "no_such_task"])
def test_who_may_not_read_the_dag_does_not_even_learn_what_there_is(web: Web, task_id: str) -> None:
    answer = web.report(task_id, "stranger")

    assert answer.status_code == 403
    assert "28,298" not in answer.text


@pytest.mark.parametrize("dag_id", ["~", "theirs", "%7E", "reports%2F..%2F~"])
def test_the_name_of_another_dag_opens_nothing(web: Web, dag_id: str) -> None:
    """The name that is checked must be the one that is looked up, whatever else the address says."""
    query = {"run_id": RUN_ID, "task_id": "enrich", "dag_id": "reports"}
    answer = web.ask(f"/http-enrich/report/{dag_id}", "stranger", params=query)

    assert answer.status_code in (403, 404)


def test_a_forged_token_is_no_login(web: Web) -> None:
    head, body, _ = web.token("viewer").split(".")
    forged = {"Authorization": f"Bearer {head}.{body}.{'A' * 43}"}
    query = {"run_id": RUN_ID, "task_id": "enrich"}

    answer = web.ask("/http-enrich/report/reports", params=query, headers=forged)

    assert answer.status_code in (401, 403)
    assert "28,298" not in answer.text


def test_where_everyone_is_admin_nobody_logs_in(database: Database) -> None:
    with serving(database, all_admins=True) as web:
        answer = web.report("enrich", None)

        assert answer.status_code == 200
        assert "28,298" in answer.text


@pytest.mark.parametrize(
    "place", [{"task_id": "no_such_task"}, {"run_id": "no_such_run"}, {"map_index": "5"}]
)
def test_a_task_instance_that_is_not_there_is_a_404(web: Web, place: dict[str, str]) -> None:
    assert web.report(**{"task_id": "enrich"} | place).status_code == 404


def test_tasks_of_other_operators_get_a_polite_answer(web: Web) -> None:
    answer = web.report("other")

    assert answer.status_code == 200
    assert "Nothing here" in answer.text
    assert "HttpEnrichSparkOperator" in answer.text


def test_a_task_that_runs_is_told_to_wait(web: Web) -> None:
    assert "appears here when the run has ended" in web.report("busy").text


def test_each_mapped_instance_has_its_own_report(web: Web) -> None:
    first, second = (web.report("mapped", map_index=str(index)).text for index in range(2))

    assert "62.5% of the rows failed" in first
    assert "second of two" in second


def test_placeholder_that_airflow_leaves_for_a_task_without_index_is_no_index(web: Web) -> None:
    assert "28,298" in web.report("enrich", map_index="{MAP_INDEX}").text


def test_failed_run_shows_why_without_figures_that_it_has_not(web: Web) -> None:
    page = web.report("failed").text

    assert "62.5% of the rows failed, more than execution.max_error_rate" in page
    assert "Failed; nothing was published" in page
    assert set(data_of(page)) == {"status"}


@pytest.mark.parametrize("word", reports.wrong())
def test_what_is_no_report_is_told_and_never_quoted(web: Web, word: str) -> None:
    answer = web.report(f"wrong_{word}")

    assert answer.status_code == 200
    assert "This report cannot be shown" in answer.text
    assert "alert" not in answer.text
    assert len(answer.text) < 2000


def test_no_text_of_a_report_is_markup(web: Web) -> None:
    page = web.report("hostile").text

    assert "alert(1)" in page
    assert "49" not in re.findall(r"<h1>(.*?)</h1>", page)[0]
    assert not re.findall(r"<(?:img|b)\b[^>]*>(?!ended|run|sink|kept in)", page)
    assert re.findall(r"<script[^>]*>", page) == [
        '<script src="/airflow/http-enrich/static/theme.js">',
        '<script type="application/json" id="data">',
        f'<script src="/airflow/http-enrich/plotly-{version("plotly")}.min.js">',
        '<script src="/airflow/http-enrich/static/report.js">',
    ]
    assert any(reports.CANARY in bar[0] for bar in data_of(page)["outcome"]["data"])


def test_browsers_are_told_to_run_our_scripts_only_and_to_keep_nothing(web: Web) -> None:
    headers = web.report("enrich").headers

    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "script-src" not in policy
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_page_refers_to_our_own_files_below_the_base_path(web: Web) -> None:
    """Without a host, which a proxy may have changed, and without a way out of the house."""
    references = set(re.findall(r'(?:src|href)="(.*?)"', web.report("enrich").text)) - {"data:,"}
    answers = [web.ask(each.removeprefix("/airflow")) for each in references]

    assert len(answers) == 4
    assert all(each.startswith("/airflow/http-enrich/") for each in references)
    assert {answer.status_code for answer in answers} == {200}


def test_airflow_lists_the_tab_below_its_base_path(web: Web) -> None:
    plugins = web.ask("/api/v2/plugins", "admin").json()["plugins"]

    (ours,) = [each for each in plugins if each["name"] == "http_enrich"]
    (view,) = ours["external_views"]
    assert view["href"].startswith("/airflow/http-enrich/report/{DAG_ID}?run_id={RUN_ID}&")
    assert view["destination"] == "task_instance"


def test_airflow_shows_both_links_of_the_task(web: Web) -> None:
    place = f"dags/reports/dagRuns/{RUN_ID}/taskInstances/enrich/links"
    answer = web.ask(f"/api/v2/{place}", "viewer")

    assert set(answer.json()["extra_links"]) == {"Spark UI", "Enrichment report"}
    assert all(answer.json()["extra_links"].values())


def test_spark_ui_that_has_ended_is_explained(web: Web) -> None:
    answer = web.ask("/http-enrich/spark-ui")

    assert answer.status_code == 200
    assert "spark_history_server" in answer.text


def test_airflow_tests_a_connection(web: Web) -> None:
    with web_server(lambda _: Response(status=204)) as api:
        body = {"connection_id": "api", "conn_type": "http_enrich", "host": api.url, "password": "canary-7"}
        body["extra"] = '{"auth": "bearer"}'
        answer = web.ask("/api/v2/connections/test", "admin", "POST", json=body)

    assert answer.json() == {"status": True, "message": "the API answers (HTTP status 204)"}
    assert api.headers[0]["Authorization"] == "Bearer canary-7"


def test_airflow_offers_the_form_of_the_connection(web: Web) -> None:
    hooks = web.ask("/ui/connections/hook_meta", "admin").json()

    (ours,) = [each for each in hooks if each["connection_type"] == "http_enrich"]
    assert ours["hook_name"] == "HTTP Enrich API"
    assert ours["standard_fields"]["host"]["title"] == "Base URL"
    assert set(ours["extra_fields"]) == {"auth", "header", "verify", "ca_bundle", "client_cert", "client_key"}
