"""What goes into an engine and what comes out."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from multidict import CIMultiDict

from ._errors import Sent, TransportError, TransportErrorKind
from ._redact import redact_url


class TransportRequest(msgspec.Struct):
    """
    One HTTP request, ready for the wire.

    `url` is absolute and already percent-encoded; `timeout` (seconds) replaces
    the engine's `base_timeout` when given. The `repr` shows no header, no body
    and no query, so that it may be logged.
    """

    method: str
    url: str
    headers: dict[str, str] = {}
    body: bytes | None = None
    timeout: float | None = None

    def __repr__(self) -> str:
        return f"TransportRequest({self.method} {redact_url(self.url)})"


class TransportResponse(msgspec.Struct):
    """
    One HTTP answer, or the `error` for which there is none.

    The status stays known when only the body failed. Header names compare
    without regard to case.

    `queued` are the seconds that the request waited for a connection that was
    free, and `connected` those it took to open one (name look-up, TCP, TLS); 0
    where neither was needed, and `None` from an engine that does not know.
    """

    status: int | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=CIMultiDict)
    body: bytes = b""
    error: TransportError | None = None
    queued: float | None = None
    connected: float | None = None

    @classmethod
    def failed(
        cls, kind: TransportErrorKind, sent: Sent, message: str, *, status: int | None = None
    ) -> TransportResponse:
        """Return the answer that carries an error of *kind*."""
        return cls(status=status, error=TransportError(kind, sent, message))

    @property
    def sent(self) -> Sent:
        """How far the request got."""
        return self.error.sent if self.error else Sent.RESPONDED

    def __repr__(self) -> str:
        return f"TransportResponse(status={self.status}, error={self.error}, {len(self.body)} bytes)"


def header_map(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return *headers* as a mapping whose names compare without regard to case."""
    return CIMultiDict(headers)
