"""A token that the API refuses is renewed once, and the request sent once more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from http_enrich_middleware import (
    DEADLINE_EXCEEDED,
    RUN_STOPPED,
    Failure,
    Handler,
    Middleware,
    MiddlewareConfig,
    RequestExchange,
    Verdict,
    WorkerRuntime,
    build_chain,
    parse_middleware,
)
from http_enrich_middleware.auth.oauth2_client_credentials import Config
from http_enrich_middleware.traffic import retry
from http_enrich_transport import SecretText
from tests.support.chain import FakeTime, answer, registered, row
from tests.support.tokens import TOKEN_URL, Api, refusing

OAUTH = Config(token_url=TOKEN_URL, client_id="me", client_secret=SecretText("canary-7"))


def chain(
    api: Api, time: FakeTime, *inner: MiddlewareConfig, outer: tuple[MiddlewareConfig, ...] = ()
) -> Handler:
    return build_chain([*outer, OAUTH, *inner], api.engine, time.runtime)


class StepConfig(MiddlewareConfig):
    pass


def step(act: Middleware) -> MiddlewareConfig:
    """Return the entry of a step that does *act*."""

    class Step:
        Config = StepConfig

        def __init__(self, config: StepConfig, runtime: WorkerRuntime) -> None:
            pass

        async def __call__(self, exchange: RequestExchange, call_next: Handler) -> RequestExchange:
            return await act(exchange, call_next)

    return StepConfig(type=registered(Step))


def judging(judge: Callable[[RequestExchange], None]) -> MiddlewareConfig:
    """Return the entry of a step that judges each answer, as `response_rules` does."""

    async def act(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        exchange = await call_next(exchange)
        judge(exchange)
        return exchange

    return step(act)


async def test_one_token_serves_all_rows() -> None:
    api, time = Api(), FakeTime()
    send = chain(api, time)

    for _ in range(1000):
        assert (await send(row())).error_kind is None
    assert (len(api.asked), set(api.seen)) == (1, {"token-1"})


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refused_request_is_sent_once_more_with_a_new_token(method: str) -> None:
    api, time = Api(takes=lambda token: token != "token-1"), FakeTime()

    exchange = await chain(api, time)(row(method))

    assert (exchange.status, exchange.attempts, exchange.error_kind) == (200, 2, None)
    assert (len(api.asked), api.seen) == (2, ["token-1", "token-2"])


async def test_what_is_refused_twice_keeps_its_401() -> None:
    api, time = Api(takes=lambda token: False), FakeTime()

    exchange = await chain(api, time)(row())

    assert (exchange.status, exchange.error_kind, exchange.failure) == (401, "http_status", None)
    assert (exchange.attempts, len(api.asked)) == (2, 2)


async def test_an_api_that_refuses_every_token_costs_a_token_every_five_seconds() -> None:
    api, time = Api(takes=lambda token: False), FakeTime()
    send = chain(api, time)

    for tenth in range(1000):
        time.now = 1000.0 + tenth / 10
        exchange = await send(row())
        assert (exchange.status, exchange.error_kind) == (401, "http_status")

    assert len(api.asked) == 1 + 20
    assert len(api.seen) == 1000 + 20  # a row is sent again with another token only


async def test_a_row_that_is_always_refused_costs_the_others_nothing() -> None:
    api, time = Api(), FakeTime()
    api.takes = lambda token: not api.engine.requests[-1].url.endswith("/forbidden")
    send = chain(api, time)

    for _ in range(50):
        exchanges = [await send(row(url=f"http://api.test/{path}")) for path in ("forbidden", "a", "b")]
        assert [each.status for each in exchanges] == [401, 200, 200]
    assert len(api.asked) == 2


async def test_an_api_that_refuses_tokens_at_random_costs_twenty_and_then_one_in_five_seconds() -> None:
    api, time = Api(), FakeTime()
    api.takes = lambda token: api.seen.count(token) % 3 != 0  # every third request of a token
    send = chain(api, time)

    statuses = [(await send(row())).status for _ in range(1000)]
    assert len(api.asked) == 1 + 20
    assert statuses[:42] == [200] * 42
    for _ in range(10):
        time.now += 5
        for _ in range(100):
            await send(row())
    assert len(api.asked) == 1 + 20 + 10


async def test_rows_that_fly_when_a_token_is_revoked_share_the_next_one() -> None:
    gone = asyncio.Event()
    api, time = Api(takes=lambda token: token != "token-1" or not gone.is_set()), FakeTime()

    async def late(exchange: RequestExchange, delay: int) -> RequestExchange:
        for _ in range(delay):
            await asyncio.sleep(0)
        return await send(exchange)

    send = chain(api, time)
    await send(row())
    gone.set()
    exchanges = await asyncio.gather(*(late(row(), delay) for delay in range(100)))

    assert {each.error_kind for each in exchanges} == {None}
    assert len(api.asked) == 2


async def test_a_token_that_another_row_has_renewed_is_used_without_asking() -> None:
    api, time = Api(takes=lambda token: token != "token-1"), FakeTime()
    held, free = asyncio.Event(), asyncio.Event()

    async def slow(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        exchange = await call_next(exchange)
        if exchange.request.url.endswith("/slow") and not held.is_set():
            held.set()
            await free.wait()
        return exchange

    send = chain(api, time, step(slow))
    waiting = asyncio.ensure_future(send(row(url="http://api.test/slow")))
    await held.wait()
    quick = await send(row())
    free.set()

    assert ((await waiting).error_kind, quick.error_kind) == (None, None)
    assert len(api.asked) == 2


async def test_a_rule_may_ask_for_another_token() -> None:
    def rule(exchange: RequestExchange) -> None:
        if api.seen[-1] == "token-1":
            exchange.verdict = Verdict.REFRESH_AUTH
            exchange.failure = Failure("rule", "the body says that the session is over")

    api, time = Api(), FakeTime()
    exchange = await chain(api, time, judging(rule))(row("POST"))

    assert (exchange.status, exchange.error_kind, exchange.verdict, exchange.attempts) == (200, None, None, 2)
    assert len(api.asked) == 2


async def test_response_rules_ask_for_another_token() -> None:
    rules = [{"status": 200, "when": "code == 'session_over'", "action": "refresh_auth"}]
    config = parse_middleware({"type": "response_rules", "rules": rules})
    api, time = Api(), FakeTime()
    api.body = lambda token: b'{"code": "session_over"}' if token == "token-1" else b'{"code": "fine"}'
    exchange = await chain(api, time, config)(row("POST"))

    assert (exchange.error_kind, exchange.attempts, api.seen) == (None, 2, ["token-1", "token-2"])


async def test_a_rule_that_asks_for_ever_gets_one_token_more() -> None:
    def rule(exchange: RequestExchange) -> None:
        exchange.verdict, exchange.failure = Verdict.REFRESH_AUTH, Failure("rule", "no")

    api, time = Api(), FakeTime()
    exchange = await chain(api, time, judging(rule))(row())

    assert (exchange.error_kind, exchange.attempts, len(api.asked)) == ("rule", 2, 2)


@pytest.mark.parametrize("verdict", [Verdict.SUCCESS, Verdict.IGNORE])
async def test_a_401_that_a_rule_has_nothing_against_is_left_alone(verdict: Verdict) -> None:
    def rule(exchange: RequestExchange) -> None:
        exchange.verdict = verdict

    api, time = Api(takes=lambda token: False), FakeTime()
    exchange = await chain(api, time, judging(rule))(row())

    assert (exchange.error_kind, exchange.attempts, len(api.asked)) == (None, 1, 1)


async def test_a_401_with_a_body_that_is_found_wanting_is_a_401_all_the_same() -> None:
    def rule(exchange: RequestExchange) -> None:
        exchange.failure = Failure("json_invalid", "no JSON") if exchange.status == 401 else None

    api, time = Api(takes=lambda token: token != "token-1"), FakeTime()
    exchange = await chain(api, time, judging(rule))(row())

    assert (exchange.error_kind, exchange.attempts) == (None, 2)


async def test_the_401_of_an_earlier_attempt_says_nothing_of_the_next_token() -> None:
    """A step below that sends nothing leaves the last answer where it is."""

    async def act(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        if exchange.attempts == 0 or api.seen[-1] == "token-2":
            return await call_next(exchange)
        exchange.failure = Failure("busy", "no permit", retry=True)
        return exchange

    api, time = Api(takes=lambda token: token == "token-3"), FakeTime()
    send = chain(api, time, step(act), outer=(retry.Config(),))
    exchange = await send(row())
    assert (exchange.error_kind, exchange.status, exchange.attempts) == ("busy", 401, 1)
    assert (len(api.asked), api.seen) == (2, ["token-1"])

    # Token 2 was never refused, so that it is renewed when it is.
    assert ((await send(row())).status, api.seen) == (200, ["token-1", "token-2", "token-3"])


async def test_what_a_step_below_answers_by_itself_is_not_taken_for_the_refusal() -> None:
    async def act(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
        if exchange.attempts:
            exchange.response = answer(200)
            return exchange
        exchange = await call_next(exchange)
        exchange.verdict, exchange.failure = Verdict.REFRESH_AUTH, Failure("rule", "no")
        return exchange

    api, time = Api(), FakeTime()
    exchange = await chain(api, time, step(act))(row())

    assert (exchange.error_kind, exchange.verdict, exchange.attempts) == (None, None, 1)


async def test_the_failure_to_get_a_token_is_not_a_wish_for_one() -> None:
    def rule(exchange: RequestExchange) -> None:
        exchange.verdict, exchange.failure = Verdict.REFRESH_AUTH, Failure("rule", "no")

    api, time = Api(), FakeTime()
    api.tokens = [api._grant(), refusing("invalid_grant")]
    exchange = await chain(api, time, judging(rule))(row())

    assert (exchange.error_kind, exchange.verdict) == ("auth_failed", None)


async def test_without_a_new_token_the_row_says_why() -> None:
    api, time = Api(takes=lambda token: False), FakeTime()
    api.tokens = [api._grant(), refusing("invalid_grant")]

    exchange = await chain(api, time)(row())

    assert (exchange.status, exchange.attempts) == (401, 1)
    assert exchange.failure == Failure(
        "auth_failed", "the token request was refused with HTTP status 400: invalid_grant"
    )


async def test_a_run_that_was_given_up_renews_nothing() -> None:
    def takes(token: str) -> bool:
        runtime.run.stop("enough")
        return False

    api, runtime = Api(takes=takes), FakeTime().runtime
    exchange = await build_chain([OAUTH], api.engine, runtime)(row())

    assert (exchange.error_kind, exchange.error_message) == (RUN_STOPPED, "enough")
    assert (exchange.status, exchange.attempts, len(api.asked)) == (401, 1, 1)


async def test_a_row_without_a_token_is_not_sent() -> None:
    api, time = Api(tokens=[refusing("invalid_client", 401)]), FakeTime()
    send = chain(api, time)

    exchanges = [await send(row()) for _ in range(1000)]

    message = "the token request was refused with HTTP status 401: invalid_client"
    assert {(each.error_kind, each.error_message) for each in exchanges} == {("auth_failed", message)}
    assert ({each.attempts for each in exchanges}, len(api.asked), api.seen) == ({0}, 1, [])


async def test_a_server_that_is_away_may_be_back_for_the_next_attempt() -> None:
    api, time = Api(tokens=[answer(503)] * 3), FakeTime()

    exchange = await chain(api, time, outer=(retry.Config(),))(row())

    assert (exchange.error_kind, exchange.attempts, len(api.asked)) == (None, 1, 4)
    # Two waits of the token's own, the row's backoff, and what is left of the third wait after it.
    assert time.waits == pytest.approx([0.5, 1.0, 0.2, 1.8])
    assert exchange.spent == pytest.approx({"auth": 0.5 + 1.0 + 1.8, "backoff": 0.2})


async def test_a_row_waits_for_a_token_no_longer_than_its_deadline() -> None:
    api, time = Api(tokens=[answer(503, retry_after="60")]), FakeTime()
    exchange = row()
    exchange.deadline = 1000.0

    await chain(api, time)(exchange)

    assert (exchange.error_kind, exchange.attempts, api.asked) == (DEADLINE_EXCEEDED, 0, [])


async def test_time_is_booked_only_where_rows_wait() -> None:
    api, time = Api(), FakeTime()
    send = chain(api, time)
    first, second = await send(row()), await send(row())

    assert ("auth" in first.spent, "auth" in second.spent) == (True, False)


@pytest.mark.parametrize("url", ["https://api.test/", "http://api.test:81/", "http://evil/"])
async def test_another_origin_sees_no_token_and_asks_for_none(url: str) -> None:
    api, time = Api(takes=lambda token: False), FakeTime()

    exchange = await chain(api, time)(row(url=url))

    assert (exchange.status, exchange.attempts, api.seen, api.asked) == (401, 1, [""], [])


async def test_two_entries_do_not_push_each_others_tokens_out_of_the_redactor() -> None:
    runtime, api = FakeTime().runtime, Api()
    other = OAUTH.model_copy(update={"origin": "https://other.test:443"})
    send = build_chain([OAUTH, other], api.engine, runtime)
    await send(row())
    await send(row(url="https://other.test/"))
    api.takes = lambda token: token != "token-2"
    await send(row(url="https://other.test/"))
    api.takes = lambda token: token not in ("token-2", "token-3")
    await send(row(url="https://other.test/"))

    assert runtime.redactor.text("token-1 token-4") == "*** ***"
