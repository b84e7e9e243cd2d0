"""What travels along the chain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from http_enrich_transport import Sent, TransportRequest, TransportResponse


class Failure(msgspec.Struct, frozen=True):
    """Why an exchange is no success although the transport has no error of its own."""

    kind: str
    message: str


class RequestExchange(msgspec.Struct):
    """
    One row's request and what became of it.

    `attempts` counts requests handed to the transport, each of which reaches
    the wire once at most; `sent` is how far the furthest of them got. `metadata`
    is what ends up in the row's `http.metadata`; `failure` is set by a middleware
    that finds the answer wanting, or that stopped the request from being sent.
    """

    request: TransportRequest
    response: TransportResponse | None = None
    failure: Failure | None = None
    attempts: int = 0
    sent: Sent = Sent.NOT_SENT
    metadata: dict[str, str] = {}

    @property
    def status(self) -> int | None:
        """The HTTP status, when there is one."""
        return self.response.status if self.response else None

    @property
    def error_kind(self) -> str | None:
        """What failed, as a stable word; `None` means success: an answer with a 2xx status."""
        if self.failure:
            return self.failure.kind
        if self.response and self.response.error:
            return str(self.response.error.kind)
        if self.response is None:
            return "not_sent"
        return None if 200 <= (self.response.status or 0) < 300 else "http_status"

    @property
    def error_message(self) -> str | None:
        """What failed, in words fit for logs and tables."""
        if self.failure:
            return self.failure.message
        if self.response and self.response.error:
            return self.response.error.message
        return f"HTTP status {self.status}" if self.error_kind else None


Handler = Callable[[RequestExchange], Awaitable[RequestExchange]]
"""The next step: takes the exchange to its end and hands it back."""

Middleware = Callable[[RequestExchange, Handler], Awaitable[RequestExchange]]
"""One step: does its work before and after awaiting the next."""
