"""Folds a list of middleware into one handler."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from http_enrich_transport import Sent, TransportEngine, TransportErrorKind, TransportResponse

from ._exchange import Failure, Handler, Middleware, RequestExchange
from ._registry import MiddlewareConfig, build
from ._runtime import WorkerRuntime


def build_chain(
    configs: Sequence[MiddlewareConfig], engine: TransportEngine, runtime: WorkerRuntime | None = None
) -> Handler:
    """
    Build the chain of one worker process: *configs* outermost first, *engine* last.

    The handler raises nothing but cancellation. A middleware that raises costs
    one row, whose error kind is then `middleware_error`.
    """
    runtime = runtime or WorkerRuntime()
    handler: Handler = partial(_send, engine)
    for config in reversed(configs):
        handler = _bind(build(config, runtime), handler)
    return partial(_guard, handler)


def _bind(middleware: Middleware, call_next: Handler) -> Handler:
    # A plain function: awaiting through one more coroutine would cost every row.
    return lambda exchange: middleware(exchange, call_next)


async def _send(engine: TransportEngine, exchange: RequestExchange) -> RequestExchange:
    exchange.attempts += 1
    # What an earlier attempt left behind says nothing about this one.
    exchange.failure = None
    try:
        response = await engine.send(exchange.request)
        sent = response.sent
    except Exception as error:  # noqa: BLE001 - engines do not raise; one that does must not look unsent
        kind = TransportErrorKind.ENGINE_ERROR
        sent = Sent.MAYBE_SENT
        response = TransportResponse.failed(kind, sent, type(error).__name__)
    exchange.response = response
    if sent is not Sent.NOT_SENT and exchange.sent is not Sent.RESPONDED:
        exchange.sent = sent
    return exchange


async def _guard(handler: Handler, exchange: RequestExchange) -> RequestExchange:
    try:
        return await handler(exchange)
    except Exception as error:  # noqa: BLE001 - one row must not take the task with it
        # The text of the exception may quote headers or a body; its type and place do not.
        exchange.failure = Failure("middleware_error", f"{type(error).__name__} in {_origin(error)}")
        return exchange


def _origin(error: Exception) -> str:
    """Name the function that raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__", "?") if trace else "?"


__all__ = ["Middleware", "build_chain"]
