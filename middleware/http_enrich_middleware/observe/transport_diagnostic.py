"""Says how the transport of a worker came up."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar, Literal

from http_enrich_middleware import Middleware, MiddlewareConfig, RequestExchange, Step, WorkerRuntime
from http_enrich_transport import WarmupReport


class Config(MiddlewareConfig):
    """
    `transport.warmed_up` and, when the warm-up failed, `transport.warmup_error` in the metadata.

    On by default; listing it only moves it.
    """

    changes_answers: ClassVar[bool] = False
    type: Literal["transport_diagnostic"] = "transport_diagnostic"


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; the facts are the worker's."""

    def tell(exchange: RequestExchange, _: None) -> None:
        # Only now: the warm-up runs beside the first rows, and may be over by the time they are answered.
        exchange.metadata.update(_facts(runtime.warmup()))

    return Step(after=tell)


@lru_cache(maxsize=1)
def _facts(report: WarmupReport) -> dict[str, str]:
    # Every row asks, and the answer is the same until the worker ends.
    facts = {
        "transport.warmed_up": str(report.warmed_up).lower(),
        "transport.warmup_connections": str(report.connections),
        "transport.warmup_ms": f"{report.elapsed_ms:.1f}",
    }
    if report.error:
        facts["transport.warmup_error"] = report.error
    return facts
