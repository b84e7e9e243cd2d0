"""Makes sure that a successful answer is JSON before anyone reads columns from it."""

from __future__ import annotations

from typing import Literal

import msgspec

from http_enrich_middleware import (
    Failure,
    Handler,
    Middleware,
    MiddlewareConfig,
    RequestExchange,
    WorkerRuntime,
)


class Config(MiddlewareConfig):
    """A 2xx answer whose body is not strict JSON (RFC 8259) fails its row as `json_invalid`."""

    type: Literal["json_body"] = "json_body"


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state."""
    # Raw checks the grammar without building objects; the columns are read by Spark.
    decoder = msgspec.json.Decoder(msgspec.Raw)

    async def json_body(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        exchange = await call_next(exchange)
        # 204 and 205 have no body by definition (RFC 9110 §15.3), which is no fault of theirs.
        if (
            exchange.error_kind is None
            and exchange.response is not None
            and exchange.status not in (204, 205)
        ):
            exchange.failure = _check(decoder, exchange.response.body)
        return exchange

    return json_body


def _check(decoder: msgspec.json.Decoder[msgspec.Raw], body: bytes) -> Failure | None:
    try:
        decoder.decode(body)
        body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Failure("json_invalid", f"the body of {len(body)} bytes is not JSON: {type(error).__name__}")
    return None
