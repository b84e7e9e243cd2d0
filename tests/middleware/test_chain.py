"""How a list of middleware becomes one handler."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from http_enrich_middleware import (
    RUN_STOPPED,
    Failure,
    Handler,
    MiddlewareConfig,
    NotSentError,
    RequestExchange,
    Step,
    Verdict,
    WorkerRuntime,
    build_chain,
)
from http_enrich_middleware._together import together
from http_enrich_middleware.answers import json_body
from http_enrich_middleware.observe import timing
from http_enrich_middleware.traffic import retry
from http_enrich_transport import MemoryEngine, Sent, TransportRequest, TransportResponse
from tests.support.chain import FakeTime, answer, answering, failure, row, send_over_http
from tests.support.peer import OK, serving, silent


async def test_an_empty_list_is_the_engine_alone() -> None:
    engine, exchange = answering(answer(200, b"hi")), row()

    sent = await build_chain([], engine)(exchange)

    assert sent is exchange
    assert engine.requests == [exchange.request]
    assert (exchange.status, exchange.attempts, exchange.metadata) == (200, 1, {})


async def test_request_and_answer_pass_through_on_the_wire() -> None:
    async with serving(OK) as server:
        exchange = await send_over_http([], row("PUT", server.url + "/a", **{"X-A": "1"}))

    assert server.heads[0].startswith(b"PUT /a HTTP/1.1\r\n")
    assert exchange.response is not None
    assert (exchange.response.body, exchange.response.headers["x-TAG"]) == (b"hi", "a")


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_two_hundreds_are_successes(status: int) -> None:
    exchange = await build_chain([], answering(answer(status)))(row())

    assert (exchange.error_kind, exchange.error_message) == (None, None)


@pytest.mark.parametrize("status", [101, 199, 300, 302, 404, 500, 999])
async def test_other_statuses_are_not(status: int) -> None:
    exchange = await build_chain([], answering(answer(status)))(row())

    assert (exchange.error_kind, exchange.status) == ("http_status", status)
    assert exchange.error_message == f"HTTP status {status}"


async def test_error_of_the_transport_is_the_error_of_the_row() -> None:
    exchange = await build_chain([], answering(failure("dns")))(row())

    assert (exchange.error_kind, exchange.error_message) == ("dns", "no answer")
    assert (exchange.status, exchange.attempts) == (None, 1)


def test_a_request_that_nobody_sent_is_no_success() -> None:
    exchange = row()

    assert (exchange.error_kind, exchange.status, exchange.attempts) == ("not_sent", None, 0)


@pytest.mark.parametrize(
    ("order", "timed"),
    [([timing.Config(), retry.Config()], "600.000"), ([retry.Config(), timing.Config()], "0.000")],
    ids=["timing first", "retry first"],
)
async def test_first_in_the_list_is_outermost(order: list[MiddlewareConfig], timed: str) -> None:
    """What is timed is all that comes later: the waits of retry as well, or the last attempt alone."""
    exchange = await build_chain(order, answering(answer(503)), FakeTime().runtime)(row())

    assert (exchange.attempts, exchange.metadata["timing.total_ms"]) == (3, timed)


async def test_a_failure_from_before_is_forgotten_once_the_request_is_sent() -> None:
    before = RequestExchange(row().request, failure=Failure("token", "no token yet"))

    exchange = await build_chain([], answering(answer(200)))(before)

    assert (exchange.failure, exchange.error_kind) == (None, None)


async def test_cancellation_passes_through_every_middleware() -> None:
    arrived = asyncio.Event()

    async def silent(_: TransportRequest) -> TransportResponse:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    chain = build_chain([timing.Config(), retry.Config(), json_body.Config()], MemoryEngine(silent))
    task = asyncio.ensure_future(chain(row()))
    await arrived.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_many_rows_at_a_time_keep_their_own_answers() -> None:
    async def echo(request: TransportRequest) -> TransportResponse:
        await asyncio.sleep(0)
        return answer(200, request.url.encode())

    chain = build_chain([timing.Config(), retry.Config()], MemoryEngine(echo))
    rows = await asyncio.gather(*(chain(row(url=f"http://api.test/{n}")) for n in range(20)))

    bodies = [each.response.body.decode() for each in rows if each.response]
    assert bodies == [each.request.url for each in rows] == [f"http://api.test/{n}" for n in range(20)]
    assert len({id(each.metadata) for each in rows}) == 20


def test_an_exchange_shares_no_metadata_with_the_next() -> None:
    first, second = RequestExchange(row().request), RequestExchange(row().request)
    first.metadata["a"] = "1"

    assert second.metadata == {}


async def test_sent_is_as_far_as_the_furthest_attempt_got() -> None:
    """Whoever requests again what was not sent would pay twice."""
    time = FakeTime()
    engine = answering(failure("disconnected", sent=Sent.MAYBE_SENT), failure("dns"))

    exchange = await build_chain([retry.Config(max_attempts=2)], engine, time.runtime)(row())

    assert (exchange.error_kind, exchange.sent) == ("dns", Sent.MAYBE_SENT)


async def test_the_deadline_ends_an_attempt_on_the_wire() -> None:
    runtime = WorkerRuntime()
    async with serving(silent) as server:
        exchange = row(url=server.url)
        exchange.deadline = runtime.clock() + 1.0
        await send_over_http([], exchange, runtime)

    assert (exchange.error_kind, exchange.attempts) == ("total_timeout", 1)


async def test_nothing_is_sent_once_the_run_was_given_up() -> None:
    runtime, engine = FakeTime().runtime, answering(answer(200))
    runtime.run.stop("the key is not valid any more")
    runtime.run.stop("whatever came later")

    exchange = await build_chain([retry.Config()], engine, runtime)(row())

    assert exchange.failure == Failure(RUN_STOPPED, "the key is not valid any more")
    assert (engine.calls, exchange.attempts, exchange.sent) == (0, 0, Sent.NOT_SENT)


async def test_requests_are_counted_before_their_answers_are_there() -> None:
    runtime, seen = FakeTime().runtime, list[int]()

    def serve(_: TransportRequest) -> TransportResponse:
        seen.append(runtime.run.requests)
        return answer(503)

    await build_chain([retry.Config()], MemoryEngine(serve), runtime)(row())

    assert seen == [1, 2, 3]


@pytest.mark.parametrize("verdict", [Verdict.SUCCESS, Verdict.IGNORE])
def test_a_verdict_makes_an_answer_fine(verdict: Verdict) -> None:
    exchange = row()
    exchange.response, exchange.verdict = answer(404), verdict

    assert (exchange.error_kind, exchange.error_message) == (None, None)


def test_no_verdict_excuses_a_failure_or_a_missing_answer() -> None:
    exchange = row()
    exchange.verdict = Verdict.SUCCESS
    assert exchange.error_kind == "not_sent"

    exchange.response = failure("dns")
    assert exchange.error_kind == "dns"

    exchange.failure = Failure("json_invalid", "no JSON")
    assert exchange.error_kind == "json_invalid"


def test_time_spent_adds_up() -> None:
    exchange = row()
    exchange.spend("backoff", 0.5)
    exchange.spend("backoff", 0.25)

    assert (exchange.spent, row().spent) == ({"backoff": 0.75}, {})


@pytest.mark.parametrize(
    ("deadline", "own", "base", "given"),
    [
        (1005.0, None, 30, 5),
        (1005.0, 2.0, 30, 2.0),
        (1005.0, 9.0, 30, 5),
        (1050.0, None, 30, None),
        (None, None, 30, None),
    ],
)
async def test_an_attempt_ends_with_the_deadline_of_its_row(
    deadline: float | None, own: float | None, base: float, given: float | None
) -> None:
    """What the request said before it says again afterwards: another attempt may have another deadline."""
    seen: list[float | None] = []

    def note(request: TransportRequest) -> TransportResponse:
        seen.append(request.timeout)
        return answer(200)

    exchange = RequestExchange(TransportRequest("GET", "http://api.test/", timeout=own), deadline=deadline)
    await build_chain([], MemoryEngine(note), replace(FakeTime().runtime, base_timeout=base))(exchange)

    assert (seen, exchange.request.timeout) == ([given], own)


@pytest.mark.parametrize("deadline", [999.0, 1000.0])
async def test_nothing_is_sent_after_the_deadline(deadline: float) -> None:
    engine, exchange = answering(answer(200)), RequestExchange(row().request, deadline=deadline)

    await build_chain([], engine, FakeTime().runtime)(exchange)

    assert (engine.calls, exchange.attempts, exchange.error_kind) == (0, 0, "deadline_exceeded")


def parking(failure: Failure | None) -> Step:
    async def wait(exchange: RequestExchange) -> None:
        exchange.metadata["waited"] = "yes"
        if failure is not None:
            raise NotSentError(failure)

    return Step(before=lambda exchange: wait(exchange) if exchange.row_id else None, waits=True)


async def answered(exchange: RequestExchange) -> RequestExchange:
    exchange.response = answer(200)
    return exchange


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize(
    ("row_id", "failure", "ended"),
    [
        ((), None, (200, None, {})),
        ((1,), None, (200, None, {"waited": "yes"})),
        ((1,), Failure("late", "too late"), (None, "late", {"waited": "yes"})),
    ],
)
async def test_a_step_may_wait_before_its_row_goes_on(
    alone: bool, row_id: tuple[int, ...], failure: Failure | None, ended: tuple[object, ...]
) -> None:
    async def passes(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        return await call_next(exchange)

    exchange, step = row(), parking(failure)
    exchange.row_id = row_id
    if alone:
        await step(exchange, answered)
    else:
        await together([("park", step)], "inner", passes, answered)(exchange)

    assert (exchange.status, exchange.error_kind if failure else None, exchange.metadata) == ended
