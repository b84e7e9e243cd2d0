"""Workers and their coordinator over loopback."""

from __future__ import annotations

import asyncio
import base64
import pickle
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec
import pytest
from pyspark import cloudpickle

from http_enrich_middleware import (
    Histogram,
    MiddlewareConfig,
    RequestExchange,
    RunState,
    WorkerRuntime,
    build_chain,
    parse_middleware,
)
from http_enrich_spark.coordinator import (
    Client,
    Coordinator,
    Link,
    Stop,
    Totals,
    UnreachableError,
    _client,
    _remote_permits,
    _server,
    fetch_secrets,
)
from http_enrich_spark.coordinator._messages import MAX_BYTES, Hello, LeaseRequest, Sync
from http_enrich_spark.worker import EnrichBatches, WorkerPlan
from http_enrich_spark.worker._sealed import opened
from http_enrich_transport import (
    RESOLVED,
    AiohttpEngineConfig,
    TransportEngine,
    TransportRequest,
    TransportRuntimeFactory,
)
from tests.support.authorization_server import CLIENT, AuthorizationServer, authorizing
from tests.support.peer import closed_port
from tests.support.pipelines import load

LIMIT = parse_middleware({"type": "rate_limit", "max_requests_per_second": 50})


def coordinator(*middleware: MiddlewareConfig, base_url: str = "", **facts: Any) -> Coordinator:
    runtime = WorkerRuntime(base_url=base_url)
    return Coordinator(middleware, host="127.0.0.1", slots=2, runtime=runtime, **facts)


class Counts:
    """What a worker counts."""

    def __init__(self) -> None:
        self.totals = Totals()

    def note(self, outcome: str, calls: int = 1) -> None:
        self.totals.add(Totals({outcome: 1}, calls, 0, Histogram(), {"network": 0.5}, {"cache.hits": 1}))

    def take(self) -> Totals:
        taken, self.totals = self.totals, Totals()
        return taken


async def with_client(link: Link, work: Callable[[Client, Counts, RunState], Awaitable[Any]]) -> Any:
    counts, run = Counts(), RunState()
    client = Client(link, run, counts.take, slots=2)
    await client.open()
    try:
        return await work(client, counts, run)
    finally:
        await client.close()


async def post(link: Link, path: str, body: bytes, **headers: str) -> int:
    given = {"Authorization": f"Bearer {link.secret}", **headers}
    async with (
        aiohttp.ClientSession() as session,
        session.post(link.url + path, data=BytesIO(body), headers=given) as answer,
    ):
        return answer.status


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


def test_secrets_that_cannot_be_fetched_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_client, "_HELLO_PAUSE", 0.0)
    link = Link(f"http://127.0.0.1:{closed_port()}", "secret")
    with pytest.raises(UnreachableError, match=r"cannot reach the driver at .* set spark\.driver\.host"):
        fetch_secrets(link)


CANARY = "canary-7f3b:+/ é%"


def secret_plan(link: Link | None) -> WorkerPlan:
    middleware = [
        {"type": "bearer", "token": "${conn.api.password}"},
        {"type": "api_key", "header": "X-Key", "key": "${conn.api.password}"},
        {
            "type": "oauth2_client_credentials",
            "token_url": "https://auth.test/token",
            "client_id": "me",
            "client_secret": "${conn.api.password}",
        },
    ]
    changes = {
        "endpoint.method": "POST",
        "endpoint.headers": {"X-Other": "a ${conn.api.password} ${row.icao}"},
        "endpoint.params": {"key": "${conn.api.password}"},
        "endpoint.json": {"deep": [{"key": "x${conn.api.password}"}]},
        "middleware": middleware,
    }
    environ = {"AIRFLOW_CONN_API": '{"password": "canary-7f3b:+/ \\u00e9%"}'}
    return WorkerPlan.of(load(changes, environ=environ), link=link)


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_what_spark_ships_holds_no_secret_and_the_worker_has_them_all(
    dumps: Callable[[object], bytes],
) -> None:
    with coordinator() as driver:
        plan = secret_plan(driver.link)
        enrich = EnrichBatches(plan, ["icao"])
        driver.guard(enrich.secrets)
        shipped = dumps(enrich)
        assert opened(pickle.loads(shipped)._plan) == plan

    raw = CANARY.encode()
    forms = [raw, CANARY.encode("utf-16-le"), base64.b64encode(raw)[:-4], b"canary-7f3b"]
    assert not [form for form in forms if form in shipped]
    assert CANARY not in repr(plan)


async def test_one_token_request_per_token_for_all_workers() -> None:
    async with authorizing(AuthorizationServer(revoke_at={30, 75, 110})) as server:
        client_id, client_secret = CLIENT
        entry = {"type": "oauth2_client_credentials", "token_url": server.token_url, "client_id": client_id}
        config = parse_middleware({**entry, "client_secret": client_secret}, RESOLVED)
        failed: list[str] = []

        def worker(link: Link) -> None:
            async def main() -> None:
                async def work(client: Client, _: Counts, __: RunState) -> None:
                    await rows(client, config, server.url, failed)

                await with_client(link, work)

            asyncio.run(main())

        with coordinator(config, base_url=server.url, engine=lambda: engine_for(server.url)) as driver:
            threads = [threading.Thread(target=worker, args=(driver.link,)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                await asyncio.to_thread(thread.join)

        assert failed == []
        assert server.served == 150
        assert len(server.issued) == 4  # one, and one for each that was revoked


async def test_a_worker_asks_for_a_token_itself_when_the_driver_can_get_none() -> None:
    """The driver may have no way to the token server."""
    async with authorizing(AuthorizationServer()) as server:
        client_id, client_secret = CLIENT
        entry = {"type": "oauth2_client_credentials", "token_url": server.token_url, "client_id": client_id}
        config = parse_middleware({**entry, "client_secret": client_secret}, RESOLVED)
        failed: list[str] = []

        async def work(client: Client, _: Counts, __: RunState) -> None:
            await rows(client, config, server.url, failed)

        with coordinator(config, base_url=server.url) as driver:
            await with_client(driver.link, work)

        assert failed == []
        assert (server.served, len(server.issued)) == (50, 1)


def engine_for(url: str) -> TransportEngine:
    return TransportRuntimeFactory(AiohttpEngineConfig(warmup_timeout=0), base_url=url).create()


async def rows(client: Client, config: MiddlewareConfig, url: str, failed: list[str]) -> None:
    async with engine_for(url) as engine:
        runtime = WorkerRuntime(ask_through=client.ask_through, base_url=url)
        handler = build_chain([config], engine, runtime)
        for number in range(50):
            exchange = await handler(RequestExchange(TransportRequest("GET", f"{url}/api?{number}")))
            if exchange.error_kind is not None:
                failed.append(f"{exchange.error_kind}: {exchange.error_message}")
