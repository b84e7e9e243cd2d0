"""Answers that say they succeeded and are not JSON."""

from __future__ import annotations

import pytest

from http_enrich_middleware import RequestExchange, build_chain
from http_enrich_middleware.answers.json_body import Config
from http_enrich_transport import TransportResponse
from tests.support.chain import answer, answering, failure, row, send_over_http
from tests.support.peer import OK, serving


async def check(response: TransportResponse) -> RequestExchange:
    return await build_chain([Config()], answering(response))(row())


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b"null", b"0", b'"a"', b' {"a": [1, -2.5e3, true]}\r\n', b'"\xc3\xa9"', b"9" * 5000],
)
async def test_json_passes_untouched(body: bytes) -> None:
    exchange = await check(answer(200, body))

    assert exchange.error_kind is None
    assert exchange.response is not None
    assert exchange.response.body == body


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"  ", b"<html>", b"{", b'{"a":1', b'"abc', b"[1,]", b'{"a":1,}', b"{1:2}", b"{'a':1}"),
        *(b"01", b"1.", b".5", b"+1", b"1e", b"tru", b"NaN", b"-Infinity", b"// c\n1", b"[1 2]"),
        *(b"{}{}", b"{}\n{}", b'"\x01"', b'"a\nb"', b'"\\x"', b'"\\u12"', b"\x00"),
    ],
)
async def test_anything_else_fails_the_row_and_keeps_its_status(body: bytes) -> None:
    exchange = await check(answer(200, body))

    assert (exchange.error_kind, exchange.status) == ("json_invalid", 200)


@pytest.mark.parametrize("body", [b'"\xff"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf{}", "{}".encode("utf-16")])
async def test_json_is_utf_8_without_a_byte_order_mark(body: bytes) -> None:
    exchange = await check(answer(200, body))

    assert exchange.error_kind == "json_invalid"


async def test_deep_nesting_costs_one_row_and_not_the_worker() -> None:
    exchange = await check(answer(200, b"[" * 200_000 + b"]" * 200_000))

    assert exchange.error_kind == "json_invalid"


async def test_the_message_does_not_quote_the_body() -> None:
    exchange = await check(answer(200, b"canary-7"))

    assert exchange.error_message == "the body of 8 bytes is not JSON: DecodeError"


@pytest.mark.parametrize(
    ("response", "kind"), [(answer(404, b"<html>"), "http_status"), (failure("dns"), "dns")]
)
async def test_a_row_that_failed_already_keeps_its_error(response: TransportResponse, kind: str) -> None:
    exchange = await check(response)

    assert (exchange.error_kind, exchange.failure) == (kind, None)


async def test_answer_of_a_real_server() -> None:
    async with serving(OK) as server:
        unchecked = await send_over_http([], row(url=server.url))
        checked = await send_over_http([Config()], row(url=server.url))

    assert (unchecked.error_kind, checked.error_kind) == (None, "json_invalid")
