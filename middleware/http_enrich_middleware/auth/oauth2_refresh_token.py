"""Gets tokens for a refresh token that a user has once agreed to."""

from __future__ import annotations

from typing import Literal

from http_enrich_middleware import Grant, Middleware, WorkerRuntime
from http_enrich_transport import SecretText

from ._renewing import renewing
from ._token_answer import granted
from ._token_endpoint import TokenEndpoint, TokenEndpointConfig, TokenUrl, hide, plain


class Config(TokenEndpointConfig):
    """The refresh token grant (RFC 6749 §6)."""

    type: Literal["oauth2_refresh_token"] = "oauth2_refresh_token"
    token_url: TokenUrl
    refresh_token: SecretText
    audience: str | None = None
    """What the token is for, where the authorization server asks for it."""


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """
    Build the middleware; it keeps one token, and the request for the next one, for all rows.

    It also keeps the refresh token that an answer puts in the place of the last one; another
    worker does not learn of it.
    """
    endpoint = TokenEndpoint(config, runtime)
    hide(runtime, config.refresh_token)
    owner, known = f"{config.type} {id(config)} refresh", plain(config.refresh_token)

    async def ask() -> Grant:
        nonlocal known
        answer = await endpoint.ask("refresh_token", refresh_token=known, audience=config.audience)
        # Before anything else can go wrong: the old one is used up.
        if isinstance(answer.refresh_token, str) and answer.refresh_token not in ("", known):
            known = answer.refresh_token
            runtime.redactor.renew(owner, known)
        return granted(answer)

    return renewing(config, runtime, ask)
