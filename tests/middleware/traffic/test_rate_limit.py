"""Every attempt takes a permit, and waits for it no longer than its row may."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from http_enrich_middleware import (
    DEADLINE_EXCEEDED,
    RUN_STOPPED,
    MiddlewareConfig,
    PermitSource,
    Rate,
    RequestExchange,
    RunState,
    WorkerRuntime,
    build_chain,
    parse_middleware,
)
from http_enrich_middleware.traffic import retry
from http_enrich_middleware.traffic.rate_limit import Config
from http_enrich_transport import MemoryEngine, TransportRequest, TransportResponse
from tests.support import virtual_time
from tests.support.chain import FakeTime, answer, answering, row, send_over_http
from tests.support.peer import OK, serving
from tests.support.virtual_time import clock, run


def sent(
    configs: Sequence[MiddlewareConfig], rows: Sequence[RequestExchange], status: int = 200, **facts: Any
) -> list[float]:
    """Let *rows* go at once; return when requests were sent."""
    times: list[float] = []

    def serve(_: TransportRequest) -> TransportResponse:
        times.append(clock())
        return answer(status)

    async def main() -> None:
        # The engine's own deadlines look at the clock of the loop too.
        chain = build_chain(configs, MemoryEngine(serve), virtual_time.runtime(**facts))
        await asyncio.gather(*(chain(each) for each in rows))

    run(main())
    return times


def limit(**options: Any) -> Config:
    return Config(**{"scope": "worker", **options})


def rows(count: int) -> list[RequestExchange]:
    return [row() for _ in range(count)]


@pytest.mark.parametrize(
    ("options", "times"),
    [
        ({"max_requests_per_second": 2}, [0, 0.5, 1, 1.5]),
        ({"max_requests_per_second": 2, "burst": 2}, [0, 0, 1, 1]),
        ({"max_requests_per_second": 0.5}, [0, 2, 4, 6]),
        ({"max_requests_per_second": 2.5}, [0, 0.4, 0.8, 1.2]),
        ({"rates": [{"limit": 2, "per": "1s"}, {"limit": 3, "per": "1d"}]}, [0, 0.5, 1, 86400]),
    ],
)
def test_requests_go_at_the_rate(options: dict[str, Any], times: list[float]) -> None:
    assert sent([limit(**options)], rows(4)) == pytest.approx(times)


def test_time_spent_waiting_is_told() -> None:
    listed = rows(3)
    sent([limit(max_requests_per_second=2)], listed)

    assert [each.spent for each in listed] == [{}, {"limiter": 0.5}, {"limiter": 1.0}]


def test_every_attempt_is_charged() -> None:
    """Else a storm of retries would go out at any rate, just when the API asks for less."""
    again = retry.Config(max_attempts=3, base_delay=0)
    times = sent([again, limit(max_requests_per_second=2)], rows(2), status=503)

    assert times == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5])


def test_a_row_waits_no_longer_than_it_may() -> None:
    listed = rows(4)
    for each in listed:
        each.deadline = 0.9
    times = sent([limit(max_requests_per_second=2)], listed)

    assert times == pytest.approx([0, 0.5])
    assert [each.error_kind for each in listed] == [None, None, DEADLINE_EXCEEDED, DEADLINE_EXCEEDED]
    assert [each.attempts for each in listed] == [1, 1, 0, 0]


def test_who_does_not_want_to_wait_need_not() -> None:
    listed = rows(3)
    times = sent([limit(max_requests_per_second=2, on_exhausted="fail")], listed)

    assert times == [0]
    assert [each.error_kind for each in listed] == [None, "rate_limit_exhausted", "rate_limit_exhausted"]


def test_without_a_cluster_wide_source_each_worker_keeps_to_its_share() -> None:
    times = sent([Config(max_requests_per_second=8)], rows(4), slots=4)

    assert times == pytest.approx([0, 0.5, 1, 1.5])


def test_a_cluster_wide_source_is_asked_with_the_rates_as_they_are() -> None:
    asked: list[Sequence[Rate]] = []

    class Source:
        def take(self) -> bool:
            return False

        patience = 0.0

        async def acquire(self, until: float) -> bool:
            return len(asked) < 2

        def pause(self, seconds: float) -> None:
            raise AssertionError

    def source(rates: Sequence[Rate]) -> PermitSource:
        asked.append(rates)
        return Source()

    assert sent([Config(max_requests_per_second=8)], rows(1), slots=4, cluster_permits=source) == [0]
    assert asked == [[Rate(8, 1.0)]]


def test_a_row_that_waits_for_its_permit_does_not_go_into_a_pause() -> None:
    """And those that waited do not go together when it is over."""
    times: list[float] = []

    def serve(_: TransportRequest) -> TransportResponse:
        times.append(clock())
        return answer(200)

    async def main() -> None:
        runtime = virtual_time.runtime()
        chain = build_chain([limit(max_requests_per_second=1)], MemoryEngine(serve), runtime)
        asyncio.get_running_loop().call_at(1.5, runtime.brake.pause, 10)
        late = row()
        late.deadline = 5.0
        done = await asyncio.gather(*(chain(each) for each in [*rows(4), late]))
        assert [each.error_kind for each in done] == [None] * 4 + [DEADLINE_EXCEEDED]

    run(main())

    assert times == pytest.approx([0, 1, 11.5, 12.5])


@pytest.mark.parametrize(("status", "heeded"), [(429, True), (503, True), (500, False)])
def test_a_pause_that_one_row_is_asked_for_is_one_for_all(status: int, heeded: bool) -> None:
    times: list[float] = []

    def serve(_: TransportRequest) -> TransportResponse:
        times.append(clock())
        return answer(status, retry_after="20") if len(times) == 3 else answer(200)

    async def main() -> None:
        steps = [parse_middleware({"type": "retry"}), limit(max_requests_per_second=10)]
        chain = build_chain(steps, MemoryEngine(serve), virtual_time.runtime())
        started: list[asyncio.Future[RequestExchange]] = []
        for each in rows(6):
            started.append(asyncio.ensure_future(chain(each)))
            await asyncio.sleep(0.15)
        await asyncio.gather(*started)

    run(main())

    paused = [time for time in times if 0.31 < time < 20.3]
    assert len(times) == 7
    assert (not paused) is heeded


def test_a_run_that_was_given_up_is_not_waited_for() -> None:
    """Else a million rows would each wait for the permit of a request that is never sent."""
    listed = rows(100)
    state = RunState()
    state.stop("no use")

    assert sent([limit(max_requests_per_second=0.001)], listed, run=state) == []
    assert [(each.error_kind, each.spent) for each in listed] == [(RUN_STOPPED, {})] * 100


async def test_over_http_only_what_has_a_permit_arrives() -> None:
    time = FakeTime()
    config = limit(max_requests_per_second=0.01, on_exhausted="fail")
    async with serving(OK.replace(b"200", b"503")) as server:
        exchange = await send_over_http([retry.Config(), config], row(url=server.url), time.runtime)

    assert (exchange.error_kind, exchange.status, exchange.attempts) == ("rate_limit_exhausted", 503, 1)
    assert server.requests == 1


async def test_the_next_permit_comes_with_time() -> None:
    time, engine = FakeTime(), answering(answer(200))
    config = limit(max_requests_per_second=1, on_exhausted="fail")
    chain = build_chain([config], engine, time.runtime)

    kinds = [(await chain(row())).error_kind for _ in range(2)]
    time.now += 1
    kinds.append((await chain(row())).error_kind)

    assert kinds == [None, "rate_limit_exhausted", None]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "give exactly one of max_requests_per_second and rates"),
        ({"max_requests_per_second": 5, "rates": [{"limit": 1, "per": 1}]}, "give exactly one"),
        ({"rates": [{"limit": 1, "per": 1}], "burst": 2}, "burst goes with max_requests_per_second"),
        ({"rates": []}, "at least 1 item"),
        ({"max_requests_per_second": 0}, "greater than 0"),
        ({"max_requests_per_second": -1}, "greater than 0"),
        ({"max_requests_per_second": float("inf")}, "finite number"),
        ({"rates": [{"limit": 1, "per": 0}]}, "greater than 0"),
        ({"rates": [{"limit": 2_000_000, "per": "1d"}]}, "less than or equal to 1000000"),
        ({"rates": [{"limits": 2, "per": "1d"}]}, "did you mean 'limit'"),
    ],
)
def test_what_cannot_be_kept_is_refused_at_load(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_middleware({"type": "rate_limit", **options})


def test_a_worker_runtime_has_no_cluster_by_itself() -> None:
    assert replace(WorkerRuntime(), slots=3).cluster_permits is None


def test_the_brake_outlives_what_is_replaced_in_a_runtime() -> None:
    runtime = WorkerRuntime()

    assert replace(runtime, base_url="http://api.test").brake is runtime.brake
    assert WorkerRuntime().brake is not runtime.brake
