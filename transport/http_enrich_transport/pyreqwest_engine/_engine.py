"""Sends requests with pyreqwest."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import TracebackType
from typing import Self

from multidict import CIMultiDict
from pyreqwest.client import Client
from pyreqwest.http import HeaderMap
from pyreqwest.request import RequestBuilder
from pyreqwest.response import Response

from http_enrich_transport._body import decode, is_bodiless, too_large
from http_enrich_transport._deadlines import Attempt, Deadlines, Phase
from http_enrich_transport._engine import TransportEngine, TransportEngineType, WarmupReport
from http_enrich_transport._guard import not_entered, refuse
from http_enrich_transport._messages import TransportRequest, TransportResponse
from http_enrich_transport._registry import TransportEngineFactory
from http_enrich_transport.config import PyreqwestEngineConfig
from http_enrich_transport.network._gate import EgressGate
from http_enrich_transport.network._warmup import warm_up, warmup_address

from ._client import build_client
from ._errors import as_response

_GOODBYE_SECONDS = 0.01
"""Rust's thread may still be on its way out of Python when the process ends, which would abort it."""

_FRAMED_METHODS = {"POST", "PUT", "PATCH"}


@TransportEngineFactory.register(TransportEngineType.PYREQWEST)
class PyreqwestEngine(TransportEngine):
    """One client of pyreqwest, which runs on a thread of its own."""

    Config = PyreqwestEngineConfig

    def __init__(self, config: PyreqwestEngineConfig, *, base_url: str | None = None) -> None:
        self._config = config
        self._base_url = base_url
        self._client: Client | None = None
        self._deadlines: Deadlines | None = None
        self._warming: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._client = build_client(self._config)
        self._gate = EgressGate(self._config, self._base_url)
        self._deadlines = Deadlines()
        # Not pyreqwest's own limit: what waits there is sent even if nobody wants it any more.
        self._slots = asyncio.Semaphore(self._config.tcp_connection.limit)
        if self._base_url and self._config.warmup_timeout:
            self._warming = asyncio.create_task(self._warm_up(self._base_url))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait({self._warming})
        if self._deadlines is not None:
            self._deadlines.close()
            self._gate.close()
        if self._client is not None:
            await self._client.close()
            self._client = None  # its connections close when the last reference goes
            await asyncio.sleep(_GOODBYE_SECONDS)

    async def warmed_up(self) -> WarmupReport:
        """Wait until the warm-up is over; rows need not wait for it."""
        if self._warming is not None:
            await asyncio.wait({self._warming})
        return self.warmup

    async def send(self, request: TransportRequest) -> TransportResponse:
        """Put *request* on the wire once."""
        if self._client is None or self._deadlines is None:
            return not_entered()
        refusal = refuse(request)
        if refusal is not None:
            return refusal
        attempt = self._deadlines.start(request.timeout or self._config.base_timeout)
        try:
            async with self._slots:
                await self._gate.check(request.url, attempt)
                return await self._exchange(self._client, request, attempt)
        except asyncio.CancelledError:
            if attempt.was_ours():
                return attempt.timeout()
            raise
        except Exception as error:  # noqa: BLE001 - engines never raise
            if attempt.was_ours():
                return attempt.timeout()
            now = self._loop.time()
            return as_response(error, request.url, attempt, now, self._config.read_timeout)
        finally:
            self._deadlines.finish(attempt)

    async def _exchange(
        self, client: Client, request: TransportRequest, attempt: Attempt
    ) -> TransportResponse:
        builder = _builder(client, request)
        attempt.phase = Phase.WRITING
        # A task that is cancelled does not stop Rust, so that it has the deadline too.
        left = max(attempt.ends_at - self._loop.time(), 0.0)
        # Without a buffer the status is known before the body, and cancelling closes the connection.
        prepared = builder.timeout(timedelta(seconds=left)).streamed_read_buffer_limit(0).build_streamed()
        async with prepared as response:
            attempt.status = response.status
            attempt.phase = Phase.READING
            headers = _headers(response.headers)
            announced = _announced(response.status, headers, request.method)
            body = await _read(response, announced, self._config.max_response_bytes)
            if "Content-Encoding" in headers:
                coding = ", ".join(headers.getall("Content-Encoding"))
                body = decode(body, coding, self._config.max_response_bytes)
            return TransportResponse(response.status, headers, body)

    async def _warm_up(self, base_url: str) -> None:
        # It cannot connect and leave it at that.
        request = TransportRequest(
            self._config.warmup.method or "HEAD",
            warmup_address(base_url, self._config.warmup.path),
            timeout=self._config.warmup_timeout,
        )

        async def open_one() -> str | None:
            response = await self.send(request)
            return response.error.message if response.error and response.status is None else None

        shared = self._config.http2 and base_url.startswith("https")
        connections = 1 if shared else self._config.tcp_connection.limit
        await warm_up(open_one, self._note, connections=connections, timeout=self._config.warmup_timeout)

    def _note(self, report: WarmupReport) -> None:
        self.warmup = report


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
