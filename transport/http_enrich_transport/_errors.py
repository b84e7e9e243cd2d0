"""
What can go wrong between us and the peer, as values.

An error has a *kind*, and says how far the request got (`Sent`), which is what
a retry has to know: what was never sent may be sent again whatever its method.

    not sent     invalid_request  egress_blocked  local_resource
                 dns  dns_timeout
                 connect_refused  connect_timeout  connect_error
                 tls_verify  tls_protocol  tls_handshake
    maybe sent   tls_client_cert  read_timeout
                 disconnected  reset
    responded    body_incomplete  body_too_large  content_encoding
                 protocol  header_too_large
    any of them  total_timeout  engine_error

An engine that knows less about a failure says maybe sent.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Sent(StrEnum):
    """How far a request got."""

    NOT_SENT = "not_sent"
    MAYBE_SENT = "maybe_sent"
    RESPONDED = "responded"


class TransportErrorKind(StrEnum):
    """Every way in which an attempt can fail below the HTTP status."""

    INVALID_REQUEST = "invalid_request"
    EGRESS_BLOCKED = "egress_blocked"
    LOCAL_RESOURCE = "local_resource"
    DNS = "dns"
    DNS_TIMEOUT = "dns_timeout"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    CONNECT_ERROR = "connect_error"
    TLS_VERIFY = "tls_verify"
    TLS_PROTOCOL = "tls_protocol"
    TLS_HANDSHAKE = "tls_handshake"
    TLS_CLIENT_CERT = "tls_client_cert"
    READ_TIMEOUT = "read_timeout"
    TOTAL_TIMEOUT = "total_timeout"
    DISCONNECTED = "disconnected"
    RESET = "reset"
    BODY_INCOMPLETE = "body_incomplete"
    BODY_TOO_LARGE = "body_too_large"
    CONTENT_ENCODING = "content_encoding"
    PROTOCOL = "protocol"
    HEADER_TOO_LARGE = "header_too_large"
    ENGINE_ERROR = "engine_error"


RETRYABLE_KINDS = frozenset(TransportErrorKind) - {
    # The same request would meet the same answer.
    TransportErrorKind.INVALID_REQUEST,
    TransportErrorKind.EGRESS_BLOCKED,
    TransportErrorKind.TLS_VERIFY,
    TransportErrorKind.TLS_PROTOCOL,
    TransportErrorKind.TLS_CLIENT_CERT,
    TransportErrorKind.BODY_TOO_LARGE,
    TransportErrorKind.CONTENT_ENCODING,
    TransportErrorKind.PROTOCOL,
    TransportErrorKind.HEADER_TOO_LARGE,
    TransportErrorKind.ENGINE_ERROR,
}
"""Kinds that another attempt may cure."""


class TransportError(msgspec.Struct, frozen=True):
    """Why an attempt has no usable answer; the message is fit for logs and tables."""

    kind: TransportErrorKind
    sent: Sent
    message: str


TypeTable = list[tuple[type[Exception], TransportErrorKind, Sent]]
"""What exceptions of a library mean, most specific class first."""


def by_type(error: Exception, table: TypeTable) -> tuple[TransportErrorKind, Sent]:
    """Return what *table* says of *error*; an engine error if it is not in there."""
    for known, kind, sent in table:
        if isinstance(error, known):
            return kind, sent
    return TransportErrorKind.ENGINE_ERROR, Sent.MAYBE_SENT


class BodyError(Exception):
    """The body is of no use; *kind* says why."""

    def __init__(self, kind: TransportErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def too_large(limit: int) -> BodyError:
    """Return the error for a body beyond *limit* bytes."""
    return BodyError(TransportErrorKind.BODY_TOO_LARGE, f"the body is larger than {limit} bytes")
