"""Finds the engine, and its configuration, for the name in a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, TypeVar

from ._engine import TransportEngine, TransportEngineType, UnknownEngineError
from ._settings import at_key
from .config import AiohttpEngineConfig, MemoryEngineConfig, PyreqwestEngineConfig, TransportConfig

ENTRY_POINTS = "http_enrich.transport_engines"
"""The entry point group in which an installed distribution names its engines."""

EngineT = TypeVar("EngineT", bound=TransportEngine)

# The engines that ship: configuration, and where the engine is. Engines are
# imported when first built, since a DAG file must not load an HTTP library.
_SHIPPED: dict[str, tuple[type[TransportConfig], str]] = {
    TransportEngineType.AIOHTTP: (AiohttpEngineConfig, ".aiohttp_engine"),
    TransportEngineType.MEMORY: (MemoryEngineConfig, ".memory_engine"),
    TransportEngineType.PYREQWEST: (PyreqwestEngineConfig, ".pyreqwest_engine"),
}


class TransportEngineFactory:
    """
    The registry of engines.

    An engine has a name if it ships, is registered in this process, or is
    named by an installed distribution; every other one has its dotted path,
    `package.module:Class`.
    """

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
            _import_shipped(name)
        if name in cls._engines:
            return cls._engines[name]
        path = name if ":" in name else _installed().get(name)
        if path is None:
            raise UnknownEngineError(name, {*cls._engines, *_SHIPPED, *_installed()})
        return _imported(path)


class TransportRuntimeFactory:
    """Builds engines; holds configuration only, so that it can travel to the workers."""

    def __init__(self, config: TransportConfig, *, base_url: str | None = None) -> None:
        self.config = config
        self.base_url = base_url

    def create(self) -> TransportEngine:
        """Build the engine; the caller enters it on its own event loop."""
        engine: Any = TransportEngineFactory.get(self.config.engine)
        built: TransportEngine = engine(self.config, base_url=self.base_url)
        return built


def parse_transport(value: Any, context: Any = None) -> TransportConfig:
    """
    Build the configuration of the engine that *value* names.

    *context* is pydantic's validation context. Raises its `ValidationError` for
    an engine that there is not, and for options that the engine does not have.
    """
    if isinstance(value, TransportConfig):
        return value
    if not isinstance(value, dict):
        return AiohttpEngineConfig.model_validate(value, context=context)
    name = value.get("engine", TransportEngineType.AIOHTTP)
    try:
        model, engine = _model(name)
    except UnknownEngineError as error:
        raise at_key("engine", name, error) from None
    return model.model_validate({**value, "engine": engine}, context=context)


def _model(name: Any) -> tuple[type[TransportConfig], str]:
    """Return the configuration model of the engine called *name*, and what to call it on a worker."""
    if not isinstance(name, str):
        raise UnknownEngineError(name, _SHIPPED)
    if name in _SHIPPED:
        return _SHIPPED[name][0], name
    engine = TransportEngineFactory.get(name)
    # A worker may have the code from an archive, which has no entry points.
    return engine.Config, f"{engine.__module__}:{engine.__qualname__}"


def _import_shipped(name: str) -> None:
    try:
        import_module(_SHIPPED[name][1], __package__)
    except ImportError as error:
        reason = f"{error}; install the extra {name!r} of this package on the executors"
        raise UnknownEngineError(name, reason=reason) from error


def _installed() -> dict[str, str]:
    return {each.name: each.value for each in entry_points(group=ENTRY_POINTS)}


def _imported(path: str) -> type[TransportEngine]:
    module, _, name = path.partition(":")
    try:
        engine: Any = import_module(module)
        for part in name.split("."):
            engine = getattr(engine, part)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UnknownEngineError(
            path, reason=f"{error}; it has to be installed here and on the executors"
        ) from error
    if not (isinstance(engine, type) and issubclass(engine, TransportEngine)):
        raise UnknownEngineError(path, reason="it is no TransportEngine")
    return engine
