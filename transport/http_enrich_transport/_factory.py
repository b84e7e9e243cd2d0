"""Finds the engine for a configuration."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from ._config import TransportConfig
from ._engine import TransportEngine, UnknownEngineError

EngineT = TypeVar("EngineT", bound=TransportEngine)


# Where the engines that ship are found. They are imported when first built,
# since a DAG file must not load an HTTP library.
_SHIPPED = {"aiohttp": ".aiohttp_engine", "memory": ".memory_engine"}


class TransportEngineFactory:
    """The registry of engines."""

    _engines: dict[str, type[TransportEngine]] = {}

    @classmethod
    def register(cls, name: str) -> Callable[[type[EngineT]], type[EngineT]]:
        """Register the decorated class as the engine called *name*."""

        def decorate(engine: type[EngineT]) -> type[EngineT]:
            cls._engines[str(name)] = engine
            return engine

        return decorate

    @classmethod
    def get(cls, name: str) -> type[TransportEngine]:
        """Return the engine class called *name*; raises `UnknownEngineError`."""
        if name not in cls._engines and name in _SHIPPED:
            import_module(_SHIPPED[name], __package__)
        try:
            return cls._engines[name]
        except KeyError:
            raise UnknownEngineError(name, {*cls._engines, *_SHIPPED}) from None


class TransportRuntimeFactory:
    """Builds engines; holds configuration only, so that it can travel to the workers."""

    def __init__(self, config: TransportConfig, *, warmup_url: str | None = None) -> None:
        self.config = config
        self.warmup_url = warmup_url

    def create(self) -> TransportEngine:
        """Build the engine; the caller enters it on its own event loop."""
        engine: Any = TransportEngineFactory.get(self.config.engine)
        built: TransportEngine = engine(self.config, warmup_url=self.warmup_url)
        return built
