"""A key in a header or in the query."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from http_enrich_middleware import RequestExchange, build_chain, parse_middleware
from http_enrich_middleware.auth import api_key
from http_enrich_middleware.traffic import retry
from http_enrich_transport import MemoryEngine, SecretText
from tests.support.chain import FakeTime, answer, answering, row, send_over_http
from tests.support.peer import OK, serving

KEY = SecretText("canary-7")
UNAVAILABLE = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


async def send(engine: MemoryEngine, url: str, **options: object) -> RequestExchange:
    config = api_key.Config.model_validate({"key": KEY, **options})
    return await build_chain([config], engine, FakeTime().runtime)(row(url=url))


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ({}, {"X-Api-Key": "canary-7"}),
        ({"header": "apikey"}, {"apikey": "canary-7"}),
        ({"header": "Authorization", "prefix": "Token "}, {"Authorization": "Token canary-7"}),
    ],
)
async def test_the_key_goes_into_the_header(options: dict[str, object], headers: dict[str, str]) -> None:
    engine = answering(answer(200))
    await send(engine, "http://api.test/v1", **options)

    assert (engine.requests[0].url, engine.requests[0].headers) == ("http://api.test/v1", headers)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://api.test", "http://api.test?key=canary-7"),
        ("http://api.test/v1", "http://api.test/v1?key=canary-7"),
        ("http://api.test/v1?", "http://api.test/v1?key=canary-7"),
        ("http://api.test/v1?a=1", "http://api.test/v1?a=1&key=canary-7"),
        ("http://api.test/v1?a=1&", "http://api.test/v1?a=1&key=canary-7"),
        ("http://api.test/v1?a=key", "http://api.test/v1?a=key&key=canary-7"),
        ("http://api.test/v1?monkey=1", "http://api.test/v1?monkey=1&key=canary-7"),
        ("http://api.test/v1?a=%26key=1", "http://api.test/v1?a=%26key=1&key=canary-7"),
    ],
)
async def test_the_key_goes_into_the_query(url: str, sent: str) -> None:
    engine = answering(answer(200))
    exchange = await send(engine, url, query="key")

    assert [each.url for each in engine.requests] == [sent]
    assert (exchange.request.url, exchange.error_kind) == (url, None)


async def test_name_and_key_arrive_as_they_are_whatever_they_are_made_of() -> None:
    engine = answering(answer(200))
    await send(engine, "http://api.test/v1", key=SecretText("ä&b=c +/%23#"), query="the key&=")

    assert engine.requests[0].url == "http://api.test/v1?the%20key%26%3D=%C3%A4%26b%3Dc%20%2B%2F%2523%23"
    assert parse_qsl(urlsplit(engine.requests[0].url).query) == [("the key&=", "ä&b=c +/%23#")]


@pytest.mark.parametrize(
    "query", ["key=mine", "a=1&key=mine", "key", "%6Bey=mine", "key=canary-7", "a=1;key=mine", "a=1&ke%79=&b"]
)
async def test_a_row_cannot_choose_the_key(query: str) -> None:
    engine = answering(answer(200))
    exchange = await send(engine, f"http://api.test/v1?{query}", query="key")

    assert (engine.calls, exchange.attempts) == (0, 0)
    assert (exchange.error_kind, exchange.status) == ("invalid_request", None)
    assert exchange.error_message == "the address has the parameter 'key' already, which is the key's"


async def test_every_attempt_carries_the_key_once() -> None:
    config = api_key.Config(key=KEY, query="key")
    async with serving(UNAVAILABLE) as server:
        exchange = row(url=f"{server.url}/v1?a=1")
        await send_over_http([retry.Config(), config], exchange, FakeTime().runtime)

    assert [head.split(b" ")[1] for head in server.heads] == [b"/v1?a=1&key=canary-7"] * 3
    assert exchange.request.url == f"{server.url}/v1?a=1"


async def test_the_server_sees_the_header() -> None:
    async with serving(OK) as server:
        await send_over_http([api_key.Config(key=KEY)], row(url=server.url))

    assert b"\r\nX-Api-Key: canary-7\r\n" in server.heads[0]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"header": "X-Key", "query": "key"}, "give one of header and query"),
        ({"query": "key", "prefix": "Key "}, "a prefix is for the header"),
        ({"query": ""}, "query"),
        ({"header": "X Key"}, "this is no name of a header"),
        ({"header": "X-Key:"}, "this is no name of a header"),
        ({"header": ""}, "this is no name of a header"),
        ({"header": "Host"}, "the header 'Host' is written by the engine"),
        ({"header": "content-length"}, "is written by the engine"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_middleware({"type": "api_key", "key": KEY, **options})


@pytest.mark.parametrize("key", ["canary\r\nX: 1", "canary\n", " canary", "canary ", "canarü", "canary\x00"])
def test_a_key_that_no_header_can_carry_is_found_before_the_first_row(key: str) -> None:
    with pytest.raises(ValueError, match="the key has a line break") as caught:
        api_key.build(api_key.Config(key=SecretText(key)), FakeTime().runtime)

    assert "canar" not in str(caught.value)


def test_a_prefix_that_no_header_can_carry_is_found_too() -> None:
    with pytest.raises(ValueError, match="the prefix has a line break"):
        api_key.build(api_key.Config(key=KEY, prefix="Key\n"), FakeTime().runtime)
