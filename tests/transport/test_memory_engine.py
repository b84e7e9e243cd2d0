"""The engine without a network."""

from __future__ import annotations

import asyncio

import pytest

from http_enrich_transport import (
    MemoryEngine,
    MemoryEngineConfig,
    Sent,
    TransportErrorKind,
    TransportRequest,
    TransportResponse,
    TransportRuntimeFactory,
    WarmupReport,
)
from tests.support.chain import answer, failure

GET = TransportRequest("GET", "http://api.test/a")


def teapot(request: TransportRequest) -> TransportResponse:
    return answer(418, request.url.encode())


async def test_answers_from_a_plain_function() -> None:
    response = await MemoryEngine(teapot).send(GET)

    assert (response.status, response.body) == (418, b"http://api.test/a")


async def test_answers_from_an_async_function() -> None:
    async def later(request: TransportRequest) -> TransportResponse:
        await asyncio.sleep(0)
        return teapot(request)

    response = await MemoryEngine(later).send(GET)

    assert (response.status, response.body) == (418, b"http://api.test/a")


async def test_answers_everything_alike() -> None:
    engine = MemoryEngine.always(404, b"no")

    responses = [await engine.send(GET), await engine.send(GET)]

    assert [(each.status, each.body, each.error) for each in responses] == [(404, b"no", None)] * 2


async def test_hands_over_errors_as_they_are() -> None:
    refused = failure("connect_refused")

    assert await MemoryEngine(lambda _: refused).send(GET) is refused


async def test_remembers_what_it_was_asked_in_order() -> None:
    engine, post = MemoryEngine.always(200), TransportRequest("POST", "http://api.test/b")
    for request in (GET, post):
        await engine.send(request)

    assert (engine.calls, engine.requests) == (2, [GET, post])


async def test_an_exception_in_the_function_is_a_value() -> None:
    def broken(_: TransportRequest) -> TransportResponse:
        raise ZeroDivisionError

    engine = MemoryEngine(broken)
    response = await engine.send(GET)

    assert response.error is not None
    assert (response.error.kind, response.sent) == (TransportErrorKind.ENGINE_ERROR, Sent.MAYBE_SENT)
    assert engine.calls == 1


async def test_cancellation_goes_through() -> None:
    arrived = asyncio.Event()

    async def silent(_: TransportRequest) -> TransportResponse:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.ensure_future(MemoryEngine(silent).send(GET))
    await arrived.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_pipeline_names_the_function() -> None:
    config = MemoryEngineConfig(handler="tests.support.chain:echo")

    async with TransportRuntimeFactory(config, base_url="http://api.test/").create() as engine:
        response = await engine.send(GET)

    assert (response.status, response.body) == (200, b"GET http://api.test/a")
    assert engine.warmup == WarmupReport()


@pytest.mark.parametrize("handler", ["", "answers", "a:", ":b", "a:b:c", "a b:c", "os.path:join()", "a:b.c"])
def test_what_names_no_function_is_refused(handler: str) -> None:
    with pytest.raises(ValueError, match="handler"):
        MemoryEngineConfig(handler=handler)


@pytest.mark.parametrize("handler", ["no_such_module:f", "tests.support.chain:no_such_function"])
def test_a_function_that_is_not_there_is_an_error_when_the_worker_starts(handler: str) -> None:
    factory = TransportRuntimeFactory(MemoryEngineConfig(handler=handler))

    with pytest.raises((ImportError, AttributeError), match="no_such"):
        factory.create()


async def test_the_text_of_an_exception_is_not_quoted() -> None:
    def broken(_: TransportRequest) -> TransportResponse:
        raise ValueError("canary-7")

    response = await MemoryEngine(broken).send(TransportRequest("GET", "http://api.test/"))

    assert "canary" not in repr(response)


def test_serves_one_event_loop_after_the_other() -> None:
    engine = MemoryEngine.always(200)

    assert [asyncio.run(engine.send(GET)).status for _ in range(2)] == [200, 200]
