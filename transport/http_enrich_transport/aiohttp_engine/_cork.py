"""Lets requests that become ready in one turn of the loop leave together at its end."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, cast

from aiohttp.client_proto import ResponseHandler


class Cork:
    """
    Holds back what is written until the loop has been through what was ready.

    A system call amid a row's Python throws out of the processor's caches what the next row needs, and
    wakes the peer for one request at a time. Together they save a fifth of the CPU of a request
    (`benchmarks/transport.py`); a request that is alone leaves with the next turn.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._held: list[tuple[asyncio.Transport, bytes]] = []

    def hold(self, transport: asyncio.Transport, data: bytes) -> None:
        """Write *data* to *transport* soon, after whatever is held already."""
        if not self._held:
            self._loop.call_soon(self._release)
        self._held.append((transport, data))

    def _release(self) -> None:
        held, self._held = self._held, []
        for transport, data in held:
            # One that has been given up meanwhile must not send what its row is told was not answered.
            if not transport.is_closing():
                try:
                    transport.write(data)
                except Exception:  # noqa: BLE001 - the others have to leave all the same
                    transport.abort()  # its row hears of the loss


class _CorkedTransport:
    """A transport whose writing is held back; all else is as it is."""

    def __init__(self, transport: asyncio.Transport, cork: Cork) -> None:
        self._transport = transport
        self.is_closing = transport.is_closing  # asked for each request
        self.write = partial(cork.hold, transport)

    def writelines(self, parts: list[bytes]) -> None:
        """Write *parts* in one piece."""
        self.write(b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class CorkedHandler(ResponseHandler):
    """aiohttp's end of a connection, behind a cork."""

    def __init__(self, loop: asyncio.AbstractEventLoop, cork: Cork) -> None:
        super().__init__(loop)
        self._cork = cork

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over a connection that has been opened."""
        corked = _CorkedTransport(cast(asyncio.Transport, transport), self._cork)
        super().connection_made(cast(asyncio.Transport, corked))
