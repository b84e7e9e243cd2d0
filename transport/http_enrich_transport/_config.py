"""The `transport:` block of a pipeline. Imports no HTTP library: Airflow reads this."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ._engine import TransportEngineType, UnknownEngineError
from ._settings import Count, Seconds, Settings, at_key


class TcpConnectionConfig(Settings):
    """The connection pool of one worker process."""

    limit: Count = 10
    """Concurrent TCP connections per worker."""


class TransportConfig(Settings):
    """What every engine's configuration has."""

    engine: str = TransportEngineType.AIOHTTP
    base_timeout: Seconds = Field(default=30, gt=0)
    """Seconds for one attempt, from waiting for a connection to the last byte of the body."""
    warmup_timeout: Seconds = 10
    """Seconds that opening connections ahead of the first row may take; 0 turns it off."""

    @property
    def concurrency(self) -> int:
        """How many requests the engine can have in flight."""
        return 10


class AiohttpEngineConfig(TransportConfig):
    """The aiohttp engine."""

    engine: Literal["aiohttp"] = "aiohttp"
    tcp_connection: TcpConnectionConfig = TcpConnectionConfig()

    @property
    def concurrency(self) -> int:
        """One request per connection."""
        return self.tcp_connection.limit


class MemoryEngineConfig(TransportConfig):
    """The in-memory engine: a Python function answers, nothing touches a network."""

    engine: Literal["memory"] = "memory"
    handler: str = Field(pattern=r"^[\w.]+:\w+$")
    """`package.module:function`, importable on the workers; takes a request, returns a response."""


_MODELS: dict[Any, type[TransportConfig]] = {
    TransportEngineType.AIOHTTP: AiohttpEngineConfig,
    TransportEngineType.MEMORY: MemoryEngineConfig,
}


def parse_transport(value: Any, context: Any = None) -> TransportConfig:
    """
    Build the configuration of the engine that *value* names.

    *context* is pydantic's validation context. Raises its `ValidationError` for
    an engine that there is not, and for options that the engine does not have.
    """
    if isinstance(value, TransportConfig):
        return value
    name = value.get("engine", TransportEngineType.AIOHTTP) if isinstance(value, dict) else "aiohttp"
    if not isinstance(name, str) or name not in _MODELS:
        raise at_key("engine", name, UnknownEngineError(name, _MODELS))
    return _MODELS[name].model_validate(value, context=context)
