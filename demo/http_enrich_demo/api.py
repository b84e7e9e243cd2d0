"""The airport API of the demo: an ordinary web service with a token, latency, limits and bad moments."""

from __future__ import annotations

import argparse
import asyncio
import hmac
import os
import random
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from weakref import WeakSet

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from http_enrich_demo import airports
from http_enrich_demo.inspections import HIGHEST_FT, Inspections, is_too_high
from http_enrich_demo.stats import Stats
from http_enrich_demo.tokens import TokenEndpoint

HOST = "127.0.0.1"
Handler = Callable[[web.Request], Awaitable[web.Response]]


class AirportsApi:
    """The API on a loopback port, usable as an async context manager."""

    def __init__(
        self,
        token: str,
        *,
        latency: tuple[float, float] = (0.005, 0.050),
        fault_rate: float = 0.01,
        seed: int = 0,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.stats = Stats()
        self.url = ""
        self._token = token
        self.tokens = TokenEndpoint(token)
        self._inspections = Inspections()
        self._latency = latency
        self._fault_rate = fault_rate
        self._random = random.Random(seed)
        self._sleep = sleep
        self._refused: set[str] = set()
        self._known_connections: WeakSet[asyncio.BaseTransport] = WeakSet()
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None

    async def start(self, port: int = 0) -> str:
        """Listen on the port, or on a free one, and return the URL."""
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        # The backlog must hold a client's whole burst of new connections, or the kernel delays some by 1 s.
        self._listener = await loop.create_server(self._accept, HOST, port, backlog=1024)
        self.url = f"http://{HOST}:{self._listener.sockets[0].getsockname()[1]}"
        return self.url

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._listener is not None:
            self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> AirportsApi:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/stats", self._answer_stats)
        app.router.add_post("/oauth/token", self._answer_token)
        app.router.add_get("/v1/airports/{icao}", self._counted(self._allowed(self._answer_airport)))
        app.router.add_post("/v1/inspections", self._counted(self._allowed(self._answer_inspection)))
        app.router.add_route("*", "/{unknown:.*}", self._counted(self._answer_unknown))
        return app

    def _accept(self) -> RequestHandler:
        # asyncio calls this exactly once for each TCP connection, even if no request ever follows.
        assert self._runner is not None
        assert self._runner.server is not None
        self.stats.connections += 1
        return self._runner.server()

    def _is_new_connection(self, request: web.Request) -> bool:
        transport = request.transport
        if transport is None or transport in self._known_connections:
            return False
        self._known_connections.add(transport)
        return True

    def _counted(self, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            self.stats.connections_used += self._is_new_connection(request)
            self.stats.arrived()
            try:
                await self._sleep(self._random.uniform(*self._latency))
                response = await handler(request)
            finally:
                self.stats.in_flight -= 1
            self.stats.by_status[response.status] += 1
            return response

        return answer

    async def _answer_stats(self, request: web.Request) -> web.Response:
        self.stats.connections -= self._is_new_connection(request)
        return web.json_response(self.stats.as_dict())

    async def _answer_token(self, request: web.Request) -> web.Response:
        self.stats.connections -= self._is_new_connection(request)
        self.stats.tokens += 1
        return await self.tokens.answer(request)

    async def _answer_airport(self, request: web.Request) -> web.Response:
        icao = request.match_info["icao"]
        fault = self._fault(f"GET {icao}")
        if fault is not None:
            return fault
        try:
            return web.json_response({"data": airports.facts(icao)})
        except KeyError:
            return _error(404, f"No airport has the ICAO code {icao!r}.")

    async def _answer_inspection(self, request: web.Request) -> web.Response:
        icao = (await request.json())["icao"]
        if is_too_high(icao):
            return _error(422, f"{icao} lies above {HIGHEST_FT} ft, where no inspector goes.")
        key = request.headers.get("Idempotency-Key")
        number = self._inspections.book(key)
        self.stats.effects = self._inspections.count
        # Booked already: a fault here is an answer that gets lost, as they do.
        fault = self._fault(f"POST {key}")
        return fault or web.json_response({"data": {"number": number}}, status=201)

    async def _answer_unknown(self, request: web.Request) -> web.Response:
        return _error(404, f"Nothing at {request.method} {request.path}; try GET /v1/airports/KJFK.")

    def _allowed(self, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            if self._is_allowed(request):
                return await handler(request)
            challenge = {"WWW-Authenticate": 'Bearer realm="airports"'}
            return _error(401, "Send the header 'Authorization: Bearer <token>'.", challenge)

        return answer

    def _is_allowed(self, request: web.Request) -> bool:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        is_static = hmac.compare_digest(given.encode(), self._token.encode())
        return kind == "Bearer" and (is_static or self.tokens.accepts(given))

    def _fault(self, question: str) -> web.Response | None:
        # Never twice in a row for one question: whoever repeats a refused request gets its answer.
        if question in self._refused:
            self._refused.remove(question)
            return None
        if self._random.random() >= self._fault_rate:
            return None
        self._refused.add(question)
        if self._random.random() < 0.5:
            return _error(429, "Too many requests.", {"Retry-After": self._random.choice("01")})
        return _error(503, "Out of order for a moment.")


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": message}, status=status, headers=headers)


@contextmanager
def run_in_thread(
    token: str = "demo-token",
    *,
    latency: tuple[float, float] = (0.0, 0.0),
    fault_rate: float = 0.0,
    seed: int = 0,
) -> Iterator[tuple[str, AirportsApi]]:
    """Serve the API from a thread, for callers that are not async, and yield its URL and itself."""
    api = AirportsApi(token, latency=latency, fault_rate=fault_rate, seed=seed)
    with in_thread(api) as url:
        yield url, api


@contextmanager
def in_thread(api: AirportsApi) -> Iterator[str]:
    """Serve *api* from a thread, and yield its URL."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="airports-api", daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(api.start(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(api.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def serve(api: AirportsApi, port: int, announce: Callable[[str], None]) -> None:
    """Run the API until SIGTERM or SIGINT, announcing its URL as soon as it answers."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    announce(await api.start(port))
    try:
        await stop.wait()
    finally:
        await api.stop()


def main(arguments: list[str] | None = None) -> None:
    """Serve the airport API as a program."""
    parser = argparse.ArgumentParser(description="Serve the airport API of the demo on a loopback port.")
    parser.add_argument("--port", type=int, default=0, help="the port; 0 takes a free one")
    parser.add_argument("--token-env", required=True, help="name of the variable that holds the token")
    parser.add_argument("--url-file", type=Path, required=True, help="file that gets the URL once ready")
    options = parser.parse_args(arguments)
    token = os.environ.get(options.token_env)
    if not token:
        parser.error(f"the variable {options.token_env} is empty; put the API's token into it")

    def announce(url: str) -> None:
        unfinished = options.url_file.with_suffix(".tmp")
        unfinished.write_text(url)
        unfinished.replace(options.url_file)  # in one step, so that nobody reads half a URL

    asyncio.run(serve(AirportsApi(token), options.port, announce))


if __name__ == "__main__":
    main()
