"""Builds pyreqwest's client out of a pipeline's settings."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Literal

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.proxy import ProxyBuilder

from http_enrich_transport._body import accept_encoding
from http_enrich_transport._guard import USER_AGENT
from http_enrich_transport.config import ProxyConfig, PyreqwestEngineConfig, TlsConfig
from http_enrich_transport.network._tls import client_identity, pem_content

_VERSIONS: dict[str, Literal["TLSv1.2", "TLSv1.3"]] = {"1.2": "TLSv1.2", "1.3": "TLSv1.3"}


def build_client(config: PyreqwestEngineConfig) -> Client:
    """
    Return a client for *config*.

    Raises `OSError` if a file is missing, `ValueError` if it holds no PEM.
    """
    builder = (
        ClientBuilder()
        .default_headers({"Accept-Encoding": accept_encoding(), "User-Agent": USER_AGENT})
        .follow_redirects(False)
        .connect_timeout(timedelta(seconds=config.connect_timeout))
        .pool_max_idle_per_host(config.tcp_connection.limit)
        .pool_idle_timeout(timedelta(seconds=config.tcp_connection.keepalive_timeout))
        .http2(config.http2)
        .no_proxy()  # those of the environment
    )
    builder = _patient(_undecoded(builder))
    if config.read_timeout is not None:
        builder = builder.read_timeout(timedelta(seconds=config.read_timeout))
    if config.proxy is not None:
        builder = builder.proxy(_proxy(config.proxy))
    return _with_tls(builder, config.tls).build()


def _undecoded(builder: ClientBuilder) -> ClientBuilder:
    # A bomb would be decoded without a limit.
    return builder.gzip(False).brotli(False).zstd(False).deflate(False)


def _patient(builder: ClientBuilder) -> ClientBuilder:
    # By default it gives up after 30 s without a word from the peer's network, whatever connect_timeout says.
    # Linux alone has that limit, and the method refuses to be called elsewhere.
    return builder.tcp_user_timeout(None) if sys.platform == "linux" else builder


def _with_tls(builder: ClientBuilder, tls: TlsConfig) -> ClientBuilder:
    builder = builder.min_tls_version(_VERSIONS[tls.min_version]).danger_accept_invalid_certs(not tls.verify)
    if authorities := pem_content(tls.ca_bundle):
        if b"BEGIN CERTIFICATE" not in authorities:
            msg = "tls.ca_bundle holds no certificate in PEM form"
            raise ValueError(msg)
        builder = builder.add_root_certificate_pem(authorities)
    if identity := client_identity(tls):
        builder = builder.identity_pem(identity)
    return builder


def _proxy(config: ProxyConfig) -> ProxyBuilder:
    proxy = ProxyBuilder.all(config.url)
    if config.username is not None and config.password is not None:
        proxy = proxy.basic_auth(config.username.get_secret_value(), config.password.get_secret_value())
    return proxy
