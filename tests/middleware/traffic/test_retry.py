"""What is sent again, and how often."""

from __future__ import annotations

import asyncio

import pytest

from http_enrich_middleware import build_chain
from http_enrich_middleware.traffic import retry
from http_enrich_transport import Sent, TransportErrorKind
from tests.support.chain import FakeTime, answer, answering, failure, row, send_over_http
from tests.support.peer import OK, closed_port, serving
from tests.support.retrying import send

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

CURABLE = [
    *("body_incomplete", "connect_error", "connect_refused", "connect_timeout", "disconnected", "dns"),
    *("dns_timeout", "local_resource", "read_timeout", "reset", "tls_handshake", "total_timeout"),
]
HOPELESS = [
    *("body_too_large", "content_encoding", "egress_blocked", "engine_error", "header_too_large"),
    *("invalid_request", "protocol", "tls_client_cert", "tls_protocol", "tls_verify"),
]


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
