"""What the next request of a redirect is, and what goes along and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import permutations

import pytest

from http_enrich_middleware import MiddlewareConfig, build_chain
from http_enrich_middleware.answers.redirect import Config
from http_enrich_middleware.auth import api_key, bearer, hmac
from http_enrich_middleware.reuse import idempotency_key
from http_enrich_middleware.traffic import retry
from http_enrich_transport import MemoryEngine, SecretText, TransportRequest, TransportResponse
from tests.support.chain import FakeTime, row, send_over_http
from tests.support.peer import OK, serving
from tests.support.redirects import BOTH, HOME, OTHER, asked, leading, site, to


@pytest.mark.parametrize(
    ("method", "status", "second"),
    [
        *[(method, status, method) for method in ("GET", "HEAD") for status in (301, 302, 303, 307, 308)],
        *[(method, 303, "GET") for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS")],
        *[(method, status, method) for method in ("POST", "PUT", "PATCH", "DELETE") for status in (307, 308)],
    ],
)
async def test_the_method_of_the_second_request(method: str, status: int, second: str) -> None:
    engine = site({HOME: to("/b", status)})
    await build_chain([Config()], engine, FakeTime().runtime)(row(method, HOME))

    assert asked(engine) == [(method, HOME), (second, "http://api.test/b")]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("status", [301, 302])
async def test_nobody_knows_what_these_want_sent(method: str, status: int) -> None:
    """R4: some clients go on with GET, some with the method."""
    engine = site({HOME: to("/b", status)})
    exchange = await build_chain([Config()], engine, FakeTime().runtime)(row(method, HOME))

    assert asked(engine) == [(method, HOME)]
    assert (exchange.error_kind, exchange.status) == ("http_status", status)


HEADERS = {
    "Accept": "application/json",
    "accept-language": "is",
    "User-Agent": "us",
    "Content-Type": "application/json",
    "Authorization": "Bearer canary-7",
    "Cookie": "s=canary-7",
    "X-Api-Key": "canary-7",
    "X-Tenant": "canary-7",
    "Referer": "http://canary-7/",
}


@pytest.mark.parametrize(
    ("status", "url", "body", "missing"),
    [
        (307, "http://api.test/b", b"{}", set[str]()),
        (303, "http://api.test/b", None, {"Content-Type"}),
        (307, f"{OTHER}/b", b"{}", {"Authorization", "Cookie", "X-Api-Key", "X-Tenant", "Referer"}),
        (
            303,
            f"{OTHER}/b",
            None,
            {"Authorization", "Cookie", "X-Api-Key", "X-Tenant", "Referer", "Content-Type"},
        ),
    ],
)
async def test_what_goes_along(status: int, url: str, body: bytes | None, missing: set[str]) -> None:
    engine = site({HOME: to(url, status)})
    exchange = row("POST", HOME, **HEADERS)
    exchange.request.body = b"{}"
    await build_chain([BOTH], engine, FakeTime().runtime)(exchange)

    second = engine.requests[1]
    assert (second.url, second.body) == (url, body)
    assert second.headers == {name: value for name, value in HEADERS.items() if name not in missing}
    assert exchange.request.headers == HEADERS


async def test_a_get_that_is_answered_303_leaves_its_body_behind() -> None:
    engine = site({HOME: to("/b", 303)})
    exchange = row("GET", HOME)
    exchange.request.body = b"{}"
    await build_chain([Config()], engine, FakeTime().runtime)(exchange)

    assert [each.body for each in engine.requests] == [b"{}", None]


async def test_what_was_left_behind_is_not_taken_up_again_on_the_way_back() -> None:
    """Another origin could else send us anywhere with the credentials of the first one."""
    other = "http://files.test"
    engine = site({HOME: to(f"{other}/"), f"{other}/": to("http://api.test/delete")})
    config = Config(allow_origins=[other])
    await build_chain([config], engine, FakeTime().runtime)(row(url=HOME, **HEADERS))

    assert engine.requests[2].url == "http://api.test/delete"
    assert "canary-7" not in str(engine.requests[2].headers)


@pytest.mark.parametrize(("status", "travels"), [(307, True), (303, False)])
async def test_the_idempotency_key_goes_where_the_body_goes(status: int, travels: bool) -> None:
    """`retry` repeats whatever has a key: without it the other origin would act twice."""
    engine = site({HOME: to(f"{OTHER}/b", status)})
    exchange = row("POST", HOME)
    exchange.row_id = ("BIRK",)
    key = idempotency_key.Config(header="X-Once")
    await build_chain([key, BOTH], engine, FakeTime().runtime)(exchange)

    assert engine.requests[0].headers["X-Once"] == exchange.idempotency_key
    assert (engine.requests[1].headers == engine.requests[0].headers) is travels
    assert travels or engine.requests[1].headers == {}


async def test_the_time_of_the_request_is_that_of_each_hop() -> None:
    engine = site({HOME: to("/b")})
    exchange = row(url=HOME)
    exchange.request.timeout = 2.5
    await build_chain([Config()], engine, FakeTime().runtime)(exchange)

    assert [each.timeout for each in engine.requests] == [2.5, 2.5]


async def test_the_request_is_the_rows_own_again_afterwards() -> None:
    exchange = row(url=HOME)
    request = exchange.request
    await build_chain([Config()], site({HOME: to("/b")}), FakeTime().runtime)(exchange)

    assert exchange.request is request
    assert (request.url, request.headers) == (HOME, {})


async def test_an_interrupted_hop_leaves_the_request_as_it_was() -> None:
    arrived = asyncio.Event()

    async def hang(request: TransportRequest) -> TransportResponse:
        if request.url == HOME:
            return to("/b")
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    exchange = row(url=HOME)
    task = asyncio.ensure_future(build_chain([Config()], MemoryEngine(hang), FakeTime().runtime)(exchange))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert exchange.request.url == HOME


SECRET = SecretText("canary-7")
AUTH: list[MiddlewareConfig] = [
    bearer.Config(token=SECRET),
    api_key.Config(key=SECRET),
    api_key.Config(key=SECRET, query="key"),
    hmac.Config(secret=SECRET, parts=["path"], prefix="canary-7 "),
]
ORDERS = [
    pytest.param(list(order), id=" ".join(each.type for each in order))
    for auth in AUTH
    for order in permutations([auth, retry.Config(max_attempts=2)])
]


def last(reply: bytes) -> bytes:
    """Return *reply* as the last one on its connection."""
    return reply.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("position", [0, 1, 2])
async def test_another_origin_sees_no_credentials_whatever_the_order(
    order: Sequence[MiddlewareConfig], position: int
) -> None:
    """R2, C1: another port is another origin."""
    exchange = row(**HEADERS)
    async with serving(OK) as other, serving(leading(f"{other.url}/b")) as server:
        exchange.request.url = f"{server.url}/a"
        config = Config(allow_origins=[other.url])
        await send_over_http([*order[:position], config, *order[position:]], exchange)

    assert (exchange.status, server.requests, other.requests) == (200, 1, 1)
    assert b"canary-7" in server.heads[0]
    assert b"canary" not in other.heads[0]
    assert other.heads[0].startswith(b"GET /b HTTP/1.1\r\n")
    assert "canary" not in str(exchange.metadata)


async def test_credentials_and_cookies_within_the_origin() -> None:
    """C1: each hop is signed anew; a cookie is kept neither for the next hop nor for the next row."""
    replies = [leading("/b"), OK, OK]
    async with serving(b"") as server:

        async def reply(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(last(replies[server.requests - 1]))
            await writer.drain()

        server.answer = reply
        for _ in range(2):
            await send_over_http([Config(), AUTH[0]], row(url=f"{server.url}/a"))

    assert [head.split()[1] for head in server.heads] == [b"/a", b"/b", b"/a"]
    assert [head.count(b"Authorization: Bearer canary-7\r\n") for head in server.heads] == [1, 1, 1]
    assert b"cookie" not in b"".join(server.heads).lower()


@pytest.mark.parametrize("status", [307, 308])
async def test_a_post_is_sent_where_it_belongs_body_and_all(status: int) -> None:
    bodies: list[bytes] = []

    async def taking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bodies.append(await reader.readexactly(9))
        here = len(bodies) == 1
        writer.write(
            (leading("/b", status) if here else OK).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        )
        await writer.drain()

    async with serving(taking) as server:
        exchange = row("POST", f"{server.url}/a")
        exchange.request.body = b'{"n": 1 }'
        await send_over_http([Config()], exchange)

    assert (exchange.status, bodies) == (200, [b'{"n": 1 }'] * 2)
    assert [head.split()[:2] for head in server.heads] == [[b"POST", b"/a"], [b"POST", b"/b"]]
