"""The token that goes with every request."""

from __future__ import annotations

import pytest

from http_enrich_middleware import MiddlewareConfig, build_chain, parse_middleware
from http_enrich_middleware.auth import bearer
from http_enrich_middleware.auth.bearer import Config
from http_enrich_middleware.traffic import retry
from http_enrich_transport import RESOLVED, SecretText
from tests.support.chain import FakeTime, answer, answering, row, send_over_http
from tests.support.peer import OK, serving

BEARER = Config(token=SecretText("canary-7"))


async def test_the_server_sees_the_token_and_the_other_headers() -> None:
    exchange = row(**{"X-Tag": "a"})
    async with serving(OK) as server:
        exchange.request.url = server.url
        await send_over_http([BEARER], exchange)

    assert b"\r\nAuthorization: Bearer canary-7\r\n" in server.heads[0]
    assert b"\r\nX-Tag: a\r\n" in server.heads[0]


@pytest.mark.parametrize("order", [[BEARER, retry.Config()], [retry.Config(), BEARER]])
async def test_every_attempt_carries_the_token_once(order: list[MiddlewareConfig]) -> None:
    unavailable = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    async with serving(unavailable) as server:
        await send_over_http(order, row(url=server.url), FakeTime().runtime)

    assert [head.count(b"Authorization: Bearer canary-7") for head in server.heads] == [1, 1, 1]


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
async def test_a_header_of_the_row_gives_way(name: str) -> None:
    async with serving(OK) as server:
        await send_over_http([BEARER], row(url=server.url, **{name: "Basic of-the-row"}))

    head = server.heads[0].lower()
    assert (head.count(b"authorization:"), head.count(b"authorization: bearer canary-7")) == (1, 1)


async def test_nothing_printable_holds_the_token() -> None:
    exchange = await build_chain([BEARER], answering(answer(401)), FakeTime().runtime)(row())

    assert exchange.error_message == "HTTP status 401"
    assert "canary" not in f"{exchange} {exchange!r} {exchange.metadata} {BEARER} {BEARER!r}"


@pytest.mark.parametrize("entry", [{}, {"token": "canary-7"}, {"token": 7}, {"token": None}])
def test_a_token_comes_out_of_an_interpolation_or_not_at_all(entry: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="token") as caught:
        parse_middleware({"type": "bearer", **entry})

    assert "canary" not in str(caught.value)


def test_a_token_out_of_the_environment_is_accepted() -> None:
    entry = {"type": "bearer", "token": "canary-7"}

    assert parse_middleware(entry, RESOLVED) == Config(token=SecretText("canary-7"))


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("canary\n", "the token has a line break"),
        ("canary\r\nX: 1", "the token has a line break"),
        (" canary", "a blank at an end"),
        ("canarü", "a character beyond ASCII"),
        ("Bearer canary", "give the token alone, without the word Bearer"),
    ],
)
def test_a_token_that_cannot_be_one_is_found_before_the_first_row(token: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        bearer.build(Config(token=SecretText(token)), FakeTime().runtime)

    assert "canar" not in str(caught.value)


@pytest.mark.parametrize("token", ["mF_9.B5f-4.1JqM", "1|laravel", "id:secret", "aGk="])
async def test_tokens_of_every_usual_make_are_taken(token: str) -> None:
    engine = answering(answer(200))
    await build_chain([Config(token=SecretText(token))], engine, FakeTime().runtime)(row())

    assert engine.requests[0].headers == {"Authorization": f"Bearer {token}"}
