"""Looks at a whole chain for what cannot be meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ._registry import MiddlewareConfig

_RENEWING = ("oauth2_client_credentials", "oauth2_password", "oauth2_refresh_token", "jwt_bearer")
AUTHORIZING = ("basic", "bearer", "aws_sigv4", *_RENEWING)
"""Types that set the header `Authorization`."""

_AUTH = ("api_key", "hmac", *AUTHORIZING)
_ONCE = (
    "adaptive_concurrency",
    "cache",
    "circuit_breaker",
    "dedupe",
    "idempotency_key",
    "json_body",
    "redirect",
)


class Advice(NamedTuple):
    """What is odd about the entry at *position* of the list, and what to do about it."""

    position: int
    message: str


class _Order(NamedTuple):
    """*outer* stands before *inner* where it should come after it, for this *reason*."""

    outer: Sequence[str]
    inner: Sequence[str]
    reason: str


_ORDERS = (
    _Order(["rate_limit"], ["retry"], "retries would not be counted, and the limit not be kept"),
    _Order(["adaptive_concurrency"], ["retry"], "a row would keep its place while it waits for a retry"),
    _Order(["rate_limit"], ["redirect"], "the requests that a redirect leads to would not be counted"),
    _Order(["circuit_breaker"], ["redirect"], "the API would be charged with the trouble of another origin"),
    _Order(["rate_limit"], ["circuit_breaker"], "a row would take its permit and then wait for the API"),
    _Order(
        ["rate_limit"],
        ["adaptive_concurrency"],
        "a row would wait with its permit in hand, and then go together with the next ones",
    ),
    _Order(_AUTH, ["redirect"], "a redirected request would carry the credentials of the first one"),
    _Order(_AUTH, ["retry"], "a retry would go out with the old signature or token"),
    _Order(["hmac", "aws_sigv4"], ["idempotency_key", "api_key"], "what is added later would not be signed"),
    _Order(["retry"], ["dedupe", "cache"], "each retry would look for an answer that is known to be missing"),
    _Order(["idempotency_key"], ["dedupe", "cache"], "rows with keys of their own have nothing to share"),
    _Order(["response_rules"], ["json_body"], "what a rule takes for a success would not be checked"),
    _Order(["response_rules"], ["retry"], "what a rule wants to be tried again would not be"),
    _Order(["circuit_breaker"], ["retry"], "a row that failed three times would count once"),
)


def advice(configs: Sequence[MiddlewareConfig], method: str = "GET") -> list[Advice]:
    """
    Return what is odd about *configs*, outermost first, in front of requests with *method*.

    None of it is an error: who knows better may leave it.
    """
    types = [config.type for config in configs]
    return sorted(
        [
            *_orders(types),
            *_twice(types),
            *_authorizing(types),
            *_unsafe(types, method),
            *_refreshing(configs),
        ]
    )


def _orders(types: Sequence[str]) -> Iterator[Advice]:
    for order in _ORDERS:
        for position, outer in enumerate(types):
            inner = next((each for each in types[position + 1 :] if each in order.inner), None)
            if outer in order.outer and inner is not None:
                yield Advice(position, f"{outer} stands before {inner}: {order.reason}; list {inner} first")


def _twice(types: Sequence[str]) -> Iterator[Advice]:
    for position, name in enumerate(types):
        if name == "retry" and name in types[:position]:
            yield Advice(position, "a second retry multiplies the attempts of the first; keep one of them")
        elif name in _ONCE and name in types[:position]:
            yield Advice(position, f"{name} is listed twice; keep one of them")


def _authorizing(types: Sequence[str]) -> Iterator[Advice]:
    first, *others = [(position, name) for position, name in enumerate(types) if name in AUTHORIZING] or [
        (0, "")
    ]
    for position, name in others:
        yield Advice(position, f"{first[1]} and {name} both set Authorization; keep one of them")


def _unsafe(types: Sequence[str], method: str) -> Iterator[Advice]:
    if method in ("POST", "PATCH") and "retry" in types and "idempotency_key" not in types:
        yield Advice(
            types.index("retry"),
            f"a {method} that may have reached the API is not sent again, since that could pay twice; "
            "add idempotency_key if the API honours one",
        )


def _refreshing(configs: Sequence[MiddlewareConfig]) -> Iterator[Advice]:
    for position, config in enumerate(configs):
        rules = getattr(config, "rules", ())
        asks = any(getattr(rule, "action", None) == "refresh_auth" for rule in rules)
        if asks and not any(each.type in _RENEWING for each in configs[:position]):
            yield Advice(position, "refresh_auth needs an oauth2 middleware or jwt_bearer before this entry")
