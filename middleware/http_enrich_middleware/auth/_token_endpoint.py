"""Asks an authorization server for tokens (RFC 6749 §3.2)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import quote_plus

from pydantic import AfterValidator, Field, model_validator

from http_enrich_middleware import RefusedError, WorkerRuntime, origin_of
from http_enrich_transport import PrivateText, SecretText, TransportRequest, refuse, split_http_url

from ._credentials import AuthConfig
from ._token_answer import Answer, read_answer

_OURS = frozenset(
    {
        "assertion",
        "audience",
        "client_id",
        "client_secret",
        "grant_type",
        "password",
        "refresh_token",
        "scope",
        "username",
    }
)


def plain(value: SecretText | str | None) -> str:
    """Return the text of *value*, secret or not; empty if there is none."""
    return value.get_secret_value() if isinstance(value, SecretText) else value or ""


def _address(value: str) -> str:
    # What the engine would refuse for every row is refused here, once.
    if not origin_of(value) or refuse(TransportRequest("POST", value)) is not None:
        msg = "expected an address such as https://login.example.com/oauth/token, without user and fragment"
        raise ValueError(msg)
    return value


def _vendor(name: str) -> str:
    if name in _OURS:
        msg = f"{name!r} is a parameter of the protocol; it has an option of its own, or is set by the grant"
        raise ValueError(msg)
    return name


TokenUrl = Annotated[str, AfterValidator(_address)]
Shown = SecretText | Annotated[str, Field(min_length=1)]
"""A text that may be secret, and need not be."""


class TokenEndpointConfig(AuthConfig):
    """Where tokens come from, and as whom to ask for them."""

    asks_for_tokens: ClassVar[bool] = True

    token_url: TokenUrl | None
    allow_http: bool = False
    """Let secrets travel to `token_url` unencrypted; without it only to this very machine."""
    client_id: SecretText | str | None = None
    client_secret: SecretText | None = None
    client_auth: Literal["basic", "post"] = "basic"
    """Whether id and secret go into a header (RFC 6749 §2.3.1) or into the body, as an id alone does."""
    scope: str | None = None
    """Several are parted by spaces."""
    extra: dict[Annotated[str, AfterValidator(_vendor)], SecretText | str] = {}
    """Parameters of the token request that only this vendor knows."""

    @model_validator(mode="after")
    def _secrets_stay_secret(self) -> Self:
        if self.token_url is None or self.allow_http or self.token_url.lower().startswith("https:"):
            return self
        if not _is_loopback(self.token_url):
            msg = (
                "token_url: over http everybody on the way reads the secrets; use https, or allow_http: true"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _a_secret_is_somebodys(self) -> Self:
        if self.client_secret is not None and self.client_id is None:
            msg = "client_secret goes with client_id"
            raise ValueError(msg)
        return self


def _is_loopback(url: str) -> bool:
    parts = split_http_url(url)
    host = (parts.hostname or "").lower() if parts else ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class MissingExtraError(ImportError):
    """A library is not installed; the text names the extra that brings it."""

    def __init__(self, name: str, error: ImportError) -> None:
        super().__init__(
            f"{name} needs a library that is missing ({error.name or error}); install "
            "airflow-provider-http-enrich-spark[oauth2] on the driver and the executors"
        )


class TokenEndpoint:
    """The token endpoint of *config*; raises `MissingExtraError` without authlib."""

    def __init__(self, config: TokenEndpointConfig, runtime: WorkerRuntime) -> None:
        try:
            from authlib.common.urls import add_params_to_qs
            from authlib.oauth2.auth import ClientAuth
            from authlib.oauth2.rfc6749.parameters import prepare_token_request
        except ImportError as error:
            raise MissingExtraError(config.type, error) from error
        self._form: Callable[..., str] = prepare_token_request
        self._add: Callable[..., str] = add_params_to_qs
        self._url = config.token_url or ""
        self._scope, self._runtime = config.scope, runtime
        self._extra = [(name, plain(value)) for name, value in config.extra.items()]
        self._client = ClientAuth(*_identity(config)) if config.client_id is not None else None
        _hide(config, runtime)

    async def ask(self, grant_type: str, **parameters: str | None) -> Answer:
        """Ask once, by *grant_type*; raises `RefusedError` or `UnavailableError`."""
        response = await self._runtime.send(self._request(grant_type, parameters))
        try:
            return read_answer(response, self._runtime.now())
        except RefusedError as error:
            # The one word that is quoted comes from outside, and might be a secret that was sent there.
            raise RefusedError(self._runtime.redactor.text(str(error))) from None

    def _request(self, grant_type: str, parameters: Mapping[str, str | None]) -> TransportRequest:
        body = self._form(grant_type, scope=self._scope, **parameters)
        body = self._add(body, self._extra) if self._extra else body
        url = self._url
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if self._client is not None:
            url, headers, body = self._client.prepare("POST", url, headers, body)
        return TransportRequest("POST", url, headers, body.encode())


def _identity(config: TokenEndpointConfig) -> tuple[str, str, str]:
    """Return id, secret and the way to send them, as authlib takes them."""
    client_id, secret = plain(config.client_id), plain(config.client_secret)
    if config.client_secret is None:
        return client_id, "", "none"
    if config.client_auth == "post":
        return client_id, secret, "client_secret_post"
    # RFC 6749 §2.3.1 has both of them encoded before they are joined by a colon; authlib leaves that to us.
    return quote_plus(client_id), quote_plus(secret), "client_secret_basic"


def hide(runtime: WorkerRuntime, *values: SecretText | str | None) -> None:
    """Make the secret ones of *values* known to the redactor, as they are and as they stand in a form."""
    for each in values:
        if isinstance(each, SecretText):
            secret = each.get_secret_value()
            runtime.redactor.add(secret, quote_plus(secret), private=isinstance(each, PrivateText))


def _hide(config: TokenEndpointConfig, runtime: WorkerRuntime) -> None:
    hide(runtime, config.client_id, config.client_secret, *config.extra.values())
    if config.client_secret is not None:
        # The redactor finds it in Base64 as well, as in the header.
        pair = (quote_plus(plain(each)) for each in (config.client_id, config.client_secret))
        runtime.redactor.add(":".join(pair))
