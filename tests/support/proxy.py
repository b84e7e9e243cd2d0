"""An HTTP proxy on raw sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .peer import OK, Server, serving


class Proxy:
    """Answers plain requests itself, and CONNECT with *answer*; a 200 joins the client to *target*."""

    def __init__(self, answer: bytes, target: str) -> None:
        self._answer, self._target = answer, target

    async def act(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        if not head.startswith(b"CONNECT"):
            writer.write(OK)
            return
        writer.write(self._answer)
        if b" 200 " in self._answer:
            host, _, port = self._target.rpartition("/")[2].rpartition(":")
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
            try:
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
            finally:
                far_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def proxying(
    answer: bytes = b"HTTP/1.1 200 Connected\r\n\r\n", *, target: str = ""
) -> AsyncIterator[Server]:
    proxy = Proxy(answer, target)

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await proxy.act(reader, writer, server.heads[-1])

    async with serving(act) as server:
        yield server
