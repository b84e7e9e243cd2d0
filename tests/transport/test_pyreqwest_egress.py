"""Where the pyreqwest engine does not go."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from http_enrich_transport import TransportRequest
from tests.support.peer import OK, serving
from tests.support.rust import ask, outcome, rust

BLOCKED = ("egress_blocked", "not_sent", None)


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let our resolver find *addresses* for every name."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "0.0.0.0", "255.255.255.255", "224.0.0.1", "100.100.100.200", "10.0.0.1",
     "192.168.0.1", "[fd00:ec2::254]", "[::]", "[::1]", "[fe80::1]",
     "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]"],
)  # fmt: skip
async def test_addresses_off_limits(host: str) -> None:
    async with rust("http://api.test/") as engine:
        response = await engine.send(TransportRequest("GET", f"http://{host}:9/a?key=canary"))

    assert outcome(response) == BLOCKED
    assert "canary" not in repr(response)


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "0.0.0.0"])
async def test_some_are_off_limits_even_to_base_url(host: str) -> None:
    assert outcome(await ask(f"http://{host}:9/")) == BLOCKED


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "127.0.0.2"])
async def test_a_row_cannot_lead_to_a_private_address(host: str) -> None:
    async with serving(OK) as server, rust("http://api.test/") as engine:
        response = await engine.send(TransportRequest("GET", server.url.replace("127.0.0.1", host)))

    assert outcome(response) == BLOCKED
    assert server.connections == 0


@pytest.mark.parametrize("allow", [["127.0.0.0/8"], ["localhost"]])
async def test_what_egress_lists_is_allowed(allow: list[str]) -> None:
    async with serving(OK) as server, rust("http://api.test/", egress={"allow": allow}) as engine:
        host = "localhost" if allow == ["localhost"] else "127.0.0.1"
        response = await engine.send(TransportRequest("GET", server.url.replace("127.0.0.1", host)))

    assert (response.status, response.error) == (200, None)


async def test_the_host_that_base_url_names_may_be_private() -> None:
    async with serving(OK) as server:
        responses = [await ask(server.url.replace("127.0.0.1", each)) for each in ("127.0.0.1", "localhost")]

    assert [each.status for each in responses] == [200, 200]


@pytest.mark.parametrize("addresses", [("169.254.169.254",), ("93.184.215.14", "169.254.169.254")])
async def test_a_name_that_leads_to_a_metadata_service(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    """One bad address among good ones is enough: Rust chooses for itself."""
    resolving(monkeypatch, *addresses)

    assert outcome(await ask("http://api.test/")) == BLOCKED


async def test_a_proxy_looks_up_names_itself_so_they_have_to_be_named() -> None:
    async with (
        serving(OK) as proxy,
        rust("http://api.test/", proxy={"url": proxy.url}, egress={"allow": ["other.test"]}) as engine,
    ):
        responses = [
            await engine.send(TransportRequest("GET", f"http://{host}/"))
            for host in ("api.test", "other.test", "evil.test", "169.254.169.254", "10.0.0.1")
        ]

    assert [each.status for each in responses] == [200, 200, None, None, None]
    assert {outcome(each) for each in responses[2:]} == {BLOCKED}
    assert proxy.requests == 2


@pytest.mark.parametrize("option", ["base_timeout", "connect_timeout"])
async def test_a_lookup_that_hangs_ends_in_time(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    limit: dict[str, Any] = {option: 0.1}
    asked, done = threading.Event(), threading.Event()

    def hang(*_: object) -> list[Any]:
        asked.set()
        done.wait(5)
        raise socket.gaierror(socket.EAI_AGAIN, "late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        response = await ask("http://api.test/", **limit)
    finally:
        done.set()

    assert asked.is_set()
    assert outcome(response) == ("dns_timeout", "not_sent", None)
