"""A run that is stopped keeps nobody waiting, whatever he waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from http_enrich_middleware import (
    RUN_STOPPED,
    Brake,
    Failure,
    MiddlewareConfig,
    RequestExchange,
    RunState,
    build_chain,
)
from http_enrich_middleware.auth import oauth2_client_credentials
from http_enrich_middleware.reuse import dedupe
from http_enrich_middleware.traffic import adaptive_concurrency, circuit_breaker, rate_limit, retry
from http_enrich_transport import MemoryEngine, SecretText, TransportRequest, TransportResponse
from tests.support import virtual_time
from tests.support.chain import answer, row
from tests.support.tokens import TOKEN_URL
from tests.support.virtual_time import clock, run

ONE_A_DAY = rate_limit.Config.model_validate({"rates": [{"limit": 1, "per": "1d"}], "scope": "worker"})
ONE_AT_A_TIME = adaptive_concurrency.Config(min=1, max=1, latency_tolerance=None)
OAUTH = oauth2_client_credentials.Config(
    token_url=TOKEN_URL, client_id="me", client_secret=SecretText("canary-7")
)
STOPPED_AT = 5.0

Serve = Callable[[TransportRequest], TransportResponse | Awaitable[TransportResponse]]


def until_the_stop(
    configs: Sequence[MiddlewareConfig],
    rows: Sequence[RequestExchange],
    serve: Serve = lambda _: answer(200),
    *,
    paused: bool = False,
) -> list[float]:
    """Let *rows* go at once, stop the run after 5 s, and return when each of them was done."""

    async def main() -> list[float]:
        runtime = virtual_time.runtime(concurrency=4, base_url="http://api.test")
        chain = build_chain(configs, MemoryEngine(serve), runtime)
        if paused:
            runtime.brake.pause(300)

        async def go(exchange: RequestExchange) -> float:
            await chain(exchange)
            return clock()

        going = [asyncio.ensure_future(go(each)) for each in rows]
        await asyncio.sleep(STOPPED_AT)
        runtime.run.stop("enough")
        return await asyncio.gather(*going)

    return run(main())


def kinds(rows: Sequence[RequestExchange]) -> list[tuple[str | None, int]]:
    return [(each.error_kind, each.attempts) for each in rows]


async def slow(_: TransportRequest) -> TransportResponse:
    await asyncio.sleep(8)
    return answer(200)


def test_a_row_that_waits_for_a_permit_is_not_sent() -> None:
    """A quota that is used up would keep it for a day."""
    rows = [row(), row(), row()]
    done = until_the_stop([ONE_A_DAY], rows)

    assert done == [0, STOPPED_AT, STOPPED_AT]
    assert kinds(rows) == [(None, 1), (RUN_STOPPED, 0), (RUN_STOPPED, 0)]
    assert [each.spent.get("limiter") for each in rows] == [None, STOPPED_AT, STOPPED_AT]


@pytest.mark.parametrize("config", [ONE_A_DAY, adaptive_concurrency.Config()], ids=lambda each: each.type)
def test_a_row_that_sits_out_a_pause_is_not_sent(config: MiddlewareConfig) -> None:
    rows = [row(), row()]
    done = until_the_stop([config], rows, paused=True)

    assert done == [STOPPED_AT] * 2
    assert kinds(rows) == [(RUN_STOPPED, 0)] * 2


def test_a_row_that_waits_for_its_turn_is_not_sent_and_one_on_the_wire_gets_its_answer() -> None:
    rows = [row(), row()]
    done = until_the_stop([ONE_AT_A_TIME], rows, slow)

    assert done == pytest.approx([8, STOPPED_AT])
    assert kinds(rows) == [(None, 1), (RUN_STOPPED, 0)]


def test_a_row_that_waits_for_an_api_that_is_down_is_not_sent() -> None:
    rows = [row() for _ in range(4)]
    config = circuit_breaker.Config(window=2, min_requests=2, open_for=60)
    done = until_the_stop([ONE_AT_A_TIME, config], rows, lambda _: answer(503))

    assert done == [0, 0, STOPPED_AT, STOPPED_AT]
    assert kinds(rows) == [("http_status", 1)] * 2 + [(RUN_STOPPED, 0)] * 2


def test_a_row_that_waits_for_a_token_is_not_sent() -> None:
    rows = [row(), row()]
    done = until_the_stop([OAUTH], rows, slow)

    assert done == pytest.approx([STOPPED_AT] * 2)
    assert kinds(rows) == [(RUN_STOPPED, 0)] * 2
    assert [each.spent["auth"] for each in rows] == done


def test_rows_that_wait_for_the_answer_of_another_one_that_waits_are_not_sent() -> None:
    rows = [row(), row(url="http://api.test/2"), row(url="http://api.test/2"), row(url="http://api.test/2")]
    done = until_the_stop([dedupe.Config(), ONE_A_DAY], rows)

    assert done == [0, *[STOPPED_AT] * 3]
    assert kinds(rows) == [(None, 1), *[(RUN_STOPPED, 0)] * 3]


@pytest.mark.parametrize("inner", [[], [ONE_A_DAY]], ids=["Retry-After", "permit"])
def test_a_row_that_is_to_be_tried_again_keeps_the_answer_that_it_has(inner: list[MiddlewareConfig]) -> None:
    """What was paid for is not thrown away, and the row says that it might have been tried again."""
    rows = [row()]
    refusal = answer(503, retry_after="0" if inner else "300")
    again = retry.Config(deadline=None, throttle_base_delay=0, base_delay=0)
    done = until_the_stop([again, *inner], rows, lambda _: refusal)

    assert done == [STOPPED_AT]
    assert kinds(rows) == [("http_status", 1)]
    assert rows[0].metadata["retry.stop"] == "stopped"


def test_a_wait_that_comes_later_is_none() -> None:
    async def main() -> float:
        state = RunState()
        state.stop("enough")
        async with state.until_stopped():
            await asyncio.sleep(60)
        return clock()

    assert run(main()) == 0


def test_what_times_out_by_itself_still_does() -> None:
    async def main() -> None:
        async with RunState().until_stopped(), asyncio.timeout(1):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        run(main())


def test_who_is_cancelled_is_not_taken_for_stopped() -> None:
    async def main() -> tuple[bool, float]:
        brake, state = Brake(clock=clock, sleep=asyncio.sleep), RunState()
        brake.pause(60)

        async def wait() -> None:
            async with state.until_stopped():
                await brake.acquire(float("inf"))

        waiting = asyncio.ensure_future(wait())
        await asyncio.sleep(1)
        waiting.cancel()
        state.stop("enough")
        await asyncio.wait([waiting])
        return waiting.cancelled(), clock()

    assert run(main()) == (True, 1)


def test_the_reason_is_the_first_one() -> None:
    rows = [row()]

    async def main() -> None:
        runtime = virtual_time.runtime()
        chain = build_chain([ONE_A_DAY], MemoryEngine.always(200), runtime)
        await chain(row())
        going = asyncio.ensure_future(chain(rows[0]))
        await asyncio.sleep(1)
        runtime.run.stop("enough")
        runtime.run.stop("later")
        await going

    run(main())

    assert rows[0].failure == Failure(RUN_STOPPED, "enough")
