"""Whether an answer sends a request on, where it may lead, and how often."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict

from http_enrich_middleware import RequestExchange, build_chain, parse_middleware
from http_enrich_middleware.answers.redirect import Config
from http_enrich_middleware.traffic import retry
from http_enrich_transport import TransportResponse
from tests.support.chain import FakeTime, answer, answering, row, send_over_http
from tests.support.peer import OK, serving
from tests.support.redirects import BOTH, HOME, OTHER, leading, site, to


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


async def test_what_is_not_allowed_is_not_even_connected_to() -> None:
    async with serving(OK) as other, serving(leading(f"{other.url}/b")) as server:
        exchange = await send_over_http([Config()], row(url=server.url))

    assert (exchange.error_kind, exchange.attempts) == ("redirect_blocked", 1)
    assert (server.requests, other.connections) == (1, 0)


async def test_metadata_services_stay_out_of_reach() -> None:
    """R3: even on the list, an address that is off limits is none to connect to."""
    metadata = "http://169.254.169.254"
    async with serving(leading(f"{metadata}/latest/meta-data/")) as server:
        exchange = await send_over_http([Config(allow_origins=[metadata])], row(url=server.url))

    assert (exchange.error_kind, server.requests) == ("egress_blocked", 1)


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
