"""Tries again when that is likely to help and safe to do."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from http_enrich_middleware import (
    Handler,
    Middleware,
    MiddlewareConfig,
    RequestExchange,
    WorkerRuntime,
    retry_after,
)
from http_enrich_transport import RETRYABLE_KINDS, Count, Seconds, Sent

# RFC 9110 §9.2.2: sending these twice has the effect of sending them once.
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_REFUSED = frozenset({425, 429, 503})
"""Answers that say the request was turned away; after others it may have had its effect."""


Status = Annotated[int, Field(ge=100, le=599)]


class Config(MiddlewareConfig):
    """Exponential backoff with full jitter; the cap is applied before the jitter."""

    type: Literal["retry"] = "retry"
    max_attempts: Count = 3
    """Counts the first try."""
    retry_status_codes: frozenset[Status] | None = None
    """Default: 408, 425, 429, 500, 502, 503, 504; for methods that are not idempotent 425, 429, 503."""
    base_delay: Seconds = 0.2
    """Longest wait before the second attempt; it doubles from there."""
    max_delay: Seconds = Field(default=20.0)
    """Longest wait of all, a `Retry-After` of the peer aside."""
    retry_after: bool = True
    """Wait at least as many seconds as the peer's `Retry-After` says, up to five minutes."""


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state."""

    async def retry(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        for attempt in range(1, config.max_attempts + 1):
            exchange = await call_next(exchange)
            stop = _reason_to_stop(exchange, config, last=attempt == config.max_attempts)
            if stop is not None:
                exchange.metadata["retry.stop"] = stop
                break
            await runtime.sleep(_delay(exchange, config, runtime, attempt))
        return exchange

    return retry


def _reason_to_stop(exchange: RequestExchange, config: Config, *, last: bool) -> str | None:
    if exchange.error_kind is None:
        return "ok"
    if not _is_retryable(exchange, config):
        return "not_retryable"
    return "attempts" if last else None


def _is_retryable(exchange: RequestExchange, config: Config) -> bool:
    response = exchange.response
    if response is None:
        return False
    idempotent = exchange.request.method in _IDEMPOTENT
    if response.error is None:
        codes = config.retry_status_codes
        return response.status in ((_TRANSIENT if idempotent else _REFUSED) if codes is None else codes)
    if response.error.kind not in RETRYABLE_KINDS:
        return False
    # What may have reached the peer may have had its effect already.
    return response.sent is Sent.NOT_SENT or idempotent


def _delay(exchange: RequestExchange, config: Config, runtime: WorkerRuntime, attempt: int) -> float:
    doublings = min(attempt - 1, 60)  # beyond that any cap is reached, and a float is not endless
    cap = min(config.max_delay, config.base_delay * 2.0**doublings)
    backoff = runtime.uniform(0.0, cap)
    response = exchange.response
    asked = retry_after(response.headers, runtime.now()) if config.retry_after and response else None
    return max(backoff, asked or 0.0)
