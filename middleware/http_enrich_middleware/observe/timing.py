"""Measures where the time of a row's exchange goes."""

from __future__ import annotations

from typing import ClassVar, Literal

from http_enrich_middleware import Middleware, MiddlewareConfig, RequestExchange, Step, WorkerRuntime


class Config(MiddlewareConfig):
    """
    `timing.total_ms` in the metadata: milliseconds spent in everything listed after this entry.

    Beside it stands what they were spent on, as far as it took any time:
    `timing.queue_ms` (waiting for a connection), `timing.connect_ms` (opening
    one), `timing.server_ms` (from there to the end of the answer), each over all
    attempts, and those of other middleware, such as `timing.backoff_ms` and
    `timing.limiter_ms`.
    """

    changes_answers: ClassVar[bool] = False
    type: Literal["timing"] = "timing"


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state."""
    names = _Names()

    def begin(exchange: RequestExchange) -> dict[str, float]:
        # Inside retry, there is what earlier attempts have spent.
        return _spent(exchange) if exchange.attempts or exchange.spent else _NOTHING

    def end(exchange: RequestExchange, begun: tuple[dict[str, float], float]) -> None:
        before, total = begun
        metadata = exchange.metadata
        metadata["timing.total_ms"] = f"{total * 1000:.3f}"
        if before is _NOTHING and not (exchange.queued or exchange.connected or exchange.spent):
            # Most rows have waited for nothing but their answer.
            if exchange.served > 0:
                metadata["timing.server_ms"] = f"{exchange.served * 1000:.3f}"
            return
        for what, seconds in _spent(exchange).items():
            if before:
                seconds -= before.get(what, 0.0)
            if seconds > 0:
                metadata[names[what]] = f"{seconds * 1000:.3f}"

    return Step(begin, end, clock=runtime.clock, bulk=True)


_NOTHING: dict[str, float] = {}


def _spent(exchange: RequestExchange) -> dict[str, float]:
    parts = {"queue": exchange.queued, "connect": exchange.connected, "server": exchange.served}
    return {**parts, **exchange.spent} if exchange.spent else parts


class _Names(dict[str, str]):
    """The keys for what time is spent on, each made once."""

    def __missing__(self, what: str) -> str:
        self[what] = name = f"timing.{what}_ms"
        return name
