"""Tries again when that is likely to help, safe to do, and does no harm to the peer."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from http_enrich_middleware import (
    CIRCUIT_OPEN,
    DEADLINE_EXCEEDED,
    RUN_STOPPED,
    Handler,
    Middleware,
    MiddlewareConfig,
    RequestExchange,
    WorkerRuntime,
    retry_after,
)
from http_enrich_transport import RETRYABLE_KINDS, Count, Seconds, Sent

from ._retry_budget import Budget, Budgets, RetryBudget

Stop = Literal["ok", "not_retryable", "attempts", "deadline", "budget", "circuit", "stopped"]
"""Why no further attempt was made."""

# RFC 9110 §9.2.2: sending these twice has the effect of sending them once.
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_REFUSED = frozenset({425, 429, 503})
"""Answers that say the request was turned away; after others it may have had its effect."""

_UNSUPPORTED = {501: "the peer does not know the method", 505: "the peer does not speak this version of HTTP"}

_STOPPED_BY: dict[str, Stop] = {
    DEADLINE_EXCEEDED: "deadline",
    CIRCUIT_OPEN: "circuit",
    RUN_STOPPED: "stopped",
}


def _may_pass(status: int) -> int:
    if status in _UNSUPPORTED:
        msg = f"{status} is final: {_UNSUPPORTED[status]}, now as later"
        raise ValueError(msg)
    if status < 300:
        msg = f"{status} is no failure; response_rules may find one in a body, and asks for the retry itself"
        raise ValueError(msg)
    return status


Status = Annotated[int, Field(ge=100, le=599), AfterValidator(_may_pass)]


class Config(MiddlewareConfig):
    """Exponential backoff with full jitter; the cap is applied before the jitter."""

    changes_answers: ClassVar[bool] = False
    type: Literal["retry"] = "retry"
    max_attempts: Count = 3
    """Counts the first try."""
    retry_status_codes: frozenset[Status] | None = None
    """
    Default: 408, 425, 429, 500, 502, 503, 504; for methods that are not idempotent, and without
    an idempotency key, 425, 429, 503.
    """
    base_delay: Seconds = 0.2
    """Longest wait before the second attempt; it doubles from there."""
    throttle_base_delay: Seconds = 1.0
    """The same after 429, or 503 with `Retry-After`, if it is longer; the AWS SDKs take a second."""
    max_delay: Seconds = Field(default=20.0)
    """Longest wait of all, a `Retry-After` of the peer aside."""
    retry_after: bool = True
    """Wait as many seconds as the peer's `Retry-After` says, up to five minutes, and the backoff on top."""
    deadline: Annotated[Seconds, Field(gt=0)] | None = 300.0
    """Seconds for a row's attempts and waits together; null: no end but that of `max_attempts`."""
    budget: Budget | None = Budget()
    """What retries may cost, per origin and worker; null: whatever `max_attempts` makes of it."""

    @model_validator(mode="after")
    def _waits_end(self) -> Self:
        if self.deadline is None and self.budget is not None and self.budget.on_exhausted == "wait":
            msg = "deadline: rows that wait for their budget need one, else they may wait for ever"
            raise ValueError(msg)
        return self


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it keeps a budget for each of the last hundred origins, and who waits for it."""
    clock, limit = runtime.clock, config.deadline
    budgets, repeat = Budgets(config.budget, runtime), _Repeater(config, runtime)

    async def retry(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        now, outer = clock(), exchange.deadline
        if limit is not None and (outer is None or now + limit < outer):
            exchange.deadline = now + limit
        budget = budgets.of(exchange.request.url, now)
        exchange = await call_next(exchange)
        if exchange.error_kind is None:
            if exchange.attempts:  # an answer from a cache says nothing about the peer
                budget.succeeded()
            exchange.metadata["retry.stop"] = "ok"
        else:
            exchange.metadata["retry.stop"] = await repeat(exchange, call_next, budget)
        exchange.deadline = outer
        return exchange

    return retry


class _Repeater:
    """What happens after a first try that failed."""

    def __init__(self, config: Config, runtime: WorkerRuntime) -> None:
        self._config, self._runtime = config, runtime
        self._queues = config.budget is not None and config.budget.on_exhausted == "wait"

    async def __call__(self, exchange: RequestExchange, call_next: Handler, budget: RetryBudget) -> Stop:
        """Repeat *exchange* as long as that is worthwhile; return why it ended."""
        attempt, earned = 1, 1
        if exchange.attempts:
            budget.failed()
        while (stop := self._reason_to_stop(exchange, attempt)) is None:
            price = await self._pause(exchange, budget, attempt)
            if isinstance(price, str):
                return price
            exchange = await _again(exchange, call_next)
            attempt, earned = attempt + 1, price
        if stop != "attempts" and _is_up(exchange):
            budget.earn(earned)
        return stop

    def _reason_to_stop(self, exchange: RequestExchange, attempt: int) -> Stop | None:
        if exchange.error_kind is None:
            return "ok"
        failure = exchange.failure
        if failure is not None and not failure.retry:
            return _STOPPED_BY.get(failure.kind, "not_retryable")
        if self._runtime.run.stopped is not None:
            return "stopped"
        if failure is None and not _is_retryable(exchange, self._config.retry_status_codes):
            return "not_retryable"
        return "attempts" if attempt >= self._config.max_attempts else None

    async def _pause(self, exchange: RequestExchange, budget: RetryBudget, attempt: int) -> Stop | int:
        """Wait until the next attempt may start; return its price, or why there is none."""
        now = self._runtime.clock()
        asked = self._asked(exchange)
        delay, throttled = self._delay(exchange, attempt, asked)
        if throttled and asked:
            self._runtime.brake.pause(asked)
        # No time would be left for the attempt, and the failure that there is says more.
        if now + delay >= exchange.until:
            return "deadline"
        price: Stop | int = "stopped"
        async with self._runtime.run.until_stopped():
            price = await self._paid(exchange, budget, delay, throttled=throttled)
        return price

    async def _paid(
        self, exchange: RequestExchange, budget: RetryBudget, delay: float, *, throttled: bool
    ) -> Stop | int:
        """Pay for the next attempt and wait until *delay* is over; return the price, if it can be had."""
        clock = self._runtime.clock
        now = clock()
        price = await budget.pay(throttled=throttled, until=exchange.until)
        waited = clock() - now if self._queues else 0.0
        if self._queues:
            exchange.spend("budget", waited)
        if price is None:
            return "budget"
        left = max(0.0, delay - waited)
        await self._runtime.sleep(left)
        exchange.spend("backoff", left)
        return price

    def _asked(self, exchange: RequestExchange) -> float | None:
        """Return the seconds for which the peer wants to be left alone, if it says so and is heeded."""
        response = exchange.response
        if not self._config.retry_after or response is None:
            return None
        return retry_after(response.headers, self._runtime.now())

    def _delay(self, exchange: RequestExchange, attempt: int, asked: float | None) -> tuple[float, bool]:
        """Return the seconds before the next attempt, and whether the peer wants less traffic."""
        config = self._config
        throttled = exchange.status == 429 or (exchange.status == 503 and asked is not None)
        base = max(config.base_delay, config.throttle_base_delay) if throttled else config.base_delay
        doublings = min(attempt - 1, 60)  # beyond that any cap is reached, and a float is not endless
        cap = min(config.max_delay, base * 2.0**doublings)
        # Rows that were told the same second must not come back in it together: the jitter goes on top.
        return (asked or 0.0) + self._runtime.uniform(0.0, cap), throttled


async def _again(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
    """Send *exchange* once more; if the run is stopped before that, it keeps the answer that it has."""
    failure, verdict, attempts = exchange.failure, exchange.verdict, exchange.attempts
    # A step that answers without sending must not be taken for the attempt before.
    exchange.failure = exchange.verdict = None
    exchange = await call_next(exchange)
    if exchange.error_kind == RUN_STOPPED and 0 < exchange.attempts == attempts:
        exchange.failure, exchange.verdict = failure, verdict
    return exchange


def _is_retryable(exchange: RequestExchange, codes: frozenset[int] | None) -> bool:
    response = exchange.response
    if response is None:
        return False
    repeatable = exchange.request.method in _IDEMPOTENT or exchange.idempotency_key is not None
    if response.error is None:
        return response.status in ((_TRANSIENT if repeatable else _REFUSED) if codes is None else codes)
    if response.error.kind not in RETRYABLE_KINDS:
        return False
    # What may have reached the peer may have had its effect already.
    return response.sent is Sent.NOT_SENT or repeatable


def _is_up(exchange: RequestExchange) -> bool:
    """Say whether the peer is well: "not found" and "unauthorized" take a working one, as a success does."""
    response = exchange.response
    if exchange.error_kind is None:
        return True
    if exchange.failure is not None or response is None or response.error is not None:
        return False
    return (response.status or 0) < 500 and response.status not in _TRANSIENT
