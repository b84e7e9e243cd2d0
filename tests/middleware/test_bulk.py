"""Steps that are taken apart from their chain do the same for rows as within it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from http_enrich_middleware import (
    Bulk,
    Failure,
    MiddlewareConfig,
    NotSentError,
    RequestExchange,
    Step,
    build_bulk_chain,
    build_chain,
    parse_middleware,
)
from tests.support.chain import FakeTime, answer, answering, row

EIGHT: list[dict[str, Any]] = [
    {"type": "worker_identity"},
    {"type": "timing"},
    {"type": "metrics"},
    {"type": "idempotency_key"},
    {"type": "retry"},
    {"type": "rate_limit", "max_requests_per_second": 100},
    {"type": "timing"},
    {"type": "json_body"},
]


def configs(entries: Sequence[dict[str, Any]]) -> list[MiddlewareConfig]:
    return [parse_middleware(entry) for entry in entries]


def known_row() -> RequestExchange:
    return RequestExchange(row().request, row_id=("BI-1",))


@pytest.mark.parametrize("status", [200, 404, 503])
async def test_both_parts_do_what_the_whole_does(status: int) -> None:
    whole, apart = known_row(), known_row()
    times = FakeTime(), FakeTime()
    runtimes = [time.runtime for time in times]
    chain = build_chain(configs(EIGHT), answering(answer(status, b"{}")), runtimes[0])
    bulk, rest = build_bulk_chain(configs(EIGHT), answering(answer(status, b"{}")), runtimes[1])

    whole = await chain(whole)
    kept = bulk.enter(apart)
    started = runtimes[1].clock()
    apart = await rest(apart)
    bulk.leave(apart, kept, runtimes[1].clock() - started)

    assert "worker.host" in apart.metadata
    assert apart.idempotency_key is not None
    assert without_birth(apart.metadata) == without_birth(whole.metadata)
    assert (apart.idempotency_key, apart.attempts, apart.error_kind) == (
        whole.idempotency_key,
        whole.attempts,
        whole.error_kind,
    )
    assert runtimes[1].metrics.rows == runtimes[0].metrics.rows


def without_birth(metadata: dict[str, str]) -> dict[str, str]:
    """Leave out when the middleware was built."""
    return {name: value for name, value in metadata.items() if name != "worker.started_at"}


@pytest.mark.parametrize(
    ("entries", "marks"),
    [
        ([{"type": "worker_identity"}, {"type": "retry"}], {"worker.host"}),
        ([{"type": "retry"}, {"type": "worker_identity"}], set()),
        ([{"type": "json_body"}, {"type": "worker_identity"}], set()),
    ],
)
async def test_only_the_outermost_are_taken_apart(entries: list[dict[str, Any]], marks: set[str]) -> None:
    """What stands behind a step that is not, may depend on what that one has done."""
    exchange = known_row()
    bulk, _ = build_bulk_chain(configs(entries), answering(answer(200)), FakeTime().runtime)

    bulk.enter(exchange)

    assert marks == exchange.metadata.keys() & {"worker.host"}


def refusing(exchange: RequestExchange) -> None:
    raise NotSentError(Failure("invalid_request", "it has no id"))


def breaking(exchange: RequestExchange) -> None:
    raise LookupError


@pytest.mark.parametrize(("before", "kind"), [(refusing, "invalid_request"), (breaking, "middleware_error")])
def test_who_entered_sees_what_kept_a_row_from_going_on(
    before: Callable[[RequestExchange], None], kind: str
) -> None:
    exchange = known_row()
    bulk = Bulk([("a", marking("a")), ("b", Step(before, marking("b").after)), ("c", marking("c"))])

    kept = bulk.enter(exchange)
    bulk.leave(exchange, kept, 0.0)

    assert exchange.error_kind == kind
    assert exchange.metadata == {"a": f"a {kind}"}


def test_a_step_that_raises_on_the_way_back_costs_its_row_and_no_other_step() -> None:
    def after(exchange: RequestExchange, kept: Any) -> None:
        raise LookupError

    exchange = known_row()
    bulk = Bulk([("a", marking("a")), ("b", Step(after=after))])

    kept = bulk.enter(exchange)
    exchange.response = answer(200)
    bulk.leave(exchange, kept, 0.0)

    assert exchange.metadata == {"a": "a middleware_error"}
    assert exchange.error_message == "the middleware b raised LookupError in tests.middleware.test_bulk"


def test_a_step_with_a_clock_is_told_how_long_its_row_was_away() -> None:
    def after(exchange: RequestExchange, kept: tuple[str, float]) -> None:
        exchange.metadata["kept"] = f"{kept}"

    exchange = known_row()
    bulk = Bulk([("a", Step(lambda _: "a", after, clock=lambda: 1.0))])

    bulk.leave(exchange, bulk.enter(exchange), 2.5)

    assert exchange.metadata == {"kept": "('a', 2.5)"}


def marking(name: str) -> Step:
    def after(exchange: RequestExchange, kept: str) -> None:
        exchange.metadata[name] = f"{kept} {exchange.error_kind}"

    return Step(lambda _: name, after)
