"""A warm-up that fails: row W1 of the fault matrix."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from http_enrich_transport import TransportEngine, TransportRequest
from tests.support.faults import attempt, engine_for, outcome
from tests.support.names import resolving
from tests.support.peer import OK, Peer, closed_port, full_backlog, greeting, hang_up, serving, silent
from tests.support.tls import self_signed

EMPTY = b"HTTP/1.1 204 None\r\n\r\n"
FOUR = {"limit": 4}
WARM: dict[str, Any] = {"warmup_timeout": 5, "tcp_connection": FOUR}


async def under_way(engine: TransportEngine) -> None:
    """Wait until the whole pool is being warmed up."""
    private: Any = engine
    while len(private._wire.connector._acquired) < FOUR["limit"]:  # noqa: ASYNC110 - aiohttp tells nobody
        await asyncio.sleep(0)


async def test_nobody_listens() -> None:
    """W1"""
    url = f"http://127.0.0.1:{closed_port()}/"
    async with engine_for(url, **WARM) as engine:
        report = await engine.warmed_up()
        response = await engine.send(TransportRequest("GET", url))

    assert (report.warmed_up, report.connections) == (False, 0)
    assert report.error == "ClientConnectorError: ECONNREFUSED"
    assert outcome(response) == ("connect_refused", "not_sent", None)


async def test_a_certificate_that_proves_nothing(tmp_path: Path) -> None:
    """W1"""
    async with serving(OK, tls=self_signed(tmp_path)) as server, engine_for(server.url, **WARM) as engine:
        report = await engine.warmed_up()

    assert (report.connections, server.requests) == (0, 0)
    assert report.error == "certificate not accepted: self-signed certificate"


@pytest.mark.parametrize("kind", ["tcp", "tls", "dns"])
async def test_what_hangs_ends_with_the_time_for_warming_up(kind: str) -> None:
    """W1"""
    with resolving(api_test=None):
        async with full_backlog() as full, greeting(silent) as stalled:
            url = {"tcp": full, "tls": stalled.url, "dns": "http://api.test/"}[kind]
            async with engine_for(url, **{**WARM, "warmup_timeout": 0.1}) as engine:
                report = await engine.warmed_up()

    assert (report.warmed_up, report.connections) == (False, 0)
    assert report.error == "warm-up took longer than 0.1 s"


async def test_a_row_waits_no_longer_than_for_its_own_connection() -> None:
    """W1: what the warm-up hangs on, the row would hang on as well; afterwards it goes its own way."""
    hung = 0

    async def first_four_hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal hung
        hung += 1
        await (silent if hung <= 4 else _answer)(reader, writer)

    async with greeting(first_four_hang) as server:
        url = server.url.replace("https", "http")
        warm = {**WARM, "warmup_timeout": 0.2, "warmup": {"method": "HEAD"}}
        async with engine_for(url, **warm) as engine:
            await under_way(engine)
            response = await engine.send(TransportRequest("GET", url))
            report = await engine.warmed_up()

    assert (outcome(response), report.connections) == ((None, "responded", 200), 0)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK)


async def test_a_warm_up_that_hangs_does_not_hold_up_rows_to_another_host() -> None:
    """W1"""
    async with full_backlog() as url, serving(OK) as server, engine_for(url, **WARM) as engine:
        await under_way(engine)
        response = await engine.send(TransportRequest("GET", server.url, timeout=1))

    assert outcome(response) == (None, "responded", 200)


async def test_one_slow_connection_does_not_hold_back_the_others() -> None:
    """W1: rows take those that are up."""
    seen = 0

    async def one_hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            return await silent(reader, writer)
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(EMPTY)

    async with greeting(one_hangs) as server:
        url = server.url.replace("https", "http")
        async with engine_for(url, **{**WARM, "warmup": {"method": "HEAD", "path": "/up"}}) as engine:
            await under_way(engine)
            request = TransportRequest("GET", url)
            answers = await asyncio.gather(*(engine.send(request) for _ in range(8)))
            still_warming = not engine.warmup.warmed_up

    assert {outcome(each) for each in answers} == {(None, "responded", 204)}
    assert still_warming
    assert server.connections <= 4


async def test_a_request_to_warm_up_with() -> None:
    async with serving(EMPTY) as server:
        warm = {**WARM, "warmup": {"method": "HEAD", "path": "/health?a=b"}}
        async with engine_for(server.url + "/v1/", **warm) as engine:
            report = await engine.warmed_up()

    assert (report.warmed_up, report.connections, server.connections) == (True, 4, 4)
    assert {head.partition(b"\r\n")[0] for head in server.heads} == {b"HEAD /health?a=b HTTP/1.1"}


async def test_what_is_warm_behind_a_proxy_is_used() -> None:
    login = {"username": "user", "password": "canary"}
    async with serving(OK) as proxy:
        through = {"proxy": {"url": proxy.url, **login}}
        async with engine_for("http://api.test/", **WARM, **through) as engine:
            report = await engine.warmed_up()
            request = TransportRequest("GET", "http://api.test/")
            await asyncio.gather(*(engine.send(request) for _ in range(8)))

    assert (report.connections, proxy.connections, proxy.requests) == (4, 4, 8)


async def test_as_many_connections_as_one_host_may_have() -> None:
    tcp = {"limit": 9, "limit_per_host": 3}
    async with serving(OK) as server, engine_for(server.url, warmup_timeout=5, tcp_connection=tcp) as engine:
        report = await engine.warmed_up()

        assert (report.warmed_up, report.connections, server.connections) == (True, 3, 3)


@pytest.mark.parametrize("peer", [silent, hang_up])
async def test_a_peer_that_does_not_answer_the_request(peer: Peer) -> None:
    """W1"""
    async with serving(peer) as server:
        warm = {**WARM, "warmup_timeout": 1, "warmup": {"method": "GET"}}
        async with engine_for(server.url, **warm) as engine:
            report = await engine.warmed_up()

    assert (report.warmed_up, report.connections, server.requests) == (False, 0, 4)


@pytest.mark.parametrize("kind", ["tcp", "tls", "dns"])
async def test_an_engine_that_is_closed_while_warming_up(kind: str) -> None:
    """W1: at once, and nothing of it goes on."""
    with resolving(api_test=None):
        async with full_backlog() as full, greeting(silent) as stalled:
            url = {"tcp": full, "tls": stalled.url, "dns": "http://api.test/"}[kind]
            patient = {**WARM, "warmup_timeout": 60, "connect_timeout": 60}
            async with asyncio.timeout(20), engine_for(url, **patient):
                while not warming():  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0)
            left = warming()

    assert left == []


def warming() -> list[asyncio.Task[Any]]:
    return [each for each in asyncio.all_tasks() if "warm_up.<locals>.attempt" in repr(each)]


async def test_no_warm_up_without_an_address_or_time() -> None:
    async with serving(OK) as server:
        assert outcome(await attempt(server.url, warmup_timeout=0))[0] is None
        async with engine_for(None, **WARM) as engine:
            report = await engine.warmed_up()

    assert (report.warmed_up, report.error, server.connections) == (False, None, 1)


async def test_rows_wait_no_longer_for_a_warm_up_than_for_a_connection() -> None:
    """W1"""
    async with greeting(silent) as stalled:
        url = stalled.url.replace("http:", "https:")
        config = {**WARM, "connect_timeout": 0.1, "base_timeout": 2, "warmup_timeout": 60}
        async with engine_for(url, **config) as engine:
            await under_way(engine)
            response = await engine.send(TransportRequest("GET", url))

    assert outcome(response) == ("connect_timeout", "not_sent", None)


async def test_a_warm_up_reads_what_it_asked_for() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
    warm = {**WARM, "warmup": {"method": "GET"}}
    async with serving(answer) as server, engine_for(server.url, **warm) as engine:
        await engine.warmed_up()
        await engine.send(TransportRequest("GET", server.url))

    assert server.connections == 4


@pytest.mark.parametrize("pool", [{"force_close": True}, {"keepalive_timeout": 0}])
async def test_connections_that_nobody_keeps_are_not_warmed_up(pool: dict[str, Any]) -> None:
    warm = {**WARM, "tcp_connection": pool}
    async with serving(OK) as server, engine_for(server.url, **warm) as engine:
        report = await engine.warmed_up()

    assert (report.connections, server.connections) == (0, 0)
