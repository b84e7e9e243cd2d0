"""Sends a user name and a password with every request."""

from __future__ import annotations

from base64 import b64encode
from typing import Literal, Self

from pydantic import field_validator, model_validator

from http_enrich_middleware import Middleware, WorkerRuntime
from http_enrich_transport import SecretText, TransportRequest

from ._credentials import AuthConfig, Credentials, Identity, credentials_for, plain


class Config(AuthConfig):
    """`Authorization: Basic <user name and password>` (RFC 7617), in UTF-8."""

    type: Literal["basic"] = "basic"
    username: Identity
    """Has no colon, since that is where the password begins."""
    password: SecretText | None
    """`null` for an API that takes its key as the user name; the user name is the secret then."""

    @field_validator("username")
    @classmethod
    def _without_colon(cls, username: str | SecretText) -> str | SecretText:
        if ":" in plain(username):
            msg = "a user name has no ':' (RFC 7617): the server would take the rest for the password"
            raise ValueError(msg)
        return username

    @model_validator(mode="after")
    def _has_a_secret(self) -> Self:
        if self.password is None and isinstance(self.username, str):
            msg = (
                "without a password the user name is the secret; "
                "take it from ${conn.ID.password} or ${file.PATH}"
            )
            raise ValueError(msg)
        return self


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state. Raises `ValueError` for control characters."""
    origin = credentials_for(config, runtime)
    username = plain(config.username)
    password = config.password.get_secret_value() if config.password else ""
    pair = f"{username}:{password}"
    if any(char < " " or char == "\x7f" for char in pair):
        msg = "the user name or the password has a control character, such as a line break (RFC 7617 §2)"
        raise ValueError(msg)
    encoded = b64encode(pair.encode()).decode()
    runtime.redactor.add(pair, encoded, password or username)
    authorization = f"Basic {encoded}"
    credentials = Credentials("Authorization")

    def put(request: TransportRequest) -> None:
        request.headers["Authorization"] = authorization

    return credentials.step(origin, put)
