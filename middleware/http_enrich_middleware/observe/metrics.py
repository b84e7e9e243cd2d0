"""Counts rows and requests, and how long they took, for the report of the run."""

from __future__ import annotations

from typing import ClassVar, Literal

from http_enrich_middleware import Middleware, MiddlewareConfig, RequestExchange, Step, WorkerRuntime
from http_enrich_middleware._metrics import AT_ONCE


class Config(MiddlewareConfig):
    """
    Rows by how they ended, requests, retries, and latencies by class of status, in the run's report.

    What is listed before it, is not in the latencies; inside `retry`, each attempt counts as a row.
    """

    changes_answers: ClassVar[bool] = False
    type: Literal["metrics"] = "metrics"
    opentelemetry: bool = False
    """Record `http.client.request.duration` of each attempt with OpenTelemetry's global meter, too."""


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; what it counts is the worker's, until the report takes it."""
    if config.opentelemetry:
        from ._opentelemetry import duration_observer

        runtime.observers.append(duration_observer())
    metrics = runtime.metrics
    rows = metrics.rows

    def begin(exchange: RequestExchange) -> int:
        return exchange.attempts

    def end(exchange: RequestExchange, begun: tuple[int, float]) -> None:
        before, seconds = begun
        attempts, response = exchange.attempts, exchange.response
        status = None if response is None else response.status
        # A row's first attempt is no retry, whether this step has seen it or an earlier pass has.
        retries = attempts - (before or 1) if attempts > 1 else 0
        rows.append((exchange.error_kind, status, attempts - before, retries, seconds * 1000))
        if len(rows) >= AT_ONCE:
            metrics.count()

    return Step(begin, end, clock=runtime.clock, bulk=True)
