"""The `http` column: what is kept of an exchange, and its Arrow form."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from http_enrich_middleware import RequestExchange
from http_enrich_transport import Sent

from ._outcome import outcome

HTTP_DDL = (
    "STRUCT<status: INT, outcome: STRING, error_kind: STRING, error: STRING, sent: STRING, attempts: INT, "
    "elapsed_ms: DOUBLE, requested_at: TIMESTAMP, idempotency_key: STRING, body: STRING, "
    "headers: MAP<STRING, STRING>, metadata: MAP<STRING, STRING>>"
)
"""The column as Spark knows it."""

_TEXT_MAP = pa.map_(pa.string(), pa.string())
_FIELDS: list[tuple[str, pa.DataType]] = [
    ("status", pa.int32()),
    ("outcome", pa.string()),
    ("error_kind", pa.string()),
    ("error", pa.string()),
    ("sent", pa.string()),
    ("attempts", pa.int32()),
    ("elapsed_ms", pa.float64()),
    ("requested_at", pa.timestamp("us", tz="UTC")),
    ("idempotency_key", pa.string()),
    ("body", pa.string()),
    ("headers", _TEXT_MAP),
    ("metadata", _TEXT_MAP),
]


class HttpRecord(NamedTuple):
    """One row's `http` value; the fields stand in the order of the column."""

    status: int | None
    outcome: str
    error_kind: str | None
    error: str | None
    sent: str
    attempts: int
    elapsed_ms: float
    requested_at: int
    idempotency_key: str | None
    body: str | None
    headers: list[tuple[str, str]]
    metadata: list[tuple[str, str]]


def record(
    exchange: RequestExchange, *, requested_at: int, elapsed_ms: float, keep: Sequence[str]
) -> HttpRecord:
    """Take from *exchange* what the row keeps; of the headers those named in *keep*."""
    response = exchange.response
    kept = [(name, response.headers[name]) for name in keep if name in response.headers] if response else []
    message = exchange.error_message
    return HttpRecord(
        status=exchange.status,
        outcome=outcome(exchange),
        error_kind=exchange.error_kind,
        error=None if message is None else _clean(message),
        sent=str(response.sent if response else Sent.NOT_SENT),
        attempts=exchange.attempts,
        elapsed_ms=elapsed_ms,
        requested_at=requested_at,
        idempotency_key=None,
        body=response.body.decode("utf-8", "replace") if response and response.body else None,
        headers=[(name.lower(), _clean(value)) for name, value in kept],
        metadata=[(_clean(name), _clean(value)) for name, value in exchange.metadata.items()],
    )


def unsent(error_kind: str, message: str) -> HttpRecord:
    """Return the value of a row for which nothing was sent."""
    now = time.time_ns() // 1000
    text = _clean(message)
    return HttpRecord(None, error_kind, error_kind, text, str(Sent.NOT_SENT), 0, 0.0, now, None, None, [], [])


def to_arrow(records: Sequence[HttpRecord]) -> pa.StructArray:
    """Return *records* as one Arrow column."""
    columns: list[Any] = list(zip(*records, strict=True)) or [()] * len(_FIELDS)
    arrays = [pa.array(column, type) for column, (_, type) in zip(columns, _FIELDS, strict=True)]
    return pa.StructArray.from_arrays(arrays, names=[name for name, _ in _FIELDS])


def _clean(text: str) -> str:
    """Replace what Arrow cannot store: a peer's header may hold bytes that are no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
