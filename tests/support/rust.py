"""The pyreqwest engine, with what most of its tests want."""

from __future__ import annotations

from typing import Any

from http_enrich_transport import (
    TransportEngine,
    TransportRequest,
    TransportResponse,
    TransportRuntimeFactory,
    parse_transport,
)


def rust(base_url: str | None, **options: Any) -> TransportEngine:
    """Return an engine that does not warm up, unless *options* say otherwise."""
    config = parse_transport({"engine": "pyreqwest", "base_timeout": 60, "warmup_timeout": 0, **options})
    return TransportRuntimeFactory(config, base_url=base_url).create()


async def ask(
    url: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    **options: Any,
) -> TransportResponse:
    """Send one request with an engine of its own."""
    async with rust(url, **options) as engine:
        return await engine.send(TransportRequest(method, url, headers or {}, body))


def outcome(response: TransportResponse) -> tuple[str, str, int | None]:
    """Return the kind of the error, how far the request got, and the status."""
    assert response.error is not None, response
    return response.error.kind, response.sent, response.status
