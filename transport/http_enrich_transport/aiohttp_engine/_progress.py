"""Knows how far the request of the current task has got, which no exception of aiohttp says."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from aiohttp.client_reqrep import ClientRequest

from http_enrich_transport._errors import Sent, TransportErrorKind

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ClientResponse
    from aiohttp.connector import Connection


class Progress:
    """One attempt: whether it opened a connection, began to write, and which status came back."""

    __slots__ = ("connecting", "status", "writing")

    def __init__(self) -> None:
        self.connecting = False
        self.writing = False
        self.status: int | None = None

    @property
    def sent(self) -> Sent:
        """How far the request got, on the safe side."""
        if self.status is not None:
            return Sent.RESPONDED
        return Sent.MAYBE_SENT if self.writing else Sent.NOT_SENT

    @property
    def timeout_kind(self) -> TransportErrorKind:
        """What a deadline cut short."""
        if self.connecting and not self.writing:
            return TransportErrorKind.CONNECT_TIMEOUT
        return TransportErrorKind.TOTAL_TIMEOUT


current: ContextVar[Progress] = ContextVar("current")
"""The attempt that this task makes. A trace of aiohttp would tell as well, at a fifth of the CPU."""


class WatchedRequest(ClientRequest):
    """Notes when its first byte may leave."""

    async def send(self, conn: Connection) -> ClientResponse:
        """Write the request to *conn*."""
        current.get().writing = True
        return await super().send(conn)
