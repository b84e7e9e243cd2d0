"""What the `transport:` block of a pipeline may say. Imports no HTTP library: Airflow reads this."""

from ._egress import EgressConfig
from ._engines import AiohttpEngineConfig, MemoryEngineConfig, NetworkEngineConfig, PyreqwestEngineConfig
from ._proxy import ProxyConfig
from ._tcp import PoolConfig, TcpConnectionConfig
from ._tls import TlsConfig
from ._transport import TransportConfig
from ._warmup import WarmupConfig

__all__ = [
    "AiohttpEngineConfig",
    "EgressConfig",
    "MemoryEngineConfig",
    "NetworkEngineConfig",
    "PoolConfig",
    "ProxyConfig",
    "PyreqwestEngineConfig",
    "TcpConnectionConfig",
    "TlsConfig",
    "TransportConfig",
    "WarmupConfig",
]
