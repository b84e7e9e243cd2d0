"""Redirects and cookies: rows R1 to R4 and C1 of the fault matrix, as far as a transport answers them."""

from __future__ import annotations

import pytest

from http_enrich_transport import TransportRequest
from tests.support.faults import engine_for, outcome
from tests.support.names import resolving
from tests.support.peer import serving

SECRETS = {"Authorization": "Bearer canary", "X-Api-Key": "canary", "Cookie": "a=canary"}


def redirect(status: int, *lines: str) -> bytes:
    fields = "".join(f"{each}\r\n" for each in lines)
    return f"HTTP/1.1 {status} Moved\r\n{fields}Content-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_elsewhere_is_handed_back(method: str, status: int) -> None:
    """R2, R4: nobody at the new address hears of it."""
    async with (
        serving(b"") as other,
        serving(redirect(status, f"Location: {other.url}/x")) as server,
        engine_for(server.url) as engine,
    ):
        response = await engine.send(TransportRequest(method, server.url, SECRETS, body=b"canary"))

    assert outcome(response) == (None, "responded", status)
    assert response.headers["location"] == f"{other.url}/x"
    assert (server.requests, other.connections) == (1, 0)


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("/", id="R1-loop"),
        pytest.param("http://169.254.169.254/", id="R3-metadata"),
        pytest.param("file:///etc/passwd", id="R3-file"),
        pytest.param("http://u:p@127.0.0.1/", id="R3-credentials"),
        pytest.param("http://[", id="R3-bad-address"),
        pytest.param("", id="R3-empty"),
    ],
)
async def test_where_a_redirect_leads_does_not_matter(location: str) -> None:
    answer = redirect(302, f"Location: {location}")
    async with serving(answer) as server, engine_for(server.url) as engine:
        response = await engine.send(TransportRequest("GET", server.url))

    assert (outcome(response), server.requests) == ((None, "responded", 302), 1)


async def test_a_redirect_to_nowhere() -> None:
    """R3"""
    async with serving(redirect(302)) as server, engine_for(server.url) as engine:
        response = await engine.send(TransportRequest("GET", server.url))

    assert (outcome(response), server.requests) == ((None, "responded", 302), 1)


async def test_cookies_of_one_row_are_not_sent_with_the_next() -> None:
    """C1"""
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
    with resolving(api_test="127.0.0.1"):
        async with serving(answer) as server:
            url = server.url.replace("127.0.0.1", "api.test")
            async with engine_for(url) as engine:
                answers = [await engine.send(TransportRequest("GET", url)) for _ in range(3)]

    assert [each.status for each in answers] == [200] * 3
    assert (server.requests, b"cookie" in b"".join(server.heads).lower()) == (3, False)
