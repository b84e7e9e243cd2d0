"""Tokens for a client, from a real server that ends them as it likes."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

from aiohttp import web

from http_enrich_middleware import RequestExchange, WorkerRuntime, build_chain
from http_enrich_middleware.auth.oauth2_client_credentials import Config
from http_enrich_middleware.traffic import retry
from http_enrich_transport import (
    AiohttpEngineConfig,
    SecretText,
    TcpConnectionConfig,
    TransportRuntimeFactory,
)
from tests.support.authorization_server import CLIENT, AuthorizationServer, authorizing
from tests.support.chain import row, send_over_http

ROWS, CONCURRENCY = 2000, 50


def client(server: AuthorizationServer, **options: Any) -> Config:
    return Config(
        token_url=server.token_url, client_id=CLIENT[0], client_secret=SecretText(CLIENT[1]), **options
    )


async def enrich(server: AuthorizationServer, runtime: WorkerRuntime) -> list[RequestExchange]:
    """Send all rows, fifty at a time."""
    config = AiohttpEngineConfig(warmup_timeout=0, tcp_connection=TcpConnectionConfig(limit=CONCURRENCY))
    runtime = replace(runtime, base_url=server.url)
    left = iter(range(ROWS))
    done: list[RequestExchange] = []

    async def consume() -> None:
        for _ in left:
            done.append(await send(row("POST", f"{server.url}/api")))

    async with TransportRuntimeFactory(config, base_url=server.url).create() as engine:
        send = build_chain([retry.Config(), client(server)], engine, runtime)
        await asyncio.gather(*(consume() for _ in range(CONCURRENCY)))
    return done


def assert_nothing_is_lost(server: AuthorizationServer, rows: list[RequestExchange]) -> None:
    assert Counter(each.error_kind for each in rows) == {None: ROWS}
    assert Counter(each.metadata["retry.stop"] for each in rows) == {"ok": ROWS}
    # No row needed the retry: 401 is not among what it repeats, and no attempt is unaccounted for.
    assert server.served == ROWS
    assert sum(each.attempts for each in rows) == ROWS + server.refused


async def test_two_thousand_rows_get_through_although_tokens_end_without_notice() -> None:
    """Each token serves 300 requests; the first and the fourth are revoked before that."""
    async with authorizing(AuthorizationServer(quota=300, revoke_at={150, 1000})) as server:
        rows = await enrich(server, WorkerRuntime())

    assert_nothing_is_lost(server, rows)
    assert [each.served for each in server.issued] == [150, 300, 300, 250, 300, 300, 300, 100]
    assert len(server.forms) == len(server.issued) == 8


async def test_two_thousand_rows_get_through_although_tokens_expire_and_are_revoked() -> None:
    """
    Requests are the clock of server and worker, twenty a second: a token lives for 600 of them.

    Ten seconds ahead of its end, which is after 400, the next one is asked for; one is revoked before.
    """
    async with authorizing(AuthorizationServer(lifetime=600, told=30, revoke_at={600})) as server:
        runtime = WorkerRuntime(clock=lambda: server.served / 20, uniform=lambda low, high: low)
        rows = await enrich(server, runtime)

    assert_nothing_is_lost(server, rows)
    # One request at the start, one for each token that ended: near its end, or revoked.
    lives = [later.at - each.at for each, later in zip(server.issued, server.issued[1:], strict=False)]
    assert len(server.forms) == len(server.issued)
    assert sum(each.revoked for each in server.issued) == 1
    for each, life in zip(server.issued, lives, strict=False):
        assert each.at + life == 600 if each.revoked else 400 - CONCURRENCY < life < 600
    assert len(lives) >= 4
    # What was refused flew when the token was revoked, and nothing was refused because it expired.
    assert 1 <= server.refused <= CONCURRENCY


async def test_the_server_checks_who_asks() -> None:
    async with authorizing() as server:
        wrong = client(server).model_copy(update={"client_secret": SecretText("canary-8")})
        exchange = await send_over_http([wrong], row(url=f"{server.url}/api"))

    message = "the token request was refused with HTTP status 401: invalid_client"
    assert (exchange.error_kind, exchange.error_message) == ("auth_failed", message)
    assert (exchange.attempts, len(server.forms)) == (0, 1)


async def test_the_server_may_want_the_secret_in_the_body() -> None:
    async with authorizing() as server:
        exchange = await send_over_http([client(server, client_auth="post")], row(url=f"{server.url}/api"))

    assert (exchange.error_kind, server.forms[0]["client_secret"]) == (None, CLIENT[1])


async def test_a_server_in_trouble_is_asked_again() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    failures = [web.Response(status=503, headers={"Retry-After": "2"}), web.Response(status=500)]
    async with authorizing(AuthorizationServer(failures=failures)) as server:
        runtime = WorkerRuntime(sleep=sleep, clock=lambda: 0.0, uniform=lambda low, high: high)
        exchange = await send_over_http([client(server)], row(url=f"{server.url}/api"), runtime)

    assert (exchange.error_kind, len(server.forms), waits) == (None, 3, [2.5, 1.0])


async def test_a_redirect_of_the_token_request_is_not_followed() -> None:
    failures = [web.Response(status=307, headers={"Location": "/token"})]
    async with authorizing(AuthorizationServer(failures=failures)) as server:
        exchange = await send_over_http([client(server)], row(url=f"{server.url}/api"))

    assert exchange.error_message == "the token request was refused with HTTP status 307"
    assert len(server.forms) == 1


async def test_revocation_on_command() -> None:
    async with authorizing() as server:
        config = AiohttpEngineConfig(warmup_timeout=0)
        async with TransportRuntimeFactory(config, base_url=server.url).create() as engine:
            send = build_chain([client(server)], engine, WorkerRuntime(base_url=server.url))
            first = await send(row(url=f"{server.url}/api"))
            server.revoke()
            second = await send(row(url=f"{server.url}/api"))

    assert [(each.status, each.attempts) for each in (first, second)] == [(200, 1), (200, 2)]
    assert [each.served for each in server.issued] == [1, 1]
