"""The connection pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from ._progress import Progress, current

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest, ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


class Connector(aiohttp.TCPConnector):
    """
    aiohttp's pool, but it notes when it opens a connection, and gives out clean ones only.

    Both methods are private in aiohttp, which is why its version is capped.
    """

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        current.get(Progress()).connecting = True
        return await super()._create_connection(req, traces, timeout)

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        """
        Return an idle connection on which nothing has arrived since its last answer.

        Whatever a peer sent unasked would be taken for the answer to the next
        row, and every row after that would get its neighbour's.
        """
        while (connection := await super()._get(key, traces)) is not None:
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        return None
