"""Sites that lead from one page to another, in memory and on the wire."""

from __future__ import annotations

from collections.abc import Mapping

from http_enrich_middleware.answers.redirect import Config
from http_enrich_transport import MemoryEngine, TransportResponse
from tests.support.chain import answer

HOME = "http://api.test/v1/a?x=1"
OTHER = "https://files.test"
BOTH = Config(allow_origins=[OTHER])


def to(location: str, status: int = 302) -> TransportResponse:
    return answer(status, Location=location)


def site(pages: Mapping[str, TransportResponse]) -> MemoryEngine:
    """Return an engine that knows *pages*, and answers 200 everywhere else."""
    return MemoryEngine(lambda request: pages.get(request.url, answer(200, request.url.encode())))


def asked(engine: MemoryEngine) -> list[tuple[str, str]]:
    return [(each.method, each.url) for each in engine.requests]


def leading(location: str, status: int = 302) -> bytes:
    """Return what a server sends that leads to *location*, with a cookie."""
    head = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nSet-Cookie: s=canary-8\r\n"
    return f"{head}Content-Length: 0\r\n\r\n".encode()
