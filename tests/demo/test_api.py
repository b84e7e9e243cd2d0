from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any
from urllib.request import Request, urlopen

import pytest
from aiohttp import ClientResponse, ClientSession

from http_enrich_demo import airports
from http_enrich_demo.api import AirportsApi, run_in_thread
from http_enrich_demo.stats import Stats

TOKEN = "the-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def no_wait(seconds: float) -> None:
    await asyncio.sleep(0)


def quick_api(**options: Any) -> AirportsApi:
    return AirportsApi(TOKEN, sleep=no_wait, **{"fault_rate": 0.0} | options)


async def ask(
    session: ClientSession, api: AirportsApi, icao: str, headers: dict[str, str] = BEARER
) -> ClientResponse:
    async with session.get(f"{api.url}/v1/airports/{icao}", headers=headers) as response:
        await response.read()
        return response


async def stats_of(api: AirportsApi) -> dict[str, Any]:
    async with ClientSession() as session, session.get(f"{api.url}/stats") as response:
        counters: dict[str, Any] = await response.json()
        return counters


async def test_an_airport_is_answered_with_its_facts() -> None:
    async with quick_api() as api, ClientSession() as session:
        response = await ask(session, api, "KJFK")

        assert response.status == 200
        assert await response.json() == {"data": airports.facts("KJFK")}


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", f"Basic {TOKEN}", TOKEN])
async def test_without_the_token_the_answer_is_401(authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with quick_api() as api, ClientSession() as session:
        response = await ask(session, api, "KJFK", headers)

        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert "Authorization: Bearer" in (await response.json())["error"]


@pytest.mark.parametrize("path", ["/v1/airports/0000", "/v2/airports/KJFK", "/"])
async def test_what_does_not_exist_is_answered_with_404(path: str) -> None:
    async with quick_api() as api, ClientSession() as session:
        async with session.get(api.url + path, headers=BEARER) as response:
            assert response.status == 404
            assert "error" in await response.json()
        assert (await stats_of(api))["by_status"] == {"404": 1}


async def statuses(seed: int, count: int) -> list[tuple[int, str | None]]:
    async with quick_api(fault_rate=0.1, seed=seed) as api, ClientSession() as session:
        responses = [await ask(session, api, icao) for icao in airports.codes(count)]
    return [(response.status, response.headers.get("Retry-After")) for response in responses]


async def test_faults_come_at_the_asked_rate_and_as_the_seed_says() -> None:
    answers = await statuses(seed=1, count=1000)

    counted = Counter(status for status, _ in answers)
    assert 70 <= counted[429] + counted[503] <= 130
    assert min(counted[429], counted[503]) > 20
    assert {wait for status, wait in answers if status == 429} == {"0", "1"}
    assert answers[:200] == await statuses(seed=1, count=200)
    assert answers[:200] != await statuses(seed=2, count=200)


async def test_a_refused_request_succeeds_when_repeated() -> None:
    async with quick_api(fault_rate=1.0) as api, ClientSession() as session:
        got = [(await ask(session, api, "KJFK")).status for _ in range(4)]

    assert [status in (429, 503) for status in got] == [True, False, True, False]
    assert got[1] == 200


async def test_latency_is_drawn_from_the_given_range() -> None:
    waits: list[float] = []

    async def record(seconds: float) -> None:
        waits.append(seconds)

    async with AirportsApi(TOKEN, sleep=record) as api, ClientSession() as session:
        for icao in airports.codes(100):
            await ask(session, api, icao)

    assert len(waits) == 100
    assert 0.005 <= min(waits) < 0.010
    assert 0.045 < max(waits) <= 0.050


async def test_stats_count_requests_and_need_no_token() -> None:
    async with quick_api() as api, ClientSession() as session:
        await ask(session, api, "KJFK")
        await ask(session, api, "0000")
        await ask(session, api, "KJFK", headers={})
        counters = await stats_of(api)

    assert counters["requests"] == 3
    assert counters["by_status"] == {"200": 1, "401": 1, "404": 1}
    assert counters["in_flight"] == 0


async def test_stats_tell_used_connections_from_those_only_opened() -> None:
    async with quick_api() as api, ClientSession() as session:
        host, port = api.url.removeprefix("http://").split(":")
        _, idle = await asyncio.open_connection(host, int(port))
        for _ in range(3):
            await ask(session, api, "KJFK")
        counters = await stats_of(api)
        counters = await stats_of(api)
        idle.close()
        await idle.wait_closed()

    assert counters["connections"] == 2
    assert counters["connections_used"] == 1


async def test_stats_show_how_many_requests_were_in_flight_together() -> None:
    all_arrived = asyncio.Barrier(5)

    async def wait_for_the_others(seconds: float) -> None:
        await all_arrived.wait()

    api = AirportsApi(TOKEN, fault_rate=0.0, sleep=wait_for_the_others)
    async with api, ClientSession() as session:
        await asyncio.gather(*(ask(session, api, icao) for icao in airports.codes(5)))
        counters = await stats_of(api)

    assert counters["max_in_flight"] == counters["connections_used"] == 5


def test_the_api_in_a_thread_serves_callers_that_are_not_async() -> None:
    with run_in_thread(TOKEN) as (url, api):
        with urlopen(Request(f"{url}/v1/airports/EGLL", headers=BEARER)) as response:
            answer = json.load(response)
        assert api.stats.requests == 1

    assert answer == {"data": airports.facts("EGLL")}


def test_the_busiest_second_is_found_however_it_is_laid() -> None:
    times = iter([0.0, 0.9, 1.1, 1.5, 1.8, 3.0])
    stats = Stats(clock=lambda: next(times))
    for _ in range(6):
        stats.arrived()

    assert stats.busiest_second == 4  # from 0.9 to 1.8
    assert stats.as_dict()["busiest_second"] == 4
