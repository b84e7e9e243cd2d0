"""Measures how long a row's exchange took."""

from __future__ import annotations

from typing import Literal

from http_enrich_middleware import Handler, Middleware, MiddlewareConfig, RequestExchange, WorkerRuntime


class Config(MiddlewareConfig):
    """`timing.ms` in the metadata: milliseconds spent in everything listed after this entry."""

    type: Literal["timing"] = "timing"


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state."""

    async def timing(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        started = runtime.clock()
        exchange = await call_next(exchange)
        exchange.metadata["timing.ms"] = f"{(runtime.clock() - started) * 1000:.3f}"
        return exchange

    return timing
