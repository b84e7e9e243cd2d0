"""Requests through an HTTP proxy."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from http_enrich_transport import TransportRequest
from tests.support.faults import Outcome, attempt, engine_for, outcome
from tests.support.names import resolving
from tests.support.peer import OK, closed_port, full_backlog, greeting, serving, silent
from tests.support.proxy import proxying
from tests.support.tls import Authority

LOGIN = {"username": "user", "password": "canary"}
BASIC = b"Proxy-Authorization: Basic " + base64.b64encode(b"user:canary")
URL = "http://api.test/a?b=c"


async def test_plain_http_hands_the_proxy_the_whole_address() -> None:
    async with proxying() as proxy:
        response = await attempt(URL, proxy={"url": proxy.url, **LOGIN})

    assert outcome(response) == (None, "responded", 200)
    (head,) = proxy.heads
    assert head.startswith(b"GET http://api.test/a?b=c HTTP/1.1\r\nHost: api.test\r\n")
    assert BASIC in head


async def test_https_goes_through_a_tunnel(tmp_path: Path) -> None:
    """The proxy sees the host, and nothing of the request; the peer nothing of our login."""
    authority = Authority(tmp_path)
    async with (
        serving(OK, tls=authority.server()) as server,
        proxying(target=server.url) as proxy,
        engine_for(server.url, tls={"ca_bundle": authority.pem}, proxy={"url": proxy.url, **LOGIN}) as engine,
    ):
        response = await engine.send(TransportRequest("GET", server.url + "/a", {"X-Api-Key": "mine"}))

    assert (outcome(response), server.requests, proxy.requests) == ((None, "responded", 200), 1, 1)
    assert proxy.heads[0].startswith(b"CONNECT 127.0.0.1:")
    assert BASIC in proxy.heads[0]
    assert b"mine" not in proxy.heads[0]
    assert b"Proxy-Authorization" not in server.heads[0]


@pytest.mark.parametrize("status", [403, 407, 502])
async def test_a_proxy_that_refuses_to_connect(status: int) -> None:
    answer = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()
    async with proxying(answer) as proxy:
        response = await attempt("https://api.test/", method="POST", proxy={"url": proxy.url})

    assert (outcome(response), proxy.requests) == (("connect_error", "not_sent", None), 1)
    assert response.error is not None
    assert response.error.message.startswith(f"the proxy answered {status} to CONNECT")


async def test_a_proxy_that_wants_a_login_for_plain_http_answers_the_request() -> None:
    answer = b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n"
    async with serving(answer) as proxy:
        response = await attempt(URL, proxy={"url": proxy.url})

    assert (outcome(response), proxy.requests) == ((None, "responded", 407), 1)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_not_there(scheme: str) -> None:
    """N1"""
    proxy = {"url": f"http://127.0.0.1:{closed_port()}"}
    response = await attempt(f"{scheme}://api.test/", method="POST", proxy=proxy)

    assert outcome(response) == ("connect_refused", "not_sent", None)


async def test_a_proxy_that_does_not_answer_the_first_packet() -> None:
    """N2"""
    async with full_backlog() as url:
        response = await attempt(URL, method="POST", proxy={"url": url}, connect_timeout=0.1)

    assert outcome(response) == ("connect_timeout", "not_sent", None)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", ("disconnected", "not_sent", None)),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", ("protocol", "not_sent", None)),
        (b"HTTP/1.1 200 Connected\r\n\r\nHTTP/1.1 400 What\r\n\r\n", ("tls_handshake", "not_sent", None)),
    ],
)
async def test_a_proxy_that_makes_a_mess_of_connecting(answer: bytes, expected: Outcome) -> None:
    async with proxying(answer, target="127.0.0.1:1") as proxy:
        response = await attempt("https://api.test/", method="POST", proxy={"url": proxy.url})

    assert (outcome(response), proxy.requests) == (expected, 1)


async def test_a_tunnel_in_which_nobody_speaks() -> None:
    """T3"""
    async with greeting(silent) as server, proxying(target=server.url) as proxy:
        response = await attempt(server.url, method="POST", proxy={"url": proxy.url}, connect_timeout=0.2)

    assert outcome(response) == ("connect_timeout", "not_sent", None)


async def test_a_certificate_that_proves_nothing_behind_a_proxy(tmp_path: Path) -> None:
    """T1"""
    server_context = Authority(tmp_path).server()
    async with serving(OK, tls=server_context) as server, proxying(target=server.url) as proxy:
        response = await attempt(server.url, method="POST", proxy={"url": proxy.url})

    assert (outcome(response), server.requests) == (("tls_verify", "not_sent", None), 0)


@pytest.mark.parametrize("host", ["data.test", "10.0.0.1", "169.254.169.254", "[fd00::1]"])
async def test_a_host_from_data_is_not_asked_of_the_proxy(host: str) -> None:
    """I8: we do not see where the proxy would go."""
    async with proxying() as proxy:
        response = await attempt(f"http://{host}/", base_url=URL, proxy={"url": proxy.url})

    assert (outcome(response), proxy.requests) == (("egress_blocked", "not_sent", None), 0)


async def test_a_host_on_the_allow_list_is_asked_of_the_proxy() -> None:
    async with proxying() as proxy:
        egress = {"allow": ["data.test"]}
        response = await attempt("http://data.test/", base_url=URL, proxy={"url": proxy.url}, egress=egress)

    assert (outcome(response), proxy.requests) == ((None, "responded", 200), 1)


async def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither its proxies nor the logins in ~/.netrc."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password canary\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with proxying() as proxy, serving(OK) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        response = await attempt(server.url)

    assert (outcome(response), server.requests, proxy.connections) == ((None, "responded", 200), 1, 0)
    assert b"uthorization" not in server.heads[0]


async def test_a_proxy_may_have_a_private_name() -> None:
    with resolving(proxy_test="127.0.0.1"):
        async with proxying() as proxy:
            response = await attempt(URL, proxy={"url": proxy.url.replace("127.0.0.1", "proxy.test")})

    assert (outcome(response), proxy.requests) == ((None, "responded", 200), 1)


async def test_a_login_is_never_shown() -> None:
    response = await attempt(URL, proxy={"url": f"http://127.0.0.1:{closed_port()}", **LOGIN})

    assert "canary" not in repr(response)
