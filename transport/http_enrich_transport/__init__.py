"""Sends HTTP requests from Spark workers: engines, their configuration, errors as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._config import (
    AiohttpEngineConfig,
    MemoryEngineConfig,
    TcpConnectionConfig,
    TransportConfig,
    parse_transport,
)
from ._engine import TransportEngine, TransportEngineType, UnknownEngineError, WarmupReport
from ._errors import RETRYABLE_KINDS, Sent, TransportError, TransportErrorKind
from ._factory import TransportEngineFactory, TransportRuntimeFactory
from ._hints import did_you_mean
from ._messages import TransportRequest, TransportResponse, header_map
from ._redact import redact_url
from ._secret import RESOLVED, SecretText
from ._settings import Count, Seconds, Settings, at_key
from .memory_engine import MemoryEngine

if TYPE_CHECKING:
    from .aiohttp_engine import AiohttpEngine

__all__ = [
    "RESOLVED",
    "RETRYABLE_KINDS",
    "AiohttpEngine",
    "AiohttpEngineConfig",
    "Count",
    "MemoryEngine",
    "MemoryEngineConfig",
    "Seconds",
    "SecretText",
    "Sent",
    "Settings",
    "TcpConnectionConfig",
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
    "WarmupReport",
    "at_key",
    "did_you_mean",
    "header_map",
    "parse_transport",
    "redact_url",
]


def __getattr__(name: str) -> Any:
    # An Airflow scheduler imports this package and must not load an HTTP library with it.
    if name == "AiohttpEngine":
        from .aiohttp_engine import AiohttpEngine

        return AiohttpEngine
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
