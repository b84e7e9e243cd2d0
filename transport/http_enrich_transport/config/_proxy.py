"""The way through an HTTP proxy."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from http_enrich_transport._secret import SecretText
from http_enrich_transport._settings import Settings, split_http_url


def _proxy_url(value: str) -> str:
    parts = split_http_url(value)
    if parts is None or parts.path.strip("/") or parts.query or parts.fragment:
        msg = "expected an address such as http://proxy.example.com:3128"
        raise ValueError(msg)
    if "@" in parts.netloc:
        msg = "credentials do not belong into the address; use proxy.username and proxy.password"
        raise ValueError(msg)
    return value.rstrip("/")


class ProxyConfig(Settings):
    """
    An HTTP proxy; HTTPS goes through it by CONNECT.

    The environment's proxies are never used.
    """

    url: Annotated[str, AfterValidator(_proxy_url)]
    """Scheme, host and port."""
    username: SecretText | None = None
    """`${conn.ID.login}`"""
    password: SecretText | None = None
    """`${conn.ID.password}`"""

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        if (self.username is None) != (self.password is None):
            msg = "give both username and password, or neither"
            raise ValueError(msg)
        return self
