"""Tells Airflow of the tab. Every Airflow process loads this, and only the API server what serves it."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

from http_enrich_provider.links import TAB_ROUTE, base_path

URL_PREFIX = "/http-enrich"
_PAGE = f"{URL_PREFIX}/report/{{DAG_ID}}?run_id={{RUN_ID}}&task_id={{TASK_ID}}&map_index={{MAP_INDEX}}"


class EnrichmentReportPlugin(AirflowPlugin):
    """Adds the tab to the page of every task instance; Airflow cannot limit it to one operator's."""

    name = "http_enrich"

    @property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]  # Airflow only reads it
        """The application behind the tab."""
        from .app import app

        return [{"app": app, "url_prefix": URL_PREFIX, "name": "HTTP Enrich"}]

    @property
    def external_views(self) -> list[Any]:  # type: ignore[override]
        """The tab itself; Airflow fills in the names."""
        return [
            {
                "name": "Enrichment report",
                "href": f"{base_path()}{_PAGE}",
                "destination": "task_instance",
                "url_route": TAB_ROUTE,
            }
        ]
