"""Keeps retries from becoming the load under which an API stays down."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Literal, Self

from pydantic import Field, model_validator

from http_enrich_middleware import WorkerRuntime, origin_of
from http_enrich_transport import Count, Settings

WINDOW = 10
"""Seconds over which retries are compared with first tries; Finagle's `RetryBudget` takes as many."""

MOST_ORIGINS = 100
"""Origins whose budgets are kept; a worker that asks more of them forgets the one used longest ago."""

# One slot more than the window has seconds: the oldest is only partly inside. Its retries are
# counted and its first tries are not, so that the limit holds for every instant and not just on average.
_SLOTS = WINDOW + 1

_SHORTEST = 0.001  # seconds; a rounding error of the clock must not become a busy loop
_LONGEST = 3600.0  # seconds; timers need not take infinity


class Budget(Settings):
    """
    What retries to one origin may cost in one worker.

    A retry has to be paid for from a bucket of tokens, as in the AWS SDKs
    ("retries 2.1"), and must fit below a rate, as in Finagle.
    """

    tokens: Count = 500
    """What the bucket holds, and begins with."""
    cost: Count = 14
    """Tokens for a retry; it gets them back if the row succeeds, and a success at once brings one."""
    throttle_cost: Count = 5
    """The same for a retry after 429, or 503 with `Retry-After`: a peer that is up, and sets the pace."""
    ratio: float = Field(default=0.1, ge=0, allow_inf_nan=False)
    """Retries per first try, over the last ten seconds; Google's SRE book has a tenth."""
    per_second: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """Retries per second on top of `ratio`, so that a slow trickle of rows is repeated too."""
    on_exhausted: Literal["fail", "wait"] = "fail"
    """Whether a row whose retry cannot be paid for ends with its failure, or waits until its deadline."""

    @model_validator(mode="after")
    def _holds_a_retry(self) -> Self:
        if self.tokens < max(self.cost, self.throttle_cost):
            msg = "tokens: has to be at least cost and throttle_cost, else nothing is ever tried again"
            raise ValueError(msg)
        return self


_BOUNDLESS = Budget(tokens=10**12, cost=1, throttle_cost=1, ratio=1e12, per_second=1e12)


class Budgets:
    """The budgets of a worker, one per origin."""

    def __init__(self, config: Budget | None, runtime: WorkerRuntime) -> None:
        self._config, self._runtime = config or _BOUNDLESS, runtime
        self._known: dict[str, RetryBudget] = {}
        self._prefix = " "  # no address begins with it
        self._current: RetryBudget

    def of(self, url: str, now: float) -> RetryBudget:
        """Return the budget for the origin of *url*, brought up to *now*."""
        if not url.startswith(self._prefix):
            self._turn_to(url)
        budget = self._current
        if now >= budget.rolls_at:
            budget.roll(now)
        return budget

    def _turn_to(self, url: str) -> None:
        name = origin_of(url)
        budget = self._known.pop(name, None) or RetryBudget(self._config, self._runtime)
        self._known[name] = self._current = budget
        if len(self._known) > MOST_ORIGINS:
            del self._known[next(iter(self._known))]
        # Without the slash it would cover http://api.test.example too.
        slash = url.find("/", len("https://"))
        self._prefix = url[: slash + 1] if slash > 0 else " "


class RetryBudget:
    """What is left for retries to one origin, and who waits for more."""

    def __init__(self, config: Budget, runtime: WorkerRuntime) -> None:
        self.tokens = config.tokens
        self.rolls_at = 0.0
        self._config = config
        self._clock, self._sleep, self._run = runtime.clock, runtime.sleep, runtime.run
        self._pause = 1 / config.per_second if config.per_second else float("inf")
        self._firsts, self._retries = [0] * _SLOTS, [0] * _SLOTS
        self._second = self._slot = 0
        self._last = float("-inf")
        self._queue: deque[_Turn] = deque()
        self._wanted = float("inf")  # tokens for which the first in the queue is woken

    def roll(self, now: float) -> None:
        """Forget what is older than the window."""
        second = int(now)
        for passed in range(max(self._second + 1, second - _SLOTS + 1), second + 1):
            self._firsts[passed % _SLOTS] = self._retries[passed % _SLOTS] = 0
        self._second, self._slot, self.rolls_at = second, second % _SLOTS, second + 1.0

    def succeeded(self) -> None:
        """Count a first try, and one that needs no other."""
        self._firsts[self._slot] += 1
        if self.tokens < self._config.tokens:
            self.earn(1)

    def failed(self) -> None:
        """Count a first try."""
        self._firsts[self._slot] += 1

    def earn(self, tokens: int) -> None:
        """Put *tokens* into the bucket."""
        self.tokens = min(self._config.tokens, self.tokens + tokens)
        if self.tokens >= self._wanted:
            self._wake()

    async def pay(self, *, throttled: bool, until: float) -> int | None:
        """
        Pay for a retry, and return the price; None says that it cannot be had.

        Where rows wait, they do so in the order in which they came, and *until*
        then at most. If even the tokens are used up, one row per `1 / per_second`
        seconds goes ahead for nothing: somebody has to find out that the API is back.
        """
        config = self._config
        cost = config.throttle_cost if throttled else config.cost
        price = None if self._queue else self._take(cost, self._clock())
        if price is None and config.on_exhausted == "wait":
            price = await self._wait(_Turn(cost), until)
        return price

    def _take(self, cost: int, now: float) -> int | None:
        self.roll(now)
        if self.tokens < cost or not self._below_rate():
            return None
        self.tokens -= cost
        self._count_retry(now)
        return cost

    def _below_rate(self) -> bool:
        firsts = sum(self._firsts) - self._firsts[(self._slot + 1) % _SLOTS]
        return sum(self._retries) + 1 <= self._config.ratio * firsts + self._config.per_second * WINDOW

    def _count_retry(self, now: float) -> None:
        self._retries[self._slot] += 1
        self._last = now

    async def _wait(self, turn: _Turn, until: float) -> int | None:
        self._queue.append(turn)
        try:
            while (now := self._clock()) < until and self._run.stopped is None:
                is_first = self._queue[0] is turn
                price = self._take_or_probe(turn.cost, now) if is_first else None
                if price is not None:
                    return price
                step = self._next_chance(turn.cost, now) if is_first else _LONGEST
                await turn.rest(self._sleep(max(_SHORTEST, min(step, until - now))))
            return None
        finally:
            self._queue.remove(turn)
            self._wake()

    def _take_or_probe(self, cost: int, now: float) -> int | None:
        price = self._take(cost, now)
        if price is None and now >= self._last + self._pause and self._below_rate():
            self._count_retry(now)
            return 0
        return price

    def _next_chance(self, cost: int, now: float) -> float:
        """Return the seconds after which time alone may let the first in the queue go."""
        self._wanted = cost if self.tokens < cost else float("inf")
        if self._below_rate():
            return min(_LONGEST, self._last + self._pause - now)
        return self.rolls_at - now

    def _wake(self) -> None:
        self._wanted = float("inf")
        if self._queue:
            self._queue[0].wake()


class _Turn:
    """A row's place in the queue."""

    def __init__(self, cost: int) -> None:
        self.cost = cost
        self._woken: asyncio.Future[None] | None = None

    async def rest(self, sleep: Awaitable[None]) -> None:
        """Wait for the end of *sleep*, or until woken."""
        timer = asyncio.ensure_future(sleep)
        self._woken = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait({timer, self._woken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()

    def wake(self) -> None:
        """End the rest."""
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)
