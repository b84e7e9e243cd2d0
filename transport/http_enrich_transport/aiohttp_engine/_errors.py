"""Translates aiohttp's exceptions: by type, phase and errno, never by message or status."""

from __future__ import annotations

import errno
import socket
import ssl

import aiohttp
from aiohttp.http_exceptions import LineTooLong

from http_enrich_transport._deadlines import Attempt
from http_enrich_transport._errors import BodyError, Sent, TransportErrorKind, TypeTable, by_type
from http_enrich_transport._messages import TransportResponse
from http_enrich_transport._redact import redact_url
from http_enrich_transport.network._egress import EgressBlockedError

Kind = TransportErrorKind

# Running out of these is our own fault, never the peer's. The last two come from getaddrinfo.
_LOCAL_ERRNOS = {
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.EADDRNOTAVAIL,
    socket.EAI_MEMORY,
    socket.EAI_SYSTEM,
}

# aiohttp hands on OpenSSL's SSL_ERROR_SSL as if it were an errno. After the handshake
# it is the alert of a TLS 1.3 peer that wants a client certificate.
_SSL_ALERT = int(ssl.SSLErrorNumber.SSL_ERROR_SSL)

# What OpenSSL calls errors, without the version of TLS that stands before an alert.
_VERSION_REASONS = {
    "PROTOCOL_VERSION",
    "UNSUPPORTED_PROTOCOL",
    "NO_PROTOCOLS_AVAILABLE",
    "VERSION_TOO_LOW",
    "WRONG_SSL_VERSION",
    "UNKNOWN_PROTOCOL",
}
_IDENTITY_REASONS = {
    "CERTIFICATE_REQUIRED",
    "BAD_CERTIFICATE",
    "UNSUPPORTED_CERTIFICATE",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_UNKNOWN",
    "UNKNOWN_CA",
    "ACCESS_DENIED",
}

# Most specific class first. None of them depends on what a message says.
_BY_TYPE: TypeTable = [
    (aiohttp.ClientConnectorDNSError, Kind.DNS, Sent.NOT_SENT),
    (aiohttp.ClientConnectorCertificateError, Kind.TLS_VERIFY, Sent.NOT_SENT),
    (aiohttp.ServerFingerprintMismatch, Kind.TLS_VERIFY, Sent.NOT_SENT),
    (ssl.SSLCertVerificationError, Kind.TLS_VERIFY, Sent.NOT_SENT),
    (aiohttp.ClientConnectorSSLError, Kind.TLS_HANDSHAKE, Sent.NOT_SENT),
    (aiohttp.ConnectionTimeoutError, Kind.CONNECT_TIMEOUT, Sent.NOT_SENT),
    (aiohttp.ClientConnectorError, Kind.CONNECT_ERROR, Sent.NOT_SENT),
    (aiohttp.ClientHttpProxyError, Kind.CONNECT_ERROR, Sent.NOT_SENT),
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
    # aiohttp refuses bad header values, methods and hosts with plain exceptions, mostly before it writes.
    (ValueError, Kind.INVALID_REQUEST, Sent.MAYBE_SENT),
    (TypeError, Kind.INVALID_REQUEST, Sent.MAYBE_SENT),
    (AssertionError, Kind.INVALID_REQUEST, Sent.MAYBE_SENT),
]


def as_response(error: Exception, url: str, attempt: Attempt) -> TransportResponse:
    """Return the answer that says what *error* means for a request to *url* that got as far as *attempt*."""
    kind, sent = _classify(error)
    if attempt.sent is not Sent.MAYBE_SENT:
        sent = attempt.sent  # known, where the exception can only be guessed at
    message = f"{describe(error)} ({redact_url(url)})"
    return attempt.failed(kind, message, sent)


def _classify(error: Exception) -> tuple[Kind, Sent]:
    if isinstance(error, BodyError):
        return error.kind, Sent.RESPONDED
    kind = _by_number(error) if isinstance(error, OSError) else None
    if kind is not None:
        # While writing, some of the request may have left already.
        connecting = isinstance(error, aiohttp.ClientConnectorError)
        return kind, Sent.NOT_SENT if connecting else Sent.MAYBE_SENT
    if error.__cause__ is not None and isinstance(error.__cause__.__cause__, LineTooLong):
        return Kind.HEADER_TOO_LARGE, Sent.RESPONDED
    return by_type(error, _BY_TYPE)


def _by_number(error: OSError) -> Kind | None:
    """Return what the system or OpenSSL says about *error*, if that is more than its type says."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return _connect_kind(getattr(error, "os_error", error))
    if error.errno in _LOCAL_ERRNOS:
        return Kind.LOCAL_RESOURCE
    alert = isinstance(error, aiohttp.ClientOSError) and error.errno == _SSL_ALERT
    return Kind.TLS_CLIENT_CERT if alert else None


def _connect_kind(cause: OSError) -> Kind | None:
    """Return what *cause* says about a connection that did not come up, if it says more than its type."""
    if isinstance(cause, EgressBlockedError):
        return Kind.EGRESS_BLOCKED
    if cause.errno in _LOCAL_ERRNOS:
        return Kind.LOCAL_RESOURCE
    if cause.errno == errno.ECONNREFUSED:
        return Kind.CONNECT_REFUSED
    if isinstance(cause, ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
        # The address had taken the connection, so this is the end of a handshake.
        return Kind.TLS_HANDSHAKE
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLCertVerificationError):
        return _tls_kind(getattr(cause, "reason", None) or "")
    return None


def _tls_kind(reason: str) -> Kind:
    name = reason.rpartition("ALERT_")[2]
    if name in _VERSION_REASONS:
        return Kind.TLS_PROTOCOL
    return Kind.TLS_CLIENT_CERT if name in _IDENTITY_REASONS else Kind.TLS_HANDSHAKE


def describe(error: BaseException) -> str:
    """Say what *error* is without what it may quote: addresses, headers and bodies stay out."""
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {getattr(cause, 'verify_message', 'unknown reason')}"
    if isinstance(cause, ssl.SSLError):
        return f"{type(error).__name__}: {getattr(cause, 'reason', None) or 'TLS failed'}"
    if isinstance(cause, EgressBlockedError):
        return str(cause.strerror)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {getattr(error, 'status', 'no')} to CONNECT"
    if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
        return f"{type(error).__name__}: {errno.errorcode.get(cause.errno, cause.errno)}"
    return str(error) if isinstance(error, BodyError) else type(error).__name__
