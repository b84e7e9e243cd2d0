"""Sends HTTP requests from Spark workers: engines, their configuration, errors as values."""

from ._config import (
    AiohttpEngineConfig,
    MemoryEngineConfig,
    TcpConnectionConfig,
    TransportConfig,
    parse_transport,
)
from ._engine import TransportEngine, TransportEngineType, WarmupReport
from ._errors import RETRYABLE_KINDS, Sent, TransportError, TransportErrorKind
from ._factory import TransportEngineFactory, TransportRuntimeFactory, UnknownEngineError
from ._messages import TransportRequest, TransportResponse, header_map
from ._redact import redact_url
from ._secret import RESOLVED, SecretText
from ._settings import Count, Seconds, Settings

__all__ = [
    "RESOLVED",
    "RETRYABLE_KINDS",
    "AiohttpEngineConfig",
    "Count",
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
    "header_map",
    "parse_transport",
    "redact_url",
]
