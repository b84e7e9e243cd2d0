"""Translates aiohttp's exceptions: by type, phase and errno, never by message or status."""

from __future__ import annotations

import errno
import ssl

import aiohttp

from http_enrich_transport._errors import Sent, TransportErrorKind
from http_enrich_transport._messages import TransportResponse
from http_enrich_transport._redact import redact_url

Kind = TransportErrorKind

# Running out of these is our own fault, never the peer's.
_LOCAL_ERRNOS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}

# Most specific class first. None of them depends on what a message says.
_BY_TYPE: list[tuple[type[Exception], Kind, Sent]] = [
    (aiohttp.ClientConnectorDNSError, Kind.DNS, Sent.NOT_SENT),
    (aiohttp.ClientConnectorCertificateError, Kind.TLS_VERIFY, Sent.NOT_SENT),
    (aiohttp.ClientConnectorSSLError, Kind.TLS_HANDSHAKE, Sent.NOT_SENT),
    (aiohttp.ConnectionTimeoutError, Kind.CONNECT_TIMEOUT, Sent.NOT_SENT),
    (aiohttp.ClientConnectorError, Kind.CONNECT_ERROR, Sent.NOT_SENT),
    (aiohttp.SocketTimeoutError, Kind.READ_TIMEOUT, Sent.MAYBE_SENT),
    (aiohttp.ServerDisconnectedError, Kind.DISCONNECTED, Sent.MAYBE_SENT),
    (aiohttp.ClientPayloadError, Kind.BODY_INCOMPLETE, Sent.RESPONDED),
    (aiohttp.ClientOSError, Kind.RESET, Sent.MAYBE_SENT),
    (aiohttp.InvalidURL, Kind.INVALID_REQUEST, Sent.NOT_SENT),
    (aiohttp.NonHttpUrlClientError, Kind.INVALID_REQUEST, Sent.NOT_SENT),
    (aiohttp.ClientResponseError, Kind.PROTOCOL, Sent.RESPONDED),
    (aiohttp.ClientConnectionError, Kind.DISCONNECTED, Sent.MAYBE_SENT),
    # aiohttp refuses bad header values, methods and hosts with plain exceptions.
    (ValueError, Kind.INVALID_REQUEST, Sent.NOT_SENT),
    (TypeError, Kind.INVALID_REQUEST, Sent.NOT_SENT),
    (AssertionError, Kind.INVALID_REQUEST, Sent.NOT_SENT),
    (ConnectionError, Kind.RESET, Sent.MAYBE_SENT),
]


class BodyTooLargeError(Exception):
    """The body passed the cap."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than {limit} bytes")


def as_response(error: Exception, url: str, status: int | None) -> TransportResponse:
    """Return the answer that says what *error* means for the request to *url*."""
    kind, sent = _classify(error)
    if status is not None:
        sent = Sent.RESPONDED
    message = f"{describe(error)} ({redact_url(url)})"
    return TransportResponse.failed(kind, sent, message, status=status)


def _classify(error: Exception) -> tuple[Kind, Sent]:
    if isinstance(error, BodyTooLargeError):
        return Kind.BODY_TOO_LARGE, Sent.RESPONDED
    number = getattr(error, "errno", None)
    if number in _LOCAL_ERRNOS:
        return Kind.LOCAL_RESOURCE, Sent.NOT_SENT
    if isinstance(error, aiohttp.ClientConnectorError) and number == errno.ECONNREFUSED:
        return Kind.CONNECT_REFUSED, Sent.NOT_SENT
    for known, kind, sent in _BY_TYPE:
        if isinstance(error, known):
            return kind, sent
    return Kind.ENGINE_ERROR, Sent.MAYBE_SENT


def describe(error: BaseException) -> str:
    """Say what *error* is without what it may quote: addresses, headers and bodies stay out."""
    cause = getattr(error, "os_error", None) or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {cause.verify_message}"
    if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
        return f"{type(error).__name__}: {errno.errorcode.get(cause.errno, cause.errno)}"
    if isinstance(error, BodyTooLargeError):
        return str(error)
    return type(error).__name__
