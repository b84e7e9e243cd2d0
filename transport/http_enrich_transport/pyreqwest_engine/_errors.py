"""
Translates pyreqwest's exceptions, by type.

Their types say less than aiohttp's: a refused connection, a certificate that
is not accepted and a peer that hangs up after the request are one and the same
`ConnectError`. What tells them apart is text, which is not for programs. So the
kind is a broad one, and the request counts as maybe sent.
"""

from __future__ import annotations

from pyreqwest import exceptions

from http_enrich_transport._deadlines import TICK_SECONDS, Attempt, Phase
from http_enrich_transport._errors import BodyError, Sent, TransportErrorKind, TypeTable, by_type
from http_enrich_transport._messages import TransportResponse
from http_enrich_transport._redact import redact_url
from http_enrich_transport.network._egress import EgressBlockedError
from http_enrich_transport.network._gate import LookupFailedError

Kind = TransportErrorKind

# Most specific class first; timeouts are told apart by the clock.
_BY_TYPE: TypeTable = [
    (exceptions.BodyDecodeError, Kind.BODY_INCOMPLETE, Sent.RESPONDED),
    (exceptions.ReadError, Kind.BODY_INCOMPLETE, Sent.RESPONDED),
    (exceptions.DecodeError, Kind.PROTOCOL, Sent.RESPONDED),
    (exceptions.StatusError, Kind.PROTOCOL, Sent.RESPONDED),
    (exceptions.RedirectError, Kind.PROTOCOL, Sent.RESPONDED),
    (exceptions.BuilderError, Kind.INVALID_REQUEST, Sent.NOT_SENT),
    (exceptions.ConnectError, Kind.CONNECT_ERROR, Sent.MAYBE_SENT),
    (exceptions.ClientClosedError, Kind.ENGINE_ERROR, Sent.MAYBE_SENT),
    (exceptions.RequestPanicError, Kind.ENGINE_ERROR, Sent.MAYBE_SENT),
    (exceptions.PyreqwestError, Kind.DISCONNECTED, Sent.MAYBE_SENT),
    # It refuses methods, addresses and header values with a plain one.
    (ValueError, Kind.INVALID_REQUEST, Sent.NOT_SENT),
]


def as_response(
    error: Exception, url: str, attempt: Attempt, now: float, read_timeout: float | None
) -> TransportResponse:
    """Return the answer that says what *error* means; *now* is the time of the loop's clock."""
    if isinstance(error, exceptions.RequestTimeoutError):
        if now >= attempt.ends_at - TICK_SECONDS:
            return attempt.interrupted()
        kind, sent = _timeout(error, attempt, now, read_timeout)
    else:
        kind, sent = _classify(error)
    if attempt.status is not None:
        sent = Sent.RESPONDED
        kind = Kind.BODY_INCOMPLETE if kind in (Kind.DISCONNECTED, Kind.CONNECT_ERROR) else kind
    message = f"{describe(error)} ({redact_url(url)})"
    return attempt.failed(kind, message, sent)


def _timeout(error: Exception, attempt: Attempt, now: float, read_timeout: float | None) -> tuple[Kind, Sent]:
    """Tell the timeouts apart; pyreqwest calls all of them a connect timeout until the answer begins."""
    if attempt.phase is Phase.READING or not isinstance(error, exceptions.ConnectTimeoutError):
        return Kind.READ_TIMEOUT, Sent.MAYBE_SENT
    if read_timeout is not None and now >= attempt.started + read_timeout - TICK_SECONDS:
        return Kind.READ_TIMEOUT, Sent.MAYBE_SENT
    return Kind.CONNECT_TIMEOUT, Sent.NOT_SENT


def _classify(error: Exception) -> tuple[Kind, Sent]:
    if isinstance(error, BodyError):
        return error.kind, Sent.RESPONDED
    if isinstance(error, EgressBlockedError):
        return Kind.EGRESS_BLOCKED, Sent.NOT_SENT
    if isinstance(error, LookupFailedError):
        return error.kind, Sent.NOT_SENT
    return by_type(error, _BY_TYPE)


def describe(error: BaseException) -> str:
    """Say what *error* is without what it may quote: addresses, headers and bodies stay out."""
    if isinstance(error, EgressBlockedError):
        return str(error.strerror)
    own = isinstance(error, BodyError | LookupFailedError)
    return str(error) if own else type(error).__name__
