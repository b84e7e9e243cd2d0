"""Folds a list of middleware into one handler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from http_enrich_transport import Sent, TransportEngine, TransportErrorKind, TransportResponse

from ._bulk import Bulk
from ._exchange import DEADLINE_EXCEEDED, RUN_STOPPED, Failure, Handler, Middleware, RequestExchange
from ._registry import MiddlewareConfig, build
from ._runtime import WorkerRuntime
from ._step import Step
from ._together import together

# To look up a member of an enumeration costs ten times as much, and this is done for each attempt.
_NOT_SENT, _RESPONDED = Sent.NOT_SENT, Sent.RESPONDED


def build_chain(
    configs: Sequence[MiddlewareConfig], engine: TransportEngine, runtime: WorkerRuntime | None = None
) -> Handler:
    """
    Build the chain of one worker process: *configs* outermost first, *engine* last.

    The handler raises nothing but cancellation. A middleware that raises costs
    one row, whose error kind is then `middleware_error`; those outside it see
    the failure like any other.
    """
    runtime = replace(runtime or WorkerRuntime(), send=engine.send)
    return _folded(_built(configs, runtime), engine, runtime)


def build_bulk_chain(
    configs: Sequence[MiddlewareConfig], engine: TransportEngine, runtime: WorkerRuntime
) -> tuple[Bulk, Handler]:
    """Build the same in two parts: outermost steps that can be done for many rows at once, and the rest."""
    runtime = replace(runtime, send=engine.send)
    built = _built(configs, runtime)
    apart = list(takewhile(lambda each: isinstance(each[1], Step) and each[1].bulk, built))
    bulk = Bulk([(name, step) for name, step in apart if isinstance(step, Step)])
    return bulk, _folded(built[len(apart) :], engine, runtime)


def _built(configs: Sequence[MiddlewareConfig], runtime: WorkerRuntime) -> list[tuple[str, Middleware]]:
    return [(config.type, build(config, runtime)) for config in configs]


def _folded(built: list[tuple[str, Middleware]], engine: TransportEngine, runtime: WorkerRuntime) -> Handler:
    inner: Handler = _nowhere
    name, middleware = "transport", _sending(engine, runtime)
    steps: list[tuple[str, Step]] = []
    for outer, each in reversed(built):
        if isinstance(each, Step):
            steps.insert(0, (outer, each))
        else:
            inner, name, middleware = together(steps, name, middleware, inner), outer, each
            steps = []
    return together(steps, name, middleware, inner)


async def _nowhere(exchange: RequestExchange) -> RequestExchange:
    return exchange  # behind the transport there is nothing


def _sending(engine: TransportEngine, runtime: WorkerRuntime) -> Middleware:
    """Return the innermost step, which has no next one."""
    run, clock, observers = runtime.run, runtime.clock, runtime.observers

    async def send(exchange: RequestExchange, _: Handler) -> RequestExchange:
        # What an earlier attempt left behind says nothing about this one.
        exchange.failure = exchange.verdict = None
        if run.stopped is not None:
            exchange.failure = Failure(RUN_STOPPED, run.stopped)
            return exchange
        request = exchange.request
        timeout = request.timeout
        if exchange.deadline is not None and not _fits(exchange, runtime):
            return exchange
        exchange.attempts += 1
        run.requests += 1
        started = clock()
        try:
            response = await engine.send(request)
            error = response.error
            sent = _RESPONDED if error is None else error.sent
        except Exception as bug:  # noqa: BLE001 - engines do not raise; one that does must not look unsent
            kind = TransportErrorKind.ENGINE_ERROR
            sent = Sent.MAYBE_SENT
            response = TransportResponse.failed(kind, sent, type(bug).__name__)
        request.timeout = timeout  # a later attempt may have another deadline
        exchange.response = response
        if sent is not _NOT_SENT and exchange.sent is not _RESPONDED:
            exchange.sent = sent
        elapsed = clock() - started
        if response.queued or response.connected:
            exchange.served += _divided(exchange, response, elapsed)
        else:
            exchange.served += elapsed
        for observe in observers:
            observe(request, response, elapsed)
        return exchange

    return send


def _divided(exchange: RequestExchange, response: TransportResponse, elapsed: float) -> float:
    """Take the pool's and the network's part of the time of an attempt, and return the peer's."""
    queued, connected = response.queued or 0.0, response.connected or 0.0
    exchange.queued += queued
    exchange.connected += connected
    return max(elapsed - queued - connected, 0.0)


def _fits(exchange: RequestExchange, runtime: WorkerRuntime) -> bool:
    """Let the attempt end with its row's deadline; return whether any time is left for it."""
    left = (exchange.deadline or 0.0) - runtime.clock()
    if left <= 0:
        exchange.failure = Failure(DEADLINE_EXCEEDED, "the row's deadline had passed before it was sent")
        return False
    request = exchange.request
    if left < (request.timeout or runtime.base_timeout):
        request.timeout = left
    return True
