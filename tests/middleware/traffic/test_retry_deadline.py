"""A row's time is over when it is over, whatever it is spent on."""

from __future__ import annotations

import asyncio
import time as wall

import pytest

from http_enrich_middleware import MiddlewareConfig, RequestExchange, build_chain
from http_enrich_middleware.traffic import retry
from http_enrich_transport import MemoryEngine, TransportRequest, TransportResponse
from tests.support.chain import FakeTime, answer, answering, row, send_over_http
from tests.support.peer import serving, silent


class Slow:
    """A peer that takes *seconds* for every 503, and notes what it was allowed."""

    def __init__(self, time: FakeTime, seconds: float) -> None:
        self.time, self.seconds = time, seconds
        self.timeouts: list[float | None] = []
        self.engine = MemoryEngine(self.respond)

    def respond(self, request: TransportRequest) -> TransportResponse:
        self.timeouts.append(request.timeout)
        self.time.now += self.seconds
        return answer(503)


async def send(time: FakeTime, engine: MemoryEngine, *configs: MiddlewareConfig) -> RequestExchange:
    return await build_chain(configs, engine, time.runtime)(row())


async def test_five_minutes_unless_told_otherwise() -> None:
    time, seen = FakeTime(share=0), []
    engine = MemoryEngine(lambda request: seen.append(request.timeout) or answer(200))  # type: ignore[func-returns-value]

    await send(time, engine, retry.Config())

    assert seen == [300]


async def test_attempts_and_waits_share_one_deadline() -> None:
    """Ten seconds are two attempts of three, the waits of one and two after them, and a last second."""
    time = FakeTime()
    peer = Slow(time, 3)

    exchange = await send(
        time, peer.engine, retry.Config(max_attempts=9, base_delay=1, max_delay=2, deadline=10)
    )

    assert (peer.timeouts, time.waits) == ([10, 6, 1], [1, 2])
    assert (exchange.status, exchange.attempts) == (503, 3)
    assert (exchange.error_kind, exchange.metadata["retry.stop"]) == ("http_status", "deadline")


@pytest.mark.parametrize(("wait", "attempts", "waits"), [("9", 2, [9]), ("10", 1, []), ("11", 1, [])])
async def test_a_wait_that_leaves_no_time_is_not_begun(wait: str, attempts: int, waits: list[float]) -> None:
    """What the peer asks for counts as well, and the row keeps its last real failure."""
    time = FakeTime(share=0)

    exchange = await send(
        time, answering(answer(429, retry_after=wait)), retry.Config(max_attempts=2, deadline=10)
    )

    assert (exchange.attempts, time.waits, exchange.status) == (attempts, waits, 429)
    assert exchange.metadata["retry.stop"] == ("deadline" if attempts == 1 else "attempts")


@pytest.mark.parametrize("outer", [1004.0, 1400.0])
async def test_an_earlier_deadline_from_outside_holds(outer: float) -> None:
    time = FakeTime()
    peer = Slow(time, 1)
    exchange = RequestExchange(row().request, deadline=outer)

    await build_chain([retry.Config(max_attempts=2, deadline=50)], peer.engine, time.runtime)(exchange)

    assert peer.timeouts[0] == min(outer - 1000, 50)
    assert (exchange.deadline, exchange.request.timeout) == (outer, None)


async def test_a_retry_outside_is_not_bound_by_the_deadline_within() -> None:
    time = FakeTime()
    peer = Slow(time, 1)

    exchange = await send(
        time,
        peer.engine,
        retry.Config(max_attempts=2, base_delay=5, deadline=60),
        retry.Config(max_attempts=9, base_delay=1, deadline=3),
    )

    assert peer.timeouts == [3, 1, 3, 1]
    assert time.waits == [1, 5, 1]
    assert (exchange.attempts, exchange.metadata["retry.stop"]) == (4, "attempts")


async def test_without_a_deadline_the_attempts_decide() -> None:
    time = FakeTime(share=0)
    peer = Slow(time, 1000)

    exchange = await send(time, peer.engine, retry.Config(deadline=None))

    assert (peer.timeouts, exchange.deadline) == ([None] * 3, None)
    assert exchange.metadata["retry.stop"] == "attempts"


@pytest.mark.parametrize("deadline", [0, -1, "soon", float("inf")])
def test_a_deadline_that_is_none_is_refused(deadline: object) -> None:
    with pytest.raises(ValueError, match="deadline"):
        retry.Config.model_validate({"deadline": deadline})


def test_rows_that_wait_need_a_deadline() -> None:
    with pytest.raises(ValueError, match="deadline: rows that wait for their budget need one"):
        retry.Config.model_validate({"deadline": None, "budget": {"on_exhausted": "wait"}})


async def test_a_silent_peer_holds_a_row_no_longer_than_its_deadline() -> None:
    """The engine would give the attempt thirty seconds."""
    started = wall.monotonic()
    async with serving(silent) as server, asyncio.timeout(60):
        exchange = await send_over_http([retry.Config(deadline=0.5)], row(url=server.url))
    took = wall.monotonic() - started

    assert 0.5 <= took < 15
    assert (server.requests, exchange.attempts) == (1, 1)
    assert (exchange.error_kind, exchange.metadata["retry.stop"]) == ("total_timeout", "deadline")
