"""Where a row's time went."""

from __future__ import annotations

from dataclasses import replace

import pytest

from http_enrich_middleware import Handler, MiddlewareConfig, RequestExchange, WorkerRuntime, build_chain
from http_enrich_middleware.observe.timing import Config
from http_enrich_middleware.traffic import rate_limit, retry
from http_enrich_transport import (
    AiohttpEngineConfig,
    MemoryEngine,
    TransportRequest,
    TransportResponse,
    TransportRuntimeFactory,
)
from tests.support.chain import FakeTime, answer, answering, failure, registered, row, send_over_http
from tests.support.peer import OK, closed_port, serving


def slow(time: FakeTime, *answers: TransportResponse, seconds: float = 1.25) -> MemoryEngine:
    """Return an engine that takes *seconds* for each of its answers."""
    engine = answering(*answers)

    async def handle(request: TransportRequest) -> TransportResponse:
        await time.sleep(seconds)
        return await engine.send(request)

    return MemoryEngine(handle)


@pytest.mark.parametrize("response", [answer(200), answer(500), failure("dns")])
async def test_successes_and_failures_are_measured_in_milliseconds(response: TransportResponse) -> None:
    time = FakeTime()

    exchange = await build_chain([Config()], slow(time, response), time.runtime)(row())

    assert exchange.metadata == {"timing.total_ms": "1250.000", "timing.server_ms": "1250.000"}


async def test_attempts_add_up_and_waits_are_told_apart() -> None:
    """Three attempts of 1.25 s with waits of 0.2 and 0.4 s in between."""
    time = FakeTime()

    exchange = await build_chain([Config(), retry.Config()], slow(time, answer(503)), time.runtime)(row())

    assert exchange.metadata == {
        "retry.stop": "attempts",
        "timing.total_ms": "4350.000",
        "timing.server_ms": "3750.000",
        "timing.backoff_ms": "600.000",
    }


async def test_inside_retry_only_the_last_attempt_is_measured() -> None:
    time = FakeTime()
    engine = slow(time, answer(503), answer(503), answer(200))

    exchange = await build_chain([retry.Config(), Config()], engine, time.runtime)(row())

    assert exchange.metadata == {
        "retry.stop": "ok",
        "timing.total_ms": "1250.000",
        "timing.server_ms": "1250.000",
    }


async def test_waiting_for_a_permit_is_the_limiters() -> None:
    time = FakeTime()
    limit = rate_limit.Config(max_requests_per_second=2, burst=1, scope="worker")
    chain = build_chain([Config(), limit], slow(time, answer(200), seconds=0.1), time.runtime)

    first, second = await chain(row()), await chain(row())

    assert "timing.limiter_ms" not in first.metadata
    assert float(second.metadata["timing.limiter_ms"]) == pytest.approx(400)
    assert float(second.metadata["timing.total_ms"]) == pytest.approx(500)


class Detour:
    """Waits in its own way, and says so."""

    class Config(MiddlewareConfig):
        """Nothing to set."""

    def __init__(self, config: MiddlewareConfig, runtime: WorkerRuntime) -> None:
        self._sleep = runtime.sleep

    async def __call__(self, exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        await self._sleep(0.5)
        exchange.spend("detour", 0.5)
        return await call_next(exchange)


async def test_whatever_a_middleware_says_it_waited_for_has_a_key() -> None:
    detour = MiddlewareConfig(type=registered(Detour))

    exchange = await build_chain([Config(), detour], answering(answer(200)), FakeTime().runtime)(row())

    assert exchange.metadata == {"timing.total_ms": "500.000", "timing.detour_ms": "500.000"}


async def test_what_the_transport_knows_is_not_the_servers() -> None:
    time = FakeTime()
    known = TransportResponse(200, queued=0.25, connected=0.5)

    exchange = await build_chain([Config()], slow(time, known), time.runtime)(row())

    assert exchange.metadata == {
        "timing.total_ms": "1250.000",
        "timing.queue_ms": "250.000",
        "timing.connect_ms": "500.000",
        "timing.server_ms": "500.000",
    }


async def test_clocks_that_disagree_make_no_negative_time() -> None:
    known = TransportResponse(200, queued=0.25)

    exchange = await build_chain([Config()], answering(known), FakeTime().runtime)(row())

    assert exchange.served == 0
    assert "timing.server_ms" not in exchange.metadata


async def test_a_new_connection_is_timed_and_one_from_the_pool_is_not() -> None:
    async with serving(OK) as server:
        config = AiohttpEngineConfig(warmup_timeout=0)
        async with TransportRuntimeFactory(config, base_url=server.url).create() as engine:
            chain = build_chain([Config()], engine, replace(WorkerRuntime(), base_url=server.url))
            first, second = await chain(row(url=server.url)), await chain(row(url=server.url))

    assert first.metadata.keys() == {"timing.total_ms", "timing.connect_ms", "timing.server_ms"}
    assert second.metadata.keys() == {"timing.total_ms", "timing.server_ms"}
    parts = sum(float(first.metadata[f"timing.{part}_ms"]) for part in ("connect", "server"))
    assert 0 < parts <= float(first.metadata["timing.total_ms"]) + 0.002


async def test_a_refused_connection_is_no_time_of_a_server() -> None:
    exchange = await send_over_http([Config()], row(url=f"http://127.0.0.1:{closed_port()}/"))

    assert exchange.error_kind == "connect_refused"
    assert float(exchange.metadata["timing.connect_ms"]) > 0
