"""One request to a peer that misbehaves, and what came of it."""

from __future__ import annotations

from typing import Any

from http_enrich_transport import (
    RESOLVED,
    AiohttpEngineConfig,
    TransportEngine,
    TransportRequest,
    TransportResponse,
    TransportRuntimeFactory,
)

Outcome = tuple[str | None, str, int | None]


def engine_for(base_url: str | None, **config: Any) -> TransportEngine:
    """Return an engine for *base_url* that warms nothing up unless *config* says so."""
    block = {"base_timeout": 60, "warmup_timeout": 0, **config}
    parsed = AiohttpEngineConfig.model_validate(block, context=RESOLVED)
    return TransportRuntimeFactory(parsed, base_url=base_url).create()


async def attempt(
    url: str, *, method: str = "GET", base_url: str | None = None, body: bytes | None = None, **config: Any
) -> TransportResponse:
    """Send one request through an engine of its own; *base_url* is that of the request by default."""
    async with engine_for(base_url or url, **config) as engine:
        return await engine.send(TransportRequest(method, url, body=body))


def outcome(response: TransportResponse) -> Outcome:
    """Return kind of error, how far the request got, and status."""
    kind = str(response.error.kind) if response.error else None
    return kind, str(response.sent), response.status
