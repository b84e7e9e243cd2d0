from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientSession, encode_basic_auth

from http_enrich_demo.tokens import CLIENT_ID, LIFETIME, TokenEndpoint
from tests.demo.test_api import TOKEN, ask, quick_api, stats_of

CLIENT = encode_basic_auth(CLIENT_ID, quote(TOKEN))
GRANT = {"grant_type": "client_credentials"}


async def ask_for_token(
    session: ClientSession, url: str, client: str = CLIENT, form: dict[str, str] = GRANT
) -> tuple[int, dict[str, Any]]:
    async with session.post(f"{url}/oauth/token", data=form, headers={"Authorization": client}) as response:
        return response.status, await response.json()


async def test_a_token_opens_the_api() -> None:
    async with quick_api() as api, ClientSession() as session:
        status, answer = await ask_for_token(session, api.url)
        response = await ask(session, api, "KJFK", {"Authorization": f"Bearer {answer['access_token']}"})

    assert (status, answer["token_type"], answer["expires_in"]) == (200, "Bearer", LIFETIME)
    assert response.status == 200


@pytest.mark.parametrize(
    ("client", "form", "status", "error"),
    [
        (encode_basic_auth(CLIENT_ID, "wrong"), GRANT, 401, "invalid_client"),
        (encode_basic_auth("someone", TOKEN), GRANT, 401, "invalid_client"),
        ("Basic no base64", GRANT, 401, "invalid_client"),
        (CLIENT, {"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_nobody_else_gets_a_token(client: str, form: dict[str, str], status: int, error: str) -> None:
    async with quick_api() as api, ClientSession() as session:
        assert await ask_for_token(session, api.url, client, form) == (status, {"error": error})


async def test_token_requests_are_counted_apart() -> None:
    async with quick_api() as api, ClientSession() as session:
        await ask_for_token(session, api.url)
        counters = await stats_of(api)

    assert (counters["tokens"], counters["requests"], counters["connections"]) == (1, 0, 0)


async def test_a_token_ends() -> None:
    now = 0.0
    async with quick_api() as api, ClientSession() as session:
        api.tokens = TokenEndpoint(TOKEN, clock=lambda: now)
        _, answer = await ask_for_token(session, api.url)
        header = {"Authorization": f"Bearer {answer['access_token']}"}
        before = await ask(session, api, "KJFK", header)
        now = LIFETIME + 1.0
        after = await ask(session, api, "KJFK", header)

    assert (before.status, after.status) == (200, 401)
