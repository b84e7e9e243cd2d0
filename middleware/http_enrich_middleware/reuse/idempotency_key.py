"""Gives each row a key by which the API knows that it has seen the request before."""

from __future__ import annotations

import hashlib
import math
from operator import methodcaller
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import msgspec
from pydantic import AfterValidator, Field

from http_enrich_middleware import (
    Failure,
    Middleware,
    MiddlewareConfig,
    NotSentError,
    RequestExchange,
    Step,
    WorkerRuntime,
)
from http_enrich_transport import ENGINE_HEADERS, TransportRequest, is_token

MAX_LENGTH = 255
"""Characters of a key that the pipeline brings along; what Stripe takes, for one."""


def _header(name: str) -> str:
    if not is_token(name) or name.lower() in ENGINE_HEADERS:
        msg = f"{name!r} is not the name of a header that can be set"
        raise ValueError(msg)
    return name


class Config(MiddlewareConfig):
    """
    A key made of pipeline, version, data window, row id and request.

    It is the same over retries, Spark's tasks and Airflow's tries, since nothing
    of a time, a process or an attempt goes into it.
    """

    needs_row_id: ClassVar[bool] = True

    type: Literal["idempotency_key"] = "idempotency_key"
    header: Annotated[str, AfterValidator(_header)] = "Idempotency-Key"
    """A row that brings this header along keeps its own key."""
    effect_version: str = Field(default="1", min_length=1, max_length=100)
    """Another version is another effect: raise it to have everything done once more, on purpose."""
    scope: Literal["window", "pipeline"] = "window"
    """`window`: the same row of another data window has another key; `pipeline`: it has the same one."""
    format: Literal["hex", "uuid"] = "hex"
    """64 hexadecimal digits, or a UUID (version 8 of RFC 9562) for APIs that ask for one."""


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state."""
    header = config.header
    window = runtime.window if config.scope == "window" else ""
    # JSON keeps apart what would run together in a plain text: ("a", "bc") and ("ab", "c"), 1 and "1".
    encode = msgspec.json.Encoder(order="deterministic").encode
    start = hashlib.sha256(encode([runtime.pipeline, config.effect_version, window]))
    own = _OwnKeys(header)
    write = _uuid if config.format == "uuid" else methodcaller("hexdigest")

    def key_of(request: TransportRequest, row_id: tuple[Any, ...]) -> str:
        _check(row_id)
        digest = start.copy()
        digest.update(encode((row_id, request.method, request.url)))
        if request.body:
            digest.update(request.body)
        return write(digest)

    def set_key(exchange: RequestExchange) -> None:
        # A retry comes by with the key of the first attempt, header and all.
        if exchange.idempotency_key is not None:
            return
        request = exchange.request
        headers = request.headers
        try:
            key = None if headers.keys() <= own.others else own.find(headers)
            if key is None:
                key = headers[header] = key_of(request, exchange.row_id)
        except (TypeError, ValueError, OverflowError):
            raise _no_key("a column of source.id cannot be written down") from None
        exchange.idempotency_key = key

    return Step(before=set_key, bulk=True)


def _no_key(why: str) -> NotSentError:
    """Return the error for a row that can have no key; *why* holds none of its values."""
    return NotSentError(Failure("invalid_request", why))


def _check(row_id: tuple[Any, ...]) -> None:
    if not row_id:
        msg = "the row has no id to make an idempotency key of; set source.id"
        raise _no_key(msg)
    for value in row_id:
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            msg = "a column of source.id is null or NaN, so the row cannot be told from others"
            raise _no_key(msg)


_MAX_NAMES = 100


class _OwnKeys:
    """Finds the key that a row's request has already, however its header is spelled."""

    def __init__(self, header: str) -> None:
        self._wanted = header.lower()
        self.others: set[str] = set()
        """Names of other headers, of which rows have few between them."""

    def find(self, headers: dict[str, str]) -> str | None:
        """Return the key in *headers*, if any; raises `NotSentError` for one that no API would take."""
        for name, value in headers.items():
            if name.lower() == self._wanted:
                return _checked(value)
        if len(self.others) < _MAX_NAMES:
            self.others.update(headers)
        return None


def _checked(key: str) -> str:
    if not key.strip() or len(key) > MAX_LENGTH or not key.isprintable():
        msg = f"the row's own key is blank, not printable or longer than {MAX_LENGTH} characters"
        raise _no_key(msg)
    return key


def _uuid(digest: hashlib._Hash) -> str:
    number = int.from_bytes(digest.digest()[:16])
    number = number & ~(0xF << 76) | 8 << 76  # version
    number = number & ~(0x3 << 62) | 2 << 62  # variant
    return str(UUID(int=number))
