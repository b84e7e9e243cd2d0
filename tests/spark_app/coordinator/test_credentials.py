"""Secrets and tokens that workers fetch from their coordinator."""

from __future__ import annotations

import asyncio
import base64
import pickle
import threading
from collections.abc import Callable

import pytest
from pyspark import cloudpickle

from http_enrich_middleware import (
    MiddlewareConfig,
    RequestExchange,
    RunState,
    WorkerRuntime,
    build_chain,
    parse_middleware,
)
from http_enrich_spark.coordinator import (
    Client,
    Link,
    UnreachableError,
    _client,
    fetch_secrets,
)
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
from tests.support.coordinators import Counts, coordinator, with_client
from tests.support.peer import closed_port
from tests.support.pipelines import load


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
