"""Tokens for a user's name and password."""

from __future__ import annotations

from http_enrich_middleware import build_chain
from http_enrich_middleware.auth.oauth2_password import Config
from http_enrich_transport import SecretText
from tests.support.authorization_server import CLIENT, authorizing
from tests.support.chain import FakeTime, row, send_over_http
from tests.support.tokens import TOKEN_URL, Api


async def test_name_and_password_are_sent_with_those_of_the_client() -> None:
    async with authorizing() as server:
        config = Config(
            token_url=server.token_url,
            username="jón & co",
            password=SecretText("canary-7 =&+"),
            client_id=CLIENT[0],
            client_secret=SecretText(CLIENT[1]),
            scope="read",
        )
        exchange = await send_over_http([config], row(url=f"{server.url}/api"))

    assert exchange.status == 200
    assert server.forms == [
        {"grant_type": "password", "username": "jón & co", "password": "canary-7 =&+", "scope": "read"}
    ]


async def test_the_next_token_is_asked_for_with_the_password_too() -> None:
    api = Api(takes=lambda token: token != "token-1", members={"refresh_token": "canary-6"})
    config = Config(token_url=TOKEN_URL, username=SecretText("canary-5"), password=SecretText("canary-7"))
    runtime = FakeTime().runtime
    exchange = await build_chain([config], api.engine, runtime)(row())

    assert exchange.error_kind is None
    assert api.forms == [{"grant_type": "password", "username": "canary-5", "password": "canary-7"}] * 2
    assert runtime.redactor.text("canary-5 canary-7") == "*** ***"
