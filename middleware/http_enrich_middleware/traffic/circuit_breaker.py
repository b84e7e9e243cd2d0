"""Lets rows wait while the API is down, instead of burning them."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from http_enrich_middleware import (
    CIRCUIT_OPEN,
    RUN_STOPPED,
    Failure,
    Handler,
    Middleware,
    MiddlewareConfig,
    Origin,
    RequestExchange,
    WorkerRuntime,
)
from http_enrich_transport import Count, Seconds
from http_enrich_transport import TransportErrorKind as Kind

from ._breaker import Breaker, State

logger = logging.getLogger("http_enrich")

_NOT_THE_PEERS = frozenset(
    {
        # Our own doing, or an answer of a peer that is alive.
        Kind.INVALID_REQUEST,
        Kind.EGRESS_BLOCKED,
        Kind.LOCAL_RESOURCE,
        Kind.ENGINE_ERROR,
        Kind.BODY_TOO_LARGE,
        Kind.CONTENT_ENCODING,
        Kind.HEADER_TOO_LARGE,
    }
)
_NEVER_BETTER = frozenset({501, 505})
"""Not implemented, HTTP version not supported: answers of an API that works."""

_TIMEOUTS = frozenset({Kind.DNS_TIMEOUT, Kind.CONNECT_TIMEOUT, Kind.READ_TIMEOUT, Kind.TOTAL_TIMEOUT})

_FAIR_CHANCE = 1.0
"""Seconds; an attempt that had less before its row's deadline says nothing about the API."""


class Config(MiddlewareConfig):
    """
    Opens when `failure_ratio` of the last `window` requests failed; rows are then parked.

    The constants are those of resilience4j, but for `min_requests`, which waits
    for 100 there, and `open_for`, which is 60 s there and does not grow.
    """

    changes_answers: ClassVar[bool] = False
    type: Literal["circuit_breaker"] = "circuit_breaker"
    window: Count = 100
    """Requests that are looked at."""
    min_requests: Count = 20
    """Requests before there is anything to judge by."""
    failure_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    open_for: Annotated[Seconds, Field(gt=0)] = 5.0
    """How long no request is sent before the first probes; it doubles each time they fail."""
    max_open_for: Annotated[Seconds, Field(gt=0)] = 60.0
    """Up to here."""
    probes: Count = 3
    """Requests that have to succeed before all others follow."""
    max_open: Annotated[Seconds, Field(gt=0)] = 600.0
    """When the API has been down for that long, a last probe decides whether the run ends."""

    @model_validator(mode="after")
    def _can_open(self) -> Self:
        if self.min_requests > self.window:
            msg = "min_requests is more than window, so the breaker would never open"
            raise ValueError(msg)
        if self.max_open_for < self.open_for:
            msg = "max_open_for is less than open_for"
            raise ValueError(msg)
        return self


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it knows how this worker's last requests to the endpoint went."""
    endpoint = Origin(runtime.base_url)
    gate = _Gate(config, runtime, endpoint.name or "the API")
    breaker, clock = gate.breaker, runtime.clock
    elsewhere = bool(endpoint.name)

    async def circuit_breaker(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        if elsewhere and not endpoint.covers(exchange.request.url):
            return await call_next(exchange)  # a redirect has led there; it says nothing about the endpoint
        if breaker.state is not State.CLOSED:
            if not await gate.enter(exchange):
                return exchange
            if breaker.state is State.HALF_OPEN:
                return await gate.probe(exchange, call_next)
        trial, time_left = breaker.trial, _time_left(exchange, clock)
        exchange = await call_next(exchange)
        failed = _failed(exchange, time_left)
        if failed is not None and breaker.note(failed, clock(), trial):
            gate.tell_opened(exchange)
        return exchange

    return circuit_breaker


class _Gate:
    """Where rows are parked; only the first of them has a timer, or waits for the probes."""

    def __init__(self, config: Config, runtime: WorkerRuntime, peer: str) -> None:
        self.breaker = Breaker(
            window=config.window,
            min_requests=config.min_requests,
            ratio=config.failure_ratio,
            open_for=config.open_for,
            longest=config.max_open_for,
            max_open=config.max_open,
            probes=config.probes,
        )
        self._max_open = config.max_open
        self._runtime, self._peer = runtime, peer
        self._turn = asyncio.Lock()
        self._probed = asyncio.Event()

    async def enter(self, exchange: RequestExchange) -> bool:
        """Park the row of *exchange*; return whether it may go: as a probe unless the breaker has closed."""
        clock, run = self._runtime.clock, self._runtime.run
        parked_at = clock()
        until = exchange.until
        try:
            async with (
                run.until_stopped(),
                asyncio.timeout(None if until == math.inf else max(0.0, until - parked_at)),
            ):
                await self._park(until)
        except TimeoutError:
            exchange.failure = Failure(CIRCUIT_OPEN, "the API was down until the row's deadline")
            return False
        finally:
            exchange.spend("circuit", clock() - parked_at)
        if run.stopped is not None:
            # Further in it would only wait for a permit before it is told the same.
            exchange.failure = Failure(RUN_STOPPED, run.stopped)
        return run.stopped is None

    async def _park(self, until: float) -> None:
        """Wait until a request may go."""
        breaker, runtime = self.breaker, self._runtime
        async with self._turn:
            # Once the run is stopped nothing is sent any more, so nobody has to be kept from it.
            while breaker.state is not State.CLOSED and runtime.run.stopped is None:
                now = runtime.clock()
                if now >= until:
                    raise TimeoutError
                if breaker.probe(now) is not None:
                    return
                if breaker.state is State.OPEN:
                    await runtime.sleep(min(breaker.open_until, until) - now)
                else:
                    self._probed.clear()
                    await self._probed.wait()

    async def probe(self, exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        """Send *exchange*, which has entered, and see what that says about the API."""
        breaker, clock = self.breaker, self._runtime.clock
        trial, time_left = breaker.trial, _time_left(exchange, clock)
        failed: bool | None = None
        try:
            exchange = await call_next(exchange)
            failed = _failed(exchange, time_left)
        finally:
            half_open = breaker.state is State.HALF_OPEN
            breaker.probed(trial, failed, clock())
            self._probed.set()
        if half_open:
            self._tell_probed(exchange)
        return exchange

    def tell_opened(self, exchange: RequestExchange) -> None:
        """Log that *exchange* was one failure too many."""
        logger.warning("circuit opened: %s; rows wait until the API has recovered", exchange.error_message)

    def _tell_probed(self, exchange: RequestExchange) -> None:
        down = self._runtime.clock() - self.breaker.opened_at
        if self.breaker.state is State.CLOSED:
            logger.info("circuit closed after %.0f s", down)
        elif self.breaker.state is State.OPEN and down >= self._max_open:
            self._runtime.run.stop(
                f"gave up: {self._peer} has been failing for {down:.0f} s ({exchange.error_message}); "
                "find out what is wrong with it and run again, or raise circuit_breaker.max_open",
                outage=True,
            )


def _time_left(exchange: RequestExchange, clock: Callable[[], float]) -> float:
    """Return the seconds that the row has left, plus what it has waited: waits to come count against it."""
    return exchange.until - clock() + sum(exchange.spent.values())


def _failed(exchange: RequestExchange, time_left: float) -> bool | None:
    """Say whether *exchange* speaks against the API; None if it says nothing about it."""
    response = exchange.response
    if exchange.failure is not None or response is None:
        return None
    if response.error is None:
        status = response.status or 0
        return status >= 500 and status not in _NEVER_BETTER and exchange.verdict is None
    kind = response.error.kind
    if kind in _NOT_THE_PEERS:
        return None
    # The row may have left the API no time to answer.
    hurried = kind in _TIMEOUTS and time_left - sum(exchange.spent.values()) < _FAIR_CHANCE
    return None if hurried else True
