"""A redirect among other steps: repeated, cut short, or left alone."""

from __future__ import annotations

import pytest

from http_enrich_middleware import (
    DEADLINE_EXCEEDED,
    Handler,
    MiddlewareConfig,
    RequestExchange,
    Verdict,
    WorkerRuntime,
    build_chain,
)
from http_enrich_middleware.answers.redirect import Config
from http_enrich_middleware.traffic import retry
from http_enrich_transport import MemoryEngine, Sent, TransportRequest, TransportResponse
from tests.support.chain import FakeTime, answer, answering, failure, registered, row
from tests.support.redirects import HOME, asked, to


async def test_no_hop_begins_after_the_deadline() -> None:
    time = FakeTime()

    def slow(_: TransportRequest) -> TransportResponse:
        time.now += 2
        return to("/b")

    exchange = row(url=HOME)
    exchange.deadline = time.now + 3
    await build_chain([Config()], MemoryEngine(slow), time.runtime)(exchange)

    assert (exchange.error_kind, exchange.attempts) == (DEADLINE_EXCEEDED, 2)


async def test_each_attempt_starts_from_the_beginning() -> None:
    engine = answering(to("/b"), answer(503), to("/c"), answer(200))
    exchange = await build_chain([retry.Config(), Config()], engine, FakeTime().runtime)(row(url=HOME))

    assert [each.url for each in engine.requests] == [HOME, "http://api.test/b", HOME, "http://api.test/c"]
    assert (exchange.error_kind, exchange.metadata["redirect.url"]) == (None, "http://api.test/c")


async def test_an_attempt_without_redirects_says_nothing_of_the_one_before() -> None:
    engine = answering(to("/b"), answer(503), answer(200))
    exchange = await build_chain([retry.Config(), Config()], engine, FakeTime().runtime)(row(url=HOME))

    assert (exchange.attempts, exchange.metadata) == (3, {"retry.stop": "ok"})


async def test_a_retry_inside_repeats_the_hop_that_failed() -> None:
    engine = answering(to("/b"), answer(503), answer(200))
    await build_chain([Config(), retry.Config()], engine, FakeTime().runtime)(row(url=HOME))

    assert [each.url for each in engine.requests] == [HOME, *["http://api.test/b"] * 2]


@pytest.mark.parametrize(
    "second", [answer(503), failure("connect_refused"), failure("reset", Sent.MAYBE_SENT), to("ftp://x")]
)
async def test_a_post_that_was_accepted_is_not_sent_again_for_its_result(second: TransportResponse) -> None:
    """It had its effect when 303 came; a retry would pay for it a second time."""
    engine = answering(to("/result", 303), second)
    exchange = await build_chain([retry.Config(), Config()], engine, FakeTime().runtime)(row("POST", HOME))

    assert asked(engine) == [("POST", HOME), ("GET", "http://api.test/result")]
    assert exchange.error_kind in ("http_status", "connect_refused", "reset", "redirect_blocked")
    assert (exchange.error_message or "").startswith("the POST was accepted (status 303), and then: ")
    assert exchange.metadata["retry.stop"] == "not_retryable"


@pytest.mark.parametrize(("method", "key"), [("PUT", None), ("POST", "k-7")])
async def test_what_may_be_sent_twice_is(method: str, key: str | None) -> None:
    engine = answering(to("/result", 303), answer(503), to("/result", 303), answer(200))
    exchange = row(method, HOME)
    exchange.idempotency_key = key
    await build_chain([retry.Config(), Config()], engine, FakeTime().runtime)(exchange)

    assert (exchange.error_kind, exchange.attempts) == (None, 4)


async def test_a_post_that_was_only_sent_on_is_tried_again() -> None:
    engine = answering(to("/b", 307), answer(503), to("/b", 307), answer(200))
    exchange = await build_chain([retry.Config(), Config()], engine, FakeTime().runtime)(row("POST", HOME))

    assert (exchange.error_kind, exchange.attempts) == (None, 4)


async def test_an_accepted_post_whose_result_is_there_is_a_success() -> None:
    engine = answering(to("/result", 303), answer(200))

    assert (await build_chain([Config()], engine, FakeTime().runtime)(row("POST", HOME))).error_kind is None


async def test_a_failure_of_a_step_inside_is_not_followed() -> None:
    """The answer that is there is of an earlier attempt, and nothing was sent in this one."""
    engine, time = answering(to("/b")), FakeTime()
    exchange = row(url=HOME)
    exchange.response, exchange.deadline = to("/b"), time.now
    await build_chain([Config()], engine, time.runtime)(exchange)

    assert (exchange.error_kind, engine.calls) == (DEADLINE_EXCEEDED, 0)


async def test_an_answer_that_is_no_good_is_not_followed() -> None:
    broken = failure("body_incomplete", Sent.RESPONDED)
    broken.status, broken.headers = 302, {"Location": "/b"}
    exchange = await build_chain([Config()], answering(broken), FakeTime().runtime)(row())

    assert (exchange.error_kind, exchange.attempts) == ("body_incomplete", 1)


async def test_an_answer_that_a_step_inside_is_content_with_is_not_followed() -> None:
    class Content:
        Config = MiddlewareConfig

        def __init__(self, config: MiddlewareConfig, runtime: WorkerRuntime) -> None:
            pass

        async def __call__(self, exchange: RequestExchange, call_next: Handler) -> RequestExchange:
            exchange = await call_next(exchange)
            exchange.verdict = Verdict.IGNORE
            return exchange

    configs = [Config(), MiddlewareConfig(type=registered(Content))]
    exchange = await build_chain(configs, answering(to("/b")), FakeTime().runtime)(row())

    assert (exchange.error_kind, exchange.status, exchange.attempts) == (None, 302, 1)
