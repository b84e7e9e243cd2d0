"""Permits that are booked for a cluster, in virtual time."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http_enrich_middleware import LocalPermits, Rate
from http_enrich_spark.coordinator._book import AHEAD, Book
from http_enrich_spark.coordinator._messages import Lease
from http_enrich_spark.coordinator._remote_permits import FALLBACK, RemotePermits
from tests.support.virtual_time import clock, run


def book(*rates: Rate, share: float = 1.0) -> Book:
    return Book(rates, clock=clock, sleep=asyncio.sleep, share=lambda: share)


def most(times: list[float], per: float) -> int:
    """Return the most of *times* that lie in any window of that length."""
    times = sorted(times)
    found = first = 0
    for last, time in enumerate(times):
        while time - times[first] >= per:
            first += 1
        found = max(found, last - first + 1)
    return found


def worker(book: Book, way: float = 0.0, up: list[bool] | None = None, slots: int = 1) -> RemotePermits:
    """A worker whose messages take *way* seconds each way; *up* says whether they arrive."""
    alive = up if up is not None else [True]

    async def ask(want: int, unused: int) -> Lease | None:
        if not alive[0]:
            return None
        await asyncio.sleep(way)
        lease = await book.lease(want, unused)
        await asyncio.sleep(way)
        return lease if alive[0] else None

    own = LocalPermits([Rate(100, 1).share(slots)], clock=clock, sleep=asyncio.sleep)
    return RemotePermits(ask, own, clock=clock)


async def send(permits: RemotePermits, seconds: float, rows: int, late: random.Random) -> list[float]:
    """Have so many rows take permits, again and again; each is a little late with what it has got."""
    times: list[float] = []

    async def row() -> None:
        while clock() < seconds:
            if await permits.acquire(seconds):
                times.append(clock())
            await asyncio.sleep(late.uniform(0, 0.05))

    await asyncio.gather(*(row() for _ in range(rows)))
    permits.close()
    return times


@given(
    seed=st.integers(0, 10_000), limit=st.integers(1, 300), workers=st.integers(1, 6), way=st.floats(0, 0.02)
)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
def test_no_window_holds_more_than_the_limit(seed: int, limit: int, workers: int, way: float) -> None:
    async def main() -> list[float]:
        shared = book(Rate(limit, 1.0))
        found = await asyncio.gather(
            *(send(worker(shared, way), 5.0, 20, random.Random(seed + n)) for n in range(workers))
        )
        return [time for times in found for time in times]

    assert most(run(main()), 1.0) <= max(limit + 1, 1.02 * limit)


@pytest.mark.parametrize(
    ("limit", "workers", "way"), [(200, 4, 0.002), (200, 1, 0.005), (5, 4, 0.001), (1000, 3, 0.001)]
)
def test_the_limit_is_used_to_95_percent(limit: int, workers: int, way: float) -> None:
    async def main() -> int:
        shared = book(Rate(limit, 1.0))
        rows = max(20, limit // 4)
        found = await asyncio.gather(
            *(send(worker(shared, way), 20.0, rows, random.Random(n)) for n in range(workers))
        )
        return sum(2 <= time < 18 for times in found for time in times)

    assert run(main()) >= 0.95 * limit * 16


def test_several_windows_are_all_kept_and_a_quota_is_not_paced() -> None:
    async def main() -> list[float]:
        shared = book(Rate(10, 1.0), Rate(30, 100.0))
        return await send(worker(shared), 150.0, 10, random.Random(0))

    times = run(main())
    assert most(times, 1.0) <= 10
    assert most(times, 100.0) == 30
    assert sorted(times)[29] < 5


def test_a_quota_counts_what_earlier_tries_have_used_of_it() -> None:
    """A day's quota is none if each retry begins a new day."""

    async def main() -> list[float]:
        shared = book(Rate(10, 1.0), Rate(30, 100.0))
        shared.spend(20, ago=300.0)
        shared.spend(25, ago=40.0)
        return await send(worker(shared), 90.0, 10, random.Random(0))

    times = run(main())
    assert sum(time < 60 for time in times) == 5
    assert len(times) == 30


def test_who_does_not_want_to_wait_waits_for_the_driver_and_no_longer() -> None:
    """Else the first rows would fail though the limit is free, and all of them after each pause."""

    async def main() -> tuple[list[bool], float]:
        shared = book(Rate(10, 1.0), Rate(5, 1000.0))
        permits = worker(shared, way=0.02)
        found = await asyncio.gather(*(permits.acquire(clock() + permits.patience) for _ in range(5)))
        late = await permits.acquire(clock() + permits.patience)
        permits.close()
        return [*found, late], clock()

    granted, seconds = run(main())
    assert granted == [True] * 5 + [False]
    assert seconds < 5 / 10 + RemotePermits.patience + 0.1


def test_a_worker_with_nothing_to_do_costs_a_block_and_no_more() -> None:
    """It may have died with what it had leased."""

    async def main() -> int:
        shared = book(Rate(100, 1.0))
        times: list[float] = []
        for _ in range(10):
            lease = await shared.lease(50)
            times += [clock() + delay for delay in lease.delays[:0]]
            found = await send(worker(shared), clock() + 1.0, 20, random.Random(1))
            times += found
        return len(times)

    assert run(main()) >= 800


def test_unused_permits_of_a_quota_are_there_again() -> None:
    async def main() -> tuple[int, int, float]:
        shared = book(Rate(100, 86400.0))
        first = await shared.lease(100)
        empty = await shared.lease(10)
        again = await shared.lease(100, unused=40)
        return len(first.delays), len(again.delays), empty.ready_in

    first, again, ready_in = run(main())
    assert (first, again) == (100, 40)
    assert ready_in > 80_000


def test_workers_that_are_not_heard_of_are_left_their_share() -> None:
    async def main() -> int:
        shared = book(Rate(100, 1.0), share=0.5)
        return len(await send(worker(shared), 10.0, 20, random.Random(0)))

    assert 450 <= run(main()) <= 500


def test_a_pause_holds_for_what_is_leased_and_what_is_not() -> None:
    async def main() -> list[float]:
        shared = book(Rate(100, 1.0))
        permits = worker(shared)
        sending = asyncio.create_task(send(permits, 6.0, 20, random.Random(0)))
        await asyncio.sleep(1.0)
        shared.pause(3.0)
        permits.pause(3.0)
        return await sending

    times = run(main())
    assert not [time for time in times if 1.001 < time < 4.0]
    assert [time for time in times if time > 4.0]


def test_without_the_driver_a_worker_keeps_to_its_own_share_and_comes_back() -> None:
    async def main() -> list[float]:
        shared, up = book(Rate(100, 1.0)), [True]
        sending = asyncio.create_task(send(worker(shared, up=up, slots=4), 45.0, 30, random.Random(0)))
        await asyncio.sleep(5.0)
        up[0] = False
        await asyncio.sleep(20.0)
        up[0] = True
        return await sending

    times = run(main())
    assert len([time for time in times if 1 <= time < 5]) >= 380
    assert not [time for time in times if 6 <= time < 5 + FALLBACK - 1]
    assert 200 <= len([time for time in times if 16 <= time < 25]) <= 25 * 9 + 1
    assert len([time for time in times if 34 <= time < 44]) >= 950


def test_nobody_waits_for_a_permit_that_comes_too_late() -> None:
    async def main() -> tuple[bool, float]:
        shared = book(Rate(1, 3600.0))
        permits = worker(shared)
        assert await permits.acquire(10.0)
        await asyncio.sleep(0.1)
        return await permits.acquire(clock() + 20), clock()

    granted, at = run(main())
    assert not granted
    assert at < 25


def test_permits_are_not_booked_far_ahead() -> None:
    async def main() -> float:
        shared = book(Rate(10, 1.0))
        leases = [await shared.lease(100) for _ in range(20)]
        return max(delay for lease in leases for delay in lease.delays)

    assert run(main()) <= AHEAD + 0.11


@pytest.mark.parametrize(
    ("limit", "per", "good_for", "at_least"),
    [
        (100, 1.0, 0.03, 1.015),
        (100, 10.0, 0.3, 10.15),
        (5, 1.0, 0.03, 1.03),  # one more of five would be a fifth too many
        (66, 10.0, 0.3, 10.3),
        (5, 3600.0, 1.0, 3601.0),
    ],
)
def test_a_permit_may_be_used_a_little_late_since_windows_are_a_little_longer(
    limit: int, per: float, good_for: float, at_least: float
) -> None:
    async def main() -> tuple[float, float]:
        shared, times, good_for = book(Rate(limit, per)), list[float](), 0.0
        while len(times) <= limit:
            lease = await shared.lease(1)
            times += [clock() + delay for delay in lease.delays]
            good_for = lease.good_for
            await asyncio.sleep(lease.ready_in)
        return good_for, times[limit] - times[0]

    found, window = run(main())
    assert found == pytest.approx(good_for)
    assert window == pytest.approx(at_least)


def test_a_pause_holds_for_who_asks_the_driver_next() -> None:
    async def main() -> tuple[int, float]:
        shared = book(Rate(100, 1.0))
        shared.pause(5.0)
        lease = await shared.lease(10)
        return len(lease.delays), lease.ready_in

    permits, ready_in = run(main())
    assert permits == 0
    assert ready_in == pytest.approx(5.0)


def test_workers_that_wait_get_blocks_and_smaller_ones_the_more_they_are() -> None:
    """One permit at a time would be a message for each request; large blocks would have the others wait."""

    async def main() -> list[int]:
        shared = book(Rate(1000, 1.0))
        leases = await asyncio.gather(*(shared.lease(1000) for _ in range(20)))
        return [len(each.delays) for each in leases]

    first, *_, last_but_some = run(main())[:12]
    assert first == 100
    assert 20 <= last_but_some <= 60


def test_unused_permits_of_a_paced_window_are_gone() -> None:
    """Their time has gone by: who had them next would send at the pace of two."""

    async def main() -> list[float]:
        shared = book(Rate(10, 1.0), Rate(1000, 3600.0))
        await shared.lease(1)
        return (await shared.lease(1, unused=1)).delays

    assert run(main()) == [pytest.approx(0.1, rel=0.04)]


def test_a_limit_that_is_hardly_used_costs_few_messages() -> None:
    """A row takes 200 µs of CPU, a message as much."""

    async def main() -> tuple[int, int]:
        shared = book(Rate(1_000_000, 1.0))
        asked = 0

        async def ask(want: int, unused: int) -> Lease:
            nonlocal asked
            asked += 1
            return await shared.lease(want, unused)

        own = LocalPermits([Rate(1_000_000, 1.0)], clock=clock, sleep=asyncio.sleep)
        times = await send(RemotePermits(ask, own, clock=clock), 5.0, 125, random.Random(0))
        return len(times), asked

    rows, asked = run(main())
    assert rows > 20_000
    assert rows / asked > 80
