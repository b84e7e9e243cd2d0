"""Follows redirects, as far as nothing is given away by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from http_enrich_middleware import (
    Failure,
    Handler,
    Middleware,
    MiddlewareConfig,
    OriginName,
    RequestExchange,
    WorkerRuntime,
    origin_of,
)
from http_enrich_transport import Count, TransportRequest, refuse

from ._location import BlockedError, resolved

_STATUSES = frozenset({301, 302, 303, 307, 308})

# RFC 9110 §9.2.2: sending these twice has the effect of sending them once.
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})

_OF_A_BODY = frozenset({"content-encoding", "content-language", "content-type"})

_HARMLESS = _OF_A_BODY | {"accept", "accept-encoding", "accept-language", "user-agent"}
"""All that another origin gets to see; any other header may prove to somebody who we are."""


class Config(MiddlewareConfig):
    """
    Follows 301, 302, 303, 307 and 308 with a `Location` (RFC 9110 §15.4), within the origin of the request.

    From https to http it never goes, and credentials never leave their origin.
    """

    type: Literal["redirect"] = "redirect"
    max_redirects: Annotated[Count, Field(le=20)] = 5
    """Further requests that one may lead to; browsers stop at 20."""
    allow_origins: list[OriginName] = []
    """Other origins to go to, such as https://files.example.com; they get the body too."""


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps no state."""
    follow = _Follower(config, runtime)

    async def redirect(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        metadata = exchange.metadata
        if "redirect.count" in metadata:  # of the attempt before
            del metadata["redirect.count"], metadata["redirect.url"]
        exchange = await call_next(exchange)
        response = exchange.response
        if response is None or response.status not in _STATUSES:
            return exchange
        return await follow(exchange, call_next)

    return redirect


class _Follower:
    def __init__(self, config: Config, runtime: WorkerRuntime) -> None:
        self._allowed = frozenset(config.allow_origins)
        self._max, self._redactor = config.max_redirects, runtime.redactor

    async def __call__(self, exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        """Follow where the answer of *exchange* leads; its request is its own again afterwards."""
        original, count, done = exchange.request, 0, False
        allowed = self._allowed | {origin_of(original.url)}
        try:
            while (request := self._next(exchange, allowed)) is not None:
                if count == self._max:
                    exchange.failure = Failure("redirect_loop", f"more than {count} redirects")
                    break
                count, done = count + 1, done or exchange.status == 303
                exchange.request = request
                exchange = await call_next(exchange)
        except BlockedError as error:
            exchange.failure = Failure("redirect_blocked", f"not followed: {self._redactor.text(str(error))}")
        finally:
            url, exchange.request = exchange.request.url, original
        if count:
            exchange.metadata["redirect.count"] = str(count)
            exchange.metadata["redirect.url"] = self._redactor.url(url)
        if done:
            _keep_from_repeating(exchange)
        return exchange

    def _next(self, exchange: RequestExchange, allowed: frozenset[str]) -> TransportRequest | None:
        """Return the request that the answer asks for; None if there is none, or it is not safe to send."""
        response, request = exchange.response, exchange.request
        # A failure of another step means that nothing was sent, or that the answer is no good.
        if response is None or response.error or exchange.failure or exchange.verdict:
            return None
        method = _method(request.method, response.status)
        location = _location(response.headers) if method else None
        if method is None or location is None:
            return None
        url = resolved(request.url, location)
        origin, current = origin_of(url), origin_of(request.url)
        _check(origin, current, allowed)
        keeps_body = response.status != 303
        headers = {
            name: value
            for name, value in request.headers.items()
            if (keeps_body or name.lower() not in _OF_A_BODY)
            and (origin == current or _may_travel(name, value, exchange))
        }
        body = request.body if keeps_body else None
        return _sendable(TransportRequest(method, url, headers, body, request.timeout))


def _method(method: str, status: int | None) -> str | None:
    if status in (307, 308):
        return method
    if method in ("GET", "HEAD"):
        return method if status in _STATUSES else None
    # After 301 and 302 some clients go on with GET and some with the method: nobody knows what is meant.
    return "GET" if status == 303 else None


def _location(headers: Mapping[str, str]) -> str | None:
    found: Any = headers.getall("Location", []) if hasattr(headers, "getall") else []
    if not found and "Location" in headers:
        found = [headers["Location"]]
    if len(set(found)) > 1:
        msg = "there is more than one Location"
        raise BlockedError(msg)
    return found[0] if found else None


def _check(origin: str, current: str, allowed: frozenset[str]) -> None:
    if current.startswith("https:") and origin.startswith("http:"):
        msg = f"it leads from https to {origin}"
        raise BlockedError(msg)
    if origin not in allowed:
        msg = f"it leads to {origin}, which is not in redirect.allow_origins"
        raise BlockedError(msg)


def _may_travel(name: str, value: str, exchange: RequestExchange) -> bool:
    # Where the body goes its idempotency key has to go too, since `retry` relies on it.
    return name.lower() in _HARMLESS or (value == exchange.idempotency_key and exchange.status != 303)


def _sendable(request: TransportRequest) -> TransportRequest:
    refusal = refuse(request)
    if refusal is not None and refusal.error is not None:
        raise BlockedError(refusal.error.message)
    return request


def _keep_from_repeating(exchange: RequestExchange) -> None:
    """Let nobody send a request again that has had its effect, only because what came of it cannot be had."""
    kind, method = exchange.error_kind, exchange.request.method
    if kind is None or method in _IDEMPOTENT or exchange.idempotency_key is not None:
        return
    message = f"the {method} was accepted (status 303), and then: {exchange.error_message}"
    exchange.failure = Failure(kind, message)
