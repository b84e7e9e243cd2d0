"""A row that goes through retry alone, and answers it may get."""

from __future__ import annotations

from http_enrich_middleware import RequestExchange, build_chain
from http_enrich_middleware.traffic import retry
from http_enrich_transport import MemoryEngine
from tests.support.chain import FakeTime, answer, row

BAD, GOOD = answer(503), answer(200)


async def send(
    engine: MemoryEngine,
    config: retry.Config | None = None,
    *,
    method: str = "GET",
    time: FakeTime | None = None,
) -> RequestExchange:
    chain = build_chain([config or retry.Config()], engine, (time or FakeTime()).runtime)
    return await chain(row(method))
