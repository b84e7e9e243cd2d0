"""Thousands of rows and an API in trouble, with retry alone: who gets through, and at what price."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from http_enrich_middleware import RequestExchange, WorkerRuntime, build_chain
from http_enrich_middleware.traffic import retry
from http_enrich_middleware.traffic._retry_budget import Budget
from http_enrich_transport import (
    AiohttpEngineConfig,
    MemoryEngine,
    TransportEngine,
    TransportRequest,
    TransportResponse,
    TransportRuntimeFactory,
    header_map,
)
from tests.support import virtual_time
from tests.support.chain import EPOCH, FakeTime, answer, answering, row
from tests.support.peer import OK, serving
from tests.support.virtual_time import run

CONCURRENCY = 50
WAITING = Budget(on_exhausted="wait")


@dataclass
class Outcome:
    """What became of the rows, and what it took."""

    rows: list[RequestExchange]
    requests: int
    seconds: float

    @property
    def per_row(self) -> float:
        return self.requests / len(self.rows)

    @property
    def stops(self) -> dict[str, int]:
        return dict(Counter(each.metadata["retry.stop"] for each in self.rows))


async def send_all(
    config: retry.Config, engine: TransportEngine, rows: int, runtime: WorkerRuntime, url: str
) -> list[RequestExchange]:
    """Send *rows*, so many at a time as a worker does."""
    chain = build_chain([config], engine, runtime)
    left, done = iter(range(rows)), []

    async def slot() -> None:
        for number in left:
            done.append(await chain(row(url=f"{url}/{number}")))

    await asyncio.gather(*(slot() for _ in range(CONCURRENCY)))
    return done


def weather(
    config: retry.Config, rows: int, respond: Callable[[float], TransportResponse], latency: float = 0.05
) -> Outcome:
    """Send *rows* in virtual time to an API that answers after *latency* as *respond* says."""

    async def main() -> Outcome:
        loop = asyncio.get_running_loop()

        async def handler(_: TransportRequest) -> TransportResponse:
            await asyncio.sleep(latency)
            return respond(loop.time())

        engine = MemoryEngine(handler)
        done = await send_all(
            config, engine, rows, virtual_time.runtime(uniform=random.Random(7).uniform), "http://api.test"
        )
        return Outcome(done, engine.calls, loop.time())

    return run(main())


class Limiter:
    """An API that serves so many requests a second and refuses the others."""

    def __init__(self, per_second: float, refusal: TransportResponse) -> None:
        self.per_second, self.refusal = per_second, refusal
        self.left, self.filled = per_second, 0.0

    def __call__(self, now: float) -> TransportResponse:
        self.left = min(self.per_second, self.left + (now - self.filled) * self.per_second)
        self.filled = now
        if self.left < 1:
            return self.refusal
        self.left -= 1
        return answer(200)


# S1


@pytest.mark.parametrize("refusal", [answer(429), answer(429, retry_after="1"), answer(429, retry_after="2")])
def test_429_storm_slows_down_to_what_the_api_allows(refusal: TransportResponse) -> None:
    """50 rows at a time could be 2,500 a second, and 500 are allowed: nobody is lost, and few ask twice."""
    config = retry.Config(max_attempts=10, budget=WAITING)

    outcome = weather(config, 5000, Limiter(500, refusal), latency=0.02)

    assert outcome.stops == {"ok": 5000}
    assert outcome.per_row <= 1.1
    assert outcome.seconds >= 5000 / 500 - 1


def test_429_storm_with_three_attempts_costs_few_rows_and_hardly_any_requests() -> None:
    outcome = weather(retry.Config(), 5000, Limiter(500, answer(429)), latency=0.02)

    assert outcome.per_row <= 1.1
    assert outcome.stops["ok"] >= 0.95 * 5000
    assert set(outcome.stops) <= {"ok", "attempts", "budget"}
    assert 5000 / 500 - 1 <= outcome.seconds <= 1.1 * 5000 / 500


# S2


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        (["2"], 2.5),
        (["Fri, 15 Jan 2027 08:18:20 GMT"], 100.5),
        (["Friday, 15-Jan-27 08:18:20 GMT"], 100.5),
        (["Fri Jan 15 08:18:20 2027"], 100.5),
        (["Fri, 15 Jan 2027 23:59:59 GMT"], 300.5),
        (["1000000000"], 300.5),
        (["Fri, 15 Jan 2027 08:00:00 GMT"], 0.5),
        (["-5"], 0.5),
        (["soon"], 0.5),
        (["NaN"], 0.5),
        ([""], 0.5),
        (["2", "7"], 7.5),
        (["soon", "3"], 3.5),
        (["-5", "Fri, 15 Jan 2027 08:17:00 GMT"], 20.5),
    ],
)
async def test_every_form_of_retry_after(headers: list[str], wait: float) -> None:
    """Half a second is the backoff of a throttled row with these dice; it is on top of any wish."""
    time = FakeTime(share=0.5)
    throttled = TransportResponse(429, header_map({}))
    for header in headers:
        throttled.headers.add("Retry-After", header)  # type: ignore[attr-defined]
    engine = answering(throttled, answer(200))

    exchange = await build_chain([retry.Config(deadline=600)], engine, time.runtime)(row())

    assert (exchange.metadata["retry.stop"], time.waits) == ("ok", [wait])
    assert EPOCH == 1_800_000_000  # 08:00:00 on the day of the dates above; the clock begins at 1000 s


# S3


@pytest.mark.parametrize(
    ("begins", "rows", "attempts"), [(0, 2000, 3), (0, 2000, 10), (10, 20_000, 5), (10, 20_000, 10)]
)
def test_5xx_burst_of_thirty_seconds_is_survived_by_waiting(begins: float, rows: int, attempts: int) -> None:
    config = retry.Config(max_attempts=attempts, budget=WAITING)

    outcome = weather(config, rows, lambda now: answer(503 if begins <= now < begins + 30 else 200))

    assert outcome.stops == {"ok": rows}
    assert outcome.per_row <= 1.1
    assert outcome.seconds <= rows / 1000 + 30 + 30


def test_5xx_burst_costs_rows_that_have_few_attempts() -> None:
    """What the first minutes brought into the bucket is spent at once, and so is an attempt of 35 rows."""
    outcome = weather(
        retry.Config(budget=WAITING), 20_000, lambda now: answer(503 if 10 <= now < 40 else 200)
    )

    assert set(outcome.stops) == {"ok", "attempts"}
    assert outcome.stops["attempts"] <= 15
    assert outcome.per_row <= 1.1


def test_5xx_burst_without_waiting_fails_its_rows_fast_and_spares_the_api() -> None:
    outcome = weather(retry.Config(), 45_000, lambda now: answer(503 if 10 <= now < 40 else 200))

    assert outcome.per_row <= 1.002
    assert outcome.stops["ok"] >= 15_000
    assert set(outcome.stops) == {"ok", "budget"}


# S4

DEAD = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
AT_ONCE = retry.Config(base_delay=0)


@pytest.mark.parametrize("latency", [0, 0.05, 3])
@pytest.mark.parametrize("refusal", [answer(503), answer(503, retry_after="1"), answer(429)])
def test_dead_api_sees_hardly_more_than_one_request_per_row(
    latency: float, refusal: TransportResponse
) -> None:
    outcome = weather(retry.Config(), 2000, lambda _: refusal, latency)

    assert outcome.per_row <= 1.1
    assert outcome.stops["budget"] >= 0.95 * 2000


def test_dead_api_without_a_budget_sees_every_attempt() -> None:
    outcome = weather(retry.Config(budget=None), 2000, lambda _: answer(503))

    assert outcome.per_row == 3


def test_dead_api_is_asked_about_once_a_second_by_those_who_wait() -> None:
    """Every row has its attempts: it is the pace that spares the API, and a circuit breaker that ends it."""
    outcome = weather(retry.Config(budget=WAITING), 200, lambda _: answer(503))

    assert outcome.stops == {"attempts": 200}
    assert outcome.requests - 200 <= 0.1 * 200 + outcome.seconds + 11


async def over_http(
    config: retry.Config, rows: int, reply: Callable[[], bytes]
) -> tuple[list[RequestExchange], int]:
    """Send *rows* over loopback to a peer that answers with what *reply* returns."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(reply())
            await writer.drain()
            await reader.readuntil(b"\r\n\r\n")
            server.requests += 1

    async with serving(peer) as server:
        factory = TransportRuntimeFactory(AiohttpEngineConfig(warmup_timeout=0), base_url=server.url)
        async with factory.create() as engine:
            done = await send_all(config, engine, rows, WorkerRuntime(base_url=server.url), server.url)
        return done, server.requests


async def test_dead_api_on_the_wire() -> None:
    done, requests = await over_http(AT_ONCE, 2000, lambda: DEAD)

    assert requests == sum(each.attempts for each in done) <= 1.1 * 2000
    assert requests > 2000
    assert {each.metadata["retry.stop"] for each in done} == {"budget"}


async def test_a_few_failures_on_the_wire_cost_no_row() -> None:
    dice = random.Random(7)
    done, requests = await over_http(AT_ONCE, 2000, lambda: DEAD if dice.random() < 0.02 else OK)

    assert {each.metadata["retry.stop"] for each in done} == {"ok"}
    assert requests == sum(each.attempts for each in done)


# S5


@pytest.mark.parametrize(
    ("status", "get", "post", "keyed"),
    [
        (408, 2, 1, 2),
        (409, 1, 1, 1),
        (421, 1, 1, 1),
        (425, 2, 2, 2),
        (429, 2, 2, 2),
        (500, 2, 1, 2),
        (501, 1, 1, 1),
        (502, 2, 1, 2),
        (503, 2, 2, 2),
        (504, 2, 1, 2),
        (505, 1, 1, 1),
    ],
)
async def test_what_is_repeated_for_which_method(status: int, get: int, post: int, keyed: int) -> None:
    """The table of docs/middleware/retry.md."""

    async def attempts(method: str, key: str | None = None) -> int:
        exchange = RequestExchange(row(method).request, idempotency_key=key)
        chain = build_chain([retry.Config(max_attempts=2)], answering(answer(status)), FakeTime().runtime)
        return (await chain(exchange)).attempts

    assert (await attempts("GET"), await attempts("PUT"), await attempts("DELETE")) == (get, get, get)
    assert (await attempts("POST"), await attempts("PATCH")) == (post, post)
    assert await attempts("POST", "key") == keyed


# The weather of an ordinary day


@pytest.mark.parametrize(("share", "rows"), [(0.02, 20_000), (0.05, 20_000)])
def test_a_few_failures_do_not_exhaust_the_budget(share: float, rows: int) -> None:
    dice = random.Random(7)

    outcome = weather(
        retry.Config(max_attempts=5), rows, lambda _: answer(503 if dice.random() < share else 200)
    )

    assert outcome.stops == {"ok": rows}
    assert outcome.per_row == pytest.approx(1 / (1 - share), abs=0.005)
