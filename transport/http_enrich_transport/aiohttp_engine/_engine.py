"""Sends requests with aiohttp."""

from __future__ import annotations

import aiohttp
from yarl import URL

from http_enrich_transport._body import decoded
from http_enrich_transport._deadlines import Attempt, Phase
from http_enrich_transport._engine import TransportEngineType
from http_enrich_transport._errors import too_large
from http_enrich_transport._messages import TransportRequest, TransportResponse
from http_enrich_transport._registry import TransportEngineFactory
from http_enrich_transport.config import AiohttpEngineConfig
from http_enrich_transport.network._egress import EgressPolicy
from http_enrich_transport.network._engine import NetworkEngine

from ._connector import Connector, current
from ._errors import as_response
from ._warmup import fill_pool
from ._wire import Wire

_READING = Phase.READING


@TransportEngineFactory.register(TransportEngineType.AIOHTTP)
class AiohttpEngine(NetworkEngine):
    """One connection pool on one event loop."""

    Config = AiohttpEngineConfig
    _config: AiohttpEngineConfig
    _wire: Wire

    def _open(self) -> None:
        config, proxy = self._config, self._config.proxy
        egress = EgressPolicy(config.egress, named=(self._base_url, proxy.url if proxy else None))
        self._wire = Wire(config, Connector(config, egress))

    async def _close(self) -> None:
        await self._wire.close()

    async def _warm_up(self, base_url: str) -> None:
        tcp = self._config.tcp_connection
        if not tcp.force_close and tcp.keepalive_timeout:
            await fill_pool(self._wire, self._config, base_url, self._note)

    async def _exchange(self, request: TransportRequest, attempt: Attempt) -> TransportResponse:
        current.set(attempt)
        attempt.queued = attempt.connected = 0.0  # what is ready in the pool costs no time
        url = URL(request.url, encoded=True)
        response = await self._wire.ask(request.method, url, request.headers, request.body)
        try:
            attempt.status = status = response.status
            attempt.phase = _READING
            limit = self._config.max_response_bytes
            headers, body = response.headers, await _read(response, limit)
            body = decoded(headers, body, limit)
            return TransportResponse(status, headers, body, None, attempt.queued, attempt.connected)
        finally:
            # Read to its end it has let go of its connection; otherwise that is of no use any more.
            if not response.closed:
                response.close()

    def _failure(self, error: Exception, request: TransportRequest, attempt: Attempt) -> TransportResponse:
        return as_response(error, request.url, attempt)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read the body, which is no longer than *limit* bytes; `response.read()` knows no limit."""
    content = response.content
    if content.is_eof():  # it has come with the headers, as most do, or there is none
        body = content.read_nowait()
        if len(body) > limit:
            raise too_large(limit)
        return body
    if (response.content_length or 0) > limit:
        raise too_large(limit)
    chunks, size = [], 0
    while chunk := await content.readany():
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)
