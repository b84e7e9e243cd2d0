"""Middleware that does not repeat, and seldom waits, in a form that costs less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._exchange import Failure, Handler, RequestExchange

Before = Callable[[RequestExchange], Any]
"""Sees a row on its way to the API; what it returns is handed to `After`."""

After = Callable[[RequestExchange, Any], None]
"""Sees a row on its way back, with what `Before` has returned."""


class NotSentError(Exception):
    """Raised by a `Before` to keep a row from being sent; carries the failure that it ends with."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind)
        self.failure = failure


def _nothing(exchange: RequestExchange) -> None:
    return None


def _leave(exchange: RequestExchange, kept: Any) -> None:
    return None


@dataclass(frozen=True)
class Step:
    """
    A middleware made of two plain functions.

    A coroutine for each of them would cost more than most of them do: those that
    stand beside each other in the list share one.
    """

    before: Before = _nothing
    after: After = _leave
    waits: bool = False
    """Whether `before` may return something to be waited for; None says that there is nothing."""
    clock: Callable[[], float] | None = None
    """If given, `after` gets a pair: what `before` has returned, and the seconds by it since then."""
    bulk: bool = False
    """
    Whether it may be done for many rows at once, some time before they are sent and after they are answered.

    Then it looks at no clock but that of `clock`, and at nothing that other rows change meanwhile.
    """

    async def __call__(self, exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        """Do what the chain does for several at a time."""
        try:
            kept = self.before(exchange)
            if self.waits and kept is not None:
                kept = await kept
        except NotSentError as error:
            exchange.failure = error.failure
            return exchange
        started = self.clock() if self.clock is not None else 0.0
        exchange = await call_next(exchange)
        self.after(exchange, kept if self.clock is None else (kept, self.clock() - started))
        return exchange

    @property
    def looks_before(self) -> bool:
        """Whether there is anything to do on the way to the API."""
        return self.before is not _nothing or self.clock is not None

    @property
    def looks_after(self) -> bool:
        """Whether there is anything to do on the way back."""
        return self.after is not _leave
