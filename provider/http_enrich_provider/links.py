"""The links of a task, and when they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.providers.common.compat.sdk import BaseOperatorLink, conf

from http_enrich_spark.spark_ui import SparkUI

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

TAB_ROUTE = "http-enrich-report"
"""Where the report is, below the page of its task instance."""


def base_path() -> str:
    """Return the path under which Airflow's pages are; empty unless `[api] base_url` has one."""
    return urlsplit(str(conf.get("api", "base_url", fallback=""))).path.rstrip("/")


class ReportLink(BaseOperatorLink):
    """Leads to the tab 'Enrichment report' of the task instance."""

    name = "Enrichment report"
    xcom_key = "http_enrich_report_link"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the tab's address on this Airflow; *ti_key* is a key, or a task instance."""
        dag, run, task = (quote(each, safe="") for each in (ti_key.dag_id, ti_key.run_id, ti_key.task_id))
        mapped = f"/mapped/{ti_key.map_index}" if ti_key.map_index >= 0 else ""
        return f"{base_path()}/dags/{dag}/runs/{run}/tasks/{task}{mapped}/plugin/{TAB_ROUTE}"


class SparkUILink(BaseOperatorLink):
    """Leads to Spark's own pages about the run: live while it runs, then those of a history server."""

    name = "Spark UI"
    xcom_key = "http_enrich_spark_ui_link"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return where Spark's pages are once the run has ended, when Airflow asks; empty if it had none."""
        found: SparkUI | None = getattr(operator, "spark_ui", None)
        if found is None:
            return ""
        history = str(conf.get("http_enrich", "spark_history_server", fallback="")).rstrip("/")
        if history:
            return f"{history}/history/{quote(found.application, safe='')}/"
        return f"{base_path()}/http-enrich/spark-ui"


def show_report_link(operator: BaseOperator, instance: Any) -> None:
    """Show the report's link on the task *instance* from now on; Airflow by itself waits for its end."""
    if instance is not None:
        instance.xcom_push(key=ReportLink().xcom_key, value=ReportLink().get_link(operator, ti_key=instance))


def show_spark_ui(operator: Any, instance: Any, found: SparkUI) -> None:
    """Show the link to a Spark UI that was just *found*, and remember it for the end."""
    operator.spark_ui = found
    if instance is not None:
        instance.xcom_push(key=SparkUILink().xcom_key, value=found.address)
