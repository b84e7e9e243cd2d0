"""What is odd about a chain, and why."""

from __future__ import annotations

import pytest

from http_enrich_middleware import MiddlewareConfig, advice


def of(types: str, method: str = "GET") -> list[tuple[int, str]]:
    configs = [MiddlewareConfig(type=each) for each in types.split()]
    return [(found.position, found.message) for found in advice(configs, method)]


@pytest.mark.parametrize(
    "types",
    [
        "",
        "dedupe cache retry circuit_breaker adaptive_concurrency rate_limit bearer json_body response_rules",
        "redirect retry rate_limit oauth2_client_credentials json_body",
        "idempotency_key retry rate_limit hmac",
        "retry rate_limit rate_limit api_key hmac bearer",
        "my_pkg.module:Class retry my_pkg.module:Class",
    ],
)
def test_a_sensible_order_needs_no_advice(types: str) -> None:
    assert of(types) == []


@pytest.mark.parametrize(
    ("types", "position", "reason"),
    [
        ("rate_limit retry", 0, "retries would not be counted"),
        ("timing rate_limit timing retry", 1, "retries would not be counted"),
        ("adaptive_concurrency retry", 0, "keep its place"),
        ("circuit_breaker retry", 0, "count once"),
        ("rate_limit redirect", 0, "would not be counted"),
        ("circuit_breaker redirect", 0, "trouble of another origin"),
        ("rate_limit circuit_breaker", 0, "take its permit and then wait"),
        ("rate_limit adaptive_concurrency", 0, "permit in hand"),
        ("bearer redirect", 0, "credentials of the first one"),
        ("api_key redirect", 0, "credentials of the first one"),
        ("hmac retry", 0, "old signature"),
        ("aws_sigv4 idempotency_key", 0, "would not be signed"),
        ("retry dedupe", 0, "known to be missing"),
        ("idempotency_key cache", 0, "nothing to share"),
        ("response_rules json_body", 0, "would not be checked"),
        ("response_rules retry", 0, "would not be"),
    ],
)
def test_an_order_that_cannot_be_meant_is_told_with_its_reason(
    types: str, position: int, reason: str
) -> None:
    ((found, message),) = of(types)

    first, second = types.replace("timing", "").split()
    assert (found, reason in message) == (position, True)
    assert message.startswith(f"{first} stands before {second}: ")
    assert message.endswith(f"; list {second} first")


def test_two_retries_multiply() -> None:
    ((position, message),) = of("retry timing retry")

    assert (position, message) == (
        2,
        "a second retry multiplies the attempts of the first; keep one of them",
    )


def test_two_authorizations_are_one_too_many() -> None:
    assert of("basic bearer") == [(1, "basic and bearer both set Authorization; keep one of them")]


def test_what_makes_no_sense_twice_is_told() -> None:
    assert of("json_body json_body") == [(1, "json_body is listed twice; keep one of them")]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_retried_post_without_a_key_is_told(method: str) -> None:
    ((position, message),) = of("timing retry", method)

    assert (position, "add idempotency_key" in message, method in message) == (1, True, True)
    assert of("idempotency_key retry", method) == []
    assert of("retry", "PUT") == []
    assert of("timing", method) == []
