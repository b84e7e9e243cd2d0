"""Workers and their coordinator over loopback."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import msgspec
import pytest

from http_enrich_middleware import RunState
from http_enrich_spark.coordinator import (
    Client,
    Link,
    Stop,
    Totals,
    UnreachableError,
    _client,
    _remote_permits,
    _server,
)
from http_enrich_spark.coordinator._messages import MAX_BYTES, Hello, LeaseRequest, Sync
from tests.support.coordinators import LIMIT, Counts, coordinator, post, with_client
from tests.support.peer import closed_port


def test_counts_arrive_once_and_are_added_up() -> None:
    async def work(client: Client, counts: Counts, _: RunState) -> None:
        counts.note("ok")
        counts.note("server_error", calls=3)
        await client.sync()
        counts.note("ok")

    with coordinator() as driver:
        asyncio.run(with_client(driver.link, work))
        asyncio.run(with_client(driver.link, work))
        totals = driver.totals()

    assert totals.outcomes == {"ok": 4, "server_error": 2}
    assert (totals.rows, totals.failed, totals.calls) == (6, 2, 10)
    assert (totals.seconds, totals.counters) == ({"network": 3.0}, {"cache.hits": 6})


def test_each_run_has_a_port_and_a_secret_of_its_own() -> None:
    with coordinator() as one, coordinator() as other:
        links = [one.link, other.link]
        message = msgspec.msgpack.encode(Sync(worker="w", seq=1, totals=Totals({"ok": 1})))
        stranger = Link(one.link.url, other.link.secret)

        assert len({link.url for link in links}) == len({link.secret for link in links}) == 2
        assert min(len(link.secret) for link in links) >= 32
        assert asyncio.run(post(stranger, "/v1/sync", message)) == 401


def test_a_message_that_comes_twice_counts_once() -> None:
    """The answer to the first may have been lost."""
    message = msgspec.msgpack.encode(Sync(worker="w", seq=1, totals=Totals({"ok": 1})))
    with coordinator() as driver:
        assert [asyncio.run(post(driver.link, "/v1/sync", message)) for _ in range(2)] == [200, 200]
        assert driver.totals().outcomes == {"ok": 1}


@pytest.mark.parametrize("way", ["there", "back"])
def test_what_was_not_acknowledged_is_sent_again(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    real, lost = _client.call, [True]

    async def losing(*args: Any) -> Any:
        answer = None if lost[0] and way == "there" else await real(*args)
        if lost[0]:
            raise UnreachableError("lost")
        return answer

    async def work(client: Client, counts: Counts, _: RunState) -> None:
        counts.note("ok")
        await client.sync()
        counts.note("ok")
        await client.sync()
        lost[0] = False
        await client.sync()

    monkeypatch.setattr(_client, "call", losing)
    with coordinator() as driver:
        asyncio.run(with_client(driver.link, work))
        assert driver.totals().outcomes == {"ok": 2}


def test_one_worker_that_gives_up_stops_all() -> None:
    async def gives_up(client: Client, _: Counts, run: RunState) -> None:
        run.stop("the account is blocked")
        await client.sync()

    async def hears(client: Client, _: Counts, run: RunState) -> str | None:
        await client.sync()
        return run.stopped

    with coordinator() as driver:
        asyncio.run(with_client(driver.link, gives_up))
        assert asyncio.run(with_client(driver.link, hears)) == "the account is blocked"
        assert driver.stopped == Stop("the account is blocked")


def test_an_outage_that_a_worker_gives_up_for_is_known_as_one() -> None:
    async def gives_up(client: Client, _: Counts, run: RunState) -> None:
        run.stop("the API is gone", outage=True)
        await client.sync()

    async def obeys(client: Client, _: Counts, run: RunState) -> None:
        await client.sync()
        await client.sync()

    with coordinator() as driver:
        asyncio.run(with_client(driver.link, gives_up))
        asyncio.run(with_client(driver.link, obeys))
        assert driver.stopped == Stop("the API is gone", kind="outage")


def test_the_driver_stops_all() -> None:
    async def hears(client: Client, _: Counts, run: RunState) -> str | None:
        await client.sync()
        return run.stopped

    with coordinator() as driver:
        driver.stop(Stop("it costs too much"))
        driver.stop(Stop("later"))
        assert asyncio.run(with_client(driver.link, hears)) == "it costs too much"


def test_a_worker_that_comes_late_hears_at_once_that_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_client, "SYNC_EVERY", 3600.0)

    async def waits(_: Client, __: Counts, run: RunState) -> bool:
        async with asyncio.timeout(30):
            async with run.until_stopped():
                await asyncio.Event().wait()
        return run.stopped is not None

    with coordinator() as driver:
        driver.stop(Stop("it costs too much"))
        assert asyncio.run(with_client(driver.link, waits))


@pytest.mark.parametrize("secret", ["", "wrong", "é"])
def test_without_the_secret_nothing_is_said(secret: str) -> None:
    hello = msgspec.msgpack.encode(Hello(worker="w"))
    with coordinator() as driver:
        driver.guard(["canary"])
        assert asyncio.run(post(driver.link, "/v1/hello", hello, Authorization=f"Bearer {secret}")) == 401
        assert asyncio.run(post(driver.link, "/v1/hello", hello, Authorization="")) == 401
        assert "canary" not in repr(driver.link)
        assert driver.link.secret not in repr(driver.link)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/sync", b"\xc1", 400),
        ("/v1/sync", b"", 400),
        ("/v1/hello", msgspec.msgpack.encode(Hello(worker="w", version=99)), 400),
        ("/v1/lease", msgspec.msgpack.encode(LeaseRequest(worker="w", source="nope", want=1)), 404),
        ("/v1/sync", b"x" * (MAX_BYTES + 1), 413),
        ("/v1/nothing", b"", 404),
    ],
)
def test_nonsense_is_refused_and_the_server_lives_on(path: str, body: bytes, status: int) -> None:
    with coordinator() as driver:
        assert asyncio.run(post(driver.link, path, body)) == status
        assert asyncio.run(post(driver.link, "/v1/hello", msgspec.msgpack.encode(Hello(worker="w")))) == 200


def test_a_worker_that_says_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_server, "MESSAGES_PER_SECOND", 3)

    async def storm(link: Link) -> Counter[int]:
        hello = msgspec.msgpack.encode(Hello(worker="w"))
        return Counter([await post(link, "/v1/hello", hello) for _ in range(50)])

    with coordinator() as driver:
        assert asyncio.run(storm(driver.link))[429] > 0


def test_a_driver_that_is_gone_costs_a_worker_nothing_but_its_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_remote_permits, "FALLBACK", 0.0)

    async def work(client: Client, counts: Counts, run: RunState) -> bool:
        counts.note("ok")
        await client.sync()
        permits = client.permits(LIMIT.cluster_rates())
        return run.stopped is None and await permits.acquire(asyncio.get_running_loop().time() + 30.0)

    link = Link(f"http://127.0.0.1:{closed_port()}", "secret")
    assert asyncio.run(with_client(link, work))
