"""Finds the middleware for an entry of the `middleware:` list."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from pydantic_core import PydanticCustomError

from http_enrich_transport import Settings, at_key, did_you_mean

from ._exchange import Middleware
from ._runtime import WorkerRuntime

# Every module of this table has `Config` and `build(config, runtime)`.
_SHIPPED = ("bearer", "json_body", "logging", "retry", "timing", "transport_diagnostic", "worker_identity")

_ALWAYS_ON = ("transport_diagnostic",)


class MiddlewareConfig(Settings):
    """What every middleware's configuration has."""

    type: str


class UnknownMiddlewareError(ValueError):
    """No middleware has that name."""


def parse_middleware(value: Any, context: Any = None) -> MiddlewareConfig:
    """
    Build the configuration of one entry of the `middleware:` list.

    *context* is pydantic's validation context. Raises its `ValidationError` for a
    type that there is not, and for options that the middleware does not have.
    """
    if isinstance(value, MiddlewareConfig):
        return value
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise PydanticCustomError("middleware_type", "expected an entry such as '- type: retry'")
    try:
        model: type[MiddlewareConfig] = _module(value["type"]).Config
    except UnknownMiddlewareError as error:
        raise at_key("type", value["type"], error) from None
    return model.model_validate(value, context=context)


def with_defaults(configs: Sequence[MiddlewareConfig]) -> list[MiddlewareConfig]:
    """Return *configs* with what is always on put outermost, unless it is listed."""
    listed = {config.type for config in configs}
    missing = [parse_middleware({"type": name}) for name in _ALWAYS_ON if name not in listed]
    return [*missing, *configs]


def build(config: MiddlewareConfig, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware for *config*; called once per worker process."""
    middleware: Middleware = _module(config.type).build(config, runtime)
    return middleware


def _module(name: str) -> Any:
    if name not in _SHIPPED:
        hint = did_you_mean(name, _SHIPPED, "")
        msg = f"no middleware {name!r}; {f'{hint} There' if hint else 'there'} are: {', '.join(_SHIPPED)}"
        raise UnknownMiddlewareError(msg)
    return import_module(f".{name}", __package__)
