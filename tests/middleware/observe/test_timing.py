"""How long a row took."""

from __future__ import annotations

import pytest

from http_enrich_middleware import MiddlewareConfig, build_chain
from http_enrich_middleware.observe.timing import Config
from http_enrich_middleware.traffic import retry
from http_enrich_transport import MemoryEngine, TransportRequest, TransportResponse
from tests.support.chain import FakeTime, answer, answering, failure, row, send_over_http
from tests.support.peer import OK, serving


@pytest.mark.parametrize("response", [answer(200), answer(500), failure("dns")])
async def test_successes_and_failures_are_measured_in_milliseconds(response: TransportResponse) -> None:
    time = FakeTime()

    async def slow(_: TransportRequest) -> TransportResponse:
        await time.sleep(1.25)
        return response

    exchange = await build_chain([Config()], MemoryEngine(slow), time.runtime)(row())

    assert exchange.metadata == {"timing.ms": "1250.000"}


@pytest.mark.parametrize(
    ("order", "milliseconds"),
    [([Config(), retry.Config()], "600.000"), ([retry.Config(), Config()], "0.000")],
    ids=["around retry", "inside retry"],
)
async def test_only_what_is_listed_after_it_is_measured(
    order: list[MiddlewareConfig], milliseconds: str
) -> None:
    """Three attempts with waits of 0.2 and 0.4 seconds in between."""
    exchange = await build_chain(order, answering(answer(503)), FakeTime().runtime)(row())

    assert exchange.metadata["timing.ms"] == milliseconds


async def test_a_real_exchange_takes_time() -> None:
    async with serving(OK) as server:
        exchange = await send_over_http([Config()], row(url=server.url))

    assert 0 < float(exchange.metadata["timing.ms"]) < 60_000
