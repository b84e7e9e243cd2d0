"""Sends a bearer token with every request."""

from __future__ import annotations

from typing import Literal

from http_enrich_middleware import Handler, Middleware, RequestExchange, WorkerRuntime
from http_enrich_transport import SecretText

from ._credentials import AuthConfig, credentials_for


class Config(AuthConfig):
    """`Authorization: Bearer <token>` (RFC 6750)."""

    type: Literal["bearer"] = "bearer"
    token: SecretText


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state."""
    origin = credentials_for(config, runtime)
    runtime.redactor.add(config.token.get_secret_value())
    authorization = f"Bearer {config.token.get_secret_value()}"

    async def bearer(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        if origin.covers(exchange.request.url):
            exchange.request.headers["Authorization"] = authorization
        return await call_next(exchange)

    return bearer
