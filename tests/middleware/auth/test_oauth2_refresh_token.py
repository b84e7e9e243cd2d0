"""Tokens for a refresh token, which may be another one each time."""

from __future__ import annotations

from typing import Any

import pytest

from http_enrich_middleware import RequestExchange, WorkerRuntime, build_chain
from http_enrich_middleware.auth.oauth2_refresh_token import Config
from http_enrich_transport import SecretText
from tests.support.authorization_server import CLIENT, AuthorizationServer, authorizing
from tests.support.chain import FakeTime, answer, row, send_over_http
from tests.support.tokens import TOKEN_URL, Api, granting

CONFIG = Config(token_url=TOKEN_URL, refresh_token=SecretText("canary-0"), client_id="me")


async def refreshed(api: Api, times: int, runtime: WorkerRuntime | None = None) -> list[RequestExchange]:
    """Send a row for each token."""
    send = build_chain([CONFIG], api.engine, runtime or FakeTime().runtime)
    done = []
    for count in range(1, times + 1):
        api.takes = f"token-{count}".__eq__
        done.append(await send(row()))
    return done


async def test_over_http_the_client_is_named_as_well() -> None:
    async with authorizing(AuthorizationServer(members={"refresh_token": "canary-1"})) as server:
        config = Config(
            token_url=server.token_url,
            refresh_token=SecretText("canary-0"),
            client_id=CLIENT[0],
            client_secret=SecretText(CLIENT[1]),
        )
        exchange = await send_over_http([config], row(url=f"{server.url}/api"))

    assert exchange.status == 200
    assert server.forms == [{"grant_type": "refresh_token", "refresh_token": "canary-0"}]


async def test_a_refresh_token_that_stays_is_used_again() -> None:
    api = Api()
    await refreshed(api, 3)

    assert [form["refresh_token"] for form in api.forms] == ["canary-0"] * 3


async def test_a_new_refresh_token_takes_the_place_of_the_old_one() -> None:
    api = Api(tokens=[granting(f"token-{count}", refresh_token=f"canary-{count}") for count in (1, 2, 3)])
    runtime = FakeTime().runtime
    done = await refreshed(api, 3, runtime)

    assert [each.error_kind for each in done] == [None] * 3
    assert [form["refresh_token"] for form in api.forms] == ["canary-0", "canary-1", "canary-2"]
    assert runtime.redactor.text("canary-0 canary-2 canary-3") == "*** *** ***"


async def test_it_is_kept_even_if_the_access_token_is_of_no_use() -> None:
    time = FakeTime()
    api = Api(tokens=[granting("a b", refresh_token="canary-1")])
    send = build_chain([CONFIG], api.engine, time.runtime)
    first = await send(row())
    time.now += 30
    second = await send(row())

    assert (first.error_kind, second.error_kind) == ("auth_failed", None)
    assert [form["refresh_token"] for form in api.forms] == ["canary-0", "canary-1"]


@pytest.mark.parametrize("said", [None, "", 7, True, ["canary-1"]])
async def test_what_is_no_refresh_token_replaces_nothing(said: Any) -> None:
    api = Api(tokens=[granting("token-1", refresh_token=said)])
    await refreshed(api, 2)

    assert [form["refresh_token"] for form in api.forms] == ["canary-0"] * 2


async def test_the_refresh_token_of_a_failed_request_is_used_again() -> None:
    api = Api(tokens=[answer(503)])
    exchange = await build_chain([CONFIG], api.engine, FakeTime().runtime)(row())

    assert exchange.error_kind is None
    assert [form["refresh_token"] for form in api.forms] == ["canary-0"] * 2
