"""The key of a row: the same whenever the row is asked for, and another one for everything else."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http_enrich_middleware import RequestExchange, WorkerRuntime, build_chain, parse_middleware
from http_enrich_middleware.reuse.idempotency_key import Config
from http_enrich_middleware.traffic import retry
from http_enrich_transport import MemoryEngine, TransportRequest, TransportResponse
from tests.support.chain import FakeTime, answer, answering, row, send_over_http
from tests.support.peer import OK, serving

RUNTIME = WorkerRuntime(pipeline="airports", window="2026-01-01T00:00:00/2026-01-02T00:00:00")
GOLDEN = "f643f0d33850e968be7e81605e4bd6cde11813751af9038d6456996d46831d10"


def a_row(
    *row_id: Any, method: str = "POST", url: str = "http://api.test/v1", body: bytes | None = b"{}"
) -> RequestExchange:
    return RequestExchange(TransportRequest(method, url, {}, body), row_id=row_id or ("BIRK",))


async def key(
    exchange: RequestExchange, config: Config | None = None, runtime: WorkerRuntime = RUNTIME
) -> str:
    await build_chain([config or Config()], answering(answer(200)), runtime)(exchange)
    assert exchange.idempotency_key is not None
    return exchange.idempotency_key


async def test_the_key_is_what_it_has_always_been() -> None:
    """Should this fail, rows that were paid for would be paid for again: raise effect_version instead."""
    assert await key(a_row()) == GOLDEN
    assert await key(a_row(), Config(format="uuid")) == "f643f0d3-3850-8968-be7e-81605e4bd6cd"
    assert await key(a_row(7, date(2026, 1, 1), method="GET", body=None)) == (
        "707bc9ed027ad7f7a6938d9df325fd2b1240c5f671e52f9921ddc63798c44a4f"
    )


async def test_it_is_sent_and_kept() -> None:
    exchange = a_row()
    async with serving(OK) as server:
        exchange.request = TransportRequest("GET", server.url)
        await send_over_http([Config(header="X-Request-Key")], exchange, RUNTIME)

    assert f"X-Request-Key: {exchange.idempotency_key}\r\n".encode() in server.heads[0]
    assert len(exchange.idempotency_key or "") == 64


async def test_every_attempt_has_the_same_key() -> None:
    seen: list[str] = []

    def unavailable(request: TransportRequest) -> TransportResponse:
        seen.append(request.headers["Idempotency-Key"])
        return answer(503)

    for order in ([retry.Config(), Config()], [Config(), retry.Config()]):
        runtime = replace(FakeTime().runtime, pipeline="airports", window=RUNTIME.window)
        await build_chain(order, MemoryEngine(unavailable), runtime)(a_row())

    assert seen == [await key(a_row())] * 6


def test_another_process_makes_the_same_key() -> None:
    code = (
        "import asyncio; from tests.middleware.reuse.test_idempotency_key import a_row, key; "
        "print(asyncio.run(key(a_row())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "7"},
    )

    assert done.stdout.strip() == GOLDEN


OTHERS: list[tuple[str, RequestExchange, Config, WorkerRuntime]] = [
    ("row", a_row("BIKF"), Config(), RUNTIME),
    ("method", a_row(method="PUT"), Config(), RUNTIME),
    ("address", a_row(url="http://api.test/v2"), Config(), RUNTIME),
    ("query", a_row(url="http://api.test/v1?a=1"), Config(), RUNTIME),
    ("body", a_row(body=b"{} "), Config(), RUNTIME),
    ("no body", a_row(body=None), Config(), RUNTIME),
    ("version", a_row(), Config(effect_version="2"), RUNTIME),
    ("window", a_row(), Config(), replace(RUNTIME, window="2026-01-02T00:00:00/2026-01-03T00:00:00")),
    ("pipeline", a_row(), Config(), replace(RUNTIME, pipeline="harbours")),
]


@pytest.mark.parametrize(
    ("exchange", "config", "runtime"), [each[1:] for each in OTHERS], ids=[o[0] for o in OTHERS]
)
async def test_whatever_is_another_effect_has_another_key(
    exchange: RequestExchange, config: Config, runtime: WorkerRuntime
) -> None:
    assert await key(exchange, config, runtime) != await key(a_row())


async def test_headers_and_their_secrets_do_not_count() -> None:
    exchange = a_row()
    exchange.request.headers["Authorization"] = "Bearer of the day"

    assert await key(exchange) == await key(a_row())


async def test_with_the_scope_of_the_pipeline_the_window_does_not_count() -> None:
    config = Config(scope="pipeline")
    other = replace(RUNTIME, window="another")

    assert await key(a_row(), config) == await key(a_row(), config, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "bc"), ("ab", "c")),
        ((1,), ("1",)),
        (("a",), ("a", "")),
        ((True,), ("true",)),
        (('a","b',), ("a", "b")),
        ((Decimal("1.0"),), (Decimal("1.00"),)),
    ],
)
async def test_ids_that_look_alike_are_kept_apart(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert await key(a_row(*one)) != await key(a_row(*other))


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.text(max_size=5), st.integers()), min_size=2, max_size=8, unique=True))
async def test_no_two_rows_share_a_key(ids: list[tuple[str, int]]) -> None:
    keys = [await key(a_row(*each)) for each in ids]

    assert len(set(keys)) == len(ids)
    assert all(len(each) == 64 and each.isalnum() for each in keys)


@pytest.mark.parametrize(
    "value", ["BIRK", 7, 1.5, Decimal("1.5"), date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), b"x", True]
)
async def test_ids_of_every_usual_type_make_a_uuid(value: object) -> None:
    made = UUID(await key(a_row(value), Config(format="uuid")))

    assert (made.version, made.variant) == (8, "specified in RFC 4122")


@pytest.mark.parametrize(
    "row_id", [(None,), ("a", None), (math.nan,), (math.inf,), (object(),), ("\ud800",), ({1, object()},)]
)
async def test_a_row_without_a_proper_id_is_not_sent(row_id: tuple[Any, ...]) -> None:
    engine, exchange = answering(answer(200)), a_row(*row_id)

    await build_chain([Config()], engine, RUNTIME)(exchange)

    assert (exchange.error_kind, exchange.attempts, engine.calls) == ("invalid_request", 0, 0)
    assert "source.id" in (exchange.error_message or "")


async def test_a_hand_built_exchange_without_an_id_is_not_sent() -> None:
    exchange = await build_chain([Config()], answering(answer(200)), RUNTIME)(row())

    assert (exchange.error_kind, exchange.attempts) == ("invalid_request", 0)


@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key"])
async def test_a_row_that_brings_its_own_key_keeps_it(name: str) -> None:
    engine, exchange = answering(answer(200)), a_row()
    exchange.request.headers[name] = "mine-7"

    await build_chain([Config()], engine, RUNTIME)(exchange)

    assert (exchange.idempotency_key, engine.requests[0].headers) == ("mine-7", {name: "mine-7"})


@pytest.mark.parametrize("own", ["", "  ", "x" * 256, "a\nb"])
async def test_a_key_that_no_api_would_take_is_refused(own: str) -> None:
    exchange = a_row()
    exchange.request.headers["Idempotency-Key"] = own

    await build_chain([Config()], answering(answer(200)), RUNTIME)(exchange)

    assert (exchange.error_kind, exchange.attempts) == ("invalid_request", 0)


@pytest.mark.parametrize("header", ["", "a b", "Host", "Content-Length"])
def test_a_header_that_cannot_be_set_is_refused_at_load(header: str) -> None:
    with pytest.raises(ValueError, match="not the name of a header that can be set"):
        parse_middleware({"type": "idempotency_key", "header": header})
