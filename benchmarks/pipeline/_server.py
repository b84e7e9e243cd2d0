"""
The server: answers at once, after a while, or seldom very late, and keeps a book of who asked when.

A process of its own on a core of its own. `/fast/…` is answered at once, `/slow/…` after `DELAY`,
and `/tail/…` too, but for every `TAIL_EVERY`th, which takes `TAIL_DELAY`.
"""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import subprocess
import sys
import urllib.request
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks._server import BODY, CORES

DELAY = 0.05
TAIL_DELAY = 2.0
TAIL_EVERY = 1000
"""One of so many requests is late."""

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_ANSWER = _HEAD % len(BODY) + BODY


class _Book:
    """What has come since somebody has last asked."""

    def __init__(self) -> None:
        self.connections = 0
        self.arrivals = array("d")
        self.held = 0.0
        self.last = 0.0

    def figures(self) -> dict[str, Any]:
        """Return the counts, and rows per second: over all, and between the first and the last tenth."""
        arrivals = self.arrivals
        count = len(arrivals)
        tenth = count // 10
        middle = count - 2 * tenth
        took = arrivals[-1 - tenth] - arrivals[tenth] if count else 0.0
        whole = self.last - arrivals[0] if count else 0.0
        return {
            "requests": count,
            "connections": self.connections - 1,  # one of them is that of who asks
            "held_ms": round(self.held / count * 1e3, 2) if count else 0.0,
            "steady_rps": round((middle - 1) / took, 1) if took else 0.0,
            "whole_rps": round(count / whole, 1) if whole else 0.0,
        }


class _Peer(asyncio.Protocol):
    book = _Book()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        _Peer.book.connections += 1

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for head in heads:
            if head.startswith(b"HEAD"):
                self._transport.write(_HEAD % 0)
            elif head.startswith(b"GET /figures"):
                figures = json.dumps(_Peer.book.figures()).encode()
                _Peer.book = _Book()
                self._transport.write(_HEAD % len(figures) + figures)
            else:
                self._take(head)

    def _take(self, head: bytes) -> None:
        book, now = _Peer.book, self._loop.time()
        book.arrivals.append(now)
        if head.startswith(b"GET /fast"):
            self._transport.write(_ANSWER)
            book.last = now
            return
        late = head.startswith(b"GET /tail") and len(book.arrivals) % TAIL_EVERY == 0
        self._loop.call_at(now + (TAIL_DELAY if late else DELAY), self._answer, book, now)

    def _answer(self, book: _Book, since: float) -> None:
        self._transport.write(_ANSWER)
        book.last = self._loop.time()
        book.held += book.last - since


def figures(url: str) -> dict[str, Any]:
    """Return the figures of the server at *url*, and let it begin anew."""
    with urllib.request.urlopen(f"{url}/figures") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


@contextmanager
def serving() -> Iterator[str]:
    """Serve in another process, and yield the address."""
    command = [sys.executable, "-m", "benchmarks.pipeline._server", str(CORES[-1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.communicate()  # it ends when its input does


async def _serve(core: int) -> None:
    os.sched_setaffinity(0, {core})
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Peer, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def _exact_loop() -> asyncio.AbstractEventLoop:
    """Return a loop whose timers are exact: epoll and uvloop round to milliseconds, 2 % of `DELAY`."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=_exact_loop) as runner:
        runner.run(_serve(int(sys.argv[1])))
