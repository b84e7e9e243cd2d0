"""What speaks against the API, and what has other reasons."""

from __future__ import annotations

from dataclasses import replace

import pytest

from http_enrich_middleware import CIRCUIT_OPEN, build_chain, parse_middleware
from http_enrich_middleware.traffic import rate_limit
from http_enrich_middleware.traffic.circuit_breaker import Config
from http_enrich_transport import MemoryEngine, Sent, TransportRequest, TransportResponse
from tests.support.chain import FakeTime, answer, answering, failure, row

QUICK = Config(window=4, min_requests=2, probes=2)


def timing_out(time: FakeTime, after: float) -> MemoryEngine:
    """Return an engine of which nothing is heard until so many seconds are over."""

    def late(_: TransportRequest) -> TransportResponse:
        time.now += after
        return failure("total_timeout", Sent.MAYBE_SENT)

    return MemoryEngine(late)


@pytest.mark.parametrize(
    ("response", "opens"),
    [
        (answer(500), True),
        (answer(503), True),
        (answer(599), True),
        (failure("connect_refused"), True),
        (failure("dns"), True),
        (failure("tls_verify"), True),
        (failure("read_timeout", Sent.MAYBE_SENT), True),
        (failure("protocol", Sent.RESPONDED), True),
        (answer(200), False),
        (answer(404), False),
        (answer(401), False),
        (answer(429), False),
        (answer(501), False),
        (answer(505), False),
        (failure("local_resource"), False),
        (failure("invalid_request"), False),
        (failure("egress_blocked"), False),
        (failure("engine_error"), False),
        (failure("body_too_large", Sent.RESPONDED), False),
    ],
    ids=str,
)
async def test_only_what_speaks_against_the_api_is_charged(response: TransportResponse, opens: bool) -> None:
    time = FakeTime()
    chain = build_chain([QUICK], answering(response), time.runtime)

    for _ in range(5):
        exchange = row()
        exchange.deadline = time.now + 1
        await chain(exchange)

    assert (exchange.error_kind == CIRCUIT_OPEN) is opens


async def test_a_timeout_that_the_rows_own_deadline_made_is_not_charged() -> None:
    time = FakeTime()
    engine = timing_out(time, after=2)
    chain = build_chain([QUICK], engine, time.runtime)
    for _ in range(5):
        exchange = row()
        exchange.deadline = time.now + 0.9
        await chain(exchange)

    assert engine.calls == 5


@pytest.mark.parametrize(
    ("kind", "left", "waited"), [("connect_refused", 0.1, 0.0), ("total_timeout", 20.0, 50.0)]
)
async def test_who_had_a_fair_chance_is_charged(kind: str, left: float, waited: float) -> None:
    """A refusal takes no time, and what the row waited for earlier attempts took none of this one's."""
    time = FakeTime()
    engine = answering(failure(kind, Sent.MAYBE_SENT))
    chain = build_chain([QUICK], engine, time.runtime)
    for _ in range(3):
        exchange = row()
        exchange.deadline, exchange.spent = time.now + left, {"backoff": waited}
        await chain(exchange)

    # The third had to wait: until its deadline, or until it could go as a probe.
    assert exchange.spent["circuit"] == pytest.approx(min(left, 5.0))


async def test_a_permit_that_came_late_takes_from_the_time_that_the_api_had() -> None:
    time = FakeTime()
    engine = timing_out(time, after=1)
    chain = build_chain(
        [QUICK, rate_limit.Config(max_requests_per_second=0.05, scope="worker")], engine, time.runtime
    )
    await chain(row())
    for _ in range(5):
        exchange = row()
        exchange.deadline = time.now + 19.5
        exchange.spent["circuit"] = 50.0  # of an earlier attempt
        await chain(exchange)

    assert (engine.calls, exchange.error_kind, exchange.spent["limiter"]) == (6, "total_timeout", 19.0)


async def test_what_another_step_has_failed_is_not_charged() -> None:
    """Nothing was sent: the answer that is there is of an earlier attempt."""
    limit = rate_limit.Config(max_requests_per_second=0.001, scope="worker", on_exhausted="fail")
    chain = build_chain([QUICK, limit], answering(answer(200)), FakeTime().runtime)
    rows = [row() for _ in range(6)]
    for each in rows:
        each.response = answer(503)
        await chain(each)

    assert [each.error_kind for each in rows] == [None] + ["rate_limit_exhausted"] * 5
    assert not any("circuit" in each.spent for each in rows)


async def test_an_answer_that_a_rule_takes_for_good_is_good() -> None:
    rules = parse_middleware({"type": "response_rules", "rules": [{"status": 503, "action": "ignore"}]})
    time, engine = FakeTime(), answering(answer(503))
    chain = build_chain([QUICK, rules], engine, time.runtime)

    for _ in range(5):
        exchange = row()
        exchange.deadline = time.now + 1
        await chain(exchange)

    assert engine.calls == 5


async def test_without_a_base_url_every_request_is_watched() -> None:
    time = FakeTime()
    chain = build_chain([QUICK], answering(answer(503)), replace(time.runtime, base_url=""))
    for _ in range(3):
        exchange = await chain(row())

    assert exchange.spent == {"circuit": 5.0}


async def test_where_a_redirect_leads_says_nothing_about_the_endpoint() -> None:
    engine = answering(answer(503))
    chain = build_chain([QUICK], engine, FakeTime().runtime)

    for _ in range(5):
        await chain(row(url="http://elsewhere.test/"))

    assert engine.calls == 5
