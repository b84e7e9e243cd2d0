"""Finds out how many requests at a time an API bears."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from http_enrich_middleware import (
    DEADLINE_EXCEEDED,
    RUN_STOPPED,
    Failure,
    Handler,
    Middleware,
    MiddlewareConfig,
    Origin,
    RequestExchange,
    RunState,
    WorkerRuntime,
    retry_after,
)
from http_enrich_transport import Count, TransportResponse
from http_enrich_transport import TransportErrorKind as Kind

from ._aimd import Aimd

logger = logging.getLogger("http_enrich")

_THROTTLED = frozenset({429, 503})
_CONGESTED = _THROTTLED | {504}
"""Too many requests, service unavailable, and a gateway that has waited too long."""

_TOO_LATE = frozenset({Kind.CONNECT_TIMEOUT, Kind.READ_TIMEOUT, Kind.TOTAL_TIMEOUT})

_WORTH_TELLING = 10.0
"""Seconds; an API may ask for a short pause every few of them."""

_NOTICEABLE = 0.0001
"""Seconds; less is not a wait but the clock ticking on."""


class Config(MiddlewareConfig):
    """As many requests at a time as the API copes with, and none for as long as it asks for."""

    changes_answers: ClassVar[bool] = False
    type: Literal["adaptive_concurrency"] = "adaptive_concurrency"
    min: Count = 1
    """Requests at a time, of each worker, that refusals leave in any case."""
    max: Count | None = None
    """Default, and never more than: `execution.concurrency`."""
    decrease: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """What the limit is multiplied with when that is too much; as in CUBIC (RFC 9438 §4.6)."""
    latency_tolerance: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = 2.0
    """
    How many times slower than at its best the API may get; null: only refusals and timeouts count.
    Netflix's Gradient2 tolerates 1.5, among services whose requests are much alike.
    """

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max is not None and self.max < self.min:
            msg = "min is more than max"
            raise ValueError(msg)
        return self


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it knows the limit of this worker, who is under way, who waits, and latencies."""
    highest = min(config.max or runtime.concurrency, runtime.concurrency)
    lowest = min(config.min, highest)
    gate = _Gate(Aimd(lowest, highest, config.decrease, config.latency_tolerance))
    pilot = _Pilot(gate, runtime)
    clock, run = runtime.clock, runtime.run
    endpoint = Origin(runtime.base_url)
    elsewhere = bool(endpoint.name)

    async def adaptive_concurrency(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        if run.stopped is not None or (elsewhere and not endpoint.covers(exchange.request.url)):
            return await call_next(exchange)
        until = exchange.until
        if not gate.enter_now():
            asked = clock()
            entered = False
            async with run.until_stopped():
                entered = await gate.enter(until - asked)
            exchange.spend("concurrency", clock() - asked)
            if not entered:
                exchange.failure = _unsent(run, _NO_PLACE)
                return exchange
        try:
            return await pilot.send(exchange, call_next, until)
        finally:
            gate.leave()

    return adaptive_concurrency


_NO_PLACE = Failure(DEADLINE_EXCEEDED, "too many requests were under way until the row's deadline")
_PAUSED = Failure(DEADLINE_EXCEEDED, "the API had asked for a pause beyond the row's deadline")


def _unsent(run: RunState, late: Failure) -> Failure:
    """Return why a row is not sent: since the run is over, or it was too *late* for it."""
    return late if run.stopped is None else Failure(RUN_STOPPED, run.stopped)


class _Gate:
    """Lets as many rows in as the limit says, in the order in which they came."""

    def __init__(self, law: Aimd) -> None:
        self.law = law
        self.inside = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    def enter_now(self) -> bool:
        """Enter if nobody has to wait."""
        if self._queue or self.inside >= self.law.limit:
            return False
        self.inside += 1
        return True

    async def enter(self, patience: float) -> bool:
        """Wait to be let in; False if that took *patience* seconds."""
        if patience <= 0:
            return False
        place = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        try:
            async with asyncio.timeout(None if patience == math.inf else patience):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self.leave()  # let in at the very moment of giving up
            elif place in self._queue:
                self._queue.remove(place)
            if isinstance(error, TimeoutError):
                return False
            raise
        return True

    def leave(self) -> None:
        """Give the place back, and let in whom the limit allows by now."""
        self.inside -= 1
        while self._queue and self.inside < self.law.limit:
            place = self._queue.popleft()
            if not place.done():
                self.inside += 1
                place.set_result(None)


class _Pilot:
    """Sends rows that were let in, and reads the API's answers for what they say about its load."""

    def __init__(self, gate: _Gate, runtime: WorkerRuntime) -> None:
        self._gate, self._law, self._brake, self._run = gate, gate.law, runtime.brake, runtime.run
        self._clock, self._now, self._sleep = runtime.clock, runtime.now, runtime.sleep
        self._paused_until = -math.inf

    async def send(self, exchange: RequestExchange, call_next: Handler, until: float) -> RequestExchange:
        """Send the request of *exchange* once no pause is in force."""
        clock = self._clock
        asked = clock()
        goes = self._brake.take()
        if not goes:
            async with self._run.until_stopped():
                goes = await self._resumed(until)
        started = clock()
        if started - asked > _NOTICEABLE:
            exchange.spend("paused", started - asked)
        if not goes:
            exchange.failure = _unsent(self._run, _PAUSED)
            return exchange
        number, attempts, waits = self._law.send(), exchange.attempts, _waits(exchange)
        exchange = await call_next(exchange)
        if exchange.attempts > attempts and exchange.response is not None:  # else it was not sent
            # A wait for a permit, further down, is not the API's.
            seconds = max(0.0, clock() - started - (_waits(exchange) - waits))
            self._read(exchange, exchange.response, number, seconds)
        return exchange

    async def _resumed(self, until: float) -> bool:
        """Wait for the end of the pause; False, at the time *until*, if it is longer."""
        goes = await self._brake.acquire(until)
        if not goes:
            # A row that fails at once would make room for the next one to fail: a pause would cost the table.
            await self._sleep(max(0.0, until - self._clock()))
        return goes

    def _read(
        self, exchange: RequestExchange, response: TransportResponse, number: int, seconds: float
    ) -> None:
        status = response.status or 0
        if status in _CONGESTED and exchange.verdict is None:
            self._law.congested(number)
            if status in _THROTTLED:
                self._pause(response)
        elif response.error is not None:
            # The row may have left the API no time to answer.
            if response.error.kind in _TOO_LATE and self._clock() < exchange.until:
                self._law.congested(number)
        elif status < 500:
            self._law.answered(number, self._gate.inside, seconds)

    def _pause(self, response: TransportResponse) -> None:
        seconds = retry_after(response.headers, self._now())
        if not seconds:
            return
        now = self._clock()
        if now >= self._paused_until and seconds >= _WORTH_TELLING:
            logger.warning("the API asks for a pause of %.0f s; nothing is sent before it is over", seconds)
        self._paused_until = max(self._paused_until, now + seconds)
        self._brake.pause(seconds)


def _waits(exchange: RequestExchange) -> float:
    return sum(exchange.spent.values()) if exchange.spent else 0.0
