"""Where an answer may send a request, with what, and where it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import pytest
from multidict import CIMultiDict

from http_enrich_middleware import (
    DEADLINE_EXCEEDED,
    Handler,
    MiddlewareConfig,
    RequestExchange,
    Verdict,
    WorkerRuntime,
    build_chain,
    parse_middleware,
)
from http_enrich_middleware.answers.redirect import Config
from http_enrich_middleware.auth import api_key, bearer, hmac
from http_enrich_middleware.reuse import idempotency_key
from http_enrich_middleware.traffic import retry
from http_enrich_transport import (
    MemoryEngine,
    SecretText,
    Sent,
    TransportRequest,
    TransportResponse,
)
from tests.support.chain import FakeTime, answer, answering, failure, registered, row, send_over_http
from tests.support.peer import OK, serving

HOME = "http://api.test/v1/a?x=1"
OTHER = "https://files.test"
BOTH = Config(allow_origins=[OTHER])


def to(location: str, status: int = 302) -> TransportResponse:
    return answer(status, Location=location)


def site(pages: Mapping[str, TransportResponse]) -> MemoryEngine:
    """Return an engine that knows *pages*, and answers 200 everywhere else."""
    return MemoryEngine(lambda request: pages.get(request.url, answer(200, request.url.encode())))


def asked(engine: MemoryEngine) -> list[tuple[str, str]]:
    return [(each.method, each.url) for each in engine.requests]


async def led(
    location: str, config: Config | None = None, *, start: str = HOME, status: int = 302
) -> tuple[RequestExchange, list[str]]:
    """Send a row to *start*, which leads to *location*; return where requests went after that."""
    engine = site({start: to(location, status)})
    chain = build_chain([config or Config()], engine, FakeTime().runtime)
    exchange = await chain(row(url=start))
    return exchange, [each.url for each in engine.requests[1:]]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_within_the_origin_is_followed(status: int) -> None:
    exchange, urls = await led("/v2/b", status=status)

    assert urls == ["http://api.test/v2/b"]
    assert (exchange.error_kind, exchange.status, exchange.attempts) == (None, 200, 2)
    assert exchange.metadata == {"redirect.count": "1", "redirect.url": "http://api.test/v2/b"}


async def test_the_request_is_the_rows_own_again_afterwards() -> None:
    exchange = row(url=HOME)
    request = exchange.request
    await build_chain([Config()], site({HOME: to("/b")}), FakeTime().runtime)(exchange)

    assert exchange.request is request
    assert (request.url, request.headers) == (HOME, {})


@pytest.mark.parametrize("status", [200, 201, 300, 304, 305, 306, 310, 404, 503])
async def test_other_statuses_lead_nowhere(status: int) -> None:
    exchange, urls = await led("/b", status=status)

    assert (urls, exchange.status, exchange.metadata) == ([], status, {})


async def test_without_a_location_the_row_keeps_its_status() -> None:
    exchange = await build_chain([Config()], answering(answer(302)), FakeTime().runtime)(row())

    assert (exchange.error_kind, exchange.status, exchange.attempts) == ("http_status", 302, 1)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("b", "http://api.test/v1/b"),
        ("../b", "http://api.test/b"),
        ("../../../b", "http://api.test/b"),
        ("b/./c/../d", "http://api.test/v1/b/d"),
        ("b//c", "http://api.test/v1/b//c"),
        ("?y=2", "http://api.test/v1/a?y=2"),
        ("/b?y=2#part", "http://api.test/b?y=2"),
        ("//api.test/b", "http://api.test/b"),
        ("http://api.test:80/b", "http://api.test/b"),
        ("HTTP://API.test/b", "http://API.test/b"),
        ("http://api.test", "http://api.test/"),
        ("http://api.test?y=2", "http://api.test/?y=2"),
        ("http://api.test/b/../c?y=../2", "http://api.test/c?y=../2"),
        ("/b%2Fc?sig=%2F+%20%3d", "http://api.test/b%2Fc?sig=%2F+%20%3d"),
        ("/a b|c", "http://api.test/a%20b%7Cc"),
        ("/Þór?q=Þ", "http://api.test/%C3%9E%C3%B3r?q=%C3%9E"),
        ("/\udce9", "http://api.test/%E9"),
    ],
)
async def test_a_location_is_resolved_and_made_fit_for_the_wire(location: str, url: str) -> None:
    exchange, urls = await led(location)

    assert (exchange.error_kind, urls) == (None, [url])


async def test_a_fragment_alone_leads_back_to_the_same_address() -> None:
    exchange, urls = await led("#part", Config(max_redirects=1))

    assert (exchange.error_kind, urls) == ("redirect_loop", [HOME])


async def test_a_relative_location_is_resolved_against_the_hop_it_came_from() -> None:
    engine = site({HOME: to(f"{OTHER}/d/e"), f"{OTHER}/d/e": to("f")})
    await build_chain([BOTH], engine, FakeTime().runtime)(row(url=HOME))

    assert [each.url for each in engine.requests[1:]] == [f"{OTHER}/d/e", f"{OTHER}/d/f"]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://files.test/", "leads to https://files.test:443, which is not in redirect.allow_origins"),
        ("https://api.test/", "leads to https://api.test:443, which is not in"),
        ("http://api.test:81/", "leads to http://api.test:81, which is not in"),
        ("http://api.test.evil/", "leads to http://api.test.evil:80, which is not in"),
        ("//evil/", "leads to http://evil:80, which is not in"),
        ("http://169.254.169.254/latest/meta-data/", "leads to http://169.254.169.254:80, which is not in"),
        ("http://api.test@evil/", "user name or password"),
        ("http://me:canary-7@api.test/", "user name or password"),
        ("http://@api.test/", "user name or password"),
        ("file:///etc/passwd", "no http or https address"),
        ("ftp://api.test/", "no http or https address"),
        ("ws://api.test/", "no http or https address"),
        ("javascript:alert(1)", "no http or https address"),
        ("mailto:me@api.test", "no http or https address"),
        ("https:/b", "no http or https address"),
        (f"http://{'a' * 300}/", "no http or https address"),
        ("", "is empty"),
        ("http://[::1", "cannot be read"),
        ("http://api.test:99999/", "cannot be read"),
        ("http://api.test:x/", "cannot be read"),
        ("/\ud800", "cannot be read"),
        ("/a\r\nX-Evil: 1", "control characters"),
        ("/a\tb", "control characters"),
        ("http://evil\\@api.test/", "backslashes"),
        ("/\\evil/", "backslashes"),
        ("http://Þór.test/", "leads to http://%c3%9e%c3%b3r.test:80, which is not in"),
        ("/%2e%2e/admin", "a segment '.' or '..'"),
        ("/" + "a" * 8192, "longer than 8192 characters"),
        ("/" + "Þ" * 2000, "more than 8192 characters"),
    ],
)
async def test_what_must_not_be_followed_is_not(location: str, reason: str) -> None:
    exchange, urls = await led(location)

    assert (exchange.error_kind, exchange.status, urls) == ("redirect_blocked", 302, [])
    message = exchange.error_message or ""
    assert reason in message
    assert not any(word in message for word in ("canary-7", "meta-data", "passwd", "alert", "admin"))
    assert len(message) < 150
    assert (exchange.attempts, exchange.metadata) == (1, {})


@pytest.mark.parametrize("origin", ["http://api.test:80", "http://files.test:80"])
async def test_from_https_to_http_it_never_goes(origin: str) -> None:
    """Not even to an origin that is on the list."""
    config = Config(allow_origins=["http://api.test", "http://files.test"])
    exchange, urls = await led(f"{origin}/b", config, start="https://api.test/a")

    assert (exchange.error_kind, urls) == ("redirect_blocked", [])
    assert exchange.error_message == f"not followed: it leads from https to {origin}"


async def test_not_by_a_detour_either() -> None:
    engine = site({HOME: to(OTHER), f"{OTHER}/": to(HOME)})
    exchange = await build_chain([BOTH], engine, FakeTime().runtime)(row(url=HOME))

    assert (exchange.error_message, engine.calls) == (
        "not followed: it leads from https to http://api.test:80",
        2,
    )
    assert exchange.metadata == {"redirect.count": "1", "redirect.url": f"{OTHER}/"}


async def test_two_locations_are_one_too_many() -> None:
    several = TransportResponse(302, CIMultiDict([("Location", "/a"), ("location", "/b")]))
    exchange = await build_chain([Config()], answering(several), FakeTime().runtime)(row())

    assert exchange.error_message == "not followed: there is more than one Location"


async def test_an_engines_headers_may_be_any_mapping() -> None:
    engine = site({HOME: TransportResponse(302, {"Location": "/b"})})

    assert (await build_chain([Config()], engine, FakeTime().runtime)(row(url=HOME))).status == 200


@pytest.mark.parametrize("limit", [1, 5])
async def test_a_loop_ends_at_the_limit(limit: int) -> None:
    """R1"""
    engine = answering(to(HOME))
    chain = build_chain([retry.Config(), Config(max_redirects=limit)], engine, FakeTime().runtime)
    exchange = await chain(row(url=HOME))

    assert exchange.error_kind == "redirect_loop"
    assert exchange.error_message == f"more than {limit} redirects"
    assert engine.calls == exchange.attempts
    assert exchange.metadata["redirect.count"] == str(limit)


async def test_as_many_as_the_limit_are_followed() -> None:
    engine = answering(*[to("/b")] * 5, answer(200))
    exchange = await build_chain([Config()], engine, FakeTime().runtime)(row(url=HOME))

    assert (exchange.error_kind, exchange.attempts, exchange.metadata["redirect.count"]) == (None, 6, "5")


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


async def test_no_hop_begins_after_the_deadline() -> None:
    time = FakeTime()

    def slow(_: TransportRequest) -> TransportResponse:
        time.now += 2
        return to("/b")

    exchange = row(url=HOME)
    exchange.deadline = time.now + 3
    await build_chain([Config()], MemoryEngine(slow), time.runtime)(exchange)

    assert (exchange.error_kind, exchange.attempts) == (DEADLINE_EXCEEDED, 2)


async def test_each_attempt_starts_from_the_beginning() -> None:
    engine = answering(to("/b"), answer(503), to("/c"), answer(200))
    exchange = await build_chain([retry.Config(), Config()], engine, FakeTime().runtime)(row(url=HOME))

    assert [each.url for each in engine.requests] == [HOME, "http://api.test/b", HOME, "http://api.test/c"]
    assert (exchange.error_kind, exchange.metadata["redirect.url"]) == (None, "http://api.test/c")


async def test_an_attempt_without_redirects_says_nothing_of_the_one_before() -> None:
    engine = answering(to("/b"), answer(503), answer(200))
    exchange = await build_chain([retry.Config(), Config()], engine, FakeTime().runtime)(row(url=HOME))

    assert (exchange.attempts, exchange.metadata) == (3, {"retry.stop": "ok"})


async def test_a_retry_inside_repeats_the_hop_that_failed() -> None:
    engine = answering(to("/b"), answer(503), answer(200))
    await build_chain([Config(), retry.Config()], engine, FakeTime().runtime)(row(url=HOME))

    assert [each.url for each in engine.requests] == [HOME, *["http://api.test/b"] * 2]


@pytest.mark.parametrize(
    "second", [answer(503), failure("connect_refused"), failure("reset", Sent.MAYBE_SENT), to("ftp://x")]
)
async def test_a_post_that_was_accepted_is_not_sent_again_for_its_result(second: TransportResponse) -> None:
    """It had its effect when 303 came; a retry would pay for it a second time."""
    engine = answering(to("/result", 303), second)
    exchange = await build_chain([retry.Config(), Config()], engine, FakeTime().runtime)(row("POST", HOME))

    assert asked(engine) == [("POST", HOME), ("GET", "http://api.test/result")]
    assert exchange.error_kind in ("http_status", "connect_refused", "reset", "redirect_blocked")
    assert (exchange.error_message or "").startswith("the POST was accepted (status 303), and then: ")
    assert exchange.metadata["retry.stop"] == "not_retryable"


@pytest.mark.parametrize(("method", "key"), [("PUT", None), ("POST", "k-7")])
async def test_what_may_be_sent_twice_is(method: str, key: str | None) -> None:
    engine = answering(to("/result", 303), answer(503), to("/result", 303), answer(200))
    exchange = row(method, HOME)
    exchange.idempotency_key = key
    await build_chain([retry.Config(), Config()], engine, FakeTime().runtime)(exchange)

    assert (exchange.error_kind, exchange.attempts) == (None, 4)


async def test_a_post_that_was_only_sent_on_is_tried_again() -> None:
    engine = answering(to("/b", 307), answer(503), to("/b", 307), answer(200))
    exchange = await build_chain([retry.Config(), Config()], engine, FakeTime().runtime)(row("POST", HOME))

    assert (exchange.error_kind, exchange.attempts) == (None, 4)


async def test_an_accepted_post_whose_result_is_there_is_a_success() -> None:
    engine = answering(to("/result", 303), answer(200))

    assert (await build_chain([Config()], engine, FakeTime().runtime)(row("POST", HOME))).error_kind is None


async def test_the_address_in_the_table_shows_no_secret() -> None:
    runtime = FakeTime().runtime
    runtime.redactor.add("canary-7")
    engine = site({HOME: to("/canary-7/b?key=hush")})
    exchange = await build_chain([Config()], engine, runtime)(row(url=HOME))

    assert exchange.metadata["redirect.url"] == "http://api.test/***/b?***"


async def test_a_secret_in_the_name_of_an_origin_is_not_told() -> None:
    runtime = FakeTime().runtime
    runtime.redactor.add("canary-7")
    exchange = await build_chain([Config()], answering(to("http://canary-7.test/")), runtime)(row())

    assert exchange.error_message == (
        "not followed: it leads to http://***.test:80, which is not in redirect.allow_origins"
    )


async def test_a_failure_of_a_step_inside_is_not_followed() -> None:
    """The answer that is there is of an earlier attempt, and nothing was sent in this one."""
    engine, time = answering(to("/b")), FakeTime()
    exchange = row(url=HOME)
    exchange.response, exchange.deadline = to("/b"), time.now
    await build_chain([Config()], engine, time.runtime)(exchange)

    assert (exchange.error_kind, engine.calls) == (DEADLINE_EXCEEDED, 0)


async def test_an_answer_that_is_no_good_is_not_followed() -> None:
    broken = failure("body_incomplete", Sent.RESPONDED)
    broken.status, broken.headers = 302, {"Location": "/b"}
    exchange = await build_chain([Config()], answering(broken), FakeTime().runtime)(row())

    assert (exchange.error_kind, exchange.attempts) == ("body_incomplete", 1)


async def test_an_answer_that_a_step_inside_is_content_with_is_not_followed() -> None:
    class Content:
        Config = MiddlewareConfig

        def __init__(self, config: MiddlewareConfig, runtime: WorkerRuntime) -> None:
            pass

        async def __call__(self, exchange: RequestExchange, call_next: Handler) -> RequestExchange:
            exchange = await call_next(exchange)
            exchange.verdict = Verdict.IGNORE
            return exchange

    configs = [Config(), MiddlewareConfig(type=registered(Content))]
    exchange = await build_chain(configs, answering(to("/b")), FakeTime().runtime)(row())

    assert (exchange.error_kind, exchange.status, exchange.attempts) == (None, 302, 1)


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


def leading(location: str, status: int = 302) -> bytes:
    head = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nSet-Cookie: s=canary-8\r\n"
    return f"{head}Content-Length: 0\r\n\r\n".encode()


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


async def test_what_is_not_allowed_is_not_even_connected_to() -> None:
    async with serving(OK) as other, serving(leading(f"{other.url}/b")) as server:
        exchange = await send_over_http([Config()], row(url=server.url))

    assert (exchange.error_kind, exchange.attempts) == ("redirect_blocked", 1)
    assert (server.requests, other.connections) == (1, 0)


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


async def test_metadata_services_stay_out_of_reach() -> None:
    """R3: even on the list, an address that is off limits is none to connect to."""
    metadata = "http://169.254.169.254"
    async with serving(leading(f"{metadata}/latest/meta-data/")) as server:
        exchange = await send_over_http([Config(allow_origins=[metadata])], row(url=server.url))

    assert (exchange.error_kind, server.requests) == ("egress_blocked", 1)


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


@pytest.mark.parametrize("location", ["/Þór", "/a b", "/\xe9"])
async def test_what_no_address_may_hold_is_encoded_on_the_wire(location: str) -> None:
    raw = leading("LOC").replace(b"LOC", location.encode("latin-1" if location == "/\xe9" else "utf-8"))
    async with serving(raw) as server:
        exchange = await send_over_http([Config(max_redirects=1)], row(url=f"{server.url}/a"))

    assert exchange.error_kind == "redirect_loop"
    expected = {"/Þór": b"/%C3%9E%C3%B3r", "/a b": b"/a%20b", "/\xe9": b"/%E9"}[location]
    assert server.heads[1].split()[1] == expected


@pytest.mark.parametrize("length", [8_000, 9_000])
async def test_an_endless_location_ends_in_a_row(length: int) -> None:
    """A redirect that grows with each hop."""
    async with serving(leading("/" + "a" * length)) as server:
        exchange = await send_over_http([Config()], row(url=server.url))

    assert exchange.error_kind == ("redirect_loop" if length == 8_000 else "header_too_large")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_redirects": 0}, "greater than or equal to 1"),
        ({"max_redirects": 21}, "less than or equal to 20"),
        ({"allow_origins": ["files.test"]}, "expected an origin such as https://api.example.com"),
        ({"allow_origins": ["https://files.test/a"]}, "without a path"),
        ({"allow_origins": ["https://me:canary-7@files.test"]}, "without a path"),
        ({"allow_origins": ["https://files.test?canary-7"]}, "without a path"),
        ({"allow_origins": ["*"]}, "without a path"),
        ({"allow_origin": []}, "did you mean 'allow_origins'"),
    ],
)
def test_what_makes_no_sense_is_refused_at_load(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_middleware({"type": "redirect", **options})

    assert "canary" not in str(caught.value)


def test_a_slash_at_the_end_makes_no_other_origin() -> None:
    assert Config(allow_origins=["https://FILES.test/"]).allow_origins == ["https://files.test:443"]


async def test_nothing_is_followed_unless_it_is_listed() -> None:
    exchange = await build_chain([], answering(to("/b")), FakeTime().runtime)(row())

    assert (exchange.status, exchange.attempts) == (302, 1)
