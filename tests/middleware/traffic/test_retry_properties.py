"""What holds for every retry, whatever the answers, the dice and the pace of the rows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from http_enrich_middleware import RequestExchange, build_chain
from http_enrich_middleware.traffic import retry
from http_enrich_middleware.traffic._retry_budget import Budget, Budgets, RetryBudget
from http_enrich_transport import MemoryEngine, Sent, TransportRequest, TransportResponse
from tests.support import virtual_time
from tests.support.chain import FakeTime, answer, failure, row
from tests.support.virtual_time import run

repeatable = settings(max_examples=300, deadline=None, derandomize=True, database=None)

seconds = st.sampled_from([0.0, 0.001, 0.2, 1.0, 7.5, 60.0, 1e6])
retry_afters = st.sampled_from(
    [None, "0", "1", "30", "999999", "-5", "soon", "Fri, 15 Jan 2027 08:18:20 GMT"]
)
limits = st.builds(
    Budget,
    tokens=st.sampled_from([14, 30, 100, 500]),
    ratio=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    per_second=st.sampled_from([0.0, 0.1, 0.3, 1.0, 5.0]),
    on_exhausted=st.sampled_from(["fail", "wait"]),
)


def _config(deadline: float | None, budget: Budget | None, **options: Any) -> retry.Config:
    waits = budget is not None and budget.on_exhausted == "wait"
    return retry.Config(deadline=300.0 if deadline is None and waits else deadline, budget=budget, **options)


configs = st.builds(
    _config,
    max_attempts=st.integers(1, 8),
    base_delay=seconds,
    throttle_base_delay=seconds,
    max_delay=seconds,
    retry_after=st.booleans(),
    deadline=st.sampled_from([None, 0.5, 20.0, 300.0]),
    budget=st.none() | limits,
)


@dataclass
class Reply:
    """What the peer does with one request."""

    status: int
    """Below 100 for a connection that breaks."""
    header: str | None
    latency: float

    def response(self) -> TransportResponse:
        if self.status < 100:
            return failure("reset", Sent.MAYBE_SENT)
        return answer(self.status) if self.header is None else answer(self.status, retry_after=self.header)

    def asked(self, time: FakeTime) -> float:
        """Seconds of `Retry-After`, by a reading of our own."""
        if self.status < 100 or self.header is None:
            return 0.0
        if self.header.endswith("GMT"):
            left = 1100 - time.now
            return min(left, 300.0) if left > 0 else 0.0
        return min(float(self.header), 300.0) if self.header.isdigit() else 0.0


replies = st.builds(
    Reply, st.sampled_from([0, 200, 404, 429, 500, 503]), retry_afters, st.sampled_from([0.0, 0.1, 3.0, 45.0])
)


@dataclass
class Peer:
    """Gives *replies* in turn, the last one from then on, in no more time than it is given."""

    time: FakeTime
    replies: list[Reply]
    config: retry.Config
    given: list[Reply] = field(default_factory=list)
    bounds: list[tuple[float, float]] = field(default_factory=list)

    def respond(self, request: TransportRequest) -> TransportResponse:
        reply = self.replies[min(len(self.given), len(self.replies) - 1)]
        self.given.append(reply)
        if request.timeout is not None and reply.latency >= request.timeout:
            self.time.now += request.timeout
            reply = Reply(0, None, request.timeout)
        else:
            self.time.now += reply.latency
        self.bounds.append((reply.asked(self.time), self.cap(reply)))
        return reply.response()

    def cap(self, reply: Reply) -> float:
        config = self.config
        throttled = reply.status == 429 or (
            reply.status == 503 and config.retry_after and _is_readable(reply, self.time)
        )
        base = max(config.base_delay, config.throttle_base_delay) if throttled else config.base_delay
        return min(config.max_delay, base * 2.0 ** (len(self.given) - 1))


def _is_readable(reply: Reply, time: FakeTime) -> bool:
    return reply.header is not None and (reply.header.isdigit() or reply.asked(time) > 0)


@repeatable
@given(configs, st.lists(replies, min_size=1, max_size=9), st.floats(0, 1), st.sampled_from(["GET", "POST"]))
def test_one_row_keeps_to_its_attempts_its_delays_and_its_deadline(
    config: retry.Config, given_replies: list[Reply], share: float, method: str
) -> None:
    time = FakeTime(share)
    peer = Peer(time, given_replies, config)
    engine = MemoryEngine(peer.respond)

    async def main() -> RequestExchange:
        return await build_chain([config], engine, time.runtime)(row(method))

    exchange = asyncio.run(main())
    stop = exchange.metadata["retry.stop"]

    assert 1 <= exchange.attempts == engine.calls <= config.max_attempts
    assert (stop == "ok") == (exchange.error_kind is None)
    assert stop != "attempts" or exchange.attempts == config.max_attempts
    slept = exchange.spent.get("backoff", 0.0)
    least = [asked if config.retry_after else 0.0 for asked, _ in peer.bounds][: exchange.attempts - 1]
    most = [low + cap for low, (_, cap) in zip(least, peer.bounds, strict=False)]
    assert sum(least) - 1e-6 <= slept + exchange.spent.get("budget", 0.0)
    assert slept <= sum(most) + 1e-6
    if config.budget is None or config.budget.on_exhausted == "fail":
        assert len(time.waits) == exchange.attempts - 1
        for low, wait, high in zip(least, time.waits, most, strict=True):
            assert low - 1e-9 <= wait <= high + 1e-9
    if config.deadline is not None:
        assert time.now - 1000 <= config.deadline + 1e-6


@dataclass
class Model:
    """The bucket as its documentation has it, with every single event remembered, beside the real one."""

    config: Budget
    time: FakeTime = field(default_factory=FakeTime)
    tokens: int = 0
    prices: list[int] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    retries: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tokens = self.config.tokens
        self.budgets = Budgets(self.config, self.time.runtime)

    @property
    def real(self) -> RetryBudget:
        return self.budgets.of("http://api.test/", self.time.now)

    async def passes(self, seconds: float) -> None:
        self.time.now += seconds

    async def success(self, times: float) -> None:
        for _ in range(int(times)):
            self.firsts.append(self.time.now)
            self.earn(1)
            self.real.succeeded()

    async def failure(self, times: float) -> None:
        for _ in range(int(times)):
            self.firsts.append(self.time.now)
            self.real.failed()

    async def refund(self, _: float) -> None:
        if self.prices:
            self.earn(self.prices[-1])
            self.real.earn(self.prices.pop())

    async def retry(self, times: float) -> None:
        for _ in range(int(times)):
            self.paid(await self.real.pay(throttled=False, until=float("inf")), self.config.cost)

    async def throttled(self, times: float) -> None:
        for _ in range(int(times)):
            self.paid(await self.real.pay(throttled=True, until=float("inf")), self.config.throttle_cost)

    def earn(self, tokens: int) -> None:
        self.tokens = min(self.config.tokens, self.tokens + tokens)

    def paid(self, price: int | None, cost: int) -> None:
        """Check that a retry that was paid for was due, and that one that was not could not have been."""
        if price is None:
            # What is in doubt for less than a second counts against the retry.
            assert self.tokens < cost or self.over(11) + 1 > self.most(9) - 1e-9
            return
        assert price == cost <= self.tokens
        self.tokens -= price
        self.prices.append(price)
        self.retries.append(self.time.now)
        assert self.over(10) <= self.most(10) + 1e-9

    def most(self, seconds: float) -> float:
        recent = sum(self.time.now - seconds < at for at in self.firsts)
        return self.config.ratio * recent + self.config.per_second * 10

    def over(self, seconds: float) -> int:
        return sum(self.time.now - seconds < at for at in self.retries)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("passes"), st.sampled_from([0.25, 0.9, 1.0, 3.3, 9.75, 10.0, 11.0, 1000.0])),
        st.tuples(st.sampled_from(["success", "failure"]), st.sampled_from([1, 5, 30])),
        st.tuples(st.sampled_from(["retry", "throttled"]), st.sampled_from([1, 2, 8])),
        st.tuples(st.just("refund"), st.just(1)),
    ),
    max_size=60,
)


@repeatable
@given(limits.filter(lambda budget: budget.on_exhausted == "fail"), steps)
def test_bucket_does_what_its_model_does(config: Budget, given_steps: list[tuple[str, float]]) -> None:
    model = Model(config)

    async def main() -> None:
        for what, amount in given_steps:
            await getattr(model, what)(amount)
            assert 0 <= model.real.tokens == model.tokens <= config.tokens

    asyncio.run(main())


@dataclass
class Arrival:
    """A row that begins *after* so many seconds, and whose first *bad* attempts fail."""

    after: float
    bad: int
    latency: float


arrivals = st.lists(
    st.builds(
        Arrival,
        st.sampled_from([0.0, 0.0, 0.5, 4.0, 33.0]),
        st.sampled_from([0, 0, 1, 2, 9]),
        st.sampled_from([0.0, 0.3, 12.0]),
    ),
    min_size=1,
    max_size=40,
)


@repeatable
@given(limits, arrivals)
def test_rows_together_never_exceed_the_budget(config: Budget, given_arrivals: list[Arrival]) -> None:
    """Over the ten seconds before each retry; and every row comes to its end in time."""
    firsts: list[float] = []
    retries: list[float] = []

    async def main() -> list[RequestExchange]:
        loop = asyncio.get_running_loop()
        entry = retry.Config(max_attempts=4, base_delay=0, deadline=100, budget=config)
        middleware = retry.build(entry, virtual_time.runtime())

        async def send(arrival: Arrival) -> RequestExchange:
            async def peer(exchange: RequestExchange) -> RequestExchange:
                exchange.attempts += 1
                if exchange.attempts > 1:
                    retries.append(loop.time())
                await asyncio.sleep(arrival.latency)
                if exchange.attempts == 1:
                    firsts.append(loop.time())
                exchange.response = answer(503 if exchange.attempts <= arrival.bad else 200)
                return exchange

            await asyncio.sleep(arrival.after)
            return await middleware(row(), peer)

        rows = await asyncio.gather(*map(send, given_arrivals))
        assert loop.time() <= 33 + 100 + 12
        return rows

    rows = run(main())

    assert {each.metadata["retry.stop"] for each in rows} <= {"ok", "attempts", "budget", "deadline"}
    for at in retries:
        recent = sum(at - 10 < each <= at for each in firsts)
        assert sum(at - 10 < each <= at for each in retries) <= config.ratio * recent + config.per_second * 10
