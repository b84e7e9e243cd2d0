"""The form of the connection type 'HTTP Enrich API'; Airflow shows it without importing the hook."""

from __future__ import annotations

from typing import Any


def connection_type() -> dict[str, Any]:
    """Return the connection type as Airflow's provider info wants it."""
    return {
        "connection-type": "http_enrich",
        "hook-name": "HTTP Enrich API",
        "hook-class-name": "http_enrich_provider.hooks.HttpEnrichHook",
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "port"],
            "relabeling": {
                "host": "Base URL",
                "login": "User name",
                "password": "Password, token or key",
            },
            "placeholders": {"host": "https://api.example.com"},
        },
        "conn-fields": {
            "auth": _field(
                "Authentication",
                "How 'Test connection' shows who asks; in a pipeline, the middleware says it.",
                type=["string", "null"],
                enum=["none", "basic", "bearer", "api_key"],
                default="none",
            ),
            "header": _field("Header of the API key", "X-Api-Key unless it says otherwise."),
            "verify": _field(
                "Verify TLS",
                "Check the certificate and the name of the API.",
                type=["boolean", "null"],
                default=True,
            ),
            "ca_bundle": _field("CA bundle", "PEM file of the authorities to trust instead of the system's."),
            "client_cert": _field("Client certificate", "PEM file, for APIs that want one."),
            "client_key": _field("Client key", "PEM file, unless the certificate's file holds the key."),
        },
    }


def _field(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"]} | schema}
