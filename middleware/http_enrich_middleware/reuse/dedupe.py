"""Lets rows that ask the same at the same time share one call."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Literal

import msgspec

from http_enrich_middleware import (
    DEADLINE_EXCEEDED,
    Failure,
    Handler,
    Middleware,
    RequestExchange,
    Verdict,
    WorkerRuntime,
)
from http_enrich_transport import Sent, TransportResponse

from ._identity import ReuseConfig, identity


class Config(ReuseConfig):
    """Identical requests that are under way in a worker are one request."""

    type: Literal["dedupe"] = "dedupe"


class _Answer(msgspec.Struct, frozen=True):
    """What rows share; the exchange of the one that asked goes its own way."""

    response: TransportResponse
    failure: Failure | None
    verdict: Verdict | None
    sent: Sent


_Calls = dict[Hashable, "asyncio.Future[_Answer | None]"]


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it knows the calls that are under way in this worker."""
    methods, clock, counters = config.methods, runtime.clock, runtime.counters
    calls: _Calls = {}

    async def dedupe(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        if exchange.request.method not in methods:
            return await call_next(exchange)
        key = identity(exchange.request)
        while (call := calls.get(key)) is not None:
            if not await _ended(call, exchange, clock()):
                return exchange
            answer = call.result()
            if answer is not None:
                counters["dedupe.saved"] += 1
                return _shared(exchange, answer)
            # Whoever asked was cancelled, or had no time left: one of those who waited asks in its place.
        return await _ask(key, calls, exchange, call_next)

    async def _ask(
        key: Hashable, calls: _Calls, exchange: RequestExchange, call_next: Handler
    ) -> RequestExchange:
        call = calls[key] = asyncio.get_running_loop().create_future()
        answer = None
        try:
            exchange = await call_next(exchange)
            answer = _answer(exchange, late=clock() >= exchange.until)
        finally:
            del calls[key]
            call.set_result(answer)
        return exchange

    return dedupe


async def _ended(call: asyncio.Future[_Answer | None], exchange: RequestExchange, now: float) -> bool:
    """Wait for *call*, but not beyond the row's deadline."""
    left = None if exchange.deadline is None else max(0.0, exchange.deadline - now)
    await asyncio.wait([call], timeout=left)
    if not call.done():
        message = "the call that this row shares with others did not end before its deadline"
        exchange.failure = Failure(DEADLINE_EXCEEDED, message)
    return call.done()


def _answer(exchange: RequestExchange, *, late: bool) -> _Answer | None:
    """Return what others may have of *exchange*; nothing, if how it ended is its own affair."""
    if exchange.response is None or late:
        return None
    return _Answer(exchange.response, exchange.failure, exchange.verdict, exchange.sent)


def _shared(exchange: RequestExchange, answer: _Answer) -> RequestExchange:
    # Nothing was sent for this row, so it has no attempts: calls are what the API counts.
    exchange.response, exchange.failure = answer.response, answer.failure
    exchange.verdict, exchange.sent = answer.verdict, answer.sent
    exchange.metadata["dedupe.shared"] = "true"
    return exchange
