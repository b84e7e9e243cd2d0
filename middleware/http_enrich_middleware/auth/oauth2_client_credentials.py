"""Gets tokens for a client that acts on its own behalf."""

from __future__ import annotations

from typing import Literal

from http_enrich_middleware import Grant, Middleware, WorkerRuntime
from http_enrich_transport import SecretText

from ._renewing import renewing
from ._token_answer import granted
from ._token_endpoint import Shown, TokenEndpoint, TokenEndpointConfig, TokenUrl


class Config(TokenEndpointConfig):
    """The client credentials grant (RFC 6749 §4.4)."""

    type: Literal["oauth2_client_credentials"] = "oauth2_client_credentials"
    token_url: TokenUrl
    client_id: Shown
    client_secret: SecretText
    audience: str | None = None
    """What the token is for, where the authorization server asks for it."""


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps one token, and the request for the next one, for all rows."""
    endpoint = TokenEndpoint(config, runtime)

    async def ask() -> Grant:
        return granted(await endpoint.ask("client_credentials", audience=config.audience))

    return renewing(config, runtime, ask)
