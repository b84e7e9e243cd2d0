"""Translates aiohttp's exceptions: by type, phase and errno, never by message or status."""

from __future__ import annotations

import errno
import ssl

import aiohttp

from http_enrich_transport._errors import Sent, TransportErrorKind
from http_enrich_transport._messages import TransportResponse
from http_enrich_transport._redact import redact_url

from ._progress import Progress

Kind = TransportErrorKind

# Running out of these is our own fault, never the peer's.
_LOCAL_ERRNOS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}

# aiohttp hands on OpenSSL's SSL_ERROR_SSL as if it were an errno. After the handshake
# it is the alert of a TLS 1.3 peer that wants a client certificate.
_SSL_ALERT = int(ssl.SSLErrorNumber.SSL_ERROR_SSL)

# Most specific class first. None of them depends on what a message says.
_BY_TYPE: list[tuple[type[Exception], Kind, Sent]] = [
    (aiohttp.ClientConnectorDNSError, Kind.DNS, Sent.NOT_SENT),
    (aiohttp.ClientConnectorCertificateError, Kind.TLS_VERIFY, Sent.NOT_SENT),
    (aiohttp.ServerFingerprintMismatch, Kind.TLS_VERIFY, Sent.NOT_SENT),
    (ssl.SSLCertVerificationError, Kind.TLS_VERIFY, Sent.NOT_SENT),
    (aiohttp.ClientConnectorSSLError, Kind.TLS_HANDSHAKE, Sent.NOT_SENT),
    (aiohttp.ConnectionTimeoutError, Kind.CONNECT_TIMEOUT, Sent.NOT_SENT),
    (aiohttp.ClientConnectorError, Kind.CONNECT_ERROR, Sent.NOT_SENT),
    (aiohttp.ServerTimeoutError, Kind.READ_TIMEOUT, Sent.MAYBE_SENT),
    (aiohttp.ServerDisconnectedError, Kind.DISCONNECTED, Sent.MAYBE_SENT),
    (aiohttp.ClientPayloadError, Kind.BODY_INCOMPLETE, Sent.RESPONDED),
    (aiohttp.ClientOSError, Kind.RESET, Sent.MAYBE_SENT),
    (aiohttp.InvalidURL, Kind.INVALID_REQUEST, Sent.NOT_SENT),
    (aiohttp.NonHttpUrlClientError, Kind.INVALID_REQUEST, Sent.NOT_SENT),
    (aiohttp.RedirectClientError, Kind.INVALID_REQUEST, Sent.NOT_SENT),
    (aiohttp.ClientResponseError, Kind.PROTOCOL, Sent.RESPONDED),
    (aiohttp.ClientConnectionError, Kind.DISCONNECTED, Sent.MAYBE_SENT),
    (aiohttp.ClientError, Kind.DISCONNECTED, Sent.MAYBE_SENT),
    (TimeoutError, Kind.TOTAL_TIMEOUT, Sent.MAYBE_SENT),
    # Once connected, TLS speaks up when the peer wants a certificate that we have not.
    (ssl.SSLError, Kind.TLS_CLIENT_CERT, Sent.MAYBE_SENT),
    (OSError, Kind.RESET, Sent.MAYBE_SENT),
    # aiohttp refuses bad header values, methods and hosts with plain exceptions.
    (ValueError, Kind.INVALID_REQUEST, Sent.NOT_SENT),
    (TypeError, Kind.INVALID_REQUEST, Sent.NOT_SENT),
    (AssertionError, Kind.INVALID_REQUEST, Sent.NOT_SENT),
]


class BodyTooLargeError(Exception):
    """The body passed the cap."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than {limit} bytes")


def as_response(error: Exception, url: str, progress: Progress) -> TransportResponse:
    """Return the answer that says what *error* means for a request to *url* that got to *progress*."""
    kind, sent = _classify(error)
    if progress.sent is not Sent.MAYBE_SENT:
        sent = progress.sent  # known, where the exception can only be guessed at
    message = f"{describe(error)} ({redact_url(url)})"
    return TransportResponse.failed(kind, sent, message, status=progress.status)


def _classify(error: Exception) -> tuple[Kind, Sent]:
    if isinstance(error, BodyTooLargeError):
        return Kind.BODY_TOO_LARGE, Sent.RESPONDED
    number = getattr(error, "errno", None)
    connecting = isinstance(error, aiohttp.ClientConnectorError)
    if number in _LOCAL_ERRNOS:
        # While writing, some of the request may have left already.
        return Kind.LOCAL_RESOURCE, Sent.NOT_SENT if connecting else Sent.MAYBE_SENT
    if connecting and number == errno.ECONNREFUSED:
        return Kind.CONNECT_REFUSED, Sent.NOT_SENT
    if isinstance(error, aiohttp.ClientOSError) and not connecting and number == _SSL_ALERT:
        return Kind.TLS_CLIENT_CERT, Sent.MAYBE_SENT
    for known, kind, sent in _BY_TYPE:
        if isinstance(error, known):
            return kind, sent
    return Kind.ENGINE_ERROR, Sent.MAYBE_SENT


def describe(error: BaseException) -> str:
    """Say what *error* is without what it may quote: addresses, headers and bodies stay out."""
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {getattr(cause, 'verify_message', 'unknown reason')}"
    if isinstance(cause, ssl.SSLError):
        return f"{type(error).__name__}: {getattr(cause, 'reason', None) or 'TLS failed'}"
    if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
        return f"{type(error).__name__}: {errno.errorcode.get(cause.errno, cause.errno)}"
    return str(error) if isinstance(error, BodyTooLargeError) else type(error).__name__
