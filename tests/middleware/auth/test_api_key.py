"""A key in a header or in the query."""

from __future__ import annotations

from typing import Any

import pytest

from http_enrich_middleware import MiddlewareConfig, build_chain, parse_middleware
from http_enrich_middleware.traffic import retry
from http_enrich_transport import SecretText
from tests.support.chain import FakeTime, answer, answering, row, send_over_http
from tests.support.peer import OK, serving


def config(**options: Any) -> MiddlewareConfig:
    return parse_middleware({"type": "api_key", "key": SecretText("a/b+c d&e"), **options})


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, b"\r\nX-Api-Key: a/b+c d&e\r\n"),
        ({"header": "Authorization", "prefix": "Token "}, b"\r\nAuthorization: Token a/b+c d&e\r\n"),
        ({"query": "api key"}, b"GET /?api%20key=a%2Fb%2Bc%20d%26e HTTP/1.1\r\n"),
    ],
)
async def test_the_server_sees_it(options: dict[str, Any], line: bytes) -> None:
    async with serving(OK) as server:
        await send_over_http([config(**options)], row(url=server.url + "/"))

    assert line in server.heads[0]


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://api.test/a", "http://api.test/a?key=a%2Fb%2Bc%20d%26e"),
        ("http://api.test/a?", "http://api.test/a?key=a%2Fb%2Bc%20d%26e"),
        ("http://api.test/a?x=1", "http://api.test/a?x=1&key=a%2Fb%2Bc%20d%26e"),
    ],
)
async def test_each_attempt_has_it_once_and_nobody_outside_sees_it(url: str, sent: str) -> None:
    engine, exchange = answering(answer(503)), row(url=url)
    await build_chain([retry.Config(max_attempts=3), config(query="key")], engine, FakeTime().runtime)(
        exchange
    )

    assert [each.url for each in engine.requests] == [sent] * 3
    assert exchange.request.url == url


@pytest.mark.parametrize("query", ["key=mine", "x=1&key=", "key", "%6Bey=mine", "a=b&k%65y=1"])
async def test_a_row_cannot_bring_a_key_of_its_own(query: str) -> None:
    engine = answering(answer(200))
    chain = build_chain([config(query="key")], engine, FakeTime().runtime)
    exchange = await chain(row(url=f"http://api.test/?{query}"))

    assert (exchange.error_kind, exchange.attempts, engine.calls) == ("invalid_request", 0, 0)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"header": "A", "query": "b"}, "give one of header and query"),
        ({"query": "b", "prefix": "x"}, "prefix goes with header"),
        ({"header": "Host"}, "not the name of a header that can be set"),
        ({"header": "a b"}, "not the name of a header that can be set"),
        ({"query": ""}, "at least 1 character"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_load(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        config(**options)
