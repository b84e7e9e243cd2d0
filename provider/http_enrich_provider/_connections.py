"""Hands Airflow connections to the driver, which knows no Airflow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowNotFoundException,
    BaseHook,
    mask_secret,
)

from http_enrich_middleware import secret_forms
from http_enrich_spark.config import (
    CONNECTION_FIELDS,
    Document,
    PipelineConfig,
    connection_ids,
    connection_variable,
    secret_texts,
    secret_values,
)


def require_connection(conn_id: str, what: str) -> Any:
    """Return the connection *conn_id*; raises `AirflowFailException` that names *what* asked for it."""
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        msg = f"there is no connection {conn_id!r}, which {what} refers to; create it in Airflow"
        raise AirflowFailException(msg) from None


def connection_variables(document: Document) -> dict[str, str]:
    """Return the connections that *document* refers to, as `AIRFLOW_CONN_…` variables."""
    return {
        connection_variable(conn_id): _as_json(require_connection(conn_id, document.name))
        for conn_id in sorted(connection_ids(document.data))
    }


def secrets_of(document: Document, config: PipelineConfig, environ: Mapping[str, str]) -> set[str]:
    """Return the secrets of a pipeline, those included that it refers to and does not use."""
    return {*secret_values(document, environ), *secret_texts(config)}


def mask(secrets: Iterable[str]) -> None:
    """Have Airflow replace *secrets* by `***` in whatever this task logs, encoded or not."""
    for value in secrets:
        for form in secret_forms(value):
            mask_secret(form)


def _as_json(connection: Any) -> str:
    fields = {name: getattr(connection, name) for name in CONNECTION_FIELDS}
    return json.dumps(fields | {"extra": connection.extra_dejson})
