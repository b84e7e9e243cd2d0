"""Rows wait while the API is down: they are neither burned nor do they keep it down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import pytest

from http_enrich_middleware import (
    CIRCUIT_OPEN,
    RUN_STOPPED,
    Handler,
    MiddlewareConfig,
    RequestExchange,
    WorkerRuntime,
    build_chain,
    parse_middleware,
)
from http_enrich_middleware.traffic import rate_limit, retry
from http_enrich_middleware.traffic._retry_budget import Budget
from http_enrich_middleware.traffic.circuit_breaker import Config
from http_enrich_transport import MemoryEngine, TransportRequest, TransportResponse
from tests.support import virtual_time
from tests.support.chain import FakeTime, answer, answering, row, send_over_http
from tests.support.peer import OK, serving
from tests.support.virtual_time import clock, run

LATENCY = 0.05
QUICK = Config(window=4, min_requests=2, probes=2)


class Api:
    """Answers after 50 ms, with a status that depends on the time."""

    def __init__(self, status: Callable[[float], int]) -> None:
        self.status, self.times = status, list[float]()

    async def serve(self, _: TransportRequest) -> TransportResponse:
        self.times.append(clock())
        await asyncio.sleep(LATENCY)
        return answer(self.status(clock()))


async def enrich(chain: Handler, rows: Sequence[RequestExchange], concurrency: int) -> list[float]:
    """Send *rows*, so many at a time; return when each was done."""
    waiting, done = iter(rows), list[float]()

    async def consume() -> None:
        for each in waiting:
            await chain(each)
            done.append(clock())

    await asyncio.gather(*(consume() for _ in range(concurrency)))
    return done


def through(
    api: Api, configs: Sequence[MiddlewareConfig], rows: Sequence[RequestExchange], concurrency: int = 10
) -> tuple[list[float], WorkerRuntime]:
    async def main() -> tuple[list[float], WorkerRuntime]:
        runtime = virtual_time.runtime(base_url="http://api.test")
        chain = build_chain(configs, MemoryEngine(api.serve), runtime)
        return await enrich(chain, rows, concurrency), runtime

    return run(main())


def test_an_outage_is_waited_out() -> None:
    """S3: 30 s of failures, and every row has its answer, for a request in ten more at most."""
    api = Api(lambda now: 503 if 5 <= now < 35 else 200)
    rows = [row() for _ in range(10_000)]
    again = retry.Config(max_attempts=8, max_delay=5, budget=Budget(on_exhausted="wait"))

    through(api, [again, Config()], rows, concurrency=50)

    assert {each.error_kind for each in rows} == {None}
    assert len(api.times) == sum(each.attempts for each in rows) <= 1.1 * len(rows)
    # While it was down only probes went out, in the seconds that the doubling gives them.
    down = [each for each in api.times if 6 <= each < 35]
    assert len(down) <= 4 * 3


def test_an_api_that_stays_down_ends_the_run() -> None:
    """S4: for ever down, a few requests tell, and no row is left without an end."""
    api = Api(lambda _: 503)
    rows = [row() for _ in range(2_000)]

    done, runtime = through(api, [Config(max_open=600)], rows, concurrency=50)

    assert runtime.run.stopped == (
        "gave up: http://api.test:80 has been failing for 600 s (HTTP status 503); "
        "find out what is wrong with it and run again, or raise circuit_breaker.max_open"
    )
    assert len(done) == 2_000
    # 50 rows at once; 19 more before the 20th failure was known; then three probes, thirteen times.
    assert len(api.times) == 50 + 19 + 13 * 3
    assert max(done) == pytest.approx(LATENCY + 600 + LATENCY)
    kinds = [each.error_kind for each in rows]
    assert kinds.count("http_status") == len(api.times)
    assert kinds.count(RUN_STOPPED) == 2_000 - len(api.times)


def test_a_row_is_parked_no_longer_than_it_may_be() -> None:
    api = Api(lambda _: 503)
    rows = [row() for _ in range(6)]
    for each in rows[3:]:
        each.deadline = 3.0

    done, _ = through(api, [QUICK], rows, concurrency=2)

    assert [each.error_kind for each in rows] == ["http_status"] * 3 + [CIRCUIT_OPEN] * 3
    assert [each.attempts for each in rows] == [1, 1, 1, 0, 0, 0]
    assert rows[3].spent == pytest.approx({"circuit": 3.0 - LATENCY})
    assert max(done) == pytest.approx(3.0)


def test_probes_go_first_and_the_others_follow() -> None:
    api = Api(lambda now: 503 if now < 1 else 200)
    rows = [row() for _ in range(20)]

    through(api, [QUICK], rows, concurrency=10)

    # Those that went before the second failure was known, two probes after 5 s, and then all the others.
    at = [round(each, 2) for each in api.times]
    assert at == [0.0] * 10 + [0.05] + [5.05] * 2 + [5.1] * 7
    assert [each.error_kind for each in rows] == ["http_status"] * 11 + [None] * 9


def test_a_failed_probe_keeps_it_open_twice_as_long() -> None:
    api = Api(lambda now: 503 if now < 20 else 200)
    rows = [row() for _ in range(30)]

    through(api, [Config(window=4, min_requests=2, probes=1)], rows, concurrency=2)

    assert [round(each, 2) for each in api.times[:6]] == [0.0, 0.0, 0.05, 5.05, 15.1, 35.15]


def test_a_cancelled_probe_makes_room_for_another() -> None:
    hold = Api(lambda _: 503)

    async def main() -> tuple[str | None, float]:
        async def serve(request: TransportRequest) -> TransportResponse:
            if len(hold.times) >= 2:
                hold.times.append(clock())
                if len(hold.times) == 3:
                    await asyncio.sleep(1_000)
                return answer(200)
            return await hold.serve(request)

        chain = build_chain(
            [Config(window=2, min_requests=2, probes=1)], MemoryEngine(serve), virtual_time.runtime()
        )
        await asyncio.gather(chain(row()), chain(row()))
        probe, waiting = asyncio.ensure_future(chain(row())), asyncio.ensure_future(chain(row()))
        await asyncio.sleep(7)
        probe.cancel()
        return (await waiting).error_kind, clock()

    kind, ended_at = run(main())

    assert (kind, round(ended_at, 2)) == (None, 7.05)


def test_a_hanging_api_is_found_out_though_deadlines_are_short() -> None:
    """Each row takes all of its time; they must not be burned one by one for that."""
    sent: list[float] = []

    async def hang(_: TransportRequest) -> TransportResponse:
        sent.append(clock())
        await asyncio.sleep(1e6)
        raise AssertionError

    async def main() -> str | None:
        runtime = virtual_time.runtime(base_url="http://api.test", base_timeout=30.0)
        chain = build_chain([retry.Config(deadline=10), Config(max_open=60)], MemoryEngine(hang), runtime)
        await enrich(chain, [row() for _ in range(500)], concurrency=20)
        return runtime.run.stopped

    assert "http://api.test:80 has been failing for" in (run(main()) or "")
    assert len(sent) < 60


def test_what_hung_in_an_outage_does_not_open_it_afterwards() -> None:
    async def serve(request: TransportRequest) -> TransportResponse:
        hangs = request.url.endswith("/hang")
        await asyncio.sleep(20 if hangs else LATENCY)
        return answer(503 if hangs or clock() < 1 else 200)

    async def main() -> RequestExchange:
        chain = build_chain([Config()], MemoryEngine(serve), virtual_time.runtime(base_url="http://api.test"))
        hung = [asyncio.ensure_future(chain(row(url="http://api.test/hang"))) for _ in range(40)]
        await enrich(chain, [row() for _ in range(25)], concurrency=25)  # opens
        await enrich(chain, [row() for _ in range(25)], concurrency=25)  # closes 5 s later
        assert clock() < 6
        await asyncio.gather(*hung)
        return await chain(row())

    assert run(main()).spent == {}


def test_rows_that_were_parked_count_once_it_has_closed() -> None:
    """It may have been up for no more than the probes."""
    api = Api(lambda now: 200 if 5 < now < 5.12 else 503)
    through(api, [QUICK], [row() for _ in range(40)], concurrency=10)

    # Ten, and one more before the second failure was known; two probes, and then the same again.
    assert len([each for each in api.times if each < 1]) == 11
    assert [len([each for each in api.times if low <= each < low + 5]) for low in (5, 10)] == [2 + 11, 2]


def test_once_the_run_is_stopped_no_row_waits_for_a_permit() -> None:
    api = Api(lambda _: 503)
    rows = [row() for _ in range(500)]
    limit = rate_limit.Config(max_requests_per_second=1, scope="worker")

    done, runtime = through(api, [Config(max_open=60), limit], rows, concurrency=20)

    assert runtime.run.stopped is not None
    assert [each.error_kind for each in rows].count(RUN_STOPPED) > 400
    # 20 s until it opens, 60 s until it is given up, and some for the permits of the last probes.
    assert max(done) < 90


async def test_it_is_logged_once_when_it_opens_and_closes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "http_enrich")
    time = FakeTime()
    chain = build_chain([QUICK], answering(*[answer(503)] * 2, answer(200)), time.runtime)

    for _ in range(6):
        await chain(row())

    assert caplog.messages == [
        "circuit opened: HTTP status 503; rows wait until the API has recovered",
        "circuit closed after 5 s",
    ]


async def test_over_http_a_dead_api_is_left_alone() -> None:
    time = FakeTime()
    runtime = time.runtime
    async with serving(OK.replace(b"200", b"503")) as server:
        exchange = row(url=server.url)
        again = retry.Config(max_attempts=6, base_delay=0)
        await send_over_http([again, Config(min_requests=2, max_open=30)], exchange, runtime)

    # Two to open it, then a probe after 5 and 10 s, and one when max_open is over.
    assert (server.requests, exchange.attempts, exchange.status) == (5, 5, 503)
    assert f"gave up: {server.url} has been failing for 30 s" in str(runtime.run.stopped)
    assert sum(time.waits) == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"window": 10, "min_requests": 11}, "would never open"),
        ({"open_for": 10, "max_open_for": 5}, "max_open_for is less than open_for"),
        ({"failure_ratio": 0}, "greater than 0"),
        ({"failure_ratio": 1.1}, "less than or equal to 1"),
        ({"open_for": 0}, "greater than 0"),
        ({"windows": 10}, "did you mean 'window'"),
    ],
)
def test_what_could_not_work_is_refused_at_load(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_middleware({"type": "circuit_breaker", **options})
