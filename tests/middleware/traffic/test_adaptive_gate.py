"""Rows wait for a place at the API, and all of them while it asks for a pause."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from http_enrich_middleware import (
    DEADLINE_EXCEEDED,
    RUN_STOPPED,
    Brake,
    Handler,
    RunState,
    WorkerRuntime,
    build_chain,
)
from http_enrich_middleware.traffic.adaptive_concurrency import Config
from http_enrich_transport import (
    AiohttpEngineConfig,
    MemoryEngine,
    TransportResponse,
    TransportRuntimeFactory,
)
from tests.support import virtual_time
from tests.support.chain import FakeTime, answer, row, send_over_http
from tests.support.peer import OK, serving
from tests.support.virtual_api import FINE, Api, rows, sent
from tests.support.virtual_time import clock, run


def fixed(places: int) -> Config:
    return Config(min=places, max=places, latency_tolerance=None)


# Places


def test_who_came_first_goes_first_and_the_wait_is_told() -> None:
    api, listed = Api(), rows(6)
    sent(api, listed, fixed(2))

    assert api.urls == [each.request.url for each in listed]
    assert [each.spent for each in listed] == [
        {}, {}, {"concurrency": 1}, {"concurrency": 1}, {"concurrency": 2}, {"concurrency": 2}
    ]  # fmt: skip


def test_a_row_waits_no_longer_than_it_may() -> None:
    api, listed = Api(), rows(4)
    listed[1].deadline, listed[2].deadline, listed[3].deadline = 0.5, 5.0, 0.0
    seconds = sent(api, listed, fixed(1))

    assert [each.error_kind for each in listed] == [None, DEADLINE_EXCEEDED, None, DEADLINE_EXCEEDED]
    assert [each.attempts for each in listed] == [1, 0, 1, 0]
    assert (api.starts, seconds) == ([0, 1], 2)
    assert listed[1].spent == pytest.approx({"concurrency": 0.5})


@settings(max_examples=150, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(
            st.integers(0, 20),  # arrives
            st.integers(0, 8),  # takes
            st.none() | st.integers(0, 12),  # is cancelled after
            st.none() | st.integers(0, 12),  # may take
        ),
        min_size=1,
        max_size=60,
    ),
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6)), max_size=3),
)
def test_no_place_is_lost_and_none_is_given_twice(
    places: int, arrivals: list[tuple[int, int, int | None, int | None]], pauses: list[tuple[int, int]]
) -> None:
    """Whole seconds, so that things happen at the same instant in every order."""
    active, peak = 0, 0

    async def one(
        chain: Handler, arrives: int, takes: int, cancelled: int | None, patience: int | None
    ) -> None:
        await asyncio.sleep(arrives)
        exchange = row(url=f"http://api.test/{takes}")
        exchange.deadline = None if patience is None else clock() + patience
        if cancelled is not None:
            task: Any = asyncio.current_task()
            asyncio.get_running_loop().call_later(cancelled, task.cancel)
        await chain(exchange)
        await asyncio.sleep(20)  # a late cancellation is not the chain's

    async def serve(request: Any) -> TransportResponse:
        nonlocal active, peak
        active += 1
        peak = max(peak, active)
        try:
            await asyncio.sleep(int(request.url.rpartition("/")[2]))
        finally:
            active -= 1
        return FINE

    async def main() -> float:
        runtime = virtual_time.runtime(concurrency=100)
        chain = build_chain([fixed(places)], MemoryEngine(serve), runtime)
        for when, length in pauses:
            asyncio.get_running_loop().call_at(when, runtime.brake.pause, length)
        await asyncio.gather(*(one(chain, *each) for each in arrivals), return_exceptions=True)
        await asyncio.sleep(100)
        begun = clock()
        # Afterwards there are as many places as ever.
        await asyncio.gather(*(chain(row(url="http://api.test/1")) for _ in range(2 * places)))
        return clock() - begun

    assert run(main()) == pytest.approx(2)
    assert peak == places


def test_a_run_that_was_given_up_is_not_waited_for() -> None:
    listed, state = rows(100), RunState()
    state.stop("no use")
    seconds = sent(Api(), listed, fixed(1), run=state)

    assert {each.error_kind for each in listed} == {RUN_STOPPED}
    assert seconds == 0


def test_where_a_redirect_leads_is_not_looked_at() -> None:
    """Another origin has limits of its own."""
    api, listed = Api(lambda _: answer(429, retry_after="60")), rows(16)
    for each in listed:
        each.request.url = "http://files.test/"
    sent(api, listed, fixed(1), base_url="http://api.test/v1")

    assert api.rounds == [16]
    assert len({each.error_kind for each in listed}) == 1
    again = Api()
    sent(again, rows(3), fixed(1), base_url="http://api.test/v1")
    assert again.starts == [0, 1, 2]


# Pauses


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_that_one_row_is_asked_for_holds_for_all(status: int) -> None:
    """And when it is over, no more go at once than before."""
    refusal = answer(status, retry_after="10")
    api, listed = Api(lambda number: refusal if number == 3 else FINE), rows(14)
    sent(api, listed, fixed(4))

    assert api.starts == [0] * 4 + [11] * 4 + [12] * 4 + [13] * 2
    assert [each.spent.get("paused") for each in listed[:10]] == [None] * 4 + [10.0] * 4 + [None] * 2
    assert listed[8].spent == {"concurrency": 12.0}


@pytest.mark.parametrize("outcome", [answer(429, retry_after="0"), answer(429), answer(500, retry_after="9")])
def test_what_is_no_pause(outcome: TransportResponse) -> None:
    api = Api(lambda _: outcome)
    sent(api, rows(3), fixed(1))

    assert api.starts == [0, 1, 2]


def test_a_pause_beyond_the_deadlines_of_rows_does_not_cost_the_whole_table() -> None:
    """A row that cannot wait so long keeps its place until then, instead of leaving it to the next one."""
    api, listed = Api(lambda number: answer(429, retry_after="60") if number == 1 else FINE), rows(20)
    for number, each in enumerate(listed[1:], 1):
        each.deadline = 1.0 + 10 * number
    seconds = sent(api, listed, fixed(1), concurrency=1)

    assert [each.error_kind for each in listed[:8]] == ["http_status", *[DEADLINE_EXCEEDED] * 6, None]
    assert listed[6].spent == {"paused": 10.0}
    assert all(each.error_kind is None for each in listed[7:])
    assert [api.starts[1], seconds] == pytest.approx([61, 74])


def test_a_long_pause_is_worth_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    long, short = answer(429, retry_after="10"), answer(429, retry_after="9")
    with caplog.at_level(logging.INFO, "http_enrich"):
        sent(Api(lambda _: short), rows(4), fixed(2))
        assert caplog.messages == []
        sent(Api(lambda _: long), rows(4), fixed(2))

    assert caplog.messages == ["the API asks for a pause of 10 s; nothing is sent before it is over"] * 2


def test_a_pause_goes_to_the_brake_that_the_runtime_has() -> None:
    """The one of a cluster pauses all its workers."""
    told: list[object] = []

    class Told(Brake):
        def __init__(self) -> None:
            super().__init__(clock=clock, sleep=asyncio.sleep)

        def take(self, *, first: bool = False) -> bool:
            return False

        async def acquire(self, until: float) -> bool:
            told.append(until)
            return True

        def pause(self, seconds: float) -> None:
            told.append(("pause", seconds))

    listed = rows(2)
    listed[1].deadline = 99.0
    sent(Api(lambda _: answer(429, retry_after="7")), listed, fixed(1), brake=Told())

    assert told == [math.inf, ("pause", 7.0), 99.0, ("pause", 7.0)]


# Over HTTP


async def test_over_http_a_pause_is_kept() -> None:
    throttled = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    time, config = FakeTime(), Config(latency_tolerance=None)
    runtime = time.runtime
    async with serving(throttled) as server:
        first = await send_over_http([config], row(url=server.url), runtime)
        server.answer = OK
        second = await send_over_http([config], row(url=server.url), runtime)

    assert (first.status, first.spent) == (429, {})
    assert (second.status, second.spent, time.waits) == (200, {"paused": 7.0}, [7.0])


async def test_over_http_no_more_arrive_at_a_time() -> None:
    """Each three of them are answered when the third has come."""
    active, peak = 0, 0
    third = asyncio.Condition()

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal active, peak
        async with third:
            active += 1
            peak = max(peak, active)
            batch = (server.requests - 1) // 3
            third.notify_all()
            await third.wait_for(lambda: server.requests >= 3 * batch + 3)
            active -= 1
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await writer.drain()

    async with serving(peer) as server:
        factory = TransportRuntimeFactory(AiohttpEngineConfig(warmup_timeout=0), base_url=server.url)
        async with factory.create() as engine, asyncio.timeout(30):
            runtime = WorkerRuntime(concurrency=21, base_url=server.url)
            chain = build_chain([fixed(3)], engine, runtime)
            done = await asyncio.gather(*(chain(row(url=server.url)) for _ in range(21)))

    assert {each.status for each in done} == {200}
    assert (server.requests, peak) == (21, 3)
