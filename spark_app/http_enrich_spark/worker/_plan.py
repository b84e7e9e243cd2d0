"""What travels from the driver to the workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self
from uuid import uuid4

from http_enrich_middleware import MiddlewareConfig, Redactor
from http_enrich_spark.config import EndpointConfig, PipelineConfig, RunInfo, secrets
from http_enrich_spark.coordinator import Link
from http_enrich_transport import PrivateText, TransportConfig


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
    pipeline: str
    window: str
    id_columns: tuple[str, ...]
    """The columns whose values a middleware asks for; none if there is no such middleware."""
    slots: int = 1
    """Workers that may be at work at the same time in the whole cluster."""
    link: Link | None = None
    """Where the driver listens; without it, a worker is on its own."""
    job: str = field(default_factory=lambda: uuid4().hex, compare=False)
    """Tells a plan from an equal one that was made for another run."""

    @classmethod
    def of(
        cls,
        config: PipelineConfig,
        run: RunInfo | None = None,
        *,
        slots: int = 1,
        link: Link | None = None,
    ) -> Self:
        """Return the plan for *config*."""
        asked = any(each.needs_row_id for each in config.middleware)
        return cls(
            endpoint=config.endpoint,
            transport=config.transport,
            middleware=tuple(config.middleware),
            concurrency=config.concurrency,
            keep_headers=tuple(config.response.headers),
            keep_body=config.keeps_bodies,
            pipeline=config.name,
            window=run.window if run else "",
            id_columns=tuple(config.source.id) if asked else (),
            slots=slots,
            link=link,
        )

    @property
    def redactor(self) -> Redactor:
        """A new redactor that knows every secret that the worker comes to know."""
        redactor = Redactor()
        for secret in secrets([self.endpoint, self.transport, self.middleware]):
            redactor.add(secret.get_secret_value(), private=isinstance(secret, PrivateText))
        return redactor
