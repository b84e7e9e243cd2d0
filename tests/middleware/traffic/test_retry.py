"""When a request is sent again, how often, and after which wait."""

from __future__ import annotations

import asyncio

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
    WorkerRuntime,
    build_chain,
)
from http_enrich_middleware.traffic import retry
from http_enrich_transport import MemoryEngine, Sent, TransportErrorKind, TransportResponse
from tests.support.chain import FakeTime, answer, answering, failure, row, send_over_http
from tests.support.peer import OK, closed_port, serving

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

CURABLE = [
    *("body_incomplete", "connect_error", "connect_refused", "connect_timeout", "disconnected", "dns"),
    *("dns_timeout", "local_resource", "read_timeout", "reset", "tls_handshake", "total_timeout"),
]
HOPELESS = [
    *("body_too_large", "content_encoding", "egress_blocked", "engine_error", "header_too_large"),
    *("invalid_request", "protocol", "tls_client_cert", "tls_protocol", "tls_verify"),
]

PATIENT = retry.Config(deadline=3600)
KEY = "0123456789abcdef"


async def send(
    engine: MemoryEngine,
    config: retry.Config | None = None,
    *,
    method: str = "GET",
    time: FakeTime | None = None,
) -> RequestExchange:
    chain = build_chain([config or retry.Config()], engine, (time or FakeTime()).runtime)
    return await chain(row(method))


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


async def test_success_at_once_is_one_request_without_a_wait() -> None:
    engine, time = answering(answer(200)), FakeTime()

    exchange = await send(engine, time=time)

    assert (engine.calls, exchange.attempts, time.waits) == (1, 1, [])
    assert exchange.metadata["retry.stop"] == "ok"


@pytest.mark.parametrize("attempts", [1, 2, 5])
async def test_max_attempts_counts_the_first_try(attempts: int) -> None:
    engine, time = answering(answer(503)), FakeTime()

    exchange = await send(engine, retry.Config(max_attempts=attempts), time=time)

    assert (engine.calls, exchange.attempts, len(time.waits)) == (attempts, attempts, attempts - 1)
    assert exchange.metadata["retry.stop"] == "attempts"


async def test_three_attempts_unless_told_otherwise() -> None:
    engine = answering(answer(503))

    await send(engine)

    assert engine.calls == 3


@pytest.mark.parametrize("first", [answer(503), failure("connect_refused"), failure("dns")])
async def test_success_of_a_later_attempt_is_a_success(first: object) -> None:
    engine = answering(first, answer(200, b"hi"))  # type: ignore[arg-type]

    exchange = await send(engine)

    assert (exchange.error_kind, exchange.status, exchange.attempts) == (None, 200, 2)
    assert exchange.metadata["retry.stop"] == "ok"


async def test_waits_double_up_to_the_cap() -> None:
    time = FakeTime()

    await send(answering(answer(503)), retry.Config(max_attempts=5, base_delay=1, max_delay=3), time=time)

    assert time.waits == [1, 2, 3, 3]


async def test_jitter_is_drawn_from_the_whole_range_below_the_capped_wait() -> None:
    """Clients that failed together must not come back together, and a capped wait still spreads them."""
    time = FakeTime(share=0.5)

    await send(answering(answer(503)), retry.Config(max_attempts=5, base_delay=1, max_delay=3), time=time)

    assert time.ranges == [(0, 1), (0, 2), (0, 3), (0, 3)]
    assert time.waits == [0.5, 1, 1.5, 1.5]


async def test_default_waits() -> None:
    time = FakeTime()

    await send(answering(answer(503)), retry.Config(max_attempts=10), time=time)

    assert time.waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20, 20]


@pytest.mark.parametrize(
    ("header", "wait"),
    [("0", 0), ("7", 7), ("007", 7), ("300", 300), ("301", 300), ("1000000000", 300)],
)
async def test_retry_after_is_waited_for_up_to_five_minutes(header: str, wait: float) -> None:
    time = FakeTime(share=0)

    await send(answering(answer(429, retry_after=header), answer(200)), PATIENT, time=time)

    assert time.waits == [wait]


@pytest.mark.parametrize(
    "header",
    ["", "soon", "-5", "+5", "1.5", "1e3", "NaN", "inf", "²", "٣", "5 5", "Fri, 31 Dec 1999 23:59:59 GMT"],
)
async def test_retry_after_that_says_nothing_sensible_is_ignored(header: str) -> None:
    time = FakeTime()

    exchange = await send(
        answering(answer(429, retry_after=header), answer(200)), retry.Config(base_delay=2), time=time
    )

    assert (time.waits, exchange.error_kind) == ([2], None)


async def test_rows_that_were_told_the_same_second_do_not_come_back_in_it() -> None:
    """The jittered backoff goes on top of what the peer asked for."""
    time = FakeTime(share=0.5)

    await send(answering(answer(503, retry_after="3"), answer(200)), retry.Config(base_delay=10), time=time)

    assert (time.ranges, time.waits) == ([(0, 10)], [3 + 5])


async def test_retry_after_may_pass_the_longest_wait() -> None:
    time = FakeTime(share=0)

    await send(answering(answer(503, retry_after="60"), answer(200)), retry.Config(max_delay=5), time=time)

    assert time.waits == [60]


async def test_retry_after_can_be_turned_off() -> None:
    time = FakeTime(share=0)

    await send(
        answering(answer(503, retry_after="60"), answer(200)), retry.Config(retry_after=False), time=time
    )

    assert time.waits == [0]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_statuses_that_may_pass_are_tried_again(status: int) -> None:
    exchange = await send(answering(answer(status), answer(200)))

    assert (exchange.attempts, exchange.error_kind) == (2, None)


@pytest.mark.parametrize("status", [301, 304, 400, 401, 403, 404, 409, 422, 501, 505])
async def test_other_statuses_are_final(status: int) -> None:
    engine = answering(answer(status), answer(200))

    exchange = await send(engine)

    assert (engine.calls, exchange.error_kind, exchange.status) == (1, "http_status", status)
    assert exchange.metadata["retry.stop"] == "not_retryable"


async def test_statuses_are_configurable() -> None:
    config = retry.Config(retry_status_codes=frozenset({404}))

    missing = await send(answering(answer(404), answer(200)), config)
    unavailable = await send(answering(answer(503), answer(200)), config)

    assert (missing.attempts, unavailable.attempts) == (2, 1)


def test_every_kind_of_error_is_decided_here() -> None:
    assert sorted(CURABLE + HOPELESS) == sorted(TransportErrorKind)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("kind", CURABLE)
async def test_what_was_never_sent_is_sent_again_whatever_its_method(kind: str, method: str) -> None:
    exchange = await send(answering(failure(kind), answer(200)), method=method)

    assert (exchange.attempts, exchange.error_kind) == (2, None)


@pytest.mark.parametrize("kind", HOPELESS)
async def test_errors_that_would_come_again_are_final(kind: str) -> None:
    engine = answering(failure(kind), answer(200))

    exchange = await send(engine)

    assert (engine.calls, exchange.attempts, exchange.error_kind) == (1, 1, kind)
    assert exchange.metadata["retry.stop"] == "not_retryable"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])
@pytest.mark.parametrize("sent", [Sent.MAYBE_SENT, Sent.RESPONDED])
async def test_idempotent_requests_may_be_sent_twice(method: str, sent: Sent) -> None:
    exchange = await send(answering(failure("disconnected", sent), answer(200)), method=method)

    assert (exchange.attempts, exchange.error_kind) == (2, None)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("sent", [Sent.MAYBE_SENT, Sent.RESPONDED])
async def test_what_may_have_had_its_effect_is_not_sent_twice(method: str, sent: Sent) -> None:
    engine = answering(failure("disconnected", sent), answer(200))

    exchange = await send(engine, method=method)

    assert (engine.calls, exchange.error_kind) == (1, "disconnected")
    assert exchange.metadata["retry.stop"] == "not_retryable"


async def test_last_attempt_decides_what_is_reported() -> None:
    exchange = await send(answering(failure("dns"), answer(500), answer(404)))

    assert (exchange.error_kind, exchange.status, exchange.attempts) == ("http_status", 404, 3)
    assert exchange.error_message == "HTTP status 404"


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


async def test_cancellation_ends_the_wait() -> None:
    asleep = asyncio.Event()

    async def sleep(seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    engine = answering(answer(503))
    task = asyncio.ensure_future(build_chain([retry.Config()], engine, WorkerRuntime(sleep=sleep))(row()))
    await asleep.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.calls == 1


async def test_each_attempt_is_one_request_on_the_wire() -> None:
    config = retry.Config(max_attempts=4)
    async with serving(UNAVAILABLE) as server:
        exchange = await send_over_http([config], row(url=server.url), FakeTime().runtime)

    assert (server.requests, exchange.attempts) == (4, 4)
    assert (exchange.error_kind, exchange.status) == ("http_status", 503)


async def test_recovered_peer_is_asked_no_further() -> None:
    answers = iter([UNAVAILABLE, OK])

    async def recover(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(next(answers))

    async with serving(recover) as server:
        exchange = await send_over_http([retry.Config()], row(url=server.url), FakeTime().runtime)

    assert (server.requests, exchange.attempts, exchange.error_kind) == (2, 2, None)


@pytest.mark.parametrize(("method", "requests"), [("GET", 3), ("PUT", 3), ("POST", 1), ("PATCH", 1)])
async def test_peer_that_hangs_up_gets_a_post_only_once(method: str, requests: int) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serving(hang_up) as server:
        exchange = await send_over_http([retry.Config()], row(method, server.url), FakeTime().runtime)

    assert (server.requests, exchange.attempts) == (requests, requests)
    assert exchange.error_kind == "disconnected"


async def test_refused_connection_without_retry_is_one_attempt() -> None:
    exchange = await send_over_http([], row(url=f"http://127.0.0.1:{closed_port()}/"))

    assert (exchange.attempts, exchange.error_kind) == (1, "connect_refused")
    assert "retry.stop" not in exchange.metadata


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_refused_connection_is_tried_until_the_attempts_are_used_up(method: str) -> None:
    refused = row(method, f"http://127.0.0.1:{closed_port()}/")

    exchange = await send_over_http([retry.Config(max_attempts=4)], refused, FakeTime().runtime)

    assert (exchange.attempts, exchange.error_kind) == (4, "connect_refused")
    assert exchange.metadata["retry.stop"] == "attempts"


@pytest.mark.parametrize(
    "options",
    [{"max_attempts": 0}, {"max_attempts": True}, {"base_delay": -1}, {"max_delay": "long"}, {"retries": 3}],
)
def test_nonsense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        retry.Config.model_validate(options)


async def test_waits_do_not_overflow() -> None:
    config = retry.Config(max_attempts=1100, deadline=None, budget=None)
    exchange = await build_chain([config], answering(answer(503)), FakeTime().runtime)(row())

    assert (exchange.error_kind, exchange.attempts) == ("http_status", 1100)


async def test_even_an_absurd_retry_after_is_capped() -> None:
    time = FakeTime(share=0)
    engine = answering(answer(429, retry_after="99999999999"), answer(200))
    await build_chain([PATIENT], engine, time.runtime)(row())

    assert time.waits == [300]


@pytest.mark.parametrize(
    ("method", "status", "attempts"),
    [
        ("GET", 500, 2),
        ("PUT", 502, 2),
        ("POST", 500, 1),
        ("PATCH", 504, 1),
        ("POST", 503, 2),
        ("POST", 429, 2),
    ],
)
async def test_an_answer_after_which_the_effect_is_unknown_is_not_repeated(
    method: str, status: int, attempts: int
) -> None:
    chain = build_chain([retry.Config(max_attempts=2)], answering(answer(status)), FakeTime().runtime)

    assert (await chain(row(method))).attempts == attempts


async def test_statuses_that_are_listed_are_repeated_whatever_the_method() -> None:
    config = retry.Config(max_attempts=2, retry_status_codes=frozenset({500}))
    chain = build_chain([config], answering(answer(500)), FakeTime().runtime)

    assert (await chain(row("POST"))).attempts == 2


@pytest.mark.parametrize("code", [99, 600, 99999])
def test_a_status_that_there_is_not_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match="retry_status_codes"):
        retry.Config.model_validate({"retry_status_codes": [code]})


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (501, "501 is final: the peer does not know the method, now as later"),
        (505, "505 is final: the peer does not speak this version of HTTP, now as later"),
        (200, "200 is no failure; response_rules may find one in a body"),
        (299, "299 is no failure"),
        (101, "101 is no failure"),
    ],
)
def test_a_status_that_is_not_worth_repeating_is_refused_with_the_reason(code: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        retry.Config.model_validate({"retry_status_codes": [429, code]})


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


@pytest.mark.parametrize(
    ("response", "waits"),
    [
        (answer(429), [1, 2, 4]),
        (answer(503, retry_after="0"), [1, 2, 4]),
        (answer(503, retry_after="soon"), [0.2, 0.4, 0.8]),
        (answer(503), [0.2, 0.4, 0.8]),
        (answer(500, retry_after="0"), [0.2, 0.4, 0.8]),
        (failure("connect_refused"), [0.2, 0.4, 0.8]),
    ],
)
async def test_a_peer_that_sets_the_pace_gets_longer_waits(
    response: TransportResponse, waits: list[float]
) -> None:
    time = FakeTime()

    await send(answering(response), retry.Config(max_attempts=4), time=time)

    assert time.waits == waits


async def test_throttling_never_shortens_the_waits() -> None:
    time = FakeTime()

    await send(answering(answer(429)), retry.Config(base_delay=5), time=time)

    assert time.waits == [5, 10]


async def test_time_slept_is_recorded() -> None:
    exchange = await send(answering(answer(503), answer(429), answer(200)))

    assert exchange.spent == {"backoff": 0.2 + 2}


async def test_a_retry_in_a_retry_multiplies() -> None:
    configs = [retry.Config(max_attempts=2), retry.Config(max_attempts=3)]
    engine, time = answering(answer(503)), FakeTime()

    exchange = await build_chain(configs, engine, time.runtime)(row())

    assert (engine.calls, exchange.attempts, time.waits) == (6, 6, [0.2, 0.4, 0.2, 0.2, 0.4])
    assert exchange.metadata["retry.stop"] == "attempts"
