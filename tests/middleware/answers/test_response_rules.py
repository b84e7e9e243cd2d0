"""What the author of a pipeline has an answer mean."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from http_enrich_middleware import (
    Failure,
    Handler,
    MiddlewareConfig,
    RequestExchange,
    Verdict,
    WorkerRuntime,
    build_chain,
    parse_middleware,
)
from http_enrich_middleware.answers import json_body
from http_enrich_middleware.traffic import retry
from http_enrich_spark.config import PipelineError, check_pipeline
from http_enrich_transport import Sent, TransportErrorKind, TransportResponse
from tests.support.chain import FakeTime, answer, answering, failure, registered, row, send_over_http
from tests.support.peer import serving
from tests.support.pipelines import pipeline
from tests.support.rules import BAD, GOOD, judge, rules

# Actions.


@pytest.mark.parametrize(
    ("action", "kind", "verdict", "retry_wanted"),
    [
        ("success", None, Verdict.SUCCESS, None),
        ("ignore", None, Verdict.IGNORE, None),
        ("retry", "response_rule", None, True),
        ("fail_row", "response_rule", None, False),
        ("fail_run", "run_stopped", None, False),
        ("refresh_auth", "auth_rejected", Verdict.REFRESH_AUTH, False),
    ],
)
@pytest.mark.parametrize("status", [200, 404])
async def test_each_action_does_what_it_says(
    status: int, action: str, kind: str | None, verdict: Verdict | None, retry_wanted: bool | None
) -> None:
    exchange = await judge(answer(status), {"status": status, "action": action})

    assert (exchange.error_kind, exchange.verdict, exchange.status) == (kind, verdict, status)
    assert (exchange.failure and exchange.failure.retry) == retry_wanted


async def test_a_failure_names_its_rule_and_nothing_of_the_body() -> None:
    entry = {"when": "error", "action": "fail_row"}

    exchange = await judge(answer(200, BAD), {"status": 500, "action": "retry"}, entry)
    worded = await judge(answer(200, BAD), {**entry, "message": "the quota is used up"})

    assert exchange.error_message == "response_rules, rule 2: fail_row on status 200"
    assert worded.error_message == "the quota is used up"


async def test_fail_run_ends_the_run_with_its_reason() -> None:
    runtime, engine = WorkerRuntime(), answering(answer(403))
    handler = build_chain(
        [rules({"status": 403, "action": "fail_run", "message": "the key is blocked"})], engine, runtime
    )

    first, second = await handler(row()), await handler(row())

    assert runtime.run.stopped == "the key is blocked"
    for exchange in (first, second):
        assert (exchange.error_kind, exchange.error_message) == ("run_stopped", "the key is blocked")
    assert (first.attempts, second.attempts, engine.calls) == (1, 0, 1)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_retry_is_told_through_the_exchange(method: str) -> None:
    """The author vouches that it is safe, whatever the method and the status."""
    engine, time = answering(answer(200, BAD), answer(200, GOOD)), FakeTime()
    chain = [retry.Config(base_delay=1), rules({"when": "!ok", "action": "retry"})]

    exchange = await build_chain(chain, engine, time.runtime)(row(method))

    assert (exchange.error_kind, exchange.attempts, time.waits) == (None, 2, [1.0])
    assert exchange.metadata["retry.stop"] == "ok"


@pytest.mark.parametrize("action", ["fail_row", "fail_run", "ignore", "success"])
async def test_what_a_rule_has_decided_is_not_tried_again(action: str) -> None:
    chain = [retry.Config(), rules({"status": 503, "action": action})]

    exchange = await build_chain(chain, answering(answer(503)), FakeTime().runtime)(row())

    assert exchange.attempts == 1


async def test_what_refresh_auth_asks_for_can_be_seen_outside() -> None:
    class Renewing:
        Config = MiddlewareConfig

        def __init__(self, config: MiddlewareConfig, runtime: WorkerRuntime) -> None:
            pass

        async def __call__(self, exchange: RequestExchange, call_next: Handler) -> RequestExchange:
            exchange = await call_next(exchange)
            return await call_next(exchange) if exchange.verdict is Verdict.REFRESH_AUTH else exchange

    outside = parse_middleware({"type": registered(Renewing)})
    expired = rules({"status": 200, "when": "error.code == 'QUOTA'", "action": "refresh_auth"})

    exchange = await build_chain([outside, expired], answering(answer(200, BAD), answer(200, GOOD)))(row())

    assert (exchange.error_kind, exchange.verdict, exchange.attempts) == (None, None, 2)


async def test_answers_of_a_real_server() -> None:
    head = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
        BAD
    )
    async with serving(head + BAD) as server:
        ignored = rules({"status": 404, "when": "error.code == 'QUOTA'", "action": "ignore"})
        exchange = await send_over_http([ignored], row(url=server.url))

    assert (exchange.status, exchange.error_kind, exchange.verdict) == (404, None, Verdict.IGNORE)


# Which rule.


async def test_the_first_rule_that_matches_decides() -> None:
    entries: list[dict[str, Any]] = [
        {"status": 404, "when": "never", "action": "fail_run"},
        {"status": "4xx", "when": "error", "action": "ignore"},
        {"status": 404, "action": "fail_row"},
    ]

    with_error, without = (
        await judge(answer(404, BAD), *entries),
        await judge(answer(404, GOOD), *entries),
    )

    assert (with_error.verdict, without.error_kind) == (Verdict.IGNORE, "response_rule")


@pytest.mark.parametrize(("status", "kind"), [(200, None), (404, "http_status")])
async def test_an_answer_that_no_rule_matches_is_what_its_status_says(status: int, kind: str | None) -> None:
    exchange = await judge(
        answer(status, GOOD), {"status": 500, "action": "retry"}, {"when": "error", "action": "retry"}
    )

    assert (exchange.error_kind, exchange.failure, exchange.verdict) == (kind, None, None)


# What rules do not look at.


@pytest.mark.parametrize(
    "response",
    [
        failure("reset"),
        TransportResponse.failed(TransportErrorKind.RESET, Sent.RESPONDED, "gone", status=200),
    ],
)
async def test_an_answer_that_never_came_whole_is_no_answer(response: TransportResponse) -> None:
    exchange = await judge(response, {"status": "100-999", "action": "success"})

    assert (exchange.error_kind, exchange.verdict) == ("reset", None)


async def test_what_a_step_below_has_judged_stays_as_it_is() -> None:
    inner = rules(
        {"status": 404, "action": "ignore"}, {"status": 500, "action": "fail_row", "message": "inner"}
    )
    outer = rules({"status": "100-999", "action": "fail_row", "message": "outer"})

    found = []
    for response in (answer(404), answer(500), answer(501)):
        exchange = await build_chain([outer, inner], answering(response))(row())
        found.append((exchange.verdict, exchange.error_message))

    assert found == [(Verdict.IGNORE, None), (None, "inner"), (None, "outer")]


async def test_an_unsent_row_is_not_judged_by_the_answer_of_its_last_attempt() -> None:
    class Refusing:
        Config = MiddlewareConfig

        def __init__(self, config: MiddlewareConfig, runtime: WorkerRuntime) -> None:
            pass

        async def __call__(self, exchange: RequestExchange, call_next: Handler) -> RequestExchange:
            exchange.response = answer(404)
            exchange.failure = Failure("circuit_open", "not sent")
            return exchange

    chain = [rules({"status": 404, "action": "success"}), parse_middleware({"type": registered(Refusing)})]

    assert (await build_chain(chain, answering(answer(200)))(row())).error_kind == "circuit_open"


async def test_html_under_status_200_is_left_to_json_body() -> None:
    chain = [json_body.Config(snippet=0), rules({"status": 200, "when": "error", "action": "retry"})]

    exchange = await build_chain(chain, answering(answer(200, b"<html>")))(row())

    assert exchange.error_kind == "json_invalid"


# What is wrong with a rule is said at load, with its place.


@pytest.mark.parametrize(
    ("rule", "place", "message"),
    [
        ({"action": "ignore"}, "", "a rule needs status, when, or both"),
        ({"status": 404}, ".action", "this key is missing"),
        (
            {"status": 404, "action": "explode"},
            ".action",
            "'success', 'retry', 'ignore', 'fail_row', 'fail_run'",
        ),
        ({"status": 404, "action": "retry", "wen": "a"}, ".wen", "did you mean 'when'?"),
        ({"status": "2yy", "action": "retry"}, ".status", "such as 404, 2xx or 400-499, not '2yy'"),
        ({"status": "499-400", "action": "retry"}, ".status", "not '499-400'"),
        ({"status": 99, "action": "retry"}, ".status", "not 99"),
        ({"status": 1000, "action": "retry"}, ".status", "not 1000"),
        ({"status": True, "action": "retry"}, ".status", "not True"),
        ({"status": 404.0, "action": "retry"}, ".status", "not 404.0"),
        ({"status": [200, {}], "action": "retry"}, ".status", "not {}"),
        ({"status": [], "action": "retry"}, ".status", "at least one status"),
        ({"when": "a.b[", "action": "retry"}, ".when", 'Incomplete expression: "a.b["'),
        ({"when": "a $ b", "action": "retry"}, ".when", "Unknown token $"),
        ({"when": "", "action": "retry"}, ".when", "cannot be empty"),
        ({"when": "a || lenght(b)", "action": "retry"}, ".when", "no function lenght(); it has abs, "),
        ({"when": "a[?contains(b)]", "action": "retry"}, ".when", "contains() takes 2 arguments, not 1"),
        ({"when": "merge()", "action": "retry"}, ".when", "merge() takes 1 arguments or more, not 0"),
        ({"when": "(" * 5000 + ")" * 5000, "action": "retry"}, ".when", "nested too deep"),
        ({"status": 404, "action": "retry", "message": ""}, ".message", "at least 1 character"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_at_its_place(
    rule: dict[str, Any], place: str, message: str
) -> None:
    entry = {"type": "response_rules", "rules": [{"status": 200, "action": "ignore"}, rule]}

    with pytest.raises(PipelineError) as caught:
        check_pipeline(pipeline({"middleware": [entry]}))

    (problem,) = caught.value.problems
    assert problem.at("p").startswith(f"p: middleware[0].rules[1]{place}: ")
    assert message in problem.message


@pytest.mark.parametrize(
    "entry", [{}, {"rules": []}, {"rules": [{"status": 404, "action": "retry"}], "max_body": 0}]
)
def test_rules_without_a_rule_or_a_body_are_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"missing|at least one rule|max_body"):
        parse_middleware({"type": "response_rules", **entry})


def test_rules_travel_to_the_workers() -> None:
    config = rules({"status": ["2xx", 404], "when": "a", "action": "retry"}, max_body="2MiB")

    assert pickle.loads(pickle.dumps(config)) == config
