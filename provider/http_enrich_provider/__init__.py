"""The Airflow provider: an operator that checks a pipeline and runs it on Spark."""

from __future__ import annotations

from typing import Any

__all__ = ["get_provider_info"]


def get_provider_info() -> dict[str, Any]:
    """Say what this provider has; Airflow asks through the entry point `apache_airflow_provider`."""
    # Airflow's command line asks for this at every start, so nothing heavy is imported above.
    from importlib.metadata import version

    from ._connection_form import connection_type

    name = "airflow-provider-http-enrich-spark"
    return {
        "package-name": name,
        "name": "HTTP Enrich for Spark",
        "description": "Enriches the rows of a Spark table through an HTTP API.",
        "versions": [version(name)],
        "integrations": [{"integration-name": "HTTP Enrich", "tags": ["software"]}],
        "operators": [
            {"integration-name": "HTTP Enrich", "python-modules": ["http_enrich_provider.operators"]}
        ],
        "hooks": [{"integration-name": "HTTP Enrich", "python-modules": ["http_enrich_provider.hooks"]}],
        "connection-types": [connection_type()],
        "extra-links": [
            "http_enrich_provider.links.SparkUILink",
            "http_enrich_provider.links.ReportLink",
        ],
        "config": {
            "http_enrich": {
                "description": "Options of HTTP Enrich for Spark.",
                "options": {
                    "spark_history_server": {
                        "description": (
                            "Address of a Spark history server. The link 'Spark UI' of a task that has ended "
                            "leads there; it takes runs that write event logs."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "https://spark-history.example.com",
                        "default": "",
                    }
                },
            }
        },
    }
