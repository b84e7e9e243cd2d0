"""The `http` column: what is kept of an exchange, and its Arrow form."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
from msgspec.structs import astuple

from http_enrich_middleware import Redactor, RequestExchange
from http_enrich_transport import Sent

from ._outcome import outcome, outcome_of

HTTP_DDL = (
    "STRUCT<status: INT, outcome: STRING, error_kind: STRING, error: STRING, sent: STRING, attempts: INT, "
    "elapsed_ms: DOUBLE, requested_at: TIMESTAMP, idempotency_key: STRING, body: STRING, "
    "headers: MAP<STRING, STRING>, metadata: MAP<STRING, STRING>>"
)
"""The column as Spark knows it."""

_SENT = {each: str(each) for each in Sent}
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


class HttpRecord(msgspec.Struct, gc=False):
    """
    One row's `http` value; the fields stand in the order of the column.

    There is one per row: a named tuple takes three times as long to make.
    """

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


class Keep(NamedTuple):
    """What of an answer goes into the row: header names, whether the body does, and what never does."""

    headers: Sequence[str]
    body: bool
    redactor: Redactor = Redactor()


def record(exchange: RequestExchange, *, requested_at: int, elapsed_ms: float, keep: Keep) -> HttpRecord:
    """Take from *exchange* what the row keeps."""
    response = exchange.response
    found = response.headers if response else {}
    body = response.body if response and keep.body else b""
    kind = exchange.error_kind
    message = None if kind is None else exchange.error_message
    hide, clear = keep.redactor.text, keep.redactor.answer
    return HttpRecord(
        status=response.status if response else None,
        outcome="ok" if kind is None and exchange.verdict is None else outcome(exchange),
        error_kind=kind,
        error=None if message is None else _clean(hide(message)),
        sent=_SENT[exchange.sent],
        attempts=exchange.attempts,
        elapsed_ms=elapsed_ms,
        requested_at=requested_at,
        idempotency_key=exchange.idempotency_key,
        body=clear(body.decode("utf-8", "replace")) or None,
        headers=[(name.lower(), _clean(clear(found[name]))) for name in keep.headers if name in found],
        metadata=_metadata(exchange.metadata, hide),
    )


def _metadata(found: dict[str, str], hide: Callable[[str], str]) -> list[tuple[str, str]]:
    # Most have nothing to hide and nothing to clean, which is quickest to see of all texts together.
    text = "\n".join([*found, *found.values()])
    if text.isascii() and hide(text) == text:
        return list(found.items())
    return [(_clean(name), _clean(hide(value))) for name, value in found.items()]


def unsent(error_kind: str, message: str) -> HttpRecord:
    """Return the value of a row for which nothing was sent."""
    return _failed(error_kind, message, Sent.NOT_SENT, attempts=0)


def broken(exchange: RequestExchange, reason: str) -> HttpRecord:
    """Return the value of a row whose exchange a middleware has made unreadable."""
    message = f"a middleware returned no usable exchange: {reason}"
    sent = exchange.sent if exchange.sent is not Sent.NOT_SENT or not exchange.attempts else Sent.MAYBE_SENT
    return _failed("middleware_error", message, sent, attempts=exchange.attempts)


def _failed(error_kind: str, message: str, sent: Sent, *, attempts: int) -> HttpRecord:
    now = time.time_ns() // 1000
    return HttpRecord(
        None,
        outcome_of(error_kind),
        error_kind,
        _clean(message),
        str(sent),
        attempts,
        0.0,
        now,
        None,
        None,
        [],
        [],
    )


def to_arrow(records: Sequence[HttpRecord]) -> pa.StructArray:
    """Return *records* as one Arrow column."""
    columns: list[Any] = list(zip(*map(astuple, records), strict=True)) or [()] * len(_FIELDS)
    arrays = [pa.array(column, type) for column, (_, type) in zip(columns, _FIELDS, strict=True)]
    return pa.StructArray.from_arrays(arrays, names=[name for name, _ in _FIELDS])


def _clean(text: str) -> str:
    """Replace what Arrow cannot store: a peer's header may hold bytes that are no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
