"""An API gets as many requests at a time as it copes with."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from http_enrich_middleware import (
    Failure,
    Handler,
    MiddlewareConfig,
    RequestExchange,
    Verdict,
    WorkerRuntime,
    parse_middleware,
)
from http_enrich_middleware.traffic.adaptive_concurrency import Config
from http_enrich_transport import Sent, TransportResponse
from tests.support.chain import answer, failure, registered
from tests.support.virtual_api import FINE, Api, rows, sent

PLAIN = Config(latency_tolerance=None)


def test_it_begins_with_a_few_and_doubles_up_to_the_concurrency_of_the_worker() -> None:
    api = Api()
    sent(api, rows(60), PLAIN)

    assert api.rounds == [4, 8, 16, 16, 16]


def test_it_keeps_to_its_bounds() -> None:
    api, refusing = Api(), Api(lambda _: answer(429))
    sent(api, rows(22), Config(max=6))
    sent(refusing, rows(16), Config(min=3))

    assert api.rounds == [4, 6, 6, 6]
    assert refusing.rounds == [4, 3, 3, 3, 3]


def test_bounds_beyond_the_concurrency_of_the_worker_are_that_concurrency() -> None:
    api = Api()
    sent(api, rows(32), Config(min=20, max=40))

    assert api.rounds == [16, 16]


REFUSED, GROWN, KEPT = 5, 16, 8


@pytest.mark.parametrize(
    ("outcome", "then"),
    [
        (answer(200), GROWN),
        (answer(204), GROWN),
        (answer(404), GROWN),
        (answer(401), GROWN),
        (answer(429), REFUSED),
        (answer(503), REFUSED),
        (answer(504), REFUSED),
        (failure("read_timeout", Sent.MAYBE_SENT), REFUSED),
        (failure("total_timeout", Sent.MAYBE_SENT), REFUSED),
        (failure("connect_timeout"), REFUSED),
        (answer(500), KEPT),
        (answer(501), KEPT),
        (failure("local_resource"), KEPT),
        (failure("invalid_request"), KEPT),
        (failure("egress_blocked"), KEPT),
        (failure("engine_error", Sent.MAYBE_SENT), KEPT),
        (failure("dns"), KEPT),
        (failure("connect_refused"), KEPT),
        (failure("tls_verify"), KEPT),
        (failure("reset", Sent.MAYBE_SENT), KEPT),
        (failure("body_too_large", Sent.RESPONDED), KEPT),
    ],
)
def test_what_an_outcome_does_to_the_limit(outcome: TransportResponse, then: int) -> None:
    """Eight requests at a time end like this, after four successes."""
    api = Api(lambda number: outcome if 5 <= number <= 12 else FINE)
    sent(api, rows(12 + then), PLAIN)

    assert api.rounds[:3] == [4, 8, then]


def test_a_row_that_left_the_api_no_time_is_no_sign() -> None:
    timeout = failure("total_timeout", Sent.MAYBE_SENT)
    late, api = rows(40), Api(lambda number: timeout if 5 <= number <= 12 else FINE)
    for each in late[4:12]:
        each.deadline = 2.0
    sent(api, late, PLAIN)

    assert api.rounds[:3] == [4, 8, KEPT]


def test_slow_answers_are_a_sign() -> None:
    under_way: list[int] = []

    class Slower(Api):
        async def serve(self) -> TransportResponse:
            under_way.append(self.active)
            await asyncio.sleep(0.1 if len(self.starts) < 300 else 0.3)
            return FINE

    sent(Slower(), rows(500), Config())

    # Twice in two hundred answers fifty of them were looked at: 16, 11, 7.
    assert (max(under_way[200:300]), max(under_way[450:])) == (16, 7)


class Step:
    """Has a word of its own for some rows."""

    class Config(MiddlewareConfig):
        type: str = "step"

    def __init__(self, config: MiddlewareConfig, runtime: WorkerRuntime) -> None:
        """Nothing to set up."""

    async def __call__(self, exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        if exchange.request.url.endswith("unsent"):
            await asyncio.sleep(1)
            exchange.failure = Failure("unsent", "not sent")
            return exchange
        exchange = await call_next(exchange)
        if exchange.status == 503:
            exchange.verdict = Verdict.SUCCESS
        return exchange


def test_steps_further_down_have_a_say() -> None:
    step = parse_middleware({"type": registered(Step)})
    excused, api = Api(lambda number: answer(503) if 5 <= number <= 12 else FINE), Api()
    sent(excused, rows(20), PLAIN, step)
    unsent = rows(20)
    for each in unsent[4:12]:
        each.request.url += "unsent"
        each.response = answer(429)  # of an earlier attempt
    sent(api, unsent, PLAIN, step)

    assert excused.rounds == [4, 8, KEPT]
    assert api.rounds == [4, KEPT]
    assert {each.error_kind for each in unsent[4:12]} == {"unsent"}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"min": 5, "max": 4}, "min is more than max"),
        ({"min": 0}, "greater than or equal to 1"),
        ({"decrease": 1}, "less than 1"),
        ({"decrease": 0}, "greater than 0"),
        ({"latency_tolerance": 1}, "greater than 1"),
        ({"latency_tolerance": float("inf")}, "finite number"),
    ],
)
def test_what_makes_no_sense_is_refused_at_load(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_middleware({"type": "adaptive_concurrency", **options})
