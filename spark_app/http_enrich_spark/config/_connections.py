"""Reads connections from `AIRFLOW_CONN_…` variables, without Airflow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

_PLAIN = ("host", "port", "schema", "conn_type")
"""Fields that say where, not who: they may appear in addresses and logs."""


def variable(conn_id: str) -> str:
    """Return the name of the environment variable that holds the connection *conn_id*."""
    return f"AIRFLOW_CONN_{conn_id.upper()}"


def is_secret(field: str) -> bool:
    """Say whether a connection's *field* must not be seen."""
    return field not in _PLAIN


def lookup(name: str, environ: Mapping[str, str]) -> str:
    """Return the value of `ID.field` or `ID.extra.key`; raises `ValueError` when there is none."""
    conn_id, _, field = name.partition(".")
    if variable(conn_id) not in environ:
        msg = f"no connection {conn_id!r}; create it in Airflow or set {variable(conn_id)}"
        raise ValueError(msg)
    value: Any = _parse(conn_id, environ[variable(conn_id)])
    for key in field.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    if value is None or value == "" or isinstance(value, dict | list):
        msg = f"connection {conn_id!r} has no {field!r}; fill it in"
        raise ValueError(msg)
    return str(value)


def _parse(conn_id: str, text: str) -> dict[str, Any]:
    """Read a connection as Airflow writes it: JSON, or a URI."""
    try:
        return _parse_json(text) if text.lstrip().startswith("{") else _parse_uri(text)
    except ValueError:
        msg = f"{variable(conn_id)} is neither valid JSON nor a valid URI (are special characters encoded?)"
        raise ValueError(msg) from None  # what went wrong may quote a secret


def _parse_json(text: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(text)
    if isinstance(fields.get("extra"), str):
        fields["extra"] = json.loads(fields["extra"] or "{}")
    return fields


def _parse_uri(text: str) -> dict[str, Any]:
    parts = urlsplit(text)
    query = dict(parse_qsl(parts.query))
    return {
        "conn_type": parts.scheme,
        "host": unquote(parts.hostname or ""),
        "port": parts.port,
        "login": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "schema": unquote(parts.path.lstrip("/")),
        # Airflow writes an extra that is no flat mapping of texts as JSON under this name.
        "extra": json.loads(query["__extra__"]) if "__extra__" in query else query,
    }
