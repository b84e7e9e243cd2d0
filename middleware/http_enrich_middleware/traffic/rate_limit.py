"""Keeps to the rates that an API allows."""

from __future__ import annotations

import math
from collections.abc import Awaitable
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from http_enrich_middleware import (
    DEADLINE_EXCEEDED,
    Failure,
    LocalPermits,
    Middleware,
    MiddlewareConfig,
    NotSentError,
    PermitSource,
    Rate,
    RequestExchange,
    Step,
    WorkerRuntime,
)
from http_enrich_middleware._permits import MAX_LIMIT
from http_enrich_transport import Count, Seconds, Settings

Limit = Annotated[Count, Field(le=MAX_LIMIT)]


class RateConfig(Settings):
    """At most `limit` requests in any `per`."""

    limit: Limit
    per: Annotated[Seconds, Field(gt=0)]
    burst: Count | None = None
    """How many may go at once; default: 0.1 s worth, and for windows of more than a minute all of them."""


class Config(MiddlewareConfig):
    """Each attempt takes a permit before it is sent, and waits until there is one."""

    changes_answers: ClassVar[bool] = False
    type: Literal["rate_limit"] = "rate_limit"
    max_requests_per_second: Annotated[float, Field(gt=0, le=MAX_LIMIT, allow_inf_nan=False)] | None = None
    rates: Annotated[list[RateConfig], Field(min_length=1, max_length=10)] | None = None
    """Several windows that are all kept, such as 100 per 1s and 50000 per 1d."""
    burst: Count | None = None
    """Goes with `max_requests_per_second`."""
    scope: Literal["worker", "cluster"] = "cluster"
    """Whether the limit is each worker's own, or that of all of them together."""
    on_exhausted: Literal["wait", "fail"] = "wait"

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Self:
        if (self.max_requests_per_second is None) == (self.rates is None):
            msg = "give exactly one of max_requests_per_second and rates"
            raise ValueError(msg)
        if self.rates is not None and self.burst is not None:
            msg = "burst goes with max_requests_per_second; give each of the rates its own"
            raise ValueError(msg)
        return self

    def cluster_rates(self) -> list[Rate]:
        """Return the rates that all workers together have to keep to."""
        return self.parsed() if self.scope == "cluster" else []

    def parsed(self) -> list[Rate]:
        """Return the rates to keep."""
        if self.rates is not None:
            return [Rate(each.limit, each.per, each.burst) for each in self.rates]
        per_second = self.max_requests_per_second or 1.0
        # 2.5 a second is 2 in 0.8 s: never a fraction of a request.
        limit = max(1, math.floor(per_second))
        return [Rate(limit, limit / per_second, self.burst)]


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; it knows the times of this worker's last requests."""
    queue = _Queue(config, runtime)
    take, run = queue.source.take, runtime.run

    def limit(exchange: RequestExchange) -> Awaitable[None] | None:
        # Once the run is stopped nothing is sent any more, so there is nothing to wait for.
        return None if take() or run.stopped is not None else queue.wait(exchange)

    return Step(before=limit, waits=True)


class _Queue:
    """Where rows wait that find no permit at once."""

    def __init__(self, config: Config, runtime: WorkerRuntime) -> None:
        self.source = _source(config, runtime)
        # A pause that a row was asked for is one for all rows, those that are sure of a permit included.
        runtime.brake.follow(self.source)
        self._clock, self._brake, self._run = runtime.clock, runtime.brake, runtime.run
        self._waits = config.on_exhausted == "wait"

    async def wait(self, exchange: RequestExchange) -> None:
        """Wait for a permit, as long as the run goes on; raises `NotSentError`."""
        asked = self._clock()
        until = exchange.until if self._waits else min(exchange.until, asked + self.source.patience)
        granted = False
        async with self._run.until_stopped():
            granted = await self.source.acquire(until)
            if self._clock() - asked > _NOTICEABLE:
                granted = granted and await self._resumed(until)
        waited = self._clock() - asked
        if waited > _NOTICEABLE:
            exchange.spend("limiter", waited)
        if not granted and self._run.stopped is None:
            raise NotSentError(_LATE if self._waits else _EXHAUSTED)

    async def _resumed(self, until: float) -> bool:
        """See to it that a row that had to wait does not go into a pause that has begun meanwhile."""
        while not self._brake.take():
            # When the pause is over the permit is old, and all who have one would go at once.
            if not (await self._brake.acquire(until) and await self.source.acquire(until)):
                return False
        return True


_NOTICEABLE = 0.0001
"""Seconds; less is not a wait but the clock ticking on."""

_EXHAUSTED = Failure("rate_limit_exhausted", "the rate limit left no permit for this request")
_LATE = Failure(DEADLINE_EXCEEDED, "the rate limit left no permit before the row's deadline")


def _source(config: Config, runtime: WorkerRuntime) -> PermitSource:
    rates = config.parsed()
    if config.scope == "cluster":
        if runtime.cluster_permits is not None:
            return runtime.cluster_permits(rates)
        rates = [rate.share(runtime.slots) for rate in rates]
    return LocalPermits(rates, clock=runtime.clock, sleep=runtime.sleep)
