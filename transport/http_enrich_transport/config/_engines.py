"""The configurations of the engines that ship."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from http_enrich_transport._settings import Seconds

from ._egress import EgressConfig
from ._proxy import ProxyConfig
from ._tcp import PoolConfig, TcpConnectionConfig
from ._tls import TlsConfig
from ._transport import TransportConfig
from ._warmup import WarmupConfig


class NetworkEngineConfig(TransportConfig):
    """What engines that open connections have in common."""

    connect_timeout: Seconds = Field(default=10, gt=0)
    """Seconds for opening one connection: name lookup, TCP, TLS, the way through a proxy."""
    read_timeout: Seconds | None = Field(default=None, gt=0)
    """Seconds that a peer may be silent while an answer is due; default: no limit but `base_timeout`."""
    tcp_connection: PoolConfig = PoolConfig()
    tls: TlsConfig = TlsConfig()
    proxy: ProxyConfig | None = None
    egress: EgressConfig = EgressConfig()
    warmup: WarmupConfig = WarmupConfig()

    @property
    def concurrency(self) -> int:
        """One request per connection."""
        return self.tcp_connection.limit


class AiohttpEngineConfig(NetworkEngineConfig):
    """The aiohttp engine."""

    engine: Literal["aiohttp"] = "aiohttp"
    tcp_connection: TcpConnectionConfig = TcpConnectionConfig()


class PyreqwestEngineConfig(NetworkEngineConfig):
    """The pyreqwest engine: Rust, less CPU per request, HTTP/2."""

    engine: Literal["pyreqwest"] = "pyreqwest"
    http2: bool = False
    """Offer HTTP/2 to HTTPS peers; many requests then share one connection."""


class MemoryEngineConfig(TransportConfig):
    """The in-memory engine: a Python function answers, nothing touches a network."""

    engine: Literal["memory"] = "memory"
    handler: str = Field(pattern=r"^[\w.]+:\w+$")
    """`package.module:function`, importable on the workers; takes a request, returns a response."""
