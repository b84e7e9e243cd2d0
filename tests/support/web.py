"""A small web server in a thread, for tests whose client is Spark."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from ssl import SSLContext
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], web.Response | Awaitable[web.Response]]


class WebServer:
    """Answers everything through one function and remembers the paths it was asked for."""

    def __init__(self, answer: Answer, tls: SSLContext | None = None) -> None:
        self._answer, self._tls = answer, tls
        self.url = ""
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []

    async def start(self) -> web.AppRunner:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _handle(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.paths.append(request.raw_path)
        self.headers.append(dict(request.headers))
        found = self._answer(request)
        return await found if inspect.isawaitable(found) else found


@contextmanager
def web_server(answer: Answer, tls: SSLContext | None = None) -> Iterator[WebServer]:
    """Serve *answer* on a free loopback port."""
    server = WebServer(answer, tls)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def call(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    runner = call(server.start())
    try:
        yield server
    finally:
        call(runner.cleanup())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
