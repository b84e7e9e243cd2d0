"""Sends a user name and a password with every request."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Literal

from pydantic import AfterValidator

from http_enrich_middleware import Handler, Middleware, RequestExchange, WorkerRuntime
from http_enrich_transport import SecretText

from ._credentials import AuthConfig, credentials_for


def _user(value: SecretText | str) -> SecretText | str:
    if ":" in _plain(value):
        msg = "a user name has no ':' in it; the password goes into password"
        raise ValueError(msg)
    return value


def _plain(value: SecretText | str) -> str:
    return value.get_secret_value() if isinstance(value, SecretText) else value


class Config(AuthConfig):
    """`Authorization: Basic …` (RFC 7617), in UTF-8."""

    type: Literal["basic"] = "basic"
    username: Annotated[str | SecretText, AfterValidator(_user)]
    """Written out, or from a connection: `${conn.ID.login}`."""
    password: SecretText


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state."""
    origin = credentials_for(config, runtime)
    pair = f"{_plain(config.username)}:{config.password.get_secret_value()}"
    encoded = b64encode(pair.encode()).decode()
    authorization = f"Basic {encoded}"
    runtime.redactor.add(encoded)

    async def basic(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        if origin.covers(exchange.request.url):
            exchange.request.headers["Authorization"] = authorization
        return await call_next(exchange)

    return basic
