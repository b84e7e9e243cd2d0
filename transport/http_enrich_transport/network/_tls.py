"""Builds what TLS needs out of a pipeline's settings."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from http_enrich_transport._secret import SecretText
from http_enrich_transport.config import TlsConfig

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def ssl_context(config: TlsConfig) -> ssl.SSLContext:
    """
    Return the context for *config*.

    Raises `OSError` or `ssl.SSLError` if a file is missing or holds no PEM.
    """
    authorities = pem_content(config.ca_bundle)
    context = ssl.create_default_context(cadata=authorities.decode("ascii") if authorities else None)
    context.minimum_version = _VERSIONS[config.min_version]
    if not config.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if identity := client_identity(config):
        _load_identity(context, identity)
    return context


def client_identity(config: TlsConfig) -> bytes:
    """Return our certificate and key as one PEM text; empty if there are none."""
    return b"\n".join(each for each in map(pem_content, (config.client_cert, config.client_key)) if each)


def pem_content(source: str | SecretText | None) -> bytes:
    """Return the PEM text that *source* is, or is the path of."""
    if source is None:
        return b""
    text = source.get_secret_value() if isinstance(source, SecretText) else source
    return text.encode() if "-----BEGIN" in text else Path(text).read_bytes()


def _load_identity(context: ssl.SSLContext, identity: bytes) -> None:
    # OpenSSL reads an identity from files only; this one is readable for us alone and gone at once.
    with tempfile.NamedTemporaryFile(prefix="http-enrich-", suffix=".pem") as file:
        file.write(identity)
        file.flush()
        context.load_cert_chain(file.name)
