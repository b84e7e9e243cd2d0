"""Finds the middleware for an entry of the `middleware:` list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any, ClassVar, NamedTuple

from pydantic import Field
from pydantic_core import PydanticCustomError

from http_enrich_transport import Settings, at_key, did_you_mean

from ._exchange import Middleware
from ._permits import Rate
from ._runtime import WorkerRuntime

ENTRY_POINTS = "http_enrich.middleware"
"""The entry point group in which an installed distribution names its middleware."""

# Every module of this table has `Config` and `build(config, runtime)`.
_SHIPPED = {
    name: f"{folder}.{name}"
    for folder, names in {
        "auth": [
            "api_key",
            "aws_sigv4",
            "basic",
            "bearer",
            "hmac",
            "jwt_bearer",
            "oauth2_client_credentials",
            "oauth2_password",
            "oauth2_refresh_token",
        ],
        "traffic": ["adaptive_concurrency", "circuit_breaker", "rate_limit", "retry"],
        "reuse": ["cache", "dedupe", "idempotency_key"],
        "answers": ["json_body", "redirect", "response_rules"],
        "observe": ["logging", "metrics", "timing", "transport_diagnostic", "worker_identity"],
    }.items()
    for name in names
}

_ALWAYS_ON = ("transport_diagnostic",)


class MiddlewareConfig(Settings):
    """What every middleware's configuration has."""

    needs_row_id: ClassVar[bool] = False
    """Whether the middleware reads `exchange.row_id`."""
    changes_answers: ClassVar[bool] = True
    """Whether other options can lead to other answers, so that those of an earlier try do not count."""

    asks_for_tokens: ClassVar[bool] = False
    """Whether the middleware asks an authorization server, which one worker can do for all."""

    type: str

    def cluster_rates(self) -> list[Rate]:
        """Return the rates that all workers together have to keep to."""
        return []


class DeferredConfig(MiddlewareConfig):
    """The entry of a middleware whose package is on the workers, and not here: nothing of it was checked."""

    options: dict[str, Any] = Field(default={}, repr=False)


class UnknownMiddlewareError(ValueError):
    """There is no such middleware; the text says which there are, or why this one cannot be had."""

    def __init__(self, name: str, reason: str = "") -> None:
        known = sorted({*_SHIPPED, *_installed()})
        listed = f"there are: {', '.join(known)}, and package.module:Class for one of your own"
        reason = reason or did_you_mean(name, known, listed)
        super().__init__(f"no middleware {name!r}; {reason}" + ("" if listed in reason else f" {listed}"))


class _Kind(NamedTuple):
    """Where an entry's options are checked, and how the middleware is made from them."""

    config: type[MiddlewareConfig]
    build: Callable[[Any, WorkerRuntime], Middleware]


def parse_middleware(value: Any, context: Any = None) -> MiddlewareConfig:
    """
    Build the configuration of one entry of the `middleware:` list.

    *context* is pydantic's validation context. Raises its `ValidationError` for a
    type that there is not, and for options that the middleware does not have. A
    dotted path into a package that is not installed here becomes a `DeferredConfig`.
    """
    if isinstance(value, MiddlewareConfig):
        return value
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise PydanticCustomError("middleware_type", "expected an entry such as '- type: retry'")
    name: str = value["type"]
    # A worker may have the code from an archive, which has no entry points: the path travels.
    path = name if name in _SHIPPED else _installed().get(name, name)
    if _is_elsewhere(path):
        return DeferredConfig(type=path, options={key: each for key, each in value.items() if key != "type"})
    try:
        model = _kind(path).config
    except UnknownMiddlewareError as error:
        raise at_key("type", name, error) from None
    return model.model_validate({**value, "type": path}, context=context)


def with_defaults(configs: Sequence[MiddlewareConfig]) -> list[MiddlewareConfig]:
    """Return *configs* with what is always on put outermost, unless it is listed."""
    listed = {config.type for config in configs}
    missing = [parse_middleware({"type": name}) for name in _ALWAYS_ON if name not in listed]
    return [*missing, *configs]


def build(config: MiddlewareConfig, runtime: WorkerRuntime) -> Middleware:
    """
    Build the middleware for *config*; called once per worker process.

    Raises `UnknownMiddlewareError` where it, or a library that it needs, is not installed.
    """
    kind = _kind(config.type)
    if isinstance(config, DeferredConfig):
        config = kind.config.model_validate({**config.options, "type": config.type})
    return kind.build(config, runtime)


def _kind(path: str) -> _Kind:
    if path in _SHIPPED:
        module = import_module(f".{_SHIPPED[path]}", __package__)
        return _Kind(module.Config, module.build)
    if ":" not in path:
        raise UnknownMiddlewareError(path)
    made: Any = _imported(path)
    config = getattr(made, "Config", None)
    if not (isinstance(made, type) and isinstance(config, type) and issubclass(config, MiddlewareConfig)):
        raise UnknownMiddlewareError(path, "it is no class with a Config derived from MiddlewareConfig;")
    return _Kind(config, made)


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UnknownMiddlewareError(path, f"{error}; it has to be installed on the executors;") from error
    return found


def _is_elsewhere(path: str) -> bool:
    """Say whether *path* leads into a package that is not installed here; a typo behind it is found here."""
    package = path.partition(":")[0].partition(".")[0]
    return ":" in path and package.isidentifier() and find_spec(package) is None


def _installed() -> dict[str, str]:
    return {each.name: each.value for each in entry_points(group=ENTRY_POINTS)}
