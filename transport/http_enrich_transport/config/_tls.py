"""How peers are verified, and how we show who we are."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, PlainValidator, ValidationInfo, model_validator

from http_enrich_transport._secret import RESOLVED, SecretText
from http_enrich_transport._settings import Settings


def _pem(value: Any, info: ValidationInfo) -> str | SecretText:
    if isinstance(value, SecretText):
        return value
    if not isinstance(value, str) or not value:
        msg = "expected the path of a PEM file, or ${file.PATH} for its content"
        raise ValueError(msg)
    if "-----BEGIN" not in value:
        return value
    if "PRIVATE KEY" in value and info.context != RESOLVED:
        msg = (
            "a key is not written into the pipeline; use ${file.PATH}, or the path of a file on the executors"
        )
        raise ValueError(msg)
    return SecretText(value)


Pem = Annotated[str | SecretText, PlainValidator(_pem)]
"""The path of a PEM file on every executor, or its content by `${file.PATH}` or `${conn.ID.extra.KEY}`."""


def _version(value: Any) -> Any:
    # YAML takes an unquoted 1.2 for a number.
    return str(value).removeprefix("TLSv") if isinstance(value, str | float) else value


class TlsConfig(Settings):
    """TLS towards the API."""

    verify: bool = True
    """Check the peer's certificate and name; false trusts anyone who answers."""
    ca_bundle: Pem | None = None
    """Authorities to trust instead of the system's."""
    client_cert: Pem | None = None
    """Our certificate (chain), for APIs that want one."""
    client_key: Pem | None = None
    """Its private key, unencrypted; default: in the same file as the certificate."""
    min_version: Annotated[Literal["1.2", "1.3"], BeforeValidator(_version)] = "1.2"
    """The oldest TLS version to speak."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.client_key is not None and self.client_cert is None:
            msg = "client_key needs client_cert"
            raise ValueError(msg)
        if not self.verify and self.ca_bundle is not None:
            msg = "ca_bundle is of no use when verify is false; leave one of them out"
            raise ValueError(msg)
        return self
