"""What workers share by their coordinator: permits of one limit, and pauses."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from http_enrich_middleware import RunState
from http_enrich_spark.coordinator import (
    Client,
    Link,
    _server,
)
from tests.support.coordinators import LIMIT, Counts, coordinator, with_client


def test_a_pause_seen_by_one_worker_reaches_the_others_and_comes_back_as_no_new_one() -> None:
    async def main(link: Link) -> tuple[bool, bool, float]:
        async def other(client: Client, _: Counts, __: RunState) -> tuple[bool, bool, float]:
            await client.sync()
            before = client.brake.take()

            async def sees(first: Client, _: Counts, __: RunState) -> None:
                first.brake.pause(30.0)
                await first.sync()

            await with_client(link, sees)
            await client.sync()
            return before, client.brake.take(), client._pause

        result: tuple[bool, bool, float] = await with_client(link, other)
        return result

    with coordinator(LIMIT) as driver:
        assert asyncio.run(main(driver.link)) == (True, False, 0.0)


def test_a_pause_is_told_once() -> None:
    """Told again with each message, it would never end."""

    async def sees(client: Client, _: Counts, __: RunState) -> list[float]:
        client.brake.pause(30.0)
        await client.sync()
        told = driver._paused_until
        await client.sync()
        return [told, driver._paused_until]

    with coordinator(LIMIT) as driver:
        told, later = asyncio.run(with_client(driver.link, sees))

    assert told == later > 0


def test_a_pause_seen_by_one_worker_holds_for_permits_of_others() -> None:
    """Those that have not heard of it yet."""

    async def main(link: Link) -> bool:
        async def other(client: Client, _: Counts, __: RunState) -> bool:
            return await client.permits(LIMIT.cluster_rates()).acquire(asyncio.get_running_loop().time() + 5)

        async def sees(client: Client, _: Counts, __: RunState) -> None:
            client.brake.pause(30.0)
            await client.sync()

        await with_client(link, sees)
        taken: bool = await with_client(link, other)
        return taken

    with coordinator(LIMIT) as driver:
        assert not asyncio.run(main(driver.link))


def test_a_share_is_left_for_workers_that_are_not_heard_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """They use it without asking. One that only starts costs the others nothing."""
    now, shares = [time.monotonic()], list[float]()
    with coordinator(LIMIT, busy=lambda: 2) as driver:
        monkeypatch.setattr(_server, "time", SimpleNamespace(monotonic=lambda: now[0]))
        for _ in range(12):
            now[0] += 1.5
            driver._heard["w"] = now[0]
            shares.append(driver._reachable_share())

    assert shares[0] == 1.0
    assert shares[-1] == 0.5


def test_two_workers_share_one_limit() -> None:
    async def work(client: Client, _: Counts, __: RunState) -> int:
        permits = client.permits(LIMIT.cluster_rates())
        loop = asyncio.get_running_loop()
        end, taken = loop.time() + 2.0, 0
        while loop.time() < end:
            taken += await permits.acquire(asyncio.get_running_loop().time() + 1.0)
        return taken

    async def both(link: Link) -> list[int]:
        return list(await asyncio.gather(with_client(link, work), with_client(link, work)))

    with coordinator(LIMIT) as driver:
        taken = asyncio.run(both(driver.link))

    assert sum(taken) <= 3 * 50
    assert min(taken) > 0
