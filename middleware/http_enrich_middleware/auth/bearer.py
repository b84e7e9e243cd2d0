"""Sends a bearer token with every request."""

from __future__ import annotations

from typing import Literal

from http_enrich_middleware import Middleware, WorkerRuntime
from http_enrich_transport import SecretText, TransportRequest

from ._credentials import AuthConfig, Credentials, credentials_for, sendable


class Config(AuthConfig):
    """`Authorization: Bearer <token>` (RFC 6750)."""

    type: Literal["bearer"] = "bearer"
    token: SecretText
    """The token alone, without the word Bearer."""


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state. Raises `ValueError` for a token that no header can carry."""
    origin = credentials_for(config, runtime)
    token = _checked(config.token.get_secret_value())
    runtime.redactor.add(token)
    authorization = f"Bearer {token}"
    credentials = Credentials("Authorization")

    def put(request: TransportRequest) -> None:
        request.headers["Authorization"] = authorization

    return credentials.step(origin, put)


def _checked(token: str) -> str:
    if " " in sendable(token, "the token"):
        msg = "the token has a blank in it; give the token alone, without the word Bearer"
        raise ValueError(msg)
    return token
