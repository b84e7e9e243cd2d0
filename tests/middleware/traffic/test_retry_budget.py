"""What retries cost, and what becomes of a row that cannot pay."""

from __future__ import annotations

import pytest

from http_enrich_middleware import Failure, RequestExchange, build_chain
from http_enrich_middleware.traffic import retry
from http_enrich_middleware.traffic._retry_budget import MOST_ORIGINS, Budget, Budgets, RetryBudget
from http_enrich_transport import TransportResponse
from tests.support.chain import FakeTime, answer, answering, failure, row
from tests.support.retrying import BAD, GOOD

FREE = {"ratio": 1e6, "per_second": 1e6}
"""No limit but that of the bucket."""

FULL = {"tokens": 10**6}
"""No limit but that of the rate."""


async def spend(budget: RetryBudget, times: int, *, throttled: bool = False) -> int:
    """Return how many of *times* retries were paid for."""
    paid = [await budget.pay(throttled=throttled, until=float("inf")) for _ in range(times)]
    return sum(price is not None for price in paid)


def budget_of(time: FakeTime, **options: object) -> RetryBudget:
    budgets = Budgets(Budget.model_validate(options), time.runtime)
    return budgets.of("http://api.test/", time.now)


def test_defaults_are_those_of_the_aws_sdks_and_a_tenth() -> None:
    assert Budget().model_dump() == {
        "tokens": 500,
        "cost": 14,
        "throttle_cost": 5,
        "ratio": 0.1,
        "per_second": 1.0,
        "on_exhausted": "fail",
    }


@pytest.mark.parametrize(("throttled", "retries", "rest"), [(False, 35, 10), (True, 100, 0)])
async def test_bucket_pays_for_so_many_retries(throttled: bool, retries: int, rest: int) -> None:
    budget = budget_of(FakeTime(), **FREE)

    assert await spend(budget, 200, throttled=throttled) == retries
    assert budget.tokens == rest


async def test_a_success_at_once_brings_one_token_and_no_more_than_fit() -> None:
    budget = budget_of(FakeTime(), **FREE)
    await spend(budget, 1)
    tokens = []

    for _ in range(16):
        budget.succeeded()
        tokens.append(budget.tokens)

    assert tokens == [*range(487, 501), 500, 500]


async def test_rate_is_a_tenth_of_the_first_tries_and_one_a_second() -> None:
    time = FakeTime()
    budget = budget_of(time, **FULL)
    for _ in range(100):
        budget.failed()

    assert await spend(budget, 50) == 10 + 10


async def test_rate_looks_back_for_ten_seconds() -> None:
    """Retries are forgotten once they are certainly older, and first tries before they are."""
    time = FakeTime()
    budget = budget_of(time, **FULL)
    granted = []
    for _ in range(14):
        granted.append(await spend(budget, 50))
        time.now += 1

    assert granted == [10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0]


async def test_first_tries_count_for_ten_seconds() -> None:
    time = FakeTime()
    budget = budget_of(time, **FULL, per_second=0)
    for _ in range(100):
        budget.failed()

    time.now += 9
    assert await spend(budget, 4) == 4
    time.now += 1
    assert await spend(budget, 4) == 0


@pytest.mark.parametrize("silence", [11, 12, 21, 22, 1000, 1e6])
async def test_a_long_silence_leaves_nothing_behind(silence: float) -> None:
    time = FakeTime()
    budget = budget_of(time, **FULL)
    await spend(budget, 50)

    time.now += silence

    assert await spend(budget, 50) == 10


async def through(
    time: FakeTime, config: retry.Config, *answers: TransportResponse, rows: int = 1
) -> list[RequestExchange]:
    chain = build_chain([config], answering(*answers), time.runtime)
    return [await chain(row()) for _ in range(rows)]


def with_tokens(tokens: int, **options: object) -> retry.Config:
    return retry.Config.model_validate({"budget": {"tokens": tokens, **FREE, **options}})


@pytest.mark.parametrize(
    ("throttled", "attempts"),
    [
        (answer(503), 2),
        (answer(500, retry_after="0"), 2),
        (failure("read_timeout"), 2),
        (answer(429), 4),
        (answer(503, retry_after="0"), 4),
    ],
)
async def test_throttling_costs_less(throttled: TransportResponse, attempts: int) -> None:
    """15 tokens are three retries of a peer that sets the pace, or one of a peer that is broken."""
    config = with_tokens(15).model_copy(update={"max_attempts": 9})

    (exchange,) = await through(FakeTime(), config, throttled)

    assert (exchange.attempts, exchange.metadata["retry.stop"]) == (attempts, "budget")


async def test_a_row_that_cannot_pay_ends_with_its_failure_at_once() -> None:
    time = FakeTime()

    first, second = await through(time, with_tokens(30), answer(503), rows=2)

    assert (first.attempts, first.metadata["retry.stop"]) == (3, "attempts")
    assert (second.attempts, second.error_kind, second.status) == (1, "http_status", 503)
    assert (second.metadata["retry.stop"], second.spent) == ("budget", {})
    assert time.waits == [0.2, 0.4]


@pytest.mark.parametrize(
    ("end", "attempts"),
    [(GOOD, 2), (answer(404), 2), (answer(401), 2), (answer(501), 1), (failure("protocol"), 1)],
)
async def test_success_gives_the_price_of_the_last_retry_back(end: TransportResponse, attempts: int) -> None:
    """So does an answer that only a working peer gives: tables are full of rows that are not found."""
    _, last = await through(FakeTime(), with_tokens(28), BAD, BAD, end, BAD, rows=2)

    assert (last.attempts, last.metadata["retry.stop"]) == (attempts, "budget")


async def test_refusal_that_is_not_to_be_repeated_is_no_sign_of_health() -> None:
    config = with_tokens(28).model_copy(update={"retry_status_codes": frozenset({503})})

    first, second = await through(FakeTime(), config, BAD, BAD, answer(429), BAD, rows=2)

    assert (first.metadata["retry.stop"], second.attempts) == ("not_retryable", 1)


@pytest.mark.parametrize(("successes", "attempts"), [(13, 1), (14, 2)])
@pytest.mark.parametrize("success", [GOOD, answer(404)])
async def test_fourteen_successes_pay_for_a_retry(
    success: TransportResponse, successes: int, attempts: int
) -> None:
    rows = await through(
        FakeTime(), with_tokens(14), BAD, BAD, *[success] * successes, BAD, rows=successes + 2
    )

    assert [each.attempts for each in rows] == [2, *[1] * successes, attempts]


async def test_what_was_tried_in_vain_is_not_paid_back() -> None:
    """Even if it is an answer of a working peer, but one that the pipeline wants to see repeated."""
    config = with_tokens(28).model_copy(update={"retry_status_codes": frozenset({404})})

    first, second = await through(FakeTime(), config, answer(404), rows=2)

    assert (first.attempts, second.attempts, second.metadata["retry.stop"]) == (3, 1, "budget")


async def test_only_what_reached_the_peer_counts() -> None:
    """Not a row that a circuit breaker keeps back, and not one that a cache answers."""
    time = FakeTime()
    runtime = time.runtime
    answers: list[TransportResponse | Failure] = [*[GOOD] * 50, *[Failure("circuit_open", "no")] * 50]

    async def keep_back(exchange: RequestExchange) -> RequestExchange:
        given = answers.pop()
        if isinstance(given, Failure):
            exchange.failure = given
        else:
            exchange.response = given
        return exchange

    async def fail(exchange: RequestExchange) -> RequestExchange:
        exchange.attempts, exchange.response = exchange.attempts + 1, BAD
        return exchange

    middleware = retry.build(retry.Config(max_attempts=2, base_delay=0), runtime)
    for _ in range(100):
        await middleware(row(), keep_back)
    ends = [(await middleware(row(), fail)).attempts for _ in range(20)]

    # One a second for ten seconds, and a tenth of the first ten tries, and of the next ten.
    assert ends == [2] * 11 + [1] * 8 + [2]


async def test_null_turns_the_budget_off() -> None:
    rows = await through(FakeTime(), retry.Config(budget=None), BAD, rows=1000)

    assert {each.attempts for each in rows} == {3}


@pytest.mark.parametrize(
    "options",
    [
        {"tokens": 0},
        {"ratio": -0.1},
        {"per_second": float("inf")},
        {"on_exhausted": "drop"},
        {"tokens": 13},
        {"tokens": 20, "throttle_cost": 21},
        {"refill": 1},
    ],
)
def test_nonsense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        retry.Config.model_validate({"budget": options})


def test_each_origin_has_a_budget_of_its_own() -> None:
    budgets = Budgets(Budget(), FakeTime().runtime)
    same = [
        "http://api.test/",
        "http://api.test/v1",
        "HTTP://API.test:80/x",
        "http://api.test?q",
        "http://api.test",
    ]
    others = [
        *("https://api.test/", "http://api.test:81/", "http://api.test.example/", "http://api.test.example"),
        *("http://api.tes/", "http://other.test/"),
    ]
    mine = budgets.of(same[0], 0)

    assert all(budgets.of(url, 0) is mine for url in [*same, *reversed(same)])
    assert len({id(budgets.of(url, 0)) for url in [*others, *others]}) == 5
    assert all((budgets.of(same[0], 0), budgets.of(url, 0))[1] is not mine for url in others)


def test_origins_used_longest_ago_are_forgotten() -> None:
    budgets = Budgets(Budget(), FakeTime().runtime)
    urls = [f"http://{number}.test/" for number in range(MOST_ORIGINS + 1)]
    first, second = budgets.of(urls[0], 0), budgets.of(urls[1], 0)
    for url in urls[2:-1]:
        budgets.of(url, 0)
    assert budgets.of(urls[0], 0) is first

    budgets.of(urls[-1], 0)

    assert budgets.of(urls[0], 0) is first
    assert budgets.of(urls[1], 0) is not second
