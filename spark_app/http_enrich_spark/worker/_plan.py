"""What travels from the driver to the workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from http_enrich_middleware import MiddlewareConfig
from http_enrich_spark.config import EndpointConfig, PipelineConfig
from http_enrich_transport import TransportConfig


@dataclass(frozen=True)
class WorkerPlan:
    """
    The part of a pipeline that a worker needs, and nothing that lives: no session, no loop, no file.

    Equal plans share one transport in a worker process, in whatever task or job they arrive.
    """

    endpoint: EndpointConfig
    transport: TransportConfig
    middleware: tuple[MiddlewareConfig, ...]
    concurrency: int
    keep_headers: tuple[str, ...]
    keep_body: bool

    @classmethod
    def of(cls, config: PipelineConfig) -> Self:
        """Return the plan for *config*."""
        return cls(
            endpoint=config.endpoint,
            transport=config.transport,
            middleware=tuple(config.middleware),
            concurrency=config.concurrency,
            keep_headers=tuple(config.response.headers),
            keep_body=config.response.keep_body or config.response.schema_ is not None,
        )
