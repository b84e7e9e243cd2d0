"""The Airflow provider: an operator that checks a pipeline and runs it on Spark."""

from __future__ import annotations

from typing import Any

__all__ = ["get_provider_info"]


def get_provider_info() -> dict[str, Any]:
    """Say what this provider has; Airflow asks through the entry point `apache_airflow_provider`."""
    # Airflow's command line asks for this at every start, so nothing heavy is imported above.
    from importlib.metadata import version

    name = "airflow-provider-http-enrich-spark"
    return {
        "package-name": name,
        "name": "HTTP Enrich for Spark",
        "description": "Enriches the rows of a Spark table through an HTTP API.",
        "versions": [version(name)],
        "integrations": [
            {
                "integration-name": "HTTP Enrich",
                "external-doc-url": "https://spark.apache.org/docs/latest/",
                "tags": ["software"],
            }
        ],
        "operators": [
            {"integration-name": "HTTP Enrich", "python-modules": ["http_enrich_provider.operators"]}
        ],
    }
