"""Sends requests with aiohttp."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from http_enrich_transport._config import AiohttpEngineConfig
from http_enrich_transport._engine import TransportEngine, TransportEngineType
from http_enrich_transport._errors import Sent, TransportErrorKind
from http_enrich_transport._factory import TransportEngineFactory
from http_enrich_transport._messages import TransportRequest, TransportResponse

from ._connector import Connector
from ._errors import BodyTooLargeError, as_response
from ._progress import Progress, WatchedRequest, current
from ._warmup import warm_up

MAX_BODY_BYTES = 10 * 1024 * 1024
"""An answer beyond this is an error: one endless body must not take the worker's memory."""

_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


@TransportEngineFactory.register(TransportEngineType.AIOHTTP)
class AiohttpEngine(TransportEngine):
    """One connection pool on one event loop."""

    def __init__(self, config: AiohttpEngineConfig, *, warmup_url: str | None = None) -> None:
        self._config = config
        self._warmup_url = warmup_url
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        limit = self._config.tcp_connection.limit
        self._session = aiohttp.ClientSession(
            connector=Connector(limit=limit, limit_per_host=limit),
            request_class=WatchedRequest,
            cookie_jar=aiohttp.DummyCookieJar(),  # row 1's cookies are none of row 2's business
            timeout=_NO_TIMEOUT,  # one deadline of ours covers everything, see send()
            # What is not decoded cannot be silently cut short: a truncated gzip
            # body would come back from aiohttp as a success.
            auto_decompress=False,
            headers={"Accept-Encoding": "identity"},
        )
        # One attempt is one request on the wire. aiohttp would send idempotent
        # requests a second time on a dropped connection, which someone pays for.
        self._session._retry_connection = False
        if self._warmup_url and self._config.warmup_timeout:
            self.warmup = await warm_up(
                self._session, self._warmup_url, connections=limit, timeout=self._config.warmup_timeout
            )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, request: TransportRequest) -> TransportResponse:
        """Put *request* on the wire once."""
        limit = request.timeout or self._config.base_timeout
        progress = Progress()
        current.set(progress)
        try:
            async with asyncio.timeout(limit) as deadline:
                return await self._exchange(request, progress)
        except Exception as error:  # noqa: BLE001 - engines never raise; cancellation is no Exception
            if deadline.expired():
                message = f"no complete answer within {limit:g} s"
                return TransportResponse.failed(
                    progress.timeout_kind, progress.sent, message, status=progress.status
                )
            return as_response(error, request.url, progress)

    async def _exchange(self, request: TransportRequest, progress: Progress) -> TransportResponse:
        if self._session is None:
            msg = "the engine was not entered"
            raise RuntimeError(msg)
        async with self._session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
        ) as response:
            progress.status = response.status
            body = await _read(response)
            encoding = response.headers.get("Content-Encoding", "identity").lower()
            if encoding != "identity" and body:
                message = f"the answer came as {encoding!r} though none was accepted"
                return TransportResponse.failed(
                    TransportErrorKind.CONTENT_ENCODING, Sent.RESPONDED, message, status=response.status
                )
            return TransportResponse(response.status, response.headers, body)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read the body up to the cap; `response.read()` has none."""
    announced = 0 if response.method == "HEAD" else response.content_length or 0
    if announced > MAX_BODY_BYTES:
        raise BodyTooLargeError(MAX_BODY_BYTES)
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise BodyTooLargeError(MAX_BODY_BYTES)
        chunks.append(chunk)
    return b"".join(chunks)
