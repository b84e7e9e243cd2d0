"""The one word that says what became of a row."""

from __future__ import annotations

import pytest

from http_enrich_middleware import (
    CIRCUIT_OPEN,
    DEADLINE_EXCEEDED,
    RUN_STOPPED,
    Failure,
    RequestExchange,
    Verdict,
)
from http_enrich_spark.worker._outcome import outcome
from http_enrich_transport import Sent, TransportErrorKind, TransportResponse
from tests.support.chain import answer, row

OF_KIND = {
    "invalid_request": "invalid_request",
    "egress_blocked": "policy",
    "local_resource": "local",
    "dns": "connect",
    "dns_timeout": "connect",
    "connect_refused": "connect",
    "connect_timeout": "connect",
    "connect_error": "connect",
    "disconnected": "connect",
    "reset": "connect",
    "tls_verify": "tls",
    "tls_protocol": "tls",
    "tls_handshake": "tls",
    "tls_client_cert": "tls",
    "read_timeout": "timeout",
    "total_timeout": "timeout",
    "body_incomplete": "protocol",
    "body_too_large": "protocol",
    "content_encoding": "protocol",
    "header_too_large": "protocol",
    "protocol": "protocol",
    "engine_error": "internal",
}


def ended(response: TransportResponse | None, failure: Failure | None = None) -> RequestExchange:
    exchange = row()
    exchange.response, exchange.failure = response, failure
    return exchange


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_an_answer_with_2xx_is_ok(status: int) -> None:
    assert outcome(ended(answer(status))) == "ok"


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (301, "redirect"),
        (304, "redirect"),
        (400, "client_error"),
        (401, "auth"),
        (403, "auth"),
        (404, "not_found"),
        (410, "not_found"),
        (409, "client_error"),
        (429, "rate_limited"),
        (499, "client_error"),
        (500, "server_error"),
        (503, "server_error"),
        (599, "server_error"),
        (101, "protocol"),
        (600, "protocol"),
        (999, "protocol"),
    ],
)
def test_other_statuses_are_grouped_by_what_to_do_about_them(status: int, word: str) -> None:
    assert outcome(ended(answer(status))) == word


@pytest.mark.parametrize("kind", TransportErrorKind)
def test_every_kind_of_transport_error_has_its_word(kind: TransportErrorKind) -> None:
    """A new kind has to be given one here, on purpose."""
    assert outcome(ended(TransportResponse.failed(kind, Sent.MAYBE_SENT, "no answer"))) == OF_KIND[kind]


def test_an_error_after_the_status_is_told_by_the_error() -> None:
    late = TransportResponse.failed(TransportErrorKind.RESET, Sent.RESPONDED, "gone", status=200)

    assert outcome(ended(late)) == "connect"


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("json_invalid", "parse"),
        ("json_encoding", "parse"),
        ("json_number", "parse"),
        ("json_too_deep", "parse"),
        ("response_rule", "rule"),
        (CIRCUIT_OPEN, "circuit"),
        (DEADLINE_EXCEEDED, "timeout"),
        (RUN_STOPPED, "stopped"),
        ("rate_limit_exhausted", "rate_limited"),
        ("redirect_blocked", "redirect"),
        ("redirect_loop", "redirect"),
        ("auth_failed", "auth"),
        ("auth_rejected", "auth"),
        ("auth_unavailable", "server_error"),
        ("invalid_request", "invalid_request"),
        ("middleware_error", "internal"),
        ("not_sent", "internal"),
        ("of_somebody_else", "protocol"),
    ],
)
def test_what_a_middleware_finds_has_its_word(kind: str, word: str) -> None:
    assert outcome(ended(answer(200), Failure(kind, "a reason"))) == word


@pytest.mark.parametrize(("verdict", "word"), [(Verdict.IGNORE, "ignored"), (Verdict.SUCCESS, "ok")])
def test_a_verdict_says_more_than_the_status(verdict: Verdict, word: str) -> None:
    for status in (200, 404):
        exchange = ended(answer(status))
        exchange.verdict = verdict

        assert outcome(exchange) == word


def test_a_failure_says_more_than_a_verdict() -> None:
    exchange = ended(answer(401), Failure("auth_rejected", "a reason"))
    exchange.verdict = Verdict.REFRESH_AUTH

    assert outcome(exchange) == "auth"


def test_a_row_that_nobody_sent_is_our_fault() -> None:
    assert outcome(ended(None)) == "internal"
