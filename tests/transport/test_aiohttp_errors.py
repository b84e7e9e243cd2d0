"""What aiohttp's exceptions mean for a request."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from http_enrich_transport import (
    AiohttpEngineConfig,
    Sent,
    TransportError,
    TransportErrorKind,
    TransportRuntimeFactory,
)
from http_enrich_transport._deadlines import Attempt, Phase
from http_enrich_transport.aiohttp_engine._errors import as_response
from tests.support.chain import row, send_over_http
from tests.support.tls import self_signed, serving_tls

KEY = ConnectionKey("peer", 80, False, True, None, None, None)


def under_way(status: int | None = None) -> Attempt:
    """An attempt that has begun to write, after which only the exception can tell more."""
    attempt = Attempt(seconds=1)
    attempt.phase, attempt.status = Phase.WRITING, status
    return attempt


def bare(kind: type[Exception]) -> Exception:
    """Return an exception of which nothing is known but its type."""
    error = kind.__new__(kind)
    if isinstance(error, ssl.SSLCertVerificationError):
        error.verify_message = "not trusted"  # OpenSSL sets this
    return error


def classified(error: Exception, status: int | None = None) -> TransportError:
    response = as_response(error, "http://user:canary@peer/a?key=canary", under_way(status))
    assert response.error is not None
    assert response.status == status
    return response.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (aiohttp.ClientConnectorDNSError, "dns"),
        (aiohttp.ClientConnectorCertificateError, "tls_verify"),
        (aiohttp.ClientConnectorSSLError, "tls_handshake"),
        (aiohttp.ConnectionTimeoutError, "connect_timeout"),
        (aiohttp.ClientConnectorError, "connect_error"),
        (aiohttp.ClientProxyConnectionError, "connect_error"),
        (aiohttp.ClientHttpProxyError, "connect_error"),
        (aiohttp.InvalidURL, "invalid_request"),
        (aiohttp.InvalidUrlClientError, "invalid_request"),
        (aiohttp.InvalidUrlRedirectClientError, "invalid_request"),
        (aiohttp.NonHttpUrlClientError, "invalid_request"),
        (aiohttp.NonHttpUrlRedirectClientError, "invalid_request"),
    ],
)
def test_before_a_connection_is_used_nothing_was_sent(error: type[Exception], kind: str) -> None:
    found = classified(bare(error))

    assert (found.kind, found.sent) == (kind, Sent.NOT_SENT)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (aiohttp.SocketTimeoutError, "read_timeout"),
        (aiohttp.ServerDisconnectedError, "disconnected"),
        (aiohttp.ServerConnectionError, "disconnected"),
        (aiohttp.ClientConnectionError, "disconnected"),
        (aiohttp.ClientConnectionResetError, "disconnected"),
        (aiohttp.ClientOSError, "reset"),
        (ConnectionResetError, "reset"),
        (BrokenPipeError, "reset"),
        (RuntimeError, "engine_error"),
    ],
)
def test_on_an_open_connection_the_request_may_have_arrived(error: type[Exception], kind: str) -> None:
    found = classified(bare(error))

    assert (found.kind, found.sent) == (kind, Sent.MAYBE_SENT)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (aiohttp.ClientPayloadError, "body_incomplete"),
        (aiohttp.ClientResponseError, "protocol"),
        (aiohttp.ContentTypeError, "protocol"),
        (aiohttp.TooManyRedirects, "protocol"),
        (aiohttp.WSServerHandshakeError, "protocol"),
    ],
)
def test_a_broken_answer_is_an_answer(error: type[Exception], kind: str) -> None:
    found = classified(bare(error))

    assert (found.kind, found.sent) == (kind, Sent.RESPONDED)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ECONNREFUSED, "connect_refused"),
        (errno.EHOSTUNREACH, "connect_error"),
        (errno.ENETUNREACH, "connect_error"),
        (errno.EMFILE, "local_resource"),
        (errno.ENFILE, "local_resource"),
        (errno.ENOMEM, "local_resource"),
        (errno.EADDRNOTAVAIL, "local_resource"),
    ],
)
def test_failed_connections_are_told_apart_by_number(number: int, kind: str) -> None:
    found = classified(aiohttp.ClientConnectorError(KEY, OSError(number, os.strerror(number))))

    assert (found.kind, found.sent) == (kind, Sent.NOT_SENT)
    assert errno.errorcode[number] in found.message


def test_aiohttps_own_status_of_a_malformed_answer_is_not_believed() -> None:
    """It says 400 for every answer that it cannot read."""
    info = aiohttp.RequestInfo(URL("http://peer/"), "GET", None, URL("http://peer/"))  # type: ignore[arg-type]

    response = as_response(aiohttp.ClientResponseError(info, (), status=400), "http://peer/", under_way())

    assert response.status is None


@pytest.mark.parametrize("error", [aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, RuntimeError])
def test_once_a_status_came_the_peer_has_responded(error: type[Exception]) -> None:
    assert classified(bare(error), status=200).sent is Sent.RESPONDED


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.InvalidURL("http://canary/", "canary"),
        aiohttp.ClientPayloadError("canary"),
        aiohttp.ClientOSError(errno.ECONNRESET, "canary"),
        aiohttp.ServerDisconnectedError("canary"),
        aiohttp.ClientConnectorError(KEY, OSError(errno.EHOSTUNREACH, "canary")),
        ValueError("header value 'canary'"),
        RuntimeError("canary"),
        UnicodeEncodeError("ascii", "canary", 0, 1, "canary"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_messages_name_the_error_and_quote_nothing(error: Exception) -> None:
    message = classified(error).message

    assert message.startswith(type(error).__name__)
    assert message.endswith("(http://peer/a?***)")
    assert "canary" not in message


async def test_a_certificate_that_nobody_vouches_for_is_not_accepted(tmp_path: Path) -> None:
    async with serving_tls(self_signed(tmp_path)) as server:
        exchange = await send_over_http([], row("POST", server.url, Authorization="canary"))

    assert exchange.response is not None
    assert (exchange.error_kind, exchange.response.sent) == ("tls_verify", Sent.NOT_SENT)
    assert exchange.error_message == f"certificate not accepted: self-signed certificate ({server.url})"
    assert server.count == 0


async def test_a_warm_up_says_why_the_certificate_was_not_accepted(tmp_path: Path) -> None:
    async with serving_tls(self_signed(tmp_path)) as server:
        factory = TransportRuntimeFactory(AiohttpEngineConfig(), base_url=server.url)
        async with factory.create() as engine:
            report = await engine.warmed_up()

    assert (report.warmed_up, report.connections) == (False, 0)
    assert report.error == "certificate not accepted: self-signed certificate"


async def test_a_peer_that_speaks_no_tls() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        exchange = await send_over_http([], row("POST", f"https://127.0.0.1:{port}/"))

    assert exchange.response is not None
    assert (exchange.error_kind, exchange.response.sent) == ("tls_handshake", Sent.NOT_SENT)


@pytest.mark.parametrize("error", [ValueError, TypeError, AssertionError])
def test_a_plain_exception_while_writing_may_have_been_sent(error: type[Exception]) -> None:
    found = classified(error())

    assert (found.kind, found.sent) == ("invalid_request", Sent.MAYBE_SENT)


def descendants(kind: type[Exception]) -> list[type[Exception]]:
    """Return *kind* and what derives from it, in the same order in each process that runs tests."""
    found = {kind}.union(*(descendants(each) for each in kind.__subclasses__()))
    return sorted(found, key=lambda each: (each.__name__, each.__module__))


@pytest.mark.parametrize(
    "kind",
    [*descendants(aiohttp.ClientError), TimeoutError, *descendants(ssl.SSLError)],
    ids=lambda kind: str(kind.__name__),
)
def test_no_class_of_aiohttp_is_forgotten(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    if isinstance(error, ssl.SSLCertVerificationError):
        error.verify_message = "not trusted"

    response = as_response(error, "http://peer/", under_way())

    assert response.error is not None
    assert response.error.kind is not TransportErrorKind.ENGINE_ERROR
    if isinstance(error, ssl.SSLCertVerificationError):
        assert response.error.kind is TransportErrorKind.TLS_VERIFY
