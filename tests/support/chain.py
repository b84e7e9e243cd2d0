"""Rows, answers and a worker runtime for tests of the middleware chain."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from http_enrich_middleware import MiddlewareConfig, RequestExchange, WorkerRuntime, build_chain
from http_enrich_transport import (
    AiohttpEngineConfig,
    MemoryEngine,
    Sent,
    TransportErrorKind,
    TransportRequest,
    TransportResponse,
    TransportRuntimeFactory,
    header_map,
)

BASE_URL = "http://api.test"
EPOCH = 1_800_000_000.0
"""Seconds since 1970 when the fake clock shows 0."""


def row(method: str = "GET", url: str = "http://api.test/", **headers: str) -> RequestExchange:
    return RequestExchange(TransportRequest(method, url, headers))


def answer(status: int, body: bytes = b"", **headers: str) -> TransportResponse:
    """Return an answer; underscores in header names become dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return TransportResponse(status, header_map(named), body)


def failure(kind: str, sent: Sent = Sent.NOT_SENT) -> TransportResponse:
    return TransportResponse.failed(TransportErrorKind(kind), sent, "no answer")


def answering(*answers: TransportResponse) -> MemoryEngine:
    """Return an engine that gives *answers* one after the other, and the last one from then on."""
    left = list(answers)
    return MemoryEngine(lambda _: left.pop(0) if len(left) > 1 else left[0])


class FakeTime:
    """Time that only passes in `sleep`, and dice that show *share* of the range they are asked for."""

    def __init__(self, share: float = 1.0) -> None:
        self.now, self.share = 1000.0, share
        self.waits: list[float] = []
        self.ranges: list[tuple[float, float]] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def uniform(self, low: float, high: float) -> float:
        self.ranges.append((low, high))
        return low + self.share * (high - low)

    @property
    def runtime(self) -> WorkerRuntime:
        return WorkerRuntime(
            sleep=self.sleep,
            clock=lambda: self.now,
            now=lambda: EPOCH + self.now,
            uniform=self.uniform,
            base_url=BASE_URL,
        )


async def send_over_http(
    configs: Sequence[MiddlewareConfig], exchange: RequestExchange, runtime: WorkerRuntime | None = None
) -> RequestExchange:
    """Send *exchange* through a chain that ends in the aiohttp engine."""
    config = AiohttpEngineConfig(warmup_timeout=0)
    runtime = replace(runtime or WorkerRuntime(), base_url=exchange.request.url)
    async with TransportRuntimeFactory(config, base_url=exchange.request.url).create() as engine:
        return await build_chain(configs, engine, runtime)(exchange)


def echo(request: TransportRequest) -> TransportResponse:
    """Answer with the request line; pipelines find it by name."""
    return answer(200, f"{request.method} {request.url}".encode())


def registered(middleware: type) -> str:
    """Put a class of a test where its dotted path leads to, and return the path."""
    setattr(sys.modules[__name__], middleware.__name__, middleware)
    return f"{__name__}:{middleware.__name__}"
