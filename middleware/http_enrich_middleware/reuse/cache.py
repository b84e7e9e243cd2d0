"""Keeps answers for rows that ask the same later."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Annotated, Literal

import msgspec
from cachetools import TLRUCache
from pydantic import ByteSize, Field

from http_enrich_middleware import Handler, Middleware, RequestExchange, Verdict, WorkerRuntime
from http_enrich_transport import Bytes, Seconds, Sent, TransportResponse

from ._identity import ReuseConfig, identity

_OVERHEAD = 2048
"""Bytes that an answer is taken to need besides its body: headers, address, the key itself."""


class Config(ReuseConfig):
    """Successes are kept in each worker, those used longest ago being dropped first."""

    type: Literal["cache"] = "cache"
    ttl: Annotated[Seconds, Field(gt=0)] = 600.0
    """How long an answer is good for."""
    max_bytes: Bytes = ByteSize(64 * 1024 * 1024)
    """Memory for answers, in each worker."""
    respect_headers: bool = True
    """Keep nothing that the API forbids to keep, nor longer than it says (`Cache-Control`, RFC 9111 §5.2)."""


class _Kept(msgspec.Struct, frozen=True):
    response: TransportResponse
    verdict: Verdict | None
    seconds: float


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps answers of this worker."""
    store: TLRUCache[Hashable, _Kept] = TLRUCache(
        maxsize=config.max_bytes,
        ttu=lambda _, kept, now: now + kept.seconds,
        timer=runtime.clock,
        getsizeof=lambda kept: len(kept.response.body) + _OVERHEAD,
    )
    methods, counters, ttl = config.methods, runtime.counters, config.ttl
    respect = config.respect_headers

    async def cache(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        if exchange.request.method not in methods:
            return await call_next(exchange)
        # Steps below may add headers to the request, so the key is made before them.
        key = identity(exchange.request)
        kept = store.get(key)
        if kept is not None:
            counters["cache.hits"] += 1
            return _answered(exchange, kept)
        counters["cache.misses"] += 1
        exchange = await call_next(exchange)
        response = exchange.response
        if exchange.error_kind is None and response is not None:
            seconds = min(ttl, _allowed(response.headers)) if respect else ttl
            if seconds > 0 and len(response.body) + _OVERHEAD <= config.max_bytes:
                store[key] = _Kept(response, exchange.verdict, seconds)
        return exchange

    return cache


def _answered(exchange: RequestExchange, kept: _Kept) -> RequestExchange:
    # Nothing was sent for this row, so it has no attempts: calls are what the API counts.
    exchange.response, exchange.verdict = kept.response, kept.verdict
    exchange.failure, exchange.sent = None, Sent.RESPONDED
    exchange.metadata["cache.hit"] = "true"
    return exchange


def _allowed(headers: Mapping[str, str]) -> float:
    """Return for how many seconds an answer with *headers* may be used; 0 if not at all."""
    if headers.get("Vary", "").strip() == "*":
        return 0.0
    allowed = float("inf")
    for directive in headers.get("Cache-Control", "").lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name in ("no-store", "no-cache"):
            return 0.0
        if name == "max-age":
            seconds = value.strip('" ')
            # What cannot be read is taken for stale (RFC 9111 §4.2.1).
            allowed = min(allowed, float(seconds[:10]) if seconds.isascii() and seconds.isdigit() else 0.0)
    return allowed
