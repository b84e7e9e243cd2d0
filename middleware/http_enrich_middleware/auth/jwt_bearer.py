"""Signs who it is: as the token itself, or to get one for it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from http_enrich_middleware import Ask, Grant, Middleware, WorkerRuntime
from http_enrich_transport import Seconds, SecretText

from ._jwt import Algorithm, Signer
from ._renewing import renewing
from ._token_answer import granted
from ._token_endpoint import TokenEndpoint, TokenEndpointConfig, TokenUrl

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SET_BY_OPTIONS = frozenset({"iss", "sub", "aud", "iat", "exp", "jti"})


class Config(TokenEndpointConfig):
    """
    A signed JWT (RFC 7519).

    With `token_url` it is exchanged for an access token (RFC 7523 §2.1); without, it is the token.
    """

    type: Literal["jwt_bearer"] = "jwt_bearer"
    algorithm: Algorithm = "RS256"
    private_key: SecretText | None = None
    """PEM; for every algorithm but those that begin with HS."""
    secret: SecretText | None = None
    """What HS256, HS384 and HS512 sign with."""
    key_id: str | None = None
    """Tells the other side which key it is (`kid`)."""
    issuer: str | None = None
    subject: str | None = None
    audience: str | list[str] | None = None
    """Default with `token_url`: that address."""
    claims: dict[str, JsonValue] = {}
    """Further ones."""
    lifetime: Annotated[Seconds, Field(ge=1, le=3600)] = 300.0
    token_url: TokenUrl | None = None

    @model_validator(mode="after")
    def _one_key_that_fits(self) -> Self:
        wanted, other = (
            ("secret", "private_key") if self.algorithm.startswith("HS") else ("private_key", "secret")
        )
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            msg = f"{self.algorithm} takes a {wanted}, and no {other}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _each_claim_once(self) -> Self:
        taken = sorted(_SET_BY_OPTIONS & self.claims.keys())
        if taken:
            msg = (
                f"claims: {', '.join(taken)} cannot stand here; there are issuer, subject, audience, lifetime"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Self:
        given = [name for name in ("client_id", "scope", "extra", "allow_http") if getattr(self, name)]
        if self.token_url is None and given:
            msg = f"{given[0]} goes with token_url"
            raise ValueError(msg)
        return self


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """
    Build the middleware; it keeps one token, and the request for the next one, for all rows.

    Raises `ValueError` for a key that does not fit the algorithm.
    """
    return renewing(config, runtime, (_signing if config.token_url is None else _exchanging)(config, runtime))


def _signing(config: Config, runtime: WorkerRuntime) -> Ask:
    signer = _signer(config, runtime, config.audience)

    async def ask() -> Grant:
        return Grant(signer.sign(runtime.now()), config.lifetime)

    return ask


def _exchanging(config: Config, runtime: WorkerRuntime) -> Ask:
    endpoint = TokenEndpoint(config, runtime)
    # RFC 7523 §3: the address of the token endpoint may stand for the authorization server.
    signer = _signer(config, runtime, config.audience or config.token_url)
    owner = f"{config.type} {id(config)} assertion"

    async def ask() -> Grant:
        assertion = signer.sign(runtime.now())
        runtime.redactor.renew(owner, assertion)
        return granted(await endpoint.ask(GRANT, assertion=assertion))

    return ask


def _signer(config: Config, runtime: WorkerRuntime, audience: str | list[str] | None) -> Signer:
    named = {"iss": config.issuer, "sub": config.subject, "aud": audience}
    claims = {**config.claims, **{name: value for name, value in named.items() if value is not None}}
    key = (config.secret or config.private_key or SecretText("")).get_secret_value()
    runtime.redactor.add(key)
    return Signer(config.type, config.algorithm, key, config.key_id, claims, int(config.lifetime))
