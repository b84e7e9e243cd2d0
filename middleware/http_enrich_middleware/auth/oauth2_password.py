"""Gets tokens for the name and the password of a user."""

from __future__ import annotations

from typing import Literal

from http_enrich_middleware import Grant, Middleware, WorkerRuntime
from http_enrich_transport import SecretText

from ._renewing import renewing
from ._token_answer import granted
from ._token_endpoint import Shown, TokenEndpoint, TokenEndpointConfig, TokenUrl, hide, plain


class Config(TokenEndpointConfig):
    """The resource owner password grant (RFC 6749 §4.3), for APIs that know no better one."""

    type: Literal["oauth2_password"] = "oauth2_password"
    token_url: TokenUrl
    username: Shown
    password: SecretText
    audience: str | None = None
    """What the token is for, where the authorization server asks for it."""


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps one token, and the request for the next one, for all rows."""
    endpoint = TokenEndpoint(config, runtime)
    user, password = plain(config.username), plain(config.password)
    hide(runtime, config.username, config.password)

    async def ask() -> Grant:
        answer = await endpoint.ask("password", username=user, password=password, audience=config.audience)
        return granted(answer)

    return renewing(config, runtime, ask)
