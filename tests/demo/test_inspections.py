from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientSession

from http_enrich_demo.airports import codes
from http_enrich_demo.inspections import HIGHEST_FT, is_too_high
from tests.demo.test_api import BEARER, quick_api, stats_of


async def book(
    session: ClientSession, url: str, icao: str = "KJFK", key: str | None = None
) -> tuple[int, dict[str, Any]]:
    headers = BEARER | ({"Idempotency-Key": key} if key else {})
    async with session.post(f"{url}/v1/inspections", json={"icao": icao}, headers=headers) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(("key", "effects"), [("k", 1), (None, 2)])
async def test_a_key_makes_the_same_request_have_one_effect(key: str | None, effects: int) -> None:
    async with quick_api() as api, ClientSession() as session:
        answers = [await book(session, api.url, key=key) for _ in range(2)]
        counters = await stats_of(api)

    assert [(status, answer["data"]["number"]) for status, answer in answers] == [(201, 1), (201, effects)]
    assert counters["effects"] == effects


async def test_an_answer_may_get_lost_after_the_effect() -> None:
    async with quick_api(fault_rate=1.0) as api, ClientSession() as session:
        answers = [await book(session, api.url, key="k") for _ in range(2)]
        counters = await stats_of(api)

    assert [status in (429, 503) for status, _ in answers] == [True, False]
    assert counters["effects"] == 1


async def test_an_airport_that_lies_too_high_is_refused() -> None:
    high = next(filter(is_too_high, codes()))
    async with quick_api() as api, ClientSession() as session:
        status, answer = await book(session, api.url, high)
        counters = await stats_of(api)

    assert (status, counters["effects"]) == (422, 0)
    assert str(HIGHEST_FT) in answer["error"]
