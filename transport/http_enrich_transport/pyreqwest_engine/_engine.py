"""Sends requests with pyreqwest."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from multidict import CIMultiDict
from pyreqwest.client import Client
from pyreqwest.http import HeaderMap
from pyreqwest.request import RequestBuilder, StreamRequest
from pyreqwest.response import Response

from http_enrich_transport._body import decoded, is_bodiless
from http_enrich_transport._deadlines import Attempt, Phase
from http_enrich_transport._engine import TransportEngineType
from http_enrich_transport._errors import too_large
from http_enrich_transport._messages import TransportRequest, TransportResponse
from http_enrich_transport._registry import TransportEngineFactory
from http_enrich_transport.config import PyreqwestEngineConfig
from http_enrich_transport.network._engine import NetworkEngine
from http_enrich_transport.network._gate import EgressGate
from http_enrich_transport.network._warmup import warm_up, warmup_address

from ._client import build_client
from ._errors import as_response

_GOODBYE_SECONDS = 0.01
"""Rust's thread may still be on its way out of Python when the process ends, which would abort it."""

_FRAMED_METHODS = {"POST", "PUT", "PATCH"}


@TransportEngineFactory.register(TransportEngineType.PYREQWEST)
class PyreqwestEngine(NetworkEngine):
    """One client of pyreqwest, which runs on a thread of its own."""

    Config = PyreqwestEngineConfig
    _config: PyreqwestEngineConfig
    _client: Client | None = None

    def _open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = build_client(self._config)
        self._gate = EgressGate(self._config, self._base_url)
        # Not pyreqwest's own limit: what waits there is sent even if nobody wants it any more.
        self._slots = asyncio.Semaphore(self._config.tcp_connection.limit)

    async def _close(self) -> None:
        self._gate.close()
        client, self._client = self._client, None
        if client is not None:
            await client.close()
            del client  # its connections close when the last reference goes
            await asyncio.sleep(_GOODBYE_SECONDS)

    async def _warm_up(self, base_url: str) -> None:
        # It cannot connect and leave it at that.
        request = TransportRequest(
            self._config.warmup.method or "HEAD",
            warmup_address(base_url, self._config.warmup.path),
            # It holds a slot meanwhile, which a row may want.
            timeout=min(self._config.warmup_timeout, self._config.connect_timeout),
        )

        async def open_one() -> str | None:
            response = await self.send(request)
            return response.error.message if response.error and response.status is None else None

        shared = self._config.http2 and base_url.startswith("https")
        connections = 1 if shared else self._config.tcp_connection.limit
        await warm_up(open_one, self._note, connections=connections, timeout=self._config.warmup_timeout)

    async def _exchange(self, request: TransportRequest, attempt: Attempt) -> TransportResponse:
        await self._slot(attempt)
        try:
            await self._gate.check(request.url, attempt)
            attempt.phase = Phase.WRITING
            async with self._prepared(request, attempt) as response:
                attempt.status = response.status
                attempt.phase = Phase.READING
                headers = _headers(response.headers)
                announced = _announced(response.status, headers, request.method)
                body = await _read(response, announced, self._config.max_response_bytes)
                body = decoded(headers, body, self._config.max_response_bytes)
                return TransportResponse(response.status, headers, body, queued=attempt.queued)
        finally:
            self._slots.release()

    async def _slot(self, attempt: Attempt) -> None:
        """Wait for one of the places; when the connection behind it was opened, only Rust knows."""
        started = time.monotonic()
        try:
            await self._slots.acquire()
        finally:
            attempt.queued = time.monotonic() - started

    def _prepared(self, request: TransportRequest, attempt: Attempt) -> StreamRequest:
        assert self._client is not None  # noqa: S101 - set while the engine is entered
        # A task that is cancelled does not stop Rust, so that it has the deadline too.
        left = max(attempt.ends_at - self._loop.time(), 0.0)
        builder = _builder(self._client, request).timeout(timedelta(seconds=left))
        # Without a buffer the status is known before the body, and cancelling closes the connection.
        return builder.streamed_read_buffer_limit(0).build_streamed()

    def _failure(self, error: Exception, request: TransportRequest, attempt: Attempt) -> TransportResponse:
        now = self._loop.time()
        return as_response(error, request.url, attempt, now, self._config.read_timeout)


def _builder(client: Client, request: TransportRequest) -> RequestBuilder:
    builder = client.request(request.method, request.url)
    if request.headers:
        builder = builder.headers(request.headers)
    if request.body:
        return builder.body_bytes(request.body)
    if request.method in _FRAMED_METHODS:
        builder = builder.header("Content-Length", "0")  # some servers ask for it (RFC 9110 §8.6)
    return builder


def _headers(received: HeaderMap) -> CIMultiDict[str]:
    try:
        return CIMultiDict(received.items())
    except ValueError:  # one of them is not ASCII; the others are still of use
        names = dict.fromkeys(received)
        return CIMultiDict([(name, value) for name in names for value in _values(received, name)])


def _values(received: HeaderMap, name: str) -> list[str]:
    try:
        return received.getall(name)
    except ValueError:
        return [""]


def _announced(status: int, headers: CIMultiDict[str], method: str) -> int | None:
    """Return how long the body is going to be, if that can be known (RFC 9112 §6.3)."""
    if is_bodiless(method, status) or "Transfer-Encoding" in headers:
        return None
    length = headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


async def _read(response: Response, announced: int | None, limit: int) -> bytes:
    """Read the body piece by piece; at once, pyreqwest would set aside what the peer announces."""
    if announced is not None and announced > limit:
        raise too_large(limit)
    reader, pieces, size = response.body_reader, [], 0
    while size != announced and (piece := await reader.read_chunk()) is not None:
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        pieces.append(piece.to_bytes())
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
