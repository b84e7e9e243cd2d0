"""How the pyreqwest engine opens its connections ahead of the first row."""

from __future__ import annotations

import asyncio

from http_enrich_transport import TransportRequest
from tests.support.peer import OK, closed_port, full_backlog, serving, silent
from tests.support.rust import rust

PATIENCE = 60.0
"""Seconds for what should come at once."""

HEAD_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
"""The answer to HEAD, which has no body."""


async def test_warms_up_the_whole_pool_by_head() -> None:
    """The peer answers none before all are there: Rust would use the first for the fourth."""
    options = {"warmup_timeout": PATIENCE, "tcp_connection": {"limit": 4}, "warmup": {"path": "/health"}}
    all_there = asyncio.Barrier(4)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await all_there.wait()
        writer.write(HEAD_OK)
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(HEAD_OK)

    async with serving(answer) as server, rust(server.url + "/v1", **options) as engine:
        report = await engine.warmed_up()
        later = await asyncio.gather(*(engine.send(TransportRequest("HEAD", server.url)) for _ in range(20)))

    assert (report.warmed_up, report.connections, report.error) == (True, 4, None)
    assert [each.split()[:2] for each in server.heads] == [[b"HEAD", b"/health"]] * 4
    assert ({each.status for each in later}, server.connections) == ({200}, 4)


async def test_a_warm_up_that_fails_says_why_and_the_engine_works() -> None:
    url = f"http://127.0.0.1:{closed_port()}/a?key=canary"

    async with serving(OK) as server, rust(url, warmup_timeout=PATIENCE) as engine:
        report = await engine.warmed_up()
        response = await engine.send(TransportRequest("GET", server.url))

    assert (report.warmed_up, report.connections) == (False, 0)
    assert (report.error or "").startswith("ConnectError (http://127.0.0.1:")
    assert "canary" not in (report.error or "")
    assert response.status == 200


async def test_a_warm_up_takes_no_longer_than_its_timeout() -> None:
    async with full_backlog() as url, rust(url, warmup_timeout=0.1, connect_timeout=60) as engine:
        report = await asyncio.wait_for(engine.warmed_up(), 20)  # connecting may take 60

    assert (report.warmed_up, report.connections) == (False, 0)
    assert report.error


async def test_leaving_waits_for_no_warm_up() -> None:
    async with (
        asyncio.timeout(PATIENCE),
        serving(silent) as server,
        rust(server.url, warmup_timeout=600, connect_timeout=600) as engine,
    ):
        pass

    assert engine.warmup.warmed_up is False
