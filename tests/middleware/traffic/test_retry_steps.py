"""What a retry makes of what the steps inside it find, say, or keep back."""

from __future__ import annotations

import pytest

from http_enrich_middleware import (
    CIRCUIT_OPEN,
    DEADLINE_EXCEEDED,
    RUN_STOPPED,
    Failure,
    Handler,
    Middleware,
    RequestExchange,
    Verdict,
    build_chain,
)
from http_enrich_middleware.traffic import retry
from http_enrich_transport import MemoryEngine, Sent, TransportResponse
from tests.support.chain import FakeTime, answer, answering, failure, row

KEY = "0123456789abcdef"


async def around(
    step: Middleware, engine: MemoryEngine, config: retry.Config | None = None, method: str = "GET"
) -> RequestExchange:
    """Send a row through retry, then *step*, then *engine*."""
    runtime = FakeTime().runtime
    transport = build_chain([], engine, runtime)

    async def inner(exchange: RequestExchange) -> RequestExchange:
        return await step(exchange, transport)

    return await retry.build(config or retry.Config(), runtime)(row(method), inner)


def finding(failure: Failure) -> Middleware:
    """Return a middleware that finds *failure* in every answer."""

    async def find(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        exchange = await call_next(exchange)
        exchange.failure = failure
        return exchange

    return find


def refusing(failure: Failure, attempt: int = 1) -> Middleware:
    """Return a middleware that lets nothing pass from *attempt* on."""
    seen: list[RequestExchange] = []

    async def refuse(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        seen.append(exchange)
        if len(seen) < attempt:
            return await call_next(exchange)
        exchange.failure = failure
        return exchange

    return refuse


async def test_finding_about_an_earlier_answer_is_forgotten() -> None:
    """A middleware may want another attempt for a body, and have no complaint about the next one."""
    engine = answering(answer(200, b"busy"), answer(503))

    async def busy(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        exchange = await call_next(exchange)
        if exchange.status == 200:
            exchange.failure = Failure("busy", "try later", retry=True)
        return exchange

    exchange = await around(busy, engine, retry.Config(max_attempts=2))

    assert (exchange.error_kind, exchange.failure, exchange.attempts) == ("http_status", None, 2)


@pytest.mark.parametrize(
    ("response", "method", "attempts"),
    [
        (answer(500), "POST", 2),
        (answer(408), "PATCH", 2),
        (answer(504), "POST", 2),
        (failure("disconnected", Sent.MAYBE_SENT), "POST", 2),
        (failure("read_timeout", Sent.MAYBE_SENT), "PATCH", 2),
        (failure("body_incomplete", Sent.RESPONDED), "POST", 2),
        (failure("protocol", Sent.RESPONDED), "POST", 1),
        (answer(501), "POST", 1),
        (answer(422), "POST", 1),
    ],
)
async def test_with_an_idempotency_key_any_method_is_repeated(
    response: TransportResponse, method: str, attempts: int
) -> None:
    async def keyed(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        exchange.idempotency_key = KEY
        return await call_next(exchange)

    exchange = await around(keyed, answering(response, answer(201)), method=method)

    assert exchange.attempts == attempts


@pytest.mark.parametrize(("wanted", "attempts", "stop"), [(True, 3, "attempts"), (False, 1, "not_retryable")])
@pytest.mark.parametrize("status", [200, 404, 503])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_a_middleware_finds_decides_alone(
    method: str, status: int, wanted: bool, attempts: int, stop: str
) -> None:
    busy = Failure("busy", "try later", retry=wanted)

    exchange = await around(finding(busy), answering(answer(status)), method=method)

    assert (exchange.attempts, exchange.failure, exchange.metadata["retry.stop"]) == (attempts, busy, stop)


@pytest.mark.parametrize(
    ("kind", "stop"),
    [
        (CIRCUIT_OPEN, "circuit"),
        (DEADLINE_EXCEEDED, "deadline"),
        ("middleware_error", "not_retryable"),
    ],
)
@pytest.mark.parametrize("attempt", [1, 2])
async def test_who_kept_the_request_back_is_the_reason(attempt: int, kind: str, stop: str) -> None:
    step = refusing(Failure(kind, "no"), attempt)

    exchange = await around(step, answering(answer(503)))

    assert (exchange.attempts, exchange.error_kind, exchange.metadata["retry.stop"]) == (
        attempt - 1,
        kind,
        stop,
    )


async def test_verdict_makes_a_success_of_any_status() -> None:
    async def like(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        exchange = await call_next(exchange)
        exchange.verdict = Verdict.SUCCESS
        return exchange

    exchange = await around(like, answering(answer(503)))

    assert (exchange.attempts, exchange.metadata["retry.stop"]) == (1, "ok")


async def test_answer_without_sending_is_not_taken_for_the_attempt_before() -> None:
    """Such as one out of a cache, which has no reason to know of an earlier failure."""
    calls: list[int] = []

    async def cache(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        calls.append(1)
        if len(calls) == 1:
            exchange = await call_next(exchange)
            exchange.failure = Failure("busy", "try later", retry=True)
        else:
            exchange.response = answer(200)
        return exchange

    exchange = await around(cache, answering(answer(503)))

    assert (exchange.error_kind, exchange.attempts, len(calls)) == (None, 1, 2)


async def test_nothing_is_repeated_in_a_run_that_was_given_up() -> None:
    """The row keeps the failure that it has, and does not sleep for the sake of another."""
    time, engine = FakeTime(), answering(answer(503))
    runtime = time.runtime

    async def give_up(exchange: RequestExchange) -> RequestExchange:
        exchange = await build_chain([], engine, runtime)(exchange)
        runtime.run.stop("the API is gone")
        return exchange

    exchange = await retry.build(retry.Config(), runtime)(row(), give_up)

    assert (exchange.status, exchange.attempts, time.waits) == (503, 1, [])
    assert exchange.metadata["retry.stop"] == "stopped"


async def test_a_row_that_was_never_sent_says_that_the_run_was_given_up() -> None:
    exchange = await around(refusing(Failure(RUN_STOPPED, "enough"), 1), answering(answer(503)))

    assert (exchange.attempts, exchange.error_kind) == (0, RUN_STOPPED)
    assert exchange.metadata["retry.stop"] == "stopped"


async def test_a_retry_in_a_retry_multiplies() -> None:
    configs = [retry.Config(max_attempts=2), retry.Config(max_attempts=3)]
    engine, time = answering(answer(503)), FakeTime()

    exchange = await build_chain(configs, engine, time.runtime)(row())

    assert (engine.calls, exchange.attempts, time.waits) == (6, 6, [0.2, 0.4, 0.2, 0.2, 0.4])
    assert exchange.metadata["retry.stop"] == "attempts"
