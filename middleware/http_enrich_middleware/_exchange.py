"""What travels along the chain."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any

import msgspec

from http_enrich_transport import Sent, TransportRequest, TransportResponse

CIRCUIT_OPEN = "circuit_open"
"""Kind of the failure of a row that was not sent because the API is taken for dead."""

DEADLINE_EXCEEDED = "deadline_exceeded"
"""Kind of the failure of a row whose time was over before its request could be sent."""

RUN_STOPPED = "run_stopped"
"""Kind of the failure of every row that comes after the run was given up."""


class Failure(msgspec.Struct, frozen=True):
    """
    Why an exchange is no success although the transport has no error of its own.

    `retry` says that another attempt is safe and may help; whoever sets it has
    to know both, since it is asked for nothing else.
    """

    kind: str
    message: str
    retry: bool = False


class Verdict(StrEnum):
    """What a middleware makes of an answer, where its status would say something else."""

    SUCCESS = "success"
    """As good as a 2xx answer."""
    IGNORE = "ignore"
    """No error, and nothing to read either."""
    REFRESH_AUTH = "refresh_auth"
    """The credentials are not good any more; goes with a failure."""


class RequestExchange(msgspec.Struct):
    """
    One row's request and what became of it.

    `attempts` counts requests handed to the transport, each of which reaches
    the wire once at most; `sent` is how far the furthest of them got. `failure`
    is set by a middleware that finds the answer wanting, or that stopped the
    request from being sent; `verdict` by one that sees it with other eyes.
    Response, failure and verdict are those of the last attempt.

    `deadline`, in seconds of the worker's clock, is when the row's time is
    over. `row_id` holds the values of the pipeline's id columns, if a middleware
    asks for them. `spent` says what was waited for: seconds per word, such as
    `backoff` or `limiter`. Where the time of the attempts themselves went, in
    seconds over all of them, say `queued` (until there was a connection to use),
    `connected` (opening one) and `served` (all the rest). `metadata` is what
    ends up in the row's `http.metadata`.
    """

    request: TransportRequest
    response: TransportResponse | None = None
    failure: Failure | None = None
    verdict: Verdict | None = None
    attempts: int = 0
    sent: Sent = Sent.NOT_SENT
    deadline: float | None = None
    row_id: tuple[Any, ...] = ()
    idempotency_key: str | None = None
    spent: dict[str, float] = {}
    queued: float = 0.0
    connected: float = 0.0
    served: float = 0.0
    metadata: dict[str, str] = {}

    @property
    def until(self) -> float:
        """When the row's time is over; infinity if it has no deadline."""
        return math.inf if self.deadline is None else self.deadline

    @property
    def status(self) -> int | None:
        """The HTTP status, when there is one."""
        return self.response.status if self.response else None

    @property
    def error_kind(self) -> str | None:
        """What failed, as a stable word; `None` means success: an answer with a 2xx status, or a verdict."""
        if self.failure:
            return self.failure.kind
        response = self.response
        if response is None:
            return "not_sent"
        if response.error:
            return str(response.error.kind)
        fine = 200 <= (response.status or 0) < 300 or self.verdict is not None
        return None if fine else "http_status"

    @property
    def error_message(self) -> str | None:
        """What failed, in words fit for logs and tables."""
        if self.failure:
            return self.failure.message
        if self.response and self.response.error:
            return self.response.error.message
        return f"HTTP status {self.status}" if self.error_kind else None

    def spend(self, what: str, seconds: float) -> None:
        """Add *seconds* to the time spent on *what*."""
        self.spent[what] = self.spent.get(what, 0.0) + seconds


Handler = Callable[[RequestExchange], Awaitable[RequestExchange]]
"""The next step: takes the exchange to its end and hands it back."""

Middleware = Callable[[RequestExchange, Handler], Awaitable[RequestExchange]]
"""One step: does its work before and after awaiting the next."""
