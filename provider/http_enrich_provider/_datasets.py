"""Names what a pipeline reads and writes as OpenLineage's naming has it."""

from __future__ import annotations

import os
from urllib.parse import parse_qs, unquote, urlsplit

from http_enrich_spark.config import SinkConfig, SourceConfig, option_of

Dataset = tuple[str, str]
"""Namespace and name."""

_SCHEMES = {"s3a": "s3", "s3n": "s3"}
_POSTGRES = "jdbc:postgresql://"
_PORT = 5432


def dataset(place: SourceConfig | SinkConfig) -> Dataset | None:
    """Return the dataset at *place*; None if it has no name there, or none that we know."""
    if place.path is not None:
        return _of_files(place.path)
    if place.format == "jdbc":
        table = place.table or str(option_of(place.options, "dbtable") or "")
        return _of_database(table, str(option_of(place.options, "url")))
    return ("spark", place.table) if place.table is not None else None


def _of_files(path: str) -> Dataset:
    scheme, separator, rest = path.partition("://")
    if not separator or scheme == "file":
        return "file", os.path.abspath(rest or path)  # noqa: PTH100 - nothing is resolved here
    place, _, name = rest.partition("/")
    return f"{_SCHEMES.get(scheme, scheme)}://{place}", name or "/"


def _of_database(table: str, url: str) -> Dataset | None:
    """Return the dataset of a table in PostgreSQL; subqueries and other databases have none."""
    parts = urlsplit(url.removeprefix("jdbc:"))
    database = unquote(parts.path.strip("/"))
    if not table or "(" in table or not url.startswith(_POSTGRES) or not database:
        return None
    first = urlsplit(f"//{parts.netloc.split(',')[0]}")  # of several hosts, which are tried in this order
    if "." not in table:
        table = f"{parse_qs(parts.query).get('currentSchema', ['public'])[0].split(',')[0]}.{table}"
    return f"postgres://{first.hostname or 'localhost'}:{first.port or _PORT}", f"{database}.{table}"
