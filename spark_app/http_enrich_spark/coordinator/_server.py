"""The driver's side: a small web server that only the workers of one run can use."""

from __future__ import annotations

import asyncio
import hmac
import math
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from http_enrich_middleware import MiddlewareConfig, WorkerRuntime, build_chain
from http_enrich_spark._logs import logger
from http_enrich_transport import MemoryEngine, TransportEngine

from ._book import Book
from ._link import Link
from ._messages import (
    MAX_BYTES,
    VERSION,
    Hello,
    LeaseRequest,
    Message,
    Orders,
    Sync,
    TokenRequest,
    Welcome,
)
from ._rates import cluster_rates
from ._stop import Stop
from ._tokens import TokenDesk
from ._totals import Totals

MESSAGES_PER_SECOND = 200
"""Of one worker; one that works as it should sends a tenth of that at most."""

_HEARD_FOR = 3.0
"""Seconds for which a worker counts as one that can reach the driver."""

_PATIENCE = 6.0
"""
Seconds for which Spark may see more workers than are heard of: they start, and others have died.

With `_HEARD_FOR` and a look each second it is what a worker waits before it uses its own share, 10 s.
"""

_START_SECONDS = 30.0

M = TypeVar("M", bound=Message)


class Coordinator:
    """
    Hands out permits, tokens and secrets to the workers of a run, and gathers what they count.

    It has a thread and an event loop of its own. Workers find it at *host*; it listens at *bind*, which is
    the same unless there is a network between them that has names of its own. *engine* makes what tokens
    are asked for with; *busy* returns how many workers are at work in Spark's eyes, who may be more than
    those that reach this server. *spent* is how many seconds ago how many requests were made already, which
    count in quotas, the oldest first.
    """

    def __init__(
        self,
        middleware: Sequence[MiddlewareConfig],
        *,
        host: str,
        bind: str | None = None,
        slots: int,
        runtime: WorkerRuntime,
        engine: Callable[[], TransportEngine] = lambda: MemoryEngine.always(503),
        busy: Callable[[], int] = lambda: 0,
        spent: Sequence[tuple[float, int]] = (),
    ) -> None:
        self.stopped: Stop | None = None
        """Why the run is to stop, if it is."""
        self.heard_at = -math.inf
        """When a worker was last heard of, by `time.monotonic`."""
        self._middleware, self._slots, self._busy = middleware, slots, busy
        self._host, self._bind = host, bind or host
        self._runtime, self._engine, self._spent = runtime, engine, spent
        self._secret, self._plan_secrets = secrets.token_urlsafe(32), list[str]()
        self._totals, self._lock = Totals(), threading.Lock()
        self._seen: dict[str, int] = {}
        self._heard: dict[str, float] = {}
        self._messages: Counter[tuple[str, int]] = Counter()
        self._paused_until = self._looked_at = -math.inf
        self._unheard: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._books: dict[str, Book] = {}
        self._desk = TokenDesk(lambda: self._runtime)
        self._loop = asyncio.new_event_loop()
        self._over: asyncio.Event | None = None
        self._started: Any = None
        self.link: Link

    def __enter__(self) -> Coordinator:
        ready: threading.Event = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(ready,), name="http-enrich-coordinator", daemon=True
        )
        self._thread.start()
        if not ready.wait(_START_SECONDS) or self._started is not None:
            remedy = "set spark.driver.bindAddress"
            msg = f"the coordinator cannot listen at {self._bind}: {self._started}; {remedy}"
            raise OSError(msg)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join()

    def totals(self) -> Totals:
        """Return a copy of what the workers have counted so far."""
        with self._lock:
            copy = Totals()
            copy.add(self._totals)
            return copy

    def guard(self, plan_secrets: Sequence[str]) -> None:
        """Hand out *plan_secrets*, in that order, to workers that ask; before any of them is at work."""
        self._plan_secrets = list(plan_secrets)

    def stop(self, stop: Stop) -> None:
        """Have all workers send nothing more; the first *stop* is the one that counts."""
        if self.stopped is None:
            self.stopped = stop

    # What follows runs on the coordinator's thread.

    def _run(self, ready: threading.Event) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve(ready))
        except Exception as error:  # noqa: BLE001 - whoever waits for the server is told
            self._started = self._started or error
            logger.warning("the coordinator has ended: %s", error)
        finally:
            ready.set()

    def _end(self) -> None:
        if self._over is not None:
            self._over.set()

    async def _serve(self, ready: threading.Event) -> None:
        self._over = asyncio.Event()
        async with self._engine() as engine:
            self._prepare(engine)
            runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            try:
                site = web.TCPSite(runner, self._bind, 0)
                await site.start()
                port = runner.addresses[0][1]
                self.link = Link(f"http://{_bracketed(self._host)}:{port}", self._secret)
                ready.set()
                await self._over.wait()
            finally:
                await runner.cleanup()

    def _prepare(self, engine: TransportEngine) -> None:
        """Make a book for each limit of the cluster, and learn how tokens are asked for."""
        for source, rates in cluster_rates(self._middleware).items():
            self._books[source] = book = Book(
                rates, clock=time.monotonic, sleep=asyncio.sleep, share=self._reachable_share
            )
            for ago, requests in self._spent:
                book.spend(requests, ago)
        self._runtime = replace(self._runtime, ask_through=self._desk.register)
        build_chain([each for each in self._middleware if each.asks_for_tokens], engine, self._runtime)

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=MAX_BYTES, middlewares=[self._guarded])
        post, admit = application.router.add_post, self._admit
        post("/v1/hello", _handler(Hello, self._hello, admit))
        post("/v1/lease", _handler(LeaseRequest, self._lease, admit))
        post("/v1/token", _handler(TokenRequest, self._token, admit))
        post("/v1/sync", _handler(Sync, self._sync, admit))
        return application

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, f"Bearer {self._secret}".encode()):
            return web.Response(status=401)
        response: web.StreamResponse = await handler(request)
        return response

    def _admit(self, message: Message) -> bool:
        """Note that the worker was heard of; False if it says too much."""
        now = time.monotonic()
        self._heard[message.worker] = self.heard_at = now
        key = (message.worker, int(now))
        if key not in self._messages:
            last = {each: count for each, count in self._messages.items() if each[1] == key[1]}
            self._messages = Counter(last)
        self._messages[key] += 1
        return self._messages[key] <= MESSAGES_PER_SECOND

    async def _hello(self, _: Hello) -> Welcome:
        return Welcome(self._plan_secrets)

    async def _lease(self, request: LeaseRequest) -> Any:
        book = self._books.get(request.source)
        if book is None:
            raise web.HTTPNotFound
        return await book.lease(request.want, request.unused)

    async def _token(self, request: TokenRequest) -> Any:
        return await self._desk.token(request.owner, request.refused)

    async def _sync(self, message: Sync) -> Orders:
        if message.seq > self._seen.get(message.worker, 0):
            self._seen[message.worker] = message.seq
            with self._lock:
                self._totals.add(message.totals)
            if message.stopped is not None:
                self.stop(Stop(message.stopped, "outage" if message.outage else "stopped"))
            if message.pause > 0:
                self._pause(message.pause)
        reason = self.stopped.reason if self.stopped is not None else None
        return Orders(reason, max(0.0, self._paused_until - time.monotonic()))

    def _pause(self, seconds: float) -> None:
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)
        for book in self._books.values():
            book.pause(seconds)

    def _reachable_share(self) -> float:
        """Return the share of the workers that lease permits; others keep to their own part of the limit."""
        now = time.monotonic()
        if now - self._looked_at > 1.0:
            self._looked_at = now
            heard = sum(now - at < _HEARD_FOR for at in self._heard.values())
            self._unheard.append((now, max(0, self._busy() - heard)))
            while now - self._unheard[0][0] > _PATIENCE:
                self._unheard.popleft()
        unheard = min((count for _, count in self._unheard), default=0)
        return max(0.0, 1.0 - unheard / max(1, self._slots))


def _handler(
    type: type[M], handle: Callable[[M], Awaitable[Any]], admit: Callable[[Message], bool]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    decoder, encode = msgspec.msgpack.Decoder(type), msgspec.msgpack.encode

    async def answer(request: web.Request) -> web.Response:
        try:
            message = decoder.decode(await request.read())
        except msgspec.DecodeError:
            return web.Response(status=400)
        if message.version != VERSION:
            return web.Response(status=400, text=f"version {VERSION} is spoken here")
        if not admit(message):
            return web.Response(status=429)
        return web.Response(body=encode(await handle(message)))

    return answer


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
