"""A TLS server that notes how each of its connections ended."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.tls import self_signed

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
HOLD = b"/hold"


class Endings:
    """
    Answers every request, but for those to /hold…; never closes a connection by itself.

    After `admits` handshakes it leaves further ones without an answer.
    """

    def __init__(self, folder: Path) -> None:
        self._context = self_signed(folder)
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.certificate = folder / "server.pem"
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.admits = sys.maxsize
        self._waiting: list[socket.socket] = []
        self.opened = self.answered = self.held = 0
        self.ended: Counter[str] = Counter()
        """`close_notify`, `ragged` (the connection just ended) or `reset`, and how often."""

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until *condition*, which is about the counters, has come true."""
        with self._changed:
            return self._changed.wait_for(condition, seconds)

    def all_ended(self, seconds: float) -> bool:
        """Wait until there is no connection any more."""
        return self.wait(lambda: self.ended.total() == self.opened, seconds)

    def accept(self) -> None:
        """Serve until the listener is closed."""
        with suppress(OSError):
            while True:
                raw, _ = self._listener.accept()
                if self.admits <= 0:
                    self._waiting.append(raw)
                    continue
                self.admits -= 1
                threading.Thread(target=self._serve, args=[raw], daemon=True).start()

    def close(self) -> None:
        """Take no further connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
        for each in [self._listener, *self._waiting]:
            each.close()

    def _serve(self, raw: socket.socket) -> None:
        with suppress(OSError):  # a handshake that did not finish is no connection
            tls = self._context.wrap_socket(raw, server_side=True, suppress_ragged_eofs=False)
            self._count("opened")
            with tls:
                end = self._answer(tls)
                self._count(end)
                if end == "close_notify":
                    tls.unwrap()

    def _answer(self, tls: ssl.SSLSocket) -> str:
        try:
            while request := tls.recv(65536):
                held = HOLD in request
                self._count("held" if held else "answered")
                if not held:
                    tls.sendall(ANSWER)
        except ssl.SSLEOFError:
            return "ragged"
        except ConnectionError:
            return "reset"
        return "close_notify"

    def _count(self, what: str) -> None:
        with self._changed:
            if hasattr(self, what):
                setattr(self, what, getattr(self, what) + 1)
            else:
                self.ended[what] += 1
            self._changed.notify_all()


@contextmanager
def endings(folder: Path) -> Iterator[Endings]:
    """Serve on a free loopback port; the certificate lies in *folder*."""
    server = Endings(folder)
    threading.Thread(target=server.accept, daemon=True).start()
    try:
        yield server
    finally:
        server.close()
