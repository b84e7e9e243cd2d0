"""Sends HTTP requests from Spark workers: engines, their configuration, errors as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._engine import TransportEngine, TransportEngineType, UnknownEngineError, WarmupReport
from ._errors import RETRYABLE_KINDS, Sent, TransportError, TransportErrorKind
from ._guard import ENGINE_HEADERS, is_token, refuse
from ._hints import did_you_mean
from ._loop import new_event_loop
from ._messages import TransportRequest, TransportResponse, header_map
from ._redact import redact_url
from ._registry import TransportEngineFactory, TransportRuntimeFactory, parse_transport
from ._secret import RESOLVED, PrivateText, SecretText
from ._settings import Bytes, Count, Seconds, Settings, at_key, split_http_url
from .config import (
    AiohttpEngineConfig,
    EgressConfig,
    MemoryEngineConfig,
    ProxyConfig,
    PyreqwestEngineConfig,
    TcpConnectionConfig,
    TlsConfig,
    TransportConfig,
    WarmupConfig,
)
from .memory_engine import MemoryEngine

if TYPE_CHECKING:
    from .aiohttp_engine import AiohttpEngine

__all__ = [
    "ENGINE_HEADERS",
    "RESOLVED",
    "RETRYABLE_KINDS",
    "AiohttpEngine",
    "AiohttpEngineConfig",
    "Bytes",
    "Count",
    "EgressConfig",
    "MemoryEngine",
    "MemoryEngineConfig",
    "PrivateText",
    "ProxyConfig",
    "PyreqwestEngineConfig",
    "Seconds",
    "SecretText",
    "Sent",
    "Settings",
    "TcpConnectionConfig",
    "TlsConfig",
    "TransportConfig",
    "TransportEngine",
    "TransportEngineFactory",
    "TransportEngineType",
    "TransportError",
    "TransportErrorKind",
    "TransportRequest",
    "TransportResponse",
    "TransportRuntimeFactory",
    "UnknownEngineError",
    "WarmupConfig",
    "WarmupReport",
    "at_key",
    "did_you_mean",
    "header_map",
    "is_token",
    "new_event_loop",
    "parse_transport",
    "redact_url",
    "refuse",
    "split_http_url",
]


def __getattr__(name: str) -> Any:
    # An Airflow scheduler imports this package and must not load an HTTP library with it.
    if name == "AiohttpEngine":
        from .aiohttp_engine import AiohttpEngine

        return AiohttpEngine
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
