"""Thousands of rows and an API with limits of its own: what adaptive concurrency makes of it."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from http_enrich_middleware.traffic import rate_limit, retry
from http_enrich_middleware.traffic.adaptive_concurrency import Config
from tests.support.chain import answer
from tests.support.virtual_api import Api, Metered, Queueing, Shedding, rows, sent

PERSISTENT = retry.Config(max_attempts=50, budget=None, deadline=None)
CONCURRENCY = 50


def set_capacity(api: Shedding, capacity: int) -> None:
    api.capacity = capacity


@pytest.mark.parametrize(("capacity", "per_row"), [(1, 1.51), (3, 1.13), (10, 1.03), (30, 1.01)])
def test_it_finds_the_capacity_of_an_api_that_refuses_what_is_too_much(capacity: int, per_row: float) -> None:
    """One request more than that is tried once in a while."""
    api, listed = Shedding(capacity), rows(600 * capacity)
    seconds = sent(api, listed, PERSISTENT, Config(), concurrency=CONCURRENCY)

    assert all(each.status == 200 for each in listed)
    assert max(api.peaks(10, seconds)) <= capacity + 1
    assert seconds <= 60 / 0.82
    assert len(api.starts) <= per_row * len(listed)


@pytest.mark.parametrize(("capacity", "most"), [(2, 33), (5, 33), (20, 50)])
def test_an_api_that_gets_slower_is_used_up_and_does_not_get_all_there_are(capacity: int, most: int) -> None:
    api = Queueing(capacity)
    seconds = sent(api, rows(600 * capacity), Config(), concurrency=100)

    assert seconds <= 60 / 0.98
    assert capacity <= min(api.peaks(5, seconds - 2))
    assert max(api.peaks(5, seconds)) <= most


def test_it_follows_the_capacity_down_and_up_again() -> None:
    api, listed = Shedding(20), rows(25_000)
    changes = [(60.0, lambda: set_capacity(api, 4)), (120.0, lambda: set_capacity(api, 20))]
    sent(api, listed, PERSISTENT, Config(), concurrency=CONCURRENCY, at=changes)

    assert set(api.peaks(30, 60)) <= {18, 19, 20, 21}
    assert set(api.peaks(65, 120)) <= {4, 5}
    assert set(api.peaks(130, 150)) <= {18, 19, 20, 21}
    assert all(each.status == 200 for each in listed)


def test_time_spent_waiting_for_a_permit_is_not_the_apis() -> None:
    """Else a rate limit would look like an API that gets slower, and bring the concurrency down."""
    listed = rows(2000)
    limit = rate_limit.Config(max_requests_per_second=5, scope="worker")
    seconds = sent(Api(latency=0.01), listed, Config(), limit, concurrency=10)

    assert seconds == pytest.approx(1999 / 5 + 0.01)
    assert min(each.spent["limiter"] for each in listed[500:-20]) > 1.7


# S1


@pytest.mark.parametrize(("wait", "most"), [("1", 42), ("2", 70), (None, 42)])
def test_429_storm_slows_down_to_what_the_api_allows(wait: str | None, most: float) -> None:
    """
    50 at a time could be 2,500 a second, and 500 are allowed; 20,000 rows take 40 seconds then.

    The API saves up for a second: of a pause of two seconds one is lost, as it wished.
    """
    refusal = answer(429, retry_after=wait) if wait else answer(429)
    api, listed = Metered(500, refusal), rows(20_000)
    again = retry.Config(max_attempts=10, budget=None)
    dice = random.Random(7)
    seconds = sent(api, listed, again, Config(), concurrency=CONCURRENCY, uniform=dice.uniform)

    assert all(each.status == 200 for each in listed)
    assert 39 <= seconds <= most
    attempts = Counter(each.attempts for each in listed)
    assert attempts[1] + attempts[2] >= 0.995 * 20_000
    assert len(api.starts) <= 1.06 * 20_000
