"""An answer is kept as long as it is good, and only for whoever asks the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http_enrich_middleware import Handler, RequestExchange, Verdict, build_chain, parse_middleware
from http_enrich_middleware.auth import bearer
from http_enrich_middleware.reuse.cache import Config
from http_enrich_transport import (
    AiohttpEngineConfig,
    MemoryEngine,
    SecretText,
    Sent,
    TransportRequest,
    TransportResponse,
    TransportRuntimeFactory,
    header_map,
)
from tests.support.chain import FakeTime, answer, answering, failure, row
from tests.support.peer import OK, serving


def echo(request: TransportRequest) -> TransportResponse:
    return answer(200, f"{request.url} {request.headers.get('Authorization')}".encode())


def chain(engine: MemoryEngine, time: FakeTime | None = None, **options: Any) -> Handler:
    return build_chain([Config(**options)], engine, (time or FakeTime()).runtime)


async def test_the_same_question_is_asked_once() -> None:
    engine = MemoryEngine(echo)
    send = chain(engine)
    first, second = await send(row()), await send(row())

    assert (engine.calls, first.attempts, second.attempts) == (1, 1, 0)
    assert second.response is first.response
    assert (second.error_kind, second.sent) == (None, Sent.RESPONDED)
    assert (first.metadata, second.metadata) == ({}, {"cache.hit": "true"})


async def test_hits_and_misses_are_counted() -> None:
    runtime = FakeTime().runtime
    send = build_chain([Config()], MemoryEngine(echo), runtime)
    for url in ("a", "a", "b", "a"):
        await send(row(url=f"http://api.test/{url}"))

    assert runtime.counters == {"cache.hits": 2, "cache.misses": 2}


async def test_over_http_the_server_is_spared() -> None:
    async with serving(OK) as server:
        config = AiohttpEngineConfig(warmup_timeout=0)
        async with TransportRuntimeFactory(config, base_url=server.url).create() as engine:
            send = build_chain([Config()], engine)
            rows = [await send(row(url=server.url)) for _ in range(3)]

    assert (server.requests, [each.attempts for each in rows]) == (1, [1, 0, 0])
    assert [each.response.body for each in rows if each.response] == [b"hi"] * 3


async def test_an_answer_is_good_for_so_long() -> None:
    time, engine = FakeTime(), MemoryEngine(echo)
    send = chain(engine, time, ttl=10)
    calls = []
    for _ in range(4):
        await send(row())
        calls.append(engine.calls)
        time.now += 4

    assert calls == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 100),
        ({"Cache-Control": "max-age=5"}, 5),
        ({"Cache-Control": "private, MAX-AGE=5"}, 5),
        ({"Cache-Control": 'max-age="5"'}, 5),
        ({"Cache-Control": "max-age=500"}, 100),
        ({"Cache-Control": "max-age=" + "9" * 5000}, 100),
        ({"Cache-Control": "max-age=0"}, 0),
        ({"Cache-Control": "max-age=soon"}, 0),
        ({"Cache-Control": "max-age=-5"}, 0),
        ({"Cache-Control": "no-store"}, 0),
        ({"Cache-Control": "no-cache"}, 0),
        ({"Cache-Control": "public, No-Store"}, 0),
        ({"Vary": "*"}, 0),
        ({"Vary": "Accept"}, 100),
    ],
)
async def test_what_the_api_says_about_keeping_is_respected(headers: dict[str, str], seconds: float) -> None:
    time, response = FakeTime(), answer(200)
    response.headers = header_map(headers)
    engine = answering(response)
    send, stubborn = chain(engine, time, ttl=100), chain(answering(response), time, respect_headers=False)
    await send(row())
    await stubborn(row())
    if seconds:
        time.now += seconds - 1
        assert (await send(row())).attempts == 0
        time.now += 1

    assert (await send(row())).attempts == 1
    assert (await stubborn(row())).attempts == 0


@pytest.mark.parametrize("bad", [answer(404), answer(500), answer(302), failure("dns")])
async def test_failures_are_not_kept(bad: TransportResponse) -> None:
    engine = answering(bad)
    send = chain(engine)
    await send(row())
    await send(row())

    assert engine.calls == 2


async def test_what_a_rule_decided_is_kept_with_the_answer() -> None:
    rules = parse_middleware({"type": "response_rules", "rules": [{"status": 404, "action": "ignore"}]})
    engine = answering(answer(404))
    send = build_chain([Config(), rules], engine, FakeTime().runtime)
    first, second = await send(row()), await send(row())

    assert (first.verdict, second.verdict, engine.calls) == (Verdict.IGNORE, Verdict.IGNORE, 1)
    assert second.error_kind is None


@pytest.mark.parametrize(
    "other",
    [
        row(url="http://api.test/b"),
        row("HEAD"),
        row(Authorization="Bearer of another"),
        row(Accept="text/plain"),
        RequestExchange(TransportRequest("GET", "http://api.test/", {}, b"{}")),
    ],
)
async def test_another_question_has_another_answer(other: RequestExchange) -> None:
    engine = MemoryEngine(echo)
    send = chain(engine)
    await send(row())
    await send(other)

    assert engine.calls == 2


async def test_headers_that_later_steps_add_do_not_hide_an_answer() -> None:
    engine = MemoryEngine(echo)
    send = build_chain([Config(), bearer.Config(token=SecretText("canary-7"))], engine, FakeTime().runtime)
    await send(row())
    await send(row())

    assert engine.calls == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_what_has_an_effect_is_done_again_unless_told(method: str) -> None:
    by_default, told = MemoryEngine(echo), MemoryEngine(echo)
    for send in (chain(by_default), chain(told, methods=[method])):
        await send(row(method))
        await send(row(method))

    assert (by_default.calls, told.calls) == (2, 1)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.floats(0, 7)), max_size=60),
    st.integers(2_100, 20_000),
    st.integers(0, 5_000),
)
def test_nothing_is_stale_and_memory_is_bounded(
    asked: list[tuple[int, float]], max_bytes: int, length: int
) -> None:
    time, answered_at = FakeTime(), dict[bytes, float]()

    def serve(request: TransportRequest) -> TransportResponse:
        body = f"{request.url} {time.now} ".encode().ljust(length, b".")
        answered_at[body] = time.now
        return answer(200, body)

    async def main() -> None:
        send = chain(MemoryEngine(serve), time, ttl=10, max_bytes=max_bytes)
        for number, pause in asked:
            time.now += pause
            exchange = await send(row(url=f"http://api.test/{number}"))
            assert exchange.response is not None
            body = exchange.response.body
            assert body.startswith(f"http://api.test/{number} ".encode())
            assert time.now - answered_at[body] < 10 or exchange.attempts == 1

    asyncio.run(main())


async def test_the_answer_used_longest_ago_goes_first() -> None:
    engine = MemoryEngine(echo)
    send = chain(engine, max_bytes=3 * 2_100)
    for name in ("a", "b", "c", "a", "d", "a", "b"):
        await send(row(url=f"http://api.test/{name}"))

    assert [each.url[-1] for each in engine.requests] == ["a", "b", "c", "d", "b"]


async def test_an_answer_that_is_larger_than_the_cache_is_not_kept() -> None:
    engine = answering(answer(200, b"x" * 5_000))
    send = chain(engine, max_bytes=4_000)
    await send(row())
    await send(row())

    assert engine.calls == 2


@pytest.mark.parametrize("options", [{"ttl": 0}, {"max_bytes": 0}, {"methods": []}, {"tll": 5}])
def test_what_makes_no_sense_is_refused_at_load(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"greater than|at least 1|did you mean 'ttl'"):
        parse_middleware({"type": "cache", **options})


def test_two_workers_have_two_caches() -> None:
    runtime = FakeTime().runtime

    assert replace(runtime).counters is runtime.counters
    assert FakeTime().runtime.counters is not runtime.counters
