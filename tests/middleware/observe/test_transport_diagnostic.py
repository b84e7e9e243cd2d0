"""How the transport of a worker came up, told by each of its rows."""

from __future__ import annotations

from http_enrich_middleware import RequestExchange, WorkerRuntime, build_chain, with_defaults
from http_enrich_middleware.observe.transport_diagnostic import Config
from http_enrich_transport import AiohttpEngineConfig, TransportRuntimeFactory, WarmupReport
from tests.support.chain import answer, answering, failure, row
from tests.support.peer import OK, closed_port, serving


async def send_warm(url: str, base_url: str) -> RequestExchange:
    factory = TransportRuntimeFactory(AiohttpEngineConfig(), base_url=base_url)
    async with factory.create() as engine:
        await engine.warmed_up()
        runtime = WorkerRuntime(warmup=lambda: engine.warmup)
        return await build_chain(with_defaults([]), engine, runtime)(row(url=url))


async def test_a_warm_worker() -> None:
    runtime = WorkerRuntime(warmup=lambda: WarmupReport(True, 10, 12.34))

    exchange = await build_chain([Config()], answering(answer(200)), runtime)(row())

    assert exchange.metadata == {
        "transport.warmed_up": "true",
        "transport.warmup_connections": "10",
        "transport.warmup_ms": "12.3",
    }


async def test_a_worker_without_warm_up() -> None:
    exchange = await build_chain([Config()], answering(answer(200)))(row())

    assert exchange.metadata["transport.warmed_up"] == "false"
    assert "transport.warmup_error" not in exchange.metadata


async def test_the_error_of_the_warm_up_stands_in_failed_rows_too() -> None:
    runtime = WorkerRuntime(warmup=lambda: WarmupReport(error="no luck"))

    exchange = await build_chain([Config()], answering(failure("dns")), runtime)(row())

    assert exchange.metadata["transport.warmup_error"] == "no luck"
    assert exchange.error_kind == "dns"


async def test_every_row_has_what_is_known_by_then() -> None:
    reports = iter([WarmupReport(), WarmupReport(warmed_up=True)])
    chain = build_chain([Config()], answering(answer(200)), WorkerRuntime(warmup=lambda: next(reports)))

    rows = [await chain(row()), await chain(row())]

    assert [each.metadata["transport.warmed_up"] for each in rows] == ["false", "true"]


async def test_warm_connections_of_a_real_engine_are_counted() -> None:
    async with serving(OK) as server:
        exchange = await send_warm(server.url, base_url=server.url)

    assert exchange.metadata["transport.warmed_up"] == "true"
    assert exchange.metadata["transport.warmup_connections"] == "10"


async def test_a_dead_warm_up_address_is_recorded_and_costs_no_row() -> None:
    async with serving(OK) as server:
        exchange = await send_warm(server.url, base_url=f"http://127.0.0.1:{closed_port()}")

    assert exchange.metadata["transport.warmup_error"] == "ClientConnectorError: ECONNREFUSED"
    assert (exchange.status, exchange.error_kind) == (200, None)
