"""Never more permits than a rate allows, in any window, and no fewer than it allows either."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http_enrich_middleware import LocalPermits, Rate
from tests.support.virtual_time import clock, run


def permits(*rates: Rate) -> LocalPermits:
    return LocalPermits(rates, clock=clock, sleep=asyncio.sleep)


async def taken(source: LocalPermits, arrivals: Sequence[float]) -> list[float]:
    """Let a row arrive at each of *arrivals*; return when the permits were taken."""
    times: list[float] = []

    async def one(arrival: float) -> None:
        await asyncio.sleep(arrival)
        assert await source.acquire(math.inf)
        times.append(clock())

    await asyncio.gather(*(one(each) for each in arrivals))
    return times


def most_in_a_window(times: Sequence[float], per: float) -> int:
    ordered = sorted(times)
    # Windows are half open; a billionth of a second is what adding up floats may cost.
    return max(
        sum(1 for other in ordered[index:] if other < start + per - 1e-9)
        for index, start in enumerate(ordered)
    )


@pytest.mark.parametrize(
    ("rate", "times"),
    [
        (Rate(2, 1.0), [0, 0.5, 1, 1.5, 2]),
        (Rate(2, 1.0, burst=2), [0, 0, 1, 1, 2]),
        (Rate(10, 1.0, burst=2), [0, 0, 0.1, 0.2, 0.3]),
        (Rate(20, 1.0), [0, 0, 0.05, 0.1, 0.15]),
        (Rate(1, 2.0), [0, 2, 4, 6, 8]),
        (Rate(3, 86400.0), [0, 0, 0, 86400, 86400]),
    ],
    ids=str,
)
def test_permits_come_at_once_up_to_the_burst_and_then_at_the_rate(rate: Rate, times: list[float]) -> None:
    assert run(taken(permits(rate), [0.0] * 5)) == pytest.approx(times)


def test_several_windows_are_all_kept() -> None:
    source = permits(Rate(2, 1.0, burst=2), Rate(3, 10.0, burst=3))

    assert run(taken(source, [0.0] * 7)) == pytest.approx([0, 0, 1, 10, 10, 11, 20])


def test_without_rates_nothing_waits() -> None:
    assert run(taken(permits(), [0.0] * 5)) == [0] * 5


RATES = st.builds(
    Rate,
    limit=st.integers(1, 20),
    per=st.sampled_from([0.5, 1.0, 3.0, 60.0, 100.0]),
    burst=st.none() | st.integers(1, 25),
)
ARRIVALS = st.lists(st.floats(0, 20, allow_nan=False), min_size=1, max_size=80)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(RATES, min_size=1, max_size=3), ARRIVALS)
def test_no_window_ever_has_more_than_its_limit(rates: list[Rate], arrivals: list[float]) -> None:
    times = run(taken(permits(*rates), arrivals))

    assert len(times) == len(arrivals)
    assert all(most_in_a_window(times, rate.per) <= rate.limit for rate in rates)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(RATES, st.integers(50, 200))
def test_with_enough_to_do_the_rate_is_used_up(rate: Rate, rows: int) -> None:
    last = max(run(taken(permits(rate), [0.0] * rows)))

    # The first `limit` permits may be out before the first window is over.
    assert last <= rows * rate.per / rate.limit + 1e-6


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(RATES, ARRIVALS, st.lists(st.tuples(st.floats(0, 20), st.floats(0, 10)), max_size=4))
def test_pauses_are_kept_and_do_not_pile_permits_up(
    rate: Rate, arrivals: list[float], pauses: list[tuple[float, float]]
) -> None:
    async def main() -> list[float]:
        source, loop = permits(rate), asyncio.get_running_loop()
        for start, length in pauses:
            loop.call_at(start, source.pause, length)
        return await taken(source, arrivals)

    times = run(main())

    assert most_in_a_window(times, rate.per) <= rate.limit
    for start, length in pauses:
        assert [each for each in times if start < each < start + length - 1e-9] == []


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(
    RATES, st.lists(st.tuples(st.floats(0, 10), st.floats(0.01, 5), st.booleans()), min_size=1, max_size=40)
)
def test_who_gives_up_takes_nothing_and_holds_nobody_up(
    rate: Rate, rows: list[tuple[float, float, bool]]
) -> None:
    """Each row has a deadline, or is cancelled at that time."""
    times: list[float] = []

    async def one(source: LocalPermits, arrival: float, patience: float, cancelled: bool) -> None:
        await asyncio.sleep(arrival)
        until = clock() + patience
        if cancelled:
            asyncio.get_running_loop().call_at(until, getattr(asyncio.current_task(), "cancel"))  # noqa: B009
        if await source.acquire(math.inf if cancelled else until):
            times.append(clock())
            assert clock() <= until
        else:
            assert clock() <= until + 1e-9
        if cancelled:
            await asyncio.sleep(patience + 1)

    async def main() -> None:
        source = permits(rate)
        await asyncio.gather(*(one(source, *row) for row in rows), return_exceptions=True)
        # Whoever comes later finds everything in order.
        assert await source.acquire(math.inf)
        times.append(clock())

    run(main())

    assert most_in_a_window(times, rate.per) <= rate.limit


def test_who_came_first_is_served_first() -> None:
    order: list[int] = []

    async def one(source: LocalPermits, number: int) -> None:
        await asyncio.sleep(number * 0.001)
        await source.acquire(math.inf)
        order.append(number)

    async def main() -> None:
        source = permits(Rate(5, 1.0))
        await asyncio.gather(*(one(source, number) for number in reversed(range(30))))

    run(main())

    assert order == list(range(30))


def test_a_permit_that_would_come_too_late_is_refused_at_once_at_the_head() -> None:
    async def main() -> tuple[bool, bool, float]:
        source = permits(Rate(1, 10.0))
        return await source.acquire(5), await source.acquire(5), clock()

    assert run(main()) == (True, False, 0.0)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(RATES, st.integers(1, 64))
def test_all_shares_together_keep_to_the_rate(rate: Rate, slots: int) -> None:
    share = rate.share(slots)

    assert slots * share.limit / share.per <= rate.limit / rate.per * (1 + 1e-9)
    if slots <= rate.limit:
        assert (share.per, slots * share.limit <= rate.limit) == (rate.per, True)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(RATES, st.integers(1, 8), ARRIVALS)
def test_workers_with_their_shares_keep_to_the_rate_in_every_window(
    rate: Rate, slots: int, arrivals: list[float]
) -> None:
    async def main() -> list[float]:
        share = rate.share(slots)
        workers = (taken(permits(share), arrivals) for _ in range(slots))
        return [each for times in await asyncio.gather(*workers) for each in times]

    times = run(main())

    most = rate.limit if slots <= rate.limit else slots  # one permit each, and then one per longer window
    assert most_in_a_window(times, rate.per) <= most


@pytest.mark.parametrize("late", [0.001, 0.005])
@pytest.mark.parametrize("limit", [5, 100, 2000])
def test_timers_that_are_late_cost_hardly_any_permit(limit: int, late: float) -> None:
    """The timers of an event loop are late by a millisecond, and more on a busy machine."""

    async def main() -> float:
        source = LocalPermits(
            [Rate(limit, 1.0)], clock=clock, sleep=lambda seconds: asyncio.sleep(seconds + late)
        )
        await taken(source, [0.0] * (20 * limit))
        return clock()

    assert 19 <= run(main()) <= 20 / 0.95


def test_a_thousand_rows_that_wait_have_one_timer_between_them() -> None:
    async def main() -> int:
        source, loop = permits(Rate(1, 1.0)), asyncio.get_running_loop()
        rows = [asyncio.ensure_future(source.acquire(math.inf)) for _ in range(1000)]
        await asyncio.sleep(0.5)
        timers = len([each for each in getattr(loop, "_scheduled") if not each.cancelled()])  # noqa: B009
        for each in rows:
            each.cancel()
        return timers

    assert run(main()) == 1


def test_after_a_pause_the_rate_is_kept() -> None:
    async def main() -> list[float]:
        source = permits(Rate(2, 1.0, burst=2))
        asyncio.get_running_loop().call_at(0.5, source.pause, 10)
        return await taken(source, [0.0] * 6)

    assert run(main()) == pytest.approx([0, 0, 10.5, 10.5, 11.5, 11.5])


def test_a_longer_pause_is_not_cut_short_by_a_shorter_one() -> None:
    async def main() -> list[float]:
        source = permits()
        source.pause(5)
        source.pause(1)
        return await taken(source, [0.0, 1.0, 6.0])

    assert run(main()) == pytest.approx([5, 5, 6])


def test_nobody_overtakes_at_the_moment_a_permit_is_due() -> None:
    order: list[str] = []

    async def one(source: LocalPermits, name: str, arrival: float) -> None:
        await asyncio.sleep(arrival)
        await source.acquire(math.inf)
        order.append(name)

    async def main() -> None:
        source = permits(Rate(1, 1.0))
        late = asyncio.ensure_future(one(source, "late", 1.0))
        await asyncio.gather(late, one(source, "first", 0), one(source, "second", 0), one(source, "third", 0))

    run(main())

    assert order == ["first", "second", "third", "late"]


def test_who_may_not_wait_long_leaves_the_queue_in_time() -> None:
    """However long those before it are willing to wait."""

    async def asking(until: float, pause_at: float = math.inf) -> tuple[bool, float]:
        source, loop = permits(Rate(1, 100.0)), asyncio.get_running_loop()
        await source.acquire(math.inf)
        patient = asyncio.ensure_future(source.acquire(math.inf))
        if pause_at < math.inf:
            loop.call_at(pause_at, source.pause, 1000)
        await asyncio.sleep(0)
        served = await source.acquire(until), clock()
        patient.cancel()
        return served

    assert run(asking(2)) == (False, 0.0)  # not even the first in the queue has a permit by then
    assert run(asking(200)) == (False, 100.0)  # the first one had it
    assert run(asking(120, pause_at=50)) == (False, 120.0)  # the first one is still waiting


def test_after_a_queue_a_permit_can_be_had_without_waiting() -> None:
    async def main() -> bool:
        source = permits(Rate(1, 1.0))
        await asyncio.gather(source.acquire(math.inf), source.acquire(math.inf))
        await asyncio.sleep(1)
        return await source.acquire(clock())

    assert run(main())
