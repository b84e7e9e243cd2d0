"""What a middleware raises, or hands back amiss, costs one row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from http_enrich_middleware import (
    Failure,
    Handler,
    MiddlewareConfig,
    RequestExchange,
    Step,
    WorkerRuntime,
    build_chain,
)
from http_enrich_middleware._together import together
from http_enrich_middleware.observe import timing
from http_enrich_middleware.traffic import retry
from tests.support.chain import FakeTime, answer, answering, failure, registered, row


def broken_clock() -> float:
    raise LookupError("canary-7")


BROKEN = WorkerRuntime(clock=broken_clock)


async def test_an_exception_in_a_middleware_costs_one_row() -> None:
    chain = build_chain([timing.Config()], answering(answer(200)), BROKEN)

    rows = [await chain(row()), await chain(row())]

    assert [each.error_kind for each in rows] == ["middleware_error", "middleware_error"]
    assert [each.attempts for each in rows] == [0, 0]


async def test_an_exception_is_named_and_located_but_not_quoted() -> None:
    """Its text may hold a token or a body."""
    exchange = await build_chain([timing.Config()], answering(answer(200)), BROKEN)(row())

    assert exchange.failure == Failure(
        "middleware_error", f"the middleware timing raised LookupError in {__name__}"
    )
    assert "canary" not in repr(exchange)


async def test_an_exception_after_the_answer_keeps_the_status() -> None:
    ticks = iter([1.0, 1.0, 1.0])  # when it starts, when the request leaves, when the answer is there
    runtime = WorkerRuntime(clock=lambda: next(ticks, None) or broken_clock())

    exchange = await build_chain([timing.Config()], answering(answer(200)), runtime)(row())

    assert (exchange.error_kind, exchange.status, exchange.attempts) == ("middleware_error", 200, 1)


async def test_an_exception_after_a_failed_attempt_is_reported_as_what_it_is() -> None:
    readings = iter([1.0, 1.0, 1.0])
    runtime = WorkerRuntime(clock=lambda: next(readings))
    exchange = await build_chain([timing.Config()], answering(failure("dns")), runtime)(row())

    assert exchange.error_kind == "middleware_error"


async def test_an_exception_before_the_second_attempt_is_reported_as_what_it_is() -> None:
    time = FakeTime()
    runtime = replace(time.runtime, clock=lambda: broken_clock() if time.waits else time.now)
    chain = build_chain([retry.Config(), timing.Config()], answering(failure("dns"), answer(200)), runtime)

    assert (await chain(row())).error_kind == "middleware_error"


async def test_those_outside_see_what_was_raised_inside() -> None:
    """Else a logged or counted row would be missing whenever something below it broke."""
    time, seen = FakeTime(), []
    runtime = replace(time.runtime, clock=broken_clock)

    class Watch:
        Config = MiddlewareConfig

        def __init__(self, config: MiddlewareConfig, runtime: WorkerRuntime) -> None:
            pass

        async def __call__(self, exchange: RequestExchange, call_next: Handler) -> RequestExchange:
            exchange = await call_next(exchange)
            seen.append(exchange.error_kind)
            return exchange

    configs = [MiddlewareConfig(type=registered(Watch)), timing.Config()]
    await build_chain(configs, answering(answer(200)), runtime)(row())

    assert seen == ["middleware_error"]


@pytest.mark.parametrize("returned", [None, "exchange"])
async def test_a_middleware_that_hands_back_something_else_costs_one_row(returned: object) -> None:
    class Forgetful:
        Config = MiddlewareConfig

        def __init__(self, config: MiddlewareConfig, runtime: WorkerRuntime) -> None:
            pass

        async def __call__(self, exchange: RequestExchange, call_next: Handler) -> object:
            await call_next(exchange)
            return returned

    path = registered(Forgetful)
    exchange = await build_chain([MiddlewareConfig(type=path)], answering(answer(200)))(row())

    name = type(returned).__name__
    assert exchange.failure == Failure(
        "middleware_error", f"the middleware {path} returned a {name} instead of the exchange"
    )
    assert (exchange.status, exchange.attempts) == (200, 1)


class Marks:
    """Says in the metadata that it was passed, and what it was handed on the way back."""

    def __init__(self, name: str) -> None:
        self.name = name

    def step(self) -> Step:
        def after(exchange: RequestExchange, kept: str) -> None:
            exchange.metadata[self.name] = f"{kept} {exchange.error_kind}"

        return Step(lambda _: self.name, after)


async def refuse(exchange: RequestExchange, call_next: Handler) -> RequestExchange:
    raise LookupError


async def unreachable(exchange: RequestExchange) -> RequestExchange:
    raise AssertionError


async def test_steps_outside_see_what_a_middleware_has_raised_each_with_its_own() -> None:
    steps = [("a", Marks("a").step()), ("b", Marks("b").step())]

    exchange = await together(steps, "inner", refuse, unreachable)(row())

    assert exchange.metadata == {"a": "a middleware_error", "b": "b middleware_error"}
    assert exchange.error_message == f"the middleware inner raised LookupError in {__name__}"
