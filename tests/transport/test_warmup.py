"""Connections that are open before the first row."""

from __future__ import annotations

import asyncio

from http_enrich_transport import (
    AiohttpEngineConfig,
    TcpConnectionConfig,
    TransportEngine,
    TransportRequest,
    TransportRuntimeFactory,
)
from tests.support.peer import OK, closed_port, full_backlog, serving


def engine(url: str, *, timeout: float = 5) -> TransportEngine:
    config = AiohttpEngineConfig(warmup_timeout=timeout, tcp_connection=TcpConnectionConfig(limit=4))
    return TransportRuntimeFactory(config, base_url=url).create()


async def test_opens_the_whole_pool_without_a_request() -> None:
    async with serving(OK) as server, engine(server.url) as warm:
        report = await warm.warmed_up()

        assert (report.warmed_up, report.connections, report.error) == (True, 4, None)
        assert (server.connections, server.requests) == (4, 0)


async def test_requests_use_the_warm_connections() -> None:
    async with serving(OK) as server, engine(server.url) as warm:
        await warm.warmed_up()
        await asyncio.gather(*(warm.send(TransportRequest("GET", server.url)) for _ in range(20)))

        assert (server.connections, server.requests) == (4, 20)


async def test_failure_is_recorded_and_the_engine_still_works() -> None:
    async with serving(OK) as server, engine(f"http://127.0.0.1:{closed_port()}/") as cold:
        report = await cold.warmed_up()

        assert (report.warmed_up, report.error) == (False, "ClientConnectorError: ECONNREFUSED")
        assert (await cold.send(TransportRequest("GET", server.url))).status == 200


async def test_a_slow_peer_costs_no_more_than_the_timeout() -> None:
    async with full_backlog() as url, engine(url, timeout=0.1) as cold:
        assert (await cold.warmed_up()).error == "warm-up took longer than 0.1 s"
