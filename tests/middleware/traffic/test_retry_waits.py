"""How long a retry waits: its own waits, and those that the peer asks for."""

from __future__ import annotations

import asyncio

import pytest

from http_enrich_middleware import WorkerRuntime, build_chain
from http_enrich_middleware.traffic import retry
from http_enrich_transport import TransportResponse
from tests.support.chain import FakeTime, answer, answering, failure, row
from tests.support.retrying import send

PATIENT = retry.Config(deadline=3600)


async def test_waits_double_up_to_the_cap() -> None:
    time = FakeTime()

    await send(answering(answer(503)), retry.Config(max_attempts=5, base_delay=1, max_delay=3), time=time)

    assert time.waits == [1, 2, 3, 3]


async def test_jitter_is_drawn_from_the_whole_range_below_the_capped_wait() -> None:
    """Clients that failed together must not come back together, and a capped wait still spreads them."""
    time = FakeTime(share=0.5)

    await send(answering(answer(503)), retry.Config(max_attempts=5, base_delay=1, max_delay=3), time=time)

    assert time.ranges == [(0, 1), (0, 2), (0, 3), (0, 3)]
    assert time.waits == [0.5, 1, 1.5, 1.5]


async def test_default_waits() -> None:
    time = FakeTime()

    await send(answering(answer(503)), retry.Config(max_attempts=10), time=time)

    assert time.waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20, 20]


async def test_waits_do_not_overflow() -> None:
    config = retry.Config(max_attempts=1100, deadline=None, budget=None)
    exchange = await build_chain([config], answering(answer(503)), FakeTime().runtime)(row())

    assert (exchange.error_kind, exchange.attempts) == ("http_status", 1100)


async def test_time_slept_is_recorded() -> None:
    exchange = await send(answering(answer(503), answer(429), answer(200)))

    assert exchange.spent == {"backoff": 0.2 + 2}


async def test_cancellation_ends_the_wait() -> None:
    asleep = asyncio.Event()

    async def sleep(seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    engine = answering(answer(503))
    task = asyncio.ensure_future(build_chain([retry.Config()], engine, WorkerRuntime(sleep=sleep))(row()))
    await asleep.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.calls == 1


@pytest.mark.parametrize(
    ("header", "wait"),
    [("0", 0), ("7", 7), ("007", 7), ("300", 300), ("301", 300), ("1000000000", 300)],
)
async def test_retry_after_is_waited_for_up_to_five_minutes(header: str, wait: float) -> None:
    time = FakeTime(share=0)

    await send(answering(answer(429, retry_after=header), answer(200)), PATIENT, time=time)

    assert time.waits == [wait]


async def test_even_an_absurd_retry_after_is_capped() -> None:
    time = FakeTime(share=0)
    engine = answering(answer(429, retry_after="99999999999"), answer(200))
    await build_chain([PATIENT], engine, time.runtime)(row())

    assert time.waits == [300]


@pytest.mark.parametrize(
    "header",
    ["", "soon", "-5", "+5", "1.5", "1e3", "NaN", "inf", "²", "٣", "5 5", "Fri, 31 Dec 1999 23:59:59 GMT"],
)
async def test_retry_after_that_says_nothing_sensible_is_ignored(header: str) -> None:
    time = FakeTime()

    exchange = await send(
        answering(answer(429, retry_after=header), answer(200)), retry.Config(base_delay=2), time=time
    )

    assert (time.waits, exchange.error_kind) == ([2], None)


async def test_rows_that_were_told_the_same_second_do_not_come_back_in_it() -> None:
    """The jittered backoff goes on top of what the peer asked for."""
    time = FakeTime(share=0.5)

    await send(answering(answer(503, retry_after="3"), answer(200)), retry.Config(base_delay=10), time=time)

    assert (time.ranges, time.waits) == ([(0, 10)], [3 + 5])


async def test_retry_after_may_pass_the_longest_wait() -> None:
    time = FakeTime(share=0)

    await send(answering(answer(503, retry_after="60"), answer(200)), retry.Config(max_delay=5), time=time)

    assert time.waits == [60]


async def test_retry_after_can_be_turned_off() -> None:
    time = FakeTime(share=0)

    await send(
        answering(answer(503, retry_after="60"), answer(200)), retry.Config(retry_after=False), time=time
    )

    assert time.waits == [0]


@pytest.mark.parametrize(
    ("response", "waits"),
    [
        (answer(429), [1, 2, 4]),
        (answer(503, retry_after="0"), [1, 2, 4]),
        (answer(503, retry_after="soon"), [0.2, 0.4, 0.8]),
        (answer(503), [0.2, 0.4, 0.8]),
        (answer(500, retry_after="0"), [0.2, 0.4, 0.8]),
        (failure("connect_refused"), [0.2, 0.4, 0.8]),
    ],
)
async def test_a_peer_that_sets_the_pace_gets_longer_waits(
    response: TransportResponse, waits: list[float]
) -> None:
    time = FakeTime()

    await send(answering(response), retry.Config(max_attempts=4), time=time)

    assert time.waits == waits


async def test_throttling_never_shortens_the_waits() -> None:
    time = FakeTime()

    await send(answering(answer(429)), retry.Config(base_delay=5), time=time)

    assert time.waits == [5, 10]
