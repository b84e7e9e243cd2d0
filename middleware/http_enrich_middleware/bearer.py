"""Sends a bearer token with every request."""

from __future__ import annotations

from typing import Literal

from http_enrich_transport import SecretText

from ._exchange import Handler, Middleware, RequestExchange
from ._registry import MiddlewareConfig
from ._runtime import WorkerRuntime


class Config(MiddlewareConfig):
    """`Authorization: Bearer <token>` (RFC 6750)."""

    type: Literal["bearer"] = "bearer"
    token: SecretText


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state."""
    authorization = f"Bearer {config.token.get_secret_value()}"

    async def bearer(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        exchange.request.headers["Authorization"] = authorization
        return await call_next(exchange)

    return bearer
