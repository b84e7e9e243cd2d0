"""A worker's leased permits, in virtual time: none is used too late, overtaken, or lost."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

import pytest

from http_enrich_middleware import LocalPermits, Rate
from http_enrich_spark.coordinator._messages import Lease
from http_enrich_spark.coordinator._remote_permits import FALLBACK, RemotePermits
from tests.support.virtual_time import clock, run

Ask = Callable[[int, int], Awaitable[Lease | None]]


def permits_of(ask: Ask) -> RemotePermits:
    own = LocalPermits([Rate(10, 1.0)], clock=clock, sleep=asyncio.sleep)
    return RemotePermits(ask, own, clock=clock)


@pytest.mark.parametrize(("way", "good_for"), [(0.0, 1.0), (0.2, 0.6), (0.4, 0.5)])
def test_a_permit_is_good_for_its_time_less_what_the_answer_took(way: float, good_for: float) -> None:
    """Whoever uses it later is too fast for who has the next one."""

    async def main() -> list[bool]:
        asked = 0

        async def ask(_: int, __: int) -> Lease:
            nonlocal asked
            asked += 1
            await asyncio.sleep(2 * way if asked == 1 else math.inf)
            return Lease(delays=[0.0] * 4, good_for=1.0)

        permits = permits_of(ask)
        await permits.acquire(math.inf)
        await asyncio.sleep(good_for - 0.01)
        in_time = permits.take()
        await asyncio.sleep(0.02)
        late = permits.take()
        permits.close()
        return [in_time, late]

    assert run(main()) == [True, False]


@pytest.mark.parametrize("lost", [0, 2])
def test_what_was_not_used_is_given_back_however_often_the_driver_is_away(lost: int) -> None:
    async def main() -> list[int]:
        given_back = list[int]()

        async def ask(_: int, unused: int) -> Lease | None:
            given_back.append(unused)
            # The first answer comes, then some do not.
            return None if 1 < len(given_back) <= 1 + lost else Lease(delays=[0.0] * 5, good_for=0.1)

        permits = permits_of(ask)
        await permits.acquire(math.inf)
        await asyncio.sleep(1.0)  # the four others are too old by then
        await permits.acquire(math.inf)
        permits.close()
        return given_back

    assert run(main())[: lost + 2] == [0] + [4] * (lost + 1)


def test_who_comes_does_not_overtake_who_waits() -> None:
    async def main() -> tuple[list[bool], bool]:
        async def ask(_: int, __: int) -> Lease:
            return Lease(delays=[1.0], good_for=1.0)

        permits, taken = permits_of(ask), list[bool]()
        # At the very moment for which the permit is, before who waits for it has woken up.
        asyncio.get_running_loop().call_at(1.0, lambda: taken.append(permits.take()))
        got = await permits.acquire(1.5)
        permits.close()
        return taken, got

    assert run(main()) == ([False], True)


def test_a_pause_holds_without_the_driver_too() -> None:
    async def main() -> float:
        async def ask(_: int, __: int) -> None:
            return None

        permits = permits_of(ask)
        assert not await permits.acquire(FALLBACK / 2)
        await asyncio.sleep(FALLBACK)
        assert await permits.acquire(math.inf)
        paused_at = clock()
        permits.pause(30.0)
        await permits.acquire(math.inf)
        permits.close()
        return clock() - paused_at

    assert run(main()) >= 30.0
