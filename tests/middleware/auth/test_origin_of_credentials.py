"""Credentials of every kind go to the origin they are for, and to no other."""

from __future__ import annotations

from typing import Any

import pytest

from http_enrich_middleware import WorkerRuntime, build_chain, parse_middleware
from http_enrich_transport import SecretText
from tests.support.chain import FakeTime, answer, answering, row

SECRET = SecretText("canary-7")
KINDS: list[dict[str, Any]] = [
    {"type": "api_key", "key": SECRET},
    {"type": "api_key", "key": SECRET, "query": "key"},
    {"type": "basic", "username": "canary-7", "password": SECRET},
    {"type": "bearer", "token": SECRET},
    {"type": "hmac", "secret": SECRET, "parts": ["path"], "prefix": "canary-7 "},
    {"type": "jwt_bearer", "secret": SecretText("canary-7-of-some-length"), "algorithm": "HS256"},
]
IDS = ["api_key", "api_key in the query", "basic", "bearer", "hmac", "jwt_bearer"]
ELSEWHERE = [
    "https://api.test/",
    "http://api.test:81/",
    "http://api.test.evil/",
    "http://evil/",
    "http://sub.api.test/",
    "http://api.test:80@evil/",
]


@pytest.mark.parametrize("entry", KINDS, ids=IDS)
@pytest.mark.parametrize("url", ELSEWHERE)
async def test_another_origin_sees_nothing_of_them(entry: dict[str, Any], url: str) -> None:
    exchange = row(url=url)
    await build_chain([parse_middleware(entry)], answering(answer(200)), FakeTime().runtime)(exchange)

    assert (exchange.request.headers, exchange.request.url) == ({}, url)


@pytest.mark.parametrize("entry", KINDS, ids=IDS)
@pytest.mark.parametrize("url", ["http://api.test/x", "http://API.test:80/x"])
async def test_their_own_origin_sees_them(entry: dict[str, Any], url: str) -> None:
    engine = answering(answer(200))
    await build_chain([parse_middleware(entry)], engine, FakeTime().runtime)(row(url=url))

    (request,) = engine.requests
    assert request.headers or "key=canary-7" in request.url


@pytest.mark.parametrize("entry", KINDS, ids=IDS)
async def test_they_can_be_for_an_origin_that_is_named(entry: dict[str, Any]) -> None:
    engine = answering(answer(200))
    config = parse_middleware({**entry, "origin": "https://auth.test:8443"})
    chain = build_chain([config], engine, FakeTime().runtime)
    await chain(row())
    await chain(row(url="https://auth.test:8443/"))

    assert not engine.requests[0].headers
    assert engine.requests[1].headers or "canary" in engine.requests[1].url


@pytest.mark.parametrize("entry", KINDS, ids=IDS)
def test_without_an_origin_there_are_none(entry: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="does not know whom its credentials are for; give it an origin"):
        build_chain([parse_middleware(entry)], answering(answer(200)), WorkerRuntime())


@pytest.mark.parametrize("origin", ["api.test", "https://api.test/v1", "ftp://api.test", ""])
def test_an_origin_is_scheme_host_and_port(origin: str) -> None:
    with pytest.raises(ValueError, match=r"expected an origin such as https://api.example.com"):
        parse_middleware({"type": "bearer", "token": SECRET, "origin": origin})


@pytest.mark.parametrize("entry", KINDS, ids=IDS)
async def test_nothing_printable_shows_them(entry: dict[str, Any]) -> None:
    entry = {name: value for name, value in entry.items() if name not in ("prefix", "username")}
    if entry["type"] == "basic":
        entry["username"] = "me"
    runtime = FakeTime().runtime
    config = parse_middleware(entry)
    exchange = await build_chain([config], answering(answer(401)), runtime)(row())

    assert "canary" not in repr(config) + repr(exchange.request) + str(exchange.error_message)
    sent = " ".join([exchange.request.url, *exchange.request.headers.values()])
    if entry["type"] != "hmac":
        assert "canary" not in runtime.redactor.text(sent)
        assert "bWU6" not in runtime.redactor.text(sent)
