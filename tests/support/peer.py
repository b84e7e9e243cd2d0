"""A raw-socket peer for the transport tests."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Tag: a\r\n\r\nhi"


class Server:
    """A raw-socket peer that counts connections and requests."""

    def __init__(self, answer: bytes | Peer) -> None:
        self.answer, self.connections, self.requests = answer, 0, 0
        self.heads: list[bytes] = []
        self.url = ""
        self._tasks: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """End every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connected()
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                self.heads.append(head)
                if not isinstance(self.answer, bytes):
                    await self.answer(reader, writer)
                    break
                writer.write(self.answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Act as soon as somebody connects, whatever they say."""
        self._connected()
        assert not isinstance(self.answer, bytes)
        try:
            await self.answer(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    def _connected(self) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def serving(
    answer: bytes | Peer, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    server = Server(answer)
    listener = await asyncio.start_server(server.serve, host, 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    server.url = f"{'https' if tls else 'http'}://{host}:{port}"
    try:
        yield server
    finally:
        listener.close()
        await server.close()


@asynccontextmanager
async def greeting(peer: Peer) -> AsyncIterator[Server]:
    """A peer that does not wait for a request; its address is for HTTPS."""
    server = Server(peer)
    listener = await asyncio.start_server(server.greet, "127.0.0.1", 0)
    server.url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        await server.close()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say no more."""


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Keep the connection open and say nothing."""
    await reader.read()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection with a RST."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def sending(*parts: bytes, then: Peer = hang_up) -> Peer:
    """Return a peer that sends each of *parts* by itself and ends with *then*."""

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)  # a segment of its own
        await then(reader, writer)

    return send


def repeating(head: bytes, part: bytes, *, pause: float = 0, times: int = 100_000) -> Peer:
    """Return a peer that sends *head*, and then *part* until nobody listens any more."""

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for _ in range(times):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return send


_CLOSED: list[socket.socket] = []


def closed_port() -> int:
    """Return a port on which nobody listens; it stays ours, lest someone else is given it meanwhile."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    _CLOSED.append(taken)
    port: int = taken.getsockname()[1]
    return port


@asynccontextmanager
async def full_backlog() -> AsyncIterator[str]:
    """A listening socket whose queue is full: a further connection gets no answer at all."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        try:
            yield f"http://127.0.0.1:{address[1]}/"
        finally:
            for filler in fillers:
                filler.close()
