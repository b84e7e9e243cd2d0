"""What a pipeline says about TLS, proxies and HTTP/2, as pyreqwest's client does it."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from http_enrich_transport import TransportRequest
from http_enrich_transport._secret import SecretText
from tests.support.peer import OK, Peer, closed_port, greeting, sending, serving, silent
from tests.support.rust import ask, outcome, rust
from tests.support.tls import Authority, self_signed

FAILED = ("connect_error", "maybe_sent", None)
"""What pyreqwest says of every handshake that fails."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server_side(authority: Authority) -> ssl.SSLContext:
    """The context of a server at 127.0.0.1 that the authority vouches for."""
    return authority.server()


@pytest.fixture
def pem(authority: Authority) -> str:
    """The path of the authority's certificate."""
    return str(authority.path)


async def test_a_certificate_that_nobody_vouches_for_is_not_accepted(server_side: ssl.SSLContext) -> None:
    """Nothing was sent, but the exception does not say so."""
    async with serving(OK, tls=server_side) as server:
        response = await ask(server.url, method="POST", headers={"Authorization": "canary"}, body=b"canary")

    assert outcome(response) == FAILED
    assert server.requests == 0
    assert "canary" not in repr(response)


@pytest.mark.parametrize("form", ["path", "content"])
async def test_ca_bundle_is_trusted(authority: Authority, form: str) -> None:
    bundle = str(authority.path) if form == "path" else SecretText(authority.pem)

    async with serving(OK, tls=authority.server()) as server:
        response = await ask(server.url, tls={"ca_bundle": bundle})

    assert (response.status, response.error) == (200, None)


async def test_a_self_signed_certificate_cannot_vouch_for_itself(tmp_path: Path) -> None:
    """As `openssl req -x509` makes it: an authority's, which rustls takes for no server's."""
    async with serving(OK, tls=self_signed(tmp_path)) as server:
        response = await ask(server.url, tls={"ca_bundle": str(tmp_path / "server.pem")})

    assert outcome(response) == FAILED


async def test_a_certificate_for_another_name_is_not_accepted(server_side: ssl.SSLContext, pem: str) -> None:
    async with serving(OK, tls=server_side) as server:
        response = await ask(server.url.replace("127.0.0.1", "localhost"), tls={"ca_bundle": pem})

    assert outcome(response) == FAILED
    assert server.requests == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_verify_false_accepts_anyone(server_side: ssl.SSLContext, host: str) -> None:
    async with serving(OK, tls=server_side) as server:
        response = await ask(server.url.replace("127.0.0.1", host), tls={"verify": False})

    assert (response.status, response.error) == (200, None)


async def test_a_bundle_that_is_none_is_an_error_at_entry(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")

    with pytest.raises(ValueError, match=r"tls\.ca_bundle"):
        await rust(None, tls={"ca_bundle": str(empty)}).__aenter__()
    with pytest.raises(FileNotFoundError):
        await rust(None, tls={"ca_bundle": str(tmp_path / "no.pem")}).__aenter__()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_shows_its_certificate(authority: Authority, pem: str, version: ssl.TLSVersion) -> None:
    context, identity = authority.server(client_certs=True), str(authority.identity("127.0.0.2"))
    context.minimum_version = context.maximum_version = version

    async with serving(OK, tls=context) as server:
        known = await ask(server.url, tls={"ca_bundle": pem, "client_cert": identity})
        unknown = await ask(server.url, tls={"ca_bundle": pem})

    assert (known.status, known.error) == (200, None)
    assert outcome(unknown) == FAILED
    assert server.requests == 1


async def test_speaks_no_older_tls_than_min_version(server_side: ssl.SSLContext, pem: str) -> None:
    server_side.maximum_version = ssl.TLSVersion.TLSv1_2

    async with serving(OK, tls=server_side) as server:
        modern = await ask(server.url, tls={"ca_bundle": pem, "min_version": "1.3"})
        older = await ask(server.url, tls={"ca_bundle": pem, "min_version": "1.2"})

    assert outcome(modern) == FAILED
    assert older.status == 200


async def test_a_peer_that_speaks_no_tls() -> None:
    async with greeting(sending(b"HTTP/1.1 400 Bad Request\r\n\r\n", then=silent)) as server:
        response = await ask(server.url, method="POST")

    assert outcome(response) == FAILED


async def test_says_goodbye_over_tls(server_side: ssl.SSLContext, pem: str) -> None:
    """Without it (RFC 8446 §6.1) a peer cannot tell the end from an attack."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        told = asyncio.get_running_loop().run_in_executor(None, last_word, listener, server_side)
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        response = await ask(url, tls={"ca_bundle": pem})

        assert (response.status, await told) == (200, b"")


def last_word(listener: socket.socket, context: ssl.SSLContext) -> bytes:
    """Answer one request and return what came after; raises `SSLEOFError` if that is no goodbye."""
    accepted, _ = listener.accept()
    accepted.settimeout(5)
    with context.wrap_socket(accepted, server_side=True, suppress_ragged_eofs=False) as connection:
        connection.recv(65536)
        connection.sendall(OK)
        return connection.recv(1)


def tunnel(port: int) -> Peer:
    """Return a proxy that connects every CONNECT to *port*."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    return serve


LOGIN = {"username": SecretText("us er"), "password": SecretText("canary:1")}
BASIC = b"proxy-authorization: basic " + base64.b64encode(b"us er:canary:1").lower()


async def test_plain_requests_go_to_the_proxy_as_they_are() -> None:
    async with serving(OK) as proxy:
        response = await ask("http://api.test/a?b=1", proxy={"url": proxy.url, **LOGIN})

    assert response.status == 200
    assert proxy.heads[0].startswith(b"GET http://api.test/a?b=1 HTTP/1.1\r\n")
    assert BASIC in proxy.heads[0].lower()


async def test_tls_goes_through_the_proxy_by_connect(server_side: ssl.SSLContext, pem: str) -> None:
    async with serving(OK, tls=server_side) as server:
        port = int(server.url.rpartition(":")[2])
        async with serving(tunnel(port)) as proxy:
            response = await ask(server.url, proxy={"url": proxy.url, **LOGIN}, tls={"ca_bundle": pem})

    assert (response.status, proxy.requests, server.requests) == (200, 1, 1)
    assert proxy.heads[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % port)
    assert BASIC in proxy.heads[0].lower()
    assert b"proxy-authorization" not in server.heads[0].lower()


@pytest.mark.parametrize(
    "status", [b"407 Proxy Authentication Required", b"403 Forbidden", b"502 Bad Gateway"]
)
async def test_a_proxy_that_opens_no_tunnel(status: bytes) -> None:
    async with serving(sending(b"HTTP/1.1 " + status + b"\r\n\r\n")) as proxy:
        response = await ask("https://api.test/a?key=canary", proxy={"url": proxy.url, **LOGIN})

    assert outcome(response) == FAILED
    assert "canary" not in repr(response)
    assert proxy.requests == 1


async def test_a_proxy_that_is_not_there() -> None:
    url = f"http://127.0.0.1:{closed_port()}"

    assert outcome(await ask("http://api.test/", proxy={"url": url})) == FAILED


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    async with serving(OK) as proxy, serving(OK) as server:
        monkeypatch.setenv(variable, proxy.url)
        response = await ask(server.url)

    assert (response.status, proxy.connections, server.requests) == (200, 0, 1)


async def test_http2_is_not_offered_unless_asked_for(server_side: ssl.SSLContext, pem: str) -> None:
    server_side.set_alpn_protocols(["h2", "http/1.1"])

    async with serving(OK, tls=server_side) as server:
        response = await ask(server.url, tls={"ca_bundle": pem})

    assert (response.status, response.error) == (200, None)


@pytest.mark.parametrize("protocols", [["http/1.1"], []])
async def test_http2_is_no_condition(server_side: ssl.SSLContext, pem: str, protocols: list[str]) -> None:
    server_side.set_alpn_protocols(protocols)

    async with serving(OK, tls=server_side) as server:
        response = await ask(server.url, http2=True, tls={"ca_bundle": pem})

    assert (response.status, response.error) == (200, None)


async def test_http2_is_offered_if_asked_for(server_side: ssl.SSLContext, pem: str) -> None:
    """The peer chooses it and then speaks something else, which ends there."""
    server_side.set_alpn_protocols(["h2", "http/1.1"])

    async with serving(OK, tls=server_side) as server:
        response = await ask(server.url, http2=True, tls={"ca_bundle": pem})

    assert outcome(response) == FAILED
    assert server.heads[0].startswith(b"PRI * HTTP/2.0\r\n")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has that limit")
async def test_connecting_may_take_longer_than_the_library_allows_by_default() -> None:
    """It ends a connection, or an attempt at one, after 30 s in which nobody answers its packets."""
    async with serving(OK) as server, rust(server.url) as engine:
        await engine.send(TransportRequest("GET", server.url))
        limits = [
            each.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) for each in sockets_to(server.url)
        ]

    assert limits == [0]


def sockets_to(url: str) -> Iterator[socket.socket]:
    """Yield what this process has open to the peer at *url*."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if entry.readlink().name.startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry.name))) as each:
                    if each.family == socket.AF_INET and each.getpeername()[1] == urlsplit(url).port:
                        yield each
