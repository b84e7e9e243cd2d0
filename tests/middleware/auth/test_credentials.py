"""What all static kinds of credentials have in common: where they go, and where they are not seen."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from typing import Literal

import msgspec
import pytest

from http_enrich_middleware import (
    Handler,
    MiddlewareConfig,
    RequestExchange,
    WorkerRuntime,
    build_chain,
    parse_middleware,
)
from http_enrich_middleware.auth import api_key, aws_sigv4, basic, bearer, hmac
from http_enrich_middleware.auth._credentials import AuthConfig
from http_enrich_transport import RESOLVED, MemoryEngine, TransportRequest, TransportResponse
from tests.support.chain import FakeTime, answer, answering, registered, row

AWS = {"region": "eu-west-1", "service": "lambda", "access_key_id": "AKID", "secret_access_key": "canary-7"}
KINDS: dict[str, dict[str, object]] = {
    "bearer": {"type": "bearer", "token": "canary-7"},
    "basic": {"type": "basic", "username": "me", "password": "canary-7"},
    "header key": {"type": "api_key", "key": "canary-7", "header": "X-Our-Key", "prefix": "Key "},
    "query key": {"type": "api_key", "key": "canary-7", "query": "key"},
    "hmac": {"type": "hmac", "secret": "canary-7", "parts": ["host", "nonce"], "nonce_header": "X-Nonce"},
    "aws_sigv4": {"type": "aws_sigv4", **AWS, "session_token": "canary-8"},
}
every_kind = pytest.mark.parametrize("kind", KINDS)

OTHER = [
    "http://api.test/v1",
    "https://api.test:444/v1",
    "https://api.test.evil/v1",
    "https://evil/v1",
    "https://sub.api.test/v1",
    "https://api.test@evil/v1",
    "https://api.test:443@evil/v1",
    "https://evil/https://api.test/v1",
    "https://evil?https://api.test/",
    "https://evil#@api.test/",
    "https://evil\\@api.test/",
    "https://api.test\\@evil/",
]
SAME = [
    "https://api.test/v1",
    "https://API.test/v1",
    "https://api.test:443/v1",
    "https://api.test",
    "https://api.test?x=1",
]


def config_of(kind: str, **options: object) -> AuthConfig:
    config = parse_middleware({**KINDS[kind], **options}, RESOLVED)
    assert isinstance(config, AuthConfig)
    return config


def runtime(base_url: str = "https://api.test") -> WorkerRuntime:
    return replace(FakeTime().runtime, base_url=base_url)


async def passed_on(config: MiddlewareConfig, url: str, runtime: WorkerRuntime) -> list[TransportRequest]:
    """Return what the step after *config* gets, which no engine has looked at yet."""
    modules = {"bearer": bearer, "basic": basic, "api_key": api_key, "hmac": hmac, "aws_sigv4": aws_sigv4}
    seen = []

    async def last(exchange: RequestExchange) -> RequestExchange:
        seen.append(msgspec.structs.replace(exchange.request, headers=dict(exchange.request.headers)))
        return exchange

    await modules[config.type].build(config, runtime)(row(url=url, Accept="*/*"), last)
    return seen


@every_kind
@pytest.mark.parametrize("url", OTHER)
async def test_another_origin_gets_the_request_without_them(kind: str, url: str) -> None:
    seen = await passed_on(config_of(kind), url, runtime())

    assert [msgspec.structs.astuple(each) for each in seen] == [
        ("GET", url, {"Accept": "*/*"}, None, None),
    ]


@every_kind
@pytest.mark.parametrize("url", SAME)
async def test_the_origin_gets_them_however_it_is_spelled(kind: str, url: str) -> None:
    (seen,) = await passed_on(config_of(kind), url, runtime())

    assert set(seen.headers) > {"Accept"} or "key=canary-7" in seen.url


@every_kind
async def test_an_origin_of_their_own_replaces_that_of_the_endpoint(kind: str) -> None:
    config = config_of(kind, origin="https://auth.test:8443/")
    (own,) = await passed_on(config, "https://auth.test:8443/v1", runtime())
    (endpoint,) = await passed_on(config, "https://api.test/v1", runtime())

    assert (endpoint.url, endpoint.headers) == ("https://api.test/v1", {"Accept": "*/*"})
    assert own.headers != endpoint.headers or "canary-7" in own.url


@every_kind
async def test_without_any_origin_nothing_is_built(kind: str) -> None:
    with pytest.raises(ValueError, match="does not know whom its credentials are for; give it an origin"):
        await passed_on(config_of(kind), "https://api.test/", runtime(""))


@pytest.mark.parametrize("origin", ["api.test", "https://api.test/v1", "ftp://api.test", "https://", ""])
def test_an_origin_that_is_none_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="expected an origin such as https://api"):
        config_of("bearer", origin=origin)


class Elsewhere:
    """Does what a redirect would do: sends the request of the exchange a second time, to somebody else."""

    class Config(MiddlewareConfig):
        type: Literal["elsewhere"] | str = "elsewhere"

    def __init__(self, config: Config, runtime: WorkerRuntime) -> None: ...

    async def __call__(self, exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        await call_next(exchange)
        request = exchange.request
        exchange.request = TransportRequest(
            request.method, request.url.replace("api.test", "evil.test"), dict(request.headers), request.body
        )
        return await call_next(exchange)


@every_kind
async def test_a_redirect_outside_carries_nothing_over_to_another_origin(kind: str) -> None:
    engine = answering(answer(302))
    entry = parse_middleware({"type": registered(Elsewhere)})
    chain = build_chain([entry, config_of(kind)], engine, runtime())

    await chain(row(url="https://api.test/v1", Accept="*/*"))
    first, second = engine.requests

    assert (second.url, second.headers) == ("https://evil.test/v1", {"Accept": "*/*"})
    assert first.headers != second.headers or "canary-7" in first.url


def _cancelled(request: TransportRequest) -> TransportResponse:
    raise asyncio.CancelledError


@every_kind
@pytest.mark.parametrize("engine", [MemoryEngine.always(200), MemoryEngine(_cancelled)])
async def test_afterwards_the_exchange_has_its_own_request_again(kind: str, engine: MemoryEngine) -> None:
    exchange = row(url="https://api.test/v1", Accept="*/*")
    own, before = exchange.request, engine.calls

    with suppress(asyncio.CancelledError):
        await build_chain([config_of(kind)], engine, runtime())(exchange)

    assert engine.calls == before + 1
    assert exchange.request is own
    assert (own.url, own.headers) == ("https://api.test/v1", {"Accept": "*/*"})


@every_kind
async def test_a_header_of_the_row_with_that_name_gives_way_in_any_spelling(kind: str) -> None:
    engine = answering(answer(200))
    chain = build_chain([config_of(kind)], engine, runtime())
    await chain(row(url="https://api.test/v1"))
    added = engine.requests[0].headers

    await chain(row(url="https://api.test/v1", **{name.upper(): "of the row" for name in added}))

    assert sorted(name.lower() for name in engine.requests[1].headers) == sorted(
        name.lower() for name in added
    )
    assert "of the row" not in engine.requests[1].headers.values()


@every_kind
async def test_nothing_printable_holds_a_secret(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    config, exchange = config_of(kind), row(url="https://api.test/v1")

    await build_chain([config], answering(answer(401)), runtime())(exchange)

    assert exchange.error_message == "HTTP status 401"
    shown = f"{exchange} {exchange!r} {exchange.metadata} {config} {config!r} {caplog.text}"
    assert "canary" not in shown
    assert "Y2FuYXJ5" not in shown  # the same in Base64


@every_kind
async def test_the_worker_hides_what_is_sent(kind: str) -> None:
    engine, worker = answering(answer(200)), runtime()
    await build_chain([config_of(kind)], engine, worker)(row(url="https://api.test/v1"))
    sent = engine.requests[0]

    echoed = worker.redactor.text(f"the API says: {sent.url} {sent.headers}, canary-7")

    assert "canary" not in echoed
    assert "bWU6Y2FuYXJ5LTc" not in echoed  # me:canary-7


@every_kind
def test_a_secret_comes_out_of_an_interpolation_or_not_at_all(kind: str) -> None:
    with pytest.raises(ValueError, match="a secret is not written into the pipeline") as caught:
        parse_middleware(KINDS[kind])

    assert "canary" not in str(caught.value)


@every_kind
async def test_credentials_cost_no_attempt_and_leave_the_rest_alone(kind: str) -> None:
    engine = answering(answer(200))
    exchange = row("POST", "https://api.test/v1", Accept="*/*")
    exchange.request.body, exchange.request.timeout = b"body", 3.0

    await build_chain([config_of(kind)], engine, runtime())(exchange)
    (sent,) = engine.requests

    assert (sent.method, sent.body, sent.timeout, sent.headers["Accept"]) == ("POST", b"body", 3.0, "*/*")
    assert (exchange.attempts, exchange.error_kind) == (1, None)


def test_the_configurations_load_no_heavy_library() -> None:
    code = (
        "import sys; from http_enrich_middleware import parse_middleware, MiddlewareConfig\n"
        "from http_enrich_middleware.auth import api_key, aws_sigv4, basic, bearer, hmac\n"
        "print(*(set(sys.modules) & {'botocore', 'aiohttp', 'authlib', 'cryptography'}))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)

    assert done.stdout.decode().strip() == ""
